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
_CHARACTERS = 12_000
_WORKERS = 8


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def embed_cached(
    path: Path, encoder: Encoder, texts: Sequence[str], progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """Vectors of `texts`; only texts never seen before are encoded. Each batch is stored before the next begins."""
    hashes = [text_hash(text) for text in texts]
    with closing(_open(path)) as database:
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


def _open(path: Path) -> sqlite3.Connection:
    """What is no database any more is thrown away: everything in it can be made again."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors"
            " (model TEXT, hash TEXT, vector BLOB, PRIMARY KEY (model, hash)) WITHOUT ROWID"
        )
    except sqlite3.Error:
        database.close()
        raise
    return database


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in their order, about as many characters a batch."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


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
