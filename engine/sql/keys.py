"""Numbering the distinct values of columns, for grouping, joining and sorting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.errors import ScriptError
from engine.forms import form_name
from engine.grouping import BLOCK, SMALL_RANGE, Groups
from engine.types import Type
from engine.values import Array, Column, Vector

DENSE_RANGE = 4


def rank_codes(column: Column) -> tuple[Array, int]:
    """Codes 0 … n - 1 in the order of the values (NULL first), and n."""
    if not isinstance(column, Vector):
        raise ScriptError(f"{form_name(column).capitalize()} cannot be used as a key.")
    if column.type is Type.SYMBOL:
        return _symbol_codes(column)
    data = column.data
    if data.dtype.kind == "i":
        return _integer_codes(data)
    if data.dtype.kind == "c":
        data = np.array([None if value != value else (value.real, value.imag) for value in data.tolist()], dtype=object)
    if data.dtype.kind == "f":
        return _float_codes(data)
    return _object_codes(data, may_be_none=column.type is Type.DURATION or column.data.dtype.kind == "c")


def _integer_codes(data: Array) -> tuple[Array, int]:
    if not len(data):
        return np.zeros(0, dtype=np.int64), 0
    low, high = int(data.min()), int(data.max())
    null = int(np.iinfo(data.dtype).min)
    shift = 0
    if low == null and high > null:
        # A NULL would stretch the range: it gets code 0, the rest is counted from their own minimum.
        present = data[data != null]
        low, shift = int(present.min()), 1
    span = high - low + 1 + shift
    if span > DENSE_RANGE * len(data) + SMALL_RANGE:
        return _hashed_codes(data)
    offsets = data.astype(np.int64)
    offsets -= low - shift
    if shift:
        offsets[data == null] = 0
    return _compress(offsets, span)


def _compress(codes: Array, span: int) -> tuple[Array, int]:
    """Codes in 0 … span - 1 renumbered in place without gaps, keeping their order."""
    present = np.bincount(codes, minlength=span) > 0
    count = int(present.sum())
    if count == span:
        return codes, count
    table = np.cumsum(present) - 1
    for first in range(0, len(codes), max(BLOCK, span)):
        block = codes[first : first + max(BLOCK, span)]
        block[:] = table[block]
    return codes, count


def _hashed_codes(data: Array) -> tuple[Array, int]:
    import pandas as pd

    codes, uniques = pd.factorize(data, use_na_sentinel=False)
    order = np.argsort(uniques, kind="stable")
    ranks = np.empty(len(uniques), dtype=np.int64)
    ranks[order] = np.arange(len(uniques))
    return ranks[codes], len(uniques)


def _float_codes(data: Array) -> tuple[Array, int]:
    # NULL is the smallest value, NaN would come last: it gets code 0 and all others move up.
    missing = np.isnan(data)
    codes, count = _hashed_codes(np.where(missing, 0.0, data) + 0.0)
    if not missing.any():
        return codes, count
    codes = codes + 1
    codes[missing] = 0
    return _compress(codes, count + 1)


def _object_codes(data: Array, may_be_none: bool) -> tuple[Array, int]:
    import pandas as pd

    missing = np.zeros(len(data), dtype=bool)
    if may_be_none and len(data):
        missing = np.array([item is None for item in data.tolist()], dtype=bool)
    codes, uniques = pd.factorize(data)
    order = sorted(range(len(uniques)), key=uniques.__getitem__)
    ranks = np.empty(len(uniques) + 1, dtype=np.int64)
    shift = 1 if missing.any() else 0
    ranks[order] = np.arange(len(uniques)) + shift
    ranks[-1] = 0
    return ranks[codes], len(uniques) + shift


def _symbol_codes(column: Vector) -> tuple[Array, int]:
    assert column.symbols is not None
    strings = column.symbols.strings
    size = max(BLOCK, len(strings))
    seen = np.zeros(len(strings), dtype=bool)
    for first in range(0, len(column), size):
        seen[column.data[first : first + size]] = True
    ordered = sorted(np.flatnonzero(seen).tolist(), key=strings.__getitem__)
    ranks = np.zeros(len(strings), dtype=np.int64)
    ranks[ordered] = np.arange(len(ordered))
    codes = np.empty(len(column), dtype=np.int64)
    for first in range(0, len(codes), size):
        np.take(ranks, column.data[first : first + size], out=codes[first : first + size], mode="clip")
    return codes, len(ordered)


def combined_codes(columns: Sequence[Column]) -> tuple[Array, int]:
    """Codes of rows by several columns, in the order of the first, then the second …"""
    codes, count = rank_codes(columns[0])
    for column in columns[1:]:
        more, size = rank_codes(column)
        if len(more) != len(codes):
            raise ScriptError("The grouping columns must have the same length.")
        wide = codes
        wide *= size
        wide += more
        span = count * max(size, 1)
        codes, count = _hashed_codes(wide) if span > DENSE_RANGE * len(wide) + SMALL_RANGE else _compress(wide, span)
    return codes, count


def groups_of(columns: Sequence[Column]) -> Groups:
    """Groups in the sorted order of their keys."""
    return Groups(*combined_codes(columns))


def group_rows(columns: Sequence[Column]) -> tuple[Groups, Array]:
    """Groups in the sorted order of their keys, and the first row of every group."""
    codes, count = combined_codes(columns)
    return Groups(codes, count), first_rows(codes, count)


def first_rows(codes: Array, count: int) -> Array:
    """The first row of every code; blocks of rows are looked at until all codes were seen."""
    rows = len(codes)
    first = np.full(count, rows, dtype=np.int64)
    start, left = 0, count
    while left and start < rows:
        block = codes[start : start + max(BLOCK, count)]
        found = np.full(count, rows, dtype=np.int64)
        found[block[::-1]] = np.arange(start + len(block) - 1, start - 1, -1)
        np.minimum(first, found, out=first)
        start += len(block)
        left = int(np.count_nonzero(first == rows))
    first[first == rows] = 0
    return first
