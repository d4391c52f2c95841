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
_TYPOS = 20
# What stands before a value that is written in small letters.
_LEADS = re.compile(
    r"(?:\b(?:in|at|for|from|near|of|and|or|vs|versus|is|not)\s+|[=,:，、\u3400-\u9fff]\s*)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Values:
    """Distinct values of a column. Unless they are `complete`, a word that is like one may be another one. `names` are
    other names that the question may use: of the table, of its other columns."""

    column: str
    values: frozenset[str]
    complete: bool = True
    names: frozenset[str] = frozenset()


def matched(question: str, columns: Collection[Values]) -> Iterator[tuple[int, int, str]]:
    """Places of the question and the value that is meant there, where exactly one can be."""
    exact = {value for column in columns for value in column.values}
    names = {name.lower() for column in columns for name in (column.column, *column.names)}
    by_lower: dict[str, set[str]] = {}
    for value in exact:
        by_lower.setdefault(value.lower(), set()).add(value)
    complete = bool(columns) and all(column.complete for column in columns)
    near: dict[str, list[str]] = {}
    yield from _phrases(question, by_lower)
    for match in WORD.finditer(question):
        word = match[0].rstrip(".-_")
        lowered = word.lower()
        if word in exact or lowered in names or lowered in EVERYDAY or lowered in STOPWORDS:
            continue
        meant = by_lower.get(lowered, set())
        like_a_name = word[0].isupper() or _LEADS.search(question[: match.start()]) is not None
        if not meant and complete and like_a_name and len(word) >= _TYPO_LENGTH and word.isalpha():
            if lowered not in near and len(near) < _TYPOS:
                near[lowered] = [each for each in by_lower if _misspelt(lowered, each)]
            found = near.get(lowered, [])
            meant = by_lower[found[0]] if len(found) == 1 and stem(found[0]) != stem(lowered) else set()
        if len(meant) == 1:
            yield match.start(), match.start() + len(word), next(iter(meant))


def _misspelt(word: str, value: str) -> bool:
    """Whether they are one edit apart. An edit leaves one half of a word as it is, which is quickly told."""
    half = len(word) // 2 - 1
    alike = value.startswith(word[:half]) or value.endswith(word[-half:])
    return alike and abs(len(word) - len(value)) <= 1 and value.isalpha() and edit_distance(word, value, 1) <= 1


def _phrases(question: str, by_lower: dict[str, set[str]]) -> Iterator[tuple[int, int, str]]:
    """Values of several words, such as `New York`."""
    lowered = question.lower()
    for phrase, meant in by_lower.items():
        if " " in phrase and len(meant) == 1 and phrase in lowered:
            for match in re.finditer(rf"(?<![a-z0-9_]){re.escape(phrase)}(?![a-z0-9_])", lowered):
                value = next(iter(meant))
                if len(lowered) == len(question) and question[match.start() : match.end()] != value:
                    yield match.start(), match.end(), value
