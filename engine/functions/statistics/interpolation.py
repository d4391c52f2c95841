"""Curves fitted through points, and their values elsewhere; scipy, imported at the first use, does the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted
from engine.cast import cast_vector, to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Builtin, Kind, Registry, parse_parameters
from engine.functions.times.resampling import Frequency
from engine.types import LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    Closure,
    Dictionary,
    Matrix,
    Partial,
    Scalar,
    Value,
    Vector,
    boolean,
    integer,
    string,
    vector,
)

functions = Registry()


def _points(x: Value, y: Value, *, least: int = 2, increasing: bool = True) -> tuple[Array, Array]:
    across, up = to_float(as_vector(x)), to_float(as_vector(y))
    if len(across) != len(up) or len(across) < least:
        raise CallError(f"X and Y must have the same length, at least {least}.")
    if not (np.isfinite(across).all() and np.isfinite(up).all()):
        raise CallError("X and Y must be finite, without NULLs.")
    if increasing and np.any(np.diff(across) <= 0):
        raise CallError("X must be strictly increasing.")
    return across, up


def _doubles(data: Array) -> Vector:
    return vector(Type.DOUBLE, data)


def model(kind: str, predictor: str, parts: dict[object, Value], predict: Callable[[Value], Value]) -> Dictionary:
    """A fitted model: its parts, its name, and the function that predicts with it."""
    callee = Builtin(predictor, f"{predictor}(X)", Kind.OTHER, predict, parse_parameters("X"))
    return Dictionary(Type.STRING, Type.ANY, {"modelName": string(kind), **parts, "predict": callee}, ordered=True)


def _curve(value: Callable[[Array], Array]) -> Callable[[Value], Value]:
    def predict(x: Value) -> Value:
        with np.errstate(all="ignore"):
            out = _doubles(value(to_float(as_vector(x))))
        return out.scalar(0) if isinstance(x, Scalar) else out

    return predict


@functions.builtin("predict", "model, X", context=True)
def predict_(ctx: Context, fitted: Value, x: Value) -> Value:
    """What a fitted model gives for new data."""
    callee = fitted.items.get("predict") if isinstance(fitted, Dictionary) else None
    if not isinstance(callee, Builtin | Closure | Partial):
        raise CallError("model must be the result of a function that fits a model.")
    takes_model = isinstance(callee, Builtin) and callee.parameters[0].name == "model"
    return ctx.call(callee, [fitted, x] if takes_model else [x])


@functions.builtin("linearInterpolateFit", "X, Y, [fillValue='extrapolate'], [sorted=false]")
def linear_fit(x: Value, y: Value, fill: Value = NOTHING, is_sorted: Value = NOTHING) -> Value:
    across, up = _points(x, y, increasing=boolean_argument(is_sorted, "sorted", False))
    order = np.argsort(across, kind="stable")
    across, up = across[order], up[order]
    below = above = None
    if isinstance(fill, Vector) and fill.is_pair:
        below, above = to_float(fill)
    elif not is_omitted(fill) and not (isinstance(fill, Scalar) and fill.value == "extrapolate"):
        raise CallError('fillValue must be a pair of numbers or "extrapolate".')
    slopes = np.diff(up) / np.diff(across)

    def value(points: Array) -> Array:
        place = np.clip(np.searchsorted(across, points, side="right") - 1, 0, len(across) - 2)
        out = up[place] + slopes[place] * (points - across[place])
        if below is not None and above is not None:
            out = np.where(points < across[0], below, np.where(points > across[-1], above, out))
        return np.asarray(out)

    parts: dict[object, Value] = {
        "sortedX": _doubles(across),
        "sortedY": _doubles(up),
        "fillValue": string("extrapolate") if is_omitted(fill) else fill,
    }
    return model("linearInterpolate", "linearInterpolatePredict", parts, _curve(value))


_ENDS = ("not-a-knot", "clamped", "natural")


def _ends(value: Value) -> tuple[str, str]:
    if is_omitted(value):
        return _ENDS[0], _ENDS[0]
    column = as_vector(value)
    if column.type not in LITERAL or not 1 <= len(column) <= 2:
        raise CallError("bc_type must be one or two strings.")
    kinds = [choice_argument(string(text), "bc_type", _ENDS) for text in column.strings()]
    return kinds[0], kinds[-1]


@functions.builtin("cubicSpline", "x, y, [bc_type='not-a-knot']")
def cubic_spline(x: Value, y: Value, ends: Value = NOTHING) -> Value:
    from scipy import interpolate

    across, up = _points(x, y, least=3)
    curve = interpolate.CubicSpline(across, up, bc_type=_ends(ends))
    parts: dict[object, Value] = {"x": as_vector(x), "c": _doubles(curve.c.T.ravel())}
    return model("cubicSpline", "cubicSplinePredict", parts, _curve(curve))


@functions.builtin("cubicSplinePredict", "model, x")
def cubic_spline_predict(fitted: Value, x: Value) -> Value:
    from scipy import interpolate

    if not isinstance(fitted, Dictionary) or not {"c", "x"} <= fitted.items.keys():
        raise CallError("model must be a dictionary with the keys c and x.")
    across, pieces = to_float(as_vector(fitted.items["x"])), to_float(as_vector(fitted.items["c"]))
    if len(pieces) != 4 * (len(across) - 1):
        raise CallError("c must have four elements for each segment of x.")
    return _doubles(interpolate.PPoly(pieces.reshape(-1, 4).T, across)(to_float(as_vector(x))))


def _hermite(name: str, x: Value, curve: Any) -> Value:
    parts: dict[object, Value] = {
        "X": as_vector(x),
        "coeffs": Matrix(Type.DOUBLE, np.asfortranarray(curve.c.T)),
        "extrapolate": boolean(curve.extrapolate),
    }
    return model(name, "cubicHermiteSplinePredict", parts, _curve(curve))


@functions.builtin("cubicHermiteSplineFit", "X, Y, derivative, [extrapolate=true]")
def hermite_fit(x: Value, y: Value, derivative: Value, extrapolate: Value = NOTHING) -> Value:
    from scipy import interpolate

    across, up = _points(x, y)
    slopes = to_float(as_vector(derivative))
    if len(slopes) != len(across):
        raise CallError("derivative must be as long as X.")
    beyond = boolean_argument(extrapolate, "extrapolate", True)
    return _hermite("CubicHermiteSpline", x, interpolate.CubicHermiteSpline(across, up, slopes, extrapolate=beyond))


@functions.builtin("pchipInterpolateFit", "X, Y, [extrapolate=true]")
def pchip_fit(x: Value, y: Value, extrapolate: Value = NOTHING) -> Value:
    from scipy import interpolate

    beyond = boolean_argument(extrapolate, "extrapolate", True)
    return _hermite("PchipInterpolate", x, interpolate.PchipInterpolator(*_points(x, y), extrapolate=beyond))


def _krogh(x: Value, y: Value, derivative: Value) -> tuple[Any, int]:
    from scipy import interpolate

    across, up = _points(x, y, least=1, increasing=False)
    order = integer_argument(derivative, "der", 0)
    if np.any(np.diff(across) < 0) or order < 0:
        raise CallError("X must be in increasing order, and der must not be negative.")
    return interpolate.KroghInterpolator(across, up), order


@functions.builtin("kroghInterpolate", "X, Y, newX, [der=0]")
def krogh(x: Value, y: Value, points: Value, derivative: Value = NOTHING) -> Value:
    """The polynomial through all points, or one of its derivatives."""
    curve, order = _krogh(x, y, derivative)
    with np.errstate(all="ignore"):
        return _doubles(curve.derivative(to_float(as_vector(points)), order))


@functions.builtin("kroghInterpolateFit", "X, Y, [der=0]")
def krogh_fit(x: Value, y: Value, derivative: Value = NOTHING) -> Value:
    curve, order = _krogh(x, y, derivative)
    parts: dict[object, Value] = {
        "X": as_vector(x),
        "der": integer(order),
        "coeffs": _doubles(curve.c.ravel()),
    }
    predict = _curve(lambda points: curve.derivative(points, order))
    return model("kroghInterpolate", "kroghInterpolateFitPredict", parts, predict)


@functions.builtin("splrep", "x, y, [t]")
def spline_representation(x: Value, y: Value, knots: Value = NOTHING) -> Value:
    """The knots, coefficients and degree of a cubic B-spline; inner knots may be given."""
    from scipy import interpolate

    across, up = (np.nan_to_num(to_float(as_vector(side))) for side in (x, y))
    if len(across) != len(up) or len(across) < 4:
        raise CallError("x and y must have the same length, at least 4.")
    inner = None if is_omitted(knots) else np.nan_to_num(to_float(as_vector(knots)))
    try:
        full, coefficients, degree = interpolate.splrep(across, up, t=inner, s=0)
    except (ValueError, TypeError):
        raise CallError("x and t must be increasing, t within x and with points between its knots.") from None
    return AnyVector([_doubles(full), _doubles(coefficients), integer(degree)])


@functions.builtin("splev", "x, tck")
def spline_values(x: Value, representation: Value) -> Value:
    """The values of a B-spline."""
    from scipy import interpolate

    if not isinstance(representation, AnyVector) or len(representation) != 3:
        raise CallError("tck must be the result of splrep.")
    knots, coefficients = (np.nan_to_num(to_float(as_vector(part))) for part in representation.items[:2])
    degree = integer_argument(representation.items[2], "k")
    if not 1 <= degree <= 5 or len(knots) < 2 * degree + 2 or len(coefficients) < len(knots) - degree - 1:
        raise CallError("tck must be the result of splrep.")
    points = np.nan_to_num(to_float(as_vector(x)))
    return _doubles(interpolate.splev(points, (knots, coefficients, degree)) if len(points) else points)


def _natural(x: Array, y: Array, points: Array) -> Array:
    from scipy import interpolate

    return np.asarray(interpolate.CubicSpline(x, y, bc_type="natural")(points))


def _polynomial(x: Array, y: Array, points: Array) -> Array:
    from scipy import interpolate

    return np.asarray(interpolate.KroghInterpolator(x, y)(points))


def _declare_resampled(name: str, curve: Callable[[Array, Array, Array], Array]) -> None:
    @functions.builtin(name, "X, Y, resampleRule, [closed='left'], [origin='start_day'], [outputX=false]")
    def resampled(
        x: Value,
        y: Value,
        rule: Value,
        closed: Value = NOTHING,
        origin: Value = NOTHING,
        with_times: Value = NOTHING,
    ) -> Value:
        """The curve through points in time, at regular times."""
        times = as_vector(x)
        if times.type not in TEMPORAL:
            raise CallError("X must be a strictly increasing vector of temporal type.")
        across, up = _points(vector(Type.LONG, times.data.astype(np.int64)), y)
        frequency = Frequency.of(rule, closed, NOTHING, origin, default="origin")
        labels = frequency.all_labels(times, frequency.base(times))
        span = across[-1] - across[0]
        at = cast_vector(labels, times.type).data.astype(np.float64)
        out = curve((across - across[0]) / span, up, (at - across[0]) / span)
        return AnyVector([labels, _doubles(out)]) if boolean_argument(with_times, "outputX", False) else _doubles(out)


for _name, _function in (("spline", _natural), ("neville", _polynomial), ("dividedDifference", _polynomial)):
    _declare_resampled(_name, _function)
