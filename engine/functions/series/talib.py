"""Moving averages and regressions in the manner of TA-Lib: the first windows are NULL, leading NULLs are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from engine import lifting
from engine.aggregation import running
from engine.aggregation.basic import doubles
from engine.aggregation.rows import gather, numbers, place, whole
from engine.arguments import boolean_argument, float_argument, function_argument, integer_argument, is_omitted
from engine.calls import call_grouped
from engine.context import Context
from engine.declarations import columns_of, every_form
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Builtin, Kind, Registry
from engine.grouping import Groups
from engine.types import null
from engine.values import AnyVector, Array, Function, Matrix, Scalar, Table, Value, Vector

functions = Registry()

Average = Callable[..., Array]
SHORT = 512
"""Series with fewer elements are not worth a call of pandas."""


def _tail(compute: Average) -> Average:
    """Apply after the leading NULLs only. Averages of windows leave out NULLs that come later."""

    def tail(values: Array, *options: float) -> Array:
        missing = np.isnan(values)
        if not missing.any():
            return compute(values, *options)
        out = np.full(len(values), np.nan)
        if not missing.all():
            start = int(np.argmin(missing))
            if compute not in (sma, wma, trima) and missing[start:].any():
                raise UnsupportedError("A NULL after the first element of a TA-Lib function")
            out[start:] = compute(values[start:], *options)
        return out

    return tail


def _windows(values: Array, length: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(values, length)


def _leading(values: Array, computed: Array) -> Array:
    out = np.full(len(values), np.nan)
    out[len(values) - len(computed) :] = computed
    return out


def _window_average(values: Array, weights: Array) -> Array:
    """The weighted mean of what is not NULL in each window."""
    windows = _windows(values, len(weights))
    known = ~np.isnan(windows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _leading(values, np.where(known, windows, 0.0) @ weights / (known @ weights))


def sma(values: Array, window: float) -> Array:
    length = int(window)
    if len(values) < length:
        return np.full(len(values), np.nan)
    if np.isnan(values).any():
        return _window_average(values, np.ones(length))
    total = np.cumsum(np.concatenate(([0.0], values)))
    if np.abs(total).max() > 1e12:
        return _leading(values, _windows(values, length).mean(axis=1))
    return _leading(values, (total[length:] - total[:-length]) / length)


def wma(values: Array, window: float) -> Array:
    length = int(window)
    if len(values) < length:
        return np.full(len(values), np.nan)
    weights = np.arange(1, length + 1, dtype=np.float64)
    if np.isnan(values).any():
        return _window_average(values, weights)
    return _leading(values, _windows(values, length) @ (weights / weights.sum()))


def smoothed(values: Array, window: float, alpha: float, warmup: float = 0.0) -> Array:
    """Exponential smoothing that starts from the mean of the first window, or from the first element."""
    length = int(window)
    if warmup:
        return _recurrence(values, alpha)
    if len(values) < length:
        return np.full(len(values), np.nan)
    seeded = np.concatenate(([values[:length].mean()], values[length:]))
    return _leading(values, _recurrence(seeded, alpha))


def _recurrence(values: Array, alpha: float) -> Array:
    """Each level is the one before, moved by `alpha` of the way to the element; it starts at the first element."""
    if len(values) < SHORT:
        kept = 1.0 - alpha
        return np.fromiter(accumulate(values.tolist(), lambda level, value: kept * level + alpha * value), np.float64)
    import pandas as pd

    return pd.Series(values).ewm(alpha=alpha, adjust=False).mean().to_numpy()  # type: ignore[no-any-return]


def ema(values: Array, window: float, warmup: float = 0.0) -> Array:
    return smoothed(values, window, 2.0 / (window + 1.0), warmup)


def _chained(values: Array, window: float, times: int) -> list[Array]:
    """Exponential averages of averages: once, twice …"""
    chain: list[Array] = []
    for _ in range(times):
        values = _tail(ema)(values, window)
        chain.append(values)
    return chain


def dema(values: Array, window: float) -> Array:
    first, second = _chained(values, window, 2)
    return np.asarray(2 * first - second)


def tema(values: Array, window: float) -> Array:
    first, second, third = _chained(values, window, 3)
    return np.asarray(3 * first - 3 * second + third)


def t3(values: Array, window: float, factor: float = 1.0) -> Array:
    _, _, e3, e4, e5, e6 = _chained(values, window, 6)
    b = factor
    c3, c2, c1, c0 = -(b**3), 3 * (b**2 + b**3), -3 * (2 * b**2 + b + b**3), 1 + 3 * b + b**3 + 3 * b**2
    return np.asarray(c3 * e6 + c2 * e5 + c1 * e4 + c0 * e3)


def trima(values: Array, window: float) -> Array:
    first, second = int(np.ceil((window + 1) / 2)), int((window + 1) // 2)
    return _tail(sma)(sma(values, second), first)


def wilder(values: Array, window: float) -> Array:
    return smoothed(values, window, 1.0 / window)


def gema(values: Array, window: float, alpha: float) -> Array:
    return smoothed(values, window, alpha)


def kama(values: Array, window: float) -> Array:
    length = int(window)
    out = np.full(len(values), np.nan)
    if len(values) <= length:
        return out
    path = np.cumsum(np.concatenate(([0.0], np.abs(np.diff(values)))))
    fast, slow = 2.0 / 3.0, 2.0 / 31.0
    level = values[length - 1]
    for row in range(length, len(values)):
        length_of_path = path[row] - path[row - length]
        change = abs(values[row] - values[row - length])
        ratio = 1.0 if length_of_path <= change or length_of_path == 0 else change / length_of_path
        level += (ratio * (fast - slow) + slow) ** 2 * (values[row] - level)
        out[row] = level
    return out


def _apply(groups: Groups, x: Vector, compute: Average, *options: float) -> Vector:
    column = running.in_order(groups, x)
    values = numbers(column)
    out = np.full(len(values), np.nan)
    for first, last in zip(groups.offsets[:-1].tolist(), groups.offsets[1:].tolist(), strict=True):
        out[first:last] = _tail(compute)(values[first:last], *options)
    return running.back(groups, doubles(out))


def _window(value: Value | None) -> int:
    length = integer_argument(value, "window")
    if length < 2:
        raise CallError("window must be an integer no less than 2.")
    return length


def _declare(name: str, signature: str, compute: Average, parse: Callable[..., tuple[float, ...]]) -> None:
    def grouped(groups: Groups, x: Value, *rest: Value) -> Vector:
        return _apply(groups, columns_of([x], groups.rows)[0], compute, *parse(*rest))

    @every_form
    def plain(x: Value, *rest: Value) -> Value:
        return lifting.sequence(lambda column: grouped(whole(len(column)), column, *rest), [x])

    functions.builtin(name, signature, kind=Kind.SEQUENCE)(plain)
    functions.grouped(name)(grouped)


def _only_window(window: Value) -> tuple[float, ...]:
    return (float(_window(window)),)


def _with_warmup(window: Value, warmup: Value | None = None) -> tuple[float, ...]:
    return (float(_window(window)), float(boolean_argument(warmup, "warmup", False)))


def _with_alpha(window: Value, alpha: Value) -> tuple[float, ...]:
    factor = float_argument(alpha, "alpha")
    if not 0 < factor < 1:
        raise CallError("alpha must be between 0 and 1.")
    return (float(_window(window)), factor)


def _with_factor(window: Value, factor: Value | None = None) -> tuple[float, ...]:
    return (float(_window(window)), float_argument(factor, "vfactor", 1.0))


for _name, _average in (("sma", sma), ("wma", wma), ("dema", dema), ("tema", tema), ("trima", trima), ("kama", kama)):
    _declare(_name, "X, window", _average, _only_window)
_declare("wilder", "X, window", wilder, _only_window)
_declare("ema", "X, window, [warmup=false]", ema, _with_warmup)
_declare("gema", "X, window, alpha", gema, _with_alpha)
_declare("t3", "X, window, [vfactor=1.0]", t3, _with_factor)

AVERAGES: dict[int, Average] = {0: sma, 1: ema, 2: wma, 3: dema, 4: tema, 5: trima, 6: kama, 8: t3}


def _average_of(kind: Value) -> Average:
    compute = AVERAGES.get(integer_argument(kind, "maType"))
    if compute is None:
        raise CallError("maType must be one of 0 to 6 and 8.")
    return compute


@functions.builtin("ma", "X, window, maType", kind=Kind.SEQUENCE)
def moving_average(x: Vector, window: Value, kind: Value) -> Vector:
    return _apply(whole(len(x)), x, _average_of(kind), float(_window(window)))


@functions.grouped("ma")
def moving_averages(groups: Groups, x: Value, window: Value, kind: Value) -> Vector:
    return _apply(groups, columns_of([x], groups.rows)[0], _average_of(kind), float(_window(window)))


@functions.builtin("linearTimeTrend", "X, window")
def linear_time_trend(x: Value, window: Value) -> AnyVector:
    """Intercept and slope of the line through each window; of a matrix, column by column."""
    return _each_column(lambda column: _time_trend(whole(len(column)), column, window), [x])


@functions.members("linearTimeTrend")
def _time_trend(groups: Groups, x: Value, window: Value) -> list[Vector]:
    length = _window(window)
    values = numbers(running.in_order(groups, columns_of([x], groups.rows)[0]))
    missing = np.isnan(values)
    intercepts, slopes = np.full(len(values), np.nan), np.full(len(values), np.nan)
    time = np.arange(length) - (length - 1) / 2
    for first, last in pairwise(groups.offsets.tolist()):
        unknown = missing[first:last]
        start = first + (int(np.argmin(unknown)) if not unknown.all() else len(unknown))
        if last - start >= length:
            windows = _windows(np.nan_to_num(values[start:last]), length)
            slope = windows @ time / (time @ time)
            slopes[start + length - 1 : last] = slope
            intercepts[start + length - 1 : last] = windows.mean(axis=1) - slope * (length - 1) / 2
    return [running.back(groups, doubles(each)) for each in (intercepts, slopes)]


def _each_column(kernel: Callable[..., Sequence[Value]], values: Sequence[Value]) -> AnyVector:
    """Several results of vectors; of matrices, column by column."""
    matrices = [value for value in values if isinstance(value, Matrix)]
    if not matrices:
        return AnyVector(list(kernel(*[as_vector(value) for value in values])))
    like = matrices[0]
    if len(matrices) < len(values) or any(matrix.data.shape != like.data.shape for matrix in matrices):
        raise CallError("The matrices must have the same shape.")
    columns = [kernel(*[matrix.column(index) for matrix in matrices]) for index in range(like.columns)]
    return AnyVector([lifting.stack([as_vector(part) for part in parts], like) for parts in zip(*columns, strict=True)])


@functions.builtin("talib", "func, args...", context=True)
def talib(ctx: Context, function: Value, *values: Value) -> Value:
    """A function applied from the first row on in which no column is NULL; the rows before stay NULL."""
    called = function_argument(function, "func")
    count = _data_arguments(called, values)
    unfilled = _unfilled_windows(called, values)

    def kernel(*columns: Vector) -> Value:
        start = _first_complete(columns)
        result = ctx.call(called, [*[column.take(slice(start, None)) for column in columns], *values[count:]])
        if isinstance(result, AnyVector):
            return AnyVector([_behind(part, start, 0) for part in result.items])
        return _behind(result, start, unfilled)

    if count == 0:
        return ctx.call(called, values)
    if any(isinstance(value, Matrix | Table) for value in values[:count]):
        return lifting.sequence(kernel, values[:count])
    return kernel(*columns_of(values[:count]))


def _behind(result: Value, start: int, unfilled: int) -> Value:
    """A result moved behind `start` NULLs, and with so many more at its beginning."""
    if not isinstance(result, Vector) or start + unfilled == 0:
        return result
    rows = np.arange(len(result))
    return gather(result, np.concatenate((np.full(start, -1), np.where(rows < unfilled, -1, rows))))


def _data_arguments(called: Function, values: Sequence[Value]) -> int:
    """How many of the leading arguments are columns."""
    if isinstance(called, Builtin) and called.kind is Kind.SEQUENCE:
        return min(called.vectors, len(values))
    count = 0
    while count < len(values) and isinstance(values[count], Vector | Matrix | Table):
        count += 1
    return count


def _unfilled_windows(called: Function, values: Sequence[Value]) -> int:
    """How many windows of a moving function are not filled, unless minPeriods is given: those are NULL."""
    if not isinstance(called, Builtin):
        return 0
    named = {parameter.name: position for position, parameter in enumerate(called.parameters)}
    window, least = named.get("window", len(values)), named.get("minPeriods")
    if least is None or window >= len(values) or (least < len(values) and not is_omitted(values[least])):
        return 0
    length = values[window]
    if isinstance(length, Vector):
        return len(length) - 1
    return integer_argument(length, "window") - 1 if isinstance(length, Scalar) else 0


@functions.grouped("talib")
def _talib_of_groups(groups: Groups, function: Value, *values: Value) -> Vector | None:
    called = function_argument(function, "func")
    count = _data_arguments(called, values)
    if not isinstance(called, Builtin) or called.grouped is None or called.kind is not Kind.SEQUENCE or count == 0:
        return None
    columns = columns_of(values[:count], groups.rows)
    unfilled = _unfilled_windows(called, values)
    known = groups.restore(running.seen_valid(groups, groups.arrange(_complete(columns))))
    rows = np.flatnonzero(known)
    part = groups
    if len(rows) < groups.rows:
        numbers_of_groups, codes = np.unique(groups.codes[rows], return_inverse=True)
        part, columns = Groups(codes, len(numbers_of_groups)), [column.take(rows) for column in columns]
    result = call_grouped(called, part, [*columns, *values[count:]])
    if not isinstance(result, Vector):
        return None
    positions = np.full(groups.rows, -1)
    positions[rows] = np.where(place(part) < unfilled, -1, np.arange(len(rows)))
    return gather(result, positions)


def _complete(columns: Sequence[Vector]) -> Array:
    """In which rows no column is NULL."""
    return np.asarray(~np.logical_or.reduce([column.nulls() for column in columns]))


def _first_complete(columns: Sequence[Vector]) -> int:
    valid = _complete(columns)
    return int(np.argmax(valid)) if valid.any() else len(valid)


@functions.builtin("talibNull", "args...")
def talib_null(*values: Value) -> AnyVector:
    """Columns with NULLs up to the first row in which no column is NULL; of matrices, column by column."""
    return _each_column(lambda *columns: _blanked(whole(len(columns[0])), *columns), values)


@functions.members("talibNull")
def _blanked(groups: Groups, *values: Value) -> list[Vector]:
    columns = columns_of(values, groups.rows)
    known = groups.restore(running.seen_valid(groups, groups.arrange(_complete(columns))))
    return [column.with_data(np.where(known, column.data, null(column.type))) for column in columns]
