"""Tables and columns as the tools tell of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NUMERIC_TYPES = frozenset({"CHAR", "SHORT", "INT", "LONG", "FLOAT", "DOUBLE", "DECIMAL32", "DECIMAL64", "DECIMAL128"})
DATE_TYPES = frozenset({"DATE", "DATETIME", "TIMESTAMP", "NANOTIMESTAMP", "DATEHOUR"})
TIME_TYPES = DATE_TYPES | {"MONTH", "TIME", "MINUTE", "SECOND", "NANOTIME"}
TEXT_TYPES = frozenset({"SYMBOL", "STRING"})


@dataclass(frozen=True)
class Column:
    """A column, or an expression over columns when `expression` differs from the name."""

    name: str
    type: str
    expression: str = ""

    @property
    def script(self) -> str:
        return self.expression or self.name

    @property
    def base_type(self) -> str:
        return self.type.split("(")[0].upper()

    @property
    def is_numeric(self) -> bool:
        return self.base_type in NUMERIC_TYPES

    @property
    def is_time(self) -> bool:
        return self.base_type in TIME_TYPES

    @property
    def has_date(self) -> bool:
        return self.base_type in DATE_TYPES or self.base_type == "MONTH"

    @property
    def is_text(self) -> bool:
        return self.base_type in TEXT_TYPES


@dataclass(frozen=True)
class Table:
    """`reference` is the script text that stands for the table; `samples` are a few values of each column, as text."""

    name: str
    reference: str
    columns: tuple[Column, ...]
    kind: str = ""
    rows: int | None = None
    samples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    @property
    def time(self) -> Column | None:
        """The column that orders the rows in time, if any; one with a date before one without."""
        times = [column for column in self.columns if column.is_time]
        return next((column for column in times if column.has_date), times[0] if times else None)

    @property
    def key(self) -> Column | None:
        """The column that names what a row is about: the first text column."""
        return next((column for column in self.columns if column.is_text), None)

    @property
    def measures(self) -> list[Column]:
        return [column for column in self.columns if column.is_numeric]


def parse_tables(text: str) -> tuple[list[Table], list[str]]:
    """Tables and database URLs from the result of list_tables. Raises ValueError when it is not what is expected."""
    data = json.loads(text)
    tables = [
        Table(
            name=str(item["name"]),
            reference=str(item.get("reference") or item["name"]),
            columns=tuple(_columns(item.get("columns", []))),
            kind=str(item.get("kind", "")),
            rows=item.get("rows"),
        )
        for item in data["tables"]
    ]
    databases = [str(item["name"] if isinstance(item, dict) else item) for item in data.get("databases", [])]
    return tables, databases


def parse_description(text: str, table: Table) -> Table:
    """`table` with what describe_table adds: exact columns and sample values."""
    data = json.loads(text)
    columns = tuple(_columns(data.get("columns", []))) or table.columns
    return Table(
        name=str(data.get("name") or table.name),
        reference=str(data.get("reference") or table.reference),
        columns=columns,
        kind=str(data.get("kind") or table.kind),
        rows=data.get("rows", table.rows),
        samples=_samples(data.get("sample") or [], columns),
    )


def _columns(items: Sequence[Any]) -> list[Column]:
    columns = []
    for item in items:
        if isinstance(item, dict):
            columns.append(Column(str(item["name"]), str(item.get("type", ""))))
        else:
            name, _, type_ = str(item).rpartition(" ")
            columns.append(Column(name or type_, type_ if name else ""))
    return columns


def _samples(rows: Any, columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    if isinstance(rows, dict):
        values = {name: list(items) for name, items in rows.items() if isinstance(items, list)}
    else:
        values = {}
        for row in rows:
            cells = row.items() if isinstance(row, dict) else zip((c.name for c in columns), row, strict=False)
            for name, value in cells:
                values.setdefault(name, []).append(value)
    return {
        name: tuple(dict.fromkeys(str(value) for value in items if value is not None and re.search(r"\S", str(value))))
        for name, items in values.items()
    }
