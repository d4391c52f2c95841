"""Linear and quadratic programs."""

from __future__ import annotations

import numpy as np

from engine.arguments import choice_argument, float_argument, is_omitted
from engine.cast import to_float
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.linear_algebra import dense
from engine.functions.registry import Registry
from engine.programs import Program, solve
from engine.types import Type
from engine.values import NOTHING, AnyVector, Array, Matrix, Scalar, Value, double, string, vector

functions = Registry()


def _rows(matrix: Value, right: Value, width: int, name: str) -> tuple[Array, Array]:
    """The coefficients and the right side of constraints; none if both are left out."""
    if is_omitted(matrix) != is_omitted(right):
        raise CallError(f"{name} must be given with its right-hand side.")
    if is_omitted(matrix):
        return np.zeros((0, width)), np.zeros(0)
    side = to_float(as_vector(right))
    table = dense(matrix) if isinstance(matrix, Matrix) else to_float(as_vector(matrix)).reshape(len(side), -1)
    if table.shape != (len(side), width):
        raise CallError(f"{name} must have a column for each unknown and a row for each constraint.")
    return table, side


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


def _bounded(rows: Array, sides: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Constraints together with bounds of the unknowns."""
    unit = np.eye(len(low))
    has_low, has_high = ~np.isnan(low), ~np.isnan(high)
    return np.vstack([rows, unit[has_high], -unit[has_low]]), np.concatenate([sides, high[has_high], -low[has_low]])


def _solved(program: Program) -> Value:
    return _within(program, solve(program))


@functions.builtin("quadprog", "H, f, [A], [b], [Aeq], [beq]")
def quadratic_program(
    quadratic: Value,
    linear: Value,
    rows: Value = NOTHING,
    side: Value = NOTHING,
    equal_rows: Value = NOTHING,
    equal: Value = NOTHING,
) -> Value:
    """The minimum of x'Hx/2 + f'x under linear constraints: its value and its place."""
    f = to_float(as_vector(linear))
    if not isinstance(quadratic, Matrix) or quadratic.data.shape != (len(f), len(f)):
        raise CallError("H must be a square matrix with a row for each element of f.")
    upper = _rows(rows, side, len(f), "A")
    return _solved(Program(dense(quadratic), f, *upper, *_rows(equal_rows, equal, len(f), "Aeq")))


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
    choice_argument(method, "method", ("simplex", "interior-point"), "simplex")
    f = to_float(as_vector(linear))
    width = len(f)
    upper = _bounded(*_rows(rows, side, width, "A"), _bounds(low, width, "lb"), _bounds(high, width, "ub"))
    return _solved(Program(np.zeros((width, width)), f, *upper, *_rows(equal_rows, equal, width, "Aeq")))


@functions.builtin("osqp", "q, [P], [A], [lb], [ub]")
def bounded_program(
    linear: Value, quadratic: Value = NOTHING, rows: Value = NOTHING, low: Value = NOTHING, high: Value = NOTHING
) -> Value:
    """The minimum of x'Px/2 + q'x with lb <= Ax <= ub: whether it was found, and its place."""
    f = to_float(as_vector(linear))
    square = dense(quadratic) if isinstance(quadratic, Matrix) else np.zeros((len(f), len(f)))
    table, upper = _rows(rows, high, len(f), "A")
    _, lower = _rows(rows, low, len(f), "A")
    same = ~np.isnan(upper) & (upper == lower)
    below, above = ~np.isnan(upper) & ~same, ~np.isnan(lower) & ~same
    sides = np.vstack([table[below], -table[above]]), np.concatenate([upper[below], -lower[above]])
    x = solve(Program(square, f, *sides, table[same], upper[same]))
    if x is None:
        return AnyVector([string("unsolved"), vector(Type.DOUBLE, np.full(len(f), np.nan))])
    return AnyVector([string("solved"), vector(Type.DOUBLE, x)])


def _with_distance(program: Program, center: Value, limit: Value) -> Program:
    """The program with the sum of |x - center| at most `limit`, by unknowns for these distances."""
    if is_omitted(center) and is_omitted(limit):
        return program
    width = len(program.linear)
    middle, most = to_float(as_vector(center)), float_argument(limit, "c")
    if len(middle) != width or most < 0:
        raise CallError("x0 must have an element for each unknown, and c must not be negative.")
    unit, zero = np.eye(width), np.zeros((width, width))
    rows = np.vstack(
        [
            np.hstack([program.upper_rows, np.zeros_like(program.upper_rows)]),
            np.hstack([unit, -unit]),
            np.hstack([-unit, -unit]),
            np.concatenate([np.zeros(width), np.ones(width)])[None, :],
        ]
    )
    return Program(
        np.block([[program.quadratic, zero], [zero, zero]]),
        np.concatenate([program.linear, np.zeros(width)]),
        rows,
        np.concatenate([program.upper, middle, -middle, [most]]),
        np.hstack([program.equal_rows, np.zeros_like(program.equal_rows)]),
        program.equal,
    )


@functions.builtin("scs", "f, [P], [A], [b], [Aeq], [beq], [lb], [ub], [x0], [c], [eps], [alpha]")
def splitting_program(
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
    if float_argument(precision, "eps", 1e-6) <= 0 or float_argument(relaxation, "alpha", 1.5) <= 0:
        raise CallError("eps and alpha must be positive.")
    f = to_float(as_vector(linear))
    width = len(f)
    square = dense(quadratic) if isinstance(quadratic, Matrix) else np.zeros((width, width))
    if square.shape != (width, width):
        raise CallError("P must be a square matrix with a row for each element of f.")
    if not np.tril(square, -1).any():
        square = square + np.triu(square, 1).T
    upper = _bounded(*_rows(rows, side, width, "A"), _bounds(low, width, "lb"), _bounds(high, width, "ub"))
    program = Program(square, f, *upper, *_rows(equal_rows, equal, width, "Aeq"))
    return _within(program, solve(_with_distance(program, center, limit)))


def _within(program: Program, x: Array | None) -> Value:
    """The value and the place of a solution, without the unknowns added to the program."""
    if x is None:
        raise CallError("the problem has no solution, or none was found.")
    found = x[: len(program.linear)]
    return AnyVector([double(program.value(found)), vector(Type.DOUBLE, np.where(np.abs(found) < 1e-9, 0.0, found))])
