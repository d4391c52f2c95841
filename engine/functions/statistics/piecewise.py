"""Continuous piecewise polynomials whose breaks are found by scipy, which is imported at the first use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arguments import (
    choice_argument,
    integer_argument,
    is_omitted,
    optional_integer,
    positive_argument,
)
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.optimization import limits
from engine.functions.registry import Registry
from engine.numerics.minima import EVOLUTION, METHODS, Bounds, least
from engine.types import Type
from engine.values import NOTHING, Array, Dictionary, Scalar, Value, Vector, integer, string, vector

functions = Registry()


def _numbers(value: Value, name: str, length: int | None = None) -> Array:
    given = to_float(as_vector(value))
    if not len(given) or np.isnan(given).any() or length not in (None, len(given)):
        raise CallError(f"{name} must have no NULLs" + ("." if length is None else f", and {length} elements."))
    return given


def _basis(x: Array, breaks: Array, degree: int) -> Array:
    """A constant and, for each power, what begins at each break but the last: with degree 0, steps."""
    past = x[:, None] - breaks[None, :-1]
    behind = past >= 0
    behind[:, 0] = True
    if degree == 0:
        return behind.astype(np.float64)
    powers = [np.where(behind, past**power, 0.0) for power in range(1, degree + 1)]
    return np.column_stack([np.ones(len(x)), *powers])


@dataclass(frozen=True)
class _Data:
    """Points, the weights of their errors, and points to go through."""

    x: Array
    y: Array
    weights: Array
    through_x: Array
    through_y: Array
    degree: int
    driver: str

    def coefficients(self, breaks: Array) -> Array:
        """The least squares for these breaks; with points to go through, by Lagrange's conditions."""
        from scipy import linalg

        design, goal = _basis(self.x, breaks, self.degree) * self.weights[:, None], self.y * self.weights
        if len(self.through_x):
            fixed = _basis(self.through_x, breaks, self.degree)
            zero = np.zeros((len(fixed), len(fixed)))
            design, goal = (
                np.block([[2 * design.T @ design, fixed.T], [fixed, zero]]),
                np.concatenate([2 * design.T @ goal, self.through_y]),
            )
        found, *_ = linalg.lstsq(design, goal, lapack_driver=self.driver, check_finite=False)
        return np.asarray(found[: (len(breaks) - 1) * max(self.degree, 1) + (self.degree > 0)])

    def error(self, breaks: Array) -> float:
        residual = (self.y - _basis(self.x, breaks, self.degree) @ self.coefficients(breaks)) * self.weights
        return float(residual @ residual)

    def between(self, inner: Array) -> Array:
        """All breaks, given those between the ends of the data."""
        return np.concatenate([[self.x.min()], np.sort(inner), [self.x.max()]])


@functions.builtin(
    "piecewiseLinFit",
    "X, Y, numSegments, [XC], [YC], [bounds], [lapackDriver='gelsd'], [degree=1], [weights], [method='de'], [maxIter],"
    " [initialGuess], [seed]",
    context=True,
)
def piecewise_fit(
    ctx: Context,
    x: Value,
    y: Value,
    segments: Value,
    through_x: Value = NOTHING,
    through_y: Value = NOTHING,
    bounds: Value = NOTHING,
    driver: Value = NOTHING,
    degree: Value = NOTHING,
    weights: Value = NOTHING,
    method: Value = NOTHING,
    most: Value = NOTHING,
    initial: Value = NOTHING,
    seed: Value = NOTHING,
) -> Dictionary:
    """The continuous piecewise linear function of so many segments with the least squares of errors."""
    kind = METHODS[choice_argument(method, "method", tuple(METHODS), "de")]
    points = _numbers(x, "X")
    count = positive_argument(segments, "numSegments")
    power = integer_argument(degree, "degree", 1)
    if power < 0 or points.min() == points.max():
        raise CallError("degree must not be negative, and the elements of X must differ.")
    none = np.empty(0)
    forced = kind == EVOLUTION and not is_omitted(through_x)
    places = _numbers(through_x, "XC") if forced else none
    data = _Data(
        points,
        _numbers(y, "Y", len(points)),
        np.ones(len(points)) if is_omitted(weights) else _numbers(weights, "weights", len(points)),
        places,
        _numbers(through_y, "YC", len(places)) if forced else none,
        power,
        choice_argument(driver, "lapackDriver", ("gelsd", "gelsy", "gelss"), "gelsd"),
    )
    ranges = limits(bounds, count - 1) or [(float(points.min()), float(points.max()))] * (count - 1)
    number = optional_integer(seed, "seed")
    start = _guess(initial, kind, ranges, number)

    def error(inner: Array) -> float:
        ctx.check()
        return data.error(data.between(inner))

    inner = none
    if count > 1:
        inner = least(error, start, kind, ranges, optional_integer(most, "maxIter"), number).x
    breaks = data.between(np.clip(inner, points.min(), points.max()))
    beta = data.coefficients(breaks)
    parts: dict[object, Value] = {
        "breaks": _doubles(breaks),
        "beta": _doubles(beta),
        "xData": _doubles(points),
        "yData": _doubles(data.y),
        "XC": _doubles(data.through_x),
        "YC": _doubles(data.through_y),
        "weights": _doubles(none if is_omitted(weights) else data.weights),
        "degree": integer(power),
        "lapackDriver": string(data.driver),
        "numParameters": integer(len(beta)),
        "predict": functions.functions["pwlfPredict"],
        "modelName": string("Piecewise Linear Regression"),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


def _guess(initial: Value, kind: str, ranges: Bounds, seed: int | None) -> Array | None:
    """Where the search for the breaks begins; a random place if it is not given and the method needs one."""
    if not is_omitted(initial):
        return _numbers(initial, "initialGuess", len(ranges))
    if kind == EVOLUTION:
        return None
    return np.sort(np.random.default_rng(seed).uniform(*np.array(ranges).reshape(-1, 2).T))


def _doubles(data: Array) -> Vector:
    return vector(Type.DOUBLE, data)


@functions.builtin("pwlfPredict", "model, X, [beta], [breaks]")
def piecewise_predict(model: Value, x: Value, beta: Value = NOTHING, breaks: Value = NOTHING) -> Value:
    """The values of a fitted piecewise function."""
    if not isinstance(model, Dictionary) or not {"breaks", "beta", "degree"} <= model.items.keys():
        raise CallError("model must be the result of piecewiseLinFit.")
    borders = _numbers(model.items["breaks"] if is_omitted(breaks) else breaks, "breaks")
    coefficients = _numbers(model.items["beta"] if is_omitted(beta) else beta, "beta")
    basis = _basis(_numbers(x, "X"), np.sort(borders), integer_argument(model.items["degree"], "degree"))
    if len(borders) < 2 or basis.shape[1] != len(coefficients):
        raise CallError("beta must have an element for each parameter of the model with these breaks.")
    out = _doubles(basis @ coefficients)
    return out.scalar(0) if isinstance(x, Scalar) else out
