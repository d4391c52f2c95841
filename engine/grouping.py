"""Rows divided into groups, as `group by` and `context by` need them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.values import Array


@dataclass(eq=False)
class Groups:
    """`codes[row]` is the group of a row, 0 … `count` - 1; groups are numbered in output order."""

    codes: Array
    count: int

    @property
    def rows(self) -> int:
        return len(self.codes)

    @cached_property
    def sizes(self) -> Array:
        """Rows per group."""
        return np.bincount(self.codes, minlength=self.count)

    @cached_property
    def contiguous(self) -> bool:
        """Whether the rows already lie group after group."""
        return self.count <= 1 or not bool((self.codes[1:] < self.codes[:-1]).any())

    @cached_property
    def order(self) -> Array:
        """Row numbers sorted by group, rows of a group in their original order."""
        return np.arange(self.rows) if self.contiguous else np.argsort(self.codes, kind="stable")

    @cached_property
    def offsets(self) -> Array:
        """Group g occupies `order[offsets[g]:offsets[g + 1]]`; `count` + 1 numbers."""
        return np.concatenate(([0], np.cumsum(self.sizes)))

    def restore(self, grouped: Array) -> Array:
        """Values given in `order` put back into the original order of rows."""
        if self.contiguous:
            return grouped
        out = np.empty_like(grouped)
        out[self.order] = grouped
        return out
