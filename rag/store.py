"""Pages and their chunks in one SQLite file: written by a build, then only read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rag.documents import Chunk, Kind, Language, Page, Section

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    source TEXT PRIMARY KEY, size INTEGER, modified INTEGER, digest TEXT, problem TEXT
);
CREATE TABLE IF NOT EXISTS page (
    id INTEGER PRIMARY KEY, source TEXT, topic TEXT, title TEXT, language TEXT, kind TEXT, url TEXT,
    function TEXT, signatures TEXT, aliases TEXT, sections TEXT
);
CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER PRIMARY KEY, page INTEGER, headings TEXT, text TEXT, first_line INTEGER, last_line INTEGER,
    tokens INTEGER, hash TEXT
);
CREATE INDEX IF NOT EXISTS page_source ON page (source);
CREATE INDEX IF NOT EXISTS page_function ON page (function);
CREATE INDEX IF NOT EXISTS chunk_page ON chunk (page);
"""
_KINDS = get_args(Kind)


@dataclass(frozen=True)
class FileRecord:
    """What a build knew about a file: enough to tell whether it has to be read again."""

    source: str
    size: int
    modified: int
    digest: str
    problem: str


@dataclass(frozen=True)
class StoredPage:
    id: int
    source: str
    page: Page


@dataclass(frozen=True)
class StoredChunk:
    id: int
    page: int
    chunk: Chunk


class Store:
    """Usable from several threads, one at a time each; SQLite itself serialises."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1" if readonly else f"{path.absolute().as_uri()}"
        self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
        if not readonly:
            self._database.execute("PRAGMA journal_mode=DELETE")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def commit(self) -> None:
        self._database.commit()

    def files(self) -> dict[str, FileRecord]:
        rows = self._database.execute("SELECT source, size, modified, digest, problem FROM file ORDER BY source")
        return {row[0]: FileRecord(*row) for row in rows}

    def remove(self, source: str) -> None:
        """Forget a file with all that came from it."""
        self._database.execute("DELETE FROM chunk WHERE page IN (SELECT id FROM page WHERE source = ?)", (source,))
        self._database.execute("DELETE FROM page WHERE source = ?", (source,))
        self._database.execute("DELETE FROM file WHERE source = ?", (source,))

    def touch(self, record: FileRecord) -> None:
        """Record a file whose content is the same but whose time is not."""
        self._database.execute(
            "UPDATE file SET size = ?, modified = ? WHERE source = ?", (record.size, record.modified, record.source)
        )

    def add(self, record: FileRecord, pages: Iterable[tuple[Page, list[Chunk]]]) -> None:
        self._database.execute(
            "INSERT INTO file VALUES (?, ?, ?, ?, ?)",
            (record.source, record.size, record.modified, record.digest, record.problem),
        )
        for page, chunks in pages:
            cursor = self._database.execute(
                "INSERT INTO page (source, topic, title, language, kind, url, function, signatures, aliases, sections)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.source, page.topic, page.title, page.language, page.kind, page.url, page.function,
                    json.dumps(page.signatures), json.dumps(page.aliases),
                    json.dumps([[s.headings, s.text, s.first_line, s.last_line] for s in page.sections]),
                ),
            )  # fmt: skip
            self._database.executemany(
                "INSERT INTO chunk (page, headings, text, first_line, last_line, tokens, hash)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (cursor.lastrowid, json.dumps(c.headings), c.text, c.first_line, c.last_line, c.tokens, c.hash)
                    for c in chunks
                ],
            )

    def pages(self, *, sections: bool) -> Iterator[StoredPage]:
        """All pages in the order of their ids; without `sections` these are left empty."""
        columns = "id, source, topic, title, language, kind, url, function, signatures, aliases"
        text = "sections" if sections else "'[]'"
        rows = self._database.execute(f"SELECT {columns}, {text} FROM page ORDER BY id")  # noqa: S608, constants
        yield from (_stored_page(row) for row in rows)

    def page(self, number: int) -> StoredPage:
        row = self._database.execute("SELECT * FROM page WHERE id = ?", (number,)).fetchone()
        return _stored_page(row)

    def chunks(self, page: int | None = None) -> list[StoredChunk]:
        """Chunks of one page, or of all, in reading order."""
        where, values = ("WHERE page = ?", (page,)) if page is not None else ("", ())
        rows = self._database.execute(
            f"SELECT id, page, headings, text, first_line, last_line, tokens, hash FROM chunk {where} ORDER BY id",  # noqa: S608, one of two constants
            values,
        )
        return [StoredChunk(row[0], row[1], Chunk(tuple(json.loads(row[2])), *row[3:])) for row in rows]

    def chunks_of(self, pages: Sequence[int]) -> dict[int, list[StoredChunk]]:
        """Chunks of several pages at once, by page, in reading order."""
        found: dict[int, list[StoredChunk]] = {page: [] for page in pages}
        marks = ",".join("?" * len(found))
        columns = "id, page, headings, text, first_line, last_line, tokens, hash"
        rows = self._database.execute(
            f"SELECT {columns} FROM chunk WHERE page IN ({marks}) ORDER BY id",  # noqa: S608, only constants and marks
            list(found),
        )
        for row in rows:
            found[row[1]].append(StoredChunk(row[0], row[1], Chunk(tuple(json.loads(row[2])), *row[3:])))
        return found

    def counts(self) -> dict[str, int]:
        """How many pages there are of each kind, and chunks."""
        found = dict(self._database.execute("SELECT kind, count(*) FROM page GROUP BY kind").fetchall())
        found["chunks"] = self._database.execute("SELECT count(*) FROM chunk").fetchone()[0]
        return found


def _stored_page(row: tuple[object, ...]) -> StoredPage:
    number, source, topic, title, language, kind, url, function, signatures, aliases, sections = row
    chinese: Language = "zh" if language == "zh" else "en"
    known: Kind = next(item for item in _KINDS if item == kind)
    return StoredPage(
        int(str(number)),
        str(source),
        Page(
            topic=str(topic),
            title=str(title),
            language=chinese,
            kind=known,
            sections=tuple(Section(tuple(item[0]), *item[1:]) for item in json.loads(str(sections))),
            url=str(url),
            function=str(function),
            signatures=tuple(json.loads(str(signatures))),
            aliases=tuple(json.loads(str(aliases))),
        ),
    )
