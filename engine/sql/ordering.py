"""Sorting, `top` and `limit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import ScriptError
from engine.forms import tuple_to_vector
from engine.grouping import Groups, stable_order
from engine.parallel import BLOCK
from engine.sql.keys import combined_codes, first_rows, is_ascending, rank_codes
from engine.types import LITERAL, Type
from engine.values import AnyVector, Array, Column, Scalar, Value, Vector

LARGE = 1 << 15


@dataclass(frozen=True, slots=True)
class SortKey:
    column: Column
    descending: bool = False
    nulls_first: bool | None = None


def sort_order(keys: Sequence[SortKey], first: int | None = None) -> Array:
    """Row numbers in order of the keys, equal rows in their order. `first`: only that many are needed."""
    if len(keys) == 1:
        quick = _order_of_one(keys[0], first)
        if quick is not None:
            return quick
    rows = len(keys[0].column)
    if first is not None and first < rows // 8 and rows > LARGE:
        return _order_of_first(keys, first)
    result: Array | None = None
    for key in reversed(keys):
        if result is None and is_sorted(key):
            continue
        codes, span = _codes_of(key)
        if result is not None:
            result = result[stable_order(codes[result], max(span, 1))]
        elif bool((codes[1:] < codes[:-1]).any()):
            result = stable_order(codes, max(span, 1))
    return np.arange(rows) if result is None else result


def _order_of_one(key: SortKey, first: int | None) -> Array | None:
    """A single integer or time column without special wishes about NULL: sort the storage itself."""
    column = key.column
    if not isinstance(column, Vector) or column.type is Type.SYMBOL or column.kind != "i":
        return None
    if key.nulls_first is not None or key.descending or (first is not None and first < len(column) // 8):
        return None
    if is_sorted(key):
        return np.arange(len(column))
    return np.argsort(column.data, kind="stable")


def is_sorted(key: SortKey) -> bool:
    """Whether the rows are in ascending order of a column of whole numbers or times already."""
    column = key.column
    if not isinstance(column, Vector) or column.type is Type.SYMBOL or column.kind != "i":
        return False
    if key.descending or key.nulls_first is not None:
        return False
    return is_ascending(column.data)


def _codes_of(key: SortKey) -> tuple[Array, int]:
    codes, count = rank_codes(key.column)
    if key.descending:
        codes = count - 1 - codes
    if key.nulls_first is not None and isinstance(key.column, Vector):
        missing = key.column.nulls()
        codes = np.where(missing, -1 if key.nulls_first else count, codes) + 1
        count += 2
    return codes, count


def _order_of_first(keys: Sequence[SortKey], first: int) -> Array:
    """Only rows whose first key is among the `first` smallest can come out on top."""
    candidates = _smallest(keys[0], first) if first > 0 else np.zeros(0, dtype=np.int64)
    reduced = [
        SortKey(
            key.column.take(candidates) if not isinstance(key.column, AnyVector) else key.column,
            key.descending,
            key.nulls_first,
        )
        for key in keys
    ]
    if any(isinstance(key.column, AnyVector) for key in keys):
        raise ScriptError("A tuple cannot be used in order by.")
    return candidates[sort_order(reduced)] if len(candidates) else candidates


def _smallest(key: SortKey, count: int) -> Array:
    """The rows whose key is not greater than the `count`-th smallest, in their order."""
    values = sortable(key)
    size = max(BLOCK, 2 * count)
    found, least = np.zeros(0, dtype=np.int64), values(slice(0, 0))
    for start in range(0, len(key.column), size):
        part = values(slice(start, start + size))
        rows = np.flatnonzero(part <= least.max()) if len(least) >= count else np.arange(len(part))
        if not len(rows):
            continue
        found, least = np.concatenate((found, rows + start)), np.concatenate((least, part[rows]))
        if len(least) > count:
            kept = least <= np.partition(least, count - 1)[count - 1]
            found, least = found[kept], least[kept]
    return found


def sortable(key: SortKey) -> Callable[[slice], Array]:
    """Numbers in the order of the key, by rows; cheaper than ranks where the storage is in order already."""
    column = key.column
    if isinstance(column, Vector) and column.type not in LITERAL and key.nulls_first is None:
        data = column.data
        if data.dtype.kind == "f":
            sign = -1.0 if key.descending else 1.0
            return lambda rows: sign * np.where(np.isnan(data[rows]), -np.inf, data[rows])
        if data.dtype.kind == "i":
            return lambda rows: ~data[rows] if key.descending else data[rows]
    codes = _codes_of(key)[0]
    return lambda rows: codes[rows]


@dataclass(frozen=True, slots=True)
class Limit:
    """`count` rows from `offset`; a negative count takes them from the end."""

    offset: int
    count: int

    def rows(self, total: int) -> slice:
        if self.count < 0:
            return slice(max(total + self.count, 0), total)
        return slice(min(self.offset, total), min(self.offset + self.count, total))

    @property
    def last_needed(self) -> int | None:
        return self.offset + self.count if self.count >= 0 else None

    def sizes(self, sizes: Array) -> Array:
        """How many rows are kept of groups of these sizes."""
        if self.count < 0:
            return np.asarray(np.minimum(sizes, -self.count))
        return np.asarray(np.clip(sizes - self.offset, 0, self.count))

    def within_groups(self, groups: Groups) -> Array:
        """Positions in group order of the rows each group keeps."""
        sizes = groups.sizes
        starts = groups.offsets[:-1]
        within = np.arange(groups.rows) - np.repeat(starts, sizes)
        if self.count < 0:
            return np.flatnonzero(within >= np.repeat(sizes, sizes) + self.count)
        return np.flatnonzero((within >= self.offset) & (within < self.offset + self.count))


def limit_of(top: Value | None, limit: Value | None) -> Limit | None:
    """The meaning of `top n`, `top a:b`, `limit n` and `limit offset, count`."""
    if top is not None and limit is not None:
        raise ScriptError("top and limit cannot be used in the same query.")
    if top is not None:
        numbers = _integers(top, "top")
        if any(number < 0 for number in numbers):
            raise ScriptError("The top clause requires non-negative integers.")
        if len(numbers) == 2:
            return Limit(numbers[0], max(numbers[1] - numbers[0], 0))
        return Limit(0, numbers[0])
    if limit is not None:
        numbers = _integers(limit, "limit")
        return Limit(numbers[0], numbers[1]) if len(numbers) == 2 else Limit(0, numbers[0])
    return None


def _integers(value: Value, clause: str) -> list[int]:
    if isinstance(value, AnyVector):
        value = tuple_to_vector(value.items)
    if isinstance(value, Scalar):
        raw = [value.value]
    elif isinstance(value, Vector) and 1 <= len(value) <= 2:
        raw = [value.scalar(index).value for index in range(len(value))]
    else:
        raw = []
    if not raw or any(not isinstance(number, int) or isinstance(number, bool) for number in raw):
        raise ScriptError(f"The {clause} clause requires an integer or a pair of integers.")
    return [number for number in raw if isinstance(number, int)]


def distinct_rows(columns: Sequence[Column]) -> Array:
    """The first row of every distinct combination, in order of appearance."""
    return np.sort(first_rows(*combined_codes(columns)))
