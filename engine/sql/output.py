"""Building the result of a query from evaluated expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import ScriptError
from engine.forms import form_name, tuple_to_vector
from engine.sql.naming import check_unique
from engine.values import (
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    repeat,
)


@dataclass(slots=True)
class Output:
    """Named columns of a result; scalars are stretched when the number of rows is known."""

    names: list[str] = field(default_factory=list)
    values: list[Column | Scalar] = field(default_factory=list)

    def add(self, name: str, value: Column | Scalar, qualifier: str | None = None) -> None:
        """Add a column; one selected as `qualifier.name` gets the qualifier as prefix if the name is taken."""
        if qualifier is not None and name.lower() in (each.lower() for each in self.names):
            name = f"{qualifier}_{name}"
        self.names.append(name)
        self.values.append(value)

    def table(self, rows: int) -> Table:
        """All columns at `rows` rows; scalars are repeated."""
        check_unique(self.names)
        columns = [repeat(value, rows) if isinstance(value, Scalar) else value for value in self.values]
        for name, column in zip(self.names, columns, strict=True):
            if len(column) != rows:
                raise ScriptError(
                    f"All columns must have the same length. Column [{name}] has {len(column)} rows, not {rows}."
                )
        return Table(list(self.names), columns)


def split_columns(value: Value, names: Sequence[str], rows: int | None = None) -> Iterable[tuple[str, Column | Scalar]]:
    """The columns an expression of a select clause stands for, with their names.

    `names` are the aliases, or the one name made up for the expression. Of several columns those without a name are
    left out.
    """
    columns = _columns_of(value, names, rows)
    return columns if len(names) == 1 or all(names) else [(name, column) for name, column in columns if name]


def _columns_of(value: Value, names: Sequence[str], rows: int | None) -> Iterable[tuple[str, Column | Scalar]]:
    if isinstance(value, Dictionary):
        parts = [as_column(each, names[0]) for each in value.items.values()]
        labels = [str(key) for key in value.items] if len(names) == 1 else list(names)
        return _paired(labels, parts)
    if isinstance(value, Table):
        return _paired(value.names if len(names) == 1 else names, value.columns)
    if isinstance(value, Matrix):
        labels = list(names) if len(names) == value.columns else matrix_labels(value, names[0])
        return _paired(labels, [value.column(index) for index in range(value.columns)])
    if len(names) > 1:
        return _paired(names, _several(value, len(names)))
    if isinstance(value, AnyVector) and _is_tuple_of_columns(value, rows):
        count = len(value.items)
        labels = list(names) if count == 1 else [f"{names[0]}_{index}" for index in range(count)]
        return _paired(labels, [as_column(item, names[0]) for item in value.items])
    return [(names[0], as_column(value, names[0]))]


def _is_tuple_of_columns(value: AnyVector, rows: int | None) -> bool:
    """A tuple with one entry per row is a column; a tuple of columns of that length is several."""
    if rows is None or not value.items or len(value) == rows:
        return False
    return all(isinstance(item, Vector | AnyVector | ArrayVector) and len(item) == rows for item in value.items)


def _several(value: Value, count: int) -> list[Column | Scalar]:
    """A value with several aliases: the members of a tuple, or the k-th of every group."""
    if isinstance(value, AnyVector):
        rows = [_members(item, count) for item in value.items]
        if value.items and None not in rows and (len(value) != count or isinstance(value.items[0], AnyVector | Matrix)):
            return [tuple_to_vector([row[k] for row in rows if row is not None]) for k in range(count)]
        if len(value) == count:
            return [as_column(item, "") for item in value.items]
    if isinstance(value, ArrayVector) and bool((np.diff(value.offsets) == count).all()):
        start = int(value.offsets[0])
        return [value.flat.take(slice(start + k, int(value.offsets[-1]), count)) for k in range(count)]
    if isinstance(value, Vector) and len(value) == count:
        return [value.scalar(index) for index in range(count)]
    raise ScriptError("The number of aliases does not match the number of columns the expression returns.")


def _members(value: Value, count: int) -> list[Value] | None:
    """The members of one row with several results; a NULL stands for as many NULLs."""
    if isinstance(value, AnyVector) and len(value) == count:
        return value.items
    if isinstance(value, Vector) and len(value) == count:
        return [value.scalar(index) for index in range(count)]
    if isinstance(value, Matrix) and (value.rows, value.columns) == (1, count):
        return [value.column(index).scalar(0) for index in range(count)]
    if isinstance(value, Scalar) and value.is_null:
        return [value] * count
    return None


def _paired(names: Sequence[str], parts: Sequence[Column | Scalar]) -> Iterable[tuple[str, Column | Scalar]]:
    if len(names) != len(parts):
        raise ScriptError("The number of aliases does not match the number of columns the expression returns.")
    return zip(names, parts, strict=True)


def matrix_labels(matrix: Matrix, stem: str) -> list[str]:
    if matrix.column_labels is not None and matrix.column_labels.data.dtype == object:
        return [str(label) for label in matrix.column_labels.strings()]
    return [stem] if matrix.columns == 1 else [f"{stem}_{index}" for index in range(matrix.columns)]


def as_column(value: Value, name: str) -> Column | Scalar:
    if isinstance(value, Scalar | AnyVector | ArrayVector):
        return value
    if isinstance(value, Vector):
        return value if not value.is_pair else value.with_data(value.data)
    if isinstance(value, IndexedSeries):
        return value.values
    if isinstance(value, Set):
        raise ScriptError(f"Column [{name}] cannot be a set.")
    raise ScriptError(f"Column [{name}] must be a vector, not {form_name(value)}.")
