"""Merging indexed series and indexed matrices by their labels."""

from __future__ import annotations

import numpy as np

from engine.cast import cast_vector, common_type
from engine.errors import CallError
from engine.forms import concat
from engine.functions.registry import Registry
from engine.sql.keys import combined_codes, first_rows
from engine.sql.matching import last_before, take_or_null
from engine.types import Type
from engine.values import NOTHING, Array, IndexedSeries, Matrix, Scalar, Value, Vector, vector

functions = Registry()

HOW = ("inner", "outer", "left", "right", "asof")


@functions.builtin("merge", "left, right, [how='inner']")
def merge(left: Value, right: Value, how: Value = NOTHING) -> Matrix:
    kind = "inner" if how is NOTHING else how.value if isinstance(how, Scalar) else None
    if kind not in HOW:
        raise CallError(f"how must be one of {', '.join(HOW)}.")
    if isinstance(left, IndexedSeries) and isinstance(right, IndexedSeries):
        columns = ([left.values], [right.values], ["series1", "series2"])
        return _merged(left.index, right.index, *columns, kind)
    if isinstance(left, Matrix) and isinstance(right, Matrix) and left.indexed and right.indexed:
        names = [*_labels(left), *_labels(right)]
        return _merged(_index(left), _index(right), _columns(left), _columns(right), names, kind)
    raise CallError("left and right must both be indexed series or both be indexed matrices.")


def _index(matrix: Matrix) -> Vector:
    assert matrix.row_labels is not None
    return matrix.row_labels


def _columns(matrix: Matrix) -> list[Vector]:
    return [matrix.column(index) for index in range(matrix.columns)]


def _labels(matrix: Matrix) -> list[str]:
    if matrix.column_labels is None:
        return [f"C{index}" for index in range(matrix.columns)]
    return [str(text) for text in cast_vector(matrix.column_labels, Type.STRING).data]


def _merged(
    left: Vector, right: Vector, left_columns: list[Vector], right_columns: list[Vector], names: list[str], how: str
) -> Matrix:
    labels = concat([left, right])
    if not isinstance(labels, Vector):
        raise CallError("The labels of left and right must have the same type.")
    codes, count = combined_codes([labels])
    mine, theirs = codes[: len(left)], codes[len(left) :]
    left_rows, right_rows = _rows(mine, theirs, count, how)
    chosen = _chosen(left_rows, right_rows, how)
    index = labels.take(first_rows(codes, count)[chosen])
    parts = [take_or_null(column, left_rows[chosen]) for column in left_columns]
    parts += [take_or_null(column, right_rows[chosen]) for column in right_columns]
    vectors = [part for part in parts if isinstance(part, Vector)]
    type_ = common_type(*(part.type for part in vectors))
    data = np.column_stack([cast_vector(part, type_).data for part in vectors])
    return Matrix(type_, np.asfortranarray(data), index, vector(Type.STRING, names), indexed=True)


def _rows(mine: Array, theirs: Array, count: int, how: str) -> tuple[Array, Array]:
    """For every label the row on the left and on the right, -1 for none."""
    left_rows, right_rows = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    left_rows[mine] = np.arange(len(mine))
    right_rows[theirs] = np.arange(len(theirs))
    if how == "asof":
        zeros = np.zeros(count, dtype=np.int64)
        right_rows = last_before(zeros, np.arange(count), np.zeros(len(theirs), dtype=np.int64), theirs)
    return left_rows, right_rows


def _chosen(left_rows: Array, right_rows: Array, how: str) -> Array:
    if how == "outer":
        return np.arange(len(left_rows))
    if how == "inner":
        return np.flatnonzero((left_rows >= 0) & (right_rows >= 0))
    return np.flatnonzero((right_rows if how == "right" else left_rows) >= 0)
