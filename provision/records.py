"""Environments and their groups as they are stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from provision.provider import Role

State: TypeAlias = Literal["PENDING", "PROVISIONING", "RUNNING", "DELETING", "DELETED", "ERROR"]
Ending: TypeAlias = Literal["DELETED", "ERROR"]

STATIC = "static"


@dataclass(frozen=True)
class EnvironmentRecord:
    """A rented or registered server. The secrets are encrypted; `ending` is where DELETING leads."""

    id: str
    owner: str
    name: str
    thread_id: str | None
    provider: str
    region: str
    state: State
    ending: Ending | None
    cpu: float | None
    memory: float | None
    hours: int | None
    workspace: bool
    spot: bool
    host: str | None
    port: int | None
    user_name: str
    secret: bytes | None = field(repr=False)
    secured_at: datetime | None
    workspace_host: str | None
    workspace_port: int | None
    workspace_secret: bytes | None = field(repr=False)
    error: str
    worker: str | None
    worker_until: datetime | None
    attempts: int
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime
    running_at: datetime | None
    expires_at: datetime | None
    warned_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class GroupRecord:
    """An attempt to create a group, entered before the call. `group_id` is None until the answer is known."""

    environment_id: str
    role: Role
    attempt: int
    client_token: str
    zone: str
    group_id: str | None
    intended_at: datetime
    created_at: datetime | None
    refused_at: datetime | None
    deleted_at: datetime | None

    @property
    def unresolved(self) -> bool:
        """Whether nobody knows if the group was made."""
        return self.group_id is None and self.refused_at is None and self.deleted_at is None


@dataclass(frozen=True)
class HistoryEntry:
    at: datetime
    state: State
    event: str
    detail: str


def client_token(environment_id: str, role: Role, attempt: int) -> str:
    """64 printable characters at most, the same for the same attempt in every process."""
    return hashlib.sha256(f"{environment_id}:{role}:{attempt}".encode()).hexdigest()[:48]
