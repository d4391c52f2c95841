"""Backups of stored tables: a folder for each table, with a file for each partition and a list of them.

A backup is changed like a table is: new files first, then the list, so that a crash leaves the backup there was.
"""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.errors import ScriptError
from engine.storage.files import read_document, removed_on_failure, sync_folder, write_document
from engine.values import Table
from engine.wire.decode import decode
from engine.wire.encode import Encoding, encode
from engine.wire.reader import StreamReader

_LIST = "backup.json"


@dataclass(frozen=True)
class SavedPartition:
    """`fingerprint` is of what the table held when it was saved, `version` the table's, `saved` seconds since 1970."""

    file: str
    rows: int
    version: int
    saved: float
    fingerprint: str
    checksum: int


@dataclass
class TableBackup:
    """What a backup holds of one table. `method` is `copy` or `sql`; partitions are by path, such as `/20240101/Key3`.

    `scheme` is what the database is made of, `schema` what the table is.
    """

    folder: Path
    url: str
    table: str
    method: str
    scheme: dict[str, Any]
    schema: dict[str, Any]
    partitions: dict[str, SavedPartition] = field(default_factory=dict)

    def save(self, path: str, rows: Table, version: int, fingerprint: str) -> None:
        """Write a partition in place of what was saved of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self.partitions.get(path)
        file = f"{time.time_ns()}.partition"
        checksum = _write(self.folder / file, rows)
        self.partitions[path] = SavedPartition(file, rows.rows, version, time.time(), fingerprint, checksum)
        self.store()
        if before is not None:
            (self.folder / before.file).unlink(missing_ok=True)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget the partitions that are gone."""
        kept = set(paths)
        gone = {path: saved for path, saved in self.partitions.items() if path not in kept}
        if gone:
            self.partitions = {path: saved for path, saved in self.partitions.items() if path in kept}
            self.store()
            for saved in gone.values():
                (self.folder / saved.file).unlink(missing_ok=True)

    def store(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {key: value for key, value in vars(self).items() if key not in ("folder", "partitions")}
        document["partitions"] = {path: asdict(saved) for path, saved in self.partitions.items()}
        write_document(self.folder / _LIST, document)

    def read(self, path: str) -> Table:
        """The rows of a partition. ScriptError if its file is damaged."""
        saved = self.partitions[path]
        data = self._data(saved)
        if data is None:
            raise ScriptError(f"The backup of [{self.url}{path}] of the table [{self.table}] is damaged.")
        rows = decode(StreamReader.over(data))
        assert isinstance(rows, Table)
        return rows

    def is_whole(self, path: str) -> bool:
        return self._data(self.partitions[path]) is not None

    def _data(self, saved: SavedPartition) -> bytes | None:
        try:
            data = (self.folder / saved.file).read_bytes()
        except FileNotFoundError:
            return None
        return data if zlib.crc32(data) == saved.checksum else None


def _write(path: Path, rows: Table) -> int:
    checksum = 0
    with removed_on_failure(path), path.open("wb") as file:
        for block in encode(rows, Encoding(all_types=True)):
            checksum = zlib.crc32(block, checksum)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return checksum


def _folder(root: Path, url: str, table: str) -> Path:
    return root / quote(url, safe="") / quote(table, safe="")


def table_backup(root: Path, url: str, table: str) -> TableBackup:
    """The backup of a table below a folder."""
    folder = _folder(root, url, table)
    if not (folder / _LIST).exists():
        raise ScriptError(f"There is no backup of the table [{table}] of the database [{url}] in [{root}].")
    return _read(folder)


def new_backup(
    root: Path, url: str, table: str, method: str, scheme: dict[str, Any], schema: dict[str, Any]
) -> TableBackup:
    """The backup of a table to be written to, with what it holds already. It must have been made in the same way."""
    folder = _folder(root, url, table)
    fresh = TableBackup(folder, url, table, method, scheme, schema)
    if (folder / _LIST).exists():
        before = _read(folder)
        if before.method != method:
            raise ScriptError(
                f"The backup of the table [{table}] in [{root}] was made by {_named(before.method)}: "
                "do it the same way, or choose another folder."
            )
        fresh.partitions = before.partitions
    return fresh


def _named(method: str) -> str:
    return "copying (dbPath)" if method == "copy" else "a query (sqlObj)"


def backups(root: Path, url: str | None = None) -> Iterator[TableBackup]:
    """All tables a folder has backups of, or those of one database."""
    for database in sorted(root.iterdir()) if root.is_dir() else []:
        if url is None or database.name == quote(url, safe=""):
            for folder in sorted(database.iterdir()):
                if (folder / _LIST).exists():
                    yield _read(folder)


def _read(folder: Path) -> TableBackup:
    document = read_document(folder / _LIST)
    partitions = {path: SavedPartition(**saved) for path, saved in document.pop("partitions").items()}
    return TableBackup(folder, **document, partitions=partitions)


def drop_backup(backup: TableBackup) -> None:
    (backup.folder / _LIST).unlink()
    shutil.rmtree(backup.folder)
