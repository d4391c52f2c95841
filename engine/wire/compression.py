"""Compressed column blocks: LZ4 (block format) and delta of delta, decoding only."""

from __future__ import annotations

import numpy as np

from engine.values import Array
from engine.wire.reader import ProtocolError

BLOCK_LIMIT = 1 << 16
_END = "111110" + "1" * 64
_CODES = (("10", 7), ("110", 9), ("1110", 16), ("11110", 32))


def lz4_block(block: bytes, limit: int = BLOCK_LIMIT) -> bytes:
    """One LZ4 block without a frame, expanded to at most `limit` bytes."""
    out = bytearray()
    position, size = 0, len(block)
    try:
        while position < size:
            token = block[position]
            position += 1
            length, position = _length(block, position, token >> 4)
            if position + length > size:
                raise ProtocolError("broken LZ4 block")
            out += block[position : position + length]
            position += length
            if position >= size:
                break
            offset = block[position] | block[position + 1] << 8
            position += 2
            length, position = _length(block, position, token & 15)
            length += 4
            start = len(out) - offset
            if start < 0 or not offset or len(out) + length > limit:
                raise ProtocolError("broken LZ4 block")
            if offset >= length:
                out += out[start : start + length]
            else:
                pattern = bytes(out[start:])
                out += (pattern * (length // offset + 1))[:length]
    except IndexError:
        raise ProtocolError("broken LZ4 block") from None
    if len(out) > limit:
        raise ProtocolError("an LZ4 block expands beyond its limit")
    return bytes(out)


def _length(block: bytes, position: int, length: int) -> tuple[int, int]:
    if length == 15:
        while True:
            more = block[position]
            position += 1
            length += more
            if more != 255:
                break
    return length, position


def delta_block(block: bytes, unit: int) -> Array:
    """One delta-of-delta block as integers of `unit` bytes (2, 4 or 8), nulls as the smallest one."""
    if len(block) % 8 or unit not in (2, 4, 8):
        raise ProtocolError("broken delta block")
    bits = "".join(f"{word:064b}" for word in np.frombuffer(block, "<u8").tolist())
    width = 8 * unit
    smallest = -(1 << (width - 1))
    values: list[int] = []
    position = 0
    delta = 0
    try:
        for stage in (1, 2):
            while bits[position] == "0":
                values.append(smallest)
                position += 1
            if bits.startswith(_END, position):
                return np.array(values, dtype=f"<i{unit}")
            step = _zigzag(int(bits[position + 1 : position + 1 + width], 2))
            position += 1 + width
            if stage == 1:
                previous = step
            else:
                delta = step
                previous = _wrap(previous + delta, width)
            values.append(_wrap(previous, width))
        while True:
            if bits[position] == "0":
                position += 1
            elif bits.startswith("111111", position):
                position += 6
                values.append(smallest)
                continue
            elif bits.startswith(_END, position):
                return np.array(values, dtype=f"<i{unit}")
            else:
                prefix, size = next(
                    ((code, size) for code, size in _CODES if bits.startswith(code, position)), ("111110", 64)
                )
                position += len(prefix) + size
                delta += _zigzag(int(bits[position - size : position], 2) + 1)
            previous = _wrap(previous + delta, width)
            values.append(previous)
    except (IndexError, ValueError):
        raise ProtocolError("broken delta block") from None


def _zigzag(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _wrap(number: int, width: int) -> int:
    half = 1 << (width - 1)
    return (number + half) % (1 << width) - half
