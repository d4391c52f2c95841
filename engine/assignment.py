"""Assignment to `x[i]`, `m[i, j]` and `t[rows, columns]`, in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.cast import cast, cast_vector
from engine.errors import ScriptError
from engine.forms import as_vector, form_name, symbol_codes, tuple_to_vector
from engine.indexing import Index, check_count, dictionary_key, get_index, is_text, label_places, positions_of
from engine.types import Type
from engine.values import (
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    elements,
    raw_of,
    repeat,
)


def set_index(target: Value, indices: Sequence[Index], value: Value) -> None:
    """`target[indices] = value`, in place."""
    if isinstance(target, Matrix | Table):
        check_count(indices)
    if isinstance(target, Dictionary) and len(indices) == 1 and indices[0] is not None:
        _set_keys(target, indices[0], value)
    elif isinstance(target, Dictionary) and indices and _are_keys(target, indices):
        _set_keys(target, tuple_to_vector([each for each in indices if each is not None]), value)
    elif isinstance(target, Matrix):
        _set_matrix(target, indices, value)
    elif isinstance(target, Table):
        _set_table(target, indices, value)
    elif isinstance(target, Vector) and len(indices) == 1:
        _set_vector(target, indices[0], value)
    elif isinstance(target, AnyVector) and len(indices) == 1 and indices[0] is not None:
        _set_tuple(target, indices[0], value)
    elif len(indices) == 2 and (isinstance(target, ArrayVector) or (isinstance(target, AnyVector) and target.columnar)):
        _set_within_rows(target, indices[0], indices[1], value)
    elif isinstance(target, AnyVector | Dictionary) and len(indices) == 2:
        set_index(get_index(target, indices[:1]), indices[1:], value)
    elif isinstance(target, IndexedSeries) and len(indices) == 1:
        _set_vector(target.values, indices[0], value)
    else:
        raise ScriptError(f"The elements of {form_name(target)} can't be assigned this way.")


def _are_keys(target: Dictionary, indices: Sequence[Index]) -> bool:
    """Whether `d[a, b, …]` means several keys, not a place within the value of the first."""
    first = indices[0]
    if not all(isinstance(each, Scalar) for each in indices) or not isinstance(first, Scalar):
        return False
    held = target.items.get(dictionary_key(target, first))
    return len(indices) > 2 or held is None or isinstance(held, Scalar)


def _set_keys(target: Dictionary, key: Value, value: Value) -> None:
    if isinstance(key, Scalar):
        target.items[dictionary_key(target, key)] = _typed(target, value)
        return
    keys = list(elements(key)) if isinstance(key, Vector | AnyVector) else []
    values = list(elements(value)) if isinstance(value, Vector | AnyVector) else [value] * len(keys)
    if len(values) != len(keys):
        raise ScriptError("The number of keys and values must be the same.")
    for one, item in zip(keys, values, strict=True):
        target.items[dictionary_key(target, one)] = _typed(target, item)


def _typed(target: Dictionary, value: Value) -> Value:
    if target.value_type is Type.ANY or not isinstance(value, Scalar):
        if target.value_type is not Type.ANY:
            raise ScriptError(f"The values of the dictionary must be {target.value_type.name} scalars.")
        return value
    wanted = Type.STRING if target.value_type is Type.SYMBOL else target.value_type
    return cast(value, wanted, value.scale)


def _set_vector(target: Vector, index: Index, value: Value) -> None:
    positions = np.arange(len(target)) if index is None else positions_of(index, len(target))
    if positions.size and (positions.min() < 0 or positions.max() >= len(target)):
        raise ScriptError("The index is out of range.")
    target.data[positions] = raw_values(target, value, len(positions))


def raw_values(target: Vector, value: Value, count: int) -> Any:
    """The value as raw data for a column like `target`: one element for all, or `count`."""
    column = as_vector(value)
    if not isinstance(value, Scalar) and len(column) not in (count, 1):
        raise ScriptError(f"{len(column)} values can't be assigned to {count} elements.")
    if target.type is Type.SYMBOL:
        assert target.symbols is not None
        return symbol_codes(column, target.symbols)
    if isinstance(value, Scalar) and value.type is target.type and value.scale == target.scale:
        return raw_of(value)
    return cast_vector(column, target.type, target.scale).data


def _set_tuple(target: AnyVector, index: Value, value: Value) -> None:
    positions = positions_of(index, len(target))
    if any(not 0 <= place < len(target) for place in positions):
        raise ScriptError("The index is out of range.")
    if isinstance(index, Scalar):
        target.items[int(positions[0])] = value
        return
    values = list(elements(value)) if isinstance(value, Vector | AnyVector) else [value] * len(positions)
    if len(values) != len(positions):
        raise ScriptError(f"{len(values)} values can't be assigned to {len(positions)} elements.")
    for place, item in zip(positions, values, strict=True):
        target.items[int(place)] = item


def _set_within_rows(target: ArrayVector | AnyVector, rows: Index, columns: Index, value: Value) -> None:
    """`a[rows, columns] = value` of rows of different lengths: one value for all, one for each column, or one row each.

    A range of columns needs both ends; what is outside of a row is refused.
    """
    if columns is None or (isinstance(columns, Vector) and columns.is_pair and columns.nulls().any()):
        raise ScriptError("The columns to be assigned to must be given, a range with both of its ends.")
    chosen = np.arange(len(target)) if rows is None else positions_of(rows, len(target))
    if chosen.size and (chosen.min() < 0 or chosen.max() >= len(target)):
        raise ScriptError("The index is out of range.")
    places = positions_of(columns, 0)
    parts = _row_parts(value, len(chosen), len(places))
    for row, part in zip(chosen, parts, strict=True):
        inner = _row_to_change(target, int(row))
        if places.size and (places.min() < 0 or places.max() >= len(inner)):
            raise ScriptError("The index is out of range.")
        inner.data[places] = raw_values(inner, part, len(places))


def _row_parts(value: Value, rows: int, columns: int) -> list[Value]:
    if isinstance(value, Scalar):
        return [value] * rows
    if isinstance(value, AnyVector) and any(not isinstance(item, Scalar) for item in value.items):
        parts = list(value.items)
    elif isinstance(value, Vector | AnyVector) and len(value) == columns:
        return [as_vector(value)] * rows
    else:
        parts = list(elements(value)) if isinstance(value, Vector | AnyVector) else []
    if len(parts) != rows:
        raise ScriptError("The value must be as long as the columns or the rows it is assigned to.")
    return parts


def _row_to_change(target: ArrayVector | AnyVector, row: int) -> Vector:
    if isinstance(target, ArrayVector):
        start, stop = int(target.offsets[row]), int(target.offsets[row + 1])
        return target.flat.with_data(target.flat.data[start:stop])
    inner = as_vector(target.items[row])
    inner = inner.with_data(inner.data.copy())
    target.items[row] = inner
    return inner


def _set_matrix(target: Matrix, indices: Sequence[Index], value: Value) -> None:
    flat = Vector(target.type, target.data, None, target.scale)
    if len(indices) == 1 and isinstance(indices[0], Matrix):
        mask = indices[0].data == 1
        if mask.shape != target.data.shape:
            raise ScriptError("The Boolean matrix must have the same shape.")
        if isinstance(value, Matrix):
            target.data[mask] = cast_vector(as_vector(value), target.type, target.scale).data.reshape(
                target.data.shape, order="F"
            )[mask]
        else:
            target.data[mask] = raw_values(flat, value, int(mask.sum()))
        return
    rows, columns = (None, indices[0]) if len(indices) == 1 else (indices[0], indices[1])
    row_places = label_places(rows, target.rows, target.row_labels)
    column_places = label_places(columns, target.columns, target.column_labels)
    for places, limit in ((row_places, target.rows), (column_places, target.columns)):
        if places.size and (places.min() < 0 or places.max() >= limit):
            raise ScriptError("The index is out of range.")
    count = len(row_places) * len(column_places)
    if isinstance(value, Vector) and len(value) == len(row_places) != count:
        data = raw_values(flat, value, len(row_places)).reshape(-1, 1)
    else:
        data = raw_values(flat, value, count)
        if isinstance(data, np.ndarray) and len(data) == count:
            data = data.reshape((len(row_places), len(column_places)), order="F")
    target.data[np.ix_(row_places, column_places)] = data


def _set_table(target: Table, indices: Sequence[Index], value: Value) -> None:
    if len(indices) == 1:
        index = indices[0]
        if index is None or not is_text(index):
            raise ScriptError("Name the column to be assigned, or use update.")
        names = [str(index.value)] if isinstance(index, Scalar) else as_vector(index).strings().tolist()
        values = [value] if len(names) == 1 else list(elements(value)) if isinstance(value, AnyVector) else []
        if isinstance(value, Table):
            values = list(value.columns)
        if len(values) != len(names):
            raise ScriptError("The number of columns and values must be the same.")
        for name, item in zip(names, values, strict=True):
            set_column(target, name, item)
        return
    rows, columns = indices if columns_last(indices) else (indices[1], indices[0])
    chosen = target.names if columns is None else None
    if chosen is None:
        assert columns is not None
        if is_text(columns):
            chosen = [str(columns.value)] if isinstance(columns, Scalar) else as_vector(columns).strings().tolist()
        else:
            chosen = [target.names[p] for p in positions_of(columns, len(target.names))]
    for position, name in enumerate(chosen):
        own = target.column(name)
        if not isinstance(own, Vector):
            raise ScriptError(f"Unrecognized column name [{name}].")
        part = value.columns[position] if isinstance(value, Table) else value
        _set_vector(own, rows, part)


def columns_last(indices: Sequence[Index]) -> bool:
    """Whether `t[rows, columns]` is meant, and not `t[names, condition]`."""
    return not is_text(indices[0]) or is_text(indices[1])


def set_column(target: Table, name: str, value: Value) -> None:
    """Replace or add a column; a scalar fills it."""
    column: Column
    if isinstance(value, Scalar):
        column = repeat(value, target.rows)
    elif isinstance(value, Vector | AnyVector | ArrayVector):
        column = value
    else:
        raise ScriptError("A column must be a vector.")
    if target.columns and len(column) != target.rows:
        raise ScriptError("The column must have as many rows as the table.")
    index = target.find(name)
    if index >= 0:
        own = target.columns[index]
        if isinstance(own, Vector) and isinstance(column, Vector) and own.type is not column.type:
            column = own.with_data(np.asarray(raw_values(own, column, len(own))))
        target.columns[index] = column
    else:
        target.names.append(name)
        target.columns.append(column)
