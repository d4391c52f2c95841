from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.command import Command, Prefork
from openai_server.fixtures import scripted_openai  # noqa: F401

from core.postgres import database_url
from core.settings import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_environment() -> dict[str, str]:
    """The environment of this process without anything that configures ddb-agent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DDB_AGENT_", "DATABASE_URL"))}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture
def child_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a child process: nothing configured, all data in a folder of the test."""
    return {**plain_environment(), "DDB_AGENT_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture(scope="session")
def prefork() -> Iterator[Prefork]:
    with Prefork(plain_environment()) as prefork:
        yield prefork


@pytest.fixture
def command(settings: Settings, prefork: Prefork) -> Command:
    """`ddb-agent` over the session's data folder, whose Postgres this process keeps running."""
    database_url(settings)
    return Command({**plain_environment(), "DDB_AGENT_DATA_DIR": str(settings.data_dir)}, prefork)
