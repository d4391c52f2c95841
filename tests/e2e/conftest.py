from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from openai_server.fixtures import scripted_openai  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def child_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a child process: nothing configured, all data in a folder of the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DDB_AGENT_", "DATABASE_URL"))}
    return {**kept, "DDB_AGENT_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1", "COLUMNS": "200"}
