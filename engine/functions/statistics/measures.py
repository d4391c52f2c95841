"""Statistical tests, rank correlation, autocorrelation, histograms."""

from __future__ import annotations

import math

import numpy as np

from engine import lifting
from engine.aggregation import basic, moments, order
from engine.aggregation.basic import doubles
from engine.aggregation.catalogue import MAXIMUM, MINIMUM, STD
from engine.aggregation.rows import numbers, whole
from engine.arguments import boolean_argument, float_argument, is_omitted, positive_argument
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.linear_algebra import dense
from engine.functions.registry import Registry
from engine.numerics.probability import CHI_SQUARE, NORMAL, STUDENT, F
from engine.types import Type
from engine.values import (
    AnyVector,
    Array,
    Dictionary,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    double,
    integer,
    string,
    vector,
)

functions = Registry()


def _sample(value: Value | None, name: str = "X") -> Array:
    if value is None:
        raise CallError(f"{name} must be a vector.")
    values = numbers(as_vector(value), name)
    if np.isinf(values).any():
        raise CallError(f"{name} must be finite.")
    return values[~np.isnan(values)]


def _pairs(x: Value, y: Value | None) -> tuple[Array, Array]:
    """Two columns where neither is NULL."""
    if y is None:
        raise CallError("Y must be a vector.")
    a, b = numbers(as_vector(x)), numbers(as_vector(y), "Y")
    if len(a) != len(b):
        raise CallError("X and Y must have the same length.")
    kept = ~(np.isnan(a) | np.isnan(b))
    return a[kept], b[kept]


def _result(**parts: Value) -> Dictionary:
    return Dictionary(Type.STRING, Type.ANY, dict(parts), ordered=True)


