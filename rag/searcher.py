"""Questions to ranked results over one generation of the index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.analysis import stem
from rag.builder import read_manifest, topic_numbers
from rag.confidence import Evidence, confidence
from rag.dense import DenseIndex
from rag.documents import Chunk, Kind, Language, Page
from rag.embeddings import Encoder
from rag.foreign import ForeignNames
from rag.lexical import LexicalIndex
from rag.lexicon import Lexicon
from rag.query import Question, Understanding
from rag.spelling import Speller
from rag.store import Store, StoredChunk, StoredPage
from rag.units import Unit
from rag.vocabulary import phrases

Floats = NDArray[np.float64]

NEIGHBOURS = 160
CANDIDATES = 60
CONFIDENT_RESULTS = 5
COMMON = 12
RANK_CONSTANT = 10

# Weights of the lists in the reciprocal rank fusion.
OWN, OTHER, MEANING, PHRASE = 1.0, 0.6, 0.3, 1.2
# Weights of what reorders the candidates.
FUSED, SCORE, FEATURE, FOREIGN = 0.6, 1.0, 1.2, 1.5


@dataclass(frozen=True)
class Result:
    """One topic. `page` is the one in the question's language if there is one; `chunk` is its most fitting section."""

    topic: str
    function: str
    aliases: tuple[str, ...]
    signatures: tuple[str, ...]
    title: str
    source: str
    headings: tuple[str, ...]
    url: str
    language: Language
    kind: Kind
    first_line: int
    last_line: int
    text: str
    tokens: int
    hash: str
    page: int
    chunk: int
    score: float


@dataclass(frozen=True)
class Found:
    """`confidence` tells from 0 to 1 how likely it is that the index holds an answer."""

    question: Question
    results: list[Result]
    confidence: float


