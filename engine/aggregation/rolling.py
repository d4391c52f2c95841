"""Aggregates in windows whose work does not grow with the length of the windows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from engine import parallel
from engine.aggregation import basic, moments
from engine.aggregation.basic import doubles, ints
from engine.aggregation.order import quantile as group_quantile
from engine.aggregation.rows import Kernel, codes_of, gather, numbers, ranks
from engine.aggregation.windows import Windows, windowed
from engine.types import FLOATING, INTEGRAL, Type, null
from engine.values import Array, Vector

NEGLIGIBLE = 1e-6
"""Variances that are so small a part of the greatest squared deviation carry errors of earlier windows."""
NEGLIGIBLE_IN_SHAPE = 1e-4
"""The same where third and fourth powers are summed up."""
SHORT = 24
"""Windows of so few rows are worked on from their own rows alone."""
FLAT = 1e-20
"""Variances that are so small a part of the squared mean may be zero."""
SMALL = 4096
"""Windows with so few elements in all are evaluated one by one."""


@cache
def _indexer() -> Any:
    from pandas.api.indexers import BaseIndexer

    class Bounds(BaseIndexer):  # type: ignore[misc]
        def get_window_bounds(  # pandas checks these parameters by name
            self,
            num_values: int = 0,  # noqa: ARG002
            min_periods: int | None = None,  # noqa: ARG002
            center: bool | None = None,  # noqa: ARG002
            closed: str | None = None,  # noqa: ARG002
            step: int | None = None,  # noqa: ARG002
        ) -> tuple[Array, Array]:
            return self.start, self.stop

    return Bounds


def rolling(windows: Windows, values: Array) -> Any:
    """pandas' rolling object over exactly these windows."""
    import pandas as pd

    start, stop = (each.astype(np.int64, copy=False) for each in (windows.start, windows.stop))
    bounds = _indexer()(start=start, stop=stop)
    return pd.Series(values).rolling(bounds, min_periods=1)


def _unsuitable(windows: Windows, *values: Array) -> bool:
    return int(windows.sizes.sum()) <= SMALL or any(bool(np.isinf(each).any()) for each in values)


def count(windows: Windows, x: Vector) -> Vector:
    return ints(windows.counts(~x.nulls()))


def total(windows: Windows, x: Vector) -> Vector:
    if x.type in (Type.BOOL, Type.VOID, *INTEGRAL):
        valid = ~x.nulls()
        complete = bool(valid.all())
        running = np.zeros(len(x) + 1, dtype=np.int64)
        np.cumsum(x.data if complete else np.where(valid, x.data, 0), dtype=np.int64, out=running[1:])
        result = running[windows.stop]
        result -= running[windows.start]
        result[windows.sizes == 0 if complete else windows.counts(valid) == 0] = null(Type.LONG)
        return Vector(Type.LONG, result)
    if x.type not in FLOATING or _unsuitable(windows, x.data):
        return windowed(basic.total, windows, x)
    return doubles(rolling(windows, numbers(x)).sum().to_numpy())


def squares(windows: Windows, x: Vector) -> Vector:
    values = numbers(x)
    if _unsuitable(windows, values):
        return windowed(basic.power_sum(2), windows, x)
    return doubles(rolling(windows, values * values).sum().to_numpy())


def average(windows: Windows, x: Vector) -> Vector:
    values = numbers(x)
    if _unsuitable(windows, values):
        return windowed(basic.average, windows, x)
    return doubles(rolling(windows, values).mean().to_numpy())


def variance(*, sample: bool, root: bool = False) -> Kernel:
    lost = 1 if sample else 0
    exact = moments.variance(sample=sample, root=root)

    def kernel(windows: Windows, x: Vector) -> Vector:
        values = numbers(x)
        if _unsuitable(windows, values):
            return windowed(exact, windows, x)
        values = _centered(values, ~np.isnan(values))
        spread = rolling(windows, values).var(ddof=lost).to_numpy()
        result = doubles(np.sqrt(spread) if root else spread, windows.counts(~np.isnan(values)) <= lost)
        return _afresh(exact, windows, result, spread < NEGLIGIBLE * _greatest_square(values), x)

    return kernel


