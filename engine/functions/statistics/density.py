"""Densities estimated from samples by Gaussian kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import is_omitted
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.linear_algebra import dense, matrix
from engine.functions.registry import Builtin, Kind, Registry, parse_parameters
from engine.types import LITERAL, Type
from engine.values import NOTHING, AnyVector, Array, Dictionary, Matrix, Scalar, Table, Value, Vector, double

if TYPE_CHECKING:
    from scipy.stats import gaussian_kde

functions = Registry()


def _points(value: Value) -> Array:
    """The points as rows."""
    if isinstance(value, Matrix):
        return dense(value)
    if isinstance(value, Table | AnyVector):
        columns = value.columns if isinstance(value, Table) else value.items
        return np.column_stack([numbers(as_vector(column), "X") for column in columns])
    return numbers(as_vector(value), "X").reshape(-1, 1)


def _estimate(points: Array, weights: Array | None, bandwidth: str | float) -> gaussian_kde:
    from scipy.stats import gaussian_kde

    try:
        return gaussian_kde(points.T, bw_method=bandwidth, weights=weights)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise CallError(f"no density can be estimated: {error}.") from None


@functions.builtin("gaussianKde", 'X, [weights], [bwMethod="scott"]', context=True)
def density(ctx: Context, x: Value, weights: Value = NOTHING, bandwidth: Value = NOTHING) -> Dictionary:
    """A model of the density of points, one in each row."""
    points = _points(x)
    if np.isnan(points).any() or len(points) <= points.shape[1]:
        raise CallError("X must have more rows than columns, and no NULL.")
    given = None if is_omitted(weights) else to_float(as_vector(weights))
    if given is not None and (len(given) != len(points) or (given < 0).any() or not given.any()):
        raise CallError("weights must have a non-negative number for each row, not all of them 0.")
    method: str | float = "scott"
    if isinstance(bandwidth, Scalar) and bandwidth.type in LITERAL:
        method = str(bandwidth.value)
    elif isinstance(bandwidth, Scalar) and not bandwidth.is_null:
        method = float(to_float(as_vector(bandwidth))[0])
    elif not is_omitted(bandwidth):
        method = float(to_float(as_vector(ctx.call(bandwidth, [x])))[0])  # type: ignore[arg-type]
    estimate = _estimate(points, given, method)

    def predict(new: Value) -> Vector:
        return doubles(estimate(_points(new).T))

    parts: dict[object, Value] = {
        "X": matrix(points),
        "predict": Builtin("gaussianKdePredict", "gaussianKdePredict(X)", Kind.OTHER, predict, parse_parameters("X")),
        "cov": matrix(np.linalg.cholesky(estimate.covariance)),
        "weights": doubles(estimate.weights),
        "bandwidth": double(float(estimate.factor)),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


@functions.builtin("gaussianKdePredict", "model, X")
def density_at(model: Value, x: Value) -> Vector:
    """The density of the points in the rows of X under a model of `gaussianKde`."""
    if not isinstance(model, Dictionary) or not {"X", "weights", "bandwidth"} <= model.items.keys():
        raise CallError("model must be a dictionary that gaussianKde returned.")
    bandwidth = float(to_float(as_vector(model.items["bandwidth"]))[0])
    estimate = _estimate(_points(model.items["X"]), to_float(as_vector(model.items["weights"])), bandwidth)
    return doubles(estimate(_points(x).T))
