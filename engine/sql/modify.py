"""Changing in-memory tables: adding, replacing, updating and deleting rows.

Columns are replaced by new ones, never written into, so that a reader who holds them keeps a consistent view.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.cast import cast_vector
from engine.coded import aligned
from engine.errors import ScriptError
from engine.forms import concat, symbol_codes
from engine.sql.construct import LatestTable, fresh
from engine.sql.keys import combined_codes
from engine.sql.matching import take_or_null
from engine.types import DECIMAL, LITERAL, NUMERIC, TEMPORAL, Type
from engine.values import (
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Column,
    Scalar,
    SymbolBase,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    repeat,
    take,
)

FAMILIES = (frozenset((*NUMERIC, *DECIMAL)), frozenset(TEMPORAL), frozenset(LITERAL))
"""Types that are converted into each other without being asked."""


def append_rows(table: Table, rows: Table) -> int:
    """Add rows, columns matched by position and cast to the table's types; a keyed table replaces equal keys.

    Returns how many rows were given. Raises ScriptError when the columns do not fit.
    """
    if len(rows.columns) != len(table.columns):
        raise ScriptError(
            "The number of columns of the table to insert must be the same as that of the original table: "
            f"{len(table.columns)} are expected, {len(rows.columns)} were given."
        )
    with table.lock:
        added = [
            fitted(name, column, like)
            for name, column, like in zip(table.names, rows.columns, table.columns, strict=True)
        ]
        if table.keys:
            _append_keyed(table, added)
        else:
            table.columns = [_joined(old, new) for old, new in zip(table.columns, added, strict=True)]
    return rows.rows


def fitted(name: str, column: Column | Scalar, like: Column, rows: int | None = None) -> Column:
    """A column cast to the type of another; a scalar is repeated."""
    if isinstance(column, Scalar):
        column = repeat(column, rows if rows is not None else 1)
    if isinstance(like, AnyVector):
        return column if isinstance(column, AnyVector) else AnyVector(list(elements(column)))
    if isinstance(like, ArrayVector):
        return _fitted_arrays(name, column, like)
    if isinstance(column, AnyVector):
        merged = concat(column.items) if column.items else nulls(like.type, 0, like.scale)
        if not isinstance(merged, Vector) or len(merged) != len(column):
            raise ScriptError(f"The values of column [{name}] do not have the type {like.type.name}.")
        column = merged
    if isinstance(column, ArrayVector):
        raise ScriptError(f"Column [{name}] takes single values, not vectors.")
    if like.type is Type.SYMBOL:
        assert like.symbols is not None
        if column.type not in (Type.SYMBOL, Type.STRING, Type.VOID):
            column = _cast(name, column, Type.STRING, shown=Type.SYMBOL)
        return Vector(Type.SYMBOL, symbol_codes(column, like.symbols), like.symbols)
    if column.type is like.type and column.scale == like.scale:
        return column
    return _cast(name, column, like.type, like.scale)


def _fits(given: Type, expected: Type) -> bool:
    """Whether a column of one type may be put into one of another."""
    alike = any(given in family and expected in family for family in FAMILIES)
    text = given in LITERAL and expected not in NUMERIC and expected not in DECIMAL
    return alike or text or given is Type.VOID or (given is Type.CHAR and expected in LITERAL)


def _cast(name: str, column: Vector, type_: Type, scale: int = 0, shown: Type | None = None) -> Vector:
    """A column converted as an insertion does; `shown` is the type to name where that is impossible."""
    expected = (shown or type_).name
    if not _fits(column.type, type_):
        raise ScriptError(f"The column [{name}] expects type of {expected}, but the actual type is {column.type.name}.")
    try:
        result = cast_vector(column, type_, scale)
    except ScriptError as error:
        raise ScriptError(
            f"The value of column [{name}] cannot be converted from {column.type.name} to {expected}: {error.message}"
        ) from error
    if column.type in LITERAL and type_ not in LITERAL:
        lost = np.flatnonzero(result.nulls() & ~column.nulls())
        if len(lost):
            raise ScriptError(
                f'The column [{name}] expects type of {expected}, which "{column.strings()[lost[0]]}" is not.'
            )
    return result


def _fitted_arrays(name: str, column: Column, like: ArrayVector) -> Column:
    if isinstance(column, ArrayVector):
        flat = fitted(name, column.flat, like.flat)
        assert isinstance(flat, Vector)
        return ArrayVector(flat, column.offsets)
    parts = list(elements(column))
    vectors = [repeat(part, 1) if isinstance(part, Scalar) else part for part in parts]
    if any(isinstance(part, AnyVector | Table) for part in vectors):
        raise ScriptError(f"Column [{name}] takes vectors of {like.type.name}.")
    flats = [fitted(name, part, like.flat) for part in vectors if isinstance(part, Vector)]
    flat = concat(flats) if flats else like.flat.take(slice(0, 0))
    assert isinstance(flat, Vector)
    return ArrayVector(flat, np.concatenate(([0], np.cumsum([len(part) for part in flats]))).astype(np.int64))


class GrowingVector(Vector):
    """A column at the front of a larger buffer, so that adding a few rows does not copy all.

    Only the column that holds the buffer may write behind its end; it hands it on when it is extended.
    """

    __slots__ = ("buffer",)

    def __init__(self, like: Vector, data: Array, buffer: Array | None) -> None:
        super().__init__(like.type, data, like.symbols, like.scale)
        self.buffer = buffer


def _joined(old: Column, new: Column) -> Column:
    if not isinstance(old, Vector) or not isinstance(new, Vector):
        return concat([old, new])
    coded = aligned([old, new], appending=True)
    if coded is not None:
        grown = _joined(*coded)
        assert isinstance(grown, Vector)
        return Vector.holding(grown)
    rows, total = len(old), len(old) + len(new)
    if len(new) > rows // 8:
        return old.with_data(np.concatenate((old.data, new.data)))
    buffer = old.buffer if isinstance(old, GrowingVector) and old.data.base is old.buffer else None
    if buffer is None or len(buffer) < total:
        buffer = np.empty(total + max(total // 4, 64), dtype=old.data.dtype)
        buffer[:rows] = old.data
    if isinstance(old, GrowingVector):
        old.buffer = None
    buffer[rows:total] = new.data
    return GrowingVector(old, buffer[:total], buffer)


def key_columns(table: Table) -> list[int]:
    return [table.find(key) for key in table.keys]


def matching_rows(table: Table, keys: Sequence[Column]) -> Array:
    """For every row of `keys` the row of the keyed table with those keys, or -1."""
    own = [table.columns[position] for position in key_columns(table)]
    codes, count = combined_codes([concat([a, b]) for a, b in zip(own, keys, strict=True)])
    row_of = np.full(count, -1, dtype=np.int64)
    row_of[codes[: table.rows]] = np.arange(table.rows)
    return row_of[codes[table.rows :]]


def _append_keyed(table: Table, added: list[Column]) -> None:
    rows = len(added[0])
    keys = [added[position] for position in key_columns(table)]
    codes, count = combined_codes(keys) if rows else (np.zeros(0, dtype=np.int64), 0)
    target = matching_rows(table, keys)
    chosen = np.arange(rows)
    if isinstance(table, LatestTable):
        chosen = _not_older(table, added, codes, count, target)
    last = np.full(count, -1, dtype=np.int64)
    last[codes[chosen]] = chosen
    # Rows keep the place where their key came first; the last one given wins.
    appearing = np.full(count, rows, dtype=np.int64)
    np.minimum.at(appearing, codes[chosen], chosen)
    order = np.argsort(appearing, kind="stable")
    final = last[order[: int((last >= 0).sum())]]
    final_target = target[final]
    replaced, new = final[final_target >= 0], final[final_target < 0]
    columns: list[Column] = []
    for old, column in zip(table.columns, added, strict=True):
        changed = _overwritten(old, final_target[final_target >= 0], take(column, replaced)) if len(replaced) else old
        columns.append(_joined(changed, take(column, new)) if len(new) else changed)
    table.columns = columns


def _not_older(table: LatestTable, added: list[Column], codes: Array, count: int, target: Array) -> Array:
    position = table.find(table.time_column)
    old, new = table.columns[position], added[position]
    assert isinstance(old, Vector)
    assert isinstance(new, Vector)
    floor = np.iinfo(np.int64).min
    known = np.where(target >= 0, old.data.astype(np.int64)[np.maximum(target, 0)] if len(old) else floor, floor)
    order = np.lexsort((np.arange(len(codes)), new.data, codes))
    newest = np.full(count, -1, dtype=np.int64)
    newest[codes[order]] = order
    kept = newest[newest >= 0]
    return np.sort(kept[new.data[kept].astype(np.int64) >= known[kept]])


def _overwritten(column: Column, rows: Array, values: Column) -> Column:
    """A copy with the elements at `rows` replaced."""
    if isinstance(column, Vector) and isinstance(values, Vector):
        data = column.data.copy()
        data[rows] = values.data
        return column.with_data(data)
    items = list(elements(column))
    for row, value in zip(rows.tolist(), elements(values), strict=True):
        items[row] = value
    if isinstance(column, ArrayVector):
        return _fitted_arrays("", AnyVector(items), column)
    return AnyVector(items)


def upsert_rows(table: Table, rows: Table, keys: Sequence[str], ignore_null: bool) -> tuple[int, int]:
    """Replace rows with equal keys, add the others. Returns how many were added and how many replaced.

    `keys` are needed for tables without keys of their own. `ignore_null` leaves values alone where the new ones
    are NULL.
    """
    with table.lock:
        positions = [table.find(key) for key in (table.keys or keys)]
        if not positions:
            raise ScriptError(
                "Usage: upsert!(obj, newData, [ignoreNull=false], [keyColNames], [sortColumns]). "
                "keyColNames must be specified."
            )
        if -1 in positions:
            missing = (table.keys or keys)[positions.index(-1)]
            raise ScriptError(f"Unrecognized column name [{missing}].")
        if len(rows.columns) != len(table.columns):
            raise ScriptError("The number of columns of the new data must be the same as that of the table.")
        added = [fitted(n, c, like) for n, c, like in zip(table.names, rows.columns, table.columns, strict=True)]
        own = [table.columns[position] for position in positions]
        given = [added[position] for position in positions]
        codes, count = combined_codes([concat([a, b]) for a, b in zip(own, given, strict=True)])
        old_codes, new_codes = codes[: table.rows], codes[table.rows :]
        known = np.zeros(count, dtype=bool)
        known[old_codes] = True
        replacing = known[new_codes]
        last = np.full(count, -1, dtype=np.int64)
        last[new_codes] = np.arange(len(new_codes))
        source = last[old_codes]
        hit = np.flatnonzero(source >= 0)
        fresh_rows = np.sort(last[np.unique(new_codes[~replacing])]) if (~replacing).any() else np.zeros(0, np.int64)
        columns: list[Column] = []
        touched = np.zeros(len(new_codes), dtype=bool)
        for position, (old, new) in enumerate(zip(table.columns, added, strict=True)):
            chosen = hit
            if position not in positions:
                touched |= ~new.nulls() if ignore_null and isinstance(new, Vector) else True
            if ignore_null and isinstance(new, Vector):
                chosen = hit[~new.nulls()[source[hit]]]
            changed = old if position in positions else _overwritten(old, chosen, take(new, source[chosen]))
            columns.append(_joined(changed, take(new, fresh_rows)) if len(fresh_rows) else changed)
        table.columns = columns
        return len(fresh_rows), int((replacing & touched).sum())


def assign_column(table: Table, name: str, rows: Array | None, value: Column | Scalar) -> None:
    """Set a column at some rows (None: all), adding it if there is none; an old one keeps its type."""
    position = table.find(name)
    count = table.rows if rows is None else len(rows)
    if not isinstance(value, Scalar) and len(value) != count:
        if len(value) != 1:
            raise ScriptError(f"The value of column [{name}] must have {count} elements, not {len(value)}.")
        value = next(iter(elements(value)))  # type: ignore[assignment]
    if position < 0:
        table.names.append(name)
        table.columns.append(_new_column(table.rows, rows, value))
        return
    old = table.columns[position]
    column = fitted(name, value, old, count)
    if rows is None:
        table.columns[position] = fresh(column)
    else:
        table.columns[position] = _overwritten(old, rows, column)


def _new_column(total: int, rows: Array | None, value: Column | Scalar) -> Column:
    count = total if rows is None else len(rows)
    column = repeat(value, count) if isinstance(value, Scalar) else value
    if isinstance(column, Vector) and column.type is Type.VOID:
        column = nulls(Type.DOUBLE, count)
    if rows is None:
        return fresh(column)
    place = np.full(total, -1, dtype=np.int64)
    place[rows] = np.arange(count)
    if not isinstance(column, Vector) and isinstance(column, AnyVector):
        return AnyVector([NULL if row < 0 else column.items[row] for row in place.tolist()])
    return take_or_null(column, place)


def delete_rows(table: Table, rows: Array | None) -> None:
    """Remove the rows numbered (None: all)."""
    if rows is None:
        kept: Array = np.zeros(0, dtype=np.int64)
    else:
        mask = np.ones(table.rows, dtype=bool)
        mask[rows] = False
        kept = np.flatnonzero(mask)
    table.columns = [take(column, kept) for column in table.columns]


def rows_of_values(table: Table, names: Sequence[str], values: Sequence[Value]) -> Table:
    """Rows to add from one value per named column; columns not named are NULL."""
    if len(values) != len(names):
        raise ScriptError(f"The number of values to insert is {len(values)}, but there are {len(names)} columns.")
    positions = []
    for name in names:
        position = table.find(name)
        if position < 0:
            raise ScriptError(f"Unrecognized column name [{name}].")
        positions.append(position)
    rows = 1
    parts: dict[int, Column | Scalar] = {}
    for position, value in zip(positions, values, strict=True):
        part = _insertable(table.names[position], value, table.columns[position])
        parts[position] = part
        if not isinstance(part, Scalar):
            rows = max(rows, len(part)) if rows == 1 else rows
    lengths = {len(part) for part in parts.values() if not isinstance(part, Scalar)}
    if len(lengths) > 1:
        raise ScriptError("All columns to insert must have the same length.")
    rows = lengths.pop() if lengths else 1
    columns: list[Column] = []
    for position, like in enumerate(table.columns):
        part = parts.get(position, NULL)
        columns.append(fitted(table.names[position], part, like, rows) if position in parts else blank(like, rows))
    return Table(list(table.names), columns)


def _insertable(name: str, value: Value, like: Column) -> Column | Scalar:
    if isinstance(value, Scalar | ArrayVector):
        return value
    if isinstance(like, ArrayVector):
        if isinstance(value, Vector):
            return AnyVector([value])
        if isinstance(value, AnyVector):
            return value
    if isinstance(like, AnyVector):
        return value if isinstance(value, AnyVector) else AnyVector([value])
    if isinstance(value, Vector | AnyVector):
        return value
    raise ScriptError(f"The value for column [{name}] must be a scalar or a vector.")


def blank(like: Column, rows: int) -> Column:
    """NULLs of the type of a column."""
    if isinstance(like, Vector):
        empty = nulls(like.type, rows, like.scale)
        return Vector(Type.SYMBOL, empty.data, like.symbols or SymbolBase()) if like.symbols is not None else empty
    if isinstance(like, ArrayVector):
        return ArrayVector(like.flat.take(slice(0, 0)), np.zeros(rows + 1, dtype=np.int64))
    return AnyVector([NULL] * rows)
