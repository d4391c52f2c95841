"""Matching the rows of two tables: which row on the left goes with which on the right.

All functions work on key columns and return row numbers; -1 stands for no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from engine import parallel
from engine.cast import cast_vector, common_type
from engine.errors import ScriptError
from engine.forms import concat, form_name
from engine.grouping import Groups, scattered, stable_order
from engine.parallel import spans
from engine.sql.keys import combined_codes, rank_codes
from engine.types import LITERAL, Type
from engine.values import NULL, AnyVector, Array, ArrayVector, Column, Vector, nulls, take

SEARCHES = 1 << 10
"""Values looked for together."""


def common_codes(left: Sequence[Column], right: Sequence[Column]) -> tuple[Array, Array, int]:
    """Codes of the rows on both sides, equal exactly where all key columns are, and how many there are."""
    if len(left) == 1 and isinstance(left[0], Vector) and isinstance(right[0], Vector):
        both = left[0].coded(), right[0].coded()
        shared = None if both[0] is None or both[1] is None else _common_symbols(both[0], both[1])
        if shared is not None:
            return shared
    merged = [_together(a, b) for a, b in zip(left, right, strict=True)]
    codes, count = combined_codes(merged)
    rows = len(left[0])
    return codes[:rows], codes[rows:], count


def _common_symbols(left: Vector, right: Vector) -> tuple[Array, Array, int] | None:
    """The codes of two SYMBOL columns: the symbols of both are ranked, not the rows."""
    if left.symbols is None or right.symbols is None:
        return None
    distinct = sorted({*left.symbols.strings, *right.symbols.strings})
    ranks = dict(zip(distinct, range(len(distinct)), strict=True))
    if len(ranks) > len(left) + len(right):
        return None
    codes = []
    for column, base in ((left, left.symbols), (right, right.symbols)):
        table = np.array([ranks[text] for text in base.strings], dtype=np.int64)
        codes.append(np.take(table, column.data))
    return codes[0], codes[1], len(ranks)


def _together(left: Column, right: Column) -> Vector:
    """Both sides of a key in one column of their common type."""
    if not isinstance(left, Vector) or not isinstance(right, Vector):
        odd = left if not isinstance(left, Vector) else right
        raise ScriptError(f"A join column must be a vector, not {form_name(odd)}.")
    if left.type is not right.type and not {left.type, right.type} <= set(LITERAL):
        type_ = common_type(left.type, right.type)
        if type_ in (Type.ANY, Type.VOID):
            raise ScriptError(f"The join columns have different types: {left.type.name} and {right.type.name}.")
        scale = max(left.scale, right.scale)
        left, right = cast_vector(left, type_, scale), cast_vector(right, type_, scale)
    merged = concat([left, right], Type.SYMBOL if Type.SYMBOL in (left.type, right.type) else None)
    assert isinstance(merged, Vector)
    return merged


def equal_pairs(left: Array, right: Array, count: int, keep_left: bool = False) -> tuple[Array | None, Array]:
    """All pairs of rows with the same code, by the left rows in order, then the right ones.

    `keep_left` also gives left rows without partner, paired with -1. No left rows: all of them, each once.
    """
    sizes = np.bincount(right, minlength=count)
    if len(right) and sizes.max() <= 1:
        return _unique_pairs(left, right, count, keep_left)
    order = stable_order(right, max(count, 1))
    starts = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    matches = sizes[left]
    repeats = np.maximum(matches, 1) if keep_left else matches
    left_rows = np.repeat(np.arange(len(left)), repeats)
    begin = np.cumsum(repeats) - repeats
    within = np.arange(len(left_rows)) - begin[left_rows]
    right_rows = np.full(len(left_rows), -1, dtype=np.int64)
    matched = matches[left_rows] > 0
    right_rows[matched] = order[starts[left[left_rows[matched]]] + within[matched]]
    return left_rows, right_rows


def _unique_pairs(left: Array, right: Array, count: int, keep_left: bool) -> tuple[Array | None, Array]:
    row_of_code = np.full(count, -1, dtype=np.int64)
    row_of_code[right] = np.arange(len(right))
    right_rows = row_of_code[left]
    if keep_left or bool((right_rows >= 0).all()):
        return None, right_rows
    matched = np.flatnonzero(right_rows >= 0)
    return matched, right_rows[matched]


def first_match(left: Array, right: Array, count: int) -> Array:
    """For every left row the first right row with the same code."""
    row_of_code = np.full(count, -1, dtype=np.int64)
    row_of_code[right[::-1]] = np.arange(len(right) - 1, -1, -1)
    return row_of_code[left]


def unmatched(right_rows: Array, rows: int) -> Array:
    """The right rows that no pair contains."""
    seen = np.zeros(rows, dtype=bool)
    seen[right_rows[right_rows >= 0]] = True
    return np.flatnonzero(~seen)


class TimeIndex:
    """The right rows sorted by key code, then time, to be searched by windows of time."""

    def __init__(self, codes: Array, times: Array, code_count: int) -> None:
        self._distinct: Array | None = None
        low, high = (int(times.min()), int(times.max())) if len(times) else (0, 0)
        if (high - low + 3) * max(code_count, 1) > 2**62:
            self._distinct = np.unique(times)
            low, high = 0, 2 * len(self._distinct)
        self._low, self._high = low, high
        # One spare value on each side, so that clipped bounds stay inside their code.
        self.span = high - low + 3
        combined = self.position(codes, times)
        self.order: Array | None = None
        self._code_count = max(code_count, 1)
        if len(combined) > 1 and not bool((combined[1:] >= combined[:-1]).all()):
            groups = _by_code(codes, times, self._code_count)
            self.order = np.argsort(combined, kind="stable") if groups is None else groups.order
            combined = combined[self.order] if groups is None else groups.arrange(combined)
        self.combined = combined

    def position(self, codes: Array, times: Array) -> Array:
        if self._distinct is not None:
            # Odd numbers are the times there are, even ones the gaps between them.
            index = np.searchsorted(self._distinct, times, side="left")
            present = self._distinct[np.minimum(index, len(self._distinct) - 1)] == times
            times = 2 * index + present
        out = np.empty(len(times), dtype=np.int64)

        def locate(rows: slice) -> None:
            place = codes[rows] * self.span
            place += np.clip(times[rows].astype(np.int64, copy=False), self._low - 1, self._high + 1)
            place -= self._low - 1
            out[rows] = place

        parallel.each(locate, spans(len(out)), len(out))
        return out

    def places(self, codes: Array, times: Array) -> Array:
        """Where each search comes when they are sorted by code, then time."""
        groups = _by_code(codes, times, self._code_count)
        if groups is not None:
            return groups.places
        places = np.empty(len(codes), dtype=np.int64)
        places[np.argsort(self.position(codes, times), kind="stable")] = np.arange(len(codes))
        return places

    def before(self, codes: Array, times: Array, inclusive: bool, places: Array) -> Array:
        """How many sorted rows lie before each time (or at it, when inclusive) within its code or below.

        The answers are in the order of `places`, in which the times ascend within each code.
        """
        return search(self.combined, scattered(self.position(codes, times), places), inclusive)

    def start_of(self, codes: Array) -> Array:
        """The first sorted row of each code."""
        return np.searchsorted(self.combined, np.arange(self._code_count) * self.span, side="left")[codes]


def _by_code(codes: Array, times: Array, count: int) -> Groups | None:
    """The rows of each code as groups, if that sorts them by code and time."""
    return None if bool((times[1:] < times[:-1]).any()) else Groups(codes, count)


def search(sorted_values: Array, sorted_wanted: Array, inclusive: bool) -> Array:
    """`searchsorted` where both sides ascend: neighbours are looked for in the part that a few of them span."""
    found = np.empty(len(sorted_wanted), dtype=np.int64)
    side: Literal["left", "right"] = "right" if inclusive else "left"
    low = 0
    for first in range(0, len(found), SEARCHES):
        wanted = sorted_wanted[first : first + SEARCHES]
        high = low + int(np.searchsorted(sorted_values[low:], wanted[-1], side="right"))
        part = np.searchsorted(sorted_values[low:high], wanted, side=side)
        part += low
        found[first : first + SEARCHES] = part
        low = int(part[-1])
    return found


def last_before(left_codes: Array, left_times: Array, right_codes: Array, right_times: Array) -> Array:
    """For every left row the last right row of the same code whose time is not later."""
    import pandas as pd

    left_order, right_order = _time_order(left_times), _time_order(right_times)
    left = pd.DataFrame(
        {"time": _ordered(left_times, left_order), "code": _ordered(left_codes, left_order)}, copy=False
    )
    right = pd.DataFrame(
        {
            "time": _ordered(right_times, right_order),
            "code": _ordered(right_codes, right_order),
            "row": np.arange(len(right_times)) if right_order is None else right_order,
        },
        copy=False,
    )
    found = pd.merge_asof(left, right, on="time", by="code")["row"].to_numpy()
    missing = np.isnan(found)
    with np.errstate(invalid="ignore"):
        rows = found.astype(np.int64)
    rows[missing] = -1
    return rows if left_order is None else scattered(rows, left_order)


def _time_order(times: Array) -> Array | None:
    """The stable order of times; None if they are in order already."""
    if len(times) < 2 or bool((times[1:] >= times[:-1]).all()):
        return None
    return np.argsort(times, kind="stable")


def _ordered(values: Array, order: Array | None) -> Array:
    values = values.astype(np.int64, copy=False)
    return values if order is None else values[order]


def take_or_null(column: Column, rows: Array) -> Column:
    """The elements at `rows`, NULL where the row is -1."""
    missing = rows < 0
    if not missing.any():
        return take(column, rows)
    if isinstance(column, Vector):
        if not len(column):
            blank = nulls(column.type, len(rows), column.scale)
            return blank if column.symbols is None else Vector(column.type, blank.data, column.symbols)
        taken = column.take(np.maximum(rows, 0))
        codes = taken.held_codes()
        target = taken if codes is None else codes
        target.data[missing] = nulls(target.type, 1, target.scale).data[0]
        return taken
    if isinstance(column, ArrayVector):
        sizes = np.diff(column.offsets)
        padded = ArrayVector(
            Vector(column.flat.type, column.flat.data, column.flat.symbols, column.flat.scale),
            np.concatenate((column.offsets, column.offsets[-1:])),
        )
        return padded.take(np.where(missing, len(sizes), rows))
    return AnyVector([NULL if row < 0 else column.items[row] for row in rows.tolist()])


def comparable(left: Column, right: Column) -> tuple[Array, Array]:
    """The last join columns of an asof or window join as integers on one scale."""
    if not isinstance(left, Vector) or not isinstance(right, Vector):
        raise ScriptError("The last join column must be a vector.")
    if left.type is right.type and left.kind == "i" and left.type is not Type.SYMBOL:
        return left.data, right.data
    merged = _together(left, right)
    numbers = rank_codes(merged)[0] if merged.kind != "i" or merged.type is Type.SYMBOL else merged.data
    return numbers[: len(left)], numbers[len(left) :]
