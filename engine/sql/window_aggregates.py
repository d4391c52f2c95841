"""Aggregates over many windows of sorted rows, where the work need not grow with the length of the windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dolphin.script import syntax
from engine.aggregation.catalogue import AGGREGATES, MAXIMUM, MINIMUM, Aggregate
from engine.aggregation.windows import Windows
from engine.errors import CallError
from engine.functions.registry import Builtin
from engine.interpreter.scope import Scope
from engine.operators import binary, unary
from engine.sql.evaluation import ELEMENTWISE_OPERATORS, Executor
from engine.sql.frame import Frame, RowScope
from engine.sql.rewrite import depends_on_rows
from engine.values import Array, Scalar, Value, Vector

Part: TypeAlias = Callable[[Windows, slice], Value]
"""The value of an expression in some windows; the slice are the rows they lie in."""

CHUNK = 1 << 18
"""Windows evaluated at a time."""
FAST: dict[str, Aggregate] = {
    name: aggregate
    for name, aggregate in {**AGGREGATES, "mean": AGGREGATES["avg"], "max": MAXIMUM, "min": MINIMUM}.items()
    if aggregate.fast is not None
}


def over_windows(
    node: syntax.Expression, frame: Frame, begin: Array, end: Array, executor: Executor, scope: Scope
) -> Vector | None:
    """The expression for the rows `begin[i]` … `end[i]` - 1 of each window i.

    None if it is not made of aggregates that have a fast form, or the windows go back and forth.
    """
    if not len(begin) or not frame.rows or (begin[1:] < begin[:-1]).any() or (end[1:] < end[:-1]).any():
        return None
    part = _part(node, frame, executor, scope)
    if part is None:
        return None
    whole: Vector | None = None
    size = min(CHUNK, frame.rows)
    for first in range(0, len(begin), size):
        executor.check()
        chunk = slice(first, min(first + size, len(begin)))
        value = _in_chunk(part, begin[chunk], end[chunk], frame.rows)
        if not isinstance(value, Vector) or value.symbols is not None:
            return None
        if whole is None:
            whole = value.with_data(np.empty(len(begin), dtype=value.data.dtype))
        if value.type is not whole.type or value.scale != whole.scale:
            return None
        whole.data[chunk] = value.data
    return whole


def _in_chunk(part: Part, begin: Array, end: Array, rows: int) -> Value:
    """The fast forms are made for one window per row: rows are added before, or empty windows behind."""
    count = len(begin)
    low = min(int(begin[0]), rows - count)
    high = max(int(end[-1]), low + count)
    edge = np.full(high - low - count, high)
    windows = Windows(np.concatenate((begin, edge)) - low, np.concatenate((end, edge)) - low)
    value = part(windows, slice(low, high))
    return value.take(slice(0, count)) if isinstance(value, Vector) else value


def _part(node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope) -> Part | None:
    if not depends_on_rows(node, frame):
        constant = executor.evaluate(node, scope)
        return (lambda _windows, _rows: constant) if isinstance(constant, Scalar) else None
    if isinstance(node, syntax.Binary) and node.operator in ELEMENTWISE_OPERATORS:
        operator = node.operator
        left, right = (_part(side, frame, executor, scope) for side in (node.left, node.right))
        if left is None or right is None:
            return None
        return lambda windows, rows: binary(operator, left(windows, rows), right(windows, rows))
    if isinstance(node, syntax.Unary):
        sign, operand = node.operator, _part(node.operand, frame, executor, scope)
        return None if operand is None else (lambda windows, rows: unary(sign, operand(windows, rows)))
    return _aggregate(node, frame, executor, scope) if isinstance(node, syntax.Call) else None


def _aggregate(node: syntax.Call, frame: Frame, executor: Executor, scope: Scope) -> Part | None:
    if not isinstance(node.function, syntax.Name) or node.style == "partial":
        return None
    name = node.function.id
    aggregate = FAST.get(name)
    function = executor.function(name)
    if aggregate is None or scope.lookup(name) is not None or not isinstance(function, Builtin):
        return None
    if len(node.arguments) != aggregate.vectors or any(each.name or each.value is None for each in node.arguments):
        return None
    if any(parameter.required for parameter in function.parameters[aggregate.vectors :]):
        return None
    columns = [executor.evaluate(each.value, RowScope(frame, scope)) for each in node.arguments]
    if not all(isinstance(column, Vector) and len(column) == frame.rows for column in columns):
        return None

    def over(windows: Windows, rows: slice) -> Value:
        return aggregate.over(windows, *(column.take(rows) for column in columns if isinstance(column, Vector)))

    try:
        over(Windows(np.zeros(1, np.int64), np.zeros(1, np.int64)), slice(0, 0))
    except CallError:
        return None
    return over
