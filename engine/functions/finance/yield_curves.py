"""Yield curves of Nelson and Siegel, and Svensson, fitted to observed yields."""

from __future__ import annotations

import math

import numpy as np

from engine.arguments import choice_argument, is_omitted, optional_integer, text_argument
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.optimization import limits
from engine.functions.registry import Registry
from engine.functions.statistics.interpolation import model
from engine.numerics.minima import EVOLUTION, METHODS, described, least
from engine.types import Type
from engine.values import NOTHING, Array, Dictionary, Scalar, Value, vector

functions = Registry()


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
    @functions.builtin(
        name, "maturity, yield, [method='nm'], [maxIter], [bounds], [initialGuess], [seed]", context=True
    )
    def fitted(
        ctx: Context,
        maturity: Value,
        rates: Value,
        method: Value = NOTHING,
        most: Value = NOTHING,
        bounds: Value = NOTHING,
        initial: Value = NOTHING,
        seed: Value = NOTHING,
    ) -> Value:
        """The yield curve through observed yields."""
        times, observed = to_float(as_vector(maturity)), to_float(as_vector(rates))
        if len(times) != len(observed):
            raise CallError("maturity and yield must have the same length.")
        known = ~np.isnan(times) & ~np.isnan(observed)
        times, observed = times[known], observed[known]
        start = np.array(guess) if is_omitted(initial) else to_float(as_vector(initial))
        if len(start) != len(guess):
            raise CallError(f"initialGuess must have {len(guess)} elements.")

        def error(point: Array) -> float:
            ctx.check()
            out = float(((_yield_at(point, times) - observed) ** 2).sum())
            return out if out == out else math.inf

        kind = METHODS[choice_argument(method, "method", tuple(METHODS), "nm")]
        asked = optional_integer(most, "maxIter"), optional_integer(seed, "seed")
        anywhere = kind == EVOLUTION and is_omitted(initial)
        found = least(error, None if anywhere else start, kind, limits(bounds, len(guess)), *asked)
        parts: dict[object, Value] = {
            "params": vector(Type.DOUBLE, found.x),
            "fminResult": described(found, kind),
        }
        return model(
            name, "nssPredict", parts, lambda x: vector(Type.DOUBLE, _yield_at(found.x, to_float(as_vector(x))))
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
