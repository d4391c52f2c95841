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

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return self.identity

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def as_dict(self) -> dict[str, Any]:
        return {"identity": self.identity, "role": self.role, "permissions": list(self.permissions)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Principal:
        return cls(found["identity"], found.get("role", "user"), list(found.get("permissions", [])))

    def __getitem__(self, key: str) -> Any:
        return {**self.as_dict(), "is_authenticated": True, "display_name": self.identity}[key]

    def __contains__(self, key: object) -> bool:
        return key in ("identity", "role", "permissions", "is_authenticated", "display_name")

    def __iter__(self) -> Iterator[str]:
        return iter(("identity", "role", "permissions", "is_authenticated", "display_name"))
