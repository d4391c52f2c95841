"""Fielded BM25 over numpy arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.analysis import terms


@dataclass(frozen=True)
class FieldWeight:
    """`weight` multiplies how often a term stands in the field, `length` says how much long fields are held back."""

    weight: float
    length: float


FIELDS: Mapping[str, FieldWeight] = {
    "name": FieldWeight(5.0, 0.3),
    "phrases": FieldWeight(4.0, 0.4),
    "signature": FieldWeight(1.0, 0.5),
    "headings": FieldWeight(2.0, 0.5),
    "summary": FieldWeight(2.5, 0.5),
    "text": FieldWeight(1.0, 0.75),
    "examples": FieldWeight(0.3, 0.75),
}
SATURATION = 1.4


class LexicalIndex:
    """Postings by term. `score` adds up precomputed impacts: one slice of an array for each term of the query."""

    def __init__(
        self,
        vocabulary: dict[str, int],
        starts: NDArray[np.int64],
        documents: NDArray[np.int32],
        impacts: NDArray[np.float32],
        size: int,
    ) -> None:
        self.vocabulary = vocabulary
        self.size = size
        self._starts = starts
        self._documents = documents
        self._impacts = impacts

    @classmethod
    def build(cls, documents: Iterable[Mapping[str, str]]) -> LexicalIndex:
        """Each document is its texts by the field names of FIELDS."""
        counted: list[dict[str, Counter[str]]] = [
            {field: Counter(terms(text)) for field, text in document.items()} for document in documents
        ]
        lengths = {field: [sum(counts.get(field, Counter()).values()) for counts in counted] for field in FIELDS}
        averages = {
            field: (sum(of) / max(1, sum(1 for length in of if length))) or 1.0 for field, of in lengths.items()
        }
        postings: dict[str, list[tuple[int, float]]] = {}
        for number, counts in enumerate(counted):
            weights: dict[str, float] = {}
            for field, of_field in counts.items():
                setting = FIELDS[field]
                norm = 1 - setting.length + setting.length * lengths[field][number] / averages[field]
                for term, count in of_field.items():
                    weights[term] = weights.get(term, 0.0) + setting.weight * count / norm
            for term, weight in weights.items():
                postings.setdefault(term, []).append((number, weight))
        size = len(counted)
        vocabulary = {term: number for number, term in enumerate(sorted(postings))}
        starts = np.zeros(len(vocabulary) + 1, np.int64)
        numbers: list[int] = []
        impacts: list[float] = []
        for term, position in vocabulary.items():
            found = postings[term]
            rarity = float(np.log(1 + (size - len(found) + 0.5) / (len(found) + 0.5)))
            for number, weight in found:
                numbers.append(number)
                impacts.append(rarity * weight * (SATURATION + 1) / (weight + SATURATION))
            starts[position + 1] = len(numbers)
        return cls(vocabulary, starts, np.array(numbers, np.int32), np.array(impacts, np.float32), size)

    def score(self, query: Mapping[str, float]) -> NDArray[np.float32]:
        """One number a document for weighted terms; unknown terms add nothing."""
        scores = np.zeros(self.size, np.float32)
        for term, weight in query.items():
            position = self.vocabulary.get(term)
            if position is not None:
                span = slice(self._starts[position], self._starts[position + 1])
                scores[self._documents[span]] += np.float32(weight) * self._impacts[span]
        return scores

    def rarity(self, term: str) -> float:
        """How much a term tells; a term nobody uses tells as much as one used once."""
        frequency = max(1, self.frequency(term))
        return float(np.log(1 + (self.size - frequency + 0.5) / (frequency + 0.5)))

    def holders(self, term: str) -> NDArray[np.int32]:
        """The documents in which the term stands."""
        position = self.vocabulary.get(term)
        return (
            self._documents[:0]
            if position is None
            else self._documents[self._starts[position] : self._starts[position + 1]]
        )

    def frequency(self, term: str) -> int:
        """In how many documents the term stands."""
        position = self.vocabulary.get(term)
        return 0 if position is None else int(self._starts[position + 1] - self._starts[position])

    def save(self, path: Path) -> None:
        words = "\n".join(self.vocabulary).encode()
        with path.open("wb") as file:
            np.savez(
                file,
                words=np.frombuffer(words, np.uint8),
                starts=self._starts,
                documents=self._documents,
                impacts=self._impacts,
                size=np.int64(self.size),
            )

    @classmethod
    def load(cls, path: Path) -> LexicalIndex:
        with np.load(path, allow_pickle=False) as stored:
            words: Sequence[str] = stored["words"].tobytes().decode().split("\n")
            vocabulary = {word: number for number, word in enumerate(words) if word}
            return cls(vocabulary, stored["starts"], stored["documents"], stored["impacts"], int(stored["size"]))
