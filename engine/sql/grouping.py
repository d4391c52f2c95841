"""Group by and cgroup by: keys, `interval`, and one row per group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.forms import concat, tuple_to_vector
from engine.grouping import Groups
from engine.interpreter.scope import Scope
from engine.sql import interval
from engine.sql.evaluation import Executor, GroupEvaluator, Level, Result, UnsuitableError
from engine.sql.frame import ROW_MARK, Field, Frame, RowScope, frame_of
from engine.sql.keys import group_rows
from engine.sql.naming import column_name
from engine.sql.output import Output, split_columns
from engine.sql.quantifiers import prepare_condition
from engine.sql.rewrite import prepare, references
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    Column,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    repeat,
    take,
)


@dataclass(slots=True)
class Keys:
    """The grouping columns: their names, expressions and values by row."""

    names: list[str]
    nodes: list[syntax.Expression]
    columns: list[Column]
    intervals: dict[int, interval.Interval]


def evaluate_keys(
    items: Sequence[syntax.SelectItem], frame: Frame, executor: Executor, scope: Scope, start: Scalar | None = None
) -> Keys:
    keys = Keys([], [], [], {})
    rows = RowScope(frame, scope)
    for item in items:
        assert item.value is not None
        node = prepare(item.value, frame)
        spec = interval.interval_of(node, executor, rows, start)
        if spec is not None:
            keys.intervals[len(keys.columns)] = spec
            value: Value = spec.column
            node = spec.node
        else:
            value = executor.evaluate(node, rows)
        parts = _key_columns(value, frame.rows)
        names = list(item.aliases) or [column_name(item.value, frame)]
        if len(parts) != len(names):
            if len(names) == 1:
                names = [f"{names[0]}_{index}" for index in range(len(parts))]
            else:
                raise ScriptError("The number of aliases does not match the number of grouping columns.")
        for name, column in zip(names, parts, strict=True):
            keys.names.append(name)
            keys.columns.append(column)
            keys.nodes.append(node)
    return keys


def _key_columns(value: Value, rows: int) -> list[Column]:
    if isinstance(value, Scalar):
        return [repeat(value, rows)]
    if isinstance(value, IndexedSeries):
        value = value.values
    if isinstance(value, AnyVector) and len(value) != rows:
        return [column for item in value.items for column in _key_columns(item, rows)]
    if isinstance(value, AnyVector):
        merged = tuple_to_vector(value.items)
        if isinstance(merged, Vector):
            return [merged]
        if all(isinstance(item, Vector) and len(item) == rows for item in value.items):
            return [item for item in value.items if isinstance(item, Vector)]
    if isinstance(value, Matrix) and value.rows == rows:
        return [value.column(index) for index in range(value.columns)]
    if isinstance(value, Vector | ArrayVector) and len(value) == rows:
        return [value]
    raise ScriptError("A grouping column must have as many elements as there are rows.")


@dataclass(slots=True)
class Grouped:
    """The result of grouping, before `having` and ordering."""

    keys: Keys
    evaluator: GroupEvaluator
    key_columns: list[Column]
    output: Output


def group_by(
    items: Sequence[syntax.SelectItem],
    key_items: Sequence[syntax.SelectItem],
    frame: Frame,
    executor: Executor,
    scope: Scope,
    start: Scalar | None = None,
) -> Grouped:
    """`start` is where the conditions of the query let the column of an interval begin."""
    keys = evaluate_keys(key_items, frame, executor, scope, start)
    if keys.intervals:
        frame, keys = interval.spread(frame, keys)
    groups, first = group_rows(keys.columns)
    key_columns = [take(column, first) for column in keys.columns]
    return aggregate(items, keys, key_columns, GroupEvaluator(executor, scope, frame, groups))


def aggregate(
    items: Sequence[syntax.SelectItem], keys: Keys, key_columns: list[Column], evaluator: GroupEvaluator
) -> Grouped:
    """Keys not selected come first, then the select clause in its order."""
    output = Output()
    selected: list[tuple[list[str], Column | Scalar | None, int]] = []
    chosen: set[int] = set()
    for item in items:
        if item.value is None or is_all(item.value):
            raise ScriptError("* cannot be used in the select clause of a group by query.")
        node = prepare(item.value, evaluator.frame)
        position = _key_of(node, keys, evaluator.frame)
        if position >= 0:
            chosen.add(position)
            selected.append((list(item.aliases) or [keys.names[position]], None, position))
        else:
            names = list(item.aliases) or [column_name(item.value, evaluator.frame)]
            selected.append((names, per_group(evaluator, node, keys), -1))
    for position, name in enumerate(keys.names):
        if position not in chosen:
            output.add(name, key_columns[position])
    for names, value, position in selected:
        if value is None:
            output.add(names[0], key_columns[position])
        else:
            for name, column in split_columns(value, names):
                output.add(name, column)
    return Grouped(keys, evaluator, key_columns, output)


def per_group(evaluator: GroupEvaluator, node: syntax.Expression, keys: Keys) -> Column | Scalar:
    """An expression of aggregates and keys, one element per group."""
    result = evaluator.evaluate(node)
    if result.level is Level.ROWS and not result.collected and _only_keys(node, keys, evaluator.frame):
        starts = evaluator.groups.order[evaluator.groups.offsets[:-1]]
        if not isinstance(result.value, Vector | AnyVector | ArrayVector):
            raise ScriptError("A column of a query must be a vector.")
        return take(result.value, starts)
    return evaluator.per_group(node)


def _only_keys(node: syntax.Expression, keys: Keys, frame: Frame) -> bool:
    """Whether the columns in an expression are all grouping columns, so that it is the same throughout a group."""
    known = {frame.find(each.id) for each in keys.nodes if isinstance(each, syntax.Name)}
    pending: list[syntax.Node] = [node]
    while pending:
        each = pending.pop()
        if any(each == key for key in keys.nodes):
            continue
        if isinstance(each, syntax.Name) and frame.find(each.id) >= 0 and frame.find(each.id) not in known:
            return False
        if isinstance(each, syntax.Call) and isinstance(each.function, syntax.Name):
            pending.extend(each.arguments)
        else:
            pending.extend(syntax.children(each))
    return True


def is_all(node: syntax.Expression) -> bool:
    return isinstance(node, syntax.Member) and node.name == "*"


def _key_of(node: syntax.Expression, keys: Keys, frame: Frame) -> int:
    """The grouping column a select item repeats, by expression or by name; -1 if none."""
    for position, key in enumerate(keys.nodes):
        if node == key and keys.nodes.count(key) == 1:
            return position
    if isinstance(node, syntax.Name):
        index = frame.find(node.id)
        for position, key in enumerate(keys.nodes):
            if isinstance(key, syntax.Name) and index >= 0 and frame.find(key.id) == index:
                return position
        lowered = [name.lower() for name in keys.names]
        if index < 0 and node.id.lower() in lowered:
            return lowered.index(node.id.lower())
    return -1


def of_groups(node: syntax.Expression, grouped: Grouped) -> Column | Scalar:
    """An expression of a having or order by clause, one element per group.

    Its names are columns of the rows, else of the result; without an aggregate function they are those of the result.
    """
    evaluator = grouped.evaluator
    table = grouped.output.table(evaluator.groups.count)
    result = frame_of(table)
    prepared = prepare_condition(prepare(node, evaluator.frame), evaluator.frame, evaluator.executor, evaluator.scope)
    names = {name for name in references(prepared, result) if name != ROW_MARK}
    new = {name: table.columns[result.find(name)] for name in names if evaluator.frame.find(name) < 0}
    if new:
        codes = evaluator.groups.codes
        wide = evaluator.frame.extended([Field(name, take(column, codes)) for name, column in new.items()])
        singles = {name: Result(column, Level.GROUPS) for name, column in new.items()}
        evaluator = GroupEvaluator(evaluator.executor, evaluator.scope, wide, evaluator.groups, singles)
    try:
        plain = evaluator.evaluate(prepared)
    except UnsuitableError as error:
        raise ScriptError(
            f"[{', '.join(sorted(new))}] has one value for every group and cannot be aggregated again; use a subquery."
        ) from error
    if plain.level is Level.ROWS and not plain.collected and names.issuperset(references(prepared, evaluator.frame)):
        return evaluator.executor.evaluate(prepared, RowScope(result, evaluator.scope))  # type: ignore[return-value]
    return per_group(evaluator, prepared, grouped.keys)


def cgroup_by(
    items: Sequence[syntax.SelectItem],
    group_items: Sequence[syntax.SelectItem],
    cumulative_items: Sequence[syntax.SelectItem],
    frame: Frame,
    executor: Executor,
    scope: Scope,
) -> Table:
    """For every cgroup by group the aggregates over all rows up to and including it, within group by groups."""
    fixed = evaluate_keys(group_items, frame, executor, scope)
    moving = evaluate_keys(cumulative_items, frame, executor, scope)
    steps, firsts = group_rows(moving.columns)
    names = fixed.names + moving.names
    tables: list[Table] = []
    for step in range(steps.count):
        executor.check()
        rows = np.flatnonzero(steps.codes <= step)
        keys = Keys(names, fixed.nodes + moving.nodes, [], {})
        stepped = [take(take(column, firsts), np.full(len(rows), step)) for column in moving.columns]
        keys.columns = [take(column, rows) for column in fixed.columns] + stepped
        part = frame.take(rows)
        groups, first = group_rows(keys.columns)
        present = _reached(groups, steps.codes[rows] == step)
        evaluator = GroupEvaluator(executor, scope, part, groups)
        grouped = aggregate(items, keys, [take(column, first) for column in keys.columns], evaluator)
        tables.append(grouped.output.table(groups.count).take(present))
    if not tables:
        return group_by(items, [*group_items, *cumulative_items], frame, executor, scope).output.table(0)
    columns = [concat([table.columns[index] for table in tables]) for index in range(len(tables[0].columns))]
    return Table(tables[0].names, columns)


def _reached(groups: Groups, current: Array) -> Array:
    """Groups that have rows of the current step."""
    return np.bincount(groups.codes, weights=current, minlength=groups.count) > 0
