"""The vocabulary of effects, and what is known of a value and a scope while a script is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from dolphin.script import effect_table as table
from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES


class Effect(IntEnum):
    """How far a script reaches; later values include earlier ones."""

    read = 0
    session = 1
    write = 2
    destroy = 3
    admin = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One place with an effect: the function or statement `name`, and why it counts."""

    effect: Effect
    span: s.Span
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Touched:
    """A database (`dfs://…`) or table named by literals; `table` is empty for the database as a whole."""

    database: str
    table: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Effects:
    findings: tuple[Finding, ...]
    touched: tuple[Touched, ...]

    @property
    def level(self) -> Effect:
        return max((finding.effect for finding in self.findings), default=Effect.read)

    @property
    def tables(self) -> tuple[str, ...]:
        """The named tables, each once: `dfs://db/table`, or a catalog path."""
        names = (
            f"{item.database}/{item.table}" if item.database else item.table for item in self.touched if item.table
        )
        return tuple(dict.fromkeys(names))

    @property
    def databases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item.database for item in self.touched if item.database))


class Kind(IntEnum):
    """Where a value lives; a change of anything but LOCAL reaches beyond the session."""

    LOCAL = 0
    SHARED = 1
    STORED = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Value:
    kind: Kind
    database: str = ""
    name: str = ""
    code: bool = False


Functions: TypeAlias = tuple[s.Lambda, ...]
LOCAL = Value(Kind.LOCAL)
CODE = Value(Kind.LOCAL, code=True)
UNKNOWN = Value(Kind.UNKNOWN)


@dataclass(slots=True)
class Scope:
    """The variables known at one place. A copy is made for branches, whose assignments do not hide functions after."""

    values: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, Functions] = field(default_factory=dict)
    callables: set[str] = field(default_factory=set)
    query: bool = False

    def copy(self) -> Scope:
        return Scope(dict(self.values), dict(self.functions), set(self.callables), self.query)


def function_effect(name: str) -> Effect | None:
    """The effect of a documented function on unknown arguments; None when the name is not documented."""
    if name in table.ADMIN:
        return Effect.admin
    if name in table.DESTROY or name in table.REMOVERS:
        return Effect.destroy
    if name in table.WRITE or name in table.MUTATORS:
        return Effect.write
    if name in table.SESSION:
        return Effect.session
    if name in ("file", "database", "undef", "syncDict"):
        return Effect.write if name != "undef" else Effect.destroy
    return Effect.read if name in BUILTIN_NAMES else None


def literal_text(node: s.Node | None) -> str | None:
    return node.value if isinstance(node, s.Literal) and node.type == "STRING" else None


def member_path(node: s.Expression) -> list[str]:
    parts: list[str] = []
    while isinstance(node, s.Member):
        parts.append(node.name)
        node = node.target
    if isinstance(node, s.Name):
        parts.append(node.id)
    elif isinstance(node, s.Literal) and isinstance(node.value, str):
        parts.append(node.value)
    return parts[::-1]
