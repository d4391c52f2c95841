"""The command line and the server on one thread: one run at a time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph_sdk.errors import ConflictError as Refused

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.postgres import Pool
from core.thread_lock import exclusive
from core.threads import Threads, named_id


async def test_a_run_waits_for_a_command_on_its_thread(client: Any, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    async with exclusive(pool, thread):
        with pytest.raises(Refused):
            await client.runs.create(thread, "echo", input={"text": "no"}, multitask_strategy="reject")
        made = [await client.runs.create(thread, "echo", input={"text": text}) for text in ("a", "b")]
        await asyncio.sleep(1.3)
        assert {run["status"] for run in await client.runs.list(thread)} == {"pending"}
    assert (await client.runs.join(thread, made[1]["run_id"]))["log"] == ["a", "b"]


async def test_a_command_waits_for_a_run_and_is_refused_when_it_takes_long(client: Any, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    short = await client.runs.create(thread, "slow", input={"text": "0.5"})
    async with exclusive(pool, thread):
        assert (await client.runs.get(thread, short["run_id"]))["status"] == "success"
    long = await client.runs.create(thread, "slow", input={"text": "20"})
    with pytest.raises(ConflictError, match="Another run is under way"):
        async with exclusive(pool, thread):
            pass
    await client.runs.cancel(thread, long["run_id"], wait=True)
    async with exclusive(pool, thread):
        pass


async def test_a_thread_with_a_name_is_the_same_in_both(client: Any, pool: Pool) -> None:
    name = f"the {uuid4().hex} report"
    key = named_id("local", name)
    assert str(UUID(key)) == key != named_id("ann", name)
    made = await client.threads.create(thread_id=key, metadata={"name": name})
    await client.runs.wait(made["thread_id"], "echo", input={"text": "a"})
    threads = Threads(pool)
    for called in (name, key, key.upper()):
        found = await threads.find("local", called)
        assert (found.thread_id, found.name) == (key, name)
    with pytest.raises(NotFoundError, match=name):
        await threads.find("ann", name)
    with pytest.raises(InvalidInputError, match="printable"):
        named_id("local", "")


async def test_a_thread_whose_name_is_its_id_is_found(pool: Pool) -> None:
    name, threads = f"t{uuid4().hex}", Threads(pool)
    await threads.create("local", name)
    assert (await threads.find("local", name)).name == name
    await threads.delete("local", name)
