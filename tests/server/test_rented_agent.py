"""The whole work over HTTP: a server is rented, used and given back, by servers that die in the middle of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eci_emulator import KEY_ID, KEY_SECRET, EciEmulator
from eci_emulator.groups import Timing
from eci_emulator.settings import eci_settings
from eci_emulator.waiting import until
from langgraph_sdk import get_client
from openai_server import Call, ScriptedOpenAI, Step, ToolCalls
from psycopg.sql import SQL, Identifier
from served import Process, Starter

from core.postgres import Pool
from core.settings import Settings
from provision.vault import open_vault

pytestmark = pytest.mark.timeout(180)

CSV = """\
date,sym,price
2024.01.02,A,10
2024.01.02,B,12.5
2024.01.03,A,11
2024.01.03,B,15
"""
QUESTION = (
    "Create an environment for one hour, load this CSV into a partitioned database, show the daily average, write the"
    f" script to the workspace, and delete the environment.\n\n{CSV}"
)
LOAD = """\
t = table(2024.01.02 2024.01.02 2024.01.03 2024.01.03 as date, `A`B`A`B as sym, 10 12.5 11 15 as price)
db = database("dfs://prices", VALUE, 2024.01.02..2024.01.03)
createPartitionedTable(db, t, "daily", "date").append!(t)
exec count(*) from loadTable("dfs://prices", "daily")"""
AVERAGE = 'select avg(price) as average from loadTable("dfs://prices", "daily") group by date order by date'
SCRIPT = f"{LOAD}\n{AVERAGE}\n"
WORK = [
    Call("create_environment", {"name": "analysis", "cpu": 1, "memory": 2, "hours": 1}),
    Call("run_dolphindb_script", {"script": LOAD}),
    Call("run_dolphindb_script", {"script": AVERAGE}),
    Call("write_file", {"path": "scripts/daily.dos", "content": SCRIPT}),
    Call("delete_environment", {"environment": "analysis"}),
]


def reply(body: dict[str, Any]) -> Step:
    """A model that does the next piece of the work, and answers with what it was given."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if len(results) < len(WORK):
        return ToolCalls(WORK[len(results)])
    return ToolCalls(Call("attempt_completion", {"answer": f"The daily averages:\n{results[2]}"}))


