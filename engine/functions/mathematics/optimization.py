"""Roots and minima of the script's functions, found by scipy, which is imported at the first use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    function_argument,
    integer_argument,
    is_omitted,
    matrix_argument,
    optional_integer,
    positive_argument,
)
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.linear_algebra import dense
from engine.functions.registry import Registry
from engine.numerics.minima import EVOLUTION, Bounds, described, evolved, minimum
from engine.types import Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    Dictionary,
    Function,
    Matrix,
    Nothing,
    Scalar,
    Value,
    Vector,
    double,
    elements,
    string,
    vector,
)

functions = Registry()

EPSILON = 1.4901161193847656e-08


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
    from scipy import optimize

    callee, extra = function_argument(function, "f"), _extra(data)
    smallest = 4 * float(np.finfo(float).eps)
    limits = {
        "xtol": float_argument(x_tolerance, "xtol", 2e-12),
        "rtol": float_argument(r_tolerance, "rtol", smallest),
        "maxiter": positive_argument(most, "maxIter", 100),
    }
    if limits["xtol"] <= 0 or limits["rtol"] < smallest:
        raise CallError(f"xtol must be positive, and rtol at least {smallest:.2g}.")

    def value(x: float) -> float:
        return _number(ctx.call(callee, [double(x), *extra]))

    a, b = float_argument(low, "a"), float_argument(high, "b")
    if value(a) * value(b) > 0:
        return AnyVector([string("SIGNERR"), double(0.0)])
    root, report = optimize.brentq(value, a, b, full_output=True, disp=False, **limits)
    return AnyVector([string("CONVERGED" if report.converged else "CONVERR"), double(root)])


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
    extra = [] if is_omitted(data) else list(data.items) if isinstance(data, AnyVector) else [data]
    asked = _asked(ctx, function_argument(function, "func"), start, extra)

    def value(point: Array) -> float:
        out = _number(asked(point))
        return out if out == out else math.inf

    options = {
        "xatol": float_argument(x_tolerance, "xtol", 1e-4),
        "fatol": float_argument(f_tolerance, "ftol", 1e-4),
        "maxiter": optional_integer(most, "maxIter"),
        "maxfev": optional_integer(calls, "maxFun"),
    }
    found = minimum(value, to_float(as_vector(start)), "Nelder-Mead", options=options)
    return described(found, "Nelder-Mead")


def _asked(ctx: Context, function: Function, start: Value, extra: Sequence[Value] = ()) -> Callable[[Array], Value]:
    """A script's function of a point in the form of `start`."""

    def ask(point: Array) -> Value:
        ctx.check()
        x: Value = double(float(point[0])) if isinstance(start, Scalar) else vector(Type.DOUBLE, point.copy())
        return ctx.call(function, [x, *extra])

    return ask


@dataclass(frozen=True)
class _Slope:
    """A script's function and its gradient: another function, or True where the first gives both."""

    function: Callable[[Array], Any]
    gradient: Callable[[Array], Array] | bool | None = None

    def minimum(self, start: Value, method: str, **asked: Any) -> Any:
        return minimum(self.function, to_float(as_vector(start)), method, jac=self.gradient, **asked)


def _slope(ctx: Context, function: Value, start: Value, gradient: Value) -> _Slope:
    """The gradient is given by another function, or returned with the value; else scipy takes differences."""
    ask = _asked(ctx, function_argument(function, "func"), start)
    if not is_omitted(gradient):
        derivative = _asked(ctx, function_argument(gradient, "fprime"), start)

        def slope(point: Array) -> Array:
            found = to_float(as_vector(derivative(point)))
            if len(found) != len(point):
                raise CallError("fprime must return an element for each unknown.")
            return found

        return _Slope(lambda x: _number(ask(x)), slope)
    if not isinstance(ask(to_float(as_vector(start))), AnyVector):
        return _Slope(lambda x: _number(ask(x)))

    def both(point: Array) -> tuple[float, Array]:
        pair = ask(point)
        if not isinstance(pair, AnyVector) or len(pair) != 2:
            raise CallError("func must return its value and its gradient.")
        return _number(pair.items[0]), to_float(as_vector(pair.items[1]))

    return _Slope(both, gradient=True)


def _conditions(decrease: Value, curvature: Value) -> dict[str, float]:
    c1, c2 = float_argument(decrease, "c1", 1e-4), float_argument(curvature, "c2", 0.9)
    if not 0 < c1 < c2 < 1:
        raise CallError("c1 and c2 must be between 0 and 1, and c1 smaller than c2.")
    return {"c1": c1, "c2": c2}


def limits(bounds: Value, count: int) -> Bounds | None:
    """Bounds of unknowns; NULL is no bound."""
    if is_omitted(bounds):
        return None
    if not isinstance(bounds, Matrix) or bounds.data.shape != (count, 2):
        raise CallError("bounds must be a matrix with a row for each unknown, and two columns.")
    table = to_float(as_vector(bounds)).reshape(bounds.data.shape, order="F")
    low, high = np.where(np.isnan(table), (-np.inf, np.inf), table).T
    if (low > high).any():
        raise CallError("a lower bound must not be above the upper one.")
    return list(zip(low, high, strict=True))


