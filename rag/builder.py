"""Builds the knowledge base: reads what changed, then writes a new generation of the index."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInputError, UserError
from core.tokens import TokenCounter
from rag.analysis import PIECE, chinese_words, split_identifier
from rag.chunking import chunks_of
from rag.documents import Chunk, Page, Progress
from rag.embeddings import Encoder
from rag.embeddings.cache import embed_cached, text_hash
from rag.generations import Generations
from rag.lexical import LexicalIndex
from rag.lexicon import Lexicon
from rag.loaders import load
from rag.sources import SourceFile
from rag.store import FileRecord, Store
from rag.units import Unit, fields, parallel, passages, units_of
from rag.vocabulary import outside

FORMAT = 1


class CannotKeepError(UserError):
    """Pages that were to stay as they are cannot be taken over into a new index."""

    status = 503


@dataclass(frozen=True)
class BuildReport:
    """What a build did. `changed` is false when the index was up to date and nothing was written."""

    changed: bool
    read: int
    removed: int
    counts: dict[str, int]
    encoder: str
    seconds: float
    problems: dict[str, str] = field(default_factory=dict)


def build(
    root: Path,
    vectors: Path,
    sources: Sequence[SourceFile],
    encoder_name: str,
    make_encoder: Callable[[], Encoder | None],
    progress: Progress = lambda _stage, _done, _total: None,
    *,
    kept: Collection[str] = (),
) -> BuildReport:
    """Bring the index under `root` up to date with `sources`. `vectors` is the file of the cache of vectors. Blocks.

    `kept` are names of sources that cannot be read now: what the index has of them stays as it is.

    Raises CannotKeepError when it cannot stay, since another version of the program read it; ConflictError when another
    build is running, UserError when the disk is full; the old index then stays.
    """
    started = time.monotonic()
    generations = Generations(root)
    with generations.building():
        try:
            return _build(generations, vectors, sources, encoder_name, make_encoder, progress, started, kept)
        except Exception as error:
            if not _is_disk_failure(error):
                raise
            raise UserError(
                f"The knowledge base in {root} or its cache in {vectors.parent} cannot be written: the disk is full or "
                f"failing ({error}).",
                "The old index stays and goes on answering. Make room and build again.",
            ) from None


def _is_disk_failure(error: Exception) -> bool:
    """Also as SQLite and Chroma word it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR"))
    text = str(error).lower()
    return "disk is full" in text or "no space left" in text


