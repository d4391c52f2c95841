"""Single values as text, the way DolphinDB prints them."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np

from engine.types import DECIMAL, LITERAL, Type
from engine.values import Array, Vector

_EPOCH = date(1970, 1, 1)

# What stands for a null scalar; in vectors and tables a null is empty.
NULL_TEXTS = {
    Type.VOID: "", Type.BOOL: "00b", Type.CHAR: "00c", Type.SHORT: "00h", Type.INT: "00i", Type.LONG: "00l",
    Type.FLOAT: "00f", Type.DOUBLE: "00F", Type.DATE: "00d", Type.MONTH: "00M", Type.TIME: "00t", Type.MINUTE: "00m",
    Type.SECOND: "00s", Type.DATETIME: "00D", Type.TIMESTAMP: "00T", Type.NANOTIME: "00n", Type.NANOTIMESTAMP: "00N",
}  # fmt: skip


def float_text(value: float, decimals: int = 15, significant: int = 16) -> str:
    """Fixed notation without trailing zeros; exponents below 1e-6 and from 1e15 on."""
    if value != value:
        return ""
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    magnitude = abs(value)
    shortest = repr(float(value)) if significant >= 16 else str(np.float32(value))
    if magnitude and (magnitude < 1e-6 or magnitude >= 1e15):
        brief = "e" in shortest and len(shortest.partition("e")[0].lstrip("-")) <= significant
        mantissa, exponent = (shortest if brief else f"{value:.{significant - 1}e}").split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}E{int(exponent)}"
    whole = len(str(int(magnitude)))
    room = decimals if significant >= 16 else max(0, min(decimals, significant - whole))
    fraction = shortest.partition(".")[2]
    if "e" not in shortest and fraction != "0" and len(fraction) <= room:
        return shortest
    text = f"{value:.{max(0, min(decimals, significant - whole))}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def decimal_text(raw: int, scale: int) -> str:
    if not scale:
        return str(raw)
    digits = str(abs(raw)).rjust(scale + 1, "0")
    return f"{'-' if raw < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def date_text(days: int) -> str:
    try:
        day = _EPOCH + timedelta(days=days)
    except OverflowError:
        return ""
    return f"{day.year:04d}.{day.month:02d}.{day.day:02d}"


def clock_text(units: int, per_second: int) -> str:
    """A time of day from a count of units since midnight."""
    seconds, fraction = divmod(units, per_second)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02d}:{minute:02d}:{second:02d}"
    return text if per_second == 1 else f"{text}.{fraction:0{len(str(per_second)) - 1}d}"


def _instant_text(units: int, per_second: int) -> str:
    days, within = divmod(units, 86400 * per_second)
    return f"{date_text(days)}T{clock_text(within, per_second)}"


def _complex_text(value: complex) -> str:
    return f"{_part_text(value.real)}{'-' if value.imag < 0 else '+'}{_part_text(abs(value.imag))}i"


def _part_text(value: float) -> str:
    """A part of a complex number or a point, which keeps its decimal point."""
    text = float_text(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def ip_text(raw: bytes) -> str:
    number = int.from_bytes(raw, "little")
    return str(ipaddress.IPv4Address(number) if number < 2**32 else ipaddress.IPv6Address(number))


_RAW_TEXTS: dict[Type, Callable[[Any], str]] = {
    Type.VOID: lambda _raw: "",
    Type.BOOL: lambda raw: "1" if raw else "0",
    Type.CHAR: lambda raw: chr(raw) if 32 <= raw < 127 else str(raw),
    Type.SHORT: str,
    Type.INT: str,
    Type.LONG: str,
    Type.FLOAT: lambda raw: float_text(float(raw), 8, 8),
    Type.DOUBLE: lambda raw: float_text(float(raw)),
    Type.DATE: date_text,
    Type.MONTH: lambda raw: f"{raw // 12:04d}.{raw % 12 + 1:02d}M",
    Type.TIME: lambda raw: clock_text(raw, 1000),
    Type.MINUTE: lambda raw: f"{raw // 60:02d}:{raw % 60:02d}m",
    Type.SECOND: lambda raw: clock_text(raw, 1),
    Type.DATETIME: lambda raw: _instant_text(raw, 1),
    Type.TIMESTAMP: lambda raw: _instant_text(raw, 1000),
    Type.NANOTIME: lambda raw: clock_text(raw, 10**9),
    Type.NANOTIMESTAMP: lambda raw: _instant_text(raw, 10**9),
    Type.DATEHOUR: lambda raw: f"{date_text(raw // 24)}T{raw % 24:02d}",
    Type.SYMBOL: str,
    Type.STRING: str,
    Type.BLOB: lambda raw: raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw),
    Type.UUID: lambda raw: str(uuid.UUID(bytes=raw[::-1])),
    Type.IPADDR: ip_text,
    Type.INT128: lambda raw: raw[::-1].hex(),
    Type.COMPLEX: _complex_text,
    Type.POINT: lambda raw: f"({_part_text(raw.real)}, {_part_text(raw.imag)})",
    Type.DURATION: lambda raw: f"{raw[0]}{raw[1]}",
}


def raw_text(type_: Type, raw: Any, scale: int = 0) -> str:
    """The text of one raw value that is not null, without quotes."""
    if type_ in DECIMAL:
        return decimal_text(int(raw), scale)
    return _RAW_TEXTS[type_](raw)


def quoted(type_: Type, text: str) -> str:
    """The text as shown inside vectors and tuples."""
    if type_ in LITERAL:
        return f'"{text}"'
    return f"'{text}'" if type_ is Type.CHAR and len(text) == 1 and not text.isdigit() else text


def element_texts(column: Vector, quote: bool = False) -> list[str]:
    """The texts of all elements; "" for nulls (also when quoted, but for strings)."""
    if column.type in (Type.STRING, Type.SYMBOL):
        return [f'"{text}"' if quote else text for text in column.strings()]
    convert = _RAW_TEXTS.get(column.type)
    if convert is None:
        scale = column.scale

        def convert(raw: Any) -> str:
            return decimal_text(int(raw), scale)

    missing = column.nulls()
    raws: Array | list[Any] = column.data.tolist()
    if not quote or column.type is not Type.CHAR:
        return ["" if null else convert(raw) for raw, null in zip(raws, missing, strict=True)]
    return ["" if null else quoted(Type.CHAR, convert(raw)) for raw, null in zip(raws, missing, strict=True)]
