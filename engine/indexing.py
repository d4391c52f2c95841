"""`x[i]`, `m[i, j]`, `t[rows, columns]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from engine.cast import cast, cast_vector
from engine.errors import ScriptError, unknown_column
from engine.forms import as_vector, element, form_name, scalar_from, tuple_to_vector
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
        return _nested(target, indices)
    index = indices[0]
    if index is None:
        return target
    if isinstance(target, Dictionary):
        return lookup(target, index)
    if isinstance(target, AnyVector) and isinstance(index, AnyVector) and not target.columnar:
        return get_index(target, index.items)
    if isinstance(target, Vector | AnyVector):
        return _column(target, index)
    if isinstance(target, ArrayVector):
        return _array_vector(target, index)
    if isinstance(target, IndexedSeries):
        return _series(target, index)
    if isinstance(target, Set):
        raise ScriptError("A set can't be indexed.")
    if isinstance(target, Scalar):
        return _characters(target.value, index) if isinstance(target.value, str) else _repeated(target, index)
    if isinstance(target, Handle) and isinstance(index, Scalar) and isinstance(index.value, str):
        found = member(target, index.value)
        if found is not None:
            return found
    raise ScriptError(f"{form_name(target)[:1].upper()}{form_name(target)[1:]} can't be indexed.")


def _nested(target: Value, indices: Sequence[Index]) -> Value:
    """Elements of elements: all indices but the first apply to what the first one chose."""
    chosen = get_index(target, indices[:1])
    if isinstance(target, AnyVector) and isinstance(chosen, AnyVector) and not isinstance(indices[0], Scalar):
        return tuple_to_vector([get_index(item, indices[1:]) for item in chosen.items])
    return get_index(chosen, indices[1:])


def _repeated(value: Scalar, index: Value) -> Value:
    """A scalar is what stands at each of its places."""
    if value.type is Type.VOID or (isinstance(index, Scalar) and index.type is not Type.BOOL):
        return value
    if isinstance(index, Scalar | Vector):
        return repeat(value, len(positions_of(index, 1)))
    raise ScriptError("A scalar can't be indexed this way.")


def _characters(text: str, index: Value) -> Scalar:
    """A character of a text, or with a pair the characters from one position to another."""
    places = [int(place) for place in positions_of(index, len(text))]
    found = "".join(text[place] for place in places if 0 <= place < len(text))
    if isinstance(index, Vector):
        if not index.is_pair:
            raise ScriptError("A string can be indexed by a position or by a pair of positions.")
        return Scalar(Type.STRING, found)
    if not found:
        return Scalar(Type.CHAR, None)
    return Scalar(Type.CHAR, ord(found)) if found.isascii() else Scalar(Type.STRING, found)


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
        items = [NULL if gone else column.items[p] for p, gone in zip(positions, outside, strict=True)]
        return AnyVector(items, column.columnar)
    if isinstance(column, ArrayVector):
        kept = column.take(positions[~outside])
        sizes = np.zeros(len(positions), dtype=np.int64)
        sizes[~outside] = np.diff(kept.offsets)
        return ArrayVector(kept.flat, np.concatenate(([0], np.cumsum(sizes))))
    data = np.empty(len(positions), dtype=column.data.dtype)
    data[outside] = null(column.type)
    data[~outside] = column.data[positions[~outside]]
    return column.with_data(data)


def _column(target: Vector | AnyVector, index: Value) -> Value:
    ranged = isinstance(index, Vector) and index.is_pair
    if isinstance(target, AnyVector) and target.columnar and (ranged or not isinstance(index, Vector | AnyVector)):
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
    """The element at one place of every row, or those at a range of places; NULL where a row is shorter."""
    if not (isinstance(index, Vector) and index.is_pair):
        return tuple_to_vector([get_index(row, [index]) for row in target.items])
    rows = [as_vector(item) for item in target.items]
    width = None if index.nulls()[1] else max(map(len, rows), default=0)
    places = [positions_of(index, len(row) if width is None else width) for row in rows]
    parts: list[Value] = [
        (item if width is None else repeat(item, len(place))) if isinstance(item, Scalar) else take_or_null(row, place)
        for item, row, place in zip(target.items, rows, places, strict=True)
    ]
    if width is None or any(isinstance(part, Vector) and part.type in LITERAL for part in parts):
        return AnyVector(parts, columnar=True)
    from engine.forms import array_vector

    return array_vector(parts) if parts else target


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
    """A range of columns; an open one ends where the row does."""
    sizes = np.diff(target.offsets)
    if index.nulls()[1]:
        first = np.minimum(0 if index.nulls()[0] else int(index.data[0]), sizes)
        offsets = np.concatenate(([0], np.cumsum(sizes - first)))
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes - first)
        return ArrayVector(target.flat.take(np.repeat(target.offsets[:-1] + first, sizes - first) + within), offsets)
    positions = positions_of(index, int(sizes.max(initial=0)))
    places = target.offsets[:-1, None] + positions
    inside = (positions >= 0) & (positions < sizes[:, None])
    flat = take_or_null(target.flat, np.where(inside, places, -1).ravel())
    assert isinstance(flat, Vector)
    return ArrayVector(flat, np.arange(len(target) + 1) * len(positions))


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
        if target.columnar and first is not None and second is not None:
            return get_index(get_index(target, [first]), [second])
        plain = AnyVector(target.items)
        chosen = plain if first is None else get_index(plain, [first])
        if isinstance(first, Scalar):
            return get_index(chosen, [second])
        assert isinstance(chosen, AnyVector)
        parts = [get_index(item, [second]) for item in chosen.items]
        return tuple_to_vector(parts)
    if isinstance(target, Vector):
        rows_taken = target if first is None else get_index(target, [first])
        if isinstance(second, Scalar) and second.value != 0 and not isinstance(first, Scalar):
            raise ScriptError("A vector has only one column.")
        return rows_taken
    if isinstance(target, Scalar):
        return get_index(target, [first if second is None else second])
    if isinstance(target, Dictionary) and first is not None:
        found = lookup(target, first)
        if not isinstance(first, Scalar) and isinstance(found, AnyVector):
            return tuple_to_vector([get_index(item, [second]) for item in found.items])
        return get_index(found, [second])
    raise ScriptError("The object doesn't have two dimensions.")


def check_count(indices: Sequence[Index]) -> None:
    if len(indices) > 2:
        raise ScriptError("There are rows and columns only: at most two indices can be given.")


def _matrix(target: Matrix, indices: Sequence[Index]) -> Value:
    """`m[j]` is a column, `m[i, j]` with two scalars an element, everything else a matrix."""
    check_count(indices)
    single = len(indices) == 1
    if single:
        index = indices[0]
        if isinstance(index, Matrix):
            if index.data.shape != target.data.shape:
                raise ScriptError("The Boolean matrix must have the same shape.")
            data = target.data.copy(order="F")
            data[index.data != 1] = null(target.type)
            return Matrix(target.type, data, target.row_labels, target.column_labels, target.scale, target.indexed)
        if isinstance(index, AnyVector):
            return _matrix(target, index.items)
        indices = (None, index)
    rows, columns = indices
    row_places = label_places(rows, target.rows, target.row_labels)
    column_places = label_places(columns, target.columns, target.column_labels)
    data = _gather(target, row_places, column_places)
    if isinstance(columns, Scalar) and (isinstance(rows, Scalar) or single):
        column = Vector(target.type, data[:, 0].copy(), None, target.scale)
        return column.scalar(0) if isinstance(rows, Scalar) else column
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


def label_places(index: Index, count: int, labels: Vector | None) -> Array:
    if index is None:
        return np.arange(count)
    if isinstance(index, Vector | Scalar) and index.type not in INTEGRAL and index.type is not Type.BOOL:
        if labels is None and index.type in (Type.DOUBLE, Type.FLOAT):
            return positions_of(index, count)
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
    check_count(indices)
    if len(indices) == 1:
        index = indices[0]
        if index is None:
            return target
        if is_text(index):
            return columns_named(target, index)
        return _rows(target, index)
    rows, columns = indices[0], indices[1]
    if columns is None:
        return target if rows is None else _rows(target, rows)
    chosen = (
        columns_named(target, columns)
        if is_text(columns)
        else _columns_at(target, positions_of(columns, len(target.names)))
    )
    if isinstance(chosen, Table) and isinstance(rows, Scalar) and isinstance(columns, Scalar):
        chosen = chosen.columns[0]
    if rows is None:
        return chosen
    if isinstance(rows, Dictionary) or (target.keys and is_text(rows)):
        raise ScriptError("The rows of a table are chosen by position or condition.")
    if isinstance(chosen, Table):
        return _rows(chosen, rows, as_table=True)
    return get_index(chosen, [rows])


def is_text(index: Index) -> bool:
    return isinstance(index, Scalar | Vector) and index.type in LITERAL


def columns_named(target: Table, names: Value) -> Value:
    """A column by name, or a table of several."""
    if isinstance(names, Scalar):
        column = target.column(str(names.value))
        if column is None:
            raise unknown_column(str(names.value), target.names)
        return column_value(column)
    chosen: list[Column] = []
    wanted = as_vector(names).strings().tolist()
    for name in wanted:
        column = target.column(name)
        if column is None:
            raise unknown_column(name, target.names)
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


def _columns_at(target: Table, positions: Array) -> Table:
    if any(not 0 <= place < len(target.names) for place in positions):
        raise ScriptError("The column index is out of range.")
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
