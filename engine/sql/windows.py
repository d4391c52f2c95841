"""Analytic functions: `f(x) over (partition by … order by … rows between … and …)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.forms import concat
from engine.grouping import ContiguousGroups, Groups
from engine.interpreter.scope import Scope
from engine.operators import binary
from engine.sql.evaluation import NO_SPAN, Executor, GroupEvaluator
from engine.sql.frame import Field, Frame, RowScope
from engine.sql.keys import combined_codes, groups_of
from engine.sql.matching import take_or_null
from engine.sql.modify import fitted
from engine.sql.naming import column_name
from engine.sql.ordering import SortKey, is_sorted, sort_order
from engine.sql.rewrite import SUBQUERIES, prepare, transform
from engine.sql.window_join import empty_filled, evaluate_runs
from engine.types import Type
from engine.values import AnyVector, Array, ArrayVector, Column, Scalar, Value, Vector, repeat, take

COLUMNS_ONLY = "partition by and order by in an over clause require columns."
MAX_WINDOW_ROWS = 200_000_000
CUMULATIVE = {"sum", "avg", "count", "max", "min", "std", "stdp", "var", "varp", "prod", "med", "sum2"}


def has_windows(node: syntax.Node) -> bool:
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, syntax.Over):
            return True
        if not isinstance(each, SUBQUERIES):
            pending.extend(syntax.children(each))
    return False


def with_windows(
    node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope
) -> tuple[syntax.Expression, Frame]:
    """The expression with every `over` replaced by a hidden column of the frame returned."""
    added: list[Field] = []

    def change(each: syntax.Node) -> syntax.Node:
        if not isinstance(each, syntax.Over):
            return each
        name = f"\0over{len(added)}"
        added.append(Field(name, evaluate_window(each, frame, executor, scope), hidden=True))
        return syntax.Name(name, span=NO_SPAN)

    changed = transform(node, change)
    return changed, frame.extended(added)


class Window:
    """The rows sorted by partition and order, with the run of rows each one's window covers."""

    def __init__(self, node: syntax.Over, frame: Frame, executor: Executor, scope: Scope) -> None:
        self.executor = executor
        self.scope = scope
        rows = RowScope(frame, scope)

        partition = _partition(node, frame, executor, scope)
        self._sorting = [
            SortKey(_key(item.value, frame, executor, rows), item.descending, item.nulls_first) for item in node.order
        ]
        if not self._sorting or (len(self._sorting) == 1 and is_sorted(self._sorting[0])):
            self.order: Array = partition.order
            self._places: Array | None = partition.places
        else:
            self.order = sort_order([SortKey(Vector(Type.LONG, partition.codes)), *self._sorting])
            self._places = None
        self.groups = ContiguousGroups(partition.sizes)
        self.frame = frame.take(self.order)
        self.ordered = bool(node.order)
        self.descending = self.ordered and node.order[0].descending
        self.start = np.repeat(self.groups.offsets[:-1], self.groups.sizes)
        self.stop = np.repeat(self.groups.offsets[1:], self.groups.sizes)

    @property
    def rows(self) -> int:
        return self.groups.rows

    @property
    def codes(self) -> Array:
        return self.groups.codes

    @cached_property
    def order_column(self) -> Column | None:
        return take(self._sorting[0].column, self.order) if len(self._sorting) == 1 else None

    @cached_property
    def peers(self) -> Array:
        """Equal numbers for rows that are equal in the order by columns."""
        if not self._sorting:
            return np.zeros(self.rows, np.int64)
        return combined_codes([take(key.column, self.order) for key in self._sorting])[0]

    def restored(self, column: Column) -> Column:
        """A column of the sorted rows in the order of the frame it was made of."""
        places = self._places
        if places is None:
            places = np.empty(self.rows, dtype=np.int64)
            places[self.order] = np.arange(self.rows)
        return take(column, places)

    def new_peers(self) -> Array:
        """Whether a row starts a new set of equal rows within its partition."""
        fresh = np.ones(self.rows, dtype=bool)
        if self.rows:
            fresh[1:] = (self.peers[1:] != self.peers[:-1]) | (self.codes[1:] != self.codes[:-1])
        return fresh

    def peer_bounds(self) -> tuple[Array, Array]:
        fresh = np.flatnonzero(self.new_peers())
        group = np.cumsum(self.new_peers()) - 1
        ends = np.append(fresh[1:], self.rows)
        return fresh[group], ends[group]

    def bounds(self, node: syntax.Over) -> tuple[Array, Array]:
        """First and one past the last sorted row of every row's window."""
        at = np.arange(self.rows)
        if node.frame is None:
            return self.start, (self.peer_bounds()[1] if self.ordered else self.stop)
        start, stop = node.start, node.stop if node.stop is not None else "current row"
        if node.frame == "range":
            return self._range_bounds(start, stop)
        begin = self.start if start == "unbounded preceding" else at + self._distance(start)
        end = self.stop if stop == "unbounded following" else at + self._distance(stop) + 1
        begin = np.clip(begin, self.start, self.stop)
        return begin, np.clip(end, begin, self.stop)

    def _range_bounds(
        self, start: syntax.Expression | str | None, stop: syntax.Expression | str
    ) -> tuple[Array, Array]:
        first, last = self.peer_bounds()
        begin = {"unbounded preceding": self.start, "current row": first}.get(start if isinstance(start, str) else "")
        end = {"unbounded following": self.stop, "current row": last}.get(stop if isinstance(stop, str) else "")
        if begin is None:
            begin = self._reach(start, "left", first)
        if end is None:
            end = self._reach(stop, "right", last)
        return begin, np.maximum(end, begin)

    def _reach(self, bound: syntax.Expression | str | None, side: Literal["left", "right"], peers: Array) -> Array:
        """Where the value of the order column plus an offset would be inserted; of a NULL, the end of its `peers`."""
        column = self.order_column
        if not isinstance(column, Vector) or column.data.dtype.kind not in "if" or column.type is Type.SYMBOL:
            raise ScriptError("A range window with an offset requires one numeric or temporal order by column.")
        offset, sign = self._offset(bound), "-" if self.descending else "+"
        values = column.data.astype(np.float64 if column.data.dtype.kind == "f" else np.int64)
        if offset.type is Type.DURATION:
            moved = binary(sign, column, offset)
            if not isinstance(moved, Vector) or moved.type is not column.type:
                raise ScriptError("The duration of a range window must not be finer than the column it is ordered by.")
            wanted = moved.data.astype(np.int64)
        else:
            wanted = values + offset.value if sign == "+" else values - offset.value
        if self.descending:
            values, wanted = -values, -wanted
        missing = column.nulls()
        out = peers.copy()
        for group in range(self.groups.count):
            first, last = int(self.groups.offsets[group]), int(self.groups.offsets[group + 1])
            known = np.flatnonzero(~missing[first:last])
            if len(known):
                run = slice(first + int(known[0]), first + int(known[-1]) + 1)
                out[run] = run.start + np.searchsorted(values[run], wanted[run], side=side)
        return out

    def _offset(self, bound: syntax.Expression | str | None) -> Scalar:
        if bound == "current row":
            return Scalar(Type.INT, 0)
        if bound is None or isinstance(bound, str):
            raise ScriptError(f"The window boundary [{bound}] cannot be used here.")
        value = self.executor.evaluate(bound, self.scope)
        if isinstance(value, Scalar) and (value.type is Type.DURATION or isinstance(value.value, int)):
            return value
        raise ScriptError("The boundaries of a window must be integers or, in a range window, durations.")

    def _distance(self, bound: syntax.Expression | str | None) -> int:
        offset = self._offset(bound)
        if offset.type is Type.DURATION:
            raise ScriptError("The boundaries of a window of rows must be integers.")
        return int(offset.value)


