"""A node as a server process assembles it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.functions.registry import Registry
from engine.job_records import JobRecords
from engine.jobs import Jobs
from engine.node import Node
from engine.schedule import Schedule
from engine.session import Session
from engine.storage.catalogs import Catalogs
from engine.storage.databases import Databases
from engine.users import Users
from engine.views import FunctionViews

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


def assemble(
    data: Path,
    registry: Registry,
    *,
    admin: str = "admin",
    admin_password: str | None = None,
    memory_limit: int,
) -> ServerNode:
    """The node of a data folder, which is made if missing. Its stored functions are read with those of `registry`."""
    data.mkdir(parents=True, exist_ok=True)
    (data / "files").mkdir(exist_ok=True)
    node = ServerNode(data, memory_limit=memory_limit)
    node.users = Users(data / "users.json", admin, admin_password)
    node.jobs = Jobs()
    node.databases = Databases(data / "databases")
    node.catalogs = Catalogs(data / "catalogs.json", node.databases)
    node.schedule = Schedule(data / "schedule.json")
    node.job_records = JobRecords(data / "jobs")
    node.jobs.restore(node.job_records.load(lambda user: Session(0, node, user)))
    node.views = FunctionViews(data / "views.json", node.functions, registry)
    return node
