"""Constants as text."""

from __future__ import annotations

import math
from datetime import date

from dolphin.script import syntax as s
from dolphin.script.literals import NULL_SUFFIXES

_SUFFIXES = {"LONG": "l", "SHORT": "h", "CHAR": "c", "FLOAT": "f"}
_NULLS = {kind: f"00{suffix}" for suffix, kind in reversed(NULL_SUFFIXES.items())}
_EPOCH = date(1970, 1, 1).toordinal()


def literal(node: s.Literal) -> str:
    kind, value = node.type, node.value
    if value is None:
        return _NULLS.get(kind, "NULL")
    if kind == "BOOL":
        return "true" if value else "false"
    if kind == "STRING":
        return quoted(value)
    if kind == "CHAR":
        return f"'{chr(value)}'" if 32 <= value < 127 and value not in (39, 92) else f"{value}c"
    if kind in ("DOUBLE", "FLOAT"):
        return _floating(value) + _SUFFIXES.get(kind, "")
    if kind in ("INT", "LONG", "SHORT"):
        return f"{value}{_SUFFIXES.get(kind, '')}"
    if kind == "DURATION":
        return f"{value[0]}{value[1]}"
    return _temporal(kind, value)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("\t", "\\t").replace("\0", "\\0") + '"'


def _floating(value: float) -> str:
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    text = repr(value)
    return text if "." in text or "e" in text else f"{text}.0"


def _temporal(kind: str, value: int) -> str:
    if kind == "MONTH":
        return f"{value // 12:04d}.{value % 12 + 1:02d}M"
    if kind == "DATE":
        return _date(value)
    if kind == "MINUTE":
        return f"{value // 60:02d}:{value % 60:02d}m"
    if kind == "SECOND":
        return _clock(value)
    if kind == "TIME":
        return f"{_clock(value // 1000)}.{value % 1000:03d}"
    if kind == "NANOTIME":
        return f"{_clock(value // 10**9)}.{value % 10**9:09d}"
    if kind == "DATEHOUR":
        return f"{_date(value // 24)}T{value % 24:02d}"
    if kind == "DATETIME":
        return f"{_date(value // 86_400)}T{_clock(value % 86_400)}"
    if kind == "TIMESTAMP":
        days, rest = divmod(value, 86_400_000)
        return f"{_date(days)}T{_clock(rest // 1000)}.{rest % 1000:03d}"
    if kind == "NANOTIMESTAMP":
        days, rest = divmod(value, 86_400 * 10**9)
        return f"{_date(days)}T{_clock(rest // 10**9)}.{rest % 10**9:09d}"
    raise TypeError(f"a literal of type {kind} has no text")


def _date(days: int) -> str:
    value = date.fromordinal(days + _EPOCH)
    return f"{value.year:04d}.{value.month:02d}.{value.day:02d}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
