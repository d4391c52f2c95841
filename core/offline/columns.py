"""Finding the columns that a text speaks of."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.offline.lexicon import CONCEPTS, QUALIFIERS, Concept
from core.offline.schema import Column, Table


@dataclass(frozen=True)
class Mention:
    """A place in the text and the columns it may mean: one, or several when the word fits several equally well."""

    start: int
    end: int
    columns: tuple[Column, ...]

    @property
    def column(self) -> Column:
        return self.columns[0]

    @property
    def is_ambiguous(self) -> bool:
        return len(self.columns) > 1


def name_parts(name: str) -> list[str]:
    """`temp_max` and `tempMax` are `temp`, `max`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [part for part in spaced.lower().split("_") if part]


def concepts_of(column: Column) -> list[Concept]:
    parts = name_parts(column.name)
    whole = "".join(parts)
    return [
        concept for concept in CONCEPTS if whole in concept.column_names or not concept.column_names.isdisjoint(parts)
    ]


def derived_columns(table: Table) -> list[tuple[str, Column]]:
    """Usual quantities that are no columns but can be told from them, each with the pattern that names it."""
    by_concept = {concept.name: column for column in reversed(table.measures) for concept in concepts_of(column)[:1]}
    derived = []
    if {"bid", "ask"} <= by_concept.keys():
        bid, ask = by_concept["bid"].name, by_concept["ask"].name
        derived.append((r"\bspreads?\b|价差", Column("spread", "DOUBLE", f"{ask} - {bid}")))
        derived.append((r"\bmid(?:[- ]?prices?)?\b|中间价", Column("mid", "DOUBLE", f"({bid} + {ask}) \\ 2")))
    if {"price", "volume"} <= by_concept.keys():
        price, volume = by_concept["price"].name, by_concept["volume"].name
        pattern = r"\b(?:turnover|notional|traded value|dollar volume)\b|成交额|成交金额|交易额"
        derived.append((pattern, Column("turnover", "DOUBLE", f"{price} * {volume}")))
    return derived


def find_mentions(text: str, table: Table) -> list[Mention]:
    """Mentions in order of their places; longer and more exact ones win over those they overlap."""
    found: list[tuple[int, int, int, Column]] = []
    for pattern, column in derived_columns(table):
        found += [
            (match.start(), match.end(), 3, column) for match in re.finditer(pattern, text, re.IGNORECASE | re.ASCII)
        ]
    for column in table.columns:
        for weight, words in _names(column):
            for word in words:
                found += [(match.start(), match.end(), weight, column) for match in _occurrences(word, text)]
    mentions: list[Mention] = []
    for start, end, weight, _ in sorted(found, key=lambda item: (item[0] - item[1], -item[2], item[0])):
        if any(start < mention.end and mention.start < end for mention in mentions):
            continue
        same = [item for item in found if item[:3] == (start, end, weight)]
        mentions.append(Mention(start, end, tuple(dict.fromkeys(item[3] for item in same))))
    return sorted(mentions, key=lambda mention: mention.start)


def _names(column: Column) -> Iterable[tuple[int, Sequence[str]]]:
    parts = name_parts(column.name)
    yield 3, (column.name, " ".join(parts))
    qualifier = next((name for name in QUALIFIERS if name in parts), None)
    for concept in concepts_of(column):
        if qualifier is not None:
            words = concept.words
            yield 2, [f"{q}{'' if _is_chinese(q) else ' '}{w}" for q in QUALIFIERS[qualifier] for w in words]
        yield 1, concept.words


def _is_chinese(text: str) -> bool:
    return not text.isascii()


def _occurrences(word: str, text: str) -> Iterable[re.Match[str]]:
    if _is_chinese(word):
        return re.finditer(re.escape(word), text)
    pattern = re.escape(word).replace(r"\ ", r"[ _-]?")
    plural = rf"{pattern[:-1]}(?:y|ies)" if word.endswith("y") else rf"{pattern}(?:e?s)?"
    return re.finditer(rf"(?<![A-Za-z0-9_]){plural}(?![A-Za-z0-9_])", text, re.IGNORECASE | re.ASCII)


def closest_column(name: str, columns: Sequence[str]) -> str | None:
    """The column a wrong name most likely means, or None when none is near."""
    by_lower = {column.lower(): column for column in columns}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    wanted = Column(name, "")
    parts = set(name_parts(name))
    kinds = {concept.name for concept in concepts_of(wanted)}
    scores: dict[str, float] = {}
    for column in columns:
        similarity = difflib.SequenceMatcher(None, name.lower(), column.lower()).ratio()
        shared = len(parts.intersection(name_parts(column))) / max(len(parts), 1)
        same_kind = 0.6 if kinds.intersection(concept.name for concept in concepts_of(Column(column, ""))) else 0.0
        scores[column] = max(similarity, shared + 0.1 * similarity, same_kind)
    best = max(scores, key=lambda column: scores[column], default=None)
    return best if best is not None and scores[best] >= 0.5 else None
