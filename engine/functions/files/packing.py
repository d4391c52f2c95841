"""Values as bytes by a format."""

from __future__ import annotations

import re
import struct
from typing import Any

from engine.arguments import text_argument
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.types import LITERAL, Type
from engine.values import NULL, AnyVector, Scalar, Value, double, string

functions = Registry()

_ORDERS = "@=<>!"


def _format(value: Value) -> tuple[str, list[str]]:
    """The format for the struct module, and the letter of every value in it."""
    text = re.sub(r"\s+", "", text_argument(value, "format"))
    order, body = (text[0], text[1:]) if text[:1] in tuple(_ORDERS) else ("@", text)
    if not re.fullmatch(r"(\d*[xcbB?hHiIlLqQnNfdspP])*", body):
        raise CallError(f"the format {text} is not known.")
    letters: list[str] = []
    for count, letter in re.findall(r"(\d*)(.)", body):
        letters += [letter] * (1 if letter in "sp" else int(count or 1))
    return order + body, letters


def _raw(value: Value, letter: str) -> Any:
    if not isinstance(value, Scalar) or value.value is None:
        raise CallError("only scalars that are not NULL can be packed.")
    raw = value.value
    if letter in "sp":
        return raw if isinstance(raw, bytes) else str(raw).encode()
    if letter == "c":
        return bytes([int(raw) & 0xFF]) if not isinstance(raw, str) else raw.encode()[:1]
    return raw


@functions.builtin("pack", "format, args...")
def pack(format_: Value, *values: Value) -> Value:
    """The bytes of values, one after the other in the given format."""
    layout, letters = _format(format_)
    if len(values) != len(letters):
        raise CallError(f"the format needs {len(letters)} values, not {len(values)}.")
    raws = [_raw(value, letter) for value, letter in zip(values, letters, strict=True) if letter != "x"]
    try:
        return Scalar(Type.BLOB, struct.pack(layout, *raws))
    except struct.error as error:
        raise CallError(f"{error}.") from None


@functions.builtin("unpack", "format, buf")
def unpack(format_: Value, buffer: Value) -> Value:
    """The values in bytes of the given format, as a tuple."""
    layout, letters = _format(format_)
    if not isinstance(buffer, Scalar) or buffer.type not in LITERAL:
        raise CallError("buf must be a STRING or BLOB scalar.")
    data = buffer.value if isinstance(buffer.value, bytes) else str(buffer.value or "").encode("utf-8", "replace")
    try:
        raws = iter(struct.unpack(layout, data))
    except struct.error as error:
        raise CallError(f"{error}.") from None
    return AnyVector([NULL if letter == "x" else _unpacked(next(raws), letter) for letter in letters])


def _unpacked(raw: Any, letter: str) -> Value:
    if letter == "c":
        return Scalar(Type.CHAR, int.from_bytes(raw, "little", signed=True))
    if letter in "sp":
        return string(raw.rstrip(b"\0").decode("utf-8", "replace"))
    return double(raw) if letter in "fd" else Scalar(Type.LONG, int(raw))
