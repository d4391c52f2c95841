from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import asyncio, json
from langgraph.checkpoint.memory import InMemorySaver
from graph.export import agent, deps
from provision.export import environments, provisioning

async def main():
    await agent()
    assert (await deps()).environments is await environments()
    graph = await provisioning()
    same = await provisioning()
    assert graph.checkpointer is None
    graph.checkpointer = InMemorySaver()
    config = {"configurable": {"thread_id": "t"}}
    request = {"name": "x", "cpu": 1, "memory": 2, "hours": 1, "workspace": False}
    result = await graph.ainvoke({"request": request}, config)
    print(json.dumps([each.value["action_requests"][0]["description"] for each in result["__interrupt__"]]))

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[str]:
    """Not below pytest's own folder: another session of pytest would take its rights away from the Postgres account."""
    with TemporaryDirectory(prefix="ddb-agent-export-", ignore_cleanup_errors=True) as folder:
        yield folder


def test_the_exported_graph_asks(folder: str) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DDB_AGENT_", "ALIBABA_", "DATABASE_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={**environment, "PYTHONPATH": str(ROOT), "DDB_AGENT_DATA_DIR": folder},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "Create a DolphinDB server with 1 vCPUs and 2 GiB on this machine for 1 h: free of charge."
    ]
