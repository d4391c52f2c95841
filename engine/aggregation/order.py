"""Order statistics of groups: percentiles, ranks, distinct elements, modes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.aggregation.basic import doubles, ints
from engine.aggregation.moments import Centered
from engine.aggregation.rows import codes_of, counts, first_rows, gather, numbers, ranks, sums
from engine.grouping import Groups
from engine.values import Array, Vector

MOST = 2**62
ROWS_WORTH_A_SORT = 32
"""Groups of so many rows are sorted one by one."""
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
        sizes = counts(groups, ~np.isnan(values))
        if groups.count * ROWS_WORTH_A_SORT > groups.rows:
            return cls(values[np.lexsort((values, groups.codes))], groups.offsets[:-1], sizes)
        ordered = values.copy() if groups.contiguous else groups.arrange(values)
        found = cls(ordered, groups.offsets[:-1], sizes)
        if q is None:
            for start, stop in pairwise(groups.offsets.tolist()):
                ordered[start:stop].sort()
            return found
        lower, upper, _ = found.places(q)
        for (start, stop), *needed in zip(pairwise(groups.offsets.tolist()), lower, upper, strict=True):
            if start < stop:
                ordered[start:stop].partition(needed)
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
    if not len(data):
        return data.astype(np.int64), 1
    low, high = int(data.min()), int(data.max())
    if high - low >= most:
        codes, distinct = pd.factorize(data)
        return codes, max(len(distinct), 1)
    return np.subtract(data, low, dtype=np.int64), high - low + 1


def distinct_count(groups: Groups, x: Vector, ignore_null: bool = False) -> Vector:
    """`nunique`."""
    if ignore_null:
        kept = np.flatnonzero(~x.nulls())
        groups, x = Groups(groups.codes[kept], groups.count), x.take(kept)
    keys, bound = combined_codes(groups, [x])
    if bound > SEEN_PER_ROW * groups.rows + SMALL_TABLE:
        return ints(counts(groups, distinct_rows(groups, [x])))
    seen = np.zeros(bound, dtype=bool)
    seen[keys] = True
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
    order, _ = ranks(x)
    ranked = ~x.nulls() if ignore_null else np.ones(groups.rows, dtype=bool)
    keys = order.astype(np.int64) if ascending else -order.astype(np.int64)
    rows = np.flatnonzero(ranked)
    sorter = rows[np.lexsort((keys[rows], groups.codes[rows]))]
    codes, sorted_keys = groups.codes[sorter], keys[sorter]
    sizes = np.bincount(codes, minlength=groups.count)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    position = np.arange(len(sorter)) - starts[codes]
    fresh = np.ones(len(sorter), dtype=bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (sorted_keys[1:] != sorted_keys[:-1])
    run = np.cumsum(fresh) - 1
    first = position[fresh]
    length = np.bincount(run, minlength=len(first)) if len(run) else np.zeros(0, dtype=np.int64)
    if ties == "first":
        result = position.astype(np.float64)
    elif ties == "dense":
        group_first = np.full(groups.count, np.iinfo(np.int64).max)
        np.minimum.at(group_first, codes, run)
        result = (run - group_first[codes]).astype(np.float64)
        sizes = np.bincount(codes[fresh], minlength=groups.count)
    elif ties == "max":
        result = (first + length - 1)[run].astype(np.float64)
    elif ties == "average":
        result = (first + (length - 1) / 2)[run]
    else:
        result = first[run].astype(np.float64)
    out = np.full(groups.rows, np.nan)
    out[sorter] = result
    return out, sizes


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
