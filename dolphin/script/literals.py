"""From the text of a number or temporal constant to the value DolphinDB stores."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

NULL_SUFFIXES = {
    "b": "BOOL",
    "c": "CHAR",
    "h": "SHORT",
    "i": "INT",
    "l": "LONG",
    "L": "LONG",
    "f": "FLOAT",
    "F": "DOUBLE",
    "d": "DATE",
    "M": "MONTH",
    "t": "TIME",
    "m": "MINUTE",
    "s": "SECOND",
    "D": "DATETIME",
    "T": "TIMESTAMP",
    "n": "NANOTIME",
    "N": "NANOTIMESTAMP",
}
DURATION_UNITS = frozenset({"ns", "us", "ms", "s", "m", "H", "d", "w", "M", "y", "B"})
_RANGES = {"CHAR": 2**7, "SHORT": 2**15, "INT": 2**31, "LONG": 2**63}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "0": "\0"}
_NUMBER = re.compile(r"(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?([A-Za-z]\w*)?")
_EPOCH = date(1970, 1, 1).toordinal()


def number(text: str) -> tuple[str, Any]:
    """`(type, value)` of `12`, `1.5f`, `00i`, `3d`; ValueError when the text is none of these."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(text)
    digits, exponent, suffix = match.groups()
    if digits == "00" and exponent is None and suffix in NULL_SUFFIXES:
        return NULL_SUFFIXES[suffix], None
    if exponent or "." in digits:
        if suffix not in (None, "f", "F"):
            raise ValueError(text)
        return ("FLOAT" if suffix == "f" else "DOUBLE"), float(digits + (exponent or ""))
    if len(digits) > 40:
        raise ValueError(text)
    value = int(digits)
    if suffix is None:
        return ("INT" if value < _RANGES["INT"] else "LONG"), _bounded("LONG", value)
    if suffix == "b" and value in (0, 1):
        return "BOOL", bool(value)
    if suffix in ("f", "F"):
        return ("FLOAT" if suffix == "f" else "DOUBLE"), float(value)
    if suffix in ("c", "h", "i", "l", "L"):
        name = NULL_SUFFIXES[suffix]
        return name, _bounded(name, value)
    if suffix in DURATION_UNITS or (len(suffix) == 4 and suffix.isupper() and suffix.isalpha()):
        return "DURATION", (value, suffix)
    raise ValueError(text)


def _bounded(name: str, value: int) -> int:
    if value > _RANGES[name]:
        raise ValueError(f"{value} does not fit {name}")
    return value


def temporal(text: str) -> tuple[str, int]:
    """`(type, value)` of a date, month, time or date-time constant; ValueError when out of range."""
    if text.endswith("M"):
        year, month = text[:-1].split(".")
        if not 1 <= int(month) <= 12:
            raise ValueError(text)
        return "MONTH", int(year) * 12 + int(month) - 1
    if text.endswith("m"):
        hour, minute = text[:-1].split(":")
        return "MINUTE", _clock(int(hour), int(minute), 0) // 60
    if text[:5].count(".") == 0:
        return _time(text)
    day_text, clock = text, ""
    for separator in (" ", "T"):
        if separator in text:
            day_text, clock = text.split(separator, 1)
            break
    days = date(*map(int, day_text.split("."))).toordinal() - _EPOCH
    if not clock:
        return "DATE", days
    if ":" not in clock:
        return "DATEHOUR", days * 24 + _clock(int(clock), 0, 0) // 3600
    name, value = _time(clock)
    if name == "SECOND":
        return "DATETIME", days * 86_400 + value
    if name == "TIME":
        return "TIMESTAMP", days * 86_400_000 + value
    return "NANOTIMESTAMP", days * 86_400_000_000_000 + value


def _time(text: str) -> tuple[str, int]:
    clock, _, fraction = text.partition(".")
    hour, minute, second = (int(part) for part in clock.split(":"))
    seconds = _clock(hour, minute, second)
    if not fraction:
        return "SECOND", seconds
    if len(fraction) <= 3:
        return "TIME", seconds * 1000 + int(fraction.ljust(3, "0"))
    return "NANOTIME", seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _clock(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{hour}:{minute}:{second}")
    return hour * 3600 + minute * 60 + second


def unescape(text: str) -> str:
    r"""The text between quotes: `\n`, `\t`, `\"` … are replaced, an unknown escape keeps its backslash."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
