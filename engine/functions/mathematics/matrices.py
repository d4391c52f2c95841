"""Matrices by their labels: aligned with one another, grouped; histograms in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.arguments import boolean_argument, is_omitted, matrix_argument, text_argument
from engine.cast import to_float
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, concat, matrix_of
from engine.functions.language.assembling import function_argument
from engine.functions.registry import Registry
from engine.types import LITERAL, Type, null
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    Dictionary,
    Matrix,
    Scalar,
    Value,
    Vector,
    vector,
)

functions = Registry()

_ALIGNMENTS = {
    "outer": "outer", "fj": "outer", "inner": "inner", "ej": "inner", "left": "left", "lj": "left", "asof": "asof",
    "aj": "asof",
}  # fmt: skip


def _label_keys(labels: Vector) -> Array:
    return labels.strings().astype(str) if labels.type in LITERAL else labels.data


def _places(keys: list[Any]) -> dict[Any, list[int]]:
    places: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return places


def _alignment(left: Vector | None, right: Vector | None, how: str) -> tuple[Vector, Array, Array]:
    """The labels of the result, and for each of them the position in both sides (-1: none)."""
    if left is None or right is None:
        raise CallError("left and right must have labels.")
    ours, theirs = _label_keys(left).tolist(), _label_keys(right).tolist()
    if how == "asof":
        order = np.argsort(np.array(theirs), kind="stable")
        after = np.searchsorted(np.array(theirs)[order], np.array(ours), side="right")
        found = np.where(after > 0, order[np.maximum(after - 1, 0)], -1)
        return left, np.arange(len(ours)), found
    one, other = _places(ours), _places(theirs)
    if how == "outer":
        keys = sorted(one.keys() | other.keys())
    else:
        keys = [key for key in one if how == "left" or key in other]
    pairs = [(i, j) for key in keys for i in one.get(key, [-1]) for j in other.get(key, [-1])]
    in_left, in_right = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    both = concat([left, right])
    if not isinstance(both, Vector):
        raise CallError("the labels must have types that go together.")
    return both.take(np.where(in_left >= 0, in_left, len(left) + in_right)), in_left, in_right


def _placed(matrix: Matrix, rows: Array | None, columns: Array | None) -> Array:
    data = matrix.data
    for axis, places in ((0, rows), (1, columns)):
        if places is None:
            continue
        data = np.take(data, np.maximum(places, 0), axis=axis)
        missing: tuple[slice | Array, ...] = (places < 0,) if axis == 0 else (slice(None), places < 0)
        data[missing] = null(matrix.type)
    return np.asfortranarray(data)


@functions.builtin("align", "left, right, [how='outer'], [byRow], [view=true]")
def align(left: Value, right: Value, how: Value = NOTHING, by_row: Value = NOTHING, _view: Value = NOTHING) -> Value:
    """Two matrices with the same labels: those of both, of either, of the left, or the last before."""
    one, other = matrix_argument(left, "left"), matrix_argument(right, "right")
    kinds = [_ALIGNMENTS.get(part) for part in text_argument(how, "how", "outer").split(",")]
    if None in kinds or len(kinds) > 2:
        raise CallError("how must be outer, inner, left or asof, or two of them divided by a comma.")
    rows = columns = None
    row_labels = (one.row_labels, other.row_labels)
    column_labels = (one.column_labels, other.column_labels)
    if is_omitted(by_row) or boolean_argument(by_row, "byRow"):
        labels, *rows = _alignment(*row_labels, str(kinds[0]))
        row_labels = (labels, labels)
    if is_omitted(by_row) or not boolean_argument(by_row, "byRow"):
        labels, *columns = _alignment(*column_labels, str(kinds[-1]))
        column_labels = (labels, labels)
    return AnyVector(
        [
            Matrix(
                matrix.type,
                _placed(matrix, None if rows is None else rows[side], None if columns is None else columns[side]),
                row_labels[side],
                column_labels[side],
                matrix.scale,
            )
            for side, matrix in enumerate((one, other))
        ]
    )


@functions.builtin("regroup", "X, label, func, [byRow=true]", context=True)
def regroup(ctx: Context, data: Value, label: Value, function: Value, by_row: Value = NOTHING) -> Value:
    """An aggregate of the rows (or columns) of a matrix that share a label."""
    matrix, callee = matrix_argument(data, "X"), function_argument(function, "regroup")
    down = boolean_argument(by_row, "byRow", True)
    labels = as_vector(label)
    if len(labels) != (matrix.rows if down else matrix.columns):
        raise CallError("label must be as long as X has rows (or columns).")
    _, first, codes = np.unique(_label_keys(labels), return_index=True, return_inverse=True)
    turned = matrix.data if down else matrix.data.T
    across = Matrix(matrix.type, np.asfortranarray(turned), scale=matrix.scale)
    parts = [
        as_vector(ctx.call(callee, [Matrix(across.type, np.asfortranarray(across.data[codes == group]))]))
        for group in range(len(first))
    ]
    out = matrix_of(parts)
    names = labels.take(first)
    if down:
        return Matrix(out.type, np.asfortranarray(out.data.T), names, matrix.column_labels, out.scale)
    return Matrix(out.type, out.data, matrix.row_labels, names, out.scale)


@functions.builtin("histogram2d", "X, Y, [bins=10], [range], [density=false], [weights]")
def histogram2d(
    x: Value,
    y: Value,
    bins: Value = NOTHING,
    bounds: Value = NOTHING,
    density: Value = NOTHING,
    weights: Value = NOTHING,
) -> Value:
    """How many points fall into each cell of a grid, and the edges of the grid."""
    across, up = to_float(as_vector(x)), to_float(as_vector(y))
    if len(across) != len(up) or np.isnan(across).any() or np.isnan(up).any():
        raise CallError("X and Y must have the same length and no nulls.")
    weight = None if is_omitted(weights) else to_float(as_vector(weights))
    span = None if is_omitted(bounds) else [to_float(as_vector(side)) for side in _sides(bounds)]
    grid, x_edges, y_edges = np.histogram2d(
        across, up, bins=_bins(bins), range=span, density=boolean_argument(density, "density", False), weights=weight
    )
    if weight is None and not boolean_argument(density, "density", False):
        cells = Matrix(Type.INT, np.asfortranarray(grid.astype(np.int32)))
    else:
        cells = Matrix(Type.DOUBLE, np.asfortranarray(grid))
    edges = {"xedges": vector(Type.DOUBLE, x_edges), "yedges": vector(Type.DOUBLE, y_edges)}
    return Dictionary(Type.STRING, Type.ANY, {"H": cells, **edges}, ordered=True)


def _sides(value: Value) -> list[Value]:
    if isinstance(value, AnyVector) and len(value) == 2:
        return value.items
    raise CallError("range must be a tuple of two.")


def _bins(value: Value) -> int | Array | list[int | Array]:
    if is_omitted(value):
        return 10
    if isinstance(value, Scalar):
        return int(to_float(as_vector(value))[0])
    if isinstance(value, AnyVector):
        sides = [_bins(side) for side in _sides(value)]
        return [side for side in sides if not isinstance(side, list)]
    return to_float(as_vector(value))
