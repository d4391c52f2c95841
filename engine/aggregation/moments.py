"""Variance and higher moments, and the moments of two columns together."""

from __future__ import annotations

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import Kernel, Numbers, counts, first_rows, gather, numbers, present, sums
from engine.grouping import Groups
from engine.values import Array, Vector


class Centered:
    """Columns of numbers as deviations from the means of their groups.

    The numbers are taken from the first one of their group before they are averaged, so that those of a group
    where all are equal deviate by exactly 0, and large ones lose no digits.
    """

    def __init__(self, groups: Groups, *columns: Vector) -> None:
        self.groups = groups
        self.values = Numbers(*columns)
        valid = self.values.valid(slice(None))
        self.number = counts(groups, valid)
        rows = first_rows(groups, valid)
        self.means = [numbers(gather(column, rows)) for column in self.values.columns]
        with np.errstate(invalid="ignore", divide="ignore"):
            shifts = sums(groups, self.at)
            self.means = [mean + shift / self.number for mean, shift in zip(self.means, shifts, strict=True)]

    def at(self, rows: slice) -> list[Array]:
        """The deviations of each column, 0 in the rows that do not count."""
        valid = self.values.valid(rows)
        out = []
        for column, mean in zip(self.values.columns, self.means, strict=True):
            deviation = numbers(column.take(rows)) - (mean[0] if len(mean) == 1 else mean[self.groups.codes[rows]])
            out.append(deviation if valid is None else np.where(valid, deviation, 0.0))
        return out

    def moments(self, order: int) -> list[Array]:
        """The central moments of the first column from the second one to that of `order` (3 or 4)."""

        def terms(rows: slice) -> list[Array]:
            powers = [self.at(rows)[0]]
            while len(powers) < order:
                powers.append(powers[-1] * powers[0])
            return powers

        # The mean is a rounded number: what is left of it is taken out.
        rest, second, third, *fourth = (total / self.number for total in sums(self.groups, terms))
        central = [second - rest**2, third - 3.0 * rest * second + 2.0 * rest**3]
        return [*central, *(each - 4.0 * rest * third + 6.0 * rest**2 * second - 3.0 * rest**4 for each in fourth)]

    def squares(self) -> Array:
        """The sums of the squared deviations of the first column."""

        def terms(rows: slice) -> list[Array]:
            deviation = self.at(rows)[0]
            return [deviation * deviation]

        return sums(self.groups, terms)[0]

    def products(self) -> list[Array]:
        """Of two columns, the sums of the squares of each and of their products."""

        def terms(rows: slice) -> list[Array]:
            dx, dy = self.at(rows)
            return [dx * dx, dy * dy, dx * dy]

        return sums(self.groups, terms)


def variance(*, sample: bool, root: bool = False) -> Kernel:
    """`var`, `varp`, `std`, `stdp`."""
    lost = 1 if sample else 0

    def kernel(groups: Groups, x: Vector) -> Vector:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            centered = Centered(groups, x)
            result = centered.squares() / (centered.number - lost)
        return doubles(np.sqrt(result) if root else result, centered.number <= lost)

    return kernel


def standard_error(groups: Groups, x: Vector) -> Vector:
    number = counts(groups, present(x))
    deviation = variance(sample=True, root=True)(groups, x).data
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(deviation / np.sqrt(number), number <= 1)


def skewness(groups: Groups, x: Vector, biased: bool = True) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        centered = Centered(groups, x)
        n = centered.number
        second, third = centered.moments(3)
        result = third / second**1.5
        if not biased:
            result = result * np.sqrt(n * (n - 1.0)) / (n - 2.0)
    return doubles(result, (n < (1 if biased else 3)) | ~(second > 0))


def kurtosis(groups: Groups, x: Vector, biased: bool = True) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        centered = Centered(groups, x)
        n = centered.number
        second, _, fourth = centered.moments(4)
        result = fourth / second**2
        if not biased:
            result = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * result - 3.0 * (n - 1.0)) + 3.0
    return doubles(result, (n < (3 if biased else 4)) | ~(second > 0))


def covariance(*, sample: bool) -> Kernel:
    lost = 1 if sample else 0

    def kernel(groups: Groups, x: Vector, y: Vector) -> Vector:
        with np.errstate(invalid="ignore", divide="ignore"):
            centered = Centered(groups, x, y)
            return doubles(centered.products()[2] / (centered.number - lost), centered.number <= lost)

    return kernel


