"""Linear, quadratic and second-order cone programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.arguments import choice_argument, float_argument, integer_argument, is_omitted
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.mathematics.linear_algebra import dense
from engine.functions.registry import Registry
from engine.numerics.programs import Constraints, Program, Solution, solve
from engine.types import Type
from engine.values import NOTHING, AnyVector, Array, Matrix, Scalar, Value, double, integer, string, vector

functions = Registry()


def _known(value: Value, name: str) -> Array:
    given = to_float(as_vector(value))
    if not len(given) or not np.isfinite(given).all():
        raise CallError(f"{name} must have elements, all finite and without NULLs.")
    return given


def _square(value: Value, width: int, name: str) -> Array:
    """A symmetric matrix for each unknown with each other; zeros if it is left out."""
    if is_omitted(value):
        return np.zeros((width, width))
    if not isinstance(value, Matrix) or value.data.shape != (width, width):
        raise CallError(f"{name} must be a square matrix with a row for each unknown.")
    table = dense(value)
    if not np.isfinite(to_float(as_vector(value))).all():
        raise CallError(f"{name} must be finite, without NULLs.")
    return (table + table.T) / 2


def _rows(matrix: Value, right: Value, width: int, name: str, *, bounds: bool = False) -> Constraints:
    """The coefficients and the right side of constraints; none if both are left out. NULL is allowed in `bounds`."""
    if is_omitted(matrix) != is_omitted(right):
        raise CallError(f"{name} must be given with its right-hand side.")
    if is_omitted(matrix):
        return np.zeros((0, width)), np.zeros(0)
    side = to_float(as_vector(right)) if bounds else _known(right, f"the right-hand side of {name}")
    given = to_float(as_vector(matrix))
    shape = matrix.data.shape if isinstance(matrix, Matrix) else (len(side), width)
    if shape != (len(side), width) or given.size != len(side) * width or not np.isfinite(given).all():
        raise CallError(f"{name} must have a column for each unknown and a row for each constraint, and no NULLs.")
    return given.reshape(shape, order="F" if isinstance(matrix, Matrix) else "C"), side


def _bounds(value: Value, width: int, name: str) -> Array:
    """The bounds of the unknowns, NaN where there is none."""
    if is_omitted(value):
        return np.full(width, np.nan)
    given = to_float(as_vector(value))
    if isinstance(value, Scalar):
        return np.full(width, given[0])
    if len(given) != width:
        raise CallError(f"{name} must be a scalar or have an element for each unknown.")
    return given


def _bounded(constraints: Constraints, low: Array, high: Array) -> Constraints:
    """Constraints together with bounds of the unknowns."""
    rows, sides = constraints
    unit = np.eye(len(low))
    has_low, has_high = ~np.isnan(low), ~np.isnan(high)
    return np.vstack([rows, unit[has_high], -unit[has_low]]), np.concatenate([sides, high[has_high], -low[has_low]])


def _with_distance(program: Program, center: Value, limit: Value) -> Program:
    """The program with the sum of |x - center| at most `limit`, by unknowns for these distances."""
    if is_omitted(center) and is_omitted(limit):
        return program
    width = len(program.linear)
    middle, most = _known(center, "x0"), float_argument(limit, "c")
    if len(middle) != width or most < 0:
        raise CallError("x0 must have an element for each unknown, and c must not be negative.")

    def wider(constraints: Constraints) -> Constraints:
        rows, side = constraints
        return np.hstack([rows, np.zeros_like(rows)]), side

    unit, zero = np.eye(width), np.zeros((width, width))
    rows, side = wider(program.upper)
    total = np.concatenate([np.zeros(width), np.ones(width)])
    return Program(
        np.block([[program.quadratic, zero], [zero, zero]]),
        np.concatenate([program.linear, np.zeros(width)]),
        (
            np.vstack([rows, np.hstack([unit, -unit]), np.hstack([-unit, -unit]), total]),
            np.concatenate([side, middle, -middle, [most]]),
        ),
        wider(program.equal),
        tuple(wider(cone) for cone in program.cones),
    )


_REASONS = {"PrimalInfeasible": "nothing satisfies all constraints", "DualInfeasible": "the minimum is unbounded"}


def _least(ctx: Context, program: Program, center: Value = NOTHING, limit: Value = NOTHING) -> Value:
    """The value and the place of the minimum, without the unknowns added to the program."""
    if not program.is_convex():
        raise CallError("the quadratic form must be positive semi-definite.")
    solution = solve(_with_distance(program, center, limit), ctx.check)
    if not solution.solved:
        raise CallError(f"no solution was found: {_REASONS.get(solution.status, solution.status)}.")
    found = _place(solution, len(program.linear))
    return AnyVector([double(program.value(found)), vector(Type.DOUBLE, found)])


def _place(solution: Solution, width: int) -> Array:
    found = solution.x[:width]
    return np.where(np.abs(found) < 1e-9, 0.0, found)


@functions.builtin("quadprog", "H, f, [A], [b], [Aeq], [beq]", context=True)
def quadratic_program(
    ctx: Context,
    quadratic: Value,
    linear: Value,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
) -> Value:
    """The minimum of x'Hx/2 + f'x under linear constraints: its value and its place."""
    f = _known(linear, "f")
    width = len(f)
    constraints = _rows(rows, side, width, "A"), _rows(equal_rows, equal, width, "Aeq")
    return _least(ctx, Program(_square(quadratic, width, "H"), f, *constraints))


@functions.builtin("linprog", "f, [A], [b], [Aeq], [beq], [lb], [ub], [method='simplex']")
def linear_program(
    linear: Value,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
    low: Value = NOTHING,
    high: Value = NOTHING,
    method: Value = NOTHING,
) -> Value:
    """The minimum of f'x under linear constraints and bounds: its value and its place."""
    from scipy import optimize

    kind = choice_argument(method, "method", ("simplex", "interior-point"), "simplex")
    f = _known(linear, "f")
    width = len(f)
    a, b = _rows(rows, side, width, "A")
    a_equal, b_equal = _rows(equal_rows, equal, width, "Aeq")
    lower, upper = _bounds(low, width, "lb"), _bounds(high, width, "ub")
    bounds = np.column_stack(
        [np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)],
    )
    algorithm = "highs-ds" if kind == "simplex" else "highs-ipm"
    found = optimize.linprog(f, a, b, a_equal, b_equal, bounds, method=algorithm)
    if not found.success:
        reasons = {2: _REASONS["PrimalInfeasible"], 3: _REASONS["DualInfeasible"]}
        raise CallError(f"no solution was found: {reasons.get(found.status, 'the solver gave up')}.")
    return AnyVector([double(float(found.fun)), vector(Type.DOUBLE, found.x + 0.0)])


