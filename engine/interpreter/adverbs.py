"""Function patterns (`f:E`) and the higher-order functions they stand for."""

from __future__ import annotations

ADVERB_FUNCTIONS = {
    "E": "each", "U": "loop", "L": "eachLeft", "R": "eachRight", "P": "eachPre", "O": "eachPost", "C": "cross",
    "A": "accumulate", "T": "reduce", "G": "groupby", "X": "contextby", "H": "byRow", "V": "byColumn",
    "J": "withNullFill",
}  # fmt: skip