def _key(node: syntax.Expression, frame: Frame, executor: Executor, rows: RowScope) -> Vector:
    """A column to partition or order by."""
    value = executor.evaluate(prepare(node, frame), rows)
    if isinstance(value, Scalar):
        return repeat(value, frame.rows)
    if isinstance(value, Vector) and len(value) == frame.rows:
        return value
    raise ScriptError(COLUMNS_ONLY)


def _partition(node: syntax.Over, frame: Frame, executor: Executor, scope: Scope) -> Groups:
    rows = RowScope(frame, scope)
    keys = [_key(part, frame, executor, rows) for part in node.partition]
    return groups_of(keys) if keys else ContiguousGroups(np.full(min(frame.rows, 1), frame.rows))


def evaluate_window(node: syntax.Over, frame: Frame, executor: Executor, scope: Scope) -> Column:
    whole = prepare(node.call, frame)
    if (
        isinstance(whole, syntax.Call)
        and isinstance(whole.function, syntax.Name)
        and whole.function.id not in NOT_AGGREGATES
        and not node.order
        and node.frame is None
    ):
        # One value per partition: nothing need be sorted.
        return GroupEvaluator(executor, scope, frame, _partition(node, frame, executor, scope)).per_row(whole)
    window = Window(node, frame, executor, scope)
    call = prepare(node.call, window.frame)
    if not isinstance(call, syntax.Call) or not isinstance(call.function, syntax.Name):
        raise ScriptError("An over clause requires a function call.")
    ranking = RANKINGS.get(call.function.id)
    if ranking is not None:
        column = ranking(window, call)
    elif call.function.id in ("lead", "lag"):
        column = _shifted(window, call)
    else:
        column = _aggregate(window, node, call)
    return window.restored(column)


