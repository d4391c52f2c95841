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
DURATION_UNITS = ("ns", "us", "ms", "s", "m", "H", "d", "w", "M", "y", "B")
