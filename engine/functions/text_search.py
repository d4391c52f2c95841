"""Regular expressions and patterns of wildcards."""

from __future__ import annotations

import re

import numpy as np

from engine.arguments import boolean_argument, integer_argument, text_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.strings import mapped, object_array
from engine.types import Type
from engine.values import AnyVector, Scalar, Value, Vector, string, vector

functions = Registry()

TEXT_LIMIT = 1 << 20
"""Longer texts are refused: the work of a pattern can grow faster than the text."""


def compiled(pattern: Value) -> re.Pattern[str]:
    try:
        return re.compile(text_argument(pattern, "pattern"))
    except re.error as error:
        raise CallError(f"the pattern is not a regular expression: {error}.") from None


def _start(offset: Value | None) -> int:
    number = integer_argument(offset, "offset", 0)
    if number < 0:
        raise CallError("offset must be a non-negative integer.")
    return number


def _checked(text: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise CallError(f"texts of more than {TEXT_LIMIT} characters cannot be searched.")
    return text


@functions.elementwise("regexCount", "str, pattern, [offset=0]")
def regex_count(x: Vector, pattern: Value, offset: Value | None = None) -> Vector:
    expression, start = compiled(pattern), _start(offset)
    found = mapped(x, lambda text: sum(1 for _ in expression.finditer(_checked(text)[start:])), "str")
    return vector(Type.INT, np.array(found, dtype=np.int32))


@functions.elementwise("regexFind", "str, pattern, [offset=0]")
def regex_find(x: Vector, pattern: Value, offset: Value | None = None) -> Vector:
    expression, start = compiled(pattern), _start(offset)

    def position(text: str) -> int:
        match = expression.search(_checked(text)[start:])
        return start + match.start() if match else -1

    return vector(Type.INT, np.array(mapped(x, position, "str"), dtype=np.int32))


@functions.builtin("regexFindStr", "str, pattern, [onlyFirst=true], [offset=0]")
def regex_find_text(x: Value, pattern: Value, only_first: Value | None = None, offset: Value | None = None) -> Value:
    expression, start = compiled(pattern), _start(offset)

    def matches(text: str) -> list[str]:
        return [match.group(0) for match in expression.finditer(_checked(text)[start:]) if match.group(0)]

    rows = mapped(as_vector(x), matches, "str")
    if boolean_argument(only_first, "onlyFirst", True):
        firsts = [row[0] if row else "" for row in rows]
        return string(firsts[0]) if isinstance(x, Scalar) else Vector(Type.STRING, object_array(firsts))
    found: list[Value] = [Vector(Type.STRING, object_array(row)) for row in rows]
    return found[0] if isinstance(x, Scalar) else AnyVector(found)


@functions.elementwise("regexReplace", "str, pattern, replacement, [offset=0]")
def regex_replace(x: Vector, pattern: Value, replacement: Value, offset: Value | None = None) -> Vector:
    expression, start = compiled(pattern), _start(offset)
    template = text_argument(replacement, "replacement")

    def filled(match: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            mark = reference.group(1)
            if mark == "$":
                return "$"
            if mark == "&":
                return match.group(0)
            number = int(mark)
            return (match.group(number) or "") if number <= (match.lastindex or 0) else ""

        return re.sub(r"\$(\$|&|\d{1,2})", group, template)

    def changed(text: str) -> str:
        return text[:start] + expression.sub(filled, _checked(text)[start:])

    return Vector(Type.STRING, object_array(mapped(x, changed, "str")))


def wildcard(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    """`%` stands for any characters, `?` for one."""
    parts = [".*" if each == "%" else "." if each == "?" else re.escape(each) for each in pattern]
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _declare_like(name: str, *, ignore_case: bool, negated: bool) -> None:
    @functions.elementwise(name, "X, pattern")
    def matches(x: Vector, pattern: Value) -> Vector:
        expression = wildcard(text_argument(pattern, "pattern"), ignore_case=ignore_case)
        found = mapped(x, lambda text: (expression.fullmatch(text) is not None) != negated)
        return vector(Type.BOOL, np.array(found, dtype=np.int8))


_declare_like("ilike", ignore_case=True, negated=False)
_declare_like("notLike", ignore_case=False, negated=True)
