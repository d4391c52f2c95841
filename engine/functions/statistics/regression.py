"""Least-squares regression and polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    integer_argument,
    is_omitted,
    positive_argument,
)
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.statistics.reports import coefficients, goodness, variance_analysis
from engine.numerics.penalized import bounded_fit
from engine.types import LITERAL, Type
from engine.values import AnyVector, Array, Dictionary, Matrix, Table, Value, Vector, elements, string

functions = Registry()


def _observed(x: Value, name: str = "X") -> Array:
    """A column with NULL as 0."""
    values = numbers(as_vector(x), name)
    if np.isinf(values).any():
        raise CallError(f"{name} must be finite.")
    return np.where(np.isnan(values), 0.0, values)


def design_matrix(x: Value, rows: int) -> Array:
    """The factors of a regression as columns; NULL counts as 0."""
    if isinstance(x, Matrix):
        data = _observed(x).reshape(x.data.shape, order="F")
        data = data if data.shape[0] == rows else data.T
    elif isinstance(x, Table):
        columns = [c for c in x.columns if isinstance(c, Vector) and c.type not in LITERAL]
        data = np.column_stack([_observed(column) for column in columns])
    elif isinstance(x, AnyVector):
        data = np.column_stack([_observed(item) for item in x.items])
    else:
        data = _observed(x).reshape(-1, 1)
    if data.shape[0] != rows:
        raise CallError("X and Y must have the same number of observations.")
    return data


def _orthogonal(y: Array, design: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted least squares (the shortest of several), and the diagonal of the inverse of the normal matrix."""
    root = np.sqrt(weights)
    base, triangle = np.linalg.qr(design * root[:, None])
    inverse = np.linalg.pinv(triangle, rtol=max(design.shape) * float(np.finfo(float).eps))
    return inverse @ (base.T @ (y * root)), (inverse**2).sum(axis=1)


def _normal(y: Array, design: Array, inverse_of: Callable[[Array], Array]) -> tuple[Array, Array]:
    """The same by inverting the normal matrix."""
    try:
        inverse = inverse_of(design.T @ design)
    except np.linalg.LinAlgError:
        raise CallError("the factors are linearly dependent; usePinv must be true.") from None
    return inverse @ (design.T @ y), np.diagonal(inverse)


def _fitted(y: Array, design: Array, weights: Array, mode: int, intercept: bool, found: tuple[Array, Array]) -> Value:
    """What is told of coefficients and of the diagonal of the inverse of the normal matrix."""
    beta, variances = found
    if mode == 0:
        return doubles(beta)
    rows, count = design.shape
    residual = y - design @ beta
    error = float(weights @ residual**2)
    freedom = rows - count
    center = float(weights @ y / weights.sum()) if intercept else 0.0
    total = float(weights @ (y - center) ** 2)
    spread = error / freedom if freedom > 0 else math.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(variances * spread)
    width = count - intercept
    names = [*(["intercept"] if intercept else []), *(f"x{i}" for i in range(1, width + 1))]
    table = coefficients(names, beta, deviation, freedom)
    if mode == 1:
        return table
    anova = variance_analysis(total - error, error, total, width, freedom)
    statistics = goodness(1 - error / total if total else math.nan, error, width, freedom, rows)
    parts: dict[object, Value] = {
        "ANOVA": anova, "RegressionStat": statistics, "Coefficient": table, "Residual": doubles(residual),
    }  # fmt: skip
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


def _with_intercept(design: Array, intercept: bool) -> Array:
    return np.column_stack([np.ones(len(design)), design]) if intercept else design


def _mode(mode: Value | None) -> int:
    number = integer_argument(mode, "mode", 0)
    if number not in (0, 1, 2):
        raise CallError("mode must be 0, 1 or 2.")
    return number


@functions.builtin("ols", "Y, X, [intercept=true], [mode=0], [method='default'], [usePinv=true]")
def ols(
    y: Value,
    x: Value,
    intercept: Value | None = None,
    mode: Value | None = None,
    method: Value | None = None,
    pseudo: Value | None = None,
) -> Value:
    by_svd = choice_argument(method, "method", ("default", "svd"), "default") == "svd"
    inverse_of = np.linalg.pinv if boolean_argument(pseudo, "usePinv", True) else np.linalg.inv
    goal, constant = _observed(y, "Y"), boolean_argument(intercept, "intercept", True)
    design, weights = _with_intercept(design_matrix(x, len(goal)), constant), np.ones(len(goal))
    found = _orthogonal(goal, design, weights) if by_svd else _normal(goal, design, inverse_of)
    return _fitted(goal, design, weights, _mode(mode), constant, found)


