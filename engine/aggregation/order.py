"""Order statistics of groups: percentiles, ranks, distinct elements, modes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine import parallel
from engine.aggregation.basic import doubles, ints
from engine.aggregation.moments import Centered
from engine.aggregation.rows import blocks, codes_of, counts, first_rows, gather, numbers, ranks, sums
from engine.grouping import Groups
from engine.values import Array, Vector

MOST = 2**62
ROWS_WORTH_A_SORT = 32
"""Groups of so many rows are sorted one by one."""
ROWS_WORTH_A_THREAD = 1 << 12
SEEN_PER_ROW, SMALL_TABLE = 8, 1 << 16
INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


@dataclass(eq=False)
class SortedGroups:
    """The numbers of groups in ascending order: `sizes[g]` of group g from `offsets[g]`, NaNs come after them.

    Made for one quantile only, just the elements it needs are where they belong.
    """

    values: Array
    offsets: Array
    sizes: Array

    @classmethod
    def of(cls, groups: Groups, values: Array, q: float | None = None) -> SortedGroups:
        missing = np.isnan(values)
        sizes = counts(groups, ~missing if missing.any() else None)
        if groups.count * ROWS_WORTH_A_SORT > groups.rows:
            return cls(values[np.lexsort((values, groups.codes))], groups.offsets[:-1], sizes)
        ordered = values.copy() if groups.contiguous else groups.arrange(values)
        found = cls(ordered, groups.offsets[:-1], sizes)
        needed = None if q is None else np.stack(found.places(q)[:2], axis=1)
        complete = not missing.any()

        def sort(group: int) -> None:
            part = ordered[groups.offsets[group] : groups.offsets[group + 1]]
            if needed is None:
                part.sort()
            elif len(part) and complete:
                lower, upper = needed[group].tolist()
                part.partition(lower)
                if upper > lower:
                    # The next one is the least of what is left.
                    least = upper + int(part[upper:].argmin())
                    part[[upper, least]] = part[[least, upper]]
            elif len(part):
                part.partition(needed[group])

        # Threads would only wait for each other over small groups.
        large = groups.count * ROWS_WORTH_A_THREAD <= groups.rows
        parallel.each(sort, range(groups.count), groups.rows if large else 0)
        return found

    def at(self, positions: Array) -> Array:
        """Element number `positions[g]` of group g."""
        index = np.clip(self.offsets + positions, 0, max(len(self.values) - 1, 0))
        return self.values[index] if len(self.values) else np.full(len(positions), np.nan)

    def places(self, q: float) -> tuple[Array, Array, Array]:
        """The positions around a quantile of each group, and how far it is from the lower to the upper one."""
        position = q * np.maximum(self.sizes - 1, 0)
        lower = np.floor(np.round(position, 9)).astype(np.int64)
        fraction = np.maximum(position - lower, 0.0)
        fraction[fraction < 1e-9] = 0.0
        return lower, np.where(fraction > 0, np.minimum(lower + 1, self.sizes - 1), lower), fraction

    def quantile(self, q: float, interpolation: str) -> Array:
        lower, upper, fraction = self.places(q)
        low, high = self.at(lower), self.at(upper)
        if interpolation == "lower":
            result = low
        elif interpolation == "higher":
            result = high
        elif interpolation == "midpoint":
            result = (low + high) / 2
        elif interpolation == "nearest":
            result = np.where(fraction > 0.5, high, low)
        else:
            with np.errstate(invalid="ignore"):
                result = np.where(fraction > 0, low + (high - low) * fraction, low)
        return np.where(self.sizes == 0, np.nan, result)


def quantile(groups: Groups, x: Vector, q: float, interpolation: str = "linear") -> Vector:
    return doubles(SortedGroups.of(groups, numbers(x), q).quantile(q, interpolation))


def percentile(groups: Groups, x: Vector, percent: float, interpolation: str = "linear") -> Vector:
    return quantile(groups, x, percent / 100.0, interpolation)


def median(groups: Groups, x: Vector) -> Vector:
    return quantile(groups, x, 0.5, "midpoint")


def absolute_deviation(groups: Groups, x: Vector, use_median: bool = False) -> Vector:
    """`mad`: around the mean, or the median around the median."""
    if use_median:
        values = numbers(x)
        center = median(groups, x).data
        return median(groups, doubles(np.abs(values - center[groups.codes])))
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = Centered(groups, x)
        total = sums(groups, lambda rows: [np.abs(centered.at(rows)[0])])[0]
        return doubles(total / centered.number, centered.number == 0)


def distinct_rows(groups: Groups, columns: list[Vector]) -> Array:
    """A mask of the rows whose elements appear in their group for the first time."""
    import pandas as pd

    keys, _ = combined_codes(groups, columns)
    return np.asarray(~pd.Series(keys).duplicated().to_numpy())


def combined_codes(groups: Groups, columns: list[Vector]) -> tuple[Array, int]:
    """Equal numbers for rows equal in group and all columns, and what all of them are less than.

    The numbers of a group are less than those of the next one.
    """
    keys, bound = groups.codes.astype(np.int64), max(groups.count, 1)
    for column in columns:
        codes, span = _small_codes(column, MOST // bound)
        if bound * span > MOST:
            distinct, keys = np.unique(keys, return_inverse=True)
            bound = len(distinct)
        keys *= span
        keys += codes
        bound *= span
    return keys, bound


def _small_codes(column: Vector, most: int) -> tuple[Array, int]:
    """Numbers from 0, equal for equal elements: the distance from the smallest where that is less than `most`."""
    import pandas as pd

    data = codes_of(column)
    low, span = _span(data)
    if span > most:
        codes, distinct = pd.factorize(data)
        return codes, max(len(distinct), 1)
    return np.subtract(data, low, dtype=np.int64), span


def _span(data: Array) -> tuple[int, int]:
    """The smallest of whole numbers and how many there are from it to the largest; 0 and 1 if there are none."""
    if not len(data):
        return 0, 1
    low = int(data.min())
    return low, int(data.max()) - low + 1


def distinct_count(groups: Groups, x: Vector, ignore_null: bool = False) -> Vector:
    """`nunique`."""
    if ignore_null:
        kept = np.flatnonzero(~x.nulls())
        groups, x = Groups(groups.codes[kept], groups.count), x.take(kept)
    data = codes_of(x)
    low, span = _span(data)
    bound = max(groups.count, 1) * span
    if bound > SEEN_PER_ROW * groups.rows + SMALL_TABLE:
        return ints(counts(groups, distinct_rows(groups, [x])))
    seen = np.zeros(bound, dtype=bool)

    def look(rows: slice) -> None:
        keys = groups.codes[rows] * span
        keys += np.subtract(data[rows], low, dtype=np.int64)
        seen[keys] = True

    parallel.each(look, blocks(groups), groups.rows)
    return ints(np.count_nonzero(seen.reshape(max(groups.count, 1), -1), axis=1)[: groups.count])


def mode(groups: Groups, x: Vector) -> Vector:
    """The most frequent element; of several the smallest."""
    rows = np.flatnonzero(~x.nulls())
    order, _ = ranks(x)
    width = int(order.max(initial=0)) + 1
    keys, first, number = np.unique(
        groups.codes[rows].astype(np.int64) * width + order[rows], return_index=True, return_counts=True
    )
    owners = keys // width
    best = np.zeros(groups.count, dtype=np.int64)
    np.maximum.at(best, owners, number)
    chosen = first_rows(Groups(owners, groups.count), number == best[owners])
    return gather(x, np.where(chosen < 0, -1, rows[first[np.maximum(chosen, 0)]] if len(rows) else -1))


def rank_in_groups(
    groups: Groups,
    x: Vector,
    ascending: bool = True,
    ignore_null: bool = False,
    ties: str = "min",
) -> tuple[Array, Array]:
    """The rank of every row in its group from 0 (NaN where NULL is ignored), and how many are ranked per group."""
    keys = _sort_keys(x)
    if not ascending:
        keys = -keys if keys.dtype.kind == "f" else ~keys
    missing = x.nulls() if ignore_null and x.has_nulls() else None
    out = np.full(groups.rows, np.nan)
    if missing is not None:
        rows = np.flatnonzero(~missing)
        out[rows], sizes = _ranks_in(Groups(groups.codes[rows], groups.count), keys[rows], ties)
        return out, sizes
    return _ranks_in(groups, keys, ties)


def _sort_keys(x: Vector) -> Array:
    """Numbers ordered as the elements are, NULL first."""
    if x.symbols is None and x.kind == "f":
        return np.where(np.isnan(x.data), -np.inf, x.data)
    return x.data if x.symbols is None and x.kind == "i" else ranks(x)[0]


def _ranks_in(groups: Groups, keys: Array, ties: str) -> tuple[Array, Array]:
    sizes = groups.sizes
    ordered = groups.arrange(keys)
    sorter = _sorter(groups, ordered, stable=ties == "first")
    ordered = ordered[sorter]
    fresh = np.ones(len(sorter), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    fresh[groups.offsets[:-1][sizes > 0]] = True
    runs = np.flatnonzero(fresh)
    length = np.diff(runs, append=len(sorter))
    owner = np.searchsorted(groups.offsets, runs, side="right") - 1
    first = runs - groups.offsets[owner]
    if ties == "first":
        result = np.arange(len(sorter)) - np.repeat(groups.offsets[:-1], sizes)
    elif ties == "dense":
        sizes = np.bincount(owner, minlength=groups.count)
        result = np.repeat(np.arange(len(runs)) - (np.cumsum(sizes) - sizes)[owner], length)
    else:
        highest = first + length - 1
        of_run = {"min": first, "max": highest, "average": (first + highest) / 2}[ties]
        result = np.repeat(of_run, length)
    out = np.empty(len(sorter))
    out[sorter] = result
    return groups.restore(out), sizes


def _sorter(groups: Groups, ordered: Array, *, stable: bool) -> Array:
    """Places in group order, each group's by the values there."""
    if groups.count * ROWS_WORTH_A_SORT > groups.rows:
        return np.lexsort((ordered, np.repeat(np.arange(groups.count), groups.sizes)))
    sorter = np.empty(len(ordered), dtype=np.int64)
    for start, stop in pairwise(groups.offsets.tolist()):
        np.add(np.argsort(ordered[start:stop], stable=stable), start, out=sorter[start:stop])
    return sorter


def mutual_information(groups: Groups, x: Vector, y: Vector) -> Vector:
    valid = ~(x.nulls() | y.nulls())
    rows = np.flatnonzero(valid)
    inner = Groups(groups.codes[rows], groups.count)
    kept_x, kept_y = x.take(rows), y.take(rows)
    number = inner.sizes

    def entropy(columns: list[Vector]) -> Array:
        keys, _ = combined_codes(inner, columns)
        _, first, frequency = np.unique(keys, return_index=True, return_counts=True)
        owner = inner.codes[first]
        share = frequency / number[owner]
        return np.bincount(owner, weights=-share * np.log(share), minlength=groups.count)

    result = entropy([kept_x]) + entropy([kept_y]) - entropy([kept_x, kept_y])
    return doubles(np.maximum(result, 0.0), number == 0)
