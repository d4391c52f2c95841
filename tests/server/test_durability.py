"""Processes that die, and what becomes of their runs."""

from __future__ import annotations

import asyncio
import json
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from langgraph_sdk import get_client
from served import Process, Starter
from served.marks import STEPS, done, until

from core.postgres import Pool
from server.allocator import return_free_memory


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def client_of(process: Process) -> Any:
    return get_client(url=process.url, api_key=None)


async def begin(client: Any, marks: Path) -> tuple[str, str]:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "steps", input={"file": str(marks)}, durability="sync")
    return thread, run["run_id"]


async def test_a_run_goes_on_in_another_process_after_kill_9(server: Process, start: Starter, marks: Path) -> None:
    """The run is made and executed by a server that dies; the tests' other server carries it on."""
    doomed = start.ready(start("serve"))
    async with client_of(doomed) as first, client_of(server) as second:
        thread, run = await begin(first, marks)
        await until(marks, 2)
        doomed.kill()
        parts = [part async for part in second.runs.join_stream(thread, run)]
        assert parts[-1].data["log"] == STEPS
        assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1, 2]
        numbers = [int(part.id) for part in parts]
        assert numbers == sorted(set(numbers))
        assert (await second.threads.get(thread))["status"] == "idle"
    assert done(marks)[0] == "one"
    assert done(marks).count("one") == 1
    assert len(done(marks)) <= 5


async def test_a_follower_in_another_process_sees_events_as_they_come(
    server: Process, start: Starter, marks: Path
) -> None:
    front = start.ready(start("serve", "--no-worker"))
    async with client_of(front) as there, client_of(server) as here:
        thread = (await there.threads.create())["thread_id"]
        begun = time.perf_counter()
        stream = there.runs.stream(thread, "steps", input={"file": str(marks)}, stream_mode="updates")
        seen = [(time.perf_counter() - begun, part.event) async for part in stream]
        updates = [moment for moment, event in seen if event == "updates"]
        assert len(updates) == 4
        assert updates[0] < 1.2
        assert updates[3] - updates[0] > 1.5
        assert (await here.threads.get_state(thread))["values"]["log"] == STEPS
        ended = await there.runs.wait(thread, "echo", input={"text": "on"})
        assert ended["log"][-1] == "on"
        run = await here.runs.create(thread, "slow", input={"text": "20"})
        await there.runs.cancel(thread, run["run_id"], wait=True)
        assert (await here.threads.get(thread))["status"] in ("idle", "interrupted")


async def test_the_sdk_itself_reconnects_after_a_restart(
    start: Starter, marks: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """The very same client call survives the death of its server, when one comes back at the same address."""
    doomed = start.ready(start("serve"))
    port = doomed.url.rpartition(":")[2]
    async with client_of(doomed) as client:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(
            thread, "steps", input={"file": str(marks)}, stream_mode="updates", durability="sync"
        )
        updates: list[str] = []

        async def follow() -> None:
            async for part in stream:
                if part.event == "updates":
                    updates.extend(part.data)

        following = asyncio.ensure_future(follow())
        await until(marks, 2)
        doomed.kill()
        start("serve", port=port)
        await asyncio.wait_for(following, 40)
    assert list(dict.fromkeys(updates)) == STEPS


async def test_a_run_tried_too_often_ends(client: Any, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "slow", input={"text": "20"})
    async with pool.connection() as held:
        await held.execute(
            "UPDATE runs SET worker = 'dead', attempt = 5, lease_until = now() - interval '1 s' WHERE run_id = %s",
            (run["run_id"],),
        )
    for _ in range(200):
        if (found := await client.runs.get(thread, run["run_id"]))["status"] == "error":
            break
        await asyncio.sleep(0.05)
    assert found["status"] == "error"
    assert (await client.threads.get(thread))["status"] == "error"
    assert (await client.runs.wait(thread, "echo", input={"text": "on"}))["log"] == ["on"]


async def test_connections_the_database_cut_are_replaced(client: Any, pool: Pool) -> None:
    """As after a restart of Postgres: every connection of the server is gone at once, in the middle of a run."""
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "slow", input={"text": "0.5"})
    async with pool.connection() as held:
        await held.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ddb-agent%'"
        )
    for _ in range(40):
        try:
            ended = await client.runs.join(thread, run["run_id"])
            break
        except Exception:  # whichever error the moment of the cut brings
            await asyncio.sleep(0.25)
    assert ended["log"] == ["0.5"]
    assert (await client.runs.wait(thread, "echo", input={"text": "on"}))["log"] == ["0.5", "on"]


async def test_every_line_about_a_run_names_it(client: Any, server: Process) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "boom", input={"text": ""})
    await client.runs.join(thread, run["run_id"])
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    of_run = [line for line in lines if line.get("run_id") == run["run_id"]]
    assert [line["message"] for line in of_run] == ["the run failed", "the run ended: error, attempt 1"]
    assert {line["thread_id"] for line in of_run} == {thread}
    assert "ValueError: boom!" in of_run[0]["exception"]
    assert of_run[0]["level"] == "error"
    mistaken = await client.runs.create(thread, "outer", input={"text": ""}, config={"recursion_limit": 1})
    await client.runs.join(thread, mistaken["run_id"])
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    [told, _] = [line for line in lines if line.get("run_id") == mistaken["run_id"]]
    assert (told["level"], told["message"]) == ("warning", "the run failed: GraphRecursionError")
    assert "exception" not in told
    about_runs = [line for line in lines if line["logger"] in ("server.worker", "server.webhooks")]
    assert all(line.get("run_id") and line.get("thread_id") for line in about_runs if " run " in line["message"])


async def test_a_graph_may_demand_that_each_step_is_stored_before_the_next(
    client: Any, pool: Pool, marks: Path
) -> None:
    thread = (await client.threads.create())["thread_id"]
    async with pool.connection() as held, held.transaction():
        await held.execute("LOCK TABLE checkpoints IN SHARE ROW EXCLUSIVE MODE")
        run = await client.runs.create(thread, "strict", input={"file": str(marks)}, durability="async")
        await asyncio.sleep(1.0)
        assert not await asyncio.to_thread(marks.exists)
    assert (await client.runs.join(thread, run["run_id"]))["log"] == STEPS
    assert done(marks) == STEPS


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves")
def test_memory_below_what_is_still_in_use_goes_back_to_the_system() -> None:
    process = psutil.Process()
    blocks = [bytes(1000) for _ in range(50_000)]
    last = blocks.pop()
    full = process.memory_info().rss
    blocks.clear()
    return_free_memory()
    assert full - process.memory_info().rss > 30_000_000
    assert len(last) == 1000


async def test_runs_of_graphs_that_are_not_served_are_left_to_others(client: Any, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "echo", input={"text": "hello"}, after_seconds=1)
    await _served_as(pool, run["run_id"], "elsewhere")
    await asyncio.sleep(2.5)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "pending"
    await _served_as(pool, run["run_id"], "echo")
    assert (await client.runs.join(thread, run["run_id"]))["log"] == ["hello"]


async def _served_as(pool: Pool, run_id: str, graph: str) -> None:
    async with pool.connection() as held:
        await held.execute("UPDATE runs SET graph_id = %s WHERE run_id = %s", (graph, run_id))