_OSQP_STATUS = {
    "Solved": "solved",
    "PrimalInfeasible": "primal infeasible",
    "DualInfeasible": "dual infeasible",
    "MaxIterations": "maximum iterations reached",
}


@functions.builtin("osqp", "q, [P], [A], [lb], [ub]", context=True)
def bounded_program(
    ctx: Context,
    linear: Value,
    quadratic: Value = NOTHING,
    rows: Value = NOTHING,
    low: Value = NOTHING,
    high: Value = NOTHING,
) -> Value:
    """The minimum of x'Px/2 + q'x with lb <= Ax <= ub: whether it was found, and its place."""
    f = _known(linear, "q")
    width = len(f)
    table, upper = _rows(rows, high, width, "A", bounds=True)
    _, lower = _rows(rows, low, width, "A", bounds=True)
    if (lower > upper).any():
        raise CallError("a lower bound must not be above the upper one.")
    same = ~np.isnan(upper) & (upper == lower)
    below, above = ~np.isnan(upper) & ~same, ~np.isnan(lower) & ~same
    sides = np.vstack([table[below], -table[above]]), np.concatenate([upper[below], -lower[above]])
    program = Program(_square(quadratic, width, "P"), f, sides, (table[same], upper[same]))
    status, x = "problem non convex", np.full(width, np.nan)
    if program.is_convex():
        solution = solve(program, ctx.check)
        status = _OSQP_STATUS.get(solution.status, "unsolved")
        x = solution.x if solution.solved else x
    return AnyVector([string(status), vector(Type.DOUBLE, x)])


