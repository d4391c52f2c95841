"""Update, delete and insert, on tables in memory and in storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from dolphin.script import syntax
from engine.errors import CallError, ScriptError
from engine.forms import concat, form_name
from engine.interpreter.scope import Scope
from engine.sql import modify, resolve
from engine.sql.arranging import contiguous
from engine.sql.evaluation import Executor, GroupEvaluator, boolean_mask
from engine.sql.frame import ROW_NUMBER, Frame, RowScope, TargetScope, frame_of, numbered
from engine.sql.grouping import evaluate_keys
from engine.sql.keys import groups_of
from engine.sql.output import as_column
from engine.sql.pruning import Need, need_of
from engine.sql.rewrite import prepare, value_query
from engine.sql.select import filtered
from engine.sql.source import Conjunct, StoredTable, stored_table
from engine.sql.subqueries import with_subqueries
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    Code,
    Column,
    Scalar,
    Table,
    Value,
    Vector,
    repeat,
    take,
)

_T = TypeVar("_T")


def target_of(node: syntax.Expression, executor: Executor, scope: Scope) -> Table | StoredTable:
    value = executor.evaluate(node, scope)
    if isinstance(value, Table):
        return value
    stored = stored_table(value)
    if stored is None:
        raise ScriptError(f"The target of the statement must be a table, not {form_name(value)}.")
    return stored


# --- update


def update(node: syntax.Update, executor: Executor, scope: Scope) -> None:
    target = target_of(node.target, executor, scope)
    alias = resolve.default_alias(node.target)
    if isinstance(target, Table):
        with target.lock:
            executor.session.matched_rows = update_table(target, node, alias, executor, scope)
        return
    if node.source is not None:
        raise ScriptError("update with a from clause is only possible on in-memory tables.")
    for name, _ in node.sets:
        if name.lower() not in {each.lower() for each in target.names}:
            raise ScriptError(f"Unrecognized column name [{name}]. Use addColumn to add a column to a stored table.")

    matched = 0

    def change(part: Table) -> Table | None:
        nonlocal matched
        rows = update_table(part, node, alias, executor, scope)
        matched += rows
        return part if rows else None

    target.rewrite(_conjuncts(node, node.where, target, alias, executor, scope), change)
    executor.session.matched_rows = matched


def _conjuncts(
    node: syntax.Node,
    where: Sequence[syntax.Expression],
    target: StoredTable,
    alias: str | None,
    executor: Executor,
    scope: Scope,
) -> list[Conjunct]:
    need: Need = need_of([node], where, lambda each: executor.evaluate(each, scope))
    return need.conjuncts_of(target.names, alias)


def update_table(table: Table, node: syntax.Update, alias: str | None, executor: Executor, scope: Scope) -> int:
    """Set columns at the rows that meet the conditions; returns how many rows that were."""
    if node.source is None:
        frame = numbered(frame_of(table, alias))
    else:
        frame = resolve.resolve(node.source, executor, TargetScope(table, scope))
        if frame.find(ROW_NUMBER) < 0:
            raise ScriptError("The from clause of an update must join the table that is updated, as `ej(t1, t2, `id)`.")
    whole = frame.rows
    frame = filtered(frame, node.where, executor, scope)
    everything = frame.rows == whole == table.rows and node.source is None
    if node.grouping is not None:
        values, rows = _grouped_values(node, frame, executor, scope)
    else:
        if node.having is not None or node.csort:
            raise ScriptError("having and csort require context by.")
        values = {name: _value(expression, frame, executor, scope) for name, expression in node.sets}
        rows = _row_numbers(frame)
    names, columns = list(table.names), list(table.columns)
    try:
        for name, value in values.items():
            modify.assign_column(table, name, None if everything and node.grouping is None else rows, value)
    except ScriptError:
        table.names, table.columns = names, columns
        raise
    return len(rows)


def set_columns(
    table: Table,
    names: Sequence[str],
    values: Value,
    where: Sequence[syntax.Expression],
    executor: Executor,
    scope: Scope,
) -> None:
    """Set columns at the rows that meet the conditions; metacode is worked out over those rows."""
    with table.lock:
        if isinstance(values, Code):
            node: Any = values.node
            several = isinstance(node, syntax.VectorLiteral | syntax.TupleLiteral) and len(names) > 1
            sets = _pairs(names, node.items if several else (node,))
            source = syntax.Name("", span=node.span)
            update_table(table, syntax.Update(source, sets, None, tuple(where), span=node.span), None, executor, scope)
            return
        rows = _row_numbers(filtered(numbered(frame_of(table, None)), where, executor, scope)) if where else None
        for name, value in _pairs(names, (values,) if len(names) == 1 else _unpacked([values], len(names))):
            modify.assign_column(table, name, rows, as_column(value, name))


def conditions_of(value: Value) -> tuple[syntax.Expression, ...]:
    """The conditions in a filter of metacode."""
    if value is NOTHING:
        return ()
    if isinstance(value, Code):
        return (value.node,)  # type: ignore[return-value]
    if isinstance(value, AnyVector):
        return tuple(condition for item in value.items for condition in conditions_of(item))
    raise CallError("filter must be metacode such as <price > 10>.")


def _pairs(names: Sequence[str], values: Sequence[_T]) -> tuple[tuple[str, _T], ...]:
    if len(names) != len(values):
        raise ScriptError("There must be one expression for every column that is set.")
    return tuple(zip(names, values, strict=True))


def _row_numbers(frame: Frame) -> Array:
    column = frame.column(frame.find(ROW_NUMBER))
    assert isinstance(column, Vector)
    return column.data


def _value(expression: syntax.Expression, frame: Frame, executor: Executor, scope: Scope) -> Column | Scalar:
    node, frame, scope = with_subqueries(value_query(prepare(expression, frame)), frame, executor, scope)
    return as_column(executor.evaluate(node, RowScope(frame, scope)), "")


def _grouped_values(
    node: syntax.Update, frame: Frame, executor: Executor, scope: Scope
) -> tuple[dict[str, Column | Scalar], Array]:
    assert node.grouping is not None
    if node.csort:
        arranged = contiguous(node.grouping.keys, node.csort, frame, executor, scope)
        frame = arranged.frame
        evaluator = GroupEvaluator(executor, scope, frame, arranged.groups)
    else:
        keys = evaluate_keys(node.grouping.keys, frame, executor, scope)
        evaluator = GroupEvaluator(executor, scope, frame, groups_of(keys.columns))
    values: dict[str, Column | Scalar] = {
        name: evaluator.per_row(prepare(expression, frame)) for name, expression in node.sets
    }
    rows = _row_numbers(frame)
    if node.having is not None:
        kept = np.flatnonzero(boolean_mask(evaluator.per_row(prepare(node.having, frame)), frame.rows))
        rows = rows[kept]
        values = {name: take(value, kept) for name, value in values.items() if not isinstance(value, Scalar)}
    return values, rows


# --- delete


def delete(node: syntax.Delete, executor: Executor, scope: Scope) -> None:
    target = target_of(node.target, executor, scope)
    alias = resolve.default_alias(node.target)
    if node.source is not None:
        raise ScriptError("delete with a join is not supported. Use a condition with `in` and a subquery.")
    if isinstance(target, Table):
        with target.lock:
            executor.session.matched_rows = delete_from(target, node.where, alias, executor, scope)
        return
    matched = 0

    def change(part: Table) -> Table | None:
        nonlocal matched
        rows = delete_from(part, node.where, alias, executor, scope)
        matched += rows
        return part if rows else None

    target.rewrite(_conjuncts(node, node.where, target, alias, executor, scope), change, deletes=True)
    executor.session.matched_rows = matched


def delete_from(
    table: Table, where: Sequence[syntax.Expression], alias: str | None, executor: Executor, scope: Scope
) -> int:
    if not where:
        rows = table.rows
        modify.delete_rows(table, None)
        return rows
    frame = filtered(numbered(frame_of(table, alias)), where, executor, scope)
    modify.delete_rows(table, _row_numbers(frame))
    return frame.rows


# --- insert


def insert(node: syntax.Insert, executor: Executor, scope: Scope) -> None:
    target = target_of(node.target, executor, scope)
    names = list(node.columns) or list(target.names)
    if node.query is not None:
        rows = executor.evaluate(node.query, scope)
        if not isinstance(rows, Table):
            raise ScriptError("insert into requires a query that returns a table.")
        added = _rows(target, names, list(rows.columns)) if node.columns else rows
        executor.session.matched_rows = _append(target, added)
        return
    parts: list[Table] = []
    for row in node.rows:
        values = [executor.evaluate(each, scope) for each in row]
        if len(values) == 1 and isinstance(values[0], Table):
            parts.append(values[0])
        else:
            parts.append(_rows(target, names, _unpacked(values, len(names))))
    executor.session.matched_rows = _append(target, parts[0] if len(parts) == 1 else stacked(parts))


def _rows(target: Table | StoredTable, names: Sequence[str], values: Sequence[Value]) -> Table:
    """Rows from one value per named column. A stored table casts them itself when they are added."""
    if isinstance(target, Table):
        return modify.rows_of_values(target, names, values)
    given = {name.lower(): as_column(value, name) for name, value in zip(names, values, strict=False)}
    unknown = [name for name in names if name.lower() not in {each.lower() for each in target.names}]
    if unknown:
        raise ScriptError(f"Unrecognized column name [{unknown[0]}].")
    if len(values) != len(names):
        raise ScriptError(f"The number of values to insert is {len(values)}, but there are {len(names)} columns.")
    lengths = {len(column) for column in given.values() if not isinstance(column, Scalar)}
    if len(lengths) > 1:
        raise ScriptError("All columns to insert must have the same length.")
    rows = lengths.pop() if lengths else 1
    columns: list[Column] = []
    for name, type_ in zip(target.names, target.types, strict=True):
        column = given.get(name.lower(), Scalar(type_, None))
        columns.append(repeat(column, rows) if isinstance(column, Scalar) else column)
    return Table(list(target.names), columns)


def _unpacked(values: list[Value], columns: int) -> list[Value]:
    """`values(tuple)` gives one value per column."""
    if len(values) == 1 and columns > 1 and isinstance(values[0], AnyVector) and len(values[0]) == columns:
        return list(values[0].items)
    return values


def stacked(parts: Sequence[Table]) -> Table:
    """Tables on top of each other, columns matched by position and brought to a common type."""
    columns = []
    for index, name in enumerate(parts[0].names):
        given = [part.columns[index] for part in parts]
        column = concat(given)
        if isinstance(column, AnyVector) and all(isinstance(each, Vector) for each in given):
            types = ", ".join(each.type.name for each in given if isinstance(each, Vector))
            raise ScriptError(f"The columns [{name}] have types that do not go together: {types}.")
        columns.append(column)
    return Table(list(parts[0].names), columns)


def _append(target: Table | StoredTable, rows: Table) -> int:
    """Add the rows; returns how many are new."""
    if not isinstance(target, Table):
        target.append(rows)
        return rows.rows
    with target.lock:
        before = target.rows
        modify.append_rows(target, rows)
        return target.rows - before
