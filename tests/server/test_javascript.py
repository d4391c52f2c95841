"""LangGraph's JavaScript client and its React hook."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
import served
from served import Process
from served.packages import node_folder

SCRIPTS = Path(served.__file__).parent / "javascript"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("script", "scenarios"),
    [
        (
            "client.mjs",
            "assistants tokens subgraphs interrupts rejoining cancelling history searching store stateless crons",
        ),
        ("use_stream.mjs", "conversation interrupt reload failure"),
    ],
)
async def test_scenarios(server: Process, script: str, scenarios: str) -> None:
    folder = await asyncio.to_thread(node_folder)
    # A script finds its packages beside it.
    placed = folder / f"{uuid4().hex}.mjs"
    shutil.copyfile(SCRIPTS / script, placed)
    try:
        child = await asyncio.create_subprocess_exec(
            "node", placed.name, server.url, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(90):
            out, error = await child.communicate()
    finally:
        placed.unlink()
    assert child.returncode == 0, error.decode()
    assert out.decode().split() == scenarios.split()