@functions.builtin(
    "fminBFGS",
    "func, X0, [fprime], [gtol=1e-5], [norm], [epsilon], [maxIter], [xrtol=0], [c1=1e-4], [c2=0.9]",
    context=True,
)
def fmin_bfgs(
    ctx: Context,
    function: Value,
    start: Value,
    gradient: Value = NOTHING,
    tolerance: Value = NOTHING,
    norm: Value = NOTHING,
    epsilon: Value = NOTHING,
    most: Value = NOTHING,
    step: Value = NOTHING,
    decrease: Value = NOTHING,
    curvature: Value = NOTHING,
) -> Dictionary:
    """The minimum of a function, by the method of Broyden, Fletcher, Goldfarb and Shanno."""
    options = {
        "gtol": float_argument(tolerance, "gtol", 1e-5),
        "norm": float_argument(norm, "norm", math.inf),
        "eps": float_argument(epsilon, "epsilon", EPSILON),
        "maxiter": optional_integer(most, "maxIter"),
        "xrtol": float_argument(step, "xrtol", 0.0),
        **_conditions(decrease, curvature),
    }
    found = _slope(ctx, function, start, gradient).minimum(start, "BFGS", options=options)
    return described(found, "BFGS")


@functions.builtin("fminNCG", "func, X0, fprime, fhess, [xtol=1e-5], [maxIter], [c1=1e-4], [c2=0.9]", context=True)
def fmin_ncg(
    ctx: Context,
    function: Value,
    start: Value,
    gradient: Value,
    second: Value,
    tolerance: Value = NOTHING,
    most: Value = NOTHING,
    decrease: Value = NOTHING,
    curvature: Value = NOTHING,
) -> Dictionary:
    """The minimum of a function whose gradient and Hessian are known, by Newton's method."""
    callee = function_argument(second, "fhess")
    options = {
        "xtol": float_argument(tolerance, "xtol", 1e-5),
        "maxiter": 15000 if is_omitted(most) else integer_argument(most, "maxIter"),
        **_conditions(decrease, curvature),
    }
    ask = _asked(ctx, callee, vector(Type.DOUBLE, np.empty(0)))
    slope = _slope(ctx, function, start, function_argument(gradient, "fprime"))
    found = slope.minimum(start, "Newton-CG", options=options, hess=lambda x: dense(ask(x), "fhess"))
    return described(found, "Newton-CG")


@functions.builtin(
    "fminLBFGSB",
    "func, X0, [fprime], [bounds], [m=10], [factr=1e7], [pgtol=1e-5], [epsilon=1e-8], [maxIter=15000], [maxFun=15000],"
    " [maxLS=20]",
    context=True,
)
def fmin_lbfgsb(
    ctx: Context,
    function: Value,
    start: Value,
    gradient: Value = NOTHING,
    bounds: Value = NOTHING,
    corrections: Value = NOTHING,
    factor: Value = NOTHING,
    tolerance: Value = NOTHING,
    epsilon: Value = NOTHING,
    most: Value = NOTHING,
    calls: Value = NOTHING,
    steps: Value = NOTHING,
) -> Dictionary:
    """The minimum of a function between bounds, by the limited-memory method of Broyden, Fletcher, Goldfarb, Shanno."""
    options = {
        "maxcor": positive_argument(corrections, "m", 10),
        "ftol": float_argument(factor, "factr", 1e7) * float(np.finfo(float).eps),
        "gtol": float_argument(tolerance, "pgtol", 1e-5),
        "eps": float_argument(epsilon, "epsilon", 1e-8),
        "maxiter": integer_argument(most, "maxIter", 15000),
        "maxfun": integer_argument(calls, "maxFun", 15000),
        "maxls": integer_argument(steps, "maxLS", 20),
    }
    slope = _slope(ctx, function, start, gradient)
    found = slope.minimum(start, "L-BFGS-B", options=options, bounds=limits(bounds, len(as_vector(start))))
    return described(found, "L-BFGS-B")


@functions.builtin(
    "fminSLSQP",
    "func, X0, [fprime], [constraints], [bounds], [ftol=1e-6], [epsilon], [maxIter=100]",
    context=True,
)
def fmin_slsqp(
    ctx: Context,
    function: Value,
    start: Value,
    gradient: Value = NOTHING,
    constraints: Value = NOTHING,
    bounds: Value = NOTHING,
    tolerance: Value = NOTHING,
    epsilon: Value = NOTHING,
    most: Value = NOTHING,
) -> Dictionary:
    """The minimum of a function under constraints, by sequential least squares."""
    options = {
        "ftol": float_argument(tolerance, "ftol", 1e-6),
        "eps": float_argument(epsilon, "epsilon", EPSILON),
        "maxiter": positive_argument(most, "maxIter", 100),
    }
    if not isinstance(constraints, AnyVector | Nothing):
        raise CallError("constraints must be a tuple of dictionaries.")
    given = constraints.items if isinstance(constraints, AnyVector) else []
    found = _slope(ctx, function, start, gradient).minimum(
        start,
        "SLSQP",
        options=options,
        bounds=limits(bounds, len(as_vector(start))),
        constraints=[_constraint(ctx, each, start) for each in given],
    )
    return described(found, "SLSQP")


