"""Words of a question that mean a value of a column, in other letters or misspelt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rag.analysis import STOPWORDS, stem
from rag.spelling import edit_distance

# A word that names a value: letters, perhaps with digits and a suffix such as .SH.
WORD = re.compile(r"(?<![A-Za-z0-9_])(?=[0-9._-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.-]{2,}")
# Words of questions that are tickers too.
_EVERYDAY = """
all and any are average avg best by can chart close cost count day days draw fast find first for from get give
had has have here high hour how its key last latest less list low make max mean median min minute month more most
name new next not now number off old one open out over peak per plot price quote quotes rate real row rows save
second select show size sum table tables tell than the then this time top total trade trades true two use value
very volume week well what when where which who why with year years you
"""
EVERYDAY = frozenset(_EVERYDAY.split())
_TYPO_LENGTH = 5


@dataclass(frozen=True)
class Values:
    """Distinct values of a column. Unless they are `complete`, a word that is like one may be another one."""

    column: str
    values: frozenset[str]
    complete: bool = True


def matched(question: str, columns: Collection[Values]) -> Iterator[tuple[int, int, str]]:
    """Places of the question and the value that is meant there, where exactly one can be."""
    exact = {value for column in columns for value in column.values}
    names = {column.column.lower() for column in columns}
    by_lower: dict[str, set[str]] = {}
    for value in exact:
        by_lower.setdefault(value.lower(), set()).add(value)
    complete = bool(columns) and all(column.complete for column in columns)
    yield from _phrases(question, by_lower)
    for match in WORD.finditer(question):
        word = match[0].rstrip(".-_")
        lowered = word.lower()
        if word in exact or lowered in names or lowered in EVERYDAY or lowered in STOPWORDS:
            continue
        meant = by_lower.get(lowered, set())
        if not meant and complete and len(word) >= _TYPO_LENGTH and word.isalpha():
            near = [each for each in by_lower if edit_distance(lowered, each, 1) <= 1]
            meant = by_lower[near[0]] if len(near) == 1 and stem(near[0]) != stem(lowered) else set()
        if len(meant) == 1:
            yield match.start(), match.start() + len(word), next(iter(meant))


def _phrases(question: str, by_lower: dict[str, set[str]]) -> Iterator[tuple[int, int, str]]:
    """Values of several words, such as `New York`."""
    lowered = question.lower()
    for phrase, meant in by_lower.items():
        if " " in phrase and len(meant) == 1 and phrase in lowered:
            for match in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered):
                value = next(iter(meant))
                if len(lowered) == len(question) and question[match.start() : match.end()] != value:
                    yield match.start(), match.end(), value
