"""Window joins: aggregates over the right rows in a window of time around every left row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dolphin.script import syntax
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import tuple_to_vector
from engine.grouping import ContiguousGroups, Groups, scattered
from engine.interpreter.scope import Scope
from engine.operators import binary
from engine.sql import joining, matching
from engine.sql.evaluation import Executor, GroupEvaluator
from engine.sql.frame import Field, Frame, RowScope, joined_names
from engine.sql.naming import column_name
from engine.sql.rewrite import prepare
from engine.sql.window_aggregates import over_windows
from engine.types import Type
from engine.values import AnyVector, Array, ArrayVector, Code, Column, Scalar, Value, Vector, nulls, repeat, take

CHUNK_ROWS = 4_000_000


def window_join(
    name: str,
    left: Frame,
    right: Frame,
    left_keys: Sequence[int],
    right_keys: Sequence[int],
    arguments: dict[str, Value],
    executor: Executor,
    scope: Scope,
) -> Frame:
    """All left columns and one column per aggregate."""
    items = _aggregates(arguments["aggs"], name)
    begin, end, places, order = _windows(name, left, right, left_keys, right_keys, arguments["window"])
    fields = [
        Field(each.name, _column_of(left, index), each.qualifier, each.label, each.hidden)
        for index, each in enumerate(left.fields)
    ]
    source = right if order is None else right.take(order)
    prepared = [(prepare(node, source), aliases) for node, aliases in items]
    columns = evaluate_runs([node for node, _ in prepared], source, begin, end, executor, scope)
    labels = [each.label for each in fields if not each.hidden]
    for (node, aliases), column in zip(prepared, columns, strict=True):
        names = list(aliases) or [column_name(node, source)]
        if len(names) > 1:
            raise CallError(f"Usage: {joining.usage(name)}. An aggregate must have one alias.")
        label = joined_names(labels, names, "right")[0]
        labels.append(label)
        fields.append(Field(label, take(column, places)))
    return Frame(fields, left.rows)


def _column_of(frame: Frame, index: int):  # type: ignore[no-untyped-def]
    return lambda: frame.column(index)


def _aggregates(value: Value, name: str) -> list[tuple[syntax.Expression, tuple[str, ...]]]:
    if isinstance(value, AnyVector):
        return [item for each in value.items for item in _aggregates(each, name)]
    if not isinstance(value, Code):
        raise CallError(f"Usage: {joining.usage(name)}. aggs must be metacode such as <[sum(qty), avg(price)]>.")
    return _items(value.node)


def _items(node: syntax.Node) -> list[tuple[syntax.Expression, tuple[str, ...]]]:
    if isinstance(node, syntax.TupleLiteral | syntax.VectorLiteral):
        return [item for each in node.items for item in _items(each)]
    if isinstance(node, syntax.SelectItem):
        assert node.value is not None
        return [(node.value, node.aliases)]
    return [(node, ())]  # type: ignore[list-item]


def _windows(
    name: str, left: Frame, right: Frame, left_keys: Sequence[int], right_keys: Sequence[int], window: Value
) -> tuple[Array, Array, Array, Array | None]:
    """The runs of sorted right rows for the left rows, where each left row's run is, and what sorts the right rows."""
    low, high = _bounds(window, name)
    left_codes, right_codes, count, left_times, right_times = joining.coded(left, right, left_keys, right_keys)
    time = left.column(left_keys[-1])
    if not isinstance(time, Vector) or time.data.dtype.kind != "i" or time.type is Type.SYMBOL:
        raise CallError(f"Usage: {joining.usage(name)}. The last join column must be of an integer or temporal type.")
    index = matching.TimeIndex(right_codes, right_times, count)
    places = index.places(left_codes, left_times)
    if low.type is not Type.DURATION and low.value == 0 and high.value == 0:
        if name == "pwj":
            raise CallError(f"Usage: {joining.usage(name)}. The window 0:0 is only possible in wj.")
        begin, end = _since_previous(index, left_codes, left_times, places)
    else:
        starts = _shifted(time, left_times, low, right.column(right_keys[-1]))
        stops = _shifted(time, left_times, high, right.column(right_keys[-1]))
        begin = index.before(left_codes, starts, False, places)
        if name == "pwj":
            floor = scattered(index.start_of(left_codes), places)
            begin = np.maximum(index.before(left_codes, starts, True, places) - 1, floor)
        end = index.before(left_codes, stops, True, places)
    return begin, np.maximum(end, begin), places, index.order


def _since_previous(index: matching.TimeIndex, codes: Array, times: Array, places: Array) -> tuple[Array, Array]:
    """From the time of the previous left row of the same key up to, not including, that of this one."""
    order = np.argsort(codes, kind="stable")
    previous = np.full(len(codes), -1, dtype=np.int64)
    if len(order) > 1:
        same = codes[order[1:]] == codes[order[:-1]]
        previous[order[1:][same]] = order[:-1][same]
    end = index.before(codes, times, False, places)
    begin = np.where(previous >= 0, end[places][previous], index.start_of(codes))
    return scattered(begin, places), end


