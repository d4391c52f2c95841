"""The graph under LangGraph's own server, spoken to with LangGraph's own client."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.paths import ROOT
from langgraph_sdk import get_client
from openai_server import Call, ScriptedOpenAI, Text, ToolCalls

from core.postgres import database_url, release_database
from core.settings import Settings
from engine import launcher


@pytest.fixture
def url(
    free_port: int,
    child_environment: dict[str, str],
    tmp_path: Path,
    scripted_openai: ScriptedOpenAI,
) -> Iterator[str]:
    """A running `langgraph dev` over langgraph.json, with the scripted model."""
    model = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 5}
    child_environment["DDB_AGENT_MODELS"] = json.dumps({"models": {"scripted": model}})
    child_environment["PYTHONFAULTHANDLER"] = "1"
    command = [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload"]
    address, output = f"http://127.0.0.1:{free_port}", tmp_path / "server.log"
    for _ in range(3):
        with (
            output.open("wb") as log,
            subprocess.Popen(
                [*command, "--port", str(free_port)], cwd=ROOT, env=child_environment, stdout=log, stderr=log
            ) as server,
        ):
            try:
                if _ready(address, server, output):
                    yield address
                    return
            finally:
                server.terminate()
                server.wait(20)
                _stop_what_it_started(tmp_path / "data")
    pytest.fail(f"langgraph dev crashed three times before its first line: {output.read_text()}")


def _stop_what_it_started(data: Path) -> None:
    launcher.stop(data / "engine")
    settings = Settings(_env_file=None, data_dir=data, database_url=None)
    database_url(settings)
    release_database(settings)


def _ready(address: str, server: subprocess.Popen[bytes], output: Path) -> bool:
    """False when the interpreter crashed while it imported that server, which was seen once in some hundred starts."""
    for _ in range(300):
        if (status := server.poll()) is not None:
            text = output.read_text()
            assert status == -signal.SIGSEGV, text
            assert "Welcome" not in text, text
            print(text)
            return False
        try:
            if httpx.get(f"{address}/ok").status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(output.read_text())


async def _events(stream: Any) -> list[Any]:
    return [part async for part in stream]


async def test_create_stream_interrupt_and_resume(
    url: str,
    scripted_openai: ScriptedOpenAI,
) -> None:
    async with get_client(url=url) as client:
        [assistant] = await client.assistants.search(graph_id="agent")
        drawing = await client.assistants.get_graph(assistant["assistant_id"])
        assert {"plan", "act", "tools", "human", "complete"} <= {node["id"] for node in drawing["nodes"]}
        script = "share table(1 2 3 as n) as served; exec sum(n) from served"
        scripted_openai.add(
            ToolCalls(Call("run_dolphindb_script", {"script": "6 * 7"})),
            ToolCalls(Call("run_dolphindb_script", {"script": script})),
            ToolCalls(Call("attempt_completion", {"answer": "The sum is 6."})),
            Text("You are welcome."),
        )
        thread = (await client.threads.create())["thread_id"]
        parts = await _events(
            client.runs.stream(
                thread,
                "agent",
                input={"messages": [{"role": "user", "content": "share and sum"}]},
                stream_mode=["updates", "messages-tuple"],
            )
        )
        assert not [part for part in parts if part.event == "error"], parts
        state = await client.threads.get_state(thread)
        [interrupt] = [item for task in state["tasks"] for item in task["interrupts"]]
        assert interrupt["value"]["action_requests"][0]["args"]["script"] == script
        assert interrupt["value"]["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject"]
        await _events(client.runs.stream(thread, "agent", command={"resume": {"decisions": [{"type": "approve"}]}}))
        state = await client.threads.get_state(thread)
        assert state["next"] == []
        assert state["values"]["answer"]["text"] == "The sum is 6."
        results = [message["content"] for message in state["values"]["messages"] if message["type"] == "tool"]
        assert "SCALAR INT: 42" in results[0]
        assert "6" in results[1]
        ended = await asyncio.wait_for(
            client.runs.wait(thread, "agent", input={"messages": [{"role": "user", "content": "thanks"}]}), 60
        )
        assert ended["answer"]["text"] == "You are welcome."
