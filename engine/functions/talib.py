"""Moving averages and regressions in the manner of TA-Lib: the first windows are NULL, leading NULLs are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation import running
from engine.aggregation.basic import doubles
from engine.aggregation.rows import gather, numbers, whole
from engine.arguments import boolean_argument, float_argument, function_argument, integer_argument
from engine.context import Context
from engine.declarations import columns_of, every_form
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry
from engine.grouping import Groups
from engine.values import AnyVector, Array, Matrix, Value, Vector

functions = Registry()

Average = Callable[..., Array]


def _tail(compute: Average) -> Average:
    """Apply after the leading NULLs only."""

    def tail(values: Array, *options: float) -> Array:
        known = np.flatnonzero(~np.isnan(values))
        out = np.full(len(values), np.nan)
        if len(known):
            rest = values[known[0] :]
            if np.isnan(rest).any():
                raise UnsupportedError("A NULL after the first element of a TA-Lib function")
            out[known[0] :] = compute(rest, *options)
        return out

    return tail


def _windows(values: Array, length: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(values, length)


def _leading(values: Array, computed: Array) -> Array:
    out = np.full(len(values), np.nan)
    out[len(values) - len(computed) :] = computed
    return out


def sma(values: Array, window: float) -> Array:
    length = int(window)
    if len(values) < length:
        return np.full(len(values), np.nan)
    total = np.cumsum(np.concatenate(([0.0], values)))
    if np.abs(total).max() > 1e12:
        return _leading(values, _windows(values, length).mean(axis=1))
    return _leading(values, (total[length:] - total[:-length]) / length)


def wma(values: Array, window: float) -> Array:
    length = int(window)
    if len(values) < length:
        return np.full(len(values), np.nan)
    weights = np.arange(1, length + 1, dtype=np.float64)
    return _leading(values, _windows(values, length) @ (weights / weights.sum()))


def smoothed(values: Array, window: float, alpha: float, warmup: float = 0.0) -> Array:
    """Exponential smoothing that starts from the mean of the first window, or from the first element."""
    import pandas as pd

    length = int(window)
    if warmup:
        return pd.Series(values).ewm(alpha=alpha, adjust=False).mean().to_numpy()  # type: ignore[no-any-return]
    if len(values) < length:
        return np.full(len(values), np.nan)
    seeded = np.concatenate(([values[:length].mean()], values[length:]))
    return _leading(values, pd.Series(seeded).ewm(alpha=alpha, adjust=False).mean().to_numpy())


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


@functions.builtin("ma", "X, window, maType", kind=Kind.SEQUENCE)
def moving_average(x: Vector, window: Value, kind: Value) -> Vector:
    compute = AVERAGES.get(integer_argument(kind, "maType"))
    if compute is None:
        raise CallError("maType must be one of 0 to 6 and 8.")
    return _apply(whole(len(x)), x, compute, float(_window(window)))


@functions.builtin("linearTimeTrend", "X, window")
def linear_time_trend(x: Value, window: Value) -> AnyVector:
    """Intercept and slope of the line through each window; of a matrix, column by column."""
    if isinstance(x, Matrix):
        columns = [_time_trend(x.column(index), window) for index in range(x.columns)]
        return AnyVector([lifting.stack([column[part] for column in columns], x) for part in (0, 1)])
    return AnyVector(list(_time_trend(as_vector(x), window)))


def _time_trend(x: Vector, window: Value) -> tuple[Vector, Vector]:
    length = _window(window)
    values = numbers(x)
    known = np.flatnonzero(~np.isnan(values))
    intercepts, slopes = np.full(len(values), np.nan), np.full(len(values), np.nan)
    start = int(known[0]) if len(known) else len(values)
    rest = np.nan_to_num(values[start:])
    if len(rest) >= length:
        time = np.arange(length) - (length - 1) / 2
        windows = _windows(rest, length)
        slope = windows @ time / (time @ time)
        slopes[start + length - 1 :] = slope
        intercepts[start + length - 1 :] = windows.mean(axis=1) - slope * (length - 1) / 2
    return doubles(intercepts), doubles(slopes)


@functions.builtin("talib", "func, args...", context=True)
def talib(ctx: Context, function: Value, *values: Value) -> Value:
    """A function applied from the first row on in which no column is NULL; the rows before stay NULL."""
    called = function_argument(function, "func")
    columns = [value for value in values if isinstance(value, Vector)]
    if not columns:
        return ctx.call(called, values)
    start = _first_complete(columns)
    rest = [value.take(slice(start, None)) if isinstance(value, Vector) else value for value in values]
    result = ctx.call(called, rest)
    if start == 0 or not isinstance(result, Vector):
        return result
    return gather(result, np.concatenate((np.full(start, -1), np.arange(len(result)))))


def _first_complete(columns: list[Vector]) -> int:
    valid = ~np.logical_or.reduce([column.nulls() for column in columns])
    return int(np.argmax(valid)) if valid.any() else len(valid)


@functions.builtin("talibNull", "args...")
def talib_null(*values: Value) -> AnyVector:
    """Columns with NULLs up to the first row in which no column is NULL."""
    columns = columns_of(values)
    start = _first_complete(columns)
    rows = np.arange(len(columns[0]))
    return AnyVector([gather(column, np.where(rows < start, -1, rows)) for column in columns])
