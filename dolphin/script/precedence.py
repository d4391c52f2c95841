"""How tightly DolphinDB's operators bind (higher binds tighter); all of them group to the left."""

from __future__ import annotations

LOWEST = 1
COMPARISON = 3
APPLICATION = 10
PAIR = 17

OPERATORS: dict[str, int] = {
    "||": 1,
    "&&": 2,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "==": 3,
    "!=": 3,
    "<>": 3,
    "|": 4,
    "^": 5,
    "&": 6,
    "<<": 7,
    ">>": 7,
    "+": 8,
    "-": 8,
    "*": 10,
    "/": 10,
    "\\": 10,
    "%": 10,
    "**": 10,
    "$": 10,
    "<-": 10,
    "..": 15,
    "@": 16,
    ":": 17,
}
WORD_OPERATORS: dict[str, int] = {"or": 1, "and": 2, "in": 3, "like": 3, "between": 3, "is": 3}
