"""Counts, sums, extremes and chosen elements of groups."""

from __future__ import annotations

import numpy as np

from engine import parallel
from engine.aggregation.rows import (
    Kernel,
    Numbers,
    counts,
    first_rows,
    gather,
    last_rows,
    numbers,
    parts,
    place,
    present,
    ranks,
    sums,
    whole_sums,
)
from engine.errors import CallError
from engine.grouping import Groups
from engine.types import DECIMAL, FLOATING, INTEGRAL, Type, null
from engine.values import Array, Scalar, Vector, nulls

INT = Type.INT


def ints(data: Array) -> Vector:
    return Vector(INT, data.astype(np.int32, copy=False))


def doubles(data: Array, missing: Array | None = None) -> Vector:
    """A DOUBLE vector; NULL where `missing`."""
    out = np.asarray(data, dtype=np.float64)
    if missing is not None and missing.any():
        out = out.copy()
        out[missing] = np.nan
    return Vector(Type.DOUBLE, out)


def count(groups: Groups, x: Vector) -> Vector:
    return ints(counts(groups, present(x)))


def size(groups: Groups, _: Vector) -> Vector:
    return ints(groups.sizes)


def total(groups: Groups, x: Vector) -> Vector:
    """`sum`: LONG of integers, DOUBLE of floating point numbers, decimals keep their scale."""
    valid = present(x)
    empty = counts(groups, valid) == 0
    if x.type in FLOATING:
        values = Numbers(x)
        return doubles(sums(groups, values.at)[0], empty)
    if x.type in (Type.BOOL, Type.VOID, *INTEGRAL):

        def known(rows: slice) -> Array:
            return x.data[rows] if valid is None else np.where(valid[rows], x.data[rows], 0)

        return _longs(whole_sums(groups, known), empty)
    if x.type in DECIMAL:
        wide = (x.data if valid is None else np.where(valid, x.data, 0)).astype(object)
        result = Type.DECIMAL128
        out = nulls(result, groups.count, x.scale)
        for group, amount in zip(groups.codes, wide, strict=True):
            if not empty[group]:
                held = out.data[group]
                out.data[group] = amount + (0 if held == null(result) else held)
        return out
    raise CallError(f"The data type {x.type.name} cannot be summed.")


def _longs(data: Array, missing: Array) -> Vector:
    return Vector(Type.LONG, np.where(missing, null(Type.LONG), data))


def power_sum(exponent: int) -> Kernel:
    def kernel(groups: Groups, x: Vector) -> Vector:
        values = Numbers(x)
        with np.errstate(over="ignore"):
            powers = sums(groups, lambda rows: [values.at(rows)[0] ** exponent])[0]
        return doubles(powers, values.counts(groups) == 0)

    return kernel


