"""What a question asks of one table, in terms of its columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from core.offline.schema import Column, Table

Kind = Literal[
    "rows", "count", "distinct", "aggregate", "vwap", "ohlc", "moving", "returns", "total_return", "correlation",
    "pair_correlation", "drawdown",
]  # fmt: skip


@dataclass(frozen=True)
class Aggregate:
    """`function` over a column; a count needs none."""

    function: str
    column: Column | None = None

    @property
    def alias(self) -> str:
        if self.column is None:
            return "rows"
        return f"{self.function}_{self.column.name}"

    @property
    def script(self) -> str:
        if self.column is None:
            return "count(*)"
        return f"{self.function}({self.column.script})"


@dataclass(frozen=True)
class Group:
    """A grouping expression and the name of its column in the result."""

    expression: str
    alias: str
    is_time: bool = False

    @property
    def script(self) -> str:
        return self.expression if self.expression == self.alias else f"{self.expression} as {self.alias}"


@dataclass(frozen=True)
class Query:
    """One question about one table. `notes` are assumptions the answer has to tell, in English and Chinese."""

    table: Table
    kind: Kind = "rows"
    aggregates: tuple[Aggregate, ...] = ()
    groups: tuple[Group, ...] = ()
    conditions: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    order: str = ""
    descending: bool = True
    limit: int | None = None
    from_end: bool = False
    window: int = 20
    function: str = "avg"
    symbols: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def updated(self, patch: Query) -> Query:
        """This query with what a later remark changes: what it does not speak of stays."""
        changed = {
            name: getattr(patch, name)
            for name in ("aggregates", "groups", "columns", "order", "limit", "symbols")
            if getattr(patch, name)
        }
        same_subject = [
            condition
            for condition in self.conditions
            if not any(_subject(condition) == _subject(new) for new in patch.conditions)
        ]
        query = replace(self, **changed, conditions=(*same_subject, *patch.conditions), notes=self.notes + patch.notes)
        if query.aggregates and query.kind in ("rows", "count"):
            query = replace(query, kind="aggregate")
        if query.order and patch.aggregates and not patch.order:
            query = replace(query, order=patch.aggregates[0].alias)
        return query


def _subject(condition: str) -> str:
    return condition.split(" ", 1)[0]
