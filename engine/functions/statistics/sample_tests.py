"""Tests of samples against one another: variance, rank and distribution."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from engine.aggregation.basic import doubles
from engine.arguments import boolean_argument
from engine.cast import to_float
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.numerics.probability import F
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    Array,
    Dictionary,
    Matrix,
    Table,
    Value,
    Vector,
    boolean,
    double,
    integer,
    string,
    vector,
)

functions = Registry()


def _sample(value: Value, name: str) -> Array:
    data = to_float(as_vector(value))
    data = data[~np.isnan(data)]
    if not len(data):
        raise CallError(f"{name} must not be empty.")
    return data


@functions.builtin("anova", "X")
def anova(value: Value) -> Value:
    """One-way analysis of variance; every column is a group."""
    if isinstance(value, Matrix):
        columns = [value.column(index) for index in range(value.columns)]
    elif isinstance(value, Table):
        columns = [c for c in value.columns if isinstance(c, Vector) and c.type not in LITERAL]
    else:
        raise CallError("X must be a matrix or a table.")
    groups = [_sample(column, "X") for column in columns]
    if len(groups) < 2:
        raise CallError("X must have at least two columns.")
    everything = np.concatenate(groups)
    between = sum(len(group) * (group.mean() - everything.mean()) ** 2 for group in groups)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    df_between, df_within = len(groups) - 1, len(everything) - len(groups)
    f = float(between / df_between / (within / df_within)) if df_within > 0 and within else math.nan
    parts: dict[object, Value] = {
        "pValue": double(float(F.sf(f, df_between, df_within)) if f == f else f),
        "fValue": double(f),
        "ssBetween": double(float(between)),
        "dfBetween": integer(df_between),
        "ssWithin": double(float(within)),
        "dfWithin": integer(df_within),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


def _ranks(data: Array) -> tuple[Array, Array]:
    """Mean ranks from 1, and how often each value occurs."""
    _, codes, counts = np.unique(data, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[codes.reshape(-1)], counts


@functions.builtin("mannWhitneyUTest", "X, Y, [correct=true]")
def mann_whitney(x: Value, y: Value, correct: Value = NOTHING) -> Value:
    """Whether one of two samples tends to larger values, by the normal approximation."""
    one, other, corrected = _sample(x, "X"), _sample(y, "Y"), boolean_argument(correct, "correct", True)
    ranks, ties = _ranks(np.concatenate([one, other]))
    n, m = len(one), len(other)
    u = float(ranks[:n].sum() - n * (n + 1) / 2)
    u = min(u, n * m - u)
    spread = math.sqrt(n * m / 12 * ((n + m + 1) - float((ties**3 - ties).sum()) / ((n + m) * (n + m - 1))))
    past = u - n * m / 2
    shift = 0.5 if corrected else 0.0

    def tail(z: float) -> float:
        return NormalDist().cdf(z)

    two_sided = min(1.0, 2 * min(tail((past + shift) / spread), 1 - tail((past - shift) / spread)))
    hypotheses = [f"true location shift is {kind} 0" for kind in ("not equal to", "less than", "greater than")]
    chances = np.array([two_sided, tail((past + shift) / spread), 1 - tail((past - shift) / spread)])
    parts: dict[object, Value] = {
        "stat": Table(["alternativeHypothesis", "pValue"], [vector(Type.STRING, hypotheses), doubles(chances)]),
        "correct": boolean(corrected),
        "method": string("Mann-Whitney U test"),
        "U": double(u),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


@functions.builtin("ksTest", "X, Y")
def kolmogorov_smirnov(x: Value, y: Value) -> Value:
    """Whether two samples come from one distribution, by the largest gap between their distributions."""
    one, other = np.sort(_sample(x, "X")), np.sort(_sample(y, "Y"))
    points = np.concatenate([one, other])
    gap = float(
        np.abs(
            np.searchsorted(one, points, side="right") / len(one)
            - np.searchsorted(other, points, side="right") / len(other)
        ).max()
    )
    scaled = gap * math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    terms = np.arange(1, 101)
    chance = float((2 * (-1.0) ** (terms - 1) * np.exp(-2 * (terms * scaled) ** 2)).sum()) if scaled > 0.04 else 1.0
    parts: dict[object, Value] = {
        "ksValue": double(scaled),
        "pValue": double(min(max(chance, 0.0), 1.0)),
        "D": double(gap),
        "method": string("Two-sample Kolmogorov-Smirnov test"),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)


@functions.builtin("shapiroTest", "X")
def shapiro_test(value: Value) -> Value:
    """Whether a sample is from a normal distribution, by Shapiro and Wilk."""
    from scipy.stats import shapiro

    sample = _sample(value, "X")
    if len(sample) < 3:
        raise CallError("X must have at least three elements.")
    found = shapiro(sample)
    parts: dict[object, Value] = {
        "method": string("Shapiro-Wilk normality test"),
        "pValue": double(float(found.pvalue)),
        "W": double(float(found.statistic)),
    }
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)
