"""Queries: the clauses of select and exec in the order they take effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dolphin.script import syntax
from engine import parallel
from engine.errors import ScriptError, UnsupportedError
from engine.grouping import ContiguousGroups
from engine.interpreter.scope import Scope
from engine.parallel import BLOCK, spans
from engine.sql import batches, interval, pivoting, resolve
from engine.sql.arranging import contiguous
from engine.sql.comma_join import with_join_keys
from engine.sql.evaluation import Executor, GroupEvaluator, boolean_mask, is_elementwise
from engine.sql.frame import Field, Frame, RowScope, frame_of
from engine.sql.group_windows import over_groups
from engine.sql.grouping import (
    Grouped,
    cgroup_by,
    group_by,
    is_all,
    of_groups,
)
from engine.sql.naming import column_name, free_name
from engine.sql.ordering import Limit, SortKey, distinct_rows, limit_of, sort_order
from engine.sql.output import Output, split_columns
from engine.sql.pruning import Need, need_of
from engine.sql.quantifiers import prepare_condition
from engine.sql.rewrite import SINGLE_ROW, depends_on_rows, prepare, references, value_query
from engine.sql.subqueries import has_subqueries, with_subqueries
from engine.sql.windows import has_windows, with_windows
from engine.types import Type
from engine.values import Array, Column, Scalar, Table, Value, Vector, repeat, take

REFUSED_HINTS = {"HINT_EXPLAIN": "HINT_EXPLAIN", "32768": "HINT_EXPLAIN", "HINT_SNAPSHOT": "HINT_SNAPSHOT"}
KEEP_ORDER = ("HINT_KEEPORDER", "128")


def select(query: syntax.Select, executor: Executor, scope: Scope) -> Value:
    for hint in query.hints:
        if hint in REFUSED_HINTS:
            raise UnsupportedError(f"The hint [{REFUSED_HINTS[hint]}]")
    query = with_join_keys(query)
    frame = resolve.resolve(query.source, executor, scope, _need(query, executor, scope))
    frame = filtered(frame, query.where, executor, scope)
    limit = limit_of(_constant(query.top, executor, scope), _constant(query.limit, executor, scope))
    if query.pivot is not None:
        return _pivoted(query, frame, limit, executor, scope)
    if query.grouping is None:
        return _plain(query, frame, limit, executor, scope)
    if query.grouping.kind == "context":
        return _exported(query, _context(query, frame, limit, executor, scope), scalar=False)
    return _exported(query, _grouped(query, frame, limit, executor, scope), scalar=False)


def _constant(node: syntax.Expression | None, executor: Executor, scope: Scope) -> Value | None:
    return executor.evaluate(node, scope) if node is not None else None


def _need(query: syntax.Select, executor: Executor, scope: Scope) -> Need:
    if query.source is None:
        return Need()
    parts: list[syntax.Node | None] = [
        *query.items, *query.where, query.grouping, query.pivot, *query.csort, query.having, *query.order,
    ]  # fmt: skip
    if query.grouping is None and query.pivot is None and not query.items:
        return Need()
    return need_of(
        [part for part in parts if part is not None], query.where, lambda node: executor.evaluate(node, scope)
    )


def filtered(frame: Frame, where: Sequence[syntax.Expression], executor: Executor, scope: Scope) -> Frame:
    """The rows that meet all conditions; each one sees only those that met the ones before."""
    pending: list[Array] = []
    for condition in where:
        node, frame, inner = with_subqueries(prepare(condition, frame), frame, executor, scope)
        node = prepare_condition(node, frame, executor, inner)
        if has_windows(node):
            raise ScriptError("Analytic functions cannot be used in the where clause.")
        # A condition on single elements holds or not whatever the other rows are: nothing need be taken for it.
        if pending and not (is_elementwise(node, frame, inner) and _are_plain(node, frame)):
            frame, pending = _kept(frame, pending), []
        value = executor.evaluate(node, RowScope(frame, inner))
        if isinstance(value, Vector) and value.type is Type.BOOL and len(value) == frame.rows:
            pending.append(value.data)
        else:
            pending.append(boolean_mask(value, frame.rows))
    return _kept(frame, pending) if pending else frame


def _kept(frame: Frame, conditions: Sequence[Array]) -> Frame:
    """The rows for which all conditions are greater than 0: true, not NULL."""

    def chosen(rows: slice) -> Array:
        mask = conditions[0][rows] > 0
        for condition in conditions[1:]:
            mask &= condition[rows] > 0
        found = np.flatnonzero(mask)
        found += rows.start
        return found

    positions = np.concatenate(parallel.each(chosen, spans(frame.rows, 4 * BLOCK), frame.rows))
    return frame if len(positions) == frame.rows else frame.take(positions)


def _are_plain(node: syntax.Expression, frame: Frame) -> bool:
    """Whether every column in an expression holds numbers or codes, which are quick to look at."""
    names = [each.id for each in syntax.walk(node) if isinstance(each, syntax.Name)]
    columns = [frame.column(index) for index in map(frame.find, names) if index >= 0]
    return all(isinstance(column, Vector) and (column.kind != "O" or column.coded() is not None) for column in columns)


# --- without grouping


def _plain(query: syntax.Select, frame: Frame, limit: Limit | None, executor: Executor, scope: Scope) -> Value:
    if query.having is not None:
        raise ScriptError("The having clause requires group by or context by.")
    if query.csort:
        raise ScriptError("The csort clause requires context by.")
    quick = _quick_rows(query, frame, limit)
    if quick is not None:
        frame, limit = quick, None
    output = Output()
    aggregated, depends = bool(query.items), not frame.fields
    nodes: list[syntax.Expression | None] = []
    for item in query.items:
        if item.value is None or is_all(item.value):
            aggregated = False
            _add_all(output, item, frame)
            nodes.extend([None] * (len(output.names) - len(nodes)))
            continue
        node, rows, inner = with_subqueries(value_query(prepare(item.value, frame)), frame, executor, scope)
        if has_windows(node):
            node, rows = with_windows(node, rows, executor, inner)
        value = executor.evaluate(node, RowScope(rows, inner))
        names = list(item.aliases) or [free_name(item.value, frame, output.names)]
        for name, column in split_columns(value, names, frame.rows):
            output.add(name, column, qualifier_of(item))
            nodes.append(node)
            aggregated = aggregated and isinstance(column, Scalar)
        depends = depends or depends_on_rows(node, rows)
    aggregated = aggregated and depends
    length = _length(output, frame, aggregated)
    table = output.table(length)
    table = _ordered(query, table, frame if length == frame.rows else None, nodes, limit, executor, scope)
    return _exported(query, table, scalar=aggregated)


def _length(output: Output, frame: Frame, aggregated: bool) -> int:
    """The rows of the result: functions such as `distinct` change it, if all columns agree."""
    if aggregated:
        return 1
    lengths = [len(value) for value in output.values if not isinstance(value, Scalar)]
    if not lengths:
        return frame.rows
    return lengths[0] if frame.rows not in lengths else frame.rows


def qualifier_of(item: syntax.SelectItem) -> str | None:
    """The table alias a column without an alias of its own was selected by."""
    value = item.value
    if item.aliases or not isinstance(value, syntax.Member) or not isinstance(value.target, syntax.Name):
        return None
    return value.target.id


def _add_all(output: Output, item: syntax.SelectItem, frame: Frame) -> None:
    qualifier = None
    if isinstance(item.value, syntax.Member) and isinstance(item.value.target, syntax.Name):
        qualifier = item.value.target.id
    for index in frame.visible(qualifier):
        each = frame.fields[index]
        output.add(each.label if not each.hidden else each.name, frame.column(index), qualifier)


def _quick_rows(query: syntax.Select, frame: Frame, limit: Limit | None) -> Frame | None:
    """For plain columns in stored order the limit can be applied before anything is read."""
    if limit is None or query.order or query.distinct or limit.count < 0:
        return None
    for item in query.items:
        if item.value is not None and not isinstance(item.value, syntax.Name | syntax.Member):
            return None
        if isinstance(item.value, syntax.Name) and frame.find(item.value.id) < 0:
            return None
    rows = limit.rows(frame.rows)
    return frame.take(np.arange(rows.start, rows.stop))


# --- order by, distinct, limit


def _ordered(
    query: syntax.Select,
    table: Table,
    frame: Frame | None,
    nodes: Sequence[syntax.Expression | None],
    limit: Limit | None,
    executor: Executor,
    scope: Scope,
    of_groups: Callable[[syntax.Expression], Column | Scalar] | None = None,
) -> Table:
    """Distinct, order by and limit on a result.

    `frame` are the rows it came from, if they correspond; `of_groups` evaluates what is no column of it.
    """
    if query.distinct and table.columns:
        rows = distinct_rows(table.columns)
        table, frame = table.take(rows), None
    if query.order:
        if query.order_interval is not None:
            raise UnsupportedError("interval after order by")
        keys = [
            SortKey(
                _sort_column(item.value, table, frame, nodes, executor, scope, of_groups),
                item.descending,
                item.nulls_first,
            )
            for item in query.order
        ]
        order = sort_order(keys, limit.last_needed if limit is not None else None)
        if limit is not None:
            order = order[limit.rows(len(order))]
        return table.take(order)
    if limit is not None:
        if limit.count < 0:
            raise ScriptError("A negative limit can only be used with context by.")
        return table.take(limit.rows(table.rows))
    return table


def _sort_column(
    node: syntax.Expression,
    table: Table,
    frame: Frame | None,
    nodes: Sequence[syntax.Expression | None],
    executor: Executor,
    scope: Scope,
    of_groups: Callable[[syntax.Expression], Column | Scalar] | None,
) -> Column:
    """A column of the result by name or expression, else computed from the result, else from the rows behind it."""
    result = frame_of(table)
    if isinstance(node, syntax.Name | syntax.Member | syntax.ColumnName):
        name = node.id if isinstance(node, syntax.Name) else node.name if isinstance(node, syntax.Member) else node.text
        index = result.find(name)
        if index >= 0:
            return table.columns[index]
    prepared = prepare(node, frame) if frame is not None else node
    if prepared in nodes:
        return table.columns[nodes.index(prepared)]
    if isinstance(node, syntax.Literal) and isinstance(node.value, int) and 1 <= node.value <= len(table.columns):
        return table.columns[node.value - 1]
    value: Value
    if has_subqueries(node):
        if frame is None:
            raise UnsupportedError("A subquery in the order by clause of this query")
        prepared, frame, scope = with_subqueries(value_query(prepared), frame, executor, scope)
        value = executor.evaluate(prepared, RowScope(frame, scope))
    elif of_groups is not None:
        value = of_groups(node)
    elif frame is None or all(result.find(name) >= 0 for name in references(prepared, frame)):
        value = executor.evaluate(prepare(node, result), RowScope(result, scope))
    else:
        new = [Field(n, c) for n, c in zip(table.names, table.columns, strict=True) if frame.find(n) < 0]
        value = executor.evaluate(prepared, RowScope(frame.extended(new), scope))
    if isinstance(value, Scalar):
        return repeat(value, table.rows)
    if isinstance(value, Vector) and len(value) == table.rows:
        return value
    raise ScriptError("An order by expression must have as many elements as the result has rows.")


# --- group by


def _grouped(query: syntax.Select, frame: Frame, limit: Limit | None, executor: Executor, scope: Scope) -> Table:
    assert query.grouping is not None
    if query.csort:
        raise ScriptError("The csort clause requires context by.")
    if any(item.value is not None and has_windows(item.value) for item in query.items):
        table = over_groups(
            query,
            frame,
            lambda inner: _grouped(inner, frame, None, executor, scope),
            lambda outer, groups: _plain(outer, groups, limit, executor, scope),
        )
        assert isinstance(table, Table)
        return table
    if query.grouping.kind == "cgroup":
        table = cgroup_by(query.items, query.grouping.within, query.grouping.keys, frame, executor, scope)
        return _ordered(query, table, None, [None] * len(table.names), limit, executor, scope)
    start = _interval_start(query, executor, scope)
    grouped = group_by(query.items, query.grouping.keys, frame, executor, scope, start)
    table = grouped.output.table(grouped.evaluator.groups.count)
    keys = grouped.key_columns
    kept: Array | None = None
    if query.having is not None:
        kept = np.flatnonzero(boolean_mask(of_groups(query.having, grouped), table.rows))
        table, keys = table.take(kept), [take(column, kept) for column in keys]
    if grouped.keys.intervals:
        table = interval.filled(table, keys, _key_labels(grouped), grouped.keys.intervals)
        return _ordered(query, table, None, [None] * len(table.names), limit, executor, scope)

    def of_kept(node: syntax.Expression) -> Column | Scalar:
        column = of_groups(node, grouped)
        return column if kept is None or isinstance(column, Scalar) else take(column, kept)

    return _ordered(query, table, None, _nodes_by_column(query, grouped), limit, executor, scope, of_kept)


def _interval_start(query: syntax.Select, executor: Executor, scope: Scope) -> Scalar | None:
    """The lower bound that the where clause puts on the column of an interval."""
    assert query.grouping is not None
    calls = [key.value for key in query.grouping.keys if interval.is_interval(key.value)]
    columns = [call.arguments[0].value.id for call in calls if isinstance(call.arguments[0].value, syntax.Name)]
    if not columns or not query.where:
        return None
    need = need_of([], query.where, lambda node: executor.evaluate(node, scope))
    for found in need.conjuncts_of(columns, None):
        if found.function is None and found.operator in (">", ">=", "==", "between"):
            return found.operand.scalar(0) if isinstance(found.operand, Vector) else found.operand
    return None


def _key_labels(grouped: Grouped) -> list[str]:
    """The names under which the grouping columns are in the result."""
    labels = []
    for position, column in enumerate(grouped.key_columns):
        names = [n for n, v in zip(grouped.output.names, grouped.output.values, strict=True) if v is column]
        labels.append(names[0] if names else grouped.keys.names[position])
    return labels


def _nodes_by_column(query: syntax.Select, grouped: Grouped) -> list[syntax.Expression | None]:
    by_name: dict[str, syntax.Expression] = dict(zip(grouped.keys.names, grouped.keys.nodes, strict=True))
    for item in query.items:
        assert item.value is not None
        name = item.aliases[0] if item.aliases else column_name(item.value, grouped.evaluator.frame)
        by_name.setdefault(name, prepare(item.value, grouped.evaluator.frame))
    return [by_name.get(name) for name in grouped.output.names]


# --- context by


def _context(query: syntax.Select, frame: Frame, limit: Limit | None, executor: Executor, scope: Scope) -> Table:
    """Rows stay rows, functions see one group at a time; groups come out in the order of their keys."""
    assert query.grouping is not None
    keep_order = any(hint in KEEP_ORDER for hint in query.hints)
    values = [None if each.value is None or is_all(each.value) else each.value for each in query.items]
    prepared = [None if value is None else prepare(value, frame) for value in values]
    # Where no expression looks at a whole group, only the rows wanted of it need to be looked at.
    alone = all(node is None or is_elementwise(node, frame, scope) for node in prepared)
    early = limit if alone and query.having is None else None
    if isinstance(query.top, syntax.Binary):
        raise ScriptError("A query with context by can't specify a range in the top clause.")
    # Rows that `limit` takes as they are stay in the order of the table.
    keep_order = keep_order or (early is not None and query.limit is not None and not query.csort)
    arranged = contiguous(query.grouping.keys, query.csort, frame, executor, scope, early)
    limit = None if early is not None else limit
    frame, groups = arranged.frame, arranged.groups
    evaluator = GroupEvaluator(executor, scope, frame, groups)
    if any(node is not None and has_windows(node) for node in prepared):
        raise UnsupportedError("An over clause together with context by")
    single = [node for item, node in zip(query.items, prepared, strict=True) if node is not None and _is_single(item)]
    columns = iter(batches.per_row(evaluator, single))
    output = Output()
    nodes: list[syntax.Expression | None] = []
    for item, node in zip(query.items, prepared, strict=True):
        if node is None:
            _add_all(output, item, frame)
            nodes.extend([None] * (len(output.names) - len(nodes)))
        elif _is_single(item):
            assert item.value is not None
            output.add((*item.aliases, column_name(item.value, frame))[0], next(columns), qualifier_of(item))
            nodes.append(node)
        else:
            members = evaluator.members_per_row(node, len(item.aliases))
            for name, column in split_columns(members, list(item.aliases), groups.rows):
                output.add(name, column, qualifier_of(item))
                nodes.append(node)
    table = output.table(frame.rows)
    kept: Array | None = None
    if query.having is not None:
        extra = [Field(n, c) for n, c in zip(table.names, table.columns, strict=True) if frame.find(n) < 0]
        wide = frame.extended(extra)
        having = prepare_condition(prepare(query.having, wide), wide, executor, scope)
        condition = GroupEvaluator(executor, scope, wide, groups).per_row(having)
        kept = np.flatnonzero(boolean_mask(condition, frame.rows))
        sizes = np.bincount(groups.codes[kept])
        groups = ContiguousGroups(sizes[sizes > 0])
    if limit is not None:
        within = limit.within_groups(groups)
        kept = within if kept is None else kept[within]
    if kept is not None:
        table, frame = table.take(kept), frame.take(kept)
    if keep_order and not query.order:
        original = arranged.order if kept is None else arranged.order[kept]
        return table.take(np.argsort(original, kind="stable"))
    return _ordered(query, table, frame, nodes, None, executor, scope)


def _is_single(item: syntax.SelectItem) -> bool:
    return len(item.aliases) <= 1


# --- results


def _pivoted(query: syntax.Select, frame: Frame, limit: Limit | None, executor: Executor, scope: Scope) -> Value:
    if query.grouping is not None:
        raise ScriptError("pivot by cannot be combined with group by or context by.")
    result = pivoting.pivot_by(query, frame, executor, scope)
    if isinstance(result, Table):
        return _ordered(query, result, None, [None] * len(result.names), limit, executor, scope)
    return result


def _exported(query: syntax.Select, table: Table, scalar: bool) -> Value:
    """What exec gives: a scalar or column when there is one, else the table."""
    if query.kind == "select" or len(table.columns) != 1:
        return _exec_single(query, table)
    column = table.columns[0]
    single = scalar or SINGLE_ROW in query.hints
    if single and isinstance(column, Vector) and len(column) == 1:
        return column.scalar(0)
    return column.copy() if isinstance(column, Vector) else column


def _exec_single(query: syntax.Select, table: Table) -> Value:
    """exec of one expression with group by leaves the keys out."""
    if query.kind == "exec" and query.grouping is not None and query.grouping.kind == "group" and len(query.items) == 1:
        names = query.items[0].aliases or (table.names[-1],)
        if len(names) == 1 and len(table.columns) == len(query.grouping.keys) + 1:
            column = table.columns[-1]
            return column.copy() if isinstance(column, Vector) else column
    return table


__all__ = ["filtered", "select"]
