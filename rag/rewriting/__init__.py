"""Questions rewritten before acting: times made concrete, the user's terms and the data's values put in.

No model is called. What was changed is kept, so that it can be shown and undone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from rag.rewriting.times import Clock, resolve
from rag.spelling import edit_distance

Kind = Literal["time", "term", "value"]

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,}")
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Change:
    """A part of the original question, from `start` to `end`, and what stands there now."""

    kind: Kind
    start: int
    end: int
    original: str
    replacement: str


@dataclass(frozen=True)
class Rewriting:
    """The question as it was, as it is, and each difference."""

    original: str
    changes: tuple[Change, ...] = ()

    @property
    def text(self) -> str:
        parts, at = [], 0
        for change in self.changes:
            parts += [self.original[at : change.start], change.replacement]
            at = change.end
        return "".join([*parts, self.original[at:]])

    def without(self, *undone: Change) -> Rewriting:
        """The same with some changes taken back."""
        return Rewriting(self.original, tuple(change for change in self.changes if change not in undone))


def rewrite(
    question: str,
    clock: Clock,
    *,
    terms: Mapping[str, str] | None = None,
    values: Mapping[str, Collection[str]] | None = None,
    enabled: bool = True,
) -> Rewriting:
    """`terms` are the user's words and what they mean by them, `values` the distinct values of columns by name.

    Where two changes meet, a time comes before a term and a term before a value. With `enabled` false nothing changes.
    """
    if not enabled:
        return Rewriting(question)
    found = [*_times(question, clock), *_terms(question, terms or {}), *_values(question, values or {})]
    kept: list[Change] = []
    for change in found:
        if all(change.end <= other.start or change.start >= other.end for other in kept):
            kept.append(change)
    return Rewriting(question, tuple(sorted(kept, key=lambda change: change.start)))


def _times(question: str, clock: Clock) -> Iterable[Change]:
    chinese = bool(_CHINESE.search(question))
    for item in resolve(question, clock):
        first, last = day(item.first), day(item.last)
        between = f"{first} 至 {last}" if chinese else f"from {first} to {last}"
        text = first if first == last else between
        yield Change("time", item.start, item.end, question[item.start : item.end], text)


def day(value: date) -> str:
    """A date as DolphinDB writes it."""
    return f"{value.year:04}.{value.month:02}.{value.day:02}"


def _terms(question: str, terms: Mapping[str, str]) -> Iterable[Change]:
    for term in sorted(terms, key=len, reverse=True):
        border = "" if _CHINESE.search(term) else r"\b"
        for match in re.finditer(f"{border}{re.escape(term)}{border}", question, re.IGNORECASE):
            yield Change("term", match.start(), match.end(), match[0], f"{match[0]} ({terms[term]})")


def _values(question: str, values: Mapping[str, Collection[str]]) -> Iterable[Change]:
    """Words that are a value in other letters, or one letter away from exactly one value."""
    exact = {value for of_column in values.values() for value in of_column}
    by_lower: dict[str, set[str]] = {}
    for value in exact:
        by_lower.setdefault(value.lower(), set()).add(value)
    for match in _WORD.finditer(question):
        word = match[0].rstrip(".-")
        if word in exact or word.lower() in (name.lower() for name in values):
            continue
        meant = by_lower.get(word.lower(), set())
        if not meant and len(word) >= 5:
            near = [lowered for lowered in by_lower if edit_distance(word.lower(), lowered, 1) <= 1]
            meant = by_lower[near[0]] if len(near) == 1 else set()
        if len(meant) == 1:
            yield Change("value", match.start(), match.start() + len(word), word, next(iter(meant)))