def correlation(groups: Groups, x: Vector, y: Vector) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = Centered(groups, x, y)
        sxx, syy, sxy = centered.products()
        result = sxy / np.sqrt(sxx) / np.sqrt(syy)
    return doubles(np.clip(result, -1.0, 1.0), (centered.number < 2) | ~(sxx > 0) | ~(syy > 0))


def slope(groups: Groups, y: Vector, x: Vector) -> Vector:
    """`beta(Y, X)`."""
    return regression(groups, y, x)[1]


def regression(groups: Groups, y: Vector, x: Vector) -> tuple[Vector, Vector, Vector]:
    """Intercept, slope and mean square error of the regression of y on x."""
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = Centered(groups, x, y)
        number, (mean_x, mean_y) = centered.number, centered.means
        sxx, _, sxy = centered.products()
        coefficient = sxy / sxx
        intercept = mean_y - coefficient * mean_x

        def squared_residuals(rows: slice) -> list[Array]:
            dx, dy = centered.at(rows)
            residual = dy - coefficient[groups.codes[rows]] * dx
            return [np.where(np.isnan(residual), 0.0, residual**2)]

        error = sums(groups, squared_residuals)[0] / number
    poor = (number < 2) | ~(sxx > 0)
    return doubles(intercept, poor), doubles(coefficient, poor), doubles(error, poor)


def weighted_average(groups: Groups, value: Vector, weight: Vector) -> Vector:
    values = Numbers(value, weight, names=("value", "weight"))

    def terms(rows: slice) -> list[Array]:
        each, weights = values.at(rows)
        return [each * weights, weights]

    with np.errstate(invalid="ignore", divide="ignore"):
        products, mass = sums(groups, terms)
        result = products / mass
    result = np.where(np.isfinite(result), result, np.nan)
    return doubles(result, values.counts(groups) == 0)


def weighted_sum(exponent: int = 1) -> Kernel:
    """`wsum`, and `wsum2` of squares of the first column."""

    def kernel(groups: Groups, x: Vector, y: Vector) -> Vector:
        values = Numbers(x, y)

        def terms(rows: slice) -> list[Array]:
            first, second = values.at(rows)
            return [first**exponent * second]

        with np.errstate(invalid="ignore", over="ignore"):
            return doubles(sums(groups, terms)[0], values.counts(groups) == 0)

    return kernel


def weighted_covariance(groups: Groups, x: Vector, y: Vector, weights: Vector) -> Vector:
    values = Numbers(x, y, weights)

    def moments(rows: slice) -> list[Array]:
        first, second, weight = values.at(rows)
        return [weight, first * weight, second * weight]

    with np.errstate(invalid="ignore", divide="ignore"):
        mass, mean_x, mean_y = sums(groups, moments)
        mean_x, mean_y = mean_x / mass, mean_y / mass

        def products(rows: slice) -> list[Array]:
            codes = groups.codes[rows]
            first, second, weight = values.at(rows)
            return [np.where(weight == 0, 0.0, (first - mean_x[codes]) * (second - mean_y[codes]) * weight)]

        number = values.counts(groups)
        result = sums(groups, products)[0] / mass * number / (number - 1)
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
    values = Numbers(x, y)

    def terms(rows: slice) -> list[Array]:
        first, second = values.at(rows)
        return [(first - second) ** 2]

    return doubles(np.sqrt(sums(groups, terms)[0]), values.counts(groups) == 0)


def _products(groups: Groups, x: Vector, y: Vector) -> tuple[Array, Array, Array, Array]:
    """The sums of the products and of both squares, and which groups are empty."""
    values = Numbers(x, y)

    def terms(rows: slice) -> list[Array]:
        first, second = values.at(rows)
        return [first * second, first**2, second**2]

    product, xx, yy = sums(groups, terms)
    return product, xx, yy, values.counts(groups) == 0


def cosine(groups: Groups, x: Vector, y: Vector) -> Vector:
    product, xx, yy, empty = _products(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(product / np.sqrt(xx * yy), empty)


def tanimoto(groups: Groups, x: Vector, y: Vector) -> Vector:
    """The Tanimoto distance."""
    product, xx, yy, empty = _products(groups, x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(1.0 - product / (xx + yy - product), empty)
