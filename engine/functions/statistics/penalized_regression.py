"""Ridge, lasso and elastic net: over vectors, over tables, and with cross-validation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    integer_argument,
    is_omitted,
    positive_argument,
    text_argument,
)
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.statistics.interpolation import model
from engine.functions.statistics.regression import design_matrix
from engine.functions.statistics.reports import coefficients, goodness, variance_analysis
from engine.numerics.penalized import Fit, Penalty, Solver, best_of_folds, elastic_net, ridge
from engine.types import Type
from engine.values import (
    NOTHING,
    Array,
    Dictionary,
    Table,
    Value,
    Vector,
    double,
    integer,
    vector,
)

functions = Registry()

_SOLVERS: dict[str, Solver] = {"lasso": elastic_net, "elasticNet": elastic_net, "ridge": ridge}
_TAILS = {
    "lasso": "[intercept=true], [normalize=false], [maxIter=1000], [tolerance=0.0001], [positive=false], [swColName],"
    " [checkInput=true]",
    "ridge": "[intercept=true], [normalize=false], [maxIter=1000], [tolerance=0.0001], [solver='svd'], [swColName]",
}
_TAILS["elasticNet"] = "[l1Ratio=0.5], " + _TAILS["lasso"]


def _penalty(kind: str, alpha: Value, options: tuple[Value, ...]) -> tuple[Penalty, Value]:
    """The penalty, and the argument that names the column of weights."""
    given = [*options, *[NOTHING] * 8]
    ratio = 1.0 if kind == "lasso" else 0.0
    if kind == "elasticNet":
        ratio = float_argument(given.pop(0), "l1Ratio", 0.5)
    if not 0 <= ratio <= 1:
        raise CallError("l1Ratio must be between 0 and 1.")
    positive = False
    if kind == "ridge":
        choice_argument(given[4], "solver", ("svd", "cholesky"), "svd")
    else:
        positive = boolean_argument(given[4], "positive", False)
    penalty = Penalty(
        float_argument(alpha, "alpha", 1.0),
        ratio,
        boolean_argument(given[0], "intercept", True),
        boolean_argument(given[1], "normalize", False),
        positive_argument(given[2], "maxIter", 1000),
        float_argument(given[3], "tolerance", 1e-4),
        positive,
    )
    return penalty, given[5]


def _declare_basic(kind: str) -> None:
    @functions.builtin(f"{kind}Basic", f"Y, X, [mode=0], [alpha=1.0], {_TAILS[kind]}")
    def basic(y: Value, x: Value, mode: Value = NOTHING, alpha: Value = NOTHING, *options: Value) -> Value:
        """The coefficients of a regression with a penalty, the intercept first."""
        goal = np.nan_to_num(numbers(as_vector(y), "Y"))
        factors = design_matrix(x, len(goal))
        penalty, weights = _penalty(kind, alpha, options)
        if not is_omitted(weights):
            raise UnsupportedError(f"{kind}Basic with swColName")
        fit = _SOLVERS[kind](factors, goal, None, penalty)
        return _report(goal, factors, fit, penalty.intercept, integer_argument(mode, "mode", 0), kind)


def _report(goal: Array, factors: Array, fit: Fit, intercept: bool, mode: int, kind: str) -> Value:
    beta = np.concatenate([[fit.intercept], fit.coefficients]) if intercept else fit.coefficients
    if mode == 0:
        return doubles(beta)
    if mode not in (1, 2):
        raise CallError("mode must be 0, 1 or 2.")
    count, width = factors.shape
    design = np.column_stack([np.ones(count), factors]) if intercept else factors
    fitted = design @ beta
    center = float(goal.mean()) if intercept else 0.0
    explained, total = float(((fitted - center) ** 2).sum()), float(((goal - center) ** 2).sum())
    error, freedom = float(((goal - fitted) ** 2).sum()), count - design.shape[1]
    spread = error / freedom if freedom > 0 else math.nan
    deviation = np.sqrt(np.diagonal(np.linalg.pinv(design.T @ design)) * spread)
    names = [f"beta{i}" for i in range(width)] if kind == "ridge" else [f"x{i + 1}" for i in range(width)]
    table = coefficients([*(["intercept"] if intercept else []), *names], beta, deviation, freedom)
    if mode == 1:
        return table
    anova = variance_analysis(explained, error, total, width, freedom)
    statistics = goodness(explained / total if total else math.nan, error, width, freedom, count)
    parts: dict[object, Value] = {
        "Coefficient": table, "RegressionStat": statistics, "ANOVA": anova, "Residual": doubles(goal - fitted),
    }  # fmt: skip
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


def table_columns(data: Value, names: list[str]) -> list[Array]:
    if not isinstance(data, Table):
        raise UnsupportedError("A regression over data sources")
    out = []
    for name in names:
        column = data.column(name)
        if column is None:
            raise CallError(f"unrecognized column name [{name}].")
        out.append(numbers(as_vector(column), name))
    return out


def _fit_table(
    kind: str, data: Value, y: Value, x: Value, penalty: Penalty, weight: Value, alphas: Array | None
) -> Value:
    names = [str(name) for name in as_vector(x).strings()]
    goal, *factors = table_columns(data, [text_argument(y, "yColName"), *names])
    weights = None if is_omitted(weight) else table_columns(data, [text_argument(weight, "swColName")])[0]
    design = np.column_stack(factors)
    if np.isnan(design).any() or np.isnan(goal).any():
        raise CallError("the columns must not contain nulls.")
    chosen: dict[object, Value] = {}
    if alphas is None:
        fit = _SOLVERS[kind](design, goal, weights, penalty)
    else:
        fit, alpha = best_of_folds(_SOLVERS[kind], design, goal, weights, penalty, alphas)
        chosen["alpha"] = double(alpha)
        penalty = replace(penalty, alpha=alpha)
    parts: dict[object, Value] = {"coefficients": doubles(fit.coefficients), "intercept": double(fit.intercept)}
    if kind != "ridge":
        parts |= {
            "dual_gap": double(fit.dual_gap),
            "tolerance": double(penalty.tolerance),
            "iterations": integer(fit.iterations),
        }
    parts |= {"xColNames": vector(Type.STRING, names), **chosen}

    def predict(new: Value) -> Value:
        columns = table_columns(new, names) if isinstance(new, Table) else [*design_matrix(new, _length(new)).T]
        return doubles(np.column_stack(columns) @ fit.coefficients + fit.intercept)

    return model(kind if alphas is None else f"{kind}CV", "coordinateDescentPredict", parts, predict)


def _length(value: Value) -> int:
    return len(as_vector(value)) if isinstance(value, Vector) else int(getattr(value, "rows", 0))


def _declare_on_tables(kind: str) -> None:
    @functions.builtin(kind, f"ds, yColName, xColNames, [alpha=1.0], {_TAILS[kind]}")
    def fitted(data: Value, y: Value, x: Value, alpha: Value = NOTHING, *options: Value) -> Value:
        """A regression with a penalty over columns of a table."""
        penalty, weights = _penalty(kind, alpha, options)
        return _fit_table(kind, data, y, x, penalty, weights, None)

    @functions.builtin(f"{kind}CV", f"ds, yColName, xColNames, [alphas], {_TAILS[kind]}")
    def validated(data: Value, y: Value, x: Value, alphas: Value = NOTHING, *options: Value) -> Value:
        """The regression whose penalty predicts best in cross-validation."""
        penalty, weights = _penalty(kind, NOTHING, options)
        steps = np.array([0.01, 0.1, 1.0]) if is_omitted(alphas) else numbers(as_vector(alphas), "alphas")
        return _fit_table(kind, data, y, x, penalty, weights, steps)


for _kind in _SOLVERS:
    _declare_basic(_kind)
    _declare_on_tables(_kind)
