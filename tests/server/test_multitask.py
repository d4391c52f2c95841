"""Two messages at once on a thread, under each strategy; cancelling."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError


async def thread_with_past(client: Any) -> str:
    thread = str((await client.threads.create())["thread_id"])
    await client.runs.wait(thread, "echo", input={"text": "past"})
    return thread


async def running(client: Any, thread: str, seconds: str = "20") -> str:
    run = await client.runs.create(thread, "slow", input={"text": seconds})
    for _ in range(100):
        if (await client.runs.get(thread, run["run_id"]))["status"] == "running":
            break
        await asyncio.sleep(0.01)
    return str(run["run_id"])


async def test_reject(client: Any) -> None:
    thread = await thread_with_past(client)
    run = await running(client, thread)
    assert (await client.threads.get(thread))["status"] == "busy"
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "echo", input={"text": "no"}, multitask_strategy="reject")
    await client.runs.cancel(thread, run, wait=True)
    assert (await client.threads.get_state(thread))["values"]["log"] == ["past"]


async def test_enqueue_keeps_the_order(client: Any) -> None:
    thread = await thread_with_past(client)
    await running(client, thread, "0.3")
    made = await asyncio.gather(
        *[client.runs.create(thread, "echo", input={"text": str(n)}, multitask_strategy="enqueue") for n in range(4)]
    )
    last = max(made, key=lambda run: run["created_at"])
    ended = await client.runs.join(thread, last["run_id"])
    assert ended["log"][:2] == ["past", "0.3"]
    assert sorted(ended["log"][2:]) == ["0", "1", "2", "3"]
    assert (await client.threads.get(thread))["status"] == "idle"
    assert {run["status"] for run in await client.runs.list(thread)} == {"success"}


async def test_interrupt_keeps_what_was_done(client: Any) -> None:
    thread = await thread_with_past(client)
    first = await running(client, thread)
    ended = await client.runs.wait(thread, "echo", input={"text": "new"}, multitask_strategy="interrupt")
    assert ended["log"] == ["past", "new"]
    assert (await client.runs.get(thread, first))["status"] == "interrupted"


async def test_rollback_takes_everything_of_the_first_away(client: Any) -> None:
    thread = await thread_with_past(client)
    before = await client.threads.get_history(thread)
    first = await running(client, thread)
    second = await client.runs.create(thread, "echo", input={"text": "new"}, multitask_strategy="rollback")
    assert (await client.runs.join(thread, second["run_id"]))["log"] == ["past", "new"]
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, first)
    history = await client.threads.get_history(thread, limit=100)
    assert {state["metadata"]["run_id"] for state in history} == {before[0]["metadata"]["run_id"], second["run_id"]}


async def test_rollback_of_an_answer_leaves_the_question_open(client: Any) -> None:
    thread = str((await client.threads.create())["thread_id"])
    asked = await client.runs.wait(thread, "asker", input={"text": ""})
    slow = await client.runs.create(thread, "asker", command={"resume": "slowly"})
    await asyncio.sleep(0.3)
    await client.runs.cancel(thread, slow["run_id"], wait=True, action="rollback")
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    state = await client.threads.get_state(thread)
    assert state["tasks"][0]["interrupts"][0]["id"] == asked["__interrupt__"][0]["id"]
    assert (await client.runs.wait(thread, "asker", command={"resume": "now"}))["log"] == ["answer now"]


async def test_cancel_ends_a_run_that_waits_and_one_that_runs(client: Any) -> None:
    thread = await thread_with_past(client)
    first = await running(client, thread)
    second = await client.runs.create(thread, "echo", input={"text": "never"})
    await client.runs.cancel(thread, second["run_id"], wait=True)
    assert (await client.runs.get(thread, second["run_id"]))["status"] == "interrupted"
    await client.runs.cancel_many(thread_id=thread, status="all")
    ended = await client.runs.join(thread, first)
    assert ended["log"] == ["past"]
    with pytest.raises(NotFoundError):
        await client.runs.cancel(thread, first)
    assert (await client.runs.wait(thread, "echo", input={"text": "on"}))["log"] == ["past", "on"]


async def test_what_was_streamed_before_a_cancel_stays(client: Any) -> None:
    thread = await thread_with_past(client)
    run = await running(client, thread)
    joined = asyncio.ensure_future(_parts(client.runs.join_stream(thread, run)))
    await asyncio.sleep(0.1)
    await client.runs.cancel(thread, run)
    parts = await asyncio.wait_for(joined, 10)
    assert [part.event for part in parts] == ["metadata", "values"]
    assert [part.id for part in await _parts(client.runs.join_stream(thread, run))] == [part.id for part in parts]


async def test_deleting_a_busy_thread_ends_its_run(client: Any) -> None:
    thread = await thread_with_past(client)
    run = await running(client, thread)
    await client.threads.delete(thread)
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run)


async def test_many_at_once_run_one_by_one(client: Any) -> None:
    thread = str((await client.threads.create())["thread_id"])
    await asyncio.gather(*[client.runs.wait(thread, "echo", input={"text": str(n)}) for n in range(12)])
    log = (await client.threads.get_state(thread))["values"]["log"]
    assert sorted(log, key=int) == [str(n) for n in range(12)]


async def _parts(stream: Any) -> list[Any]:
    return [part async for part in stream]
