"""Who is asking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["user", "admin"]

LOCAL = "local"


@dataclass(frozen=True)
class Principal:
    """A user as the server and the graphs see one; also LangGraph's `BaseUser`."""

    identity: str
    role: Role = "user"
    permissions: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """What else an `auth` hook says of the user; plain JSON, for graphs to read."""

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return str(self.more.get("display_name", self.identity))

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def as_dict(self) -> dict[str, Any]:
        return {**self.more, "identity": self.identity, "role": self.role, "permissions": list(self.permissions)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Principal:
        more = {key: value for key, value in found.items() if key not in ("identity", "role", "permissions")}
        return cls(found["identity"], found.get("role", "user"), list(found.get("permissions", [])), more)

    def __getitem__(self, key: str) -> Any:
        return self._fields()[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in (more := self.__dict__.get("more", {})):
            raise AttributeError(f"The user has no {name!r}.")
        return more[name]

    def __contains__(self, key: object) -> bool:
        return key in self._fields()

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def _fields(self) -> dict[str, Any]:
        return {**self.as_dict(), "is_authenticated": True, "display_name": self.display_name}
