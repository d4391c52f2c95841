"""Nearest passages by meaning, in Chroma."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Chroma's default search width misses 2.5 % of the true neighbours here.
SEARCH_WIDTH = 200
_BATCH = 2000
_COLLECTION = "passages"


class DenseIndex:
    """Vectors by number. `topics` and `phrase` say for each number whose passage it is and of which sort."""

    def __init__(self, collection: Any, topics: NDArray[np.int32], phrase: NDArray[np.bool_]) -> None:
        self._collection = collection
        self.topics = topics
        self.phrase = phrase

    @classmethod
    def build(cls, folder: Path, vectors: NDArray[np.float32], topics: Sequence[int], phrase: Sequence[bool]) -> None:
        client = _client(folder / "chroma")
        collection = client.create_collection(
            _COLLECTION,
            embedding_function=None,
            configuration={
                "hnsw": {"space": "cosine", "ef_search": SEARCH_WIDTH, "ef_construction": 200, "max_neighbors": 24}
            },
        )
        for start in range(0, len(vectors), _BATCH):
            part = vectors[start : start + _BATCH]
            collection.add(ids=[str(start + number) for number in range(len(part))], embeddings=part)
        np.savez(folder / "passages.npz", topics=np.array(topics, np.int32), phrase=np.array(phrase, np.bool_))
        _close(client)

    @classmethod
    def load(cls, folder: Path) -> DenseIndex:
        collection = _client(folder / "chroma").get_collection(_COLLECTION, embedding_function=None)
        with np.load(folder / "passages.npz", allow_pickle=False) as stored:
            return cls(collection, stored["topics"], stored["phrase"])

    def nearest(self, vector: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Numbers of the nearest passages and their cosine similarities, best first."""
        count = min(count, len(self.topics))
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        found = self._collection.query(query_embeddings=[vector], n_results=count, include=["distances"])
        numbers = np.array([int(number) for number in found["ids"][0]], np.int64)
        return numbers, 1 - np.array(found["distances"][0], np.float32)


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    folder.mkdir(exist_ok=True)
    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _close(client: Any) -> None:
    """Let go of the files, so that the folder can be renamed and opened anew under its new name."""
    client.close()
