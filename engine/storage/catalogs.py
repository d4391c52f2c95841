"""Catalogs: names for databases, so that tables are `catalog.schema.table` in SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import RLock

from engine.errors import ScriptError
from engine.storage.databases import Databases
from engine.storage.files import read_document, write_document

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Schemas = dict[str, str]


class Catalogs:
    """The catalogs of a node by name, each with its schemas and their databases, kept in a file.

    Names are found whatever their case. A database is in one catalog at most.
    """

    def __init__(self, path: Path, databases: Databases) -> None:
        self._path = path
        self._lock = RLock()
        self._catalogs: dict[str, Schemas] = {}
        if path.exists():
            # A crash may have come between dropping a database and its schema.
            for name, schemas in read_document(path)["catalogs"].items():
                self._catalogs[name] = {schema: url for schema, url in schemas.items() if databases.exists(url)}

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._catalogs)

    def name(self, catalog: str) -> str:
        """A catalog's name as it was created."""
        with self._lock:
            found = _spelled(self._catalogs, catalog)
        if found is None:
            raise ScriptError(f"The catalog [{catalog}] doesn't exist.")
        return found

    def exists(self, catalog: str) -> bool:
        with self._lock:
            return _spelled(self._catalogs, catalog) is not None

    def schemas(self, catalog: str) -> Schemas:
        """The databases of a catalog by schema."""
        with self._lock:
            return dict(sorted(self._catalogs[self.name(catalog)].items()))

    def url(self, catalog: str, schema: str) -> str | None:
        """The database of a schema; None if there is no such catalog or schema."""
        with self._lock:
            name = _spelled(self._catalogs, catalog)
            schemas = self._catalogs[name] if name is not None else {}
            found = _spelled(schemas, schema)
            return schemas[found] if found is not None else None

    def database(self, catalog: str, schema: str) -> str:
        """The database of a schema that must be there."""
        found = self.url(self.name(catalog), schema)
        if found is None:
            raise ScriptError(f"The schema [{schema}] doesn't exist in the catalog [{catalog}].")
        return found

    def catalog_of(self, url: str) -> str:
        """The catalog a database is in, or an empty string."""
        with self._lock:
            return next((name for name, schemas in self._catalogs.items() if url in schemas.values()), "")

    def create(self, catalog: str) -> None:
        _check_name(catalog)
        with self._lock:
            if self.exists(catalog):
                raise ScriptError(f"The catalog [{catalog}] already exists.")
            self._save({**self._catalogs, catalog: {}})

    def drop(self, catalog: str) -> None:
        """Forget a catalog and its schemas; their databases stay."""
        with self._lock:
            name = self.name(catalog)
            self._save({each: schemas for each, schemas in self._catalogs.items() if each != name})

    def rename(self, catalog: str, new_name: str) -> None:
        _check_name(new_name)
        with self._lock:
            name = self.name(catalog)
            if _spelled(self._catalogs, new_name) not in (None, name):
                raise ScriptError(f"The catalog [{new_name}] already exists.")
            self._save({new_name if each == name else each: schemas for each, schemas in self._catalogs.items()})

    def add(self, catalog: str, schema: str, url: str) -> None:
        """Give a database a name in a catalog."""
        with self._lock:
            self.check_free(catalog, schema)
            held = self.catalog_of(url)
            if held:
                raise ScriptError(f"The database [{url}] is in the catalog [{held}] already.")
            self._change(self.name(catalog), lambda schemas: schemas | {schema: url})

    def check_free(self, catalog: str, schema: str) -> None:
        """Whether a schema of that name can be made."""
        _check_name(schema)
        with self._lock:
            if _spelled(self._catalogs[self.name(catalog)], schema) is not None:
                raise ScriptError(f"The schema [{schema}] already exists in the catalog [{catalog}].")

    def remove(self, catalog: str, schema: str) -> None:
        """Forget a schema; its database stays."""
        with self._lock:
            url = self.database(catalog, schema)
            self._change(self.name(catalog), lambda schemas: {n: each for n, each in schemas.items() if each != url})

    def rename_schema(self, catalog: str, schema: str, new_name: str) -> None:
        _check_name(new_name)
        with self._lock:
            url = self.database(catalog, schema)
            if self.url(catalog, new_name) not in (None, url):
                raise ScriptError(f"The schema [{new_name}] already exists in the catalog [{catalog}].")
            self._change(
                self.name(catalog),
                lambda schemas: {new_name if each == url else name: each for name, each in schemas.items()},
            )

    def forget_database(self, url: str) -> None:
        """Drop the schema of a database that is gone."""
        with self._lock:
            name = self.catalog_of(url)
            if name:
                self._change(name, lambda schemas: {n: each for n, each in schemas.items() if each != url})

    def _change(self, catalog: str, change: Callable[[Schemas], Schemas]) -> None:
        self._save({**self._catalogs, catalog: change(self._catalogs[catalog])})

    def _save(self, catalogs: dict[str, Schemas]) -> None:
        write_document(self._path, {"catalogs": catalogs})
        self._catalogs = catalogs


def _spelled(names: Schemas | dict[str, Schemas], wanted: str) -> str | None:
    """A name as it is written among others, found without its case."""
    return next((name for name in names if name.lower() == wanted.lower()), None)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ScriptError(f"Invalid name [{name}]: it begins with a letter and has letters, digits and _ only.")
