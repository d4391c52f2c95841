"""Descriptions of tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from dolphin.results import preview
from dolphin.types import INTEGERS, STRINGS, TEMPORALS, base_type, is_null, is_numeric
from dolphin.values import Result

Role = Literal["time", "measure", "dimension"]
Kind = Literal["session", "shared", "dfs"]

SHOWN_ROWS = 5
FEW_VALUES = 20
CODE_NAME = re.compile(r"(^|_)(id|code|key|type|flag|status|level|no)$|[a-z](Id|ID|Code|Key|Type|Flag|Status|No)$")


@dataclass(frozen=True)
class ColumnDescription:
    name: str
    type: str
    role: Role
    comment: str = ""


@dataclass(frozen=True)
class TableSummary:
    """`reference` is the script text that stands for the table. `rows` is None where it could not be asked."""

    name: str
    reference: str
    kind: Kind
    rows: int | None = None
    columns: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "reference": self.reference,
            "kind": self.kind,
            "rows": self.rows,
            "columns": list(self.columns),
        }


@dataclass(frozen=True)
class TableDescription:
    name: str
    reference: str
    kind: Kind
    rows: int | None
    columns: tuple[ColumnDescription, ...]
    partition: dict[str, Any] | None = None
    sort_columns: tuple[str, ...] = ()
    engine: str = ""
    sample: Result = field(default_factory=lambda: Result("NOTHING"), repr=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "reference": self.reference,
            "kind": self.kind,
            "rows": self.rows,
            "columns": [
                {"name": column.name, "type": column.type, "role": column.role}
                | ({"comment": column.comment} if column.comment else {})
                for column in self.columns
            ],
            "partition": self.partition,
            "sort_columns": list(self.sort_columns),
            "engine": self.engine,
            "sample": self.sample.to_python()[:SHOWN_ROWS] if self.sample.form == "TABLE" else [],
        }

    @property
    def text(self) -> str:
        """A few lines for the model."""
        rows = "an unknown number of" if self.rows is None else self.rows
        lines = [f"table {self.name}: {self.kind}, {rows} rows; in scripts: {self.reference}"]
        lines += [
            f"- {column.name} {column.type} ({column.role})" + (f": {column.comment}" if column.comment else "")
            for column in self.columns
        ]
        if self.partition is not None:
            lines.append("partitioned by " + ", ".join(f"{key} {value}" for key, value in self.partition.items()))
        if self.sort_columns:
            lines.append("sorted by " + ", ".join(self.sort_columns))
        if self.sample.form == "TABLE" and self.sample.fetched:
            grid = preview(self.sample, head=SHOWN_ROWS, tail=0, max_chars=1500).text.splitlines()[2:]
            lines += ["sample:", *(line for line in grid if line.startswith("|"))]
        return "\n".join(lines)


def role(name: str, kind: str, values: Any = None) -> Role:
    """What a column is good for: an axis of time, a grouping, or a quantity. Whole numbers with few different values
    in the sample, or named like a code, are groupings.
    """
    base = base_type(kind)
    if base in TEMPORALS:
        return "time"
    if not is_numeric(kind):
        return "dimension" if base in STRINGS or base == "BOOL" or not base.endswith("[]") else "measure"
    if base not in INTEGERS:
        return "measure"
    if CODE_NAME.search(name):
        return "dimension"
    if values is None or len(values) < 2 * FEW_VALUES:
        return "measure"
    distinct = {value for value in values if not is_null(value)}
    return "dimension" if len(distinct) <= FEW_VALUES else "measure"