def extreme(*, largest: bool) -> Kernel:
    exact = basic.maximum if largest else basic.minimum

    def kernel(windows: Windows, x: Vector) -> Vector:
        if int(windows.sizes.sum()) <= SMALL:
            return windowed(exact, windows, x)
        exact_numbers = _exact(x)
        if exact_numbers is not None:
            window = rolling(windows, exact_numbers)
            found = (window.max() if largest else window.min()).to_numpy()
            missing = np.isnan(found)
            with np.errstate(invalid="ignore"):
                return x.with_data(np.where(missing, null(x.type), np.where(missing, 0, found)).astype(x.data.dtype))
        order, first = _ranked(x)
        values = np.where(x.nulls(), np.nan, order.astype(np.float64))
        window = rolling(windows, values)
        best = (window.max() if largest else window.min()).to_numpy()
        chosen = np.where(np.isnan(best), -1, np.nan_to_num(best)).astype(np.int64)
        return gather(x, np.where(chosen < 0, -1, first[np.maximum(chosen, 0)]))

    return kernel


def extreme_position(*, largest: bool, last: bool = False) -> Kernel:
    exact = basic.extreme_position(largest=largest, last=last)

    def kernel(windows: Windows, x: Vector) -> Vector:
        if int(windows.sizes.sum()) <= SMALL:
            return windowed(exact, windows, x)
        rows = np.arange(len(x))
        # Of equal elements the one wanted comes last where the largest is looked for, first where the smallest is.
        sorter = np.lexsort((rows if largest == last else -rows, ranks(x)[0]))
        place = np.empty(len(x))
        place[sorter] = rows
        place[x.nulls()] = np.nan
        window = rolling(windows, place)
        best = (window.max() if largest else window.min()).to_numpy()
        found = sorter[np.nan_to_num(best).astype(np.int64)]
        return ints(np.where(np.isnan(best), -1, found - windows.start))

    return kernel


def _exact(x: Vector) -> Array | None:
    """The elements as doubles (NaN for NULL) if these are exact and finite."""
    kind, width = x.data.dtype.kind, x.data.dtype.itemsize
    if x.symbols is not None or not (kind == "f" or (kind == "i" and width <= 4)):
        return None
    values = numbers(x)
    return None if np.isinf(values).any() else values


def _ranked(x: Vector) -> tuple[Array, Array]:
    """Ranks of the elements and for each rank a row that has it."""
    order, _ = ranks(x)
    first = np.zeros(int(order.max(initial=0)) + 1, dtype=np.int64)
    first[order] = np.arange(len(order))
    return order, first


def first(windows: Windows, x: Vector) -> Vector:
    return gather(x, np.where(windows.sizes > 0, windows.start, -1))


def last(windows: Windows, x: Vector) -> Vector:
    return gather(x, np.where(windows.sizes > 0, windows.stop - 1, -1))


def _neighbours(windows: Windows, valid: Array, *, latest: bool) -> Array:
    """The latest or earliest valid row of each window, -1 if there is none."""
    rows = np.flatnonzero(valid)
    if latest:
        found = np.searchsorted(rows, windows.stop) - 1
        row = np.where(found >= 0, rows[np.maximum(found, 0)] if len(rows) else -1, -1)
        return np.where(row >= windows.start, row, -1)
    found = np.searchsorted(rows, windows.start)
    inside = found < len(rows)
    row = np.where(inside, rows[np.minimum(found, len(rows) - 1)] if len(rows) else -1, -1)
    return np.where(row < windows.stop, row, -1)


def first_not(windows: Windows, x: Vector, k: Any = None) -> Vector:
    return gather(x, _neighbours(windows, basic.acceptable(x, k), latest=False))


def last_not(windows: Windows, x: Vector, k: Any = None) -> Vector:
    return gather(x, _neighbours(windows, basic.acceptable(x, k), latest=True))


def not_position(*, latest: bool) -> Kernel:
    def kernel(windows: Windows, x: Vector) -> Vector:
        row = _neighbours(windows, ~x.nulls(), latest=latest)
        return ints(np.where(row < 0, -1, row - windows.start))

    return kernel


def quantile(windows: Windows, x: Vector, q: float, interpolation: str = "linear") -> Vector:
    values = numbers(x)
    if _unsuitable(windows, values):
        return windowed(lambda groups, column: group_quantile(groups, column, q, interpolation), windows, x)
    return doubles(rolling(windows, values).quantile(q, interpolation=interpolation).to_numpy())


def percentile(windows: Windows, x: Vector, percent: float, interpolation: str = "linear") -> Vector:
    return quantile(windows, x, percent / 100.0, interpolation)


def median(windows: Windows, x: Vector) -> Vector:
    return quantile(windows, x, 0.5, "midpoint")


def distinct_count(windows: Windows, x: Vector, ignore_null: bool = False) -> Vector:
    codes = np.unique(codes_of(x), return_inverse=True)[1].astype(np.float64)
    if ignore_null:
        codes[x.nulls()] = np.nan
    result = rolling(windows, codes).nunique().to_numpy() if len(windows) else np.zeros(0)
    return ints(np.nan_to_num(result))


