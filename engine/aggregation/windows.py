"""Windows over ordered rows, and any aggregate evaluated in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.aggregation.rows import Kernel
from engine.errors import CallError
from engine.grouping import Groups
from engine.values import Array, Vector

CHUNK = 1 << 21


@dataclass(eq=False)
class Windows:
    """Window i holds the rows `start[i]` … `stop[i]` - 1; both never decrease."""

    start: Array
    stop: Array

    def __len__(self) -> int:
        return len(self.start)

    @cached_property
    def sizes(self) -> Array:
        return np.asarray(np.maximum(self.stop - self.start, 0))

    def only(self, chosen: Array) -> Windows:
        return Windows(self.start[chosen], self.stop[chosen])

    def expand(self) -> tuple[Array, Groups]:
        """The rows of all windows one after another, and which window each belongs to."""
        sizes = self.sizes
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        codes = np.repeat(np.arange(len(self)), sizes)
        rows = np.arange(total) - np.repeat(ends - sizes, sizes) + np.repeat(self.start, sizes)
        return rows, Groups(codes, len(self))

    def counts(self, chosen: Array) -> Array:
        """How many chosen rows each window has."""
        if chosen.all():
            return self.sizes
        running = np.concatenate(([0], np.cumsum(chosen)))
        return np.asarray(running[np.maximum(self.stop, self.start)] - running[self.start])


def starts_of(groups: Groups) -> Array:
    """For each row in group order, where its group starts."""
    return np.repeat(groups.offsets[:-1], groups.sizes)


def count_windows(groups: Groups, length: int) -> Windows:
    """The last `length` rows up to each row, within its group (rows in group order)."""
    rows = np.arange(groups.rows)
    return Windows(np.maximum(starts_of(groups), rows - length + 1), rows + 1)


def cumulative_windows(groups: Groups) -> Windows:
    return Windows(starts_of(groups), np.arange(1, groups.rows + 1))


def range_windows(groups: Groups, time: Array, lower: Array) -> Windows:
    """For each row those at or before it whose time is greater than `lower`; `time` ascends in each group."""
    rows = np.arange(groups.rows)
    starts = starts_of(groups)
    if groups.rows and not _ascending(groups, time):
        raise CallError("The time vector must be in ascending order.")
    if groups.count <= 1:
        return Windows(np.searchsorted(time, lower, side="right"), rows + 1)
    begin = np.empty(groups.rows, dtype=np.int64)
    for first, last in zip(groups.offsets[:-1], groups.offsets[1:], strict=True):
        begin[first:last] = first + np.searchsorted(time[first:last], lower[first:last], side="right")
    return Windows(np.maximum(begin, starts), rows + 1)


def _ascending(groups: Groups, time: Array) -> bool:
    decreasing = time[1:] < time[:-1]
    codes = groups.codes[groups.order] if groups.count > 1 else groups.codes
    return not bool(np.any(decreasing & (codes[1:] == codes[:-1])))


def windowed(kernel: Kernel, windows: Windows, *columns: Vector) -> Vector:
    """`kernel` in every window; the work is the sum of the sizes of the windows, in bounded memory."""
    ends = np.cumsum(windows.sizes)
    parts: list[Vector] = []
    first = 0
    while first < len(windows) or not parts:
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
        part = Windows(windows.start[first:last], windows.stop[first:last])
        rows, groups = part.expand()
        parts.append(kernel(groups, *(column.take(rows) for column in columns)))
        first = last
    if len(parts) == 1:
        return parts[0]
    return parts[0].with_data(np.concatenate([part.data for part in parts]))
