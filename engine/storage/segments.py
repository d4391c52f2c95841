"""Segment files: the columns of some rows, each in one contiguous block.

A file is an 8-byte length, a JSON header `{rows, columns: {id: [[offset, bytes], ...]}}` and the blocks. Fixed-width
columns are one block; texts have row offsets and then NUL-terminated texts, those that recur 4-byte codes of the rows
and then the distinct texts in the same way; array vectors have row offsets and then the blocks of their elements.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import ScriptError
from engine.storage.files import removed_on_failure
from engine.types import DTYPES, ZERO16, Type, null
from engine.values import Array

_ALIGNMENT = 64
_SIXTEEN = (Type.UUID, Type.IPADDR, Type.INT128)


def column_blocks(type_: Type, data: Array, offsets: Array | None = None) -> list[bytes | memoryview]:
    """The blocks of a column; `offsets` are those of an array vector."""
    if offsets is not None:
        return [_raw(offsets.astype("<i8")), *column_blocks(type_, data)]
    if type_ is Type.STRING:
        return _texts(_encoded(data.tolist()), b"\0")
    if type_ is Type.BLOB:
        return _texts(data.tolist(), b"")
    if type_ in _SIXTEEN:
        return [b"".join(item or ZERO16 for item in data.tolist())]
    if type_ is Type.DECIMAL128:
        return [b"".join(int(item).to_bytes(16, "little", signed=True) for item in data.tolist())]
    dtype = DTYPES[type_]
    if dtype.kind == "O":
        raise ScriptError(f"A column of type {type_.name} can't be stored in a database.")
    return [_raw(np.ascontiguousarray(data, dtype=dtype.newbyteorder("<")))]


def coded_blocks(codes: Array, texts: Sequence[str]) -> list[bytes | memoryview]:
    """The blocks of a STRING column whose rows are codes into `texts`; those without a row are left out."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    numbers = np.zeros(len(texts), dtype="<i4")
    numbers[used] = np.arange(len(used))
    return [_raw(numbers[codes]), *_texts(_encoded([texts[code] for code in used.tolist()]), b"\0")]


def _encoded(texts: Iterable[str]) -> list[bytes]:
    return [text.partition("\0")[0].encode("utf-8", "replace") for text in texts]


def _texts(texts: list[bytes], end: bytes) -> list[bytes | memoryview]:
    offsets = np.zeros(len(texts) + 1, dtype="<i8")
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + len(end), out=offsets[1:])
    return [_raw(offsets), end.join(texts) + (end if texts else b"")]


def _raw(data: Array) -> bytes | memoryview:
    return data.data.cast("B") if data.nbytes else b""


def write_segment(path: Path, rows: int, columns: dict[int, list[bytes | memoryview]]) -> None:
    """Write and flush a segment file; none is left where that fails."""
    sizes = {key: [len(block) for block in blocks] for key, blocks in columns.items()}
    header_space = 64 * sum(map(len, sizes.values())) + 256 + 32 * len(sizes)
    position = -(-header_space // _ALIGNMENT) * _ALIGNMENT
    places: dict[str, list[list[int]]] = {}
    for key, block_sizes in sizes.items():
        places[str(key)] = []
        for size in block_sizes:
            places[str(key)].append([position, size])
            position += -(-size // _ALIGNMENT) * _ALIGNMENT
    header = json.dumps({"rows": rows, "columns": places}, separators=(",", ":")).encode()
    assert len(header) + 8 <= header_space
    with removed_on_failure(path), path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for key, blocks in columns.items():
            for (offset, _size), block in zip(places[str(key)], blocks, strict=True):
                file.seek(offset)
                file.write(block)
        file.truncate(position)
        file.flush()
        os.fsync(file.fileno())


class Segment:
    """An open segment file; what it returns is copied out of the mapping."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(self._map[:8], "little")
        header: dict[str, Any] = json.loads(self._map[8 : 8 + length])
        self.rows: int = header["rows"]
        self._places: dict[str, list[list[int]]] = header["columns"]

    def has(self, column: int) -> bool:
        return str(column) in self._places

    def read(self, column: int, type_: Type, start: int, count: int) -> Array:
        """Rows of a column as raw storage."""
        return self._read(self._places[str(column)], type_, start, count)

    def coded(self, column: int, start: int, count: int) -> tuple[Array, list[str]] | None:
        """Rows of a STRING column as codes and the texts they stand for; None if it is stored as texts."""
        places = self._places[str(column)]
        if len(places) < 3:
            return None
        codes = self._view(places[0], "<i4", start, count)
        first, distinct = 0, places[1][1] // 8 - 1
        if count < distinct:
            first, last = int(codes.min()), int(codes.max())
            codes, distinct = codes - first, last + 1 - first
        return codes.astype(np.int32), self._texts(places[1:], first, distinct).decode("utf-8").split("\0")

    def texts(self, column: int, start: int, count: int) -> bytes:
        """Rows of a STRING column that is stored as texts, in UTF-8 with a NUL between them."""
        return self._texts(self._places[str(column)], start, count)

    def _texts(self, places: list[list[int]], start: int, count: int) -> bytes:
        offsets = self._view(places[0], "<i8", start, count + 1)
        base = places[1][0]
        return self._map[base + int(offsets[0]) : base + max(int(offsets[-1]) - 1, int(offsets[0]))]

    def read_rows(self, column: int, type_: Type, start: int, count: int) -> tuple[Array, Array]:
        """Rows of an array vector: elements and offsets from 0."""
        places = self._places[str(column)]
        offsets = self._view(places[0], "<i8", start, count + 1).astype(np.int64)
        first = int(offsets[0])
        return self._read(places[1:], type_, first, int(offsets[-1]) - first), offsets - first

    def _view(self, place: list[int], dtype: str | np.dtype[Any], start: int, count: int) -> Array:
        width = np.dtype(dtype).itemsize
        return np.frombuffer(self._map, dtype, count, place[0] + start * width)

    def _read(self, places: list[list[int]], type_: Type, start: int, count: int) -> Array:
        if not count:
            return np.empty(0, dtype=DTYPES[type_])
        if type_ is Type.STRING:
            return _objects(self._texts(places, start, count).decode("utf-8").split("\0"))
        if type_ is Type.BLOB:
            offsets = self._view(places[0], "<i8", start, count + 1)
            base, first = places[1][0], int(offsets[0])
            data = self._map[base + first : base + int(offsets[-1])]
            ends = (offsets - first).tolist()
            return _objects([data[a:b] for a, b in itertools.pairwise(ends)])
        if type_ in _SIXTEEN or type_ is Type.DECIMAL128:
            base = places[0][0] + 16 * start
            raw = self._map[base : base + 16 * count]
            pieces = [raw[i : i + 16] for i in range(0, len(raw), 16)]
            if type_ is Type.DECIMAL128:
                return _objects([int.from_bytes(piece, "little", signed=True) for piece in pieces])
            return _objects(pieces)
        return self._view(places[0], DTYPES[type_].newbyteorder("<"), start, count).astype(DTYPES[type_])


def null_rows(type_: Type, count: int) -> Array:
    """Raw storage of nulls."""
    out = np.empty(count, dtype=DTYPES[type_])
    out.fill(null(type_))
    return out


def _objects(items: list[Any]) -> Array:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out
