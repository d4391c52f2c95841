"""The rows a query works on: columns by name and table alias, with filters applied only when a column is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from engine import parallel
from engine.errors import ScriptError
from engine.grouping import Groups
from engine.indexing import column_value
from engine.interpreter.scope import Scope
from engine.types import Type
from engine.values import AnyVector, Array, ArrayVector, Column, Table, Value, Vector, take

ROW_MARK = "\0row"
"""The name of a column without nulls that every frame has, for `count(*)`."""
ROW_NUMBER = "\0number"
"""The name of the hidden column that `numbered` adds."""


class Field:
    """One column of a frame. `label` is its name in `select *`; a hidden one is left out of it.

    `make` gives the column when it is first read.
    """

    __slots__ = ("_column", "_make", "hidden", "label", "name", "qualifier")

    def __init__(
        self,
        name: str,
        column: Column | Callable[[], Column],
        qualifier: str | None = None,
        label: str = "",
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.qualifier = qualifier
        self.label = label or name
        self.hidden = hidden
        self._column: Column | None = None
        self._make: Callable[[], Column] | None = None
        if isinstance(column, Vector | AnyVector | ArrayVector):
            self._column = column
        else:
            self._make = column

    @property
    def column(self) -> Column:
        if self._column is None:
            assert self._make is not None
            self._column = self._make()
        return self._column


@dataclass(slots=True, eq=False)
class Frame:
    """Fields of equal length; `selection` are the rows chosen from them (None: all)."""

    fields: list[Field]
    base_rows: int
    selection: Array | None = None
    _taken: dict[int, Column] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.base_rows if self.selection is None else len(self.selection)

    def take(self, indices: Array) -> Frame:
        """The rows at `indices` (integer positions or a boolean mask)."""
        positions = np.flatnonzero(indices) if indices.dtype == np.bool_ else indices
        if self.selection is not None:
            positions = parallel.taken(self.selection, positions)
        return Frame(self.fields, self.base_rows, positions)

    def column(self, index: int) -> Column:
        if self.selection is None:
            return self.fields[index].column
        taken = self._taken.get(index)
        if taken is None:
            taken = self._taken[index] = take(self.fields[index].column, self.selection)
        return taken

    def set_column(self, index: int, column: Column) -> None:
        """Give a column of the chosen rows that is known without taking them."""
        self._taken[index] = column

    def find(self, name: str) -> int:
        """The position of a column by name or `qualifier.name`, ignoring case; -1 if there is none."""
        lowered = name.lower()
        for index, each in enumerate(self.fields):
            if not each.hidden and (each.name.lower() == lowered or each.label.lower() == lowered):
                return index
        if "." in name:
            return self._find_qualified(lowered)
        return next((i for i, each in enumerate(self.fields) if each.hidden and each.name.lower() == lowered), -1)

    def _find_qualified(self, lowered: str) -> int:
        for index, each in enumerate(self.fields):
            if each.qualifier is not None and f"{each.qualifier}.{each.name}".lower() == lowered:
                return index
        return -1

    def has_qualifier(self, qualifier: str) -> bool:
        return any(each.qualifier == qualifier for each in self.fields)

    def visible(self, qualifier: str | None = None) -> list[int]:
        """The positions of the columns of `*`, or of `qualifier.*` (then the join keys of that table as well)."""
        if qualifier is None:
            return [i for i, each in enumerate(self.fields) if not each.hidden]
        found = [i for i, each in enumerate(self.fields) if each.qualifier == qualifier]
        if not found:
            raise ScriptError(f"Unrecognized table name [{qualifier}].")
        return found

    def extended(self, fields: Sequence[Field]) -> Frame:
        """The same rows with more columns."""
        if self.selection is None:
            return Frame([*self.fields, *fields], self.base_rows)
        own = [
            Field(each.name, partial(self.column, index), each.qualifier, each.label, each.hidden)
            for index, each in enumerate(self.fields)
        ]
        return Frame([*own, *fields], self.rows)

    def arranged(self, groups: Groups, known: Mapping[int, Column]) -> Frame:
        """The rows of each group brought together; `known` are columns that need not be made for it."""
        fields = [
            Field(
                each.name,
                known.get(index, partial(self._arranged, groups, index)),
                each.qualifier,
                each.label,
                each.hidden,
            )
            for index, each in enumerate(self.fields)
        ]
        return Frame(fields, self.rows)

    def _arranged(self, groups: Groups, index: int) -> Column:
        column = self.column(index)
        self._taken.pop(index, None)
        if isinstance(column, Vector):
            return column.moved(groups.arrange)
        return take(column, groups.order)

    def table(self) -> Table:
        visible = self.visible()
        return Table([self.fields[i].label for i in visible], [self.column(i) for i in visible])


def frame_of(table: Table, qualifier: str | None = None) -> Frame:
    """The columns of an in-memory table as they are now."""
    with table.lock:
        fields = [Field(name, column, qualifier) for name, column in zip(table.names, list(table.columns), strict=True)]
        return Frame(fields, table.rows)


def numbered(frame: Frame) -> Frame:
    """The frame with a hidden column of row numbers."""
    return frame.extended([Field(ROW_NUMBER, Vector(Type.LONG, np.arange(frame.rows)), hidden=True)])


class TargetScope(Scope):
    """The scope of a statement that changes a table: where the table is read, its rows are numbered."""

    __slots__ = ("target",)

    def __init__(self, target: Table, parent: Scope) -> None:
        super().__init__({}, parent)
        self.target = target


class RowScope(Scope):
    """Names inside a query: first the columns of the frame, then the variables around the query."""

    __slots__ = ("frame",)

    def __init__(self, frame: Frame, parent: Scope) -> None:
        super().__init__({}, parent)
        self.frame = frame

    def lookup(self, name: str) -> Value | None:
        value = self.variables.get(name)
        if value is not None:
            return value
        if name == ROW_MARK:
            return Vector(Type.BOOL, np.ones(self.frame.rows, dtype=np.int8))
        index = self.frame.find(name)
        if index >= 0:
            column = column_value(self.frame.column(index))
            return AnyVector(list(column.items), column.columnar) if isinstance(column, AnyVector) else column
        return self.parent.lookup(name) if self.parent is not None else None


def joined_names(left: Sequence[str], right: Sequence[str], prefix: str) -> list[str]:
    """The labels of the right columns of a join: those also found on the left get `prefix_`."""
    used = {name.lower() for name in left}
    labels = []
    for name in right:
        label = name
        if label.lower() in used:
            label = f"{prefix}_{name}"
        while label.lower() in used:
            label = f"{label}_1"
        used.add(label.lower())
        labels.append(label)
    return labels
