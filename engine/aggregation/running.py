"""Running values within groups that are not an aggregate of a window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers, present
from engine.aggregation.windows import starts_of
from engine.grouping import Groups
from engine.types import FLOATING, INTEGRAL, Type, null
from engine.values import Array, Vector, nulls

ROWS_WORTH_A_CALL = 32
"""Groups of so many rows are worked on one by one."""


def in_order(groups: Groups, x: Vector) -> Vector:
    return x if groups.contiguous else x.take(groups.order)


def back(groups: Groups, x: Vector) -> Vector:
    return x if groups.contiguous else x.moved(groups.restore)


def positive_streak(groups: Groups, x: Vector) -> Vector:
    """`cumPositiveStreak`: the sum of the positive elements since the last that was not."""
    column = in_order(groups, x)
    valid = ~column.nulls()
    whole_numbers = column.type in (Type.BOOL, Type.VOID, *INTEGRAL)
    values = column.data.astype(np.int64) if whole_numbers else np.where(valid, numbers(column), 0.0)
    positive = valid & (values > 0)
    starts = starts_of(groups)
    running = np.cumsum(np.where(positive, values, values.dtype.type(0)))
    last_stop = np.where(positive, -1, np.arange(len(values)))
    anchor = np.maximum.accumulate(last_stop) if len(last_stop) else last_stop
    anchor = np.maximum(anchor, starts - 1)
    result = running - np.where(anchor >= 0, running[np.maximum(anchor, 0)], 0) if len(running) else running
    result = np.where(positive, result, 0)
    if whole_numbers:
        return back(groups, Vector(Type.LONG, np.where(valid, result, null(Type.LONG))))
    return back(groups, doubles(result, ~valid))


def running_product(groups: Groups, x: Vector) -> Vector:
    column = in_order(groups, x)
    valid = ~column.nulls()
    seen = seen_valid(groups, valid)
    whole_numbers = x.type in (Type.BOOL, Type.VOID, *INTEGRAL)
    values = (
        np.where(valid, column.data, 1).astype(np.int64) if whole_numbers else np.where(valid, numbers(column), 1.0)
    )
    out = np.empty_like(values)
    with np.errstate(over="ignore"):
        for first, last in zip(groups.offsets[:-1], groups.offsets[1:], strict=True):
            np.multiply.accumulate(values[first:last], out=out[first:last])
    if whole_numbers:
        return back(groups, Vector(Type.LONG, np.where(seen, out, null(Type.LONG))))
    return back(groups, doubles(out, ~seen))


def seen_valid(groups: Groups, valid: Array) -> Array:
    """Whether a valid row came at or before each row in its group (rows in group order)."""
    running = np.concatenate(([0], np.cumsum(valid)))
    return np.asarray(running[1:] - running[starts_of(groups)] > 0)


def running_extreme(groups: Groups, values: Array, *, largest: bool) -> Array:
    """Running maximum or minimum of rows in group order."""
    return _each_accumulated(groups, np.maximum if largest else np.minimum, values)


def accumulated(groups: Groups, name: str, column: Vector) -> Vector | None:
    """The running `sum`, `max` or `min` of a column in group order, a group at a time.

    None where that is no gain: for other aggregates and types, and for many small groups.
    """
    kind = column.data.dtype.kind
    if name == "sum" and column.type in (Type.BOOL, Type.VOID, *INTEGRAL):
        return _whole_sums(groups, column)
    if groups.count * ROWS_WORTH_A_CALL > groups.rows or column.symbols is not None:
        return None
    if kind == "f":
        reduce = {"sum": np.add, "max": np.fmax, "min": np.fmin}.get(name)
        if reduce is None:
            return None
        if name != "sum":
            return column.with_data(_each_accumulated(groups, reduce, column.data))
        valid = present(column)
        if valid is None:
            return doubles(_each_accumulated(groups, reduce, numbers(column)))
        known = np.where(valid, numbers(column), 0.0)
        return doubles(_each_accumulated(groups, reduce, known), ~seen_valid(groups, valid))
    if kind == "i" and name == "max" and column.type in INTEGRAL:
        # NULL is the smallest number.
        return column.with_data(_each_accumulated(groups, np.maximum, column.data))
    return None


def _whole_sums(groups: Groups, column: Vector) -> Vector:
    """Running sums (64 bits) of whole numbers: over all rows, less what came before the group."""
    valid = present(column)
    out = np.cumsum(column.data if valid is None else np.where(valid, column.data, 0), dtype=np.int64)
    filled = groups.sizes > 0
    starts = groups.offsets[:-1][filled]
    before = np.where(starts > 0, out[starts - 1], 0) if len(out) else starts
    out -= np.repeat(before, groups.sizes[filled])
    if valid is not None:
        out[~seen_valid(groups, valid)] = null(Type.LONG)
    return Vector(Type.LONG, out)


def _each_accumulated(groups: Groups, reduce: np.ufunc, values: Array) -> Array:
    out = np.empty_like(values)
    with np.errstate(all="ignore"):
        for first, last in pairwise(groups.offsets.tolist()):
            reduce.accumulate(values[first:last], out=out[first:last])
    return out


def drawdowns(groups: Groups, x: Vector, ratio: bool = True) -> Vector:
    """`cummdd`: the greatest fall from a running peak so far."""
    column = in_order(groups, x)
    values = numbers(column)
    valid = ~np.isnan(values)
    peak = running_extreme(groups, np.where(valid, values, -np.inf), largest=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        fall = (peak - values) / peak if ratio else peak - values
    worst = running_extreme(groups, np.where(valid & np.isfinite(fall), fall, -np.inf), largest=True)
    result = np.where(np.isfinite(worst), worst, np.nan)
    missing = ~seen_valid(groups, valid)
    if not ratio and x.type in INTEGRAL:
        kept = np.where(missing | np.isnan(result), null(x.type), np.nan_to_num(result)).astype(x.data.dtype)
        return back(groups, x.with_data(kept))
    if x.type in FLOATING and x.type is Type.FLOAT:
        return back(groups, Vector(Type.FLOAT, np.where(missing, np.nan, result).astype(np.float32)))
    return back(groups, doubles(result, missing))


def shifted(groups: Groups, x: Vector, steps: int) -> Vector:
    """Elements moved by `steps` rows within their groups; NULL where none comes from."""
    column = in_order(groups, x)
    coded = column.held_codes()
    source = column if coded is None else coded
    data = np.roll(source.data, steps)
    # The rows of each group that have none so far before (or after) them.
    reach = np.arange(min(abs(steps), groups.rows))
    edges = groups.offsets[:-1, None] + reach if steps > 0 else groups.offsets[1:, None] - 1 - reach
    inside = (edges >= groups.offsets[:-1, None]) & (edges < groups.offsets[1:, None])
    data[edges[inside]] = nulls(source.type, 1).data[0]
    return back(groups, source.with_data(data) if coded is None else Vector.holding(source.with_data(data)))
