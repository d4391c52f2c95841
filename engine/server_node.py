"""A node as a server process assembles it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.jobs import Jobs
from engine.node import Node
from engine.storage.databases import Databases
from engine.users import Users

ALIAS = "local"
VERSION = "3.0.0 embedded"


@dataclass(eq=False)
class ServerNode(Node):
    """`memory_limit` is in bytes; `host` and `port` are where it listens, once it does."""

    alias: str = ALIAS
    host: str = "127.0.0.1"
    port: int = 0
    memory_limit: int = 8 * 2**30
    connection_limit: int = 256
    result_limit: int = 4 * 2**30
    started: float = field(default_factory=time.time)


def assemble(data: Path, *, admin: str = "admin", admin_password: str | None = None, memory_limit: int) -> ServerNode:
    """The node of a data folder, which is made if missing."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "files").mkdir(exist_ok=True)
    node = ServerNode(data, memory_limit=memory_limit)
    node.users = Users(data / "users.json", admin, admin_password)
    node.jobs = Jobs()
    node.databases = Databases(data / "databases")
    return node
