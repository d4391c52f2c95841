"""The databases of a data folder."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import quote, unquote

from engine.errors import ScriptError
from engine.storage.files import read_document, sync_folder, write_document
from engine.storage.partitions import COMPO, SEQ, Level, RangeLevel, ValueLevel, level_from
from engine.storage.table_schema import TableSchema
from engine.storage.tables import TableStore
from engine.values import Array, Vector

PREFIX = "dfs://"
ENGINES = ("OLAP", "TSDB", "PKEY")

_URL = re.compile(r"dfs://[^/\s\"'`]+(/[^/\s\"'`]+)*")
_NAME = re.compile(r"[^/\\.\s\"'`][^/\\\"'`]*")


@dataclass(eq=False)
class Database:
    """`levels` has one entry per partitioning column; two or more make a composite scheme."""

    url: str
    folder: Path
    levels: list[Level]
    engine: str = "OLAP"
    atomic: str = "TRANS"
    owner: str = "admin"
    tables: dict[str, TableStore] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    scheme_lock: RLock = field(default_factory=RLock)
    """Guards the growth of `levels`, which all tables share; the last one that is taken."""
    dropped: bool = False

    @property
    def kind(self) -> int:
        """The code of the partition type; COMPO for several levels, SEQ's for none."""
        return COMPO if len(self.levels) > 1 else self.levels[0].kind if self.levels else SEQ

    def save(self) -> None:
        write_document(
            self.folder / "database.json",
            {
                "levels": [level.document() for level in self.levels],
                "engine": self.engine,
                "atomic": self.atomic,
                "owner": self.owner,
            },
        )

    def table(self, name: str) -> TableStore:
        with self.lock:
            store = self.tables.get(name)
        if store is None:
            raise ScriptError(f"The table [{name}] of the database [{self.url}] does not exist.")
        return store

    def create_table(self, name: str, schema: TableSchema) -> TableStore:
        """A new empty table; partitioned when the schema names partitioning columns."""
        if not _NAME.fullmatch(name):
            raise ScriptError(f"Invalid table name [{name}].")
        with self.lock:
            self._check_open()
            if name in self.tables:
                raise ScriptError(f"The table [{name}] of the database [{self.url}] already exists.")
            folder = self.folder / "tables" / quote(name, safe="")
            shutil.rmtree(folder, ignore_errors=True)
            TableStore.create(folder, schema)
            sync_folder(folder.parent)
            return self._open(name)

    def _open(self, name: str) -> TableStore:
        folder = self.folder / "tables" / quote(name, safe="")
        store = TableStore(folder, self.url, name, self.levels, self._assign)
        self.tables[name] = store
        return store

    def open_tables(self) -> None:
        """Load the tables on disk; folders without a manifest are what a crash left of a creation."""
        for folder in sorted((self.folder / "tables").iterdir()):
            if (folder / "manifest.json").exists():
                self._open(unquote(folder.name))
            else:
                shutil.rmtree(folder)

    def _assign(self, columns: Sequence[Vector]) -> list[Array]:
        """The partitions of rows, level by level. Those of new values are on disk before any row refers to them."""
        with self._growing():
            return [level.assign(column, extend=True) for level, column in zip(self.levels, columns, strict=True)]

    @contextmanager
    def _growing(self) -> Iterator[None]:
        """Save the scheme if it grew; it is as it was where that fails."""
        with self.scheme_lock:
            before = [level.count() for level in self.levels]
            try:
                yield
                if before != [level.count() for level in self.levels]:
                    self.save()
            except BaseException:
                for level, count in zip(self.levels, before, strict=True):
                    level.shrink(count)
                raise

    def drop_table(self, name: str) -> None:
        with self.lock:
            store = self.table(name)
            with store.lock:
                store.dropped = True
                del self.tables[name]
                (store.folder / "manifest.json").unlink()
                shutil.rmtree(store.folder)

    def rename_table(self, name: str, new_name: str) -> None:
        if not _NAME.fullmatch(new_name):
            raise ScriptError(f"Invalid table name [{new_name}].")
        with self.lock:
            store = self.table(name)
            if new_name in self.tables:
                raise ScriptError(f"The table [{new_name}] of the database [{self.url}] already exists.")
            with store.lock:
                target = store.folder.with_name(quote(new_name, safe=""))
                shutil.rmtree(target, ignore_errors=True)
                store.folder.rename(target)
                store.moved(target, new_name)
                del self.tables[name]
                self.tables[new_name] = store
                sync_folder(target.parent)

    def add_values(self, values: Sequence[Any], position: int) -> None:
        """Partitions for values of a VALUE level."""
        with self.lock:
            self._check_open()
            level = self.levels[position]
            if not isinstance(level, ValueLevel):
                raise ScriptError("addValuePartitions only works on a VALUE partition scheme.")
            with self._growing():
                level.add(list(values))

    def add_ranges(self, bounds: Sequence[Any], position: int) -> None:
        """Ranges that continue those of a RANGE level."""
        with self.lock:
            self._check_open()
            level = self.levels[position]
            if not isinstance(level, RangeLevel):
                raise ScriptError("addRangePartitions only works on a RANGE partition scheme.")
            ascending = all(low < high for low, high in itertools.pairwise(bounds))
            if len(bounds) < 2 or not ascending or bounds[0] != level.bounds[-1]:
                raise ScriptError(
                    "newRanges must be in ascending order and start with the last element of the partition scheme."
                )
            with self._growing():
                level.bounds.extend(bounds[1:])

    def scheme(self) -> list[dict[str, Any]]:
        return [level.document() for level in self.levels]

    def _check_open(self) -> None:
        if self.dropped:
            raise ScriptError(f"The database [{self.url}] was dropped.")