@pytest.fixture
def serve(start: Starter, emulator: EciEmulator, scripted_openai: ScriptedOpenAI) -> Callable[[], Process]:
    """Starts the server of the agent, over the emulated cloud."""
    scripted_openai.add(*([reply] * 50))
    emulator.timing = Timing(running=1.0)
    chosen = eci_settings(emulator, provision_abandoned_seconds=60.0).model_dump(mode="json", exclude_unset=True)
    environment = {
        f"DDB_AGENT_{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
        for name, value in chosen.items()
    }
    model = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 20}
    environment["DDB_AGENT_MODELS"] = json.dumps({"models": {"scripted": model}})
    environment |= {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
    return lambda: start.ready(start("serve", "--agent", **environment))


async def asked(client: Any, thread: str) -> dict[str, Any]:
    """The one thing that the thread waits for."""
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted", (found["status"], found["values"].get("answer"))
    [[interrupt]] = found["interrupts"].values()
    [action] = interrupt["value"]["action_requests"]
    return dict(action)


async def approved(client: Any, thread: str) -> tuple[dict[str, Any], list[Any]]:
    """What the thread waits for after an approval, or its answer, and what was streamed meanwhile."""
    parts = [
        part
        async for part in client.runs.stream(
            thread, "agent", command={"resume": {"decisions": [{"type": "approve"}]}}, stream_mode=["custom", "updates"]
        )
    ]
    assert not [part for part in parts if part.event == "error"], parts
    return await client.threads.get(thread), parts


def logged(start: Starter, folder: Path) -> list[str]:
    paths = [process.log for process in start.started] + [path for path in folder.rglob("*log*") if path.is_file()]
    return [path.read_text(errors="replace") for path in paths]


async def passwords(pool: Pool, settings: Settings) -> list[str]:
    vault = open_vault((), settings.data_dir)
    async with pool.connection() as held:
        [row] = await (await held.execute("SELECT secret, workspace_secret FROM environments")).fetchall()
    return [vault.decrypt(row[name]).get_secret_value() for name in ("secret", "workspace_secret")]


async def test_an_environment_is_rented_used_and_given_back(
    serve: Callable[[], Process], start: Starter, emulator: EciEmulator, scripted_openai: ScriptedOpenAI,
    no_environments: None, pool: Pool, settings: Settings,
) -> None:  # fmt: skip
    first = await asyncio.to_thread(serve)
    async with get_client(url=first.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        question: Any = {"messages": [{"role": "user", "content": QUESTION}]}
        await client.runs.wait(thread, "agent", input=question)
        action = await asked(client, thread)
        assert action["description"] == (
            "Create a DolphinDB server with 1 vCPUs and 2 GiB on eci cn-test with a workspace for 1 h:"
            " about 0.49 CNY (an estimate)."
        )
    first.kill()
    assert emulator.groups == {}

    second = await asyncio.to_thread(serve)
    async with get_client(url=second.url, api_key=None) as client:
        assert (await asked(client, thread))["name"] == "create_environment"
        run = await client.runs.create(
            thread, "agent", command={"resume": {"decisions": [{"type": "approve"}]}}, stream_mode=["custom", "updates"]
        )
        await until(lambda: emulator.groups, 20)
    second.kill()
    assert [group.role for group in emulator.alive()] == ["database"]

    third = await asyncio.to_thread(serve)
    async with get_client(url=third.url, api_key=None) as client:
        parts = [part async for part in client.runs.join_stream(thread, run["run_id"])]
        steps = [part.data["step"] for part in parts if part.event == "custom" and "step" in part.data]
        assert [step for step in steps if step in ("secured", "running")] == ["secured", "running"], parts
        secrets = await passwords(pool, settings)
        action = await asked(client, thread)
        assert (action["name"], action["args"]["script"]) == ("run_dolphindb_script", LOAD)
        assert "createPartitionedTable" in action["description"]
        _, seen = await approved(client, thread)
        parts += seen
        action = await asked(client, thread)
        assert (action["name"], action["args"]["content"]) == ("write_file", SCRIPT)
        _, seen = await approved(client, thread)
        parts += seen
        [workspace] = [group for group in emulator.alive() if group.role == "workspace"]
        assert (workspace.folder / "project/scripts/daily.dos").read_text() == SCRIPT
        action = await asked(client, thread)
        assert action["description"].startswith("Delete environment analysis (env-")
        ended, seen = await approved(client, thread)
        parts += seen
        answer = ended["values"]["answer"]
        assert answer["status"] == "completed"
        assert "| 2024.01.02 | 11.25 |" in answer["text"]
        assert "| 2024.01.03 | 13 |" in answer["text"]
        history = await client.threads.get_history(thread, limit=100)
    assert await asyncio.to_thread(third.terminate) in (0, -15, 143)

    assert emulator.alive() == []
    assert sorted(group.role for group in emulator.groups.values()) == ["database", "workspace"]
    async with pool.connection() as held:
        rows = await (await held.execute("SELECT state, thread_id FROM environments")).fetchall()
        assert rows == [{"state": "DELETED", "thread_id": thread}]
        names = await (await held.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).fetchall()
        stored = [
            repr(await (await held.execute(SQL("SELECT * FROM {}").format(Identifier(row["tablename"])))).fetchall())
            for row in names
        ]
    told = [json.dumps(request.body) for request in scripted_openai.requests]
    logs = logged(start, settings.data_dir)
    for secret in secrets:
        assert len(secret) == 20
        assert not [text for text in (*stored, *told, *logs, repr(parts), repr(history)) if secret in text]
