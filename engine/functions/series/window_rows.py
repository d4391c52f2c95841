"""Windows and groups as rows of array vectors."""

from __future__ import annotations

import numpy as np

from engine.aggregation.rows import gather, ranks, whole
from engine.aggregation.windows import Windows, count_windows, range_windows
from engine.arguments import boolean_argument, choice_argument, function_argument, integer_argument
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, tuple_to_vector
from engine.functions.registry import Registry
from engine.functions.series.moving import Window
from engine.functions.series.rowwise import rows_of
from engine.grouping import Groups
from engine.types import Type
from engine.values import AnyVector, Array, ArrayVector, Dictionary, Table, Value, Vector, vector
from engine.vectors import row_count

functions = Registry()


def _window(value: Value) -> int:
    length = integer_argument(value, "window")
    if length < 2:
        raise CallError("window must be an integer no less than 2.")
    return length


def _positions(windows: Windows, length: int | None) -> tuple[Array, Array]:
    """The rows of all windows and their bounds; with `length` windows are filled with -1 at their beginning."""
    if length is None:
        rows, groups = windows.expand()
        return rows, groups.offsets
    starts = windows.stop - length
    rows = (starts[:, None] + np.arange(length)).ravel()
    floor = np.repeat(windows.start, length)
    return np.where(rows < floor, -1, rows), np.arange(len(windows) + 1) * length


@functions.builtin("movingWindowIndex", "X, window, [fixed=false]")
def moving_window_index(x: Value, window: Value, fixed: Value | None = None) -> ArrayVector:
    length = _window(window)
    filled = length if boolean_argument(fixed, "fixed", False) else None
    rows, offsets = _positions(count_windows(whole(row_count(x)), length), filled)
    return ArrayVector(vector(Type.INT, np.where(rows < 0, np.iinfo(np.int32).min, rows)), offsets)


@functions.builtin("movingWindowData", "X, window, [fixed=false]")
def moving_window_data(x: Value, window: Value, fixed: Value | None = None) -> Value:
    length = _window(window)
    windows = count_windows(whole(row_count(x)), length)
    if isinstance(x, ArrayVector):
        return AnyVector([x.take(slice(int(a), int(b))) for a, b in zip(windows.start, windows.stop, strict=True)])
    rows, offsets = _positions(windows, length if boolean_argument(fixed, "fixed", False) else None)
    return ArrayVector(gather(as_vector(x), rows), offsets)


@functions.builtin("tmovingWindowData", "T, X, window, [leftClosed=false], [rightClosed=true]")
def timed_window_data(
    time: Value, x: Value, window: Value, left: Value | None = None, right: Value | None = None
) -> ArrayVector:
    """The elements of (t - window, t]; the bounds can be opened and closed."""
    times, column = as_vector(time), as_vector(x)
    if len(times) != len(column):
        raise CallError("T and X must have the same length.")
    lower = Window.of(window).lower(times)
    windows = range_windows(whole(len(times)), times.data, lower)
    start, stop = windows.start, windows.stop
    if boolean_argument(left, "leftClosed", False):
        start = np.searchsorted(times.data, lower, side="left")
    if not boolean_argument(right, "rightClosed", True):
        stop = np.searchsorted(times.data, times.data, side="left")
    rows, groups = Windows(start, np.maximum(stop, start)).expand()
    return ArrayVector(column.take(rows), groups.offsets)


@functions.builtin("rowGroupby", "func, funcArgs, groupingCol, [mode='tuple'], [ascending=true]", context=True)
def row_groupby(
    ctx: Context,
    function: Value,
    arguments: Value,
    grouping: Value,
    mode: Value | None = None,
    ascending: Value | None = None,
) -> Value:
    """An aggregate for each distinct key of each row."""
    called = function_argument(function, "func")
    kind = choice_argument(mode, "mode", ("tuple", "dict", "table"), "tuple")
    upward = boolean_argument(ascending, "ascending", True)
    keys = rows_of([grouping])
    data = [rows_of([each]) for each in (arguments.items if isinstance(arguments, AnyVector) else [arguments])]
    if any(not np.array_equal(each.groups.codes, keys.groups.codes) for each in data):
        raise CallError("funcArgs must have the rows of groupingCol.")
    order = ranks(keys.data)[0].astype(np.int64)
    pairs = np.stack((keys.groups.codes, order if upward else -order))
    _, first, codes = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    groups = Groups(codes.ravel(), len(first))
    results = _aggregated(ctx, called, [each.data for each in data], groups)
    sizes = np.bincount(keys.groups.codes[first], minlength=keys.groups.count)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    found, values = ArrayVector(keys.data.take(first), offsets), ArrayVector(results, offsets)
    if kind == "table":
        return Table(["key", "value"], [found, values])
    if kind == "dict":
        return Dictionary(Type.STRING, Type.ANY, {"key": found, "value": values}, ordered=True)
    return AnyVector([found, values])


def _aggregated(ctx: Context, function: Value, columns: list[Vector], groups: Groups) -> Vector:
    called = function_argument(function, "func")
    grouped = getattr(called, "grouped", None)
    if grouped is not None:
        result: Value = grouped(groups, *columns)
    else:
        parts: list[Value] = []
        bounds = groups.offsets.tolist()
        for number in range(groups.count):
            ctx.check()
            rows = groups.order[bounds[number] : bounds[number + 1]]
            parts.append(ctx.call(called, [column.take(rows) for column in columns]))
        result = tuple_to_vector(parts)
    if not isinstance(result, Vector) or len(result) != groups.count:
        raise CallError("func must be an aggregate function.")
    return result
