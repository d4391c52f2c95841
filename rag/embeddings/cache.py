"""Vectors by the hash of their text, kept between builds."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embeddings import Encoder

_LOOKUP = 500
_CHARACTERS = 6_000
_WORKERS = 8


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def embed_cached(
    path: Path, encoder: Encoder, texts: Sequence[str], progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """Vectors of `texts`; only texts never seen before are encoded. Each batch is stored before the next begins."""
    hashes = [text_hash(text) for text in texts]
    with closing(sqlite3.connect(path, timeout=30)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors"
            " (model TEXT, hash TEXT, vector BLOB, PRIMARY KEY (model, hash)) WITHOUT ROWID"
        )
        known = _known(database, encoder.name, list(dict.fromkeys(hashes)))
        missing = [text for text in dict(zip(texts, hashes, strict=True)) if text_hash(text) not in known]
        missing.sort(key=len)
        done = 0
        with ThreadPoolExecutor(max(1, min(_WORKERS, os.cpu_count() or 1))) as pool:
            batches = list(_batches(missing))
            for batch, vectors in zip(batches, pool.map(encoder.embed, batches), strict=True):
                rows = [
                    (encoder.name, text_hash(text), vector.astype("<f4").tobytes())
                    for text, vector in zip(batch, vectors, strict=True)
                ]
                with database:
                    database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                known.update((digest, np.frombuffer(blob, "<f4")) for _, digest, blob in rows)
                done += len(batch)
                progress(done, len(missing))
    if not hashes:
        return np.zeros((0, 0), np.float32)
    return np.stack([known[digest] for digest in hashes])


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts of like length share a batch; a batch holds about as many characters whatever their length."""
    start = 0
    while start < len(texts):
        longest = len(texts[min(start + 31, len(texts) - 1)])
        size = max(8, min(128, _CHARACTERS // max(longest, 1)))
        yield list(texts[start : start + size])
        start += size


def _known(database: sqlite3.Connection, model: str, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(hashes), _LOOKUP):
        part = hashes[start : start + _LOOKUP]
        marks = ",".join("?" * len(part))
        rows = database.execute(
            f"SELECT hash, vector FROM vectors WHERE model = ? AND hash IN ({marks})",  # noqa: S608, only marks
            (model, *part),
        )
        found.update((digest, np.frombuffer(blob, "<f4")) for digest, blob in rows)
    return found
