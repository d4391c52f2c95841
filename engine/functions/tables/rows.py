"""Rows of tables: sorting, stacking, upserting and looking up by key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.arguments import boolean_argument
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import as_vector, concat, tuple_to_vector
from engine.functions.registry import Registry
from engine.functions.tables.columns import names_of, table_argument
from engine.sql import modify
from engine.sql.frame import RowScope, frame_of
from engine.sql.keys import combined_codes
from engine.sql.ordering import SortKey, sort_order
from engine.sql.rewrite import prepare
from engine.sql.source import stored_table
from engine.sql.statements import stacked
from engine.types import Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Code,
    Column,
    Scalar,
    Table,
    Value,
    Vector,
    elements,
    repeat,
    take,
)

functions = Registry()


@functions.builtin("sortBy!", "table, sortColumns, [sortDirections]", context=True)
def sort_by(context: Context, table: Value, columns: Value, directions: Value = NOTHING) -> Table:
    target = table_argument(table)
    with target.lock:
        keys = _sort_columns(context, target, columns)
        flags = [True] * len(keys)
        if directions is not NOTHING:
            given = [bool(each) for each in as_vector(directions).data.tolist()]
            flags = given * len(keys) if len(given) == 1 else given
        if len(flags) != len(keys):
            raise CallError("sortDirections must have one element for every sorting column.")
        order = sort_order([SortKey(key, not flag) for key, flag in zip(keys, flags, strict=True)])
        target.columns = [take(column, order) for column in target.columns]
    return target


def _sort_columns(context: Context, table: Table, columns: Value) -> list[Column]:
    if isinstance(columns, Code):
        frame = frame_of(table)
        scope = RowScope(frame, context.scope)  # type: ignore[attr-defined]
        value = context.evaluate(prepare(columns.node, frame), scope)  # type: ignore[call-arg]
        return (
            [item for item in value.items if isinstance(item, Vector)]
            if isinstance(value, AnyVector)
            else [as_vector(value)]
        )
    if isinstance(columns, AnyVector):
        return [key for item in columns.items for key in _sort_columns(context, table, item)]
    found = []
    for name in names_of(columns, "sortColumns"):
        column = table.column(name)
        if column is None:
            raise ScriptError(f"Unrecognized column name [{name}].")
        found.append(column)
    return found


@functions.builtin("unionAll", "tableA, [tableB], [byColName=false]")
def union_all(tables: Value, other: Value = NOTHING, by_name: Value = NOTHING) -> Table:
    if isinstance(tables, AnyVector):
        parts = [table_argument(item) for item in tables.items]
        if isinstance(other, Table):
            parts.append(other)
    else:
        parts = [table_argument(tables), table_argument(other)]
    if not parts:
        raise CallError("At least one table is required.")
    if boolean_argument(by_name, "byColName", False):
        return _union_by_name(parts)
    if len({len(part.columns) for part in parts}) > 1:
        raise ScriptError("All tables to be combined must have the same number of columns.")
    return stacked(parts)


def _union_by_name(parts: Sequence[Table]) -> Table:
    names: list[str] = []
    for part in parts:
        names.extend(name for name in part.names if name not in names)
    columns: list[Column] = []
    for name in names:
        like = next(column for part in parts if (column := part.column(name)) is not None)
        columns.append(concat([_column_or_blank(part, name, like) for part in parts]))
    return Table(names, columns)


def _column_or_blank(part: Table, name: str, like: Column) -> Column:
    column = part.column(name)
    return modify.blank(like, part.rows) if column is None else column


@functions.builtin("upsert!", "obj, newData, [ignoreNull=false], [keyColNames], [sortColumns]")
def upsert(
    obj: Value, new: Value, ignore_null: Value = NOTHING, keys: Value = NOTHING, sort_columns: Value = NOTHING
) -> Value:
    _upsert(obj, new, ignore_null, keys, sort_columns)
    return obj


@functions.builtin("tableUpsert", "obj, newData, [ignoreNull=false], [keyColNames], [sortColumns]")
def table_upsert(
    obj: Value, new: Value, ignore_null: Value = NOTHING, keys: Value = NOTHING, sort_columns: Value = NOTHING
) -> Vector:
    """How many rows were added and how many replaced, as a pair."""
    added, replaced = _upsert(obj, new, ignore_null, keys, sort_columns)
    return Vector(Type.INT, np.array([added, replaced], dtype=np.int32), is_pair=True)


def _upsert(obj: Value, new: Value, ignore_null: Value, keys: Value, sort_columns: Value) -> tuple[int, int]:
    rows = table_argument(new, "newData")
    ignore = boolean_argument(ignore_null, "ignoreNull", False)
    names = [] if keys is NOTHING else names_of(keys, "keyColNames")
    if isinstance(obj, Table):
        return modify.upsert_rows(obj, rows, names, ignore)
    stored = stored_table(obj)
    if stored is None:
        raise CallError("obj must be a table.")
    if sort_columns is not NOTHING:
        raise UnsupportedError("sortColumns in upsert!")
    if not names:
        raise CallError("keyColNames must be specified for a stored table.")
    before = stored.rows
    stored.upsert(rows, names, ignore)
    added = stored.rows - before
    return added, rows.rows - added


@functions.builtin("sliceByKey", "table, rowKeys, [colNames], [preserveOrder=false]")
def slice_by_key(table: Value, row_keys: Value, names: Value = NOTHING, preserve_order: Value = NOTHING) -> Value:
    target = table_argument(table)
    if not target.keys:
        raise CallError("table must be a keyed table or an indexed table.")
    wanted = _key_parts(row_keys, target)
    if len(wanted) < len(target.keys) and target.kind != "INDEXED TABLE":
        raise CallError("rowKeys must contain values for all key columns.")
    own = [target.columns[position] for position in modify.key_columns(target)[: len(wanted)]]
    fitted = [modify.fitted(key, column, like) for key, column, like in zip(target.keys, wanted, own, strict=False)]
    codes, _ = combined_codes([concat([a, b]) for a, b in zip(own, fitted, strict=True)])
    mine, theirs = codes[: target.rows], codes[target.rows :]
    if boolean_argument(preserve_order, "preserveOrder", False):
        found = [np.flatnonzero(mine == code) for code in theirs.tolist()]
        rows = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    else:
        rows = np.flatnonzero(np.isin(mine, theirs))
    result = target.take(rows)
    if names is NOTHING:
        return result
    chosen = []
    for name in names_of(names, "colNames"):
        column = result.column(name)
        if column is None:
            raise ScriptError(f"Unrecognized column name [{name}].")
        chosen.append((name, column))
    return chosen[0][1] if isinstance(names, Scalar) else Table([n for n, _ in chosen], [c for _, c in chosen])


def _key_parts(value: Value, table: Table) -> list[Vector]:
    """One vector per key column from a scalar, a vector of first keys, or a tuple with a part per key."""
    if isinstance(value, AnyVector):
        return [repeat(item, 1) if isinstance(item, Scalar) else as_vector(item) for item in value.items]
    column = as_vector(value)
    if len(table.keys) > 1 and table.kind != "INDEXED TABLE" and len(column) == len(table.keys):
        return [repeat(column.scalar(index), 1) for index in range(len(column))]
    return [column]


@functions.builtin("ungroup", "X")
def ungroup(x: Value) -> Table:
    table = table_argument(x, "X")
    nested = [_nested(column) for column in table.columns]
    sizes = next((np.diff(column.offsets) for column in nested if column is not None), None)
    if sizes is None or not table.rows:
        return table
    columns: list[Column] = []
    for column, inner in zip(table.columns, nested, strict=True):
        if inner is None:
            columns.append(take(column, np.repeat(np.arange(table.rows), sizes)))
        elif not bool((np.diff(inner.offsets) == sizes).all()):
            raise ScriptError("The array vector columns must have the same number of elements in every row.")
        else:
            columns.append(inner.flat)
    return Table(list(table.names), columns)


def _nested(column: Column) -> ArrayVector | None:
    if isinstance(column, ArrayVector):
        return column
    if isinstance(column, AnyVector) and all(isinstance(item, Vector | AnyVector) for item in column.items):
        rows = [
            item if isinstance(item, Vector) else tuple_to_vector(list(elements(item)))
            for item in column.items
            if isinstance(item, Vector | AnyVector)
        ]
        flat = concat(rows)
        if isinstance(flat, Vector):
            return ArrayVector(flat, np.concatenate(([0], np.cumsum([len(row) for row in rows]))))
    return None
