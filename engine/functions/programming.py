"""Linear and quadratic programs."""

from __future__ import annotations

import numpy as np

from engine.arguments import choice_argument, is_omitted
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
    x = solve(program)
    if x is None:
        raise CallError("the problem has no solution, or none was found.")
    return AnyVector([double(program.value(x)), vector(Type.DOUBLE, np.where(np.abs(x) < 1e-9, 0.0, x))])


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