def _aggregate(window: Window, node: syntax.Over, call: syntax.Call) -> Column:
    assert isinstance(call.function, syntax.Name)
    name = {"firstValue": "first", "first_value": "first", "lastValue": "last", "last_value": "last"}.get(
        call.function.id, call.function.id
    )
    if name in ("nthValue", "nth_value"):
        return _nth(window, node, call)
    call = syntax.Call(syntax.Name(name, span=NO_SPAN), call.arguments, call.style, span=call.span)
    evaluator = GroupEvaluator(window.executor, window.scope, window.frame, window.groups)
    if not window.ordered and node.frame is None:
        return evaluator.per_row(call)
    begin, end = window.bounds(node)
    if name in ("first", "last") and len(call.arguments) == 1:
        rows = begin if name == "first" else end - 1
        return take_or_null(_argument(window, call), np.where(end > begin, rows, -1))
    running = f"cum{name}"
    from_start = bool(((begin == window.start) | (end <= begin)).all())
    if from_start and name in CUMULATIVE and window.executor.function(running) is not None:
        cumulative = syntax.Call(syntax.Name(running, span=NO_SPAN), call.arguments, span=call.span)
        column = take_or_null(evaluator.per_row(cumulative), np.where(end > begin, end - 1, -1))
        if not isinstance(column, Vector):
            raise ScriptError(f"{column_name(call)} over a window requires a column.")
        return empty_filled(column, end <= begin, call, window.frame, window.executor, window.scope)
    return evaluate_runs([call], window.frame, begin, end, window.executor, window.scope, MAX_WINDOW_ROWS)[0]


def _arguments(window: Window, call: syntax.Call) -> list[Value]:
    scope = RowScope(window.frame, window.scope)
    return [window.executor.evaluate(each.value, scope) for each in call.arguments if each.value is not None]


def _argument(window: Window, call: syntax.Call) -> Column:
    """The first argument, for every sorted row."""
    values = _arguments(window, call)
    value = repeat(values[0], window.rows) if values and isinstance(values[0], Scalar) else next(iter(values), None)
    if not isinstance(value, Vector | AnyVector | ArrayVector) or len(value) != window.rows:
        raise ScriptError(f"{column_name(call)} over a window requires a column.")
    return value


def _integer(values: list[Value], position: int, function: str, default: int | None) -> int:
    """A positive integer among the arguments of an analytic function."""
    value = values[position] if position < len(values) else None
    if value is None and default is not None:
        return default
    if isinstance(value, Scalar) and isinstance(value.value, int) and value.value > 0:
        return value.value
    raise ScriptError(f"{function} requires a positive integer.")


def _nth(window: Window, node: syntax.Over, call: syntax.Call) -> Column:
    values = _arguments(window, call)
    begin, end = window.bounds(node)
    rows = begin + _integer(values, 1, "nthValue", None) - 1
    return take_or_null(_argument(window, call), np.where((rows >= begin) & (rows < end), rows, -1))


def _shifted(window: Window, call: syntax.Call) -> Column:
    values = _arguments(window, call)
    assert isinstance(call.function, syntax.Name)
    distance = _integer(values, 1, call.function.id, 1)
    rows = np.arange(window.rows) + (distance if call.function.id == "lead" else -distance)
    inside = (rows >= window.start) & (rows < window.stop)
    column = _argument(window, call)
    if len(values) > 2 and isinstance(values[2], Scalar):
        default = fitted(column_name(call), values[2], column, 1)
        return take(concat([column, default]), np.where(inside, rows, window.rows))
    return take_or_null(column, np.where(inside, rows, -1))


def _row_number(window: Window, _call: syntax.Call) -> Column:
    return Vector(Type.LONG, np.arange(window.rows) - window.start + 1)


def _rank(window: Window, _call: syntax.Call) -> Column:
    return Vector(Type.LONG, window.peer_bounds()[0] - window.start + 1)


def _dense_rank(window: Window, _call: syntax.Call) -> Column:
    fresh = np.cumsum(window.new_peers())
    return Vector(Type.LONG, fresh - fresh[window.start] + 1 if window.rows else fresh)


def _percent_rank(window: Window, _call: syntax.Call) -> Column:
    size = window.stop - window.start
    return Vector(Type.DOUBLE, (window.peer_bounds()[0] - window.start) / np.maximum(size - 1, 1))


def _cumulative_share(window: Window, _call: syntax.Call) -> Column:
    return Vector(Type.DOUBLE, (window.peer_bounds()[1] - window.start) / (window.stop - window.start))


def _tiles(window: Window, call: syntax.Call) -> Column:
    count = _integer(_arguments(window, call), 0, "nTile", None)
    size, at = window.stop - window.start, np.arange(window.rows) - window.start
    small, larger = size // count, size % count
    boundary = larger * (small + 1)
    tile = np.where(at < boundary, at // (small + 1), larger + (at - boundary) // np.maximum(small, 1))
    return Vector(Type.LONG, tile + 1)


RANKINGS: dict[str, Callable[[Window, syntax.Call], Column]] = {
    "rowNumber": _row_number, "row_number": _row_number, "rank": _rank, "denseRank": _dense_rank,
    "dense_rank": _dense_rank, "percentRank": _percent_rank, "percent_rank": _percent_rank,
    "cumeDist": _cumulative_share, "cume_dist": _cumulative_share, "nTile": _tiles, "ntile": _tiles,
}  # fmt: skip
NOT_AGGREGATES = frozenset(
    (*RANKINGS, "lead", "lag", "nthValue", "nth_value", "firstValue", "first_value", "lastValue", "last_value")
)
