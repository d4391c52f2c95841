"""Ridge regression with kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.arguments import choice_argument, float_argument, is_omitted, text_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.linear_algebra import matrix
from engine.functions.registry import Registry
from engine.functions.statistics.interpolation import model
from engine.functions.statistics.penalized_regression import table_columns
from engine.functions.statistics.regression import design_matrix
from engine.types import Type
from engine.values import NOTHING, Array, Table, Value, double, string, vector

functions = Registry()

KERNELS = ("linear", "rbf", "poly", "polynomial", "sigmoid", "laplacian", "cosine", "additive_chi2", "chi2")


def _chi2(x: Array, y: Array) -> Array:
    if (x < 0).any() or (y < 0).any():
        raise CallError("this kernel needs columns without negative numbers.")
    total = x[:, None, :] + y[None, :, :]
    return np.asarray((((x[:, None, :] - y[None, :, :]) ** 2) / np.where(total == 0, 1.0, total)).sum(axis=2))


def _kernel(kind: str, gamma: float, degree: float, constant: float) -> Callable[[Array, Array], Array]:
    """The similarity of each row of one matrix with each row of another."""

    def similarity(x: Array, y: Array) -> Array:
        if kind == "linear":
            return np.asarray(x @ y.T)
        if kind in ("poly", "polynomial"):
            return np.asarray((gamma * (x @ y.T) + constant) ** degree)
        if kind == "sigmoid":
            return np.asarray(np.tanh(gamma * (x @ y.T) + constant))
        if kind == "cosine":
            lengths = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
            return np.asarray(x @ y.T / np.where(lengths == 0, 1.0, lengths))
        if kind in ("chi2", "additive_chi2"):
            return np.asarray(np.exp(-gamma * _chi2(x, y)) if kind == "chi2" else -_chi2(x, y))
        apart = x[:, None, :] - y[None, :, :]
        distance = (apart**2).sum(axis=2) if kind == "rbf" else np.abs(apart).sum(axis=2)
        return np.asarray(np.exp(-gamma * distance))

    return similarity


@functions.builtin(
    "kernelRidge",
    "ds, yColName, xColNames, [alpha=1.0], [kernel='linear'], [gamma=0], [degree=3], [coef0=1], [swColName]",
)
def kernel_ridge(
    data: Value,
    y: Value,
    x: Value,
    alpha: Value = NOTHING,
    kernel: Value = NOTHING,
    gamma: Value = NOTHING,
    degree: Value = NOTHING,
    constant: Value = NOTHING,
    weight: Value = NOTHING,
) -> Value:
    """A regression on the similarities of rows."""
    names = [str(name) for name in as_vector(x).strings()]
    goal, *factors = table_columns(data, [text_argument(y, "yColName"), *names])
    design = np.column_stack(factors)
    if np.isnan(design).any() or np.isnan(goal).any():
        raise CallError("the columns must not contain nulls.")
    penalty, kind = float_argument(alpha, "alpha", 1.0), choice_argument(kernel, "kernel", KERNELS, "linear")
    width = float_argument(gamma, "gamma", 0.0) or 1 / design.shape[1]
    power, shift = float_argument(degree, "degree", 3.0), float_argument(constant, "coef0", 1.0)
    if penalty <= 0:
        raise CallError("alpha must be positive.")
    similarity = _kernel(kind, width, power, shift)
    root = np.ones(len(goal))
    if not is_omitted(weight):
        root = np.sqrt(table_columns(data, [text_argument(weight, "swColName")])[0])
    gram = similarity(design, design) * np.outer(root, root) + penalty * np.eye(len(goal))
    coefficients = np.linalg.solve(gram, goal * root) * root
    parts: dict[object, Value] = {
        "coefficients": matrix(coefficients[:, None]),
        "xColNames": vector(Type.STRING, names),
        "xFit": matrix(design),
        "alpha": double(penalty),
        "kernel": string(kind),
        "gamma": double(width),
        "degree": double(power),
        "coef0": double(shift),
    }

    def predict(new: Value) -> Value:
        columns = table_columns(new, names) if isinstance(new, Table) else [*design_matrix(new, len(as_vector(new))).T]
        return matrix((similarity(np.column_stack(columns), design) @ coefficients)[:, None])

    return model("kernelRidge", "kernelRidgePredict", parts, predict)