@functions.builtin("bvls", "Y, X, bounds, [maxIter], [tolerance=1e-10], [intercept=true], [mode=0]")
def bounded_least_squares(
    y: Value,
    x: Value,
    bounds: Value,
    most: Value | None = None,
    tolerance: Value | None = None,
    intercept: Value | None = None,
    mode: Value | None = None,
) -> Value:
    """The coefficients between bounds that minimise the squares of the residuals."""
    if integer_argument(mode, "mode", 0) != 0:
        raise CallError("mode must be 0.")
    goal = _observed(y, "Y")
    design = _with_intercept(design_matrix(x, len(goal)), boolean_argument(intercept, "intercept", True))
    sides = [
        as_vector(each) for each in (bounds.items if isinstance(bounds, AnyVector) else elements(as_vector(bounds)))
    ]
    if len(sides) != 2:
        raise CallError("bounds must be a tuple of a lower and an upper bound.")
    size = design.shape[1]
    limits = []
    for side, unbounded in zip(sides, (-np.inf, np.inf), strict=True):
        given = numbers(side, "bounds")
        if len(given) not in (1, size):
            raise CallError("a bound must be a scalar or have one element for each factor.")
        limits.append(np.broadcast_to(np.where(np.isnan(given), unbounded, given), size))
    if (limits[0] > limits[1]).any():
        raise CallError("a lower bound must not be above the upper one.")
    number = 100 * size if is_omitted(most) else positive_argument(most, "maxIter")
    return doubles(
        bounded_fit(design, goal, limits[0], limits[1], float_argument(tolerance, "tolerance", 1e-10), number)
    )


@functions.builtin("wls", "Y, X, W, [intercept=true], [mode=0]")
def wls(y: Value, x: Value, w: Value, intercept: Value | None = None, mode: Value | None = None) -> Value:
    goal, constant = _observed(y, "Y"), boolean_argument(intercept, "intercept", True)
    weights = np.nan_to_num(numbers(as_vector(w), "W"))
    if len(weights) != len(goal) or (weights < 0).any():
        raise CallError("W must have one non-negative weight for each observation.")
    design = _with_intercept(design_matrix(x, len(goal)), constant)
    return _fitted(goal, design, weights, _mode(mode), constant, _orthogonal(goal, design, weights))


@functions.builtin("residual", "Y, X, params, [intercept=true]")
def residual(y: Value, x: Value, parameters: Value, intercept: Value | None = None) -> Vector:
    goal = _observed(y, "Y")
    design = _with_intercept(design_matrix(x, len(goal)), boolean_argument(intercept, "intercept", True))
    beta = numbers(as_vector(parameters), "params")
    if len(beta) != design.shape[1]:
        raise CallError("params must have one coefficient for each factor.")
    return doubles(goal - design @ beta)


@functions.builtin("polyFit", "X, Y, n, [mode=0]")
def poly_fit(x: Value, y: Value, n: Value, mode: Value | None = None) -> Value:
    degree = integer_argument(n, "n")
    points, values = numbers(as_vector(x)), numbers(as_vector(y), "Y")
    if degree < 0 or len(points) != len(values) or not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise CallError("X and Y must be finite, of the same length and without NULLs, n must not be negative.")
    design = np.vander(points, degree + 1, increasing=True)
    coefficients = doubles(np.linalg.lstsq(design, values, rcond=None)[0])
    if not boolean_argument(mode, "mode", False):
        return coefficients
    predict = functions.functions["polyPredict"]
    model: dict[object, Value] = {"modelName": string("polyFit"), "z": coefficients, "predict": predict}
    return Dictionary(Type.STRING, Type.ANY, model, ordered=True)


@functions.builtin("polyPredict", "model, X", aliases=("poly1d",))
def poly_predict(model: Value, x: Value) -> Value:
    if isinstance(model, Dictionary):
        model = model.items["z"]
    result: Value = polynomial(x, model)
    return result


@functions.builtin("polynomial", "X, coeffs")
def polynomial(x: Value, coefficients: Value) -> Value:
    powers = numbers(as_vector(coefficients), "coeffs")
    if not len(powers):
        raise CallError("coeffs must not be empty.")

    def kernel(column: Vector) -> Vector:
        with np.errstate(all="ignore"):
            return doubles(np.polynomial.polynomial.polyval(numbers(column), powers))

    return lifting.elementwise(kernel, [x])