def rank(
    windows: Windows,
    x: Vector,
    ascending: bool = True,
    ignore_null: bool = True,
    ties: str = "min",
    percent: bool = False,
) -> Vector:
    """The rank of the last row of each window among its rows, from 0; as a share of them if `percent`."""
    order = ranks(x)[0].astype(np.float64)
    if ignore_null:
        order[x.nulls()] = np.nan
    if not len(windows):
        return doubles(order) if percent or ties == "average" else ints(order)
    result = rolling(windows, order).rank(method=ties, ascending=ascending, pct=percent).to_numpy()
    if percent:
        return doubles(result)
    if ties == "average":
        return doubles(result - 1)
    missing = np.isnan(result)
    return Vector(Type.INT, np.where(missing, null(Type.INT), np.where(missing, 0, result) - 1).astype(np.int32))


def _pair(x: Vector, y: Vector) -> tuple[Array, Array, Array]:
    """Two columns as numbers around their means, NaN where either is NULL."""
    first, second = numbers(x), numbers(y, "Y")
    valid = ~(np.isnan(first) | np.isnan(second))
    return valid, _centered(first, valid), _centered(second, valid)


def _centered(values: Array, valid: Array) -> Array:
    """Valid numbers around their mean, NaN elsewhere: sums of large ones would lose their differences."""
    return np.where(valid, values - values[valid].mean(), np.nan) if valid.any() else np.where(valid, values, np.nan)


def _second_moments(windows: Windows, x: Vector, y: Vector) -> tuple[Array, Array, Array, Array, Array] | None:
    """Counts, variances, covariance (all of populations) and which windows to evaluate afresh."""
    before = _rows_before(windows)
    if before is not None:
        return _moments_of_short(before, numbers(x), numbers(y, "Y"))
    valid, first, second = _pair(x, y)
    if _unsuitable(windows, first, second):
        return None
    number = windows.counts(valid)
    var_x = rolling(windows, first).var(ddof=0).to_numpy()
    var_y = rolling(windows, second).var(ddof=0).to_numpy()
    mean_x, mean_y = rolling(windows, first).mean().to_numpy(), rolling(windows, second).mean().to_numpy()
    covariance = rolling(windows, first * second).mean().to_numpy() - mean_x * mean_y
    doubtful = (var_x < NEGLIGIBLE * _greatest_square(first)) | (var_y < NEGLIGIBLE * _greatest_square(second))
    return number, var_x, var_y, covariance, doubtful


def _rows_before(windows: Windows) -> Array | None:
    """How many rows each window holds before its own, if all end at their row and are short."""
    sizes = windows.sizes
    if (
        int(sizes.sum()) <= SMALL
        or sizes.max() > SHORT
        or not np.array_equal(windows.stop, np.arange(1, len(windows) + 1))
    ):
        return None
    return sizes - 1