def _build(
    generations: Generations,
    vectors: Path,
    sources: Sequence[SourceFile],
    encoder_name: str,
    make_encoder: Callable[[], Encoder | None],
    progress: Progress,
    started: float,
    kept: Collection[str],
) -> BuildReport:
    current = generations.current()
    manifest = read_manifest(current) if current else {}
    stamp, reading = _stamp(_INDEXING, encoder_name), _stamp(_READING)
    readable = manifest.get("format") == FORMAT and manifest.get("reading") == reading
    reusable = current if readable else None
    if kept and reusable is None:
        raise CannotKeepError("The index was made by another version of the program and has to be read anew.")
    known: dict[str, FileRecord] = {}
    if reusable is not None:
        store = Store(reusable / "pages.db", readonly=True)
        known = store.files()
        store.close()
    changes = _Changes.between(known, sources, kept)
    if reusable is not None and not changes and manifest.get("stamp") == stamp:
        return _report(manifest, changed=False, read=0, removed=0, seconds=time.monotonic() - started)
    with generations.new() as folder:
        if reusable is not None:
            shutil.copyfile(reusable / "pages.db", folder / "pages.db")
        store = Store(folder / "pages.db", readonly=False)
        try:
            _read(store, changes, progress)
            _index(store, folder, vectors, make_encoder, progress)
            manifest = {
                "format": FORMAT,
                "stamp": stamp,
                "reading": reading,
                "encoder": encoder_name,
                "built": time.time(),
                "seconds": round(time.monotonic() - started, 2),
                "counts": store.counts(),
                "problems": {record.source: record.problem for record in store.files().values() if record.problem},
            }
        finally:
            store.close()
        (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
    return _report(
        manifest,
        changed=True,
        read=len(changes.read),
        removed=len(changes.removed),
        seconds=time.monotonic() - started,
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return manifest


def _report(manifest: dict[str, Any], *, changed: bool, read: int, removed: int, seconds: float) -> BuildReport:
    return BuildReport(
        changed=changed,
        read=read,
        removed=removed,
        counts=manifest["counts"],
        encoder=manifest["encoder"],
        seconds=round(seconds, 2),
        problems=manifest["problems"],
    )


@dataclass
class _Changes:
    """`touched` are files whose time changed and whose content did not."""

    read: list[tuple[SourceFile, FileRecord]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    touched: list[FileRecord] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.read or self.removed)

    @classmethod
    def between(cls, known: dict[str, FileRecord], sources: Sequence[SourceFile], kept: Collection[str]) -> _Changes:
        changes = cls()
        for item in sources:
            record = _record(item, known.get(item.source))
            old = known.get(item.source)
            if old is None or record.digest != old.digest:
                changes.read.append((item, record))
            elif record != old:
                changes.touched.append(record)
        present = {item.source for item in sources}.union(kept)
        changes.removed = [source for source in known if source not in present]
        return changes


def _record(item: SourceFile, old: FileRecord | None) -> FileRecord:
    try:
        status = item.path.stat()
        if old is not None and (old.size, old.modified) == (status.st_size, status.st_mtime_ns):
            return old
        with item.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return FileRecord(item.source, 0, 0, f"unreadable {error.errno}", error.strerror or "cannot be read")
    problem = old.problem if old is not None and old.digest == digest else ""
    return FileRecord(item.source, status.st_size, status.st_mtime_ns, digest, problem)


def _read(store: Store, changes: _Changes, progress: Progress) -> None:
    counter = TokenCounter()
    for source in changes.removed:
        store.remove(source)
    for record in changes.touched:
        store.touch(record)
    for number, (item, record) in enumerate(changes.read):
        progress("reading", number, len(changes.read))
        store.remove(item.source)
        found: list[tuple[Page, list[Chunk]]] = []
        problem = record.problem
        if not problem:
            try:
                pages = load(item.path.read_bytes(), item.source, item.kind)
                found = [(page, chunks_of(page, counter.count)) for page in pages]
            except InvalidInputError as error:
                problem = str(error)
            except OSError as error:
                problem = error.strerror or "cannot be read"
            except Exception as error:  # a reader's bug must not cost the other files their place in the index
                problem = f"The reader failed: {type(error).__name__}: {error}"
        store.add(FileRecord(**{**asdict(record), "problem": problem}), found)
    store.commit()
    progress("reading", len(changes.read), len(changes.read))


def _index(
    store: Store, folder: Path, cache: Path, make_encoder: Callable[[], Encoder | None], progress: Progress
) -> None:
    stages = 3
    progress("indexing", 0, stages)
    stored = list(store.pages(sections=True))
    pages = [item.page for item in stored]
    found = list(units_of(stored, store.chunks()))
    texts = [fields(page, chunk) for _, page, chunk in found]
    LexicalIndex.build(texts).save(folder / "lexical.npz")
    progress("indexing", 1, stages)
    (folder / "words.txt").write_text("\n".join(f"{word}\t{count}" for word, count in _words(texts)), "utf-8")
    units = [list(asdict(unit).values()) for unit, _, _ in found]
    (folder / "units.json").write_text(json.dumps(units, ensure_ascii=False), "utf-8")
    Lexicon.learn(parallel(pages)).save(folder / "lexicon.tsv")
    progress("indexing", stages, stages)
    encoder = make_encoder()
    if encoder is None:
        return
    wanted = passages(found, multilingual=encoder.multilingual)
    elsewhere = outside().english + (outside().chinese if encoder.multilingual else ())
    vectors = embed_cached(
        cache,
        encoder,
        [*(item.text for item in wanted), *elsewhere],
        lambda done, of: progress("embedding", done, of),
    )
    np.save(folder / "outside.npy", vectors[len(wanted) :])
    from rag.dense import DenseIndex

    topics = topic_numbers(unit for unit, _, _ in found)
    DenseIndex.build(
        folder, vectors[: len(wanted)], [topics[item.topic] for item in wanted], [item.phrase for item in wanted]
    )


def topic_numbers(units: Iterable[Unit]) -> dict[str, int]:
    """Topics numbered in the order in which they first appear."""
    numbers: dict[str, int] = {}
    for unit in units:
        numbers.setdefault(unit.topic, len(numbers))
    return numbers


def _words(texts: Iterable[dict[str, str]]) -> list[tuple[str, int]]:
    """Words as written and how often; what occurs once may itself be a misspelling."""
    counts: Counter[str] = Counter()
    for document in texts:
        for name, text in document.items():
            if name != "examples":
                for piece in PIECE.findall(text):
                    if piece.isascii():
                        counts.update(part for part in split_identifier(piece) if len(part) > 3)
                    else:
                        counts.update(word for word in chinese_words(piece) if len(word) > 1)
    return [(word, count) for word, count in sorted(counts.items()) if count > 1]


def _stamp(folders: Sequence[str], more: str = "") -> str:
    """Changes when what is derived from unchanged files would change: it is of the program's own text."""
    parts = [more]
    for folder in folders:
        for path in sorted(Path(str(files("rag") / folder)).iterdir(), key=lambda path: path.name):
            if path.suffix in (".py", ".txt") and path.name not in _NOT_INDEXING:
                parts += [path.name, path.read_text("utf-8")]
    return text_hash("\n".join(parts))


_READING = ("loaders",)
_INDEXING = ("", "loaders", "vocabulary", "embeddings")
_NOT_INDEXING = {
    "evaluation.py",
    "export.py",
    "foreign.py",
    "functions.py",
    "hints.py",
    "knowledge.py",
    "passages.py",
    "query.py",
    "retrieval_graph.py",
    "searcher.py",
    "settings.py",
    "sources.py",
    "spelling.py",
}
