"""Who is asking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["user", "admin"]

LOCAL = "local"
STUDIO_USER = "langgraph-studio-user"


@dataclass(frozen=True)
class Principal:
    """A user as the server and the graphs see one; also LangGraph's `BaseUser`."""

    identity: str
    role: Role = "user"
    permissions: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """What else an `auth` hook says of the user; plain JSON, for graphs to read."""
    headers: dict[str, str] = field(default_factory=dict, compare=False)
    """Those of the request that graphs may read; they are not kept with the user."""

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return str(self.more.get("display_name", self.identity))

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def is_studio(self) -> bool:
        return self.identity == STUDIO_USER

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

    def keys(self) -> Iterable[str]:
        return self._fields().keys()

    def values(self) -> Iterable[Any]:
        return self._fields().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._fields().items()

    def get(self, key: str, default: Any = None) -> Any:
        return self._fields().get(key, default)

    def _fields(self) -> dict[str, Any]:
        return {**self.as_dict(), "is_authenticated": True, "display_name": self.display_name}