class Searcher:
    """One generation, loaded. Searching is thread-safe and takes milliseconds; loading takes about a second."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._store = Store(folder / "pages.db", readonly=True)
        self._lexical = LexicalIndex.load(folder / "lexical.npz")
        self._units = [Unit(*row) for row in json.loads((folder / "units.json").read_text("utf-8"))]
        numbers = topic_numbers(self._units)
        self._topics = list(numbers)
        self._topic_of_unit = np.array([numbers[unit.topic] for unit in self._units], np.int64)
        self._chinese = np.array([unit.language == "zh" for unit in self._units], np.bool_)
        # Users mix languages in one document: words of either are looked for in theirs.
        self._mixed = np.array([unit.kind not in ("function", "guide") for unit in self._units], np.bool_)
        self._pages: dict[int, StoredPage] = {item.id: item for item in self._store.pages(sections=False)}
        self._units_of_topic: dict[int, list[Unit]] = {}
        for unit, number in zip(self._units, self._topic_of_unit, strict=True):
            self._units_of_topic.setdefault(int(number), []).append(unit)
        # Nobody has written phrases for the user's own documents: their text stands for them.
        self._own_words = np.zeros(len(self._topics), np.bool_)
        self._own_words[self._topic_of_unit[self._mixed]] = True
        self._topic_of_function: dict[str, int] = {}
        for item in self._pages.values():
            if item.page.kind == "function":
                for name in (*item.page.aliases, item.page.function):
                    self._topic_of_function.setdefault(name, numbers[item.page.topic])
        self._names = {name.lower(): name for name in self._topic_of_function}
        self._encoder = encoder if (folder / "outside.npy").is_file() else None
        self._dense = DenseIndex.load(folder) if self._encoder is not None else None
        self._outside = np.load(folder / "outside.npy") if self._encoder is not None else np.zeros((1, 1), np.float32)
        self._understanding = Understanding(
            lexicon=Lexicon.load(folder / "lexicon.tsv"),
            speller=Speller(_words(folder / "words.txt")),
            name_speller=Speller(dict.fromkeys(self._names, 1)),
            foreign=ForeignNames({name: entry.foreign for name, entry in phrases().items()}),
            names=self._names,
            frequency=_Frequency(self._lexical),
            ordinary=self._encoder.knows if self._encoder is not None else self._in_many_texts,
        )

    def understand(self, text: str) -> Question:
        return self._understanding.understand(text)

    def search(self, question: str | Question, count: int = 10, *, kinds: Iterable[Kind] | None = None) -> list[Result]:
        """The best `count` topics. An empty or meaningless question has no results."""
        return self.find(question, count, kinds=kinds).results

    def find(self, question: str | Question, count: int = 10, *, kinds: Iterable[Kind] | None = None) -> Found:
        """As `search`, with how likely it is that the index knows about the question at all."""
        asked = self.understand(question) if isinstance(question, str) else question
        scores, likeness = self._scores(asked)
        if kinds is not None:
            wanted = set(kinds)
            for number, units in self._units_of_topic.items():
                if units[0].kind not in wanted:
                    scores[number] = 0
        best = _top(scores, count)
        results = self._results(best, asked, scores)
        evidence = self._evidence(asked, best[:CONFIDENT_RESULTS], likeness)
        return Found(asked, results, confidence(evidence) if results else 0.0)

    def page(self, function: str, language: Language = "en") -> tuple[Page, str] | None:
        """The page of a function and its source; by name or alias, letters of any case. None when there is none."""
        name = function if function in self._topic_of_function else self._names.get(function.lower())
        if name is None:
            return None
        number = self._topic_of_function[name]
        # An alias has no documentation of its own; a form that works in place has.
        wanted = name if name.endswith("!") else self._shown_name(number)
        chosen = min(
            self._units_of_topic[number],
            key=lambda unit: (
                self._pages[unit.page].page.function != wanted,
                unit.language != language,
            ),
        )
        stored = self._store.page(chosen.page)
        return stored.page, stored.source

    def chunks(self, page: int) -> list[tuple[int, Chunk]]:
        return [(item.id, item.chunk) for item in self._store.chunks(page)]

    def functions(self) -> list[str]:
        return list(self._topic_of_function)

    def canonical(self, function: str) -> str:
        """The name under which an alias is documented; a name nobody knows stays as it is."""
        number = self._topic_of_function.get(function)
        return self._shown_name(number) if number is not None else function

    def misspelt(self, name: str) -> str | None:
        """The function whose name was probably meant; None when no name is that near."""
        return self._understanding.misspelt(name)

    def foreign(self, text: str) -> dict[str, float]:
        return self._understanding.foreign.find(text)

    def _evidence(self, asked: Question, best: NDArray[np.int64], likeness: float | None) -> Evidence:
        named, foreign = (
            max((sure for name, sure in found.items() if self._topic_of_function.get(name) in best), default=0.0)
            for found in (asked.functions, asked.foreign)
        )
        # A Chinese word tells the more the longer it is.
        lengths = {word: len(word) / 2 if word[0] >= "\u3400" else 1.0 for word in asked.words}
        weights = {word: self._lexical.rarity(word) * length for word, length in lengths.items()}
        held = np.zeros(len(self._topics))
        for word, weight in weights.items():
            held[np.unique(self._topic_of_unit[self._lexical.holders(word)])] += weight
        total = sum(weights.values()) or 1.0
        unknown = sum(weight for word, weight in weights.items() if not self._lexical.frequency(word))
        return Evidence(
            share=float(held[best].max()) / total if len(best) else 0.0,
            unknown=unknown / total,
            named=named,
            foreign=foreign,
            likeness=likeness * asked.carried if likeness is not None else None,
        )

    def _scores(self, asked: Question) -> tuple[Floats, float | None]:
        """The final score of each topic, and how much nearer the question is to a passage than to what lies outside."""
        chinese = asked.language == "zh"
        own = self._by_topic(np.where((self._chinese == chinese) | self._mixed, self._lexical.score(asked.terms), 0))
        other = self._by_topic(np.where(self._chinese != chinese, self._lexical.score(asked.other), 0))
        # What stands in one language only counts in both.
        if own.any():
            alone = own * ((other.max() or own.max()) / own.max())
            other = np.where(self._own_words, np.maximum(other, alone), other)
        lists = [(own, OWN), (other, OTHER)]
        likeness = None
        if self._dense is not None and self._encoder is not None and asked.english.strip():
            text = asked.text if self._encoder.multilingual else asked.english
            vector = self._encoder.embed([text])[0]
            numbers, near = self._dense.nearest(vector, NEIGHBOURS)
            likeness = float(near.max(initial=0.0) - (self._outside @ vector).max())
            for phrase, weight in ((False, MEANING), (True, PHRASE)):
                chosen = (self._dense.phrase[numbers] == phrase) | self._own_words[self._dense.topics[numbers]]
                scores = np.zeros(len(self._topics))
                np.maximum.at(scores, self._dense.topics[numbers[chosen]], np.maximum(near[chosen], 0))
                lists.append((scores, weight))
        fused = self._features(asked, reciprocal_rank_fusion(lists))
        if not fused.any():
            return fused, likeness
        candidates = _top(fused, CANDIDATES)
        final = np.zeros(len(self._topics))
        final[candidates] = FUSED * fused[candidates] / fused.max()
        for scores, weight in lists:
            highest = scores.max()
            if highest > 0:
                final[candidates] += SCORE * weight * scores[candidates] / highest
        final[candidates] = self._features(asked, final, FEATURE)[candidates]
        return final, likeness

    def _features(self, asked: Question, scores: Floats, weight: float = 0.1) -> Floats:
        """Functions that the question names, itself or by way of another tool's name, are lifted."""
        lifted = scores.copy()
        for found, factor in ((asked.functions, 1.0), (asked.foreign, FOREIGN)):
            for function, sure in found.items():
                number = self._topic_of_function.get(function)
                if number is not None:
                    lifted[number] += weight * sure * factor
        return lifted

    def _in_many_texts(self, word: str) -> bool:
        return self._lexical.frequency(stem(word)) > COMMON

    def _by_topic(self, scores: NDArray[np.float32]) -> Floats:
        found = np.zeros(len(self._topics))
        np.maximum.at(found, self._topic_of_unit, scores)
        return found

    def _results(self, best: NDArray[np.int64], asked: Question, scores: Floats) -> list[Result]:
        chosen = []
        for number in (int(item) for item in best):
            shown = self._shown_name(number)
            unit = min(
                self._units_of_topic[number],
                key=lambda unit: (
                    unit.language != asked.language,
                    self._pages[unit.page].page.function != shown,
                ),
            )
            chosen.append((number, shown, unit))
        chunks = self._store.chunks_of([unit.page for _, _, unit in chosen])
        return [
            self._result(number, shown, unit, chunks[unit.page], asked, float(scores[number]))
            for number, shown, unit in chosen
        ]

    def _result(
        self, number: int, shown: str, unit: Unit, chunks: list[StoredChunk], asked: Question, score: float
    ) -> Result:
        stored = self._pages[unit.page]
        if unit.chunk:
            chosen = next(item for item in chunks if item.id == unit.chunk)
        else:
            chosen = max(chunks, key=lambda item: self._fit(item.chunk, asked))
        page, chunk = stored.page, chosen.chunk
        names = {self._pages[each.page].page.function for each in self._units_of_topic[number]} | set(page.aliases)
        return Result(
            topic=self._topics[number],
            function=shown,
            aliases=tuple(sorted(name for name in names if name and name != shown)),
            signatures=page.signatures,
            title=page.title,
            source=stored.source,
            headings=chunk.headings,
            url=page.url,
            language=page.language,
            kind=page.kind,
            first_line=chunk.first_line,
            last_line=chunk.last_line,
            text=chunk.text,
            tokens=chunk.tokens,
            hash=chunk.hash,
            page=unit.page,
            chunk=chosen.id,
            score=round(score, 4),
        )

    def _fit(self, chunk: Chunk, asked: Question) -> float:
        """How much of the question stands in the chunk; details come before examples, and these before the rest."""
        text = chunk.text.lower()
        shared = sum(1.0 for term in asked.terms if term in text)
        heading = chunk.headings[-1].lower()
        bonus = 2.0 if heading in ("details", "详情") else 1.0 if heading.startswith(("parameter", "参数")) else 0.0
        return shared + bonus

    def _shown_name(self, number: int) -> str:
        """Of a function and its aliases the one with a page of its own, in English if there is one."""
        topic = self._topics[number]
        names = [self._pages[unit.page].page.function for unit in self._units_of_topic[number]]
        return next((name for name in names if topic == f"function:{name.lower()}"), names[0])


