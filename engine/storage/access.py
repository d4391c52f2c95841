"""Stored tables and databases as a session sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import ScriptError
from engine.session import Session
from engine.sql.source import Conjunct
from engine.storage.databases import PREFIX, Database
from engine.storage.disk_tables import DiskDatabase
from engine.storage.partitions import Level
from engine.storage.tables import TableStore
from engine.types import Type
from engine.users import GUEST
from engine.values import Handle, Scalar, Table, Value

DATABASE_KIND = "DB"
PARTITIONED_KIND = "SEGMENTED DFS TABLE"
DIMENSION_KIND = "DFS TABLE"


@dataclass(eq=False)
class Scheme:
    """A database handle without a directory: a partition scheme for in-memory tables and composite schemes."""

    levels: list[Level]


@dataclass(eq=False)
class OpenTable:
    """A stored table in the hands of a session; implements `engine.sql.source.StoredTable`."""

    store: TableStore
    session: Session

    @property
    def names(self) -> list[str]:
        return self.store.names

    @property
    def types(self) -> list[Type]:
        return self.store.types

    @property
    def rows(self) -> int:
        return self.store.rows

    def read(self, columns: Sequence[str] | None, conjuncts: Sequence[Conjunct]) -> Table:
        return self._granted("TABLE_READ").read(columns, conjuncts)

    def append(self, table: Table) -> int:
        return self._granted("TABLE_INSERT").append(table)

    def upsert(self, table: Table, keys: Sequence[str], ignore_null: bool) -> None:
        self._granted("TABLE_INSERT")
        self._granted("TABLE_UPDATE").upsert(table, keys, ignore_null)

    def rewrite(
        self, conjuncts: Sequence[Conjunct], change: Callable[[Table], Table | None], *, deletes: bool = False
    ) -> None:
        self._granted("TABLE_DELETE" if deletes else "TABLE_UPDATE").rewrite(conjuncts, change)

    def drop_columns(self, names: Sequence[str]) -> None:
        self._granted("DBOBJ_CREATE").drop_columns(names)

    def rename_column(self, name: str, new_name: str) -> None:
        self._granted("DBOBJ_CREATE").rename_column(name, new_name)

    def add_columns(self, names: Sequence[str], types: Sequence[Type], scales: Sequence[int]) -> None:
        self._granted("DBOBJ_CREATE").add_columns(names, types, scales)

    def _granted(self, right: str) -> TableStore:
        require_right(self.session, right, self.store.database, self.store.name)
        return self.store


_ACTIONS = {
    "TABLE_READ": "read", "TABLE_INSERT": "add rows to", "TABLE_UPDATE": "update rows of",
    "TABLE_DELETE": "delete rows of", "DBOBJ_CREATE": "create or change tables of", "DBOBJ_DELETE": "drop tables of",
    "DB_MANAGE": "manage",
}  # fmt: skip


def require_user(session: Session, action: str) -> None:
    """Guests change nothing and reach no files."""
    if session.user == GUEST:
        raise ScriptError(f"Not granted to {action}: log in first.")


def has_right(session: Session, right: str, database: str, table: str = "") -> bool:
    """Whether the user of the session may do something with a database, or one of its tables."""
    node = session.node
    if node.users is None:
        return True
    user = session.acting_user
    if user not in node.users.names():
        return False
    if node.users.may(user, right, database, table, node.catalogs.catalog_of(database) if node.catalogs else ""):
        return True
    if node.databases is None or not node.databases.exists(database):
        return False
    return bool(node.databases.get(database).owner == user)


def require_right(session: Session, right: str, database: str, table: str = "") -> None:
    if not has_right(session, right, database, table):
        what = f"the table [{database}/{table}]" if table else f"the database [{database}]"
        raise ScriptError(f"<NoPrivilege>Not granted to {_ACTIONS[right]} {what}. {_remedy(session, right)}")


def _remedy(session: Session, right: str) -> str:
    user = session.acting_user
    return "Log in first." if user == GUEST else f'An administrator can grant("{user}", {right}, ...).'


def require_catalog(session: Session, catalog: str) -> None:
    """Whether the user may manage a catalog, or without one make new ones."""
    users = session.node.users
    if users is not None and not users.may(session.acting_user, "CATALOG_MANAGE", catalog):
        what = f"the catalog [{catalog}]" if catalog else "catalogs"
        raise ScriptError(f"<NoPrivilege>Not granted to manage {what}. {_remedy(session, 'CATALOG_MANAGE')}")


def table_handle(store: TableStore, session: Session) -> Handle:
    kind = PARTITIONED_KIND if store.is_partitioned else DIMENSION_KIND
    return Handle(kind, store.url, OpenTable(store, session))


def database_handle(target: Database | DiskDatabase | Scheme) -> Handle:
    place = target.url if isinstance(target, Database) else target.folder if isinstance(target, DiskDatabase) else ""
    return Handle(DATABASE_KIND, f"DB[{place}]", target)


def database_of(value: Value | None, databases: Any) -> Database:
    """The database behind a handle or a `dfs://` path."""
    if isinstance(value, Handle) and isinstance(value.target, Database):
        return value.target
    if isinstance(value, Scalar) and value.type in (Type.STRING, Type.SYMBOL) and value.value:
        url = str(value.value)
        if not url.startswith(PREFIX):
            raise ScriptError(f"[{url}] is not the path of a database: it starts with dfs://.")
        found: Database = databases.get(url)
        return found
    raise ScriptError("A database handle or the path of a database is expected.")


def opened_table(value: Value) -> OpenTable | None:
    """The stored table behind a value, if it is one."""
    return value.target if isinstance(value, Handle) and isinstance(value.target, OpenTable) else None
