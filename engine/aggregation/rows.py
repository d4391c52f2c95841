"""Groups of rows and the choice of single rows in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from engine import parallel
from engine.coded import per_text
from engine.coding import objects
from engine.errors import CallError
from engine.grouping import ContiguousGroups, Groups
from engine.parallel import BLOCK, spans
from engine.types import DECIMAL, FLOATING, INTEGRAL, Type, null
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
    if column.coded() is not None and len(column):
        chosen = column.take(np.maximum(positions, 0))
        chosen.data[missing] = null(column.type)
        return chosen
    out = nulls(column.type, len(positions), column.scale)
    out.symbols = column.symbols
    out.data[~missing] = column.data[positions[~missing]]
    return out


def place(groups: Groups) -> Array:
    """The position of every row within its group."""
    return np.asarray(groups.places - groups.offsets[:-1][groups.codes])


def blocks(groups: Groups) -> list[slice]:
    """Runs of rows small enough for the processor's cache, long enough for a table of all groups; at least one."""
    return spans(groups.rows, max(BLOCK, 4 * groups.count))


def parts(groups: Groups) -> list[slice]:
    """Longer runs of rows than blocks, for work that fills no cache and whose order does not matter."""
    return spans(groups.rows, max(4 * BLOCK, 4 * groups.count))


def first_rows(groups: Groups, chosen: Array | None = None) -> Array:
    """The first chosen row of each group (None: all rows are), -1 if there is none."""
    return _first_met(groups, chosen, blocks(groups), -1)


def last_rows(groups: Groups, chosen: Array | None = None) -> Array:
    """The last chosen row of each group (None: all rows are), -1 if there is none."""
    return _first_met(groups, chosen, blocks(groups)[::-1], 1)


def _first_met(groups: Groups, chosen: Array | None, runs: Sequence[slice], step: int) -> Array:
    """The chosen row of each group that is met first; the first run of rows often has one of every group."""
    codes = groups.codes

    def met(rows: slice) -> Array:
        owners, numbers = codes[rows], np.arange(rows.start, rows.stop)
        if chosen is not None:
            owners, numbers = owners[chosen[rows]], numbers[chosen[rows]]
        found = np.full(groups.count, -1, dtype=np.int64)
        # The last of several values given to one element stays.
        found[owners[::step]] = numbers[::step]
        return found

    out = met(runs[0])
    if out.min(initial=0) < 0:
        for later in parallel.each(met, runs[1:], groups.rows):
            np.copyto(out, later, where=out < 0)
    return out


def present(column: Vector) -> Array | None:
    """A mask of the elements that are not NULL; None if all are."""
    return ~column.nulls() if column.has_nulls() else None


def counts(groups: Groups, chosen: Array | None) -> Array:
    """How many rows of each group are chosen (None: all are)."""
    if chosen is None:
        return groups.sizes
    if groups.count == 1:
        return np.array([np.count_nonzero(chosen)], dtype=np.int64)
    codes = groups.codes
    tallies = parallel.each(
        lambda rows: np.bincount(codes[rows][chosen[rows]], minlength=groups.count), parts(groups), groups.rows
    )
    return _added(tallies)


def _added(totals: Sequence[Array]) -> Array:
    """Totals added up in their order, into the first of them."""
    for more in totals[1:]:
        totals[0][...] += more
    return totals[0]


def sums(groups: Groups, terms: Callable[[slice], Sequence[Array]]) -> list[Array]:
    """The sums of each group of several numbers per row, which `terms` gives for a run of rows."""
    if isinstance(groups, ContiguousGroups) and 1 < groups.count <= groups.rows <= FEW_ROWS:
        filled = groups.sizes > 0
        starts, out = groups.offsets[:-1][filled], []
        for term in terms(slice(0, groups.rows)):
            out.append(np.zeros(groups.count))
            out[-1][filled] = np.add.reduceat(term, starts, dtype=np.float64)
        return out

    if groups.count == 1:
        partial = parallel.each(lambda rows: [_by_block(term) for term in terms(rows)], parts(groups), groups.rows)
        return [np.cumsum(np.concatenate(each))[-1:] for each in zip(*partial, strict=True)]
    codes = groups.codes

    def totals(rows: slice) -> list[Array]:
        return [np.bincount(codes[rows], weights=term, minlength=groups.count) for term in terms(rows)]

    return [_added(each) for each in zip(*parallel.each(totals, blocks(groups), groups.rows), strict=True)]


def _by_block(values: Array) -> Array:
    """The sums of the blocks of a run of numbers."""
    whole = len(values) // BLOCK * BLOCK
    sums = np.asarray(np.add.reduce(values[:whole].reshape(-1, BLOCK), axis=1, dtype=np.float64))
    if whole and whole == len(values):
        return sums
    return np.append(sums, np.add.reduce(values[whole:], dtype=np.float64))


def whole_sums(groups: Groups, terms: Callable[[slice], Array]) -> Array:
    """The exact sums (64 bits) of each group of whole numbers."""
    codes = groups.codes if groups.count > 1 else None

    def total(rows: slice) -> Array:
        out = np.zeros(groups.count, dtype=np.int64)
        values = terms(rows).astype(np.int64, copy=False)
        if codes is None:
            out += values.sum()
        else:
            np.add.at(out, codes[rows], values)
        return out

    return _added(parallel.each(total, parts(groups), groups.rows))


class Numbers:
    """Columns of numbers read together, a run of rows at a time: a row where one of them is NULL does not count."""

    def __init__(self, *columns: Vector, names: Sequence[str] = ("X", "Y", "weights")) -> None:
        for column, name in zip(columns, names, strict=False):
            numbers(column.take(slice(0, 0)), name)
        self.columns = columns
        self.complete = not any(column.has_nulls() for column in columns)

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
    coded = column.coded()
    if coded is not None:
        present, codes = per_text(coded, str)
        order = np.array(sorted(range(len(present)), key=present.__getitem__), dtype=np.int64)
        return np.argsort(order)[codes], objects(present)[order]
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
    coded = column.coded()
    if coded is not None:
        return coded.data
    if column.data.dtype.kind == "i":
        return column.data
    import pandas as pd

    return np.asarray(pd.factorize(column.data, use_na_sentinel=False)[0])
