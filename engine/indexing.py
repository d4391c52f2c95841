"""`x[i]`, `m[i, j]`, `t[rows, columns]`, and assignment to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from engine.cast import cast, cast_vector
from engine.errors import ScriptError
from engine.forms import as_vector, concat, element, form_name, scalar_from, symbol_codes, tuple_to_vector
from engine.types import INTEGRAL, LITERAL, Type, null
from engine.values import (
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Column,
    Dictionary,
    Handle,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    raw_of,
    repeat,
    take,
)

Index: TypeAlias = "Value | None"


def get_index(target: Value, indices: Sequence[Index]) -> Value:
    """The value of `target[indices]`; None is an omitted index."""
    if not indices:
        return target
    if isinstance(target, Matrix):
        return _matrix(target, indices)
    if isinstance(target, Table):
        return _table(target, indices)
    if len(indices) == 2:
        return _two_dimensional(target, indices[0], indices[1])
    if len(indices) > 2:
        return get_index(get_index(target, indices[:1]), indices[1:])
    index = indices[0]
    if index is None:
        return target
    if isinstance(target, Dictionary):
        return lookup(target, index)
    if isinstance(target, Vector | AnyVector):
        return _column(target, index)
    if isinstance(target, ArrayVector):
        return _array_vector(target, index)
    if isinstance(target, IndexedSeries):
        return _series(target, index)
    if isinstance(target, Set):
        raise ScriptError("A set can't be indexed.")
    if isinstance(target, Handle) and isinstance(index, Scalar) and isinstance(index.value, str):
        found = member(target, index.value)
        if found is not None:
            return found
    raise ScriptError(f"{form_name(target)[:1].upper()}{form_name(target)[1:]} can't be indexed.")


def positions_of(index: Value, count: int) -> Array:
    """Positions meant by an index into `count` elements; those outside stay outside."""
    if isinstance(index, Scalar):
        index = repeat(index, 1)
    if isinstance(index, AnyVector):
        index = as_vector(index)
    if not isinstance(index, Vector):
        raise ScriptError(f"{form_name(index)} can't be used as an index.")
    if index.type is Type.BOOL and not index.is_pair:
        if len(index) != count:
            raise ScriptError("The Boolean index must have the same length as the object it is applied to.")
        return np.flatnonzero(index.data == 1)
    if index.type is Type.VOID:
        return np.full(len(index), -1, dtype=np.int64)
    if index.type not in INTEGRAL and index.type is not Type.BOOL:
        if index.type in (Type.DOUBLE, Type.FLOAT):
            index = cast_vector(index, Type.LONG)
        else:
            raise ScriptError(f"An index must be integral, not {index.type.name}.")
    if index.is_pair:
        missing = index.nulls()
        start = 0 if missing[0] else int(index.data[0])
        stop = count if missing[1] else int(index.data[1])
        return np.arange(start, stop) if start <= stop else np.arange(start - 1, stop - 1, -1)
    return np.asarray(np.where(index.nulls(), -1, index.data.astype(np.int64)))


def take_or_null(column: Column, positions: Array) -> Column:
    """Elements at positions; NULL for those out of range."""
    outside = (positions < 0) | (positions >= len(column))
    if not outside.any():
        return take(column, positions)
    if isinstance(column, AnyVector):
        return AnyVector([NULL if gone else column.items[p] for p, gone in zip(positions, outside, strict=True)])
    if isinstance(column, ArrayVector):
        from engine.forms import array_vector

        empty = column.flat.take(slice(0, 0))
        return array_vector([empty if gone else column.row(p) for p, gone in zip(positions, outside, strict=True)])
    data = np.empty(len(positions), dtype=column.data.dtype)
    data[outside] = null(column.type)
    data[~outside] = column.data[positions[~outside]]
    return column.with_data(data)


def _column(target: Vector | AnyVector, index: Value) -> Value:
    if isinstance(target, AnyVector) and target.columnar and not isinstance(index, Vector | AnyVector):
        return _inner_of_tuple(target, index)
    if isinstance(index, Scalar) and index.type is not Type.BOOL:
        if isinstance(index.value, int):
            if 0 <= index.value < len(target):
                return element(target, index.value)
            return NULL if isinstance(target, AnyVector) else Scalar(_scalar_type(target), None, target.scale)
        if index.is_null and index.type not in LITERAL:
            return NULL if isinstance(target, AnyVector) else Scalar(_scalar_type(target), None, target.scale)
        if index.type in LITERAL:
            raise ScriptError("An index must be integral, not STRING.")
    if isinstance(index, ArrayVector):
        flat = take_or_null(target, positions_of(index.flat, len(target)))
        return ArrayVector(flat, index.offsets) if isinstance(flat, Vector) else flat
    return take_or_null(target, positions_of(index, len(target)))


def _inner_of_tuple(target: AnyVector, index: Value) -> Value:
    """The element at one place of every row, NULL where a row is shorter."""
    return tuple_to_vector([get_index(as_vector(item), [index]) for item in target.items])


def _scalar_type(column: Vector) -> Type:
    return Type.STRING if column.type is Type.SYMBOL else column.type


def _array_vector(target: ArrayVector, index: Value) -> Value:
    if isinstance(index, Scalar) and index.type is not Type.BOOL:
        return _inner_column(target, int(positions_of(index, 0)[0]))
    if isinstance(index, ArrayVector):
        if index.type is Type.BOOL:
            keep = index.flat.data == 1
            rows = np.repeat(np.arange(len(index)), np.diff(index.offsets))
            counts = np.bincount(rows[keep], minlength=len(target))
            return ArrayVector(target.flat.take(keep), np.concatenate(([0], np.cumsum(counts))))
        starts = np.repeat(target.offsets[:-1], np.diff(index.offsets))
        sizes = np.repeat(np.diff(target.offsets), np.diff(index.offsets))
        inner = positions_of(index.flat, 0)
        places = np.where((inner >= 0) & (inner < sizes), starts + inner, -1)
        flat = take_or_null(target.flat, places)
        assert isinstance(flat, Vector)
        return ArrayVector(flat, index.offsets)
    if isinstance(index, Vector) and index.is_pair:
        return _inner_columns(target, index)
    return take_or_null(target, positions_of(index, len(target)))


def _inner_column(target: ArrayVector, position: int) -> Vector:
    sizes = np.diff(target.offsets)
    places = np.where((position >= 0) & (position < sizes), target.offsets[:-1] + position, -1)
    out = take_or_null(target.flat, places)
    assert isinstance(out, Vector)
    return out


def _inner_columns(target: ArrayVector, index: Vector) -> ArrayVector:
    from engine.forms import array_vector

    width = int(np.diff(target.offsets).max(initial=0))
    positions = positions_of(index, width)
    columns = [_inner_column(target, int(position)) for position in positions]
    rows = [concat([column.scalar(i) for column in columns], target.type) for i in range(len(target))]
    return array_vector(rows) if rows else target


def _two_dimensional(target: Value, first: Index, second: Index) -> Value:
    if isinstance(target, ArrayVector):
        rows = target if first is None else take_or_null(target, positions_of(first, len(target)))
        assert isinstance(rows, ArrayVector)
        if second is None:
            return rows.row(0) if isinstance(first, Scalar) else rows
        result = _array_vector(rows, second)
        if isinstance(first, Scalar) and isinstance(result, Vector):
            return result.scalar(0)
        return result.row(0) if isinstance(first, Scalar) and isinstance(result, ArrayVector) else result
    if isinstance(target, AnyVector):
        plain = AnyVector(target.items)
        chosen = plain if first is None else get_index(plain, [first])
        if isinstance(first, Scalar):
            return get_index(chosen, [second])
        assert isinstance(chosen, AnyVector)
        parts = [get_index(item, [second]) for item in chosen.items]
        return tuple_to_vector(parts)
    if isinstance(target, Vector):
        rows_taken = target if first is None else get_index(target, [first])
        if isinstance(second, Scalar) and second.value != 0:
            raise ScriptError("A vector has only one column.")
        return rows_taken
    if isinstance(target, Dictionary) and first is not None:
        return get_index(lookup(target, first), [second])
    raise ScriptError("The object doesn't have two dimensions.")


def _check_count(indices: Sequence[Index]) -> None:
    if len(indices) > 2:
        raise ScriptError("There are rows and columns only: at most two indices can be given.")


def _matrix(target: Matrix, indices: Sequence[Index]) -> Value:
    _check_count(indices)
    if len(indices) == 1:
        index = indices[0]
        if isinstance(index, Matrix):
            if index.data.shape != target.data.shape:
                raise ScriptError("The Boolean matrix must have the same shape.")
            data = target.data.copy(order="F")
            data[index.data != 1] = null(target.type)
            return Matrix(target.type, data, target.row_labels, target.column_labels, target.scale, target.indexed)
        indices = (None, index)
    rows, columns = indices
    row_places = _places(rows, target.rows, target.row_labels)
    column_places = _places(columns, target.columns, target.column_labels)
    one_row, one_column = isinstance(rows, Scalar), isinstance(columns, Scalar)
    data = _gather(target, row_places, column_places)
    if one_row and one_column:
        return Vector(target.type, data[:, 0], None, target.scale).scalar(0)
    if one_column:
        return Vector(target.type, data[:, 0].copy(), None, target.scale)
    if one_row:
        out = Matrix(target.type, data, scale=target.scale)
        return Vector(out.type, out.data[0].copy(), None, out.scale)
    return Matrix(
        target.type,
        np.asfortranarray(data),
        None if target.row_labels is None else _labels(target.row_labels, row_places),
        None if target.column_labels is None else _labels(target.column_labels, column_places),
        target.scale,
        target.indexed,
    )


def _labels(labels: Vector, positions: Array) -> Vector:
    out = take_or_null(labels, positions)
    assert isinstance(out, Vector)
    return out


def _places(index: Index, count: int, labels: Vector | None) -> Array:
    if index is None:
        return np.arange(count)
    if isinstance(index, Vector | Scalar) and index.type not in INTEGRAL and index.type is not Type.BOOL:
        if labels is None:
            raise ScriptError("The matrix has no labels to be indexed by.")
        return label_positions(labels, as_vector(index))
    return positions_of(index, count)


def label_positions(labels: Vector, wanted: Vector) -> Array:
    """The position of each wanted label, -1 where there is none."""
    if labels.type in LITERAL:
        keys = cast_vector(wanted, Type.STRING).data.tolist()
        known = {text: place for place, text in reversed(list(enumerate(labels.strings().tolist())))}
    else:
        keys = cast_vector(wanted, labels.type, labels.scale).data.tolist()
        known = {raw: place for place, raw in reversed(list(enumerate(labels.data.tolist())))}
    return np.array([known.get(key, -1) for key in keys], dtype=np.int64)


def _gather(target: Matrix, rows: Array, columns: Array) -> Array:
    bad_rows = (rows < 0) | (rows >= target.rows)
    bad_columns = (columns < 0) | (columns >= target.columns)
    if not bad_rows.any() and not bad_columns.any():
        return np.asarray(target.data[np.ix_(rows, columns)])
    if target.data.size == 0:
        return np.full((len(rows), len(columns)), null(target.type), dtype=target.data.dtype)
    data = target.data[np.ix_(np.where(bad_rows, 0, rows), np.where(bad_columns, 0, columns))]
    data[bad_rows, :] = null(target.type)
    data[:, bad_columns] = null(target.type)
    return np.asarray(data)


def _table(target: Table, indices: Sequence[Index]) -> Value:
    _check_count(indices)
    if len(indices) == 1:
        index = indices[0]
        if index is None:
            return target
        if _is_text(index):
            return columns_named(target, index)
        return _rows(target, index)
    rows, columns = indices[0], indices[1]
    if columns is None:
        return target if rows is None else _rows(target, rows)
    chosen = (
        columns_named(target, columns)
        if _is_text(columns)
        else _columns_at(target, positions_of(columns, len(target.names)), columns)
    )
    if rows is None:
        return chosen
    if isinstance(rows, Dictionary) or (target.keys and _is_text(rows)):
        raise ScriptError("The rows of a table are chosen by position or condition.")
    if isinstance(chosen, Table):
        return _rows(chosen, rows, as_table=True)
    return get_index(chosen, [rows])


def _is_text(index: Index) -> bool:
    return isinstance(index, Scalar | Vector) and index.type in LITERAL


def columns_named(target: Table, names: Value) -> Value:
    """A column by name, or a table of several."""
    if isinstance(names, Scalar):
        column = target.column(str(names.value))
        if column is None:
            raise ScriptError(f"Unrecognized column name [{names.value}].")
        return column_value(column)
    chosen: list[Column] = []
    wanted = as_vector(names).strings().tolist()
    for name in wanted:
        column = target.column(name)
        if column is None:
            raise ScriptError(f"Unrecognized column name [{name}].")
        chosen.append(column)
    return Table(wanted, chosen)


def column_value(column: Column) -> Column:
    """A column of a table as a value of its own: a tuple of rows of one type is a columnar tuple."""
    if isinstance(column, AnyVector) and not column.columnar and is_uniform(column):
        return AnyVector(column.items, columnar=True)
    return column


def is_uniform(rows: AnyVector) -> bool:
    """Whether the elements are vectors and scalars of one type, with at least one vector."""
    types = {item.type for item in rows.items if isinstance(item, Vector | Scalar)}
    texts = types <= {Type.STRING, Type.SYMBOL}
    return (
        (len(types) == 1 or (texts and bool(types)))
        and all(isinstance(item, Vector | Scalar) for item in rows.items)
        and any(isinstance(item, Vector) for item in rows.items)
    )


def _columns_at(target: Table, positions: Array, index: Value) -> Value:
    if any(not 0 <= place < len(target.names) for place in positions):
        raise ScriptError("The column index is out of range.")
    if isinstance(index, Scalar):
        return target.columns[int(positions[0])]
    return Table([target.names[p] for p in positions], [target.columns[p] for p in positions])


def _rows(target: Table, index: Value, as_table: bool = False) -> Value:
    positions = positions_of(index, target.rows)
    if isinstance(index, Scalar) and index.type is not Type.BOOL and not as_table:
        row: dict[Any, Value] = {}
        for name, column in zip(target.names, target.columns, strict=True):
            row[name] = element(take_or_null(column, positions), 0)
        return Dictionary(Type.STRING, Type.ANY, row, ordered=True)
    return Table(list(target.names), [take_or_null(column, positions) for column in target.columns])


def _series(target: IndexedSeries, index: Value) -> Value:
    if isinstance(index, Vector) and (index.type is Type.BOOL or index.is_pair):
        positions = positions_of(index, len(target.values))
        return IndexedSeries(target.index.take(positions), target.values.take(positions))
    return get_index(target.values, [index])


def dictionary_key(dictionary: Dictionary, key: Value) -> Any:
    """The raw key under which a dictionary stores `key`."""
    if isinstance(key, Scalar):
        if dictionary.key_type is Type.ANY:
            return key
        wanted = Type.STRING if dictionary.key_type is Type.SYMBOL else dictionary.key_type
        converted = cast(key, wanted, key.scale) if key.type is not wanted else key
        assert isinstance(converted, Scalar)
        return ("" if wanted is Type.STRING else None) if converted.value is None else converted.value
    raise ScriptError("A dictionary key must be a scalar.")


def lookup(dictionary: Dictionary, key: Value) -> Value:
    """The value under a key (NULL if missing), or the values under several."""
    missing: Value = NULL if dictionary.value_type is Type.ANY else Scalar(dictionary.value_type, None)
    if isinstance(key, Scalar):
        return dictionary.items.get(dictionary_key(dictionary, key), missing)
    if isinstance(key, Vector | AnyVector):
        found = [dictionary.items.get(dictionary_key(dictionary, item), missing) for item in elements(key)]
        if dictionary.value_type is Type.ANY:
            return tuple_to_vector(found)
        merged = tuple_to_vector(found)
        return cast(merged, dictionary.value_type) if isinstance(merged, Vector) else merged
    raise ScriptError("A dictionary key must be a scalar or a vector.")


# --- assignment ------------------------------------------------------------------------------


def set_index(target: Value, indices: Sequence[Index], value: Value) -> None:
    """`target[indices] = value`, in place."""
    if isinstance(target, Matrix | Table):
        _check_count(indices)
    if isinstance(target, Dictionary) and len(indices) == 1 and indices[0] is not None:
        _set_keys(target, indices[0], value)
    elif isinstance(target, Dictionary) and _are_keys(target, indices):
        _set_keys(target, tuple_to_vector([each for each in indices if each is not None]), value)
    elif isinstance(target, Matrix):
        _set_matrix(target, indices, value)
    elif isinstance(target, Table):
        _set_table(target, indices, value)
    elif isinstance(target, Vector) and len(indices) == 1:
        _set_vector(target, indices[0], value)
    elif isinstance(target, AnyVector) and len(indices) == 1 and indices[0] is not None:
        _set_tuple(target, indices[0], value)
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
    row_places = _places(rows, target.rows, target.row_labels)
    column_places = _places(columns, target.columns, target.column_labels)
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
        if index is None or not _is_text(index):
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
    rows, columns = indices
    chosen = target.names if columns is None else None
    if chosen is None:
        assert columns is not None
        if _is_text(columns):
            chosen = [str(columns.value)] if isinstance(columns, Scalar) else as_vector(columns).strings().tolist()
        else:
            chosen = [target.names[p] for p in positions_of(columns, len(target.names))]
    for position, name in enumerate(chosen):
        own = target.column(name)
        if not isinstance(own, Vector):
            raise ScriptError(f"Unrecognized column name [{name}].")
        part = value.columns[position] if isinstance(value, Table) else value
        _set_vector(own, rows, part)


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


def member(target: Value, name: str) -> Value | None:
    """`target.name` for a column or a dictionary key; None where that means nothing."""
    if isinstance(target, Table):
        column = target.column(name)
        if column is None:
            raise ScriptError(f"Unrecognized column name [{name}].")
        return column_value(column)
    if isinstance(target, Dictionary):
        return lookup(target, scalar_from(name))
    if isinstance(target, Handle) and name in getattr(target.target, "names", ()):
        return column_value(target.target.read([name], ()).columns[0])
    return None
