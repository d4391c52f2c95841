"""Measures of risk."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from engine.arguments import choice_argument, float_argument
from engine.cast import to_float
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.values import NOTHING, Array, Value, double

functions = Registry()

_METHODS = ("normal", "logNormal", "historical", "monteCarlo")


def _arguments(returns: Value, method: Value, level: Value) -> tuple[Array, str, float]:
    data = to_float(as_vector(returns))
    kind, confidence = choice_argument(method, "method", _METHODS), float_argument(level, "confidenceLevel", 0.95)
    if kind == "monteCarlo":
        raise UnsupportedError("The method monteCarlo")
    if not 0 < confidence < 1:
        raise CallError("confidenceLevel must be between 0 and 1.")
    if not len(data) or np.isnan(data).any() or (data <= -1).any():
        raise CallError("returns must be greater than -1 and not NULL.")
    return data, kind, confidence


def _value_at_risk(data: Array, kind: str, confidence: float) -> float:
    if kind == "historical":
        return float(-np.quantile(data, 1 - confidence))
    quantile = NormalDist().inv_cdf(1 - confidence)
    if kind == "normal":
        return float(-(data.mean() + quantile * data.std(ddof=1)))
    logs = np.log1p(data)
    return float(1 - np.exp(logs.mean() + quantile * logs.std(ddof=1)))


@functions.builtin("valueAtRisk", "returns, method, [confidenceLevel=0.95]", aliases=("VaR",))
def value_at_risk(returns: Value, method: Value, level: Value = NOTHING) -> Value:
    """The loss that is exceeded with a probability of one minus the confidence level."""
    return double(abs(_value_at_risk(*_arguments(returns, method, level))))


@functions.builtin("condValueAtRisk", "returns, method, [confidenceLevel=0.95]", aliases=("CVaR",))
def conditional_value_at_risk(returns: Value, method: Value, level: Value = NOTHING) -> Value:
    """The mean loss beyond the value at risk."""
    data, kind, confidence = _arguments(returns, method, level)
    bound = _value_at_risk(data, kind, confidence)
    if kind == "historical":
        beyond = data[data <= -bound]
        return double(abs(float(beyond.mean())) if len(beyond) else abs(bound))
    normal, tail = NormalDist(), 1 - confidence
    quantile = normal.inv_cdf(tail)
    if kind == "normal":
        return double(abs(float(data.mean() - data.std(ddof=1) * normal.pdf(quantile) / tail)))
    logs = np.log1p(data)
    mean, spread = float(logs.mean()), float(logs.std(ddof=1))
    return double(abs(1 - float(np.exp(mean + spread**2 / 2)) * normal.cdf(quantile - spread) / tail))
