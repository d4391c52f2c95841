"""Checksums, digests and encodings of text."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac as keyed
import zlib
from itertools import pairwise

import numpy as np

from engine import lifting
from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted, text_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.text.strings import mapped, object_array, texts_of
from engine.types import LITERAL, Type
from engine.values import AnyVector, ArrayVector, Dictionary, Scalar, Table, Value, Vector, integer, string, vector

functions = Registry()


def _digest(data: bytes) -> bytes:
    """An MD5 digest as INT128 holds it, the least significant byte first."""
    return hashlib.md5(data, usedforsecurity=False).digest()[::-1]


@functions.elementwise("md5", "X")
def md5(x: Vector) -> Vector:
    digests = mapped(x, lambda text: _digest(text.encode()))
    return Vector(Type.INT128, object_array(digests))


def _raw_bytes(value: Value) -> bytes:
    """The elements of a value one after another as they lie in memory."""
    if isinstance(value, AnyVector):
        return b"".join(_raw_bytes(item) for item in value.items)
    if isinstance(value, ArrayVector):
        value = value.flat.take(slice(int(value.offsets[0]), int(value.offsets[-1])))
    column = as_vector(value)
    if column.type in (Type.STRING, Type.SYMBOL):
        return b"".join(text.encode() for text in column.strings())
    if column.data.dtype == object:
        return b"".join(column.data)
    return column.data.tobytes()


def murmur(data: bytes) -> int:
    """The hash MurmurHash2 with seed 0."""
    factor, most = 0x5BD1E995, 0xFFFFFFFF
    number = len(data)
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        part = int.from_bytes(data[place : place + 4], "little") * factor & most
        number = number * factor & most ^ (part ^ part >> 24) * factor & most
    if whole < len(data):
        number = (number ^ int.from_bytes(data[whole:], "little")) * factor & most
    number = (number ^ number >> 13) * factor & most
    return number ^ number >> 15


@functions.builtin("objectChecksum", "vector, [prev]")
def object_checksum(x: Value, previous: Value | None = None) -> Scalar:
    """The CRC-32 of a vector's elements, going on from that of a segment before it."""
    if not isinstance(x, Vector):
        raise CallError("vector must be a vector.")
    before = 0 if is_omitted(previous) else integer_argument(previous, "prev") & 0xFFFFFFFF
    return integer(int(np.uint32(zlib.crc32(_raw_bytes(x), before)).astype(np.int32)))


@functions.builtin("gmd5", "X")
def general_md5(x: Value) -> Scalar:
    return Scalar(Type.INT128, _digest(_raw_bytes(x)))


@functions.builtin("rowGmd5", "args...")
def row_md5(*values: Value) -> Vector:
    from engine.functions.series.rowwise import rows_of

    rows = rows_of(values)
    ordered = rows.data.take(rows.groups.order)
    bounds = rows.groups.offsets
    parts = [_raw_bytes(ordered.take(slice(int(a), int(b)))) for a, b in pairwise(bounds)]
    return Vector(Type.INT128, object_array([_digest(part) for part in parts]))


@functions.elementwise("crc32", "str, [cksum=0]")
def crc32(x: Vector, start: Value | None = None) -> Vector:
    begin = 0 if is_omitted(start) else int(as_vector(start).data[0])  # type: ignore[arg-type]
    sums = mapped(x, lambda text: zlib.crc32(text.encode(), begin & 0xFFFFFFFF), "str")
    return vector(Type.INT, np.array(sums, dtype=np.uint32).astype(np.int32))


@functions.builtin("hmac", "key, message, [digest='sha256']")
def hmac(key: Value, message: Value, digest: Value | None = None) -> Scalar:
    name = choice_argument(digest, "digest", ("sha256", "sha1", "sha224", "sha384", "sha512", "md5"), "sha256")
    secret, text = text_argument(key, "key").encode(), text_argument(message, "message").encode()
    return string(keyed.new(secret, text, name).hexdigest())


@functions.elementwise("base64Encode", "X")
def base64_encode(x: Vector) -> Vector:
    return Vector(Type.STRING, object_array(mapped(x, lambda text: base64.b64encode(text.encode()).decode())))


@functions.elementwise("base64Decode", "X")
def base64_decode(x: Vector) -> Vector:
    def decode(text: str) -> str:
        try:
            return base64.b64decode(text, validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            raise CallError("X is not in Base64.") from None

    return Vector(Type.STRING, object_array(mapped(x, decode)))


@functions.elementwise("hex", "X, [reverse=false]")
def hexadecimal(x: Vector, reverse: Value | None = None) -> Vector:
    """The bytes of each element, the most significant first unless reversed."""
    backwards = boolean_argument(reverse, "reverse", False)
    if x.type in LITERAL or x.symbols is not None:
        raise CallError("X must be of an INTEGRAL, FLOATING, COMPLEX or BINARY type.")
    if x.data.dtype == object:
        rows = [raw if not backwards else raw[::-1] for raw in x.data]
    else:
        size = x.data.dtype.itemsize
        raw = x.data.tobytes()
        little = [raw[i * size : (i + 1) * size] for i in range(len(x))]
        rows = little if backwards else [row[::-1] for row in little]
    return Vector(Type.STRING, object_array([row.hex() for row in rows]))


def _codec(name: str) -> str:
    import codecs

    try:
        return codecs.lookup(name.replace("euc-cn", "gb2312")).name
    except LookupError:
        raise CallError(f"unknown encoding {name}.") from None


def _recoded(value: Value, source: str, target: str) -> Value:
    _codec(source)
    _codec(target)
    if isinstance(value, Table):
        columns = [
            _recoded(c, source, target) if isinstance(c, Vector) and c.type in LITERAL else c for c in value.columns
        ]
        return Table(list(value.names), columns)  # type: ignore[arg-type]
    if isinstance(value, Dictionary):
        items = {key: _recoded(item, source, target) for key, item in value.items.items()}
        return Dictionary(value.key_type, value.value_type, items, value.ordered)

    def kernel(x: Vector) -> Vector:
        texts = texts_of(x, "str")
        if not all(text.isascii() for text in texts):
            raise CallError("texts are held as UTF-8; only ASCII can be recoded.")
        return Vector(Type.STRING, texts)

    return lifting.elementwise(kernel, [value])


@functions.builtin("convertEncode", "str, srcEncode, destEncode")
def convert_encoding(x: Value, source: Value, target: Value) -> Value:
    return _recoded(x, text_argument(source, "srcEncode"), text_argument(target, "destEncode"))


@functions.builtin("toUTF8", "str, encode")
def to_utf8(x: Value, encoding: Value) -> Value:
    return _recoded(x, text_argument(encoding, "encode"), "utf-8")


@functions.builtin("fromUTF8", "str, encode")
def from_utf8(x: Value, encoding: Value) -> Value:
    return _recoded(x, "utf-8", text_argument(encoding, "encode"))
