"""Taking, repeating and appending rows of values of any form."""

from __future__ import annotations

import numpy as np

from engine.cast import cast_vector
from engine.coded import together
from engine.errors import ScriptError
from engine.forms import as_vector, concat, symbol_codes
from engine.types import Type
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
)


def row_count(value: Value) -> int:
    """Rows of a table or matrix, elements of anything else."""
    if isinstance(value, Table | Matrix):
        return value.rows
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return len(value)
    return len(value.values) if isinstance(value, IndexedSeries) else 1


def take_rows(value: Value, rows: Array | slice) -> Value:
    """Rows of a matrix or table, elements of a vector, tuple, array vector or series."""
    if isinstance(value, Vector | ArrayVector | Table):
        return value.take(rows)
    if isinstance(value, AnyVector):
        return AnyVector([value.items[row] for row in np.arange(len(value))[rows]])
    if isinstance(value, Matrix):
        labels = value.row_labels.take(rows) if value.row_labels is not None else None
        data = np.asfortranarray(value.data[rows])
        return Matrix(value.type, data, labels, value.column_labels, value.scale, value.indexed)
    if isinstance(value, IndexedSeries):
        return IndexedSeries(value.index.take(rows), value.values.take(rows))
    if isinstance(value, Scalar):
        return as_vector(value).take(rows)
    raise ScriptError("Rows can be taken of vectors, tuples, matrices and tables only.")


def take_columns(value: Matrix, columns: Array | slice) -> Matrix:
    labels = value.column_labels.take(columns) if value.column_labels is not None else None
    data = np.asfortranarray(value.data[:, columns])
    return Matrix(value.type, data, value.row_labels, labels, value.scale, value.indexed)


def append_vector(target: Vector, values: Value) -> Vector:
    """Append elements in place, converted to the type of the vector; raises ScriptError if they cannot be."""
    if target.is_pair:
        raise ScriptError("A pair is immutable.")
    column = as_vector(values)
    if target.type is Type.VOID and not len(target):
        target.type, target.data, target.symbols, target.scale = column.type, column.data, column.symbols, column.scale
        target.data = target.data.copy()
        return target
    if target.symbols is not None:
        codes = symbol_codes(column, target.symbols)
        target.data = np.concatenate((target.data, codes))
        return target
    if column.type is not target.type or column.scale != target.scale:
        column = cast_vector(column, target.type, target.scale)
    if not target.keep_codes(together([target, column], appending=True)):
        target.data = np.concatenate((target.data, column.data))
    return target


def append_array_vector(target: ArrayVector, rows: Value) -> ArrayVector:
    """Append rows in place; a vector is one row for each of its elements, a tuple holds rows."""
    if isinstance(rows, ArrayVector):
        parts = [rows.row(index) for index in range(len(rows))]
    elif isinstance(rows, AnyVector):
        parts = [as_vector(item) for item in rows.items]
    else:
        column = as_vector(rows)
        parts = [column.take(slice(index, index + 1)) for index in range(len(column))]
    flat = target.flat.take(slice(0, int(target.offsets[-1]))).copy()
    for part in parts:
        append_vector(flat, part)
    sizes = np.concatenate((np.diff(target.offsets), [len(part) for part in parts])).astype(np.int64)
    target.flat, target.offsets = flat, np.concatenate(([0], np.cumsum(sizes)))
    return target


def joined(parts: list[Vector]) -> Vector:
    """Columns of one type end to end."""
    result = concat(parts)
    if not isinstance(result, Vector):
        raise ScriptError("The vectors must have types that go together.")
    return result
