"""Elements, rows and columns by function: `at`, `row`, `col`, `cell`."""

from __future__ import annotations

import numpy as np

from engine.arguments import boolean_argument
from engine.cast import cast_vector
from engine.context import Context
from engine.errors import ScriptError, UnsupportedError
from engine.forms import as_vector, row_of
from engine.functions.language.assembling import FUNCTIONS
from engine.functions.language.constructors import whole
from engine.functions.registry import Registry
from engine.indexing import get_index, member
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    ArrayVector,
    Dictionary,
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
from engine.vectors import take_columns, take_rows

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


@functions.builtin("eachAt", "X, index", context=True)
def each_at(context: Context, value: Value, index: Value) -> Value:
    """The elements at places, `X@index`; of a function of one argument, its result."""
    if isinstance(value, FUNCTIONS):
        return context.call(value, [index])
    if isinstance(index, AnyVector):
        return AnyVector([get_index(value, [item]) for item in index.items])
    return get_index(value, [index])


def _true_positions(value: Value) -> Value:
    column = as_vector(value)
    if column.type is Type.BOOL:
        return vector(Type.INT, np.flatnonzero(column.data == 1))
    if column.data.dtype.kind != "i":
        raise ScriptError("Usage: at(X, [index]). X must be Boolean or integral.")
    counts = np.where(column.nulls() | (column.data < 0), 0, column.data)
    return vector(Type.INT, np.repeat(np.arange(len(column)), counts))


@functions.builtin("slice", "obj, index|rowIndex, [colIndex]")
def slice_(value: Value, index: Value, column_index: Value = NOTHING) -> Value:
    """`obj[index]` or `obj[rowIndex, colIndex]`."""
    return get_index(value, [index] if isinstance(column_index, Nothing) else [index, column_index])


@functions.builtin("member", "X, Y", context=True)
def member_(context: Context, value: Value, name: Value) -> Value:
    """A column of a table, the value under a key, or a function of the object."""
    if not isinstance(name, Scalar):
        raise ScriptError("Usage: member(X, Y). Y must be the name of a member.")
    if isinstance(value, Dictionary) or name.type not in LITERAL:
        return get_index(value, [name])
    if isinstance(value, Table) and value.find(str(name.value)) < 0:
        function = context.registry.find(str(name.value))
        if function is not None:
            return context.call(function, [value])
    found = member(value, str(name.value))
    if found is None:
        raise ScriptError(f"The object has no member [{name.value}].")
    return found


@functions.builtin("loc", "obj, [rowFilter], [colFilter], [view=false]")
def loc(value: Value, rows: Value = NOTHING, columns: Value = NOTHING, view: Value = NOTHING) -> Value:
    """Rows and columns of a matrix or series by label, by a range of labels (both ends included) or by condition."""
    if boolean_argument(view, "view", False):
        raise UnsupportedError("loc with view=true")
    if isinstance(value, IndexedSeries):
        places = _label_places(rows, value.index, len(value.index), sorted_labels=True)
        return IndexedSeries(value.index.take(places), value.values.take(places))
    if not isinstance(value, Matrix):
        raise ScriptError("Usage: loc(obj, rowFilter, [colFilter], [view]). obj must be a matrix.")
    down = _label_places(rows, value.row_labels, value.rows, sorted_labels=value.indexed)
    across = _label_places(columns, value.column_labels, value.columns, sorted_labels=value.indexed)
    return take_columns(as_matrix(take_rows(value, down)), across)


def as_matrix(value: Value) -> Matrix:
    assert isinstance(value, Matrix)
    return value


def _label_places(wanted: Value, labels: Vector | None, count: int, *, sorted_labels: bool) -> Array:
    if isinstance(wanted, Nothing) or (isinstance(wanted, Scalar) and wanted.type is Type.VOID):
        return np.arange(count)
    chosen = as_vector(wanted)
    if chosen.type is Type.BOOL and isinstance(wanted, Vector):
        if len(chosen) != count:
            raise ScriptError("A Boolean filter must be as long as the object has rows or columns.")
        return np.flatnonzero(chosen.data == 1)
    labels = vector(Type.INT, np.arange(count, dtype=np.int32)) if labels is None else labels
    if labels.type in LITERAL:
        raws, known = cast_vector(chosen, Type.STRING).data, labels.strings()
    else:
        raws, known = cast_vector(chosen, labels.type, labels.scale).data, labels.data
    if chosen.is_pair:
        if not sorted_labels:
            raise ScriptError("A range of labels needs an indexed series or an indexed matrix.")
        low, high = raws[0], raws[1]
        return np.flatnonzero((known >= low) & (known <= high))
    places = [np.flatnonzero(known == raw) for raw in raws]
    if any(not len(found) for found in places):
        raise ScriptError("There is no such label.")
    return np.concatenate(places) if places else np.zeros(0, dtype=np.int64)


@functions.builtin("row", "obj, index")
def row(value: Value, index: Value) -> Value:
    if isinstance(value, Matrix):
        chosen = get_index(value, [index, None])
        return as_vector(chosen) if isinstance(index, Scalar) else chosen
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
    if isinstance(value, AnyVector):
        return get_index(AnyVector(value.items), [index])
    return get_index(value, [index])


def _col(value: Value, index: Value) -> Value:
    if isinstance(value, Matrix):
        return get_index(value, [index])
    if isinstance(value, Table):
        chosen = get_index(value, [None, index])
        return chosen.columns[0] if isinstance(chosen, Table) and isinstance(index, Scalar) else chosen
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
