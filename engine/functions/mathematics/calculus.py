"""Numerical integration, differentiation and interpolation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    function_argument,
    integer_argument,
    is_omitted,
    optional_integer,
)
from engine.context import Context
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.series.sequences import replaced
from engine.values import Array, Scalar, Value, Vector, double

functions = Registry()

NODES, WEIGHTS = np.polynomial.legendre.leggauss(21)
COARSE_NODES, COARSE_WEIGHTS = np.polynomial.legendre.leggauss(10)
DEPTH = 40


def _evaluated(ctx: Context, function: Value) -> Callable[[Array], Array]:
    called = function_argument(function, "func")

    def evaluate(points: Array) -> Array:
        result = ctx.call(called, [doubles(points)])
        values = numbers(as_vector(result))
        return np.broadcast_to(values, points.shape) if len(values) == 1 else values

    return evaluate


def _integral(ctx: Context, evaluate: Callable[[Array], Array], low: float, high: float) -> float:
    """The integral between two bounds that may be infinite; NaN if it is not finite."""
    if np.isfinite(low) and np.isfinite(high):
        return _finite(ctx, evaluate, low, high)
    if high < low:
        return -_integral(ctx, evaluate, high, low)
    if np.isinf(low) and np.isinf(high):
        return _integral(ctx, evaluate, low, 0.0) + _integral(ctx, evaluate, 0.0, high)
    end, way = (low, 1.0) if np.isinf(high) else (high, -1.0)

    def folded(points: Array) -> Array:
        values: Array = evaluate(end + way * points / (1 - points)) / (1 - points) ** 2
        return values

    return _finite(ctx, folded, 0.0, 1.0, patient=False)


def _finite(ctx: Context, evaluate: Callable[[Array], Array], low: float, high: float, patient: bool = True) -> float:
    """Gauss-Legendre rules on halves of the interval until two rules agree; `patient` settles for what it has."""
    total = 0.0
    pending = [(low, high, 0)]
    while pending:
        ctx.check()
        a, b, depth = pending.pop()
        middle, half = (a + b) / 2, (b - a) / 2
        fine = half * float(WEIGHTS @ evaluate(middle + half * NODES))
        coarse = half * float(COARSE_WEIGHTS @ evaluate(middle + half * COARSE_NODES))
        if not np.isfinite(fine):
            return np.nan
        if abs(fine - coarse) <= 1e-10 * max(abs(fine), abs(total), 1.0) or depth >= DEPTH:
            if depth >= DEPTH and not patient:
                return np.nan
            total += fine
        else:
            pending += [(a, middle, depth + 1), (middle, b, depth + 1)]
    return total


@functions.builtin("integral", "func, start, end, [start2], [end2]", context=True)
def integral(
    ctx: Context, function: Value, start: Value, end: Value, start2: Value | None = None, end2: Value | None = None
) -> Value:
    """The integral of a function of one or two vectors; a NULL bound is an infinite one. Of vectors of inner bounds the
    first element counts."""
    bounds = [start, end]
    if start2 is not None and end2 is not None:
        bounds += [start2, end2]
    sides = [_bound(ctx, each, -np.inf if place % 2 == 0 else np.inf) for place, each in enumerate(bounds)]
    sides[2:] = [side if callable(side) else side[:1] for side in sides[2:]]
    lengths = {len(side) for side in sides if not callable(side)} - {1}
    if len(lengths) > 1:
        raise CallError("the bounds must have the same length.")
    count = lengths.pop() if lengths else 1
    rows = zip(*([side] * count if callable(side) else np.broadcast_to(side, count) for side in sides), strict=True)
    if len(sides) == 2:
        evaluate = _evaluated(ctx, function)
        found = [_integral(ctx, evaluate, float(low), float(high)) for low, high in rows]
    else:
        found = [_double_integral(ctx, function, *row) for row in rows]
    result = doubles(np.array(found))
    return result if any(isinstance(each, Vector) for each in bounds) else result.scalar(0)


_Bound = float | Callable[[float], float]


def _bound(ctx: Context, value: Value, unbounded: float) -> Array | Callable[[float], float]:
    if isinstance(value, Scalar | Vector):
        given = numbers(as_vector(value))
        return np.where(np.isnan(given), unbounded, given)
    callee = function_argument(value, "start2")
    return lambda x: float(numbers(as_vector(ctx.call(callee, [double(x)])))[0])


def _double_integral(ctx: Context, function: Value, low: _Bound, high: _Bound, low2: _Bound, high2: _Bound) -> float:
    callee = function_argument(function, "func")
    if callable(low) or callable(high):
        raise CallError("start and end must be numbers.")

    def inner(x: float) -> float:
        def evaluate(points: Array) -> Array:
            values = numbers(as_vector(ctx.call(callee, [doubles(np.full(points.shape, x)), doubles(points)])))
            return np.broadcast_to(values, points.shape)

        bottom, top = (float(side(x)) if callable(side) else float(side) for side in (low2, high2))
        return _integral(ctx, evaluate, bottom, top)

    return _integral(ctx, lambda points: np.array([inner(float(x)) for x in points]), float(low), float(high))


@functions.builtin("derivative", "func, X, [dx=1.0], [n=1], [order=3]", context=True)
def derivative(
    ctx: Context,
    function: Value,
    x: Value,
    step: Value | None = None,
    n: Value | None = None,
    order: Value | None = None,
) -> Value:
    """The first derivative by central differences over `order` points."""
    width, points = float_argument(step, "dx", 1.0), integer_argument(order, "order", 3)
    if integer_argument(n, "n", 1) != 1:
        raise UnsupportedError("A derivative of higher order")
    if points < 3 or points % 2 == 0 or points > 1023:
        raise CallError("order must be an odd number between 3 and 1023.")
    if points > 19:
        raise UnsupportedError("A derivative over more than 19 points")
    half = points // 2
    offsets = np.arange(-half, half + 1, dtype=np.float64)
    goal = np.zeros(points)
    goal[1] = 1.0
    weights = np.linalg.solve(np.vander(offsets, increasing=True).T, goal) / width
    evaluate = _evaluated(ctx, function)
    values = numbers(as_vector(x))
    total = np.zeros(len(values))
    for offset, weight in zip(offsets.tolist(), weights.tolist(), strict=True):
        if weight:
            total = total + weight * evaluate(values + offset * width)
    result = doubles(total)
    return result.scalar(0) if isinstance(x, Scalar) else result


METHODS = ("linear", "pad", "nearest")


@functions.builtin(
    "interpolate",
    "X, [method='linear'], [limit], [inplace=false], [limitDirection='forward'], [limitArea], [index]",
)
def interpolate(
    x: Value,
    method: Value | None = None,
    limit: Value | None = None,
    in_place: Value | None = None,
    direction: Value | None = None,
    area: Value | None = None,
    index: Value | None = None,
) -> Value:
    """NULLs filled by interpolation over positions or an index."""
    column = as_vector(x)
    kind = choice_argument(method, "method", METHODS, "linear")
    side = choice_argument(direction, "limitDirection", ("forward", "backward", "both"), "forward")
    where = choice_argument(area, "limitArea", ("", "inside", "outside"), "")
    most = optional_integer(limit, "limit")
    values = numbers(column)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return x
    places = np.arange(len(values), dtype=np.float64) if is_omitted(index) else numbers(as_vector(index), "index")  # type: ignore[arg-type]
    if len(places) != len(values) or np.isnan(places).any():
        raise CallError("index must be as long as X and without NULLs.")
    filled = _filled(values, known, places, kind, side)
    rows = np.arange(len(values))
    before, after = _gaps(rows, known)
    reach = np.zeros(len(values), dtype=bool)
    if side in ("forward", "both"):
        reach |= (before > 0) & (before <= (most or len(values)))
    if side in ("backward", "both"):
        reach |= (after > 0) & (after <= (most or len(values)))
    inside = (rows > known[0]) & (rows < known[-1])
    if where:
        reach &= inside if where == "inside" else ~inside
    result = doubles(np.where(np.isnan(values) & reach, filled, values))
    if boolean_argument(in_place, "inplace", False) and isinstance(x, Vector):
        return replaced(x, result)
    return result


def _gaps(rows: Array, known: Array) -> tuple[Array, Array]:
    """How far the known row before and after each row lies; 0 if there is none."""
    place = np.searchsorted(known, rows, side="right") - 1
    before = np.where(place >= 0, rows - known[np.maximum(place, 0)], 0)
    place = np.searchsorted(known, rows, side="left")
    after = np.where(place < len(known), known[np.minimum(place, len(known) - 1)] - rows, 0)
    return before, after


def _filled(values: Array, known: Array, places: Array, kind: str, side: str) -> Array:
    at, held = places[known], values[known]
    if kind == "linear":
        return np.interp(places, at, held)
    following = np.clip(np.searchsorted(at, places, side="left"), 0, len(at) - 1)
    earlier = np.clip(np.searchsorted(at, places, side="right") - 1, 0, len(at) - 1)
    if kind == "pad":
        return np.asarray(held[following if side == "backward" else earlier])
    nearer = np.abs(places - at[earlier]) <= np.abs(at[following] - places)
    return np.asarray(np.where(nearer, held[earlier], held[following]))
