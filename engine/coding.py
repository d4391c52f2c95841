"""Texts that recur as numbers: codes into their distinct texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

LONG = 1 << 13
"""Fewer texts are not worth numbering."""
SHARE = 4
"""At most one in so many texts may be a new one."""
SAMPLE = 1 << 14
BLOCK = 1 << 18
"""Bytes of texts numbered at a time."""
LONGEST = 64
"""Longer texts are not compared word by word."""


class Numbering:
    """Texts that are being numbered; whoever asks for them meanwhile takes them out of it."""

    __slots__ = ("texts",)

    def __init__(self, texts: Array) -> None:
        self.texts = texts


def factorized(texts: Array) -> tuple[Array, list[str]] | None:
    """Codes and the distinct texts in order of appearance; None if there are few texts or they hardly recur."""
    sample = texts[:: _step(len(texts))].tolist() if len(texts) >= LONG else []
    if not sample or _varied(len(set(sample)), len(sample)):
        return None
    import pandas as pd

    codes, distinct = pd.factorize(texts)
    if len(distinct) * SHARE > len(texts) or codes.min() < 0:
        return None
    return codes.astype(np.int32), distinct.tolist()


def split(data: bytes | bytearray, count: int) -> tuple[Array, list[str]] | None:
    """The same of `count` texts in UTF-8 with a NUL between them; different bytes may mean equal texts."""
    if count < LONG:
        return None
    codes = np.empty(count, dtype=np.int32)
    firsts: list[Array] = []
    lengths: list[Array] = []
    row = position = known = 0
    while row < count:
        stop = data.find(b"\0", position + BLOCK)
        block = bytes(data[position : stop if stop >= 0 else len(data)])
        ends = np.append(np.flatnonzero(np.frombuffer(block, np.uint8) == 0), len(block))
        starts = np.concatenate(([0], ends[:-1] + 1))
        sizes = ends - starts
        if sizes.max() > LONGEST:
            return None
        places, first = _numbered(block, starts, sizes)
        if _varied(len(first), len(places)):
            return None
        codes[row : row + len(places)] = places + known
        firsts.append(starts[first] + position)
        lengths.append(sizes[first])
        row, position, known = row + len(places), position + len(block) + 1, known + len(first)
    starts, sizes = np.concatenate(firsts), np.concatenate(lengths)
    numbers, first = _numbered(data, starts, sizes)
    if len(first) * SHARE > count:
        return None
    numbers = numbers.astype(np.int32)
    for row in range(0, count, BLOCK):
        codes[row : row + BLOCK] = numbers.take(codes[row : row + BLOCK])
    found = zip(starts[first].tolist(), sizes[first].tolist(), strict=True)
    return codes, [data[start : start + size].decode("utf-8", "replace") for start, size in found]


def _step(rows: int) -> int:
    return max(rows // max(SAMPLE, rows // 64), 1)


def _varied(distinct: int, rows: int) -> bool:
    """Whether a sample is more varied than that of texts of which one in `SHARE` is new could be."""
    return distinct * SHARE > rows * (SHARE - 1)


def _numbered(data: bytes | bytearray, starts: Array, sizes: Array) -> tuple[Array, Array]:
    """Equal texts get equal codes; also the first row of each code. Compares eight bytes at a time."""
    import pandas as pd

    padded = bytes(data) + bytes(LONGEST)
    # A view of the eight bytes that begin at every byte.
    words = np.ndarray(shape=(len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    masks = np.array([(1 << 8 * used) - 1 for used in range(9)], dtype=np.uint64)
    codes, count = np.zeros(len(starts), dtype=np.int64), 1
    for offset in range(0, max(int(sizes.max()), 1), 8):
        word = words[np.minimum(starts + offset, len(words) - 1)] & masks[np.clip(sizes - offset, 0, 8)]
        part, different = pd.factorize(word)
        if count > 1:
            part, different = pd.factorize(codes * len(different) + part)
        codes, count = part, len(different)
    first = np.empty(count, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return codes, first


def objects(items: Iterable[Any]) -> Array:
    listed = list(items)
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out
