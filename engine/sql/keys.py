"""Numbering the distinct values of columns, for grouping, joining and sorting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine import parallel
from engine.aggregation import rows as aggregation_rows
from engine.errors import ScriptError
from engine.forms import form_name
from engine.grouping import SMALL_RANGE, Groups
from engine.parallel import BLOCK, spans
from engine.types import Type
from engine.values import Array, Column, Vector

DENSE_RANGE = 4


def rank_codes(column: Column) -> tuple[Array, int]:
    """Codes 0 … n - 1 in the order of the values (NULL first), and n."""
    if not isinstance(column, Vector):
        raise ScriptError(f"{form_name(column).capitalize()} cannot be used as a key.")
    coded = column.coded()
    if coded is not None:
        return _symbol_codes(coded)
    data = column.data
    if data.dtype.kind == "i":
        return _integer_codes(data)
    if data.dtype.kind == "c":
        real, imaginary = _float_codes(data.real), _float_codes(data.imag)
        return _compress(_widened(real[0], imaginary[1], imaginary[0]), real[1] * imaginary[1])
    if data.dtype.kind == "f":
        return _float_codes(data)
    return _object_codes(data, may_be_none=column.type is Type.DURATION)


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
        return _run_codes(data) if is_ascending(data) else _hashed_codes(data)
    offsets = np.empty(len(data), dtype=np.int64)

    def count_from_low(rows: slice) -> None:
        block = offsets[rows]
        block[:] = data[rows]
        block -= low - shift
        if shift:
            block[data[rows] == null] = 0

    parallel.each(count_from_low, spans(len(data)), len(data))
    return _compress(offsets, span)


def _compress(codes: Array, span: int) -> tuple[Array, int]:
    """Codes in 0 … span - 1 renumbered in place without gaps, keeping their order."""
    present = np.zeros(span, dtype=bool)
    parts = spans(len(codes), max(BLOCK, span))

    def look(rows: slice) -> None:
        if not present.all():
            present[codes[rows]] = True

    parallel.each(look, parts, len(codes))
    count = int(present.sum())
    if count == span:
        return codes, count
    table = np.cumsum(present) - 1

    def renumber(rows: slice) -> None:
        block = codes[rows]
        block[:] = table[block]

    parallel.each(renumber, parts, len(codes))
    return codes, count


def _run_codes(data: Array) -> tuple[Array, int]:
    """Codes of values that ascend already: they change where the value does."""
    codes = np.zeros(len(data), dtype=np.int64)
    np.cumsum(data[1:] != data[:-1], out=codes[1:])
    return codes, int(codes[-1]) + 1


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
    parts = spans(len(column), max(BLOCK, len(strings)))
    seen = np.zeros(len(strings), dtype=bool)

    def look(rows: slice) -> None:
        block = column.data[rows]
        if not seen[1:].all():
            seen[block] = True
        elif block.min(initial=1) == 0:
            seen[0] = True

    parallel.each(look, parts, len(column))
    ordered = sorted(np.flatnonzero(seen).tolist(), key=strings.__getitem__)
    ranks = np.zeros(len(strings), dtype=np.int64)
    ranks[ordered] = np.arange(len(ordered))
    return _looked_up(ranks, column.data, parts), len(ordered)


def _looked_up(table: Array, codes: Array, parts: Sequence[slice]) -> Array:
    """`table[codes]`, some rows at a time."""
    out = np.empty(len(codes), dtype=np.int64)

    def look_up(rows: slice) -> None:
        np.take(table, codes[rows], out=out[rows], mode="clip")

    parallel.each(look_up, parts, len(codes))
    return out


def combined_codes(columns: Sequence[Column]) -> tuple[Array, int]:
    """Codes of rows by several columns, in the order of the first, then the second …"""
    codes, count = rank_codes(columns[0])
    for column in columns[1:]:
        more, size = rank_codes(column)
        if len(more) != len(codes):
            raise ScriptError("The grouping columns must have the same length.")
        wide = _widened(codes, size, more)
        span = count * max(size, 1)
        codes, count = _hashed_codes(wide) if span > DENSE_RANGE * len(wide) + SMALL_RANGE else _compress(wide, span)
    return codes, count


def _widened(codes: Array, size: int, more: Array) -> Array:
    """`codes * size + more`, in place."""

    def widen(rows: slice) -> None:
        block = codes[rows]
        block *= size
        block += more[rows]

    parallel.each(widen, spans(len(codes)), len(codes))
    return codes


def groups_of(columns: Sequence[Column]) -> Groups:
    """Groups in the sorted order of their keys."""
    return Groups(*combined_codes(columns))


def group_rows(columns: Sequence[Column]) -> tuple[Groups, Array]:
    """Groups in the sorted order of their keys, and the first row of every group."""
    codes, count = combined_codes(columns)
    return Groups(codes, count), first_rows(codes, count)


def first_rows(codes: Array, count: int) -> Array:
    """The first row of every code; 0 for one that no row has."""
    return np.maximum(aggregation_rows.first_rows(Groups(codes, count)), 0)


def is_ascending(data: Array) -> bool:
    """Whether no number is followed by a smaller one."""
    head = data[:BLOCK]
    return bool((head[1:] >= head[:-1]).all() and (data[1:] >= data[:-1]).all())
