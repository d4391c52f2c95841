"""Codes of the protocol that are not types."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Form(IntEnum):
    SCALAR = 0
    VECTOR = 1
    PAIR = 2
    MATRIX = 3
    SET = 4
    DICTIONARY = 5
    TABLE = 6
    CHART = 7


ARRAY = 64
"""Added to a type's code for an array vector of it."""
EXTENDED_SYMBOL = 145
"""A SYMBOL vector with its dictionary."""
NULL_DOUBLE = float(np.finfo(np.float64).min)
NULL_FLOAT = float(np.finfo(np.float32).min)
_DURATION_UNITS = ("ns", "us", "ms", "s", "m", "H", "d", "w", "M", "y", "B")


def duration_code(unit: str) -> int:
    """The number a unit of durations goes by; that of a trading calendar is made of its four letters."""
    if unit in _DURATION_UNITS:
        return _DURATION_UNITS.index(unit)
    return int.from_bytes(unit.encode("ascii"), "big")


def duration_unit(code: int) -> str | None:
    """The unit of durations with a number; None if there is none."""
    if 0 <= code < len(_DURATION_UNITS):
        return _DURATION_UNITS[code]
    letters = code.to_bytes(4, "big", signed=True)
    return letters.decode("ascii") if letters.isalpha() and letters.isupper() else None
