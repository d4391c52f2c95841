"""Rows of quotes: array vectors and columnar tuples aligned, filtered, merged and sorted row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.arguments import boolean_argument, choice_argument, is_omitted
from engine.context import Context
from engine.errors import CallError
from engine.forms import array_vector, as_vector, concat
from engine.functions.registry import Registry
from engine.types import LITERAL, Type
from engine.values import NOTHING, AnyVector, Array, ArrayVector, Value, Vector, vector

functions = Registry()


def _rows(value: Value, name: str) -> list[Vector]:
    if isinstance(value, ArrayVector):
        return [value.row(index) for index in range(len(value))]
    if isinstance(value, AnyVector):
        return [as_vector(item) for item in value.items]
    raise CallError(f"{name} must be an array vector or a columnar tuple.")


def _is_rows(value: Value) -> bool:
    return isinstance(value, ArrayVector) or (
        isinstance(value, AnyVector) and all(isinstance(item, Vector) for item in value.items)
    )


def _several(value: Value, name: str) -> list[Value]:
    """The columns of an argument that is one column of rows or a tuple of them."""
    if isinstance(value, AnyVector) and not value.columnar and value.items and all(map(_is_rows, value.items)):
        return list(value.items)
    if not _is_rows(value):
        raise CallError(f"{name} must be array vectors or columnar tuples.")
    return [value]


def _like(rows: list[Vector], like: Value) -> Value:
    return array_vector(rows) if isinstance(like, ArrayVector) else AnyVector(list(rows), columnar=True)


def _keys(column: Vector) -> Array:
    return np.asarray(column.strings(), dtype=str) if column.type in LITERAL else column.data


def _sort_key(column: Vector, ascending: bool) -> Array:
    _, ranks = np.unique(_keys(column), return_inverse=True)
    return ranks if ascending else -ranks


@functions.builtin("rowAlign", "left, right, how", context=True)
def row_align(ctx: Context, left: Value, right: Value, how: Value) -> Value:
    """For each row, the positions of the sorted union of both sides in the left and in the right; -1 for none."""
    kind = choice_argument(how, "how", ("bid", "allBid", "ask", "allAsk"))
    ours, theirs = _rows(left, "left"), _rows(right, "right")
    if len(ours) != len(theirs):
        raise CallError("left and right must have the same number of rows.")
    positions: tuple[list[Vector], list[Vector]] = ([], [])
    for one, other in zip(ours, theirs, strict=True):
        ctx.check()
        union = np.unique(np.concatenate([one.data, other.data]))
        if len(one) and len(other):
            if kind == "bid":
                union = union[union >= max(one.data.min(), other.data.min())]
            elif kind == "ask":
                union = union[union <= min(one.data.max(), other.data.max())]
        if kind in ("bid", "allBid"):
            union = union[::-1]
        for side, out in zip((one, other), positions, strict=True):
            places = {raw: place for place, raw in enumerate(side.data.tolist())}
            found = [places.get(raw, -1) for raw in union.tolist()]
            out.append(vector(Type.INT, np.array(found, dtype=np.int32)))
    return AnyVector([_like(positions[0], left), _like(positions[1], left)])


@functions.builtin("rowFilterAndSort", "sortVec, filterVec, orderedFilters, args...", context=True)
def row_filter_and_sort(ctx: Context, sort: Value, filters: Value, ordered: Value, *others: Value) -> Value:
    """Rows without what the filters leave out; what sorts alike stands in the order of the filters."""
    sorting, filtering = _several(sort, "sortVec"), _several(filters, "filterVec")
    orders = list(ordered.items) if isinstance(ordered, AnyVector) and len(filtering) > 1 else [ordered]
    if len(orders) != len(filtering):
        raise CallError("orderedFilters must be as many as filterVec.")
    ranks = [{text: place for place, text in enumerate(as_vector(order).strings())} for order in orders]
    columns = [*sorting, *filtering, *others]
    rows = [_rows(column, "args") for column in columns]
    results: list[list[Vector]] = [[] for _ in columns]
    for index in range(len(rows[0])):
        ctx.check()
        row = [column[index] for column in rows]
        places = [
            np.array([rank.get(text, -1) for text in row[len(sorting) + number].strings()], dtype=np.int64)
            for number, rank in enumerate(ranks)
        ]
        kept = np.flatnonzero(np.all([place >= 0 for place in places], axis=0))
        keys = [column.data[kept] for column in row[: len(sorting)]]
        descending = [len(key) > 1 and key[0] > key[-1] for key in keys]
        by = [-key if down else key for key, down in zip(keys, descending, strict=True)]
        order = kept[np.lexsort([place[kept] for place in reversed(places)] + by[::-1])]
        for out, column in zip(results, row, strict=True):
            out.append(column.take(order))
    return AnyVector([_like(out, column) for out, column in zip(results, columns, strict=True)])


@functions.builtin("rowMergeAndSort", "sortVec, [asc=true], args...")
def row_merge_and_sort(sort: Value, ascending: Value = NOTHING, *others: Value) -> Value:
    """All rows as one, sorted by the given columns of rows."""
    sorting = _several(sort, "sortVec")
    columns = [_together(column) for column in [*sorting, *others]]
    if len({len(column) for column in columns}) != 1:
        raise CallError("The arguments must have rows of the same lengths.")
    up = _directions(ascending, len(sorting))
    keys = [_sort_key(column, down) for column, down in zip(columns, up, strict=False)]
    order = np.lexsort(keys[::-1])
    out: list[Value] = [column.take(order) for column in columns]
    return out[0] if len(out) == 1 else AnyVector(out)


def _together(value: Value) -> Vector:
    joined = concat(list(_rows(value, "args")))
    if not isinstance(joined, Vector):
        raise CallError("The rows must have the same type.")
    return joined


def _directions(ascending: Value, count: int) -> Sequence[bool]:
    if is_omitted(ascending):
        return [True] * count
    if isinstance(ascending, Vector):
        if len(ascending) != count:
            raise CallError("asc must be as long as sortVec has columns.")
        return [bool(raw) for raw in ascending.data]
    return [boolean_argument(ascending, "asc", True)] * count
