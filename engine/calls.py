"""Calling built-in functions: arguments bound, forms lifted by kind, Python's errors turned into the script's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import CallError, ScriptError
from engine.forms import as_vector
from engine.functions.registry import Builtin, Kind, bind
from engine.grouping import ContiguousGroups
from engine.lifting import aggregate, blockwise, elementwise, sequence, spread
from engine.values import NOTHING, Matrix, Nothing, Scalar, Value, Vector

if TYPE_CHECKING:
    from engine.context import Context
    from engine.grouping import Groups

_LOG = logging.getLogger(__name__)
REFUSALS = (
    CallError,
    MemoryError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    np.linalg.LinAlgError,
)
_LIFTED = {Kind.AGGREGATE: aggregate, Kind.SEQUENCE: sequence}


def call_builtin(
    context: Context, function: Builtin, positional: Sequence[Value], named: dict[str, Value] | None = None
) -> Value:
    """The result of a built-in function on values of any form."""
    if named or len(positional) != len(function.parameters) or NOTHING in positional:
        arguments = bind(function, list(positional), named or {}, NOTHING)
    else:
        arguments = list(positional)
    try:
        result = _apply(context, function, arguments)
    except REFUSALS as error:
        raise refused(function, error) from error
    return NOTHING if result is None else result


def call_grouped(function: Builtin, groups: Groups, arguments: Sequence[Value]) -> Any:
    """The result of the many-groups form of a built-in function that has one."""
    assert function.grouped is not None
    try:
        return function.grouped(groups, *arguments)
    except REFUSALS as error:
        raise refused(function, error) from error


def refused(function: Builtin, error: BaseException) -> ScriptError:
    """What a script is told when a function fails on its arguments."""
    if isinstance(error, CallError):
        usage = "" if error.message.startswith("Usage: ") else f"Usage: {function.signature}. "
        return ScriptError(f"{usage}{error.message}")
    if isinstance(error, MemoryError):
        return ScriptError(f"{function.name}: out of memory.")
    if isinstance(error, np.linalg.LinAlgError):
        reason = f"{error}."
    elif isinstance(error, ArithmeticError):
        reason = "The numbers are too large or too small to be worked with."
    else:
        _LOG.info("%s failed on its arguments", function.name, exc_info=error)
        reason = "The types, forms or lengths of the arguments do not go together."
    return ScriptError(f"Usage: {function.signature}. {reason}")


def _apply(context: Context, function: Builtin, arguments: list[Value]) -> Any:
    implementation = function.implementation
    leading = (context,) if function.wants_context else ()
    if function.kind is Kind.SEQUENCE and function.grouped is not None:
        matrix = _columns_at_once(function, arguments)
        if matrix is not None:
            return matrix
    if function.kind is Kind.OTHER or getattr(implementation, "every_form", False):
        return implementation(*leading, *arguments)
    count = function.vectors
    data, rest = arguments[:count], arguments[count:]
    while data and isinstance(data[-1], Nothing):
        data.pop()
    if not data:
        return implementation(*leading, *arguments)
    filler = [NOTHING] * (count - len(data)) if rest else []

    def kernel(*columns: Any) -> Any:
        return implementation(*leading, *columns, *filler, *rest)

    if function.kind is Kind.ELEMENTWISE:
        in_parts = all(isinstance(value, Scalar | Nothing) for value in rest)
        return elementwise(blockwise(spread(kernel), context.check) if in_parts else spread(kernel), data)
    lift = _LIFTED[function.kind]
    return lift(kernel, data)


def _columns_at_once(function: Builtin, arguments: list[Value]) -> Matrix | None:
    """The columns of matrices as so many groups of rows; None where they are no plain matrices of one shape."""
    data, rest = arguments[: function.vectors], arguments[function.vectors :]
    first = next((value for value in data if isinstance(value, Matrix)), None)
    if first is None or first.columns < 2 or first.rows == 0 or any(isinstance(value, Matrix) for value in rest):
        return None
    assert function.grouped is not None
    columns: list[Value] = []
    for value in data:
        if isinstance(value, Matrix) and not value.indexed and value.data.shape == first.data.shape:
            columns.append(as_vector(value))
        elif isinstance(value, Scalar):
            columns.append(value)
        else:
            return None
    groups = ContiguousGroups(np.full(first.columns, first.rows))
    result = function.grouped(groups, *columns, *rest)
    if not isinstance(result, Vector) or len(result) != groups.rows or result.symbols is not None:
        return None
    cells = result.data.reshape(first.data.shape, order="F")
    return Matrix(result.type, cells, first.row_labels, first.column_labels, result.scale)
