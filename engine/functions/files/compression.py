"""Vectors in little memory: `compress` and `decompress`.

All methods pack with zlib, which Python has, after the step that makes the data of a method regular; so the sizes are
not those of a server.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.arguments import choice_argument
from engine.errors import CallError, UnsupportedError
from engine.functions.registry import Registry
from engine.types import INTEGRAL, TEMPORAL, Type
from engine.values import NOTHING, Array, Handle, Table, Value, Vector

functions = Registry()

KIND = "HUGE COMPRESSED VECTOR"
_BLOCK = 1 << 20
_LEVELS = {"lz4": 1, "delta": 1, "zstd": 3, "chimp": 1}


@dataclass(frozen=True, eq=False)
class Block:
    """Some elements: packed as they are, or their differences in as few bytes as hold them, after a first one."""

    packed: bytes
    dtype: np.dtype[Any]
    first: Any = None

    @classmethod
    def of(cls, data: Array, method: str) -> Block:
        level = _LEVELS[method]
        if method != "delta":
            return cls(zlib.compress(data.tobytes(), level), data.dtype)
        # Modulo the width of the type, as their sum is.
        steps = data[1:] - data[:-1]
        low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
        narrow = next(kind for kind in "bhil" if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
        return cls(zlib.compress(steps.astype(narrow).tobytes(), level), np.dtype(narrow), data[0])

    def unpacked(self, dtype: np.dtype[Any]) -> Array:
        data = np.frombuffer(zlib.decompress(self.packed), self.dtype)
        if self.first is None:
            return data
        out = np.empty(len(data) + 1, dtype)
        out[0] = self.first
        np.cumsum(data, dtype=dtype, out=out[1:])
        out[1:] += self.first
        return out


@dataclass(frozen=True, eq=False)
class Compressed:
    """A vector in blocks; `like` is an empty one of its type."""

    like: Vector
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        """The length that `size` tells: bytes."""
        return sum(len(block.packed) for block in self.blocks)


@functions.builtin("compress", "X, [method='lz4']")
def compress(value: Value, method: Value = NOTHING) -> Handle:
    """A vector in less memory, for `decompress`."""
    chosen = choice_argument(method, "method", tuple(_LEVELS), "lz4")
    if isinstance(value, Table):
        raise UnsupportedError("Compressing a table")
    if not isinstance(value, Vector):
        raise CallError("X must be a vector.")
    if value.kind not in "if":
        raise UnsupportedError(f"Compressing a {value.type.name} vector")
    if chosen == "delta" and value.type not in (*INTEGRAL, *TEMPORAL):
        raise CallError("delta is for integers and temporal values.")
    if chosen == "chimp" and value.type is not Type.DOUBLE:
        raise CallError("chimp is for DOUBLE values.")
    blocks = [Block.of(value.data[start : start + _BLOCK], chosen) for start in range(0, len(value), _BLOCK)]
    packed = Compressed(value.take(slice(0, 0)), tuple(blocks))
    return Handle(KIND, f"<Compressed {value.type.name} vector of {packed.rows} bytes>", packed)


@functions.builtin("decompress", "X")
def decompress(value: Value) -> Vector:
    """The vector that `compress` was given."""
    packed = value.target if isinstance(value, Handle) else None
    if not isinstance(packed, Compressed):
        raise CallError("X must be a compressed vector.")
    dtype = packed.like.data.dtype
    parts = [block.unpacked(dtype) for block in packed.blocks]
    return packed.like.with_data(np.concatenate(parts) if parts else np.empty(0, dtype))