def _constraint(ctx: Context, given: Value, start: Value) -> dict[str, Any]:
    """A constraint as scipy takes it; a Jacobian of scripts has a column for each value of `fun`."""
    if not isinstance(given, Dictionary) or not {"type", "fun", "jac"} <= given.items.keys():
        raise CallError("constraints must be dictionaries with the keys type, fun and jac.")
    kind = choice_argument(given.items["type"], "type", ("eq", "ineq"))
    value = _asked(ctx, function_argument(given.items["fun"], "fun"), start)
    jacobian = _asked(ctx, function_argument(given.items["jac"], "jac"), start)

    def rows(point: Array) -> Array:
        out = jacobian(point)
        return dense(out).T if isinstance(out, Matrix) else to_float(as_vector(out))

    return {"type": kind, "fun": lambda x: to_float(as_vector(value(x))), "jac": rows}


@functions.builtin(
    "differentialEvolution",
    "func, bounds, [X0], [maxIter=1000], [popSize=15], [mutation], [recombination=0.7], [tol=0.01], [atol=0],"
    " [polish=true], [seed]",
    context=True,
)
def differential_evolution(
    ctx: Context,
    function: Value,
    bounds: Value,
    start: Value = NOTHING,
    most: Value = NOTHING,
    size: Value = NOTHING,
    mutation: Value = NOTHING,
    recombination: Value = NOTHING,
    tolerance: Value = NOTHING,
    absolute: Value = NOTHING,
    polish: Value = NOTHING,
    seed: Value = NOTHING,
) -> Dictionary:
    """The least value of a function between bounds, by differential evolution."""
    asked = _asked(ctx, function_argument(function, "func"), NOTHING)
    ranges = limits(bounds, matrix_argument(bounds, "bounds").data.shape[0])
    share = float_argument(recombination, "recombination", 0.7)
    change = (0.5, 1.0) if is_omitted(mutation) else tuple(to_float(as_vector(mutation)).tolist())
    if len(change) != 2 or not 0 <= change[0] <= change[1] < 2:
        raise CallError("mutation must be a pair (min, max) with 0 <= min <= max < 2.")
    options = {
        "maxiter": integer_argument(most, "maxIter", 1000),
        "tol": float_argument(tolerance, "tol", 0.01),
        "atol": float_argument(absolute, "atol", 0.0),
    }
    if not 0 <= share <= 1 or min(options.values()) < 0:
        raise CallError("recombination must be between 0 and 1; maxIter, tol and atol must not be negative.")
    guess = None if is_omitted(start) else to_float(as_vector(start))
    if guess is not None and len(guess) != len(ranges or ()):
        raise CallError("X0 must have an element for each row of bounds.")

    def value(point: Array) -> float:
        out = _number(asked(point))
        return out if out == out else math.inf

    found = evolved(
        value,
        ranges,
        guess,
        popsize=positive_argument(size, "popSize", 15),
        mutation=change,
        recombination=share,
        polish=boolean_argument(polish, "polish", True),
        seed=optional_integer(seed, "seed"),
        **options,
    )
    return described(found, EVOLUTION)


@functions.builtin("brute", "func, ranges, [ns=20], [finish=fmin]", context=True)
def brute(ctx: Context, function: Value, ranges: Value, points: Value = NOTHING, finish: Value = NOTHING) -> Dictionary:
    """The least value of a function on a grid of points, then made better by another function."""
    callee = function_argument(function, "func")
    number = positive_argument(points, "ns", 20)
    parts = ranges.items if isinstance(ranges, AnyVector) else elements(as_vector(ranges))
    axes = []
    for part in parts:
        ends = to_float(as_vector(part))
        if len(ends) not in (2, 3):
            raise CallError("ranges must be a tuple of (low, high) or (low, high, num).")
        axes.append(np.linspace(ends[0], ends[1], int(ends[2]) if len(ends) == 3 else number))
    if not axes:
        raise CallError("ranges must have an element for each unknown.")
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    values = []
    for point in grid:
        ctx.check()
        values.append(_number(ctx.call(callee, [vector(Type.DOUBLE, point.copy())])))
    if np.isnan(values).all():
        raise CallError("func must not return NULL everywhere.")
    best = int(np.nanargmin(values))
    start = vector(Type.DOUBLE, grid[best])
    if isinstance(finish, Scalar) and finish.is_null:
        return _best(double(values[best]), start)
    if is_omitted(finish):
        found: Value = fmin(ctx, function, start)
    else:
        found = ctx.call(function_argument(finish, "finish"), [callee, start])
    if not isinstance(found, Dictionary) or not {"xopt", "fopt"} <= found.items.keys():
        raise CallError("finish must return a dictionary with the keys xopt and fopt.")
    return _best(found.items["fopt"], found.items["xopt"])


def _best(value: Value, place: Value) -> Dictionary:
    return Dictionary(Type.STRING, Type.ANY, {"fopt": value, "xopt": place}, ordered=True)