def average(groups: Groups, x: Vector) -> Vector:
    values = Numbers(x)
    number = values.counts(groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return doubles(sums(groups, values.at)[0] / number, number == 0)


def product(groups: Groups, x: Vector) -> Vector:
    valid = ~x.nulls()
    empty = counts(groups, valid) == 0
    whole_numbers = x.type in (Type.BOOL, Type.VOID, *INTEGRAL)
    values = np.where(valid, x.data, 1).astype(np.int64) if whole_numbers else np.where(valid, numbers(x), 1.0)
    out = np.ones(groups.count, dtype=values.dtype)
    with np.errstate(over="ignore"):
        np.multiply.at(out, groups.codes, values)
    return _longs(out, empty) if whole_numbers else doubles(out, empty)


def _extreme(groups: Groups, x: Vector, largest: bool) -> Vector:
    reduce = np.maximum if largest else np.minimum
    if x.kind not in "if" or x.symbols is not None:
        if x.type in (Type.DURATION, Type.COMPLEX, Type.POINT):
            raise CallError(f"Values of type {x.type.name} cannot be ordered.")
        order, _ = ranks(x)
        return gather(x, _extreme_rows(groups, order, ~x.nulls(), largest, last=False))
    valid = present(x)
    floating = x.data.dtype.kind == "f"
    limits = np.finfo(x.data.dtype) if floating else np.iinfo(x.data.dtype)
    low, high = (-np.inf, np.inf) if floating else (limits.min, limits.max)
    start = low if largest else high

    def of_part(rows: slice) -> Array:
        values = x.data[rows]
        if valid is not None:
            values = np.where(valid[rows], values, np.array(start, dtype=x.data.dtype))
        out = np.full(groups.count, start, dtype=x.data.dtype)
        if groups.count == 1:
            out[0] = reduce.reduce(values, initial=start)
        else:
            reduce.at(out, groups.codes[rows], values)
        return out

    out = np.asarray(reduce.reduce(parallel.each(of_part, parts(groups), groups.rows), axis=0))
    out[counts(groups, valid) == 0] = null(x.type)
    return x.with_data(out)


def minimum(groups: Groups, x: Vector) -> Vector:
    return _extreme(groups, x, largest=False)


def maximum(groups: Groups, x: Vector) -> Vector:
    return _extreme(groups, x, largest=True)


def _extreme_rows(groups: Groups, order: Array, valid: Array, largest: bool, last: bool) -> Array:
    signed = order.astype(np.int64) if order.dtype.kind != "f" else order
    keyed = signed if largest else -signed
    low = -np.inf if keyed.dtype.kind == "f" else np.iinfo(np.int64).min
    best = np.full(groups.count, low, dtype=keyed.dtype)
    np.maximum.at(best, groups.codes[valid], keyed[valid])
    chosen = valid & (keyed == best[groups.codes])
    return last_rows(groups, chosen) if last else first_rows(groups, chosen)


def extreme_rows(groups: Groups, x: Vector, *, largest: bool, last: bool) -> Array:
    """The row of the largest or smallest element of each group, -1 if all are NULL."""
    valid = ~x.nulls()
    if x.kind in "if" and x.symbols is None and x.data.dtype != np.int64:
        return _extreme_rows(groups, x.data, valid, largest, last)
    return _extreme_rows(groups, ranks(x)[0], valid, largest, last)


def within(groups: Groups, rows: Array) -> Vector:
    """Rows as positions within their groups, -1 where there is none."""
    positions = place(groups) if groups.rows else np.zeros(0, dtype=np.int64)
    if not groups.rows:
        return ints(np.full(groups.count, -1))
    return ints(np.where(rows < 0, -1, positions[np.maximum(rows, 0)]))


def extreme_position(*, largest: bool, last: bool = False) -> Kernel:
    def kernel(groups: Groups, x: Vector) -> Vector:
        return within(groups, extreme_rows(groups, x, largest=largest, last=last))

    return kernel


def at_extreme(*, largest: bool) -> Kernel:
    def kernel(groups: Groups, location: Vector, value: Vector) -> Vector:
        return gather(value, extreme_rows(groups, location, largest=largest, last=False))

    return kernel


def first(groups: Groups, x: Vector) -> Vector:
    return gather(x, first_rows(groups))


def last(groups: Groups, x: Vector) -> Vector:
    return gather(x, last_rows(groups))


def acceptable(x: Vector, k: Scalar | None) -> Array:
    valid = ~x.nulls()
    if k is None or k.is_null:
        return valid
    if x.kind == "O" or x.symbols is not None:
        return np.asarray(valid & (x.strings() != k.value))
    return np.asarray(valid & (x.data != k.value))


def first_not(groups: Groups, x: Vector, k: Scalar | None = None) -> Vector:
    return gather(x, first_rows(groups, acceptable(x, k)))


def last_not(groups: Groups, x: Vector, k: Scalar | None = None) -> Vector:
    return gather(x, last_rows(groups, acceptable(x, k)))


def first_not_position(groups: Groups, x: Vector) -> Vector:
    return within(groups, first_rows(groups, ~x.nulls()))


def last_not_position(groups: Groups, x: Vector) -> Vector:
    return within(groups, last_rows(groups, ~x.nulls()))


def logical_any(groups: Groups, x: Vector) -> Vector:
    values = numbers(x)
    return Vector(Type.BOOL, (counts(groups, ~np.isnan(values) & (values != 0)) > 0).astype(np.int8))


def logical_all(groups: Groups, x: Vector) -> Vector:
    values = numbers(x)
    return Vector(Type.BOOL, (counts(groups, np.isnan(values) | (values == 0)) == 0).astype(np.int8))


def logical_odd(groups: Groups, x: Vector) -> Vector:
    values = numbers(x)
    return Vector(Type.BOOL, (counts(groups, ~np.isnan(values) & (values != 0)) % 2).astype(np.int8))


def longest_positive_sum(groups: Groups, x: Vector) -> Vector:
    from engine.aggregation.running import positive_streak

    return maximum(groups, positive_streak(groups, x))


def drawdown(groups: Groups, x: Vector, ratio: bool = True) -> Vector:
    from engine.aggregation.running import drawdowns

    return maximum(groups, drawdowns(groups, x, ratio))
