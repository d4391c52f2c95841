"""Pivot by: the values of the last column become columns of the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dolphin.script import syntax
from engine.cast import cast_vector
from engine.errors import ScriptError
from engine.interpreter.scope import Scope
from engine.limits import check_allocation
from engine.sql.evaluation import Executor, GroupEvaluator, Level
from engine.sql.frame import Frame
from engine.sql.grouping import evaluate_keys, is_all
from engine.sql.keys import combined_codes, first_rows, group_rows, rank_codes
from engine.sql.matching import take_or_null
from engine.sql.naming import column_name
from engine.sql.rewrite import prepare
from engine.types import LITERAL, Type
from engine.values import Array, Column, Matrix, Scalar, Table, Value, Vector, repeat, take


def pivot_by(query: syntax.Select, frame: Frame, executor: Executor, scope: Scope) -> Value:
    """A table (select) or, for one measure, a matrix (exec)."""
    assert query.pivot is not None
    if query.top is not None:
        raise ScriptError("The top clause cannot be used with pivot by.")
    keys = evaluate_keys(query.pivot.keys, frame, executor, scope)
    if len(keys.columns) < 2:
        raise ScriptError("pivot by requires at least two columns.")
    groups, first = group_rows(keys.columns)
    evaluator = GroupEvaluator(executor, scope, frame, groups)
    measures = _measures(query.items, frame, evaluator)
    row_codes, row_count = combined_codes([take(column, first) for column in keys.columns[:-1]])
    across = take(keys.columns[-1], first)
    column_codes, column_count = rank_codes(across)
    check_allocation(row_count * column_count * (len(measures) + 1), node=executor.node)
    cells: Array = np.full((row_count, column_count), -1, dtype=np.int64)
    cells[row_codes, column_codes] = np.arange(groups.count)
    row_keys = [take(take(column, first), first_rows(row_codes, row_count)) for column in keys.columns[:-1]]
    column_keys = take(across, first_rows(column_codes, column_count))
    if query.kind == "exec" and len(measures) == 1 and len(row_keys) == 1:
        return _matrix(measures[0][1], cells, row_keys[0], column_keys)
    return _table(keys.names[:-1], row_keys, _labels(column_keys), measures, cells)


def _measures(items: Sequence[syntax.SelectItem], frame: Frame, evaluator: GroupEvaluator) -> list[tuple[str, Column]]:
    measures = []
    for item in items:
        if item.value is None or is_all(item.value):
            raise ScriptError("* cannot be used in the select clause of a pivot by query.")
        result = evaluator.evaluate(prepare(item.value, frame))
        if result.level is Level.ROWS and not result.collected:
            groups = evaluator.groups
            last = groups.order[groups.offsets[1:] - 1]
            column: Column | Scalar = take(result.value, last)  # type: ignore[arg-type]
        else:
            column = evaluator.per_group(prepare(item.value, frame))
        name = item.aliases[0] if item.aliases else column_name(item.value, frame)
        measures.append((name, repeat(column, evaluator.groups.count) if isinstance(column, Scalar) else column))
    return measures


def _labels(keys: Column) -> list[str]:
    if not isinstance(keys, Vector):
        raise ScriptError("The last column of pivot by must be a vector.")
    if keys.type in LITERAL:
        labels = [str(text) for text in keys.strings()]
    else:
        labels = [str(text) for text in cast_vector(keys, Type.STRING).data]
    return [label or "NULL" for label in labels]


def _table(
    names: list[str], row_keys: list[Column], labels: list[str], measures: list[tuple[str, Column]], cells: Array
) -> Table:
    names, columns = list(names), list(row_keys)
    for measure, values in measures:
        for index, label in enumerate(labels):
            names.append(label if len(measures) == 1 else f"{measure}_{label}")
            columns.append(take_or_null(values, cells[:, index]))
    return Table(names, columns)


def _matrix(values: Column, cells: Array, row_key: Column, column_key: Column) -> Matrix:
    if not isinstance(values, Vector) or not isinstance(row_key, Vector) or not isinstance(column_key, Vector):
        raise ScriptError("exec with pivot by requires a measure that is a scalar for every cell.")
    if values.type is Type.SYMBOL:
        values = cast_vector(values, Type.STRING)
    flat = take_or_null(values, cells.reshape(-1, order="F"))
    assert isinstance(flat, Vector)
    data = flat.data.reshape(cells.shape, order="F")
    return Matrix(values.type, data, row_key, column_key, values.scale)
