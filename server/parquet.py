"""Tables written as Apache Parquet: one row group, plain values, no compression.

Enough of the format to hand a table over: columns of 64-bit integers, doubles, booleans and text, each with nulls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MAGIC = b"PAR1"
BOOLEAN, INT64, DOUBLE, BYTE_ARRAY = 0, 2, 5, 6
PLAIN, RLE = 0, 3
OPTIONAL, UTF8, UNCOMPRESSED, DATA_PAGE = 1, 0, 0, 0
VERSION = 1

Kind = Literal["boolean", "integer", "number", "text"]
TYPES: dict[Kind, int] = {"boolean": BOOLEAN, "integer": INT64, "number": DOUBLE, "text": BYTE_ARRAY}


@dataclass(frozen=True)
class Column:
    """`values` are of the kind, or None."""

    name: str
    kind: Kind
    values: Sequence[Any]


def parquet_bytes(columns: Sequence[Column]) -> bytes:
    """A file of one row group. All columns have the same number of values."""
    rows = len(columns[0].values) if columns else 0
    parts, chunks, size = [MAGIC], [], len(MAGIC)
    for column in columns:
        page = _page(column)
        parts.append(page)
        chunks.append(_chunk(column, size, len(page)))
        size += len(page)
    total = sum(len(part) for part in parts) - len(MAGIC)
    group = _struct((1, _list(12, chunks)), (2, _integer(6, total)), (3, _integer(6, rows)))
    footer = _struct(
        (1, _integer(5, VERSION)),
        (2, _list(12, [_root(len(columns)), *map(_element, columns)])),
        (3, _integer(6, rows)),
        (4, _list(12, [group[1]] if columns else [])),
        (6, _binary(b"ddb-agent")),
    )[1]
    return b"".join([*parts, footer, struct.pack("<I", len(footer)), MAGIC])


def _page(column: Column) -> bytes:
    """A data page: its header, which values are there, and these."""
    levels = _levels(column.values)
    body = struct.pack("<I", len(levels)) + levels + _plain(column)
    header = _struct(
        (1, _integer(5, DATA_PAGE)),
        (2, _integer(5, len(body))),
        (3, _integer(5, len(body))),
        (
            5,
            _struct(
                (1, _integer(5, len(column.values))), (2, _integer(5, PLAIN)), (3, _integer(5, RLE)),
                (4, _integer(5, RLE)),
            ),
        ),
    )[1]  # fmt: skip
    return header + body


def _levels(values: Sequence[Any]) -> bytes:
    """One bit for each value, set where it is not null, packed in groups of eight."""
    groups = -(-len(values) // 8)
    return _varint(groups << 1 | 1) + _bits([value is not None for value in values]) if values else b""


def _plain(column: Column) -> bytes:
    present = [value for value in column.values if value is not None]
    if column.kind == "boolean":
        return _bits(present)
    if column.kind == "integer":
        return struct.pack(f"<{len(present)}q", *present)
    if column.kind == "number":
        return struct.pack(f"<{len(present)}d", *present)
    texts = [value.encode() for value in present]
    return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))


def _bits(values: Sequence[bool]) -> bytes:
    packed = bytearray(-(-len(values) // 8))
    for place, value in enumerate(values):
        if value:
            packed[place >> 3] |= 1 << (place & 7)
    return bytes(packed)


def _root(children: int) -> bytes:
    return _struct((4, _binary(b"schema")), (5, _integer(5, children)))[1]


def _element(column: Column) -> bytes:
    fields = [
        (1, _integer(5, TYPES[column.kind])), (3, _integer(5, OPTIONAL)), (4, _binary(column.name.encode())),
    ]  # fmt: skip
    if column.kind == "text":
        fields.append((6, _integer(5, UTF8)))
    return _struct(*fields)[1]


def _chunk(column: Column, offset: int, size: int) -> bytes:
    metadata = _struct(
        (1, _integer(5, TYPES[column.kind])),
        (2, _list(5, [_zigzag(PLAIN), _zigzag(RLE)])),
        (3, _list(8, [_binary(column.name.encode())[1]])),
        (4, _integer(5, UNCOMPRESSED)),
        (5, _integer(6, len(column.values))),
        (6, _integer(6, size)),
        (7, _integer(6, size)),
        (9, _integer(6, offset)),
    )
    return _struct((2, _integer(6, offset)), (3, metadata))[1]


# Thrift's compact protocol: each value with the number of its type.

Field = tuple[int, bytes]


def _struct(*fields: tuple[int, Field]) -> Field:
    """Fields in ascending order; none lies more than 15 behind the one before."""
    parts, before = [], 0
    for number, (kind, data) in fields:
        parts.append(bytes([(number - before) << 4 | kind]) + data)
        before = number
    return 12, b"".join(parts) + b"\x00"


def _integer(kind: int, value: int) -> Field:
    return kind, _zigzag(value)


def _binary(data: bytes) -> Field:
    return 8, _varint(len(data)) + data


def _list(kind: int, items: Iterable[bytes]) -> Field:
    listed = list(items)
    head = bytes([len(listed) << 4 | kind]) if len(listed) < 15 else bytes([0xF0 | kind]) + _varint(len(listed))
    return 9, head + b"".join(listed)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
