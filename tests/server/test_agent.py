"""The agent itself behind the server: plan, approval, result, artifacts, catalog."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import UnprocessableEntityError
from openai_server import Call, ScriptedOpenAI, Text, ToolCalls
from served import Process, Starter

from core.postgres import Pool
from dolphin.environment import Environment
from dolphin.sessions import Sessions


@pytest.fixture
async def agent(start: Starter, scripted_openai: ScriptedOpenAI) -> Process:
    model = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 5}
    return await asyncio.to_thread(
        lambda: start.ready(start("serve", "--agent", DDB_AGENT_MODELS=json.dumps({"models": {"scripted": model}})))
    )


async def test_the_agent(
    agent: Process,
    scripted_openai: ScriptedOpenAI,
    pool: Pool,
    environment: Environment,
    sessions: Sessions,
    thread_id: str,
) -> None:
    script = "share table(1 2 3 as n) as http_served; exec sum(n) from http_served"
    scripted_openai.add(
        ToolCalls(Call("run_dolphindb_script", {"script": script})),
        ToolCalls(Call("attempt_completion", {"answer": "The sum is 6."})),
        Text("You are welcome."),
    )
    async with (
        get_client(url=agent.url, api_key=None) as client,
        httpx.AsyncClient(base_url=agent.url, timeout=60) as http,
    ):
        thread = (await client.threads.create())["thread_id"]
        question: Any = {"messages": [{"role": "user", "content": "Share a table and add it up, please"}]}
        parts = [
            part
            async for part in client.runs.stream(
                thread, "agent", input=question, stream_mode=["updates", "messages-tuple"], context={"owner": "mallory"}
            )
        ]
        assert not [part for part in parts if part.event == "error"], parts
        found = await client.threads.get(thread)
        assert found["status"] == "interrupted"
        assert found["title"] == "Share a table and add it up, please"
        [[interrupt]] = found["interrupts"].values()
        assert interrupt["value"]["action_requests"][0]["args"]["script"] == script
        for wrong in ({"decisions": []}, {"decisions": [{"type": "respond", "message": "hm"}]}, {"odd": 1}):
            with pytest.raises(UnprocessableEntityError, match="does not fit"):
                async for _ in client.runs.stream(thread, "agent", command={"resume": wrong}):
                    pass
            assert (await client.threads.get(thread))["status"] == "interrupted"
        ended = await client.runs.wait(thread, "agent", command={"resume": {"decisions": [{"type": "approve"}]}})
        assert ended["answer"]["text"] == "The sum is 6."
        async with pool.connection() as held:
            cursor = await held.execute("SELECT owner, outcome FROM ledger WHERE thread_id = %s", (thread,))
            assert await cursor.fetchall() == [{"owner": "local", "outcome": "done"}]
        history = await client.threads.get_history(thread, limit=100)
        again = await client.runs.wait(
            thread, "agent", input={"messages": [{"role": "user", "content": "thanks"}]}, multitask_strategy="reject"
        )
        assert again["answer"]["text"] == "You are welcome."
        assert len(await client.threads.get_history(thread, limit=100)) > len(history)
        checked = (await http.post("/script/check", json={"script": 'dropDatabase("dfs://x")'})).json()
        assert checked["level"].lower() == "destroy"
        stored = await sessions.evaluate(environment, thread_id, "getClusterDFSDatabases()")
        assert sorted((await http.get("/databases")).json()["databases"]) == sorted(stored)
        tables = (await http.get("/tables", params={"thread_id": thread})).json()["tables"]
        assert "http_served" in [table["name"] for table in tables]
        usage = (await http.get("/usage")).json()["days"]
        assert usage[0]["runs"] >= 2
        await client.threads.delete(thread)
        async with pool.connection() as held:
            for name in ("ledger", "artifacts", "runs", "checkpoints", "checkpoint_writes", "checkpoint_blobs"):
                cursor = await held.execute(f"SELECT 1 FROM {name} WHERE thread_id = %s", (thread,))
                assert await cursor.fetchone() is None, name
