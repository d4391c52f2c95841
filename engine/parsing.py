"""Text to single values: what `date("2012.06.13")` and the like accept."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from engine.types import DTYPES, Type

_EPOCH = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_INFINITIES = {"inf": float("inf"), "+inf": float("inf"), "-inf": float("-inf")}
_DATE = re.compile(r"(\d{4})[.\-/]?(\d{1,2})[.\-/]?(\d{1,2})")
_MONTH = re.compile(r"(\d{4})[.\-/]?(\d{1,2})M?")
_CLOCK = re.compile(r"(\d{1,2}):?(\d{2})(?::?(\d{2})(?:\.?(\d{1,9}))?)?m?")
_DURATION = re.compile(r"([+-]?\d+)(ns|us|ms|s|m|H|d|w|M|y|B|[A-Z]{4})")


def parse_number(text: str) -> float | int | None:
    """The number a text begins with; None if there is none."""
    found = _NUMBER.match(text)
    if found is None:
        return _INFINITIES.get(text.strip().lower())
    digits = found[1]
    return int(digits) if digits.lstrip("+-").isdigit() else float(digits)


def parse_days(text: str) -> int | None:
    found = _DATE.match(text.strip())
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).toordinal() - _EPOCH
    except ValueError:
        return None


def parse_clock(text: str) -> int | None:
    """Nanoseconds since midnight."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return ((hour * 60 + minute) * 60 + second) * 10**9 + int((found[4] or "").ljust(9, "0"))


def parse_instant(text: str) -> int | None:
    """Nanoseconds since 1970 of a date with an optional time of day."""
    parts = re.split(r"[T ]+|(?<=\d{8})-", text.strip(), maxsplit=1)
    days = parse_days(parts[0])
    if days is None:
        return None
    clock: int | None = 0
    if len(parts) > 1 and parts[1]:
        rest = parts[1].removesuffix("Z")
        clock = int(rest) * 3600 * 10**9 if re.fullmatch(r"\d{1,2}", rest) else parse_clock(rest)
    return None if clock is None else days * 86400 * 10**9 + clock


def parse_month(text: str) -> int | None:
    found = _MONTH.match(text.strip())
    return int(found[1]) * 12 + int(found[2]) - 1 if found and 1 <= int(found[2]) <= 12 else None


def parse_decimal(text: str, scale: int) -> int | None:
    """Unscaled digits, rounded half up."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    exact = Context(prec=100)
    try:
        return int(Decimal(found[1]).scaleb(scale, exact).quantize(Decimal(1), ROUND_HALF_UP, exact))
    except InvalidOperation:
        return None


def parse_duration(text: str) -> tuple[int, str] | None:
    found = _DURATION.fullmatch(text.strip())
    return (int(found[1]), found[2]) if found else None


def _integer(type_: Type) -> Callable[[str], int | None]:
    bits = DTYPES[type_].itemsize * 8

    def parse(text: str) -> int | None:
        number = parse_number(text)
        if number is None or abs(number) == float("inf"):
            return None
        whole = int(number)
        return whole if -(2 ** (bits - 1)) < whole < 2 ** (bits - 1) else None

    return parse


def _character(text: str) -> int | None:
    if len(text) == 1 and ord(text) < 128:
        return ord(text)
    number = parse_number(text)
    return int(number) if number is not None and -128 < number < 128 else None


def _boolean(text: str) -> bool | None:
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    number = parse_number(lowered)
    return None if number is None else number != 0


def _floating(text: str) -> float | None:
    number = parse_number(text)
    return None if number is None else float(number)


def _scaled(parse: Callable[[str], int | None], divisor: int) -> Callable[[str], int | None]:
    def scaled(text: str) -> int | None:
        found = parse(text)
        return None if found is None else found // divisor

    return scaled


def _uuid(text: str) -> bytes | None:
    try:
        return uuid.UUID(text).bytes[::-1]
    except ValueError:
        return None


def _ip(text: str) -> bytes | None:
    try:
        return int(ipaddress.ip_address(text.strip())).to_bytes(16, "little")
    except ValueError:
        return None


def _int128(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw[::-1] if len(raw) == 16 else None


PARSERS: dict[Type, Callable[[str], Any]] = {
    Type.BOOL: _boolean,
    Type.CHAR: _character,
    Type.SHORT: _integer(Type.SHORT),
    Type.INT: _integer(Type.INT),
    Type.LONG: _integer(Type.LONG),
    Type.FLOAT: _floating,
    Type.DOUBLE: _floating,
    Type.DATE: parse_days,
    Type.MONTH: parse_month,
    Type.TIME: _scaled(parse_clock, 10**6),
    Type.MINUTE: _scaled(parse_clock, 60 * 10**9),
    Type.SECOND: _scaled(parse_clock, 10**9),
    Type.NANOTIME: parse_clock,
    Type.DATETIME: _scaled(parse_instant, 10**9),
    Type.TIMESTAMP: _scaled(parse_instant, 10**6),
    Type.NANOTIMESTAMP: parse_instant,
    Type.DATEHOUR: _scaled(parse_instant, 3600 * 10**9),
    Type.UUID: _uuid,
    Type.IPADDR: _ip,
    Type.INT128: _int128,
    Type.DURATION: parse_duration,
    Type.BLOB: lambda text: text.encode(),
}
