"""What to write instead of what other languages have: the second sentence of messages about scripts."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from dolphin.script.builtin_names import BUILTIN_NAMES

_SHORTEST_MISSPELT = 4

_ELSEWHERE = {
    "None": "The missing value is NULL.",
    "nil": "The missing value is NULL.",
    "undefined": "The missing value is NULL.",
    "True": "It is written true.",
    "False": "It is written false.",
    "append": "append!(x, y) adds y to x itself, join(x, y) makes a new vector.",
    "extend": "append!(x, y) adds the elements of y to x.",
    "elif": "Write else if (condition) { ... }.",
    "elseif": "Write else if (condition) { ... }.",
    "enumerate": "Loop over the positions: for (i in 0..(size(x) - 1)) { ... }.",
    "for": "There are no comprehensions: use each(f, x), or for (i in x) { ... }.",
    "if": "The condition stands in parentheses: if (x > 2) { ... }; a choice is iif(condition, a, b).",
    "import": "use loads a module, loadPlugin a plugin.",
    "isinstance": "typestr(x) tells the type, form(x) the form.",
    "lambda": "A function is written x -> x + 1 or def(x, y) { ... }.",
    "len": "size(x) counts the elements, count(x) those that are not NULL.",
    "let": "Variables are assigned without a keyword: x = 1.",
    "np": "There are no Python packages; functions such as sum, avg or std are built in.",
    "pd": "There are no Python packages; tables are queried with select.",
    "range": "The numbers from 0 to n - 1 are 0..(n-1) or til(n).",
    "sorted": "sort(x) returns a sorted copy.",
    "str": "string(x) converts to text.",
    "while": "The condition stands in parentheses: while (x > 2) { ... }.",
}


def remedy(name: str, known: Iterable[str] = ()) -> str:
    """A sentence about a name without meaning, or nothing: what other languages mean by it, or a name like it.

    `known` are names that could have been meant besides those of built-in functions.
    """
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    near = near_name(name, [*known, *BUILTIN_NAMES])
    return f"Did you mean {near}?" if near else ""


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The name most like one that is unknown, in its own spelling; short names are too alike to tell."""
    if len(name) < _SHORTEST_MISSPELT:
        return None
    spellings = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), spellings, n=1, cutoff=0.8)
    return spellings[near[0]] if near else None
