"""Questions rewritten before acting: times made concrete, the user's terms and the data's values put in.

No model is called. What was changed is kept, so that it can be shown and undone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from core.offline.intents import literal_script
from rag.rewriting.clock import Clock
from rag.rewriting.times import resolve
from rag.rewriting.values import Values, matched

__all__ = ["Change", "Clock", "Rewriting", "Values", "day", "rewrite"]

Kind = Literal["time", "term", "value"]

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_DEFINED_HERE = re.compile(r"\s*(?:,\s*)?(?:I|we) mean\b|\s+means\b|\s*(?:是指|指的是|的意思)", re.IGNORECASE)


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

    @property
    def rest(self) -> str:
        """The question without what was changed."""
        parts, at = [], 0
        for change in self.changes:
            parts += [self.original[at : change.start], " "]
            at = change.end
        return "".join([*parts, self.original[at:]])

    def without(self, *words: str) -> Rewriting:
        """The same with these words, in letters of any case, left as they were."""
        left = {word.strip().lower() for word in words}
        return Rewriting(
            self.original, tuple(change for change in self.changes if change.original.strip().lower() not in left)
        )


def rewrite(
    question: str,
    clock: Clock,
    *,
    terms: Mapping[str, str] | None = None,
    values: Collection[Values] = (),
    enabled: bool = True,
) -> Rewriting:
    """`terms` are the user's words and what they mean by them, `values` what columns hold.

    Script that the question carries stays as it is. Where two changes meet, a time comes before a term and a term
    before a value. With `enabled` false nothing changes.
    """
    if not enabled:
        return Rewriting(question)
    literal = _literal(question)
    found = [*_times(question, clock), *_terms(question, terms or {}), *_values(question, values)]
    kept: list[Change] = []
    for change in found:
        apart = all(change.end <= other.start or change.start >= other.end for other in kept)
        if apart and all(change.end <= start or change.start >= end for start, end in literal):
            kept.append(change)
    return Rewriting(question, tuple(sorted(kept, key=lambda change: change.start)))


def _literal(question: str) -> list[tuple[int, int]]:
    places = [match.span() for match in _CODE.finditer(question)]
    script = literal_script(question)
    if script is not None and (start := question.find(script)) >= 0:
        places.append((start, start + len(script)))
    return places


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
    """The meaning stands behind the first mention of a term, unless the question itself says what it means."""
    for term in sorted(terms, key=len, reverse=True):
        left = r"(?<![A-Za-z0-9_])" if term[0].isascii() else ""
        right = r"(?![A-Za-z0-9_])" if term[-1].isascii() else ""
        for match in re.finditer(f"{left}{re.escape(term)}{right}", question, re.IGNORECASE):
            if not _DEFINED_HERE.match(question, match.end()):
                yield Change("term", match.start(), match.end(), match[0], f"{match[0]} ({terms[term]})")
                break


def _values(question: str, values: Collection[Values]) -> Iterable[Change]:
    for start, end, value in matched(question, values):
        yield Change("value", start, end, question[start:end], value)