def _shifted(time: Vector, comparable: Array, offset: Scalar, other: Column) -> Array:
    """The left times plus one end of the window, on the scale in which both sides are compared."""
    assert isinstance(other, Vector)
    if offset.type is not Type.DURATION and time.type is other.type:
        return comparable.astype(np.int64) + int(offset.value)
    moved = binary("+", time, offset)
    assert isinstance(moved, Vector)
    return matching.comparable(moved, other)[0]


def _bounds(window: Value, name: str) -> tuple[Scalar, Scalar]:
    if isinstance(window, AnyVector):
        window = tuple_to_vector(window.items)
    if isinstance(window, Vector) and len(window) == 2:
        low, high = window.scalar(0), window.scalar(1)
        if (
            low.value is not None
            and high.value is not None
            and low.type in (Type.DURATION, Type.INT, Type.LONG, Type.SHORT, Type.CHAR)
        ):
            return low, high
    raise CallError(f"Usage: {joining.usage(name)}. window must be a pair of integers or durations.")


def evaluate_runs(
    nodes: Sequence[syntax.Expression],
    right: Frame,
    begin: Array,
    end: Array,
    executor: Executor,
    scope: Scope,
    limit: int | None = None,
) -> list[Column]:
    """The expressions over the rows `begin[i]` … `end[i]` - 1 for every i.

    `limit` is how many rows all windows may have together where they have to be looked at one by one.
    """
    fast = [over_windows(node, right, begin, end, executor, scope) for node in nodes]
    empty = begin == end
    columns = [
        None if column is None else empty_filled(column, empty, node, right, executor, scope)
        for node, column in zip(nodes, fast, strict=True)
    ]
    slow = [node for node, column in zip(nodes, columns, strict=True) if column is None]
    if slow and limit is not None and int((end - begin).sum()) > limit:
        raise UnsupportedError(f"{column_name(slow[0])} over windows of this size")
    rest = iter(_laid_out(slow, right, begin, end, executor, scope) if slow else [])
    return [next(rest) if column is None else column for column in columns]


def _laid_out(
    nodes: Sequence[syntax.Expression], right: Frame, begin: Array, end: Array, executor: Executor, scope: Scope
) -> list[Column]:
    """The rows of all windows one after the other, as groups."""
    sizes = end - begin
    results: list[list[Value]] = [[] for _ in nodes]
    for start, stop in _chunks(sizes):
        executor.check()
        part = sizes[start:stop]
        filled = np.flatnonzero(part > 0)
        counts = part[filled]
        codes = np.repeat(np.arange(len(filled)), counts)
        within = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = right.take(np.repeat(begin[start:stop][filled], counts) + within)
        groups: Groups = ContiguousGroups(counts)
        evaluator = GroupEvaluator(executor, scope, rows, groups)
        position = np.full(stop - start, -1, dtype=np.int64)
        position[filled] = np.arange(len(filled))
        for node, result in zip(nodes, results, strict=True):
            result.append(_scattered(evaluator, node, position, right, executor, scope))
    return [joined_chunks(result) for result in results]


def _chunks(sizes: Array) -> list[tuple[int, int]]:
    """Runs of left rows whose windows together have at most CHUNK_ROWS rows (or are a single one)."""
    total = np.cumsum(sizes)
    if not len(total) or total[-1] <= CHUNK_ROWS:
        return [(0, len(sizes))]
    chunks, start = [], 0
    while start < len(sizes):
        before = int(total[start - 1]) if start else 0
        stop = max(int(np.searchsorted(total, before + CHUNK_ROWS, side="right")), start + 1)
        chunks.append((start, stop))
        start = stop
    return chunks


def _scattered(
    evaluator: GroupEvaluator,
    node: syntax.Expression,
    position: Array,
    right: Frame,
    executor: Executor,
    scope: Scope,
) -> Value:
    """One value per left row; empty windows get what the aggregate gives for no rows."""
    column = _values(evaluator, node)
    if not (position < 0).any():
        return column
    if isinstance(column, ArrayVector | AnyVector):
        return matching.take_or_null(column, position)
    taken = matching.take_or_null(column, position)
    assert isinstance(taken, Vector)
    return empty_filled(taken, position < 0, node, right, executor, scope)


def empty_filled(
    column: Vector, empty: Array, node: syntax.Expression, right: Frame, executor: Executor, scope: Scope
) -> Vector:
    """What the expression gives for no rows, where a window is empty; in place."""
    if empty.any():
        none = executor.evaluate(node, RowScope(right.take(np.zeros(0, dtype=np.int64)), scope))
        known = isinstance(none, Scalar) and none.value is not None and none.type is column.type
        column.data[empty] = none.value if known else nulls(column.type, 1).data[0]  # type: ignore[union-attr]
    return column


def _values(evaluator: GroupEvaluator, node: syntax.Expression) -> Column:
    if isinstance(node, syntax.Name):
        result = evaluator.evaluate(node)
        if isinstance(result.value, Vector):
            return ArrayVector(result.value, evaluator.groups.offsets)
    column = evaluator.per_group(node)
    return repeat(column, evaluator.groups.count) if isinstance(column, Scalar) else column


def joined_chunks(parts: list[Value]) -> Column:
    from engine.forms import concat

    if len(parts) == 1 and isinstance(parts[0], Vector | AnyVector | ArrayVector):
        return parts[0]
    if not parts:
        raise ScriptError("A window join needs a left table with rows.")
    return concat(parts)
