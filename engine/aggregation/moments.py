"""Variance and higher moments, and the moments of two columns together."""

from __future__ import annotations

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import Kernel, counts, numbers, totals
from engine.grouping import Groups
from engine.values import Array, Vector

ZERO_VARIANCE = 1e-12


def _centered(groups: Groups, values: Array, valid: Array) -> tuple[Array, Array, Array]:
    """Counts, means and the deviations of rows from the mean of their group (0 where not valid)."""
    number = counts(groups, valid)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = totals(groups, np.where(valid, values, 0.0)) / number
        deviation = np.where(valid, values - mean[groups.codes], 0.0)
    return number, mean, deviation


def variance(*, sample: bool, root: bool = False) -> Kernel:
    """`var`, `varp`, `std`, `stdp`."""
    lost = 1 if sample else 0

    def kernel(groups: Groups, x: Vector) -> Vector:
        values = numbers(x)
        number, _, deviation = _centered(groups, values, ~np.isnan(values))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result = totals(groups, deviation * deviation) / (number - lost)
        return doubles(np.sqrt(result) if root else result, number <= lost)

    return kernel


def standard_error(groups: Groups, x: Vector) -> Vector:
    number = counts(groups, ~x.nulls())
    deviation = variance(sample=True, root=True)(groups, x).data
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(deviation / np.sqrt(number), number <= 1)


def skewness(groups: Groups, x: Vector, biased: bool = True) -> Vector:
    values = numbers(x)
    n, _, deviation = _centered(groups, values, ~np.isnan(values))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        squared = deviation * deviation
        second = totals(groups, squared) / n
        third = totals(groups, squared * deviation) / n
        result = third / second**1.5
        if not biased:
            result = result * np.sqrt(n * (n - 1.0)) / (n - 2.0)
    return doubles(result, (n < (1 if biased else 3)) | ~(second > 1e-14))


def kurtosis(groups: Groups, x: Vector, biased: bool = True) -> Vector:
    values = numbers(x)
    n, _, deviation = _centered(groups, values, ~np.isnan(values))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        squared = deviation * deviation
        second = totals(groups, squared) / n
        result = totals(groups, squared * squared) / n / second**2
        if not biased:
            result = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * result - 3.0 * (n - 1.0)) + 3.0
    return doubles(result, (n < (3 if biased else 4)) | ~(second > 1e-14))


def _pair(groups: Groups, x: Vector, y: Vector) -> tuple[Array, Array, Array, Array, Array]:
    first, second = numbers(x), numbers(y, "Y")
    valid = ~(np.isnan(first) | np.isnan(second))
    number, mean_x, dx = _centered(groups, first, valid)
    _, mean_y, dy = _centered(groups, second, valid)
    return number, mean_x, mean_y, dx, dy


def covariance(*, sample: bool) -> Kernel:
    lost = 1 if sample else 0

    def kernel(groups: Groups, x: Vector, y: Vector) -> Vector:
        number, _, _, dx, dy = _pair(groups, x, y)
        with np.errstate(invalid="ignore", divide="ignore"):
            return doubles(totals(groups, dx * dy) / (number - lost), number <= lost)

    return kernel