class Databases:
    """All databases below a folder, loaded at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = RLock()
        self._databases: dict[str, Database] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if (path / "database.json").exists():
                database = self._load(path)
                self._databases[database.url] = database
            elif path.is_dir():
                shutil.rmtree(path)

    def _load(self, path: Path) -> Database:
        document = read_document(path / "database.json")
        levels = [level_from(level) for level in document["levels"]]
        url = PREFIX + unquote(path.name)
        database = Database(url, path, levels, document["engine"], document["atomic"], document["owner"])
        (path / "tables").mkdir(exist_ok=True)
        database.open_tables()
        return database

    def urls(self) -> list[str]:
        with self._lock:
            return sorted(self._databases)

    def exists(self, url: str) -> bool:
        with self._lock:
            return url.rstrip("/") in self._databases

    def get(self, url: str) -> Database:
        with self._lock:
            database = self._databases.get(url.rstrip("/"))
        if database is None:
            raise ScriptError(f"The database [{url}] does not exist.")
        return database

    def create(self, url: str, levels: list[Level], engine: str, atomic: str, owner: str) -> Database:
        """A new database, or the existing one when it has the same scheme and engine."""
        url = url.rstrip("/")
        if not _URL.fullmatch(url) or ".." in url:
            raise ScriptError(f"Invalid database path [{url}]: it is dfs:// and a name.")
        with self._lock:
            existing = self._databases.get(url)
            if existing is not None:
                if not _same_scheme(existing.levels, levels) or existing.engine != engine:
                    raise ScriptError(
                        f"It is not allowed to overwrite an existing database [{url}] with a different partition "
                        "scheme or engine. Drop it first, or open it with database(directory)."
                    )
                return existing
            folder = self._folder / quote(url.removeprefix(PREFIX), safe="")
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "tables").mkdir(parents=True)
            # Handles of schemes, whose levels these are, may be used for other databases as well.
            database = Database(url, folder, deepcopy(levels), engine, atomic, owner)
            database.save()
            sync_folder(self._folder)
            self._databases[url] = database
            return database

    def drop(self, url: str) -> None:
        with self._lock:
            database = self.get(url)
            with database.lock:
                database.dropped = True
                for store in database.tables.values():
                    with store.lock:
                        store.dropped = True
                del self._databases[database.url]
                (database.folder / "database.json").unlink()
                shutil.rmtree(database.folder)


def _same_scheme(existing: list[Level], wanted: list[Level]) -> bool:
    """Whether the schemes agree; a VALUE scheme may have grown since."""
    if len(existing) != len(wanted):
        return False
    for old, new in zip(existing, wanted, strict=True):
        if isinstance(old, ValueLevel) and isinstance(new, ValueLevel):
            if old.type is not new.type or not set(new.values) <= set(old.values):
                return False
        elif old.document() != new.document():
            return False
    return True
