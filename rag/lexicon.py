"""A word lexicon between Chinese and English, learnt from pages that say the same in both (IBM model 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.analysis import CHINESE_STOPWORDS, PIECE, STOPWORDS, chinese_words, split_identifier, stem

ROUNDS = 5
MAX_WORDS = 60
BEST = 6
MIN_PROBABILITY = 0.03


@dataclass(frozen=True)
class Translation:
    """`text` is a word as written, `stem` its index term, `probability` how sure the pair is, seen from both sides."""

    text: str
    stem: str
    probability: float


class Lexicon:
    """Translations by word: Chinese words as segmented, English ones by stem."""

    def __init__(self, to_english: dict[str, list[Translation]], to_chinese: dict[str, list[Translation]]) -> None:
        self._to_english = to_english
        self._to_chinese = to_chinese

    def english(self, word: str) -> list[Translation]:
        return self._to_english.get(word, [])

    def chinese(self, stemmed: str) -> list[Translation]:
        return self._to_chinese.get(stemmed, [])

    def __len__(self) -> int:
        return len(self._to_english)

    @classmethod
    def learn(cls, pairs: Iterable[tuple[str, str]]) -> Lexicon:
        """`pairs` are passages (English, Chinese) with the same meaning, the shorter the better."""
        surfaces: dict[str, Counter[str]] = {}
        english_numbers: dict[str, int] = {}
        chinese_numbers: dict[str, int] = {}
        keys: list[NDArray[np.int64]] = []
        sentences: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for english, chinese in pairs:
            left = _english_words(english, surfaces)
            right = _chinese_words(chinese)
            if left and right:
                sentences.append(
                    (
                        np.array([english_numbers.setdefault(word, len(english_numbers)) for word in left]),
                        np.array([chinese_numbers.setdefault(word, len(chinese_numbers)) for word in right]),
                    )
                )
        if not sentences:
            return cls({}, {})
        width = len(english_numbers)
        groups_by_chinese: list[NDArray[np.int64]] = []
        groups_by_english: list[NDArray[np.int64]] = []
        by_chinese = by_english = 0
        for left_numbers, right_numbers in sentences:
            rows, columns = len(right_numbers), len(left_numbers)
            keys.append((right_numbers[:, None] * width + left_numbers[None, :]).ravel())
            groups_by_chinese.append(by_chinese + np.repeat(np.arange(rows), columns))
            groups_by_english.append(by_english + np.tile(np.arange(columns), rows))
            by_chinese += rows
            by_english += columns
        unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        chinese_of, english_of = unique // width, unique % width
        given_english = _expectation(inverse, np.concatenate(groups_by_chinese), by_chinese, english_of)
        given_chinese = _expectation(inverse, np.concatenate(groups_by_english), by_english, chinese_of)
        probability = np.sqrt(given_english * given_chinese)
        english_names, chinese_names = list(english_numbers), list(chinese_numbers)
        surface = {word: counts.most_common(1)[0][0] for word, counts in surfaces.items()}
        to_english: dict[str, list[Translation]] = {}
        to_chinese: dict[str, list[Translation]] = {}
        order = np.argsort(-probability, kind="stable")
        for pair in order[probability[order] >= MIN_PROBABILITY]:
            word, term = chinese_names[chinese_of[pair]], english_names[english_of[pair]]
            sure = round(float(probability[pair]), 4)
            found = to_english.setdefault(word, [])
            if len(found) < BEST:
                found.append(Translation(surface[term], term, sure))
            found = to_chinese.setdefault(term, [])
            if len(found) < BEST:
                found.append(Translation(word, word, sure))
        return cls(to_english, to_chinese)

    def save(self, path: Path) -> None:
        lines = [
            "\t".join([side, word, *(f"{item.text}|{item.stem}|{item.probability}" for item in found)])
            for side, table in (("zh", self._to_english), ("en", self._to_chinese))
            for word, found in table.items()
        ]
        path.write_text("\n".join(lines), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        tables: dict[str, dict[str, list[Translation]]] = {"zh": {}, "en": {}}
        for line in path.read_text("utf-8").split("\n"):
            side, _, rest = line.partition("\t")
            if rest:
                word, *items = rest.split("\t")
                parts = (item.split("|") for item in items)
                tables[side][word] = [Translation(text, term, float(sure)) for text, term, sure in parts]
        return cls(tables["zh"], tables["en"])


def _expectation(
    inverse: NDArray[np.int64], groups: NDArray[np.int64], group_count: int, given: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Model 1's t(word | given word) for every pair seen, by expectation maximisation."""
    probability = np.ones(len(given))
    total = np.bincount(given, minlength=int(given.max()) + 1)
    probability /= total[given]
    for _ in range(ROUNDS):
        share = probability[inverse]
        share /= np.bincount(groups, share, minlength=group_count)[groups]
        expected = np.bincount(inverse, share, minlength=len(given))
        probability = expected / np.bincount(given, expected)[given]
    return probability


def _english_words(text: str, surfaces: dict[str, Counter[str]]) -> list[str]:
    found: dict[str, None] = {}
    for piece in PIECE.findall(text):
        parts = split_identifier(piece)
        if len(parts) != 1 or not piece.isascii():
            continue
        word = parts[0]
        if word in STOPWORDS or len(word) < 2 or word.isdigit():
            continue
        term = stem(word)
        found[term] = None
        surfaces.setdefault(term, Counter())[word] += 1
    return list(found)[:MAX_WORDS]


def _chinese_words(text: str) -> list[str]:
    found: dict[str, None] = {}
    for piece in PIECE.findall(text):
        if piece[0] >= "\u3400":
            found.update((word, None) for word in chinese_words(piece) if word not in CHINESE_STOPWORDS)
    return list(found)[:MAX_WORDS]


def paragraphs(english: Sequence[str], chinese: Sequence[str]) -> list[tuple[str, str]]:
    """Paragraphs paired one to one when their number agrees, else all against all as one pair."""
    if len(english) == len(chinese):
        return list(zip(english, chinese, strict=True))
    return [("\n".join(english), "\n".join(chinese))]