@functions.builtin("scs", "f, [P], [A], [b], [Aeq], [beq], [lb], [ub], [x0], [c], [eps], [alpha]", context=True)
def splitting_program(
    ctx: Context,
    linear: Value,
    quadratic: Value = NOTHING,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
    low: Value = NOTHING,
    high: Value = NOTHING,
    center: Value = NOTHING,
    limit: Value = NOTHING,
    precision: Value = NOTHING,
    relaxation: Value = NOTHING,
) -> Value:
    """The minimum of x'Px/2 + f'x under linear constraints, bounds, and a bound of the distance to a point.

    Of a triangular P the other half is filled in; the solution is found to full precision whatever `eps` asks for.
    """
    _check_precision(precision, relaxation)
    f = _known(linear, "f")
    width = len(f)
    square = _square(quadratic, width, "P")
    if isinstance(quadratic, Matrix) and not np.tril(dense(quadratic), -1).any():
        square = 2 * square - np.diag(np.diagonal(square))
    upper = _bounded(_rows(rows, side, width, "A"), _bounds(low, width, "lb"), _bounds(high, width, "ub"))
    program = Program(square, f, upper, _rows(equal_rows, equal, width, "Aeq"))
    return _least(ctx, program, center, limit)


def _check_precision(precision: Value, relaxation: Value) -> None:
    float_argument(precision, "eps", 1e-6)
    float_argument(relaxation, "alpha", 1.5)


@functions.builtin("qclp", "r, V, k, [A], [b], [Aeq], [beq], [x0], [c], [eps], [alpha]", context=True)
def quadratically_constrained_program(
    ctx: Context,
    linear: Value,
    quadratic: Value,
    most: Value,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
    center: Value = NOTHING,
    limit: Value = NOTHING,
    precision: Value = NOTHING,
    relaxation: Value = NOTHING,
) -> Value:
    """The minimum of r'x with x'Vx <= k, linear constraints, and a bound of the distance to a point.

    The solution is found to full precision whatever `eps` asks for.
    """
    _check_precision(precision, relaxation)
    r, bound = _known(linear, "r"), float_argument(most, "k")
    width = len(r)
    if bound <= 0:
        raise CallError("k must be positive.")
    program = Program(
        _square(quadratic, width, "V"), r, _rows(rows, side, width, "A"), _rows(equal_rows, equal, width, "Aeq")
    )
    if not program.is_convex():
        raise CallError("V must be positive semi-definite.")
    values, vectors = np.linalg.eigh(program.quadratic)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    cone = np.vstack([np.zeros(width), -root]), np.concatenate([[np.sqrt(bound)], np.zeros(width)])
    return _least(ctx, replace(program, quadratic=np.zeros((width, width)), cones=(cone,)), center, limit)


_SOCP_STATUS = {
    "Solved": (0, "Optimal solution found"),
    "PrimalInfeasible": (1, "Certificate of primal infeasibility found"),
    "DualInfeasible": (2, "Certificate of dual infeasibility found"),
    "MaxIterations": (-1, "Maximum number of iterations reached"),
    "NumericalError": (-2, "Numerical problems (unreliable search direction)"),
    "InsufficientProgress": (-2, "Numerical problems (unreliable search direction)"),
}


@functions.builtin("socp", "f, [G], [h], [l], [q], [A], [b]", context=True)
def cone_program(
    ctx: Context,
    linear: Value,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    positive: Value = NOTHING,
    sizes: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
) -> Value:
    """The minimum of f'x with h - Gx in cones and Ax = b: a status, the place, the value, an exit code.

    The first `l` rows of G must not be negative; of each cone of `q` rows the first is at least the length of the
    vector of the others.
    """
    f = _known(linear, "f")
    width = len(f)
    table, right = _rows(rows, side, width, "G")
    first = integer_argument(positive, "l", 0)
    dimensions = [] if is_omitted(sizes) else [int(size) for size in _known(sizes, "q")]
    if first < 0 or min(dimensions, default=1) < 1 or first + sum(dimensions) != len(right):
        raise CallError("l and the elements of q must be positive and add up to the number of rows of G.")
    ends = np.cumsum([first, *dimensions])
    parts = list(zip(np.split(table, ends[:-1]), np.split(right, ends[:-1]), strict=True))
    program = Program(np.zeros((width, width)), f, parts[0], _rows(equal_rows, equal, width, "A"), tuple(parts[1:]))
    solution = solve(program, ctx.check)
    code, status = _SOCP_STATUS.get(solution.status, (-7, "Unknown problem in solver"))
    x = _place(solution, width) if solution.solved else np.full(width, np.nan)
    return AnyVector([string(status), vector(Type.DOUBLE, x), double(program.value(x)), integer(code)])
