"""Changing the form of values: scalars, vectors, tuples, columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.cast import cast_vector, common_type
from engine.coded import together
from engine.errors import ScriptError
from engine.types import LITERAL, Type
from engine.values import (
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Closure,
    Code,
    Column,
    Dictionary,
    Handle,
    IndexedSeries,
    Matrix,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Set,
    SymbolBase,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    repeat,
    scalar_of,
    vector,
)


def as_vector(value: Value) -> Vector:
    """The data of a value as one column: a scalar becomes length 1, a matrix is read by columns."""
    if isinstance(value, Vector):
        return value
    if isinstance(value, Scalar):
        return repeat(value, 1)
    if isinstance(value, AnyVector):
        merged = tuple_to_vector(value.items)
        if isinstance(merged, Vector):
            return merged
    if isinstance(value, Matrix):
        return Vector(value.type, value.data.ravel(order="F"), None, value.scale)
    if isinstance(value, Set):
        return vector(value.type, value.listed(), value.scale)
    if isinstance(value, IndexedSeries):
        return value.values
    if isinstance(value, Dictionary):
        return as_vector(dictionary_values(value))
    if isinstance(value, Table) and len(value.columns) == 1:
        return as_vector(value.columns[0])
    raise ScriptError(f"A vector is expected, not {form_name(value)}.")


def form_name(value: Value) -> str:
    """The form of a value in words, for messages."""
    names: dict[type, str] = {
        Scalar: "a scalar", Vector: "a vector", AnyVector: "a tuple", ArrayVector: "an array vector",
        Matrix: "a matrix", Set: "a set", Dictionary: "a dictionary", Table: "a table",
        IndexedSeries: "an indexed series", Code: "metacode", Closure: "a function", Partial: "a function",
        Pattern: "a function", Nothing: "nothing",
    }  # fmt: skip
    if isinstance(value, Handle):
        return value.kind.lower()
    if isinstance(value, Vector) and value.is_pair:
        return "a pair"
    return names.get(type(value), "a function")


def size(value: Value) -> int:
    """How many elements a value has; the rows of a table, 1 for a scalar."""
    if isinstance(value, Vector | AnyVector | ArrayVector | Dictionary | Set):
        return len(value)
    if isinstance(value, Matrix):
        return int(value.data.size)
    if isinstance(value, Table):
        return value.rows
    if isinstance(value, IndexedSeries):
        return len(value.values)
    if isinstance(value, Handle):
        return int(getattr(value.target, "rows", 1))
    return 1


def dictionary_keys(dictionary: Dictionary) -> Vector | AnyVector:
    if dictionary.key_type is Type.ANY:
        return AnyVector([key if isinstance(key, Scalar) else scalar_from(key) for key, _ in dictionary.listed()])
    key_type = Type.STRING if dictionary.key_type is Type.SYMBOL else dictionary.key_type
    return vector(key_type, [key for key, _ in dictionary.listed()])


def dictionary_values(dictionary: Dictionary) -> Vector | AnyVector:
    values = [item for _, item in dictionary.listed()]
    if dictionary.value_type is Type.ANY:
        return AnyVector(values)
    merged = tuple_to_vector(values)
    if isinstance(merged, Vector) and merged.type is not dictionary.value_type:
        return cast_vector(merged, dictionary.value_type, merged.scale)
    return merged


def scalar_from(raw: object) -> Scalar:
    """A scalar of the natural type of a plain Python value."""
    if raw is None:
        return NULL
    if isinstance(raw, bool):
        return Scalar(Type.BOOL, raw)
    if isinstance(raw, int):
        return Scalar(Type.INT if -(2**31) < raw < 2**31 else Type.LONG, raw)
    if isinstance(raw, float):
        return Scalar(Type.DOUBLE, None if raw != raw else raw)
    return Scalar(Type.STRING, str(raw))


def element(value: Value, index: int) -> Value:
    """The element at a position: of a table a row as a dictionary, of a matrix a column."""
    if isinstance(value, Vector):
        return value.scalar(index)
    if isinstance(value, AnyVector):
        return value.items[index]
    if isinstance(value, ArrayVector):
        return value.row(index)
    if isinstance(value, Matrix):
        return value.column(index)
    if isinstance(value, IndexedSeries):
        return value.values.scalar(index)
    if isinstance(value, Table):
        return row_of(value, index)
    return value


def row_of(table: Table, index: int) -> Dictionary:
    """A row of a table as an ordered dictionary of its columns."""
    row: dict[object, Value] = {
        name: element(column, index) for name, column in zip(table.names, table.columns, strict=True)
    }
    return Dictionary(Type.STRING, Type.ANY, row, ordered=True)


def tuple_to_vector(items: Sequence[Value]) -> Vector | AnyVector:
    """Scalars of types that go together become a vector; anything else stays a tuple."""
    if not items:
        return AnyVector([])
    first = items[0]
    if isinstance(first, Scalar) and all(isinstance(item, Scalar) and item.type is first.type for item in items):
        scale = max(item.scale for item in items if isinstance(item, Scalar))
        if scale and first.type is Type.INT:
            # A data type such as DECIMAL32(2): a vector has no room for the scales of several.
            return AnyVector(list(items))
        if all(item.scale == scale for item in items if isinstance(item, Scalar)):
            return vector(first.type, [item.value for item in items if isinstance(item, Scalar)], scale)
    scalars = [item for item in items if isinstance(item, Scalar)]
    if len(scalars) != len(items):
        return AnyVector(list(items))
    type_ = common_type(*(item.type for item in scalars))
    if type_ is Type.ANY:
        return AnyVector(list(items))
    together = concat([repeat(item, 1) for item in scalars], type_)
    return AnyVector(list(items)) if isinstance(together, ArrayVector) else together


def concat(columns: Sequence[Value], type_: Type | None = None) -> Column:
    """Columns end to end, in their common type; what has none becomes a tuple.

    Scalars count as columns of length 1. Symbol columns share the base of the first.
    """
    parts = [repeat(part, 1) if isinstance(part, Scalar) else part for part in columns]
    if not parts:
        return AnyVector([])
    if all(isinstance(part, Vector) for part in parts):
        return _concat_vectors([part for part in parts if isinstance(part, Vector)], type_)
    if all(isinstance(part, ArrayVector) for part in parts):
        return _concat_array_vectors([part for part in parts if isinstance(part, ArrayVector)])
    items: list[Value] = []
    for part in parts:
        if isinstance(part, Vector | AnyVector | ArrayVector):
            items.extend(elements(part))
        else:
            items.append(part)
    return AnyVector(items)


def _concat_vectors(parts: list[Vector], type_: Type | None) -> Column:
    target = type_ or common_type(*(part.type for part in parts))
    if target is Type.ANY:
        return AnyVector([item for part in parts for item in elements(part)])
    if target is Type.SYMBOL:
        return _concat_symbols(parts)
    scale = max(part.scale for part in parts)
    if target not in LITERAL:
        parts = [
            part if part.type is target and part.scale == scale else cast_vector(part, target, scale) for part in parts
        ]
    else:
        parts = [part if part.type is target else cast_vector(part, target) for part in parts]
        coded = together(parts)
        if coded is not None:
            return coded
    return Vector(target, np.concatenate([part.data for part in parts]), None, scale)


def _concat_symbols(parts: list[Vector]) -> Vector:
    base = next((part.symbols for part in parts if part.symbols is not None), None) or SymbolBase()
    return Vector(Type.SYMBOL, np.concatenate([symbol_codes(part, base) for part in parts]), base)


def symbol_codes(column: Vector, base: SymbolBase) -> Array:
    """The codes of a SYMBOL or STRING column in `base`, which grows as needed."""
    if column.symbols is base:
        return column.data
    if column.symbols is not None:
        mapping = np.array([base.code(text) for text in column.symbols.strings], dtype=np.int32)
        return np.asarray(mapping[column.data])
    if column.type is Type.VOID:
        return np.zeros(len(column), dtype=np.int32)
    texts = column if column.type is Type.STRING else cast_vector(column, Type.STRING)
    return np.array([base.code(text) for text in texts.data], dtype=np.int32)


def _concat_array_vectors(parts: list[ArrayVector]) -> Column:
    flat = concat([part.flat for part in parts])
    if not isinstance(flat, Vector):
        return AnyVector([row for part in parts for row in elements(part)])
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    return ArrayVector(flat, np.concatenate(([0], np.cumsum(sizes))))


def array_vector(rows: Iterable[Value]) -> ArrayVector:
    """An array vector from its rows (vectors or scalars)."""
    parts = [as_vector(row) for row in rows]
    if not parts:
        return ArrayVector(nulls(Type.VOID, 0), np.zeros(1, dtype=np.int64))
    flat = concat(parts)
    if not isinstance(flat, Vector):
        raise ScriptError("The rows of an array vector must have the same type.")
    return ArrayVector(flat, np.concatenate(([0], np.cumsum([len(part) for part in parts]))))


def matrix_of(columns: Sequence[Vector]) -> Matrix:
    """A matrix from columns of equal length, in their common type."""
    type_ = common_type(*(column.type for column in columns))
    if type_ in (Type.ANY, Type.STRING, Type.SYMBOL, Type.BLOB):
        if type_ is Type.ANY:
            raise ScriptError("The columns of a matrix must have the same type.")
        type_ = Type.STRING
    scale = max(column.scale for column in columns)
    data = np.column_stack([cast_vector(column, type_, scale).data for column in columns])
    return Matrix(type_, np.asfortranarray(data), scale=scale)


def scalar_at(matrix: Matrix, row: int, column: int) -> Scalar:
    return scalar_of(matrix.type, matrix.data[row, column], matrix.scale)
