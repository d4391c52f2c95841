"""Regular expressions and patterns of wildcards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import regex

from engine.arguments import boolean_argument, integer_argument, text_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.functions.text.strings import changed_texts, mapped, measured_texts, object_array
from engine.operators.membership import like_pattern
from engine.types import Type
from engine.values import AnyVector, Scalar, Value, Vector, string

functions = Registry()

TEXT_LIMIT = 1 << 20
"""Longer texts are refused: the work of a pattern can grow faster than the text."""


SECONDS = 2.0
"""How long a pattern may work on one text: some take twice as long with every character."""
SHORT = 256
"""Texts up to this length are searched without letting other threads run meanwhile, which is faster."""


@dataclass(frozen=True)
class Expression:
    """A regular expression that gives up in time. Raises CallError for texts that are too long or take too long."""

    pattern: regex.Pattern[str]

    def first(self, text: str) -> regex.Match[str] | None:
        with _in_time(text) as concurrent:
            return self.pattern.search(text, timeout=SECONDS, concurrent=concurrent)

    def each(self, text: str) -> Iterator[regex.Match[str]]:
        with _in_time(text) as concurrent:
            yield from self.pattern.finditer(text, timeout=SECONDS, concurrent=concurrent)

    def replaced(self, text: str, replacement: Callable[[regex.Match[str]], str]) -> str:
        with _in_time(text) as concurrent:
            return str(self.pattern.sub(replacement, text, timeout=SECONDS, concurrent=concurrent))


@contextmanager
def _in_time(text: str) -> Iterator[bool]:
    if len(text) > TEXT_LIMIT:
        raise CallError(f"texts of more than {TEXT_LIMIT} characters cannot be searched.")
    try:
        yield len(text) > SHORT
    except TimeoutError:
        raise CallError(
            f"the pattern takes more than {SECONDS:g} seconds on one text. Avoid repetitions inside repetitions."
        ) from None


def compiled(pattern: Value) -> Expression:
    try:
        return Expression(regex.compile(text_argument(pattern, "pattern")))
    except regex.error as error:
        raise CallError(f"the pattern is not a regular expression: {error}.") from None


def _start(offset: Value | None) -> int:
    number = integer_argument(offset, "offset", 0)
    if number < 0:
        raise CallError("offset must be a non-negative integer.")
    return number


@functions.elementwise("regexCount", "str, pattern, [offset=0]")
def regex_count(x: Vector, pattern: Value, offset: Value | None = None) -> Vector:
    expression, start = compiled(pattern), _start(offset)

    def count(text: str) -> int:
        return sum(1 for _ in expression.each(text[start:]))

    return measured_texts(x, Type.INT, count, "str")


@functions.elementwise("regexFind", "str, pattern, [offset=0]")
def regex_find(x: Vector, pattern: Value, offset: Value | None = None) -> Vector:
    expression, start = compiled(pattern), _start(offset)

    def position(text: str) -> int:
        match = expression.first(text[start:])
        return start + match.start() if match else -1

    return measured_texts(x, Type.INT, position, "str")


@functions.builtin("regexFindStr", "str, pattern, [onlyFirst=true], [offset=0]")
def regex_find_text(x: Value, pattern: Value, only_first: Value | None = None, offset: Value | None = None) -> Value:
    expression, start = compiled(pattern), _start(offset)

    def matches(text: str) -> list[str]:
        return [match.group(0) for match in expression.each(text[start:]) if match.group(0)]

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

    def filled(match: regex.Match[str]) -> str:
        def group(reference: regex.Match[str]) -> str:
            mark = reference.group(1)
            if mark == "$":
                return "$"
            if mark == "&":
                return str(match.group(0))
            number = int(mark)
            return str(match.group(number) or "") if number <= (match.lastindex or 0) else ""

        return str(regex.sub(r"\$(\$|&|\d{1,2})", group, template))

    def changed(text: str) -> str:
        return text[:start] + expression.replaced(text[start:], filled)

    return changed_texts(x, changed, "str")


def _declare_like(name: str, *, ignore_case: bool, negated: bool) -> None:
    @functions.elementwise(name, "X, pattern")
    def matches(x: Vector, pattern: Value) -> Vector:
        expression = like_pattern(text_argument(pattern, "pattern"), ignore_case)
        return measured_texts(x, Type.BOOL, lambda text: (expression.fullmatch(text) is not None) != negated)


_declare_like("ilike", ignore_case=True, negated=False)
_declare_like("notLike", ignore_case=False, negated=True)
