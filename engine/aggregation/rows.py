"""Groups of rows and the choice of single rows in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from engine.errors import CallError
from engine.grouping import Groups
from engine.types import DECIMAL, FLOATING, INTEGRAL, Type
from engine.values import Array, Vector, nulls

Kernel: TypeAlias = Callable[..., Vector]


def whole(rows: int) -> Groups:
    """All rows as one group."""
    return Groups(np.zeros(rows, dtype=np.intp), 1)


def segments(sizes: Array) -> Groups:
    """Consecutive groups of the given sizes."""
    return Groups(np.repeat(np.arange(len(sizes)), sizes), len(sizes))


def gather(column: Vector, positions: Array) -> Vector:
    """The elements at `positions`, NULL where a position is negative."""
    missing = positions < 0
    if not missing.any():
        return column.take(positions)
    out = nulls(column.type, len(positions), column.scale)
    out.symbols = column.symbols
    out.data[~missing] = column.data[positions[~missing]]
    return out


def place(groups: Groups) -> Array:
    """The position of every row within its group."""
    rank = np.empty(groups.rows, dtype=np.int64)
    rank[groups.order] = np.arange(groups.rows) - np.repeat(groups.offsets[:-1], groups.sizes)
    return rank


def first_rows(groups: Groups, chosen: Array) -> Array:
    """The first chosen row of each group, -1 if there is none."""
    out = np.full(groups.count, groups.rows, dtype=np.int64)
    rows = np.flatnonzero(chosen)
    np.minimum.at(out, groups.codes[rows], rows)
    out[out == groups.rows] = -1
    return out


def last_rows(groups: Groups, chosen: Array) -> Array:
    """The last chosen row of each group, -1 if there is none."""
    out = np.full(groups.count, -1, dtype=np.int64)
    rows = np.flatnonzero(chosen)
    np.maximum.at(out, groups.codes[rows], rows)
    return out


def counts(groups: Groups, chosen: Array) -> Array:
    """How many rows of each group are chosen."""
    if groups.count == 1:
        return np.array([np.count_nonzero(chosen)], dtype=np.int64)
    return groups.sizes if chosen.all() else np.bincount(groups.codes[chosen], minlength=groups.count)


def totals(groups: Groups, values: Array) -> Array:
    """The sum of each group; integers stay exact (64 bits)."""
    if groups.count == 1:
        return np.array([values.sum()], dtype=values.dtype)
    if values.dtype.kind == "f":
        return np.bincount(groups.codes, weights=values, minlength=groups.count)
    out = np.zeros(groups.count, dtype=values.dtype)
    np.add.at(out, groups.codes, values)
    return out


def numbers(column: Vector, name: str = "X") -> Array:
    """Numbers as float64 with NaN for NULL."""
    kind = column.data.dtype.kind
    if column.type in FLOATING:
        return column.data.astype(np.float64, copy=False)
    if column.type in (Type.BOOL, Type.VOID, *INTEGRAL):
        out = column.data.astype(np.float64)
        out[column.nulls()] = np.nan
        return out
    if column.type in DECIMAL:
        missing = column.nulls()
        out = np.array(column.data, dtype=np.float64) / 10.0**column.scale
        out[missing] = np.nan
        return out
    if kind == "i" and column.symbols is None:
        out = column.data.astype(np.float64)
        out[column.nulls()] = np.nan
        return out
    raise CallError(f"{name} must be numeric, not {column.type.name}.")


def ranks(column: Vector) -> tuple[Array, Array]:
    """Whole numbers ordered as the elements are (NULL is the smallest), and the distinct sorted raw values."""
    if column.symbols is not None:
        texts = column.symbols.array()
        order = np.unique(texts, return_inverse=True)[1]
        return order[column.data], np.arange(len(texts))[np.argsort(order)]
    data = column.data
    if data.dtype.kind == "f":
        data = np.where(np.isnan(data), -np.inf, data)
        distinct, codes = np.unique(data, return_inverse=True)
        if len(distinct) and distinct[0] == -np.inf and column.nulls().any():
            distinct = distinct.copy()
            distinct[0] = np.nan
        return codes, distinct
    distinct, codes = np.unique(data, return_inverse=True)
    return codes, distinct


def codes_of(column: Vector) -> Array:
    """Equal whole numbers for equal elements (all NULLs are equal)."""
    if column.data.dtype.kind == "i":
        return column.data
    import pandas as pd

    return np.asarray(pd.factorize(column.data, use_na_sentinel=False)[0])
