"""Rows divided into groups, as `group by` and `context by` need them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from engine import parallel
from engine.parallel import BLOCK, spans
from engine.values import Array

SMALL_RANGE = 1 << 16
FEW_GROUPS = 1 << 14
RUNS = 8
"""Parts of a counting sort, each with tallies of its own."""


class Groups:
    """`codes[row]` is the group of a row, 0 … `count` - 1; groups are numbered in output order."""

    def __init__(self, codes: Array, count: int) -> None:
        self._codes: Array | None = codes
        self.count = count

    @property
    def codes(self) -> Array:
        assert self._codes is not None
        return self._codes

    @property
    def rows(self) -> int:
        return len(self.codes)

    @cached_property
    def sizes(self) -> Array:
        """Rows per group."""
        return np.asarray(self._tallies.sum(axis=0))

    @cached_property
    def _runs(self) -> list[slice]:
        """The rows in a few parts that can be counted and placed each on its own."""
        return spans(self.rows, max(BLOCK, -(-self.rows // RUNS), 4 * self.count))

    @cached_property
    def _tallies(self) -> Array:
        """Rows per group in each run."""
        return np.array(
            parallel.each(lambda rows: np.bincount(self.codes[rows], minlength=self.count), self._runs, self.rows)
        )

    @cached_property
    def contiguous(self) -> bool:
        """Whether the rows already lie group after group."""
        if self.count <= 1:
            return True
        first = self.codes[:BLOCK]
        return not bool((first[1:] < first[:-1]).any()) and not bool((self.codes[1:] < self.codes[:-1]).any())

    @cached_property
    def offsets(self) -> Array:
        """Group g occupies the rows `offsets[g]:offsets[g + 1]` in group order; `count` + 1 numbers."""
        return np.concatenate(([0], np.cumsum(self.sizes)))

    @cached_property
    def places(self) -> Array:
        """Where each row comes in group order, the rows of a group in their original order."""
        if self.contiguous:
            return np.arange(self.rows)
        if self.count <= FEW_GROUPS:
            return self._counted_places()
        places = np.empty(self.rows, dtype=np.int64)
        places[stable_order(self.codes, self.count)] = np.arange(self.rows)
        return places

    def _counted_places(self) -> Array:
        """Counting sort: blocks are sorted in the processor's cache, places follow from the tallies of the groups."""
        before = np.cumsum(self._tallies, axis=0) - self._tallies + self.offsets[:-1]
        places = np.empty(self.rows, dtype=np.int64)
        numbers = np.arange(BLOCK)
        narrow = np.uint8 if self.count <= 1 << 8 else np.uint16

        def place(run: int) -> None:
            following, rank = before[run], np.empty(BLOCK, dtype=np.int64)
            rows = self._runs[run]
            for first in range(rows.start, rows.stop, BLOCK):
                block = self.codes[first : min(first + BLOCK, rows.stop)]
                rank[np.argsort(block.astype(narrow), kind="stable")] = numbers[: len(block)]
                within = np.bincount(block, minlength=self.count)
                found = (following - (np.cumsum(within) - within))[block]
                found += rank[: len(block)]
                places[first : first + len(block)] = found
                following += within

        parallel.each(place, range(len(self._runs)), self.rows)
        return places

    @cached_property
    def order(self) -> Array:
        """Row numbers in group order."""
        return np.arange(self.rows) if self.contiguous else self.arrange(np.arange(self.rows))

    def arrange(self, data: Array) -> Array:
        """Values of rows brought into group order."""
        return data if self.contiguous else scattered(data, self.places)

    def restore(self, grouped: Array) -> Array:
        """Values given in group order put back into the original order of rows."""
        return grouped if self.contiguous else parallel.taken(grouped, self.places)


class ContiguousGroups(Groups):
    """Groups of the given sizes whose rows lie one group after the other."""

    def __init__(self, sizes: Array) -> None:
        self._codes = None
        self.count = len(sizes)
        self._sizes = np.asarray(sizes)
        self._rows = int(self._sizes.sum())

    @property
    def codes(self) -> Array:
        if self._codes is None:
            self._codes = np.repeat(np.arange(self.count), self._sizes)
        return self._codes

    @property
    def rows(self) -> int:
        return self._rows

    @cached_property
    def sizes(self) -> Array:
        return self._sizes

    @cached_property
    def contiguous(self) -> bool:
        return True

    def batches(self, rows: int) -> Iterator[tuple[int, int]]:
        """Runs of whole groups of about so many rows, as the first group and the one after the last."""
        first = 0
        while first < self.count:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + rows, side="right")) - 1
            last = min(max(last, first + 1), self.count)
            yield first, last
            first = last


def scattered(data: Array, places: Array) -> Array:
    """`data[row]` at `places[row]`: where places rise slowly, far faster than fetching by the inverse."""
    out = np.empty_like(data)

    def put(rows: slice) -> None:
        out[places[rows]] = data[rows]

    parallel.each(put, spans(len(data)), len(data))
    return out


def stable_order(codes: Array, count: int) -> Array:
    """Row numbers sorted by codes in 0 … count - 1, equal ones in their order (radix by 16 bits)."""
    if count <= SMALL_RANGE:
        if count <= FEW_GROUPS and len(codes) > BLOCK:
            return Groups(codes, count).order
        return np.argsort(codes.astype(np.uint16), kind="stable")
    order = np.argsort((codes & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while count >> shift:
        high = ((codes >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
        shift += 16
    return order