def correlation(groups: Groups, x: Vector, y: Vector) -> Vector:
    number, _, _, dx, dy = _pair(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        sxx, syy = totals(groups, dx * dx), totals(groups, dy * dy)
        flat = (sxx / number < ZERO_VARIANCE) | (syy / number < ZERO_VARIANCE)
        result = totals(groups, dx * dy) / np.sqrt(sxx * syy)
    return doubles(np.clip(result, -1.0, 1.0), (number < 2) | flat)


def slope(groups: Groups, y: Vector, x: Vector) -> Vector:
    """`beta(Y, X)`."""
    return regression(groups, y, x)[1]


def regression(groups: Groups, y: Vector, x: Vector) -> tuple[Vector, Vector, Vector]:
    """Intercept, slope and mean square error of the regression of y on x."""
    number, mean_x, mean_y, dx, dy = _pair(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        sxx, sxy = totals(groups, dx * dx), totals(groups, dx * dy)
        coefficient = sxy / sxx
        intercept = mean_y - coefficient * mean_x
        residual = dy - coefficient[groups.codes] * dx
        error = totals(groups, np.where(np.isnan(residual), 0.0, residual**2)) / number
    poor = (number < 2) | ~(sxx > 0)
    return doubles(intercept, poor), doubles(coefficient, poor), doubles(error, poor)


def weighted_average(groups: Groups, value: Vector, weight: Vector) -> Vector:
    values, weights = numbers(value, "value"), numbers(weight, "weight")
    valid = ~(np.isnan(values) | np.isnan(weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        products = totals(groups, np.where(valid, values * weights, 0.0))
        result = products / totals(groups, np.where(valid, weights, 0.0))
    result = np.where(np.isfinite(result), result, np.nan)
    return doubles(result, counts(groups, valid) == 0)


def weighted_sum(exponent: int = 1) -> Kernel:
    """`wsum`, and `wsum2` of squares of the first column."""

    def kernel(groups: Groups, x: Vector, y: Vector) -> Vector:
        first, second = numbers(x), numbers(y, "Y")
        valid = ~(np.isnan(first) | np.isnan(second))
        with np.errstate(invalid="ignore", over="ignore"):
            products = np.where(valid, first**exponent * second, 0.0)
        return doubles(totals(groups, products), counts(groups, valid) == 0)

    return kernel


def weighted_covariance(groups: Groups, x: Vector, y: Vector, weights: Vector) -> Vector:
    first, second, weight = numbers(x), numbers(y, "Y"), numbers(weights, "weights")
    valid = ~(np.isnan(first) | np.isnan(second) | np.isnan(weight))
    weight = np.where(valid, weight, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = totals(groups, weight)
        mean_x = totals(groups, np.where(valid, first * weight, 0.0)) / mass
        mean_y = totals(groups, np.where(valid, second * weight, 0.0)) / mass
        product = (first - mean_x[groups.codes]) * (second - mean_y[groups.codes]) * weight
        number = counts(groups, valid)
        result = totals(groups, np.where(valid, product, 0.0)) / mass * number / (number - 1)
    return doubles(np.where(np.isfinite(result), result, np.nan), number < 2)


def weighted_regression(y: Vector, x: Vector, weights: Vector) -> tuple[float, float, float]:
    """Intercept, slope and mean square error of y on x with weights (NaN where undetermined)."""
    second, first, weight = numbers(y, "Y"), numbers(x), numbers(weights, "W")
    valid = ~(np.isnan(first) | np.isnan(second) | np.isnan(weight))
    first, second, weight = first[valid], second[valid], weight[valid]
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = np.float64(weight.sum())
        mean_x, mean_y = (weight * first).sum() / mass, (weight * second).sum() / mass
        dx, dy = first - mean_x, second - mean_y
        slope = (weight * dx * dy).sum() / (weight * dx * dx).sum()
        error = (weight * (dy - slope * dx) ** 2).sum() / np.float64(len(first) - 2)
    return float(mean_y - slope * mean_x), float(slope), float(error)


def distance(groups: Groups, x: Vector, y: Vector) -> Vector:
    """`euclidean`."""
    difference = numbers(x) - numbers(y, "Y")
    valid = ~np.isnan(difference)
    return doubles(np.sqrt(totals(groups, np.where(valid, difference, 0.0) ** 2)), counts(groups, valid) == 0)


def _ratio(groups: Groups, x: Vector, y: Vector) -> tuple[Array, Array, Array, Array]:
    first, second = numbers(x), numbers(y, "Y")
    valid = ~(np.isnan(first) | np.isnan(second))
    first, second = np.where(valid, first, 0.0), np.where(valid, second, 0.0)
    return (
        totals(groups, first * second),
        totals(groups, first**2),
        totals(groups, second**2),
        counts(groups, valid) == 0,
    )


def cosine(groups: Groups, x: Vector, y: Vector) -> Vector:
    product, xx, yy, empty = _ratio(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(product / np.sqrt(xx * yy), empty)


def tanimoto(groups: Groups, x: Vector, y: Vector) -> Vector:
    """The Tanimoto distance."""
    product, xx, yy, empty = _ratio(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(1.0 - product / (xx + yy - product), empty)
