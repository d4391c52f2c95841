"""Expressions over very many rows, evaluated for some groups at a time so that what is in between stays small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial

import numpy as np

from dolphin.script import syntax
from engine import parallel
from engine.functions.registry import Builtin, Kind
from engine.grouping import ContiguousGroups
from engine.sql.evaluation import ELEMENTWISE_OPERATORS, ROWWISE_FUNCTIONS, GroupEvaluator
from engine.sql.frame import Field, Frame
from engine.types import Type
from engine.values import Column, Scalar, SymbolBase, Vector, take

BATCH = 1 << 18
"""Rows of a batch."""


def per_row(evaluator: GroupEvaluator, nodes: Sequence[syntax.Expression]) -> list[Column]:
    """What `evaluator.per_row` gives for each of the nodes; its groups are contiguous."""
    found: Mapping[int, Vector] = {}
    if evaluator.groups.rows > 2 * BATCH:
        separable = {
            index: node
            for index, node in enumerate(nodes)
            if not isinstance(node, syntax.Name) and _is_separable(node, evaluator)
        }
        found = _in_batches(evaluator, separable) if separable else {}
    return [found[index] if index in found else evaluator.per_row(node) for index, node in enumerate(nodes)]


def _in_batches(evaluator: GroupEvaluator, nodes: Mapping[int, syntax.Expression]) -> dict[int, Vector]:
    """The results of the nodes, without those that are not one vector of the same kind in every batch."""
    groups = evaluator.groups
    assert isinstance(groups, ContiguousGroups)
    results: dict[int, Vector] = {}
    unlike: set[int] = set()

    def fill(batch: tuple[int, int]) -> None:
        evaluator.executor.check()
        first, last = batch
        rows = slice(int(groups.offsets[first]), int(groups.offsets[last]))
        # Batches are evaluated side by side: each needs an executor whose current scope is its own.
        part = GroupEvaluator(
            copy(evaluator.executor),
            evaluator.scope,
            _sliced(evaluator.frame, rows),
            ContiguousGroups(groups.sizes[first:last]),
        )
        for index, node in nodes.items():
            column = part.per_row(node) if index not in unlike else None
            # Texts held as codes are quick to make at once, and would be texts in a result put together.
            if isinstance(column, Vector) and column.held_codes() is None:
                if index not in results:
                    results.setdefault(index, column.with_data(np.empty(groups.rows, dtype=column.data.dtype)))
                whole = results[index]
                if _kind(column) == _kind(whole):
                    whole.data[rows] = column.data
                    continue
            unlike.add(index)

    parallel.each(fill, groups.batches(BATCH), groups.rows)
    return {index: column for index, column in results.items() if index not in unlike}


def _kind(column: Vector) -> tuple[Type, int, SymbolBase | None]:
    return column.type, column.scale, column.symbols


def _sliced(frame: Frame, rows: slice) -> Frame:
    fields = [
        Field(each.name, partial(_slice, frame, index, rows), each.qualifier, each.label, each.hidden)
        for index, each in enumerate(frame.fields)
    ]
    return Frame(fields, rows.stop - rows.start)


def _slice(frame: Frame, index: int, rows: slice) -> Column:
    return take(frame.column(index), rows)


def _is_separable(node: syntax.Expression, evaluator: GroupEvaluator) -> bool:
    """Whether the result for a row depends on nothing but the rows of its group and scalars."""
    if isinstance(node, syntax.Literal):
        return True
    if isinstance(node, syntax.Name):
        index = evaluator.frame.find(node.id)
        held = evaluator.frame.column(index) if index >= 0 else evaluator.scope.lookup(node.id)
        return isinstance(held, Vector if index >= 0 else Scalar)
    if isinstance(node, syntax.Binary):
        parts: list[syntax.Expression | None] = [node.left, node.right]
        known = node.operator in ELEMENTWISE_OPERATORS
    elif isinstance(node, syntax.Unary):
        parts, known = [node.operand], True
    elif isinstance(node, syntax.Call) and node.style != "partial":
        parts, known = [each.value for each in node.arguments], _is_grouped(evaluator.function(node))
    else:
        return False
    return known and all(part is not None and _is_separable(part, evaluator) for part in parts)


def _is_grouped(function: object) -> bool:
    """Whether a function works on elements or, in one call, on any number of groups."""
    if not isinstance(function, Builtin) or function.wants_context:
        return False
    if function.name in ROWWISE_FUNCTIONS:
        return True
    if function.kind is Kind.ELEMENTWISE:
        # What takes a column apart itself may look at all of it, such as for its first time.
        return not getattr(function.implementation, "every_form", False)
    return function.kind in (Kind.AGGREGATE, Kind.SEQUENCE) and function.grouped is not None
