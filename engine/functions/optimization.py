"""Roots and minima of the script's functions, and yield curves fitted with them."""

from __future__ import annotations

import math

import numpy as np

from engine.arguments import (
    choice_argument,
    float_argument,
    function_argument,
    is_omitted,
    optional_integer,
    positive_argument,
    text_argument,
)
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.interpolation import model
from engine.functions.registry import Registry
from engine.minimize import Minimum, brent_root, nelder_mead
from engine.types import Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    Dictionary,
    Nothing,
    Scalar,
    Value,
    Vector,
    double,
    elements,
    integer,
    string,
    vector,
)

functions = Registry()


def _number(value: Value) -> float:
    column = to_float(as_vector(value))
    if len(column) != 1:
        raise CallError("the function must return a number.")
    return float(column[0])


def _extra(value: Value) -> list[Value]:
    if isinstance(value, Nothing):
        return []
    return list(elements(value)) if isinstance(value, Vector | AnyVector) else [value]


@functions.builtin("brentq", "f, a, b, [xtol=2e-12], [rtol], [maxIter=100], [funcDataParam]", context=True)
def brentq(
    ctx: Context,
    function: Value,
    low: Value,
    high: Value,
    x_tolerance: Value = NOTHING,
    r_tolerance: Value = NOTHING,
    most: Value = NOTHING,
    data: Value = NOTHING,
) -> Value:
    """A root of a function between two points, by Brent's method."""
    callee, extra = function_argument(function, "f"), _extra(data)

    def value(x: float) -> float:
        return _number(ctx.call(callee, [double(x), *extra]))

    outcome, root = brent_root(
        value,
        float_argument(low, "a"),
        float_argument(high, "b"),
        float_argument(x_tolerance, "xtol", 2e-12),
        float_argument(r_tolerance, "rtol", 4 * np.finfo(float).eps),
        positive_argument(most, "maxIter", 100),
    )
    return AnyVector([string(outcome), double(root)])


def _described(found: Minimum) -> dict[object, Value]:
    return {
        "xopt": vector(Type.DOUBLE, found.point),
        "fopt": double(found.value),
        "iterations": integer(found.iterations),
        "fcalls": integer(found.calls),
        "warnFlag": integer(found.warning),
    }


@functions.builtin("fmin", "func, X0, [fargs], [xtol=0.0001], [ftol=0.0001], [maxIter], [maxFun]", context=True)
def fmin(
    ctx: Context,
    function: Value,
    start: Value,
    data: Value = NOTHING,
    x_tolerance: Value = NOTHING,
    f_tolerance: Value = NOTHING,
    most: Value = NOTHING,
    calls: Value = NOTHING,
) -> Value:
    """The minimum of a function, by the downhill simplex of Nelder and Mead."""
    callee = function_argument(function, "func")
    extra = [] if is_omitted(data) else list(data.items) if isinstance(data, AnyVector) else [data]
    is_scalar = isinstance(start, Scalar)

    def value(point: Array) -> float:
        ctx.check()
        x: Value = double(float(point[0])) if is_scalar else vector(Type.DOUBLE, point.copy())
        out = _number(ctx.call(callee, [x, *extra]))
        return out if out == out else math.inf

    found = nelder_mead(
        value,
        to_float(as_vector(start)),
        x_tolerance=float_argument(x_tolerance, "xtol", 1e-4),
        f_tolerance=float_argument(f_tolerance, "ftol", 1e-4),
        max_iterations=optional_integer(most, "maxIter"),
        max_calls=optional_integer(calls, "maxFun"),
    )
    return Dictionary(Type.STRING, Type.ANY, _described(found))


def _yield_at(parameters: Array, times: Array) -> Array:
    """The curve of Nelson and Siegel (four parameters), or Svensson's with a second hump (six)."""
    with np.errstate(all="ignore"):
        if len(parameters) == 4:
            level, slope, hump, decay = parameters
            scaled = times / decay
            loading = (1 - np.exp(-scaled)) / scaled
            return np.asarray(level + slope * loading + hump * (loading - np.exp(-scaled)))
        level, slope, hump, second, decay, second_decay = parameters
        one, two = times / decay, times / second_decay
        first = (1 - np.exp(-one)) / one
        return np.asarray(
            level + slope * first + hump * (first - np.exp(-one)) + second * ((1 - np.exp(-two)) / two - np.exp(-two))
        )


def _declare_curve(name: str, guess: tuple[float, ...]) -> None:
    @functions.builtin(name, "maturity, yield, [method='nm'], [maxIter], [bounds], [initialGuess], [seed]")
    def fitted(
        maturity: Value,
        rates: Value,
        method: Value = NOTHING,
        most: Value = NOTHING,
        _bounds: Value = NOTHING,
        initial: Value = NOTHING,
        _seed: Value = NOTHING,
    ) -> Value:
        """The yield curve through observed yields."""
        kind = choice_argument(method, "method", ("nm", "bfgs", "lbfgs", "slsqp", "de"), "nm")
        if kind != "nm":
            raise UnsupportedError(f"{name} with method='{kind}'")
        times, observed = to_float(as_vector(maturity)), to_float(as_vector(rates))
        if len(times) != len(observed):
            raise CallError("maturity and yield must have the same length.")
        known = ~np.isnan(times) & ~np.isnan(observed)
        times, observed = times[known], observed[known]
        start = np.array(guess) if is_omitted(initial) else to_float(as_vector(initial))
        if len(start) != len(guess):
            raise CallError(f"initialGuess must have {len(guess)} elements.")

        def error(point: Array) -> float:
            out = float(((_yield_at(point, times) - observed) ** 2).sum())
            return out if out == out else math.inf

        found = nelder_mead(error, start, max_iterations=optional_integer(most, "maxIter"))
        parts: dict[object, Value] = {
            "params": vector(Type.DOUBLE, found.point),
            "fminResult": Dictionary(Type.STRING, Type.ANY, _described(found)),
        }
        return model(
            name, "nssPredict", parts, lambda x: vector(Type.DOUBLE, _yield_at(found.point, to_float(as_vector(x))))
        )


_declare_curve("ns", (0.01, 0.01, 0.01, 1.0))
_declare_curve("nss", (0.01, 0.01, 0.01, 0.01, 1.0, 1.0))


@functions.builtin("nssPredict", "model, T")
def nss_predict(fitted: Value, times: Value) -> Value:
    """The yields a fitted curve gives for maturities."""
    if not isinstance(fitted, Dictionary) or not {"modelName", "params"} <= fitted.items.keys():
        raise CallError("model must be a dictionary with the keys modelName and params.")
    parameters = to_float(as_vector(fitted.items["params"]))
    if len(parameters) != {"ns": 4, "nss": 6}.get(text_argument(fitted.items["modelName"], "modelName")):
        raise CallError("params must have 4 elements for ns and 6 for nss.")
    out = vector(Type.DOUBLE, _yield_at(parameters, to_float(as_vector(times))))
    return out.scalar(0) if isinstance(times, Scalar) else out
