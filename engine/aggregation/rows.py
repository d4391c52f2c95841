"""Groups of rows and the choice of single rows in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from engine.errors import CallError
from engine.grouping import BLOCK, ContiguousGroups, Groups
from engine.types import DECIMAL, FLOATING, INTEGRAL, Type
from engine.values import Array, Vector, nulls

Kernel: TypeAlias = Callable[..., Vector]
FEW_ROWS = 1 << 19
"""Contiguous groups of no more rows are summed in one go."""


def whole(rows: int) -> Groups:
    """All rows as one group."""
    return ContiguousGroups(np.array([rows]))


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
    return np.asarray(groups.places - groups.offsets[:-1][groups.codes])


def blocks(groups: Groups) -> Iterator[slice]:
    """Runs of rows small enough for the processor's cache, long enough for a table of all groups; at least one."""
    size = max(BLOCK, 4 * groups.count)
    for first in range(0, max(groups.rows, 1), size):
        yield slice(first, min(first + size, groups.rows))


def first_rows(groups: Groups, chosen: Array | None = None) -> Array:
    """The first chosen row of each group (None: all rows are), -1 if there is none."""
    out = np.full(groups.count, -1, dtype=np.int64)
    for rows in reversed(list(blocks(groups))):
        codes, numbers = groups.codes[rows], np.arange(rows.start, rows.stop)
        if chosen is not None:
            codes, numbers = codes[chosen[rows]], numbers[chosen[rows]]
        # The last of several values given to one element stays.
        out[codes[::-1]] = numbers[::-1]
    return out


def last_rows(groups: Groups, chosen: Array | None = None) -> Array:
    """The last chosen row of each group (None: all rows are), -1 if there is none."""
    out = np.full(groups.count, -1, dtype=np.int64)
    for rows in blocks(groups):
        codes, numbers = groups.codes[rows], np.arange(rows.start, rows.stop)
        if chosen is not None:
            codes, numbers = codes[chosen[rows]], numbers[chosen[rows]]
        out[codes] = numbers
    return out


def present(column: Vector) -> Array | None:
    """A mask of the elements that are not NULL; None if all are."""
    missing = column.nulls()
    return ~missing if missing.any() else None


def counts(groups: Groups, chosen: Array | None) -> Array:
    """How many rows of each group are chosen (None: all are)."""
    if chosen is None:
        return groups.sizes
    if groups.count == 1:
        return np.array([np.count_nonzero(chosen)], dtype=np.int64)
    out = np.zeros(groups.count, dtype=np.int64)
    for rows in blocks(groups):
        out += np.bincount(groups.codes[rows][chosen[rows]], minlength=groups.count)
    return out


def sums(groups: Groups, terms: Callable[[slice], Sequence[Array]]) -> list[Array]:
    """The sums of each group of several numbers per row, which `terms` gives for a run of rows."""
    if isinstance(groups, ContiguousGroups) and 1 < groups.count <= groups.rows <= FEW_ROWS:
        filled = groups.sizes > 0
        starts, out = groups.offsets[:-1][filled], []
        for term in terms(slice(0, groups.rows)):
            out.append(np.zeros(groups.count))
            out[-1][filled] = np.add.reduceat(term, starts, dtype=np.float64)
        return out
    totals: list[Array] = []
    for rows in blocks(groups):
        if groups.count == 1:
            parts = [np.array([np.sum(term, dtype=np.float64)]) for term in terms(rows)]
        else:
            codes = groups.codes[rows]
            parts = [np.bincount(codes, weights=term, minlength=groups.count) for term in terms(rows)]
        if not totals:
            totals = parts
        else:
            for total, part in zip(totals, parts, strict=True):
                total += part
    return totals


def whole_sums(groups: Groups, terms: Callable[[slice], Array]) -> Array:
    """The exact sums (64 bits) of each group of whole numbers."""
    out = np.zeros(groups.count, dtype=np.int64)
    for rows in blocks(groups):
        values = terms(rows).astype(np.int64, copy=False)
        if groups.count == 1:
            out += values.sum()
        else:
            np.add.at(out, groups.codes[rows], values)
    return out


class Numbers:
    """Columns of numbers read together, a run of rows at a time: a row where one of them is NULL does not count."""

    def __init__(self, *columns: Vector, names: Sequence[str] = ("X", "Y", "weights")) -> None:
        for column, name in zip(columns, names, strict=False):
            numbers(column.take(slice(0, 0)), name)
        self.columns = columns
        self.complete = not any(bool(column.nulls().any()) for column in columns)

    def valid(self, rows: slice) -> Array | None:
        """Which rows count; None if all do."""
        if self.complete:
            return None
        missing = self.columns[0].take(rows).nulls()
        for column in self.columns[1:]:
            missing = missing | column.take(rows).nulls()
        return np.asarray(~missing)

    def at(self, rows: slice) -> list[Array]:
        """The numbers of each column, 0 in the rows that do not count."""
        valid = self.valid(rows)
        values = [numbers(column.take(rows)) for column in self.columns]
        return values if valid is None else [np.where(valid, part, 0.0) for part in values]

    def counts(self, groups: Groups) -> Array:
        """How many rows of each group count."""
        return counts(groups, self.valid(slice(None)))


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
