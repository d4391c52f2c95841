from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_the_exported_graph_asks(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DDB_AGENT_", "ALIBABA_", "DATABASE_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={**environment, "PYTHONPATH": str(ROOT), "DDB_AGENT_DATA_DIR": str(tmp_path / "data")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "Create a DolphinDB server with 1 vCPUs and 2 GiB on this machine for 1 h: free of charge."
    ]