@functions.builtin("stat", "X", context=True)
def stat(ctx: Context, x: Value) -> Dictionary:
    column = as_vector(x)
    groups = whole(len(column))
    parts: dict[object, Value] = {
        "Median": order.median(groups, column).scalar(0),
        "Avg": basic.average(groups, column).scalar(0),
        "Min": MINIMUM.kernel(groups, column).scalar(0),
        "Stdev": STD(groups, column).scalar(0),
        "Count": basic.count(groups, column).scalar(0),
        "Size": integer(len(column)),
        "Name": string(column.name or getattr(ctx, "argument_names", {}).get(0, "")),
        "Max": MAXIMUM.kernel(groups, column).scalar(0),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


@functions.builtin("spearmanr", "X, Y")
def spearman(x: Value, y: Value) -> Value:
    """The correlation of ranks, ties sharing their mean."""

    def reduce(first: Vector, second: Vector) -> Scalar:
        kept = ~(first.nulls() | second.nulls())
        columns = [first.take(kept), second.take(kept)]
        groups = whole(int(kept.sum()))
        ranked = [doubles(order.rank_in_groups(groups, column, ties="average")[0]) for column in columns]
        return moments.correlation(groups, *ranked).scalar(0)

    return lifting.aggregate(reduce, [x, y])


@functions.builtin("kendall", "X, Y")
def kendall(x: Value, y: Value) -> Value:
    """Kendall's tau-b."""
    from scipy import stats

    def reduce(first: Vector, second: Vector) -> Scalar:
        a, b = _pairs(first, second)
        return double(float(stats.kendalltau(a, b).statistic) if len(a) > 1 else math.nan)

    return lifting.aggregate(reduce, [x, y])


def _autocorrelations(x: Value, lags: int) -> Array:
    values = numbers(as_vector(x))
    if np.isnan(values).any():
        raise CallError("X must not contain NULLs.")
    centered = values - values.mean() if len(values) else values
    total = float(centered @ centered)
    if lags >= len(values):
        raise CallError("the lag must be less than the size of X.")
    if not total:
        return np.full(lags, np.nan)
    return np.array([float(centered[lag:] @ centered[:-lag]) / total for lag in range(1, lags + 1)])


@functions.builtin("acf", "X, maxLag")
def autocorrelation_function(x: Value, lags: Value) -> Vector:
    return doubles(_autocorrelations(x, positive_argument(lags, "maxLag")))


@functions.builtin("autocorr", "X, lag")
def autocorrelation(x: Value, lag: Value) -> Scalar:
    return double(float(_autocorrelations(x, positive_argument(lag, "lag"))[-1]))


@functions.builtin("crossStat", "X, Y")
def cross_statistics(x: Value, y: Value) -> AnyVector:
    a, b = _pairs(x, y)
    with np.errstate(all="ignore"):
        sums = [double(float(part)) for part in (a.sum(), b.sum(), a @ a, b @ b, a @ b)]
    return AnyVector([integer(len(a)), *sums])


@functions.builtin("histogram", "X, [bins=10], [range], [density=false], [weights]")
def histogram(
    x: Value,
    bins: Value | None = None,
    bounds: Value | None = None,
    density: Value | None = None,
    weights: Value | None = None,
) -> Dictionary:
    values = numbers(as_vector(x))
    kept = ~np.isnan(values)
    edges: int | Array = 10
    if not is_omitted(bins) and bins is not None:
        edges = positive_argument(bins, "bins") if isinstance(bins, Scalar) else numbers(as_vector(bins), "bins")
    limits = None if is_omitted(bounds) else tuple(numbers(as_vector(bounds), "range"))  # type: ignore[arg-type]
    mass = None if is_omitted(weights) else numbers(as_vector(weights), "weights")[kept]  # type: ignore[arg-type]
    share = boolean_argument(density, "density", False)
    heights, borders = np.histogram(values[kept], edges, limits, share, mass)
    whole_numbers = heights.dtype.kind == "i"
    found = vector(Type.LONG, heights) if whole_numbers else doubles(heights)
    return Dictionary(Type.STRING, Type.ANY, {"H": found, "edges": doubles(borders)}, ordered=True)


@functions.builtin("boxcox", "X, [lmbda]")
def box_cox(x: Value, parameter: Value | None = None) -> Value:
    """The transformation of Box and Cox; without `lmbda` by the power that makes the result most nearly normal."""
    from scipy import special, stats

    values = numbers(as_vector(x))
    if parameter is not None and not is_omitted(parameter):
        powers = numbers(as_vector(parameter), "lmbda")
        if len(powers) not in (1, len(values)):
            raise CallError("lmbda must be a scalar or as long as X.")
        with np.errstate(all="ignore"):
            return doubles(special.boxcox(values, powers))
    if not np.isfinite(values).all() or (values <= 0).any() or len(np.unique(values)) < 2:
        raise CallError("X must be positive and finite, without NULLs, and not constant.")
    transformed, best = stats.boxcox(values)
    return AnyVector([doubles(transformed), double(float(best))])


HYPOTHESES = ("not equal to", "less than", "greater than")


def _hypotheses(subject: str, value: float, p: list[float], low: list[float], high: list[float]) -> Table:
    shown = f"{value:g}"
    return Table(
        ["alternativeHypothesis", "pValue", "lowerBound", "upperBound"],
        [
            vector(Type.STRING, [f"{subject} is {each} {shown}" for each in HYPOTHESES]),
            doubles(np.array(p)),
            doubles(np.array(low)),
            doubles(np.array(high)),
        ],
    )


def _filled(sample: Array, name: str = "X") -> Array:
    if not len(sample):
        raise CallError(f"{name} must not be empty.")
    return sample


def _variance(sample: Array, name: str = "X") -> float:
    if len(sample) < 2:
        raise CallError(f"{name} must have at least two elements.")
    return float(sample.var(ddof=1))


def _level(value: Value | None) -> float:
    level = float_argument(value, "confLevel", 0.95)
    if not 0 < level < 1:
        raise CallError("confLevel must be between 0 and 1.")
    return level


def _location_test(estimate: float, error: float, mu: float, level: float, subject: str, df: float | None) -> Table:
    """A test of a location by Student's t with `df` degrees of freedom, or by the normal distribution."""
    if not error:
        raise CallError("the data must not be constant.")
    statistic = (estimate - mu) / error
    distribution, parameters = (NORMAL, (0.0, 1.0)) if df is None else (STUDENT, (df,))
    below, above = float(distribution.cdf(statistic, *parameters)), float(distribution.sf(statistic, *parameters))
    two, one = (error * distribution.inverse([(1 + level) / 2, level], *parameters)).tolist()
    return _hypotheses(
        subject,
        mu,
        [2 * min(below, above), below, above],
        [estimate - two, -math.inf, estimate - one],
        [estimate + two, estimate + one, math.inf],
    )


@functions.builtin("tTest", "X, [Y], [mu=0.0], [confLevel=0.95], [equalVar=false]")
def t_test(
    x: Value,
    y: Value | None = None,
    mu: Value | None = None,
    level: Value | None = None,
    equal: Value | None = None,
) -> Dictionary:
    first, goal, confidence = _sample(x), float_argument(mu, "mu", 0.0), _level(level)
    n, variance = len(first), _variance(first)
    if is_omitted(y):
        df, error, estimate = n - 1.0, math.sqrt(variance / n), float(first.mean())
        method, subject = "One sample t-test", "true mean"
    else:
        second = _sample(y, "Y")
        m, other = len(second), _variance(second, "Y")
        estimate, subject = float(first.mean() - second.mean()), "difference of mean"
        if boolean_argument(equal, "equalVar", False):
            df = n + m - 2.0
            error = math.sqrt(((n - 1) * variance + (m - 1) * other) / df * (1 / n + 1 / m))
            method = "Two sample t-test"
        else:
            a, b = variance / n, other / m
            if not a + b:
                raise CallError("the data must not be constant.")
            error, df = math.sqrt(a + b), (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
            method = "Welch two sample t-test"
    table = _location_test(estimate, error, goal, confidence, subject, df)
    return _result(
        stat=table,
        df=double(df),
        confLevel=double(confidence),
        method=string(method),
        tValue=double((estimate - goal) / error),
    )


@functions.builtin("zTest", "X, [Y], [mu=0.0], [sigmaX=1.0], [sigmaY=1.0], [confLevel=0.95]")
def z_test(
    x: Value,
    y: Value | None = None,
    mu: Value | None = None,
    sigma_x: Value | None = None,
    sigma_y: Value | None = None,
    level: Value | None = None,
) -> Dictionary:
    first, goal, confidence = _filled(_sample(x)), float_argument(mu, "mu", 0.0), _level(level)
    spread = float_argument(sigma_x, "sigmaX", 1.0)
    if is_omitted(y):
        estimate, error = float(first.mean()), spread / math.sqrt(len(first))
        method, subject = "One sample z-test", "true mean"
    else:
        second, other = _filled(_sample(y, "Y"), "Y"), float_argument(sigma_y, "sigmaY", 1.0)
        estimate = float(first.mean() - second.mean())
        error = math.sqrt(spread**2 / len(first) + other**2 / len(second))
        method, subject = "Two sample z-test", "difference of mean"
    table = _location_test(estimate, error, goal, confidence, subject, None)
    z = (estimate - goal) / error
    return _result(stat=table, confLevel=double(confidence), method=string(method), zValue=double(z))


@functions.builtin("fTest", "X, Y, [ratio=1.0], [confLevel=0.95]")
def f_test(x: Value, y: Value, ratio: Value | None = None, level: Value | None = None) -> Dictionary:
    first, second = _sample(x), _sample(y, "Y")
    goal, confidence = float_argument(ratio, "ratio", 1.0), _level(level)
    a, b = len(first) - 1.0, len(second) - 1.0
    numerator, denominator = _variance(first), _variance(second, "Y")
    if not denominator:
        raise CallError("Y must not be constant.")
    estimate = numerator / denominator
    statistic = estimate / goal
    below, above = float(F.cdf(statistic, a, b)), float(F.sf(statistic, a, b))

    def quantile(p: float) -> float:
        return float(F.inverse(p, a, b))

    outer = (1 - confidence) / 2
    table = _hypotheses(
        "ratio of variances",
        goal,
        [2 * min(below, above), below, above],
        [estimate / quantile(1 - outer), 0.0, estimate / quantile(confidence)],
        [estimate / quantile(outer), estimate / quantile(1 - confidence), math.inf],
    )
    return _result(
        stat=table,
        numeratorDf=integer(int(a)),
        denominatorDf=integer(int(b)),
        confLevel=double(confidence),
        method=string("F test to compare two variances"),
        fValue=double(statistic),
    )


@functions.builtin("chiSquareTest", "X, [Y]")
def chi_square_test(x: Value, y: Value | None = None) -> Dictionary:
    if isinstance(x, Matrix | Table):
        columns = x.columns if isinstance(x, Table) else []
        data = dense(x) if isinstance(x, Matrix) else np.column_stack([numbers(as_vector(each)) for each in columns])
        if not 0 < data.sum() < math.inf:
            raise CallError("the frequencies must be positive.")
        expected = np.outer(data.sum(axis=1), data.sum(axis=0)) / data.sum()
        df, method = (data.shape[0] - 1) * (data.shape[1] - 1), "Pearson's Chi-squared test"
    else:
        data, weights = _pairs(x, y)
        if not 0 < weights.sum() < math.inf:
            raise CallError("the weights of Y must be positive.")
        expected = weights / weights.sum() * data.sum()
        df, method = len(data) - 1, "Chi-squared test for given expected values"
    if not (np.all(expected > 0) and np.isfinite(data).all()):
        raise CallError("the frequencies must be finite and the expected ones positive.")
    statistic = float(((data - expected) ** 2 / expected).sum())
    p = float(CHI_SQUARE.sf(statistic, df))
    return _result(pValue=double(p), df=integer(df), chiSquaredValue=double(statistic), method=string(method))