class _Frequency(dict[str, int]):
    """Document frequencies, looked up in the index itself."""

    def __init__(self, index: LexicalIndex) -> None:
        super().__init__()
        self._index = index

    def __contains__(self, term: object) -> bool:
        return term in self._index.vocabulary

    def get(self, term: str, default: int = 0) -> int:  # type: ignore[override]
        return self._index.frequency(term) or default


def reciprocal_rank_fusion(lists: Iterable[tuple[Floats, float]], constant: int = RANK_CONSTANT) -> Floats:
    """Weighted lists of scores by number into one: each list gives weight / (constant + rank) to its best."""
    lists = list(lists)
    fused = np.zeros(len(lists[0][0]))
    for scores, weight in lists:
        best = _top(scores, CANDIDATES)
        fused[best] += weight / (constant + np.arange(len(best)))
    return fused


def _top(scores: Floats, count: int) -> NDArray[np.int64]:
    """Numbers of the highest positive scores, best first; equal ones in order of their number."""
    count = min(count, len(scores))
    if count <= 0:
        return np.zeros(0, np.int64)
    chosen = np.argpartition(-scores, count - 1)[:count]
    chosen = chosen[np.lexsort((chosen, -scores[chosen]))]
    return chosen[scores[chosen] > 0]


def _words(path: Path) -> dict[str, int]:
    rows = (line.split("\t") for line in path.read_text("utf-8").split("\n") if line)
    return {word: int(count) for word, count in rows}
