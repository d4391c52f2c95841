"""Elements, rows and columns by function: `at`, `row`, `col`, `cell`."""

from __future__ import annotations

import numpy as np

from engine.context import Context
from engine.errors import ScriptError
from engine.forms import as_vector, row_of
from engine.functions.language.assembling import FUNCTIONS
from engine.functions.language.constructors import whole
from engine.functions.registry import Registry
from engine.indexing import get_index
from engine.types import Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    IndexedSeries,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    take,
    vector,
)

functions = Registry()


@functions.builtin("at", "X, [index]", context=True)
def at(context: Context, value: Value, index: Value = NOTHING) -> Value:
    """The positions that are true; with an index, the elements there; of a function, its result."""
    if isinstance(index, Nothing):
        return _true_positions(value)
    if isinstance(value, FUNCTIONS):
        return context.call(value, list(index.items) if isinstance(index, AnyVector) else [index])
    if isinstance(index, AnyVector) and isinstance(value, Matrix | Table | ArrayVector | AnyVector):
        return get_index(value, index.items)
    return get_index(value, [index])


def _true_positions(value: Value) -> Value:
    column = as_vector(value)
    if column.type is Type.BOOL:
        return vector(Type.INT, np.flatnonzero(column.data == 1))
    if column.data.dtype.kind != "i":
        raise ScriptError("Usage: at(X, [index]). X must be Boolean or integral.")
    counts = np.where(column.nulls() | (column.data < 0), 0, column.data)
    return vector(Type.INT, np.repeat(np.arange(len(column)), counts))


@functions.builtin("row", "obj, index")
def row(value: Value, index: Value) -> Value:
    if isinstance(value, Matrix):
        return get_index(value, [index, None])
    if isinstance(value, Table):
        if isinstance(index, Scalar):
            place = whole(index, "index", 0)
            if not 0 <= place < value.rows:
                raise ScriptError("The row index is out of range.")
            return row_of(value, place)
        return get_index(value, [index])
    if isinstance(value, ArrayVector):
        if isinstance(index, Vector):
            start, stop = (int(raw) for raw in index.data)
            return take(value, slice(start, stop))
        place = whole(index, "index", 0)
        if not 0 <= place < len(value):
            raise ScriptError("The row index is out of range.")
        return value.row(place)
    return get_index(value, [index])


def _col(value: Value, index: Value) -> Value:
    if isinstance(value, Matrix | Table):
        return get_index(value, [None, index])
    if isinstance(value, ArrayVector):
        return get_index(value, [index])
    if isinstance(value, Vector | AnyVector | IndexedSeries) and whole(index, "index", 0) == 0:
        return value
    raise ScriptError("Usage: col(obj, index). The column index is out of range.")


functions.builtin("col", "obj, index", aliases=("column",))(_col)


@functions.builtin("cell", "obj, row, col")
def cell(value: Value, row_index: Value, column_index: Value) -> Value:
    if not isinstance(value, Matrix | Table):
        raise ScriptError("Usage: cell(obj, row, col). obj must be a matrix or a table.")
    return get_index(value, [row_index, column_index])


@functions.builtin("cells", "obj, row, col")
def cells(value: Value, row_index: Value, column_index: Value) -> Value:
    if not isinstance(value, Matrix):
        raise ScriptError("Usage: cells(obj, row, col). obj must be a matrix.")
    rows, columns = as_vector(row_index), as_vector(column_index)
    if len(rows) != len(columns):
        raise ScriptError("Usage: cells(obj, row, col). row and col must have the same length.")
    for places, limit in ((rows, value.rows), (columns, value.columns)):
        if len(places) and (places.data.min() < 0 or places.data.max() >= limit):
            raise ScriptError("Usage: cells(obj, row, col). An index is out of range.")
    return Vector(value.type, value.data[rows.data, columns.data], None, value.scale)
