"""What all sessions of one engine process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.session import Session
    from engine.values import Function, Value


@dataclass(eq=False)
class Node:
    """One engine process: its data folder, shared variables, sessions, users, jobs and databases.

    `users`, `jobs` and `databases` are set by the process that assembles the node; `lock` guards the
    dictionaries here.
    """

    data: Path
    shared: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    users: Any = None
    jobs: Any = None
    databases: Any = None
    lock: RLock = field(default_factory=RLock)