def _moments_of_short(before: Array, first: Array, second: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The same from the rows of each window alone, in their order: equal windows have exactly equal moments."""
    valid = ~(np.isnan(first) | np.isnan(second))
    width, complete = int(before.max()) + 1, bool(valid.all())
    pad = np.zeros(width - 1)
    known = np.concatenate((pad.astype(bool), valid))
    x, y = (np.concatenate((pad, np.where(valid, each, 0.0))) for each in (first, second))
    number = np.empty(len(before))
    var_x, var_y, shared = np.empty(len(before)), np.empty(len(before)), np.empty(len(before))
    doubtful = np.empty(len(before), dtype=bool)

    def fill(rows: slice) -> None:
        limit = before[rows]
        masked = not complete or int(limit.min()) < width - 1
        shifts = [slice(rows.start + place, rows.stop + place) for place in range(width)]
        masks = [known[shift] & (limit >= width - 1 - place) for place, shift in enumerate(shifts)] if masked else []
        total = sum(masks, np.zeros(len(limit))) if masked else np.full(len(limit), float(width))
        mean_x, mean_y = np.zeros(len(limit)), np.zeros(len(limit))
        for place, shift in enumerate(shifts):
            mean_x += np.where(masks[place], x[shift], 0.0) if masked else x[shift]
            mean_y += np.where(masks[place], y[shift], 0.0) if masked else y[shift]
        mean_x, mean_y = mean_x / total, mean_y / total
        squares_x, squares_y, products = np.zeros(len(limit)), np.zeros(len(limit)), np.zeros(len(limit))
        for place, shift in enumerate(shifts):
            dx, dy = x[shift] - mean_x, y[shift] - mean_y
            if masked:
                dx, dy = np.where(masks[place], dx, 0.0), np.where(masks[place], dy, 0.0)
            squares_x += dx * dx
            squares_y += dy * dy
            products += dx * dy
        number[rows] = total
        var_x[rows], var_y[rows], shared[rows] = squares_x / total, squares_y / total, products / total
        doubtful[rows] = (var_x[rows] <= FLAT * mean_x**2) | (var_y[rows] <= FLAT * mean_y**2)

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        parallel.each(fill, parallel.spans(len(before)), len(before))
    return number, var_x, var_y, shared, doubtful


def _greatest_square(values: Array) -> float:
    """The greatest squared distance from the mean."""
    if not len(values) or np.isnan(values).all():
        return 0.0
    low, mean, high = np.nanmin(values), np.nanmean(values), np.nanmax(values)
    return float(max(mean - low, high - mean) ** 2)


def _afresh(kernel: Kernel, windows: Windows, result: Vector, doubtful: Array, *columns: Vector) -> Vector:
    if not doubtful.any():
        return result
    data = result.data.copy()
    data[doubtful] = windowed(kernel, windows.only(doubtful), *columns).data
    return result.with_data(data)


def covariance(*, sample: bool) -> Kernel:
    exact = moments.covariance(sample=sample)
    lost = 1 if sample else 0

    def kernel(windows: Windows, x: Vector, y: Vector) -> Vector:
        parts = _second_moments(windows, x, y)
        if parts is None:
            return windowed(exact, windows, x, y)
        number, _, _, shared, doubtful = parts
        with np.errstate(invalid="ignore", divide="ignore"):
            result = doubles(shared * number / (number - lost), number <= lost)
        return _afresh(exact, windows, result, doubtful, x, y)

    return kernel


def correlation(windows: Windows, x: Vector, y: Vector) -> Vector:
    parts = _second_moments(windows, x, y)
    if parts is None:
        return windowed(moments.correlation, windows, x, y)
    number, var_x, var_y, shared, doubtful = parts
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.clip(shared / np.sqrt(var_x * var_y), -1.0, 1.0)
    return _afresh(moments.correlation, windows, doubles(result, number < 2), doubtful, x, y)


def slope(windows: Windows, y: Vector, x: Vector) -> Vector:
    parts = _second_moments(windows, x, y)
    if parts is None:
        return windowed(moments.slope, windows, y, x)
    number, var_x, _, shared, doubtful = parts
    with np.errstate(invalid="ignore", divide="ignore"):
        result = doubles(shared / var_x, number < 2)
    return _afresh(moments.slope, windows, result, doubtful, y, x)


def weighted_sum(exponent: int = 1) -> Kernel:
    def kernel(windows: Windows, x: Vector, y: Vector) -> Vector:
        products = numbers(x) ** exponent * numbers(y, "Y")
        if _unsuitable(windows, products):
            return windowed(moments.weighted_sum(exponent), windows, x, y)
        return doubles(rolling(windows, products).sum().to_numpy())

    return kernel


def weighted_average(windows: Windows, value: Vector, weight: Vector) -> Vector:
    values, weights = numbers(value), numbers(weight, "weight")
    products = values * weights
    if _unsuitable(windows, products) or bool((weights < 0).any()):
        return windowed(moments.weighted_average, windows, value, weight)
    mass = rolling(windows, np.where(np.isnan(products), np.nan, weights)).sum().to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        result = rolling(windows, products).sum().to_numpy() / mass
    return doubles(np.where(np.isfinite(result), result, np.nan))


def shape(exact: Kernel, method: str) -> Kernel:
    """Skewness and kurtosis as populations have them, from pandas' sample estimates."""

    def kernel(windows: Windows, x: Vector, biased: bool = True) -> Vector:
        values = numbers(x)
        valid = ~np.isnan(values)

        def direct(groups: Any, column: Vector) -> Vector:
            return exact(groups, column, biased)

        if _unsuitable(windows, values):
            return windowed(direct, windows, x)
        values = _centered(values, valid)
        window = rolling(windows, values)
        result = getattr(window, method)().to_numpy()
        n = windows.counts(valid).astype(np.float64)
        few = (n < 4) | ~(window.var(ddof=0).to_numpy() > NEGLIGIBLE_IN_SHAPE * _greatest_square(values))
        with np.errstate(invalid="ignore", divide="ignore"):
            if method == "skew":
                result = result * (n - 2) / np.sqrt(n * (n - 1)) if biased else result
            elif biased:
                result = (result * (n - 2) * (n - 3) / (n - 1) + 3 * (n - 1)) / (n + 1)
            else:
                result = result + 3.0
        return _afresh(direct, windows, doubles(result), few, x)

    return kernel
