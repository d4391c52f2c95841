"""What users and groups may do: rights granted or denied on objects by name.

Objects are `*`, a database (`dfs://db`), a table (`dfs://db/table`), a catalog, a function view (`f`, `module::f`) or
all views of a module (`module::*`). What is not granted is refused, a denial wins over any grant; administrators may
do all, and the owner of a database all in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.errors import ScriptError

TABLE_RIGHTS = ("TABLE_READ", "TABLE_INSERT", "TABLE_UPDATE", "TABLE_DELETE")
DATABASE_RIGHTS = (
    "DB_READ", "DB_INSERT", "DB_UPDATE", "DB_DELETE", "DBOBJ_CREATE", "DBOBJ_DELETE", "DB_MANAGE", "DB_OWNER",
)  # fmt: skip
CATALOG_RIGHTS = ("CATALOG_READ", "CATALOG_INSERT", "CATALOG_UPDATE", "CATALOG_DELETE", "CATALOG_MANAGE")
GLOBAL_RIGHTS = ("VIEW_OWNER", "SCRIPT_EXEC")
VIEW_EXEC = "VIEW_EXEC"
RIGHTS = (*TABLE_RIGHTS, *DATABASE_RIGHTS, *CATALOG_RIGHTS, VIEW_EXEC, *GLOBAL_RIGHTS)
SCHEMA_RIGHTS = {
    "SCHEMA_READ": "DB_READ", "SCHEMA_WRITE": "DB_WRITE", "SCHEMA_INSERT": "DB_INSERT", "SCHEMA_UPDATE": "DB_UPDATE",
    "SCHEMA_DELETE": "DB_DELETE", "SCHEMA_MANAGE": "DB_MANAGE", "SCHEMAOBJ_CREATE": "DBOBJ_CREATE",
    "SCHEMAOBJ_DELETE": "DBOBJ_DELETE",
}  # fmt: skip
"""Other names of rights, for databases that are named as schemas of catalogs."""
SEVERAL = {
    "CATALOG_WRITE": ("CATALOG_INSERT", "CATALOG_UPDATE", "CATALOG_DELETE"),
    "TABLE_WRITE": ("TABLE_INSERT", "TABLE_UPDATE", "TABLE_DELETE"),
    "DB_WRITE": ("DB_INSERT", "DB_UPDATE", "DB_DELETE"),
}
EVERYTHING = "*"
_DATABASE_WIDE = {
    "TABLE_READ": ("DB_READ",), "TABLE_INSERT": ("DB_INSERT",), "TABLE_UPDATE": ("DB_UPDATE",),
    "TABLE_DELETE": ("DB_DELETE",), "DBOBJ_CREATE": ("DB_MANAGE",), "DBOBJ_DELETE": ("DB_MANAGE",),
    "DB_MANAGE": ("DB_OWNER",),
}  # fmt: skip
_CATALOG_WIDE = {
    "TABLE_READ": "CATALOG_READ", "TABLE_INSERT": "CATALOG_INSERT", "TABLE_UPDATE": "CATALOG_UPDATE",
    "TABLE_DELETE": "CATALOG_DELETE", "DBOBJ_CREATE": "CATALOG_MANAGE", "DBOBJ_DELETE": "CATALOG_MANAGE",
    "DB_MANAGE": "CATALOG_MANAGE",
}  # fmt: skip


@dataclass
class Rights:
    """The rights of one user or group by name, each on a list of objects."""

    allowed: dict[str, list[str]] = field(default_factory=dict)
    denied: dict[str, list[str]] = field(default_factory=dict)

    def grant(self, right: str, objects: Iterable[str]) -> None:
        _move(right, objects, self.denied, self.allowed)

    def deny(self, right: str, objects: Iterable[str]) -> None:
        _move(right, objects, self.allowed, self.denied)

    def revoke(self, right: str, objects: Iterable[str]) -> None:
        """Take back a grant or denial; on everything (`*`) all of that right."""
        for single in single_rights(right):
            for name in objects:
                for states in (self.allowed, self.denied):
                    _remove(states, single, None if name == EVERYTHING else name)

    def rename(self, rights: Iterable[str], name: str, new_name: str | None) -> None:
        """Keep what is said about an object under its new name; with none, forget it."""
        for states in (self.allowed, self.denied):
            for right in rights:
                held = states.get(right, [])
                if name in held:
                    _remove(states, right, name)
                    if new_name is not None:
                        states.setdefault(right, []).append(new_name)

    def state(self, right: str) -> str:
        """`allow`, `deny` or `none` for a right on everything."""
        if EVERYTHING in self.denied.get(right, ()):
            return "deny"
        return "allow" if EVERYTHING in self.allowed.get(right, ()) else "none"


def single_rights(right: str) -> tuple[str, ...]:
    """A right as stored; TABLE_WRITE and the like stand for three. ScriptError for one this engine does not know."""
    right = SCHEMA_RIGHTS.get(right, right)
    if right in SEVERAL:
        return SEVERAL[right]
    if right not in RIGHTS:
        known = ", ".join((*RIGHTS, *SEVERAL))
        raise ScriptError(f"The embedded engine has no right [{right}]. It knows {known}.")
    return (right,)


def _move(right: str, objects: Iterable[str], source: dict[str, list[str]], target: dict[str, list[str]]) -> None:
    for single in single_rights(right):
        for name in objects:
            _remove(source, single, name)
            held = target.setdefault(single, [])
            if name not in held:
                held.append(name)


def _remove(states: dict[str, list[str]], right: str, name: str | None) -> None:
    kept = [each for each in states.get(right, ()) if name is not None and each != name]
    if kept:
        states[right] = kept
    else:
        states.pop(right, None)


def is_allowed(held: Iterable[Rights], right: str, database: str, table: str = "", catalog: str = "") -> bool:
    """Whether rights of a user and the user's groups together allow something on a database or one of its tables.

    `catalog` is the one the database is in.
    """
    objects = {EVERYTHING, database, f"{database}/{table}" if table else database}
    wanted = [(name, objects) for name in (right, *_DATABASE_WIDE.get(right, ()))]
    if catalog and right in _CATALOG_WIDE:
        wanted.append((_CATALOG_WIDE[right], {EVERYTHING, catalog}))
    together = list(held)
    if any(names & set(each.denied.get(name, ())) for each in together for name, names in wanted):
        return False
    if any(names & set(each.allowed.get(name, ())) for each in together for name, names in wanted):
        return True
    prefixes = [prefix for each in together for prefix in each.allowed.get("DB_OWNER", ()) if prefix.endswith("*")]
    return any(database.startswith(prefix[:-1]) for prefix in prefixes)


def may_execute(held: Iterable[Rights], view: str) -> bool:
    """Whether rights of a user and the user's groups together allow to call a function view."""
    together = list(held)
    namespace = view.rpartition("::")[0]
    objects = {EVERYTHING, view, f"{namespace}::{EVERYTHING}" if namespace else view}
    if any(objects & set(each.denied.get(VIEW_EXEC, ())) for each in together):
        return False
    return any(objects & set(each.allowed.get(VIEW_EXEC, ())) for each in together)
