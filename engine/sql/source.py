"""Tables that do not live in memory: what SQL needs of them.

A script holds such a table as a `Handle` whose `target` is a `StoredTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from engine.types import Type
from engine.values import Handle, Scalar, Table, Value, Vector

ConjunctOperator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "between"]


@dataclass(frozen=True, slots=True)
class Conjunct:
    """A condition `function(column) operator operand` that every wanted row meets.

    `function` is None or a function of time by name (`date`, `month`, `datehour` …) around the column.
    `operand` is a scalar, for `in` a vector, for `between` a pair (both ends included). It has the type the
    script wrote, not that of the column.
    """

    column: str
    operator: ConjunctOperator
    operand: Scalar | Vector
    function: str | None = None


@runtime_checkable
class StoredTable(Protocol):
    """A table in storage, partitioned or not."""

    names: list[str]
    types: list[Type]

    @property
    def rows(self) -> int:
        """All rows stored."""

    def read(self, columns: Sequence[str] | None, conjuncts: Sequence[Conjunct]) -> Table:
        """The named columns (None: all) in the order asked for, of at least the rows that meet all conjuncts.

        Conjuncts only serve to skip partitions and blocks: rows that do not meet them may be returned. Partitions
        come in their order. The columns are of the declared types even when there are no rows.
        """

    def append(self, table: Table) -> int:
        """Add rows, columns matched by position; returns how many. Raises ScriptError for types that do not fit."""

    def upsert(self, table: Table, keys: Sequence[str], ignore_null: bool) -> None:
        """Replace the rows with equal keys (partitioning columns are keys, too), add the others."""

    def rewrite(
        self, conjuncts: Sequence[Conjunct], change: Callable[[Table], Table | None], *, deletes: bool = False
    ) -> None:
        """Replace the content of every partition that may hold rows meeting the conjuncts by what `change` makes
        of it (all columns; None: leave it as it is). `deletes` says that rows are deleted, not updated."""

    def drop_columns(self, names: Sequence[str]) -> None:
        """Remove columns from the schema and the data."""

    def rename_column(self, name: str, new_name: str) -> None:
        """Give a column another name."""

    def add_columns(self, names: Sequence[str], types: Sequence[Type], scales: Sequence[int]) -> None:
        """Add columns, NULL in the rows there are."""


def stored_table(value: Value) -> StoredTable | None:
    """The stored table behind a value, if it is one."""
    if isinstance(value, Handle) and isinstance(value.target, StoredTable):
        return value.target
    return None
