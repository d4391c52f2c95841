"""What a question asks for, in the terms of the indexes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from rag.analysis import (
    CHINESE_STOPWORDS,
    PIECE,
    STOPWORDS,
    chinese_terms,
    chinese_words,
    latin_terms,
    split_identifier,
)
from rag.documents import Language
from rag.foreign import TOOLS, ForeignNames
from rag.lexicon import Lexicon, Translation
from rag.spelling import Speller

CORRECTED = 0.7
MAX_CHARACTERS = 4_000
MAX_TRANSLATIONS = 4
_RARE = 40
TOOL_NAME = 0.2
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_CALL = re.compile(r"`?(?<![\w:])([A-Za-z_][\w:]*!?)`?\s*\(|`([A-Za-z_][\w:]*!?)`")
_CAMEL = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]|\d|!$|::")


@dataclass(frozen=True)
class Question:
    """`terms` are weighted index terms in the question's own language, `other` those in the other one.

    `english` is the question for an English-only encoder, `carried` the share of its words that are in it. `words` are
    its words as index terms. `functions` are names of functions by how sure it is that the question means them, 0 to 1;
    `foreign` likewise, by way of another tool's name. `corrections` is what was misspelt.
    """

    text: str
    language: Language
    terms: Mapping[str, float]
    other: Mapping[str, float]
    english: str
    carried: float = 1.0
    words: tuple[str, ...] = ()
    functions: Mapping[str, float] = field(default_factory=dict)
    foreign: Mapping[str, float] = field(default_factory=dict)
    corrections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Understanding:
    """Turns text into a Question.

    `frequency` tells in how many documents a term stands; `names` maps lower-case names of functions to functions;
    `ordinary` tells words of the language at large, which are not misspelt though the documents do not use them.
    """

    lexicon: Lexicon
    speller: Speller
    name_speller: Speller
    foreign: ForeignNames
    names: Mapping[str, str]
    frequency: Mapping[str, int]
    ordinary: Callable[[str], bool]

    def understand(self, text: str) -> Question:
        """A question longer than MAX_CHARACTERS is cut there."""
        text = text[:MAX_CHARACTERS]
        chinese = bool(_CHINESE.search(text))
        terms: dict[str, float] = {}
        other: dict[str, float] = {}
        english: list[str] = []
        corrections: dict[str, str] = {}
        words: list[str] = []
        dropped = 0
        functions = self._functions(text, corrections)
        for piece in PIECE.findall(text):
            if piece[0] >= "\u3400":
                found = self._chinese(piece, terms, other, english, corrections)
                dropped += sum(len(word) for word in found if not self._translations(word))
                words.extend(found)
            else:
                self._latin(piece, terms, other, english, corrections, chinese=chinese)
                words.extend(latin_terms(corrections.get(piece, piece))[:1] if not piece[0].isdigit() else ())
        return Question(
            text=text,
            language="zh" if chinese else "en",
            terms=terms,
            other=other,
            english=" ".join(english) if chinese or corrections else text,
            carried=1 - dropped / sum(map(len, words)) if words else 1.0,
            words=tuple(words),
            functions=functions,
            foreign=self.foreign.find(text),
            corrections=corrections,
        )

    def _latin(
        self,
        piece: str,
        terms: dict[str, float],
        other: dict[str, float],
        english: list[str],
        corrections: dict[str, str],
        *,
        chinese: bool,
    ) -> None:
        corrected = corrections.get(piece)
        if corrected is None and len(split_identifier(piece)) == 1 and not self._well_spelt(piece.lower()):
            corrected = self.speller.correct(piece.lower())
        if corrected is not None:
            corrections[piece] = corrected
        english.append(corrected or piece)
        # The tool's own name tells nothing about what is asked for.
        weight = TOOL_NAME if piece.lower() in TOOLS else 1.0
        for term in latin_terms(piece):
            _add(terms, term, weight)
        for term in latin_terms(corrected) if corrected else ():
            _add(terms, term, CORRECTED)
        for term in latin_terms(corrected or piece):
            if chinese:
                _add(other, term, weight)
            else:
                for translation in self.lexicon.chinese(term)[:MAX_TRANSLATIONS]:
                    _add(other, translation.stem, translation.probability)

    def _chinese(
        self,
        run: str,
        terms: dict[str, float],
        other: dict[str, float],
        english: list[str],
        corrections: dict[str, str],
    ) -> list[str]:
        """Adds what the run asks for to the arguments; returns its words, corrected."""
        for term in chinese_terms(run):
            _add(terms, term, 1.0)
        folded = self._folded(run, corrections)
        for term in chinese_terms(folded) if folded != run else ():
            if term not in run:
                _add(terms, term, CORRECTED)
        words = [word for word in chinese_words(folded) if word not in CHINESE_STOPWORDS]
        for word in words:
            translations = self._translations(word)
            for number, translation in enumerate(translations[:2]):
                if number == 0 or translation.probability > 0.1:
                    english.append(translation.text)
            for translation in translations[:MAX_TRANSLATIONS]:
                _add(other, translation.stem, translation.probability)
        return words

    def _well_spelt(self, word: str) -> bool:
        return word in STOPWORDS or self.ordinary(word)

    def _folded(self, run: str, corrections: dict[str, str]) -> str:
        """The run with characters that only sound right put right; what was corrected is added to `corrections`."""
        taken: set[int] = set()
        meant = ((at, piece, self.speller.sounds_like(piece)) for at, piece in _doubtful(run, self.frequency))
        found = [(len(piece), word[1], at, piece, word[0]) for at, piece, word in meant if word is not None]
        folded = list(run)
        for size, _, at, piece, word in sorted(found, reverse=True):
            if taken.isdisjoint(range(at, at + size)):
                taken.update(range(at, at + size))
                corrections[piece] = word
                folded[at : at + size] = word
        return "".join(folded)

    def _translations(self, word: str) -> list[Translation]:
        found = self.lexicon.english(word)
        if found or len(word) < 3:
            return found
        for part in chinese_terms(word):
            found = [*found, *self.lexicon.english(part)[:2]]
        return found

    def _functions(self, text: str, corrections: dict[str, str]) -> dict[str, float]:
        """Functions named in the text: surely when written as code, else the surer the rarer the word is.

        Misspelt names are added to `corrections`.
        """
        found: dict[str, float] = {}
        called = {name.lower() for match in _CALL.findall(text) for name in match if name}
        for piece in PIECE.findall(text):
            name = self.names.get(piece.lower())
            if piece[0] >= "\u3400":
                continue
            if name is None and _CAMEL.search(piece) and len(piece) > 5:
                name = self.misspelt(piece)
                if name is not None:
                    found[name] = max(found.get(name, 0.0), 0.7)
                    corrections[piece] = name
                continue
            if name is None:
                continue
            if _CAMEL.search(piece) or piece.lower() in called:
                sure = 1.0
            elif piece.lower() in STOPWORDS:
                sure = 0.0
            elif len(piece) > 3 and not self.ordinary(piece.lower()):
                sure = 0.8
            else:
                sure = 0.6 / (1 + self.frequency.get(latin_terms(piece)[0], 0) / 40)
            found[name] = max(found.get(name, 0.0), sure)
        return {name: sure for name, sure in found.items() if sure > 0.02}

    def misspelt(self, name: str) -> str | None:
        """The function that a name which is none was meant to be."""
        match = self.name_speller.correct(name.lower().rstrip("!"))
        return self.names[match] if match else None


def _doubtful(run: str, known: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Where a wrong character may have broken a word: words themselves, parts of one that is unknown, and what joins a
    word of one character to its neighbours. Each with its place."""
    found: dict[tuple[int, str], None] = {}
    words = chinese_words(run)
    starts = [0, *accumulate(map(len, words))]
    for number, (at, word) in enumerate(zip(starts, words, strict=False)):
        found[at, word] = None
        if len(word) > 2 and not known.get(word, 0):
            found.update(((at + start, word[start : start + 2]), None) for start in range(len(word) - 1))
        elif len(word) == 1 and known.get(word, 0) < _RARE:
            before, after = words[number - 1] if number else "", words[number + 1] if number + 1 < len(words) else ""
            found[at - len(before), before + word] = None
            found[at, word + after] = None
            # A word of two may itself be the wrong half of a division.
            if len(before) == 2:
                found[at - 1, before[-1] + word] = None
            if len(after) == 2:
                found[at, word + after[0]] = None
    yield from ((at, piece) for at, piece in found if len(piece) > 1 and not set(piece) & CHINESE_STOPWORDS)


def _add(weights: dict[str, float], term: str, weight: float) -> None:
    old = weights.get(term, 0.0)
    weights[term] = min(2.0, old + weight) if weight >= 1 else max(old, weight)
