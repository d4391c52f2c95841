"""Misspelt words: English by edit distance, Chinese by characters that sound alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# GB 2312 orders its first-level characters by pronunciation: near in the table means near in sound.
_FIRST_LEVEL = range(0xB0, 0xD8)
_SOUND_DISTANCE = 14
_CANDIDATES = 24
# How often the word meant must occur, and how many times as often as the one written.
_COMMON, _COMMONER = 3, 20


class Speller:
    """Known words by how often they occur, English ones and Chinese ones of two to four characters."""

    def __init__(self, words: Mapping[str, int]) -> None:
        self._words = [word for word in words if len(word) >= 4 and word.isascii() and word.isalpha()]
        self._known = frozenset(words)
        self._counts = np.array([words[word] for word in self._words], np.float32)
        self._by_letters: dict[str, list[int]] = {}
        postings: dict[str, list[int]] = {}
        for number, word in enumerate(self._words):
            self._by_letters.setdefault("".join(sorted(word)), []).append(number)
            for pair in _pairs(word):
                postings.setdefault(pair, []).append(number)
        self._postings: dict[str, NDArray[np.int32]] = {
            pair: np.array(numbers, np.int32) for pair, numbers in postings.items()
        }
        self._chinese = {word: count for word, count in words.items() if 2 <= len(word) <= 4 and word[0] >= "\u3400"}
        self._chinese_but_one: dict[tuple[str, int, str], list[str]] = {}
        for word in self._chinese:
            for at, character in enumerate(word):
                self._chinese_but_one.setdefault((word[:at], len(word), word[at + 1 :]), []).append(character)

    def correct(self, word: str) -> str | None:
        """The known word that `word`, in lower case, was probably meant to be; None when it is known or unlike all."""
        if len(word) < 4 or word in self._known or not word.isalpha():
            return None
        shared = np.zeros(len(self._words), np.int16)
        for pair in _pairs(word):
            numbers = self._postings.get(pair)
            if numbers is not None:
                shared[numbers] += 1
        allowed = 1 if len(word) < 8 else 2
        best: tuple[int, float, str] | None = None
        if not len(shared):
            return None
        top = np.argpartition(-shared, min(_CANDIDATES, len(shared) - 1))[:_CANDIDATES]
        # In a short word two letters that changed places leave little else in common.
        for number in (*top, *self._by_letters.get("".join(sorted(word)), ())):
            candidate = self._words[number]
            if abs(len(candidate) - len(word)) > allowed:
                continue
            distance = edit_distance(word, candidate, allowed)
            if distance <= (allowed if candidate[0] == word[0] else 1):
                found = (distance, -float(self._counts[number]), candidate)
                best = found if best is None else min(best, found)
        return best[2] if best else None

    def sounds_like(self, word: str) -> tuple[str, int] | None:
        """The commonest known word that differs in one character of like sound, and how often it occurs; None for a
        word that is common enough itself."""
        own = self._chinese.get(word, 0)
        best: tuple[int, str] | None = None
        for at, character in enumerate(word):
            for other in self._chinese_but_one.get((word[:at], len(word), word[at + 1 :]), ()):
                if _alike(other, character):
                    candidate = word[:at] + other + word[at + 1 :]
                    found = (self._chinese[candidate], candidate)
                    best = found if best is None else max(best, found)
        if best is None or best[0] < max(_COMMON, _COMMONER * own):
            return None
        return best[1], best[0]


def edit_distance(left: str, right: str, limit: int) -> int:
    """Damerau-Levenshtein distance; any number above `limit` means further than that."""
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for row, character in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            cost = 0 if character == other else 1
            value = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + cost)
            if row > 1 and column > 1 and character == right[column - 2] and left[row - 2] == other:
                value = min(value, before_last[column - 2] + 1)
            current.append(value)
        if min(current) > limit:
            return limit + 1
        before_last, last = last, current
    return last[-1]


def _pairs(word: str) -> set[str]:
    """Neighbouring letters, the borders included, and the letters one apart, which survive a transposition."""
    framed = f"^{word}$"
    neighbours = {framed[at : at + 2] for at in range(len(framed) - 1)}
    return neighbours | {f"{word[at]}.{word[at + 2]}" for at in range(len(word) - 2)}


def _alike(left: str, right: str) -> bool:
    first, second = _place(left), _place(right)
    return left != right and first is not None and second is not None and abs(first - second) <= _SOUND_DISTANCE


def _place(character: str) -> int | None:
    try:
        code = character.encode("gb2312")
    except UnicodeEncodeError:
        return None
    return (code[0] - 0xB0) * 94 + code[1] - 0xA1 if len(code) == 2 and code[0] in _FIRST_LEVEL else None
