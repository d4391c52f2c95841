"""The command line and the server on one thread: one run at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph_sdk.errors import ConflictError as Refused

from core.errors import ConflictError
from core.postgres import Pool
from core.thread_lock import exclusive


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
