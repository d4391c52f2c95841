"""What happens by itself: crons, webhooks, delayed runs, removal of what is old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError
from served import Starter

from core.postgres import Pool


@dataclass
class Receiver:
    """An HTTP server that refuses its first calls and notes them all."""

    refusals: int
    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        self.calls.append(json.loads(await reader.readexactly(int(length))))
        status = b"503 No" if len(self.calls) <= self.refusals else b"204 Yes"
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(refusals=1)
    async with await asyncio.start_server(receiver.answer, "127.0.0.1", 0) as server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield receiver


async def eventually(found: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    for _ in range(int(seconds * 20)):
        if value := await found():
            return value
        await asyncio.sleep(0.05)
    raise AssertionError("It did not happen.")


async def test_a_webhook_is_called_until_it_is_taken(client: Any, pool: Pool, receiver: Receiver) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "echo", input={"text": "a"}, webhook=receiver.url)
    await client.runs.join(thread, run["run_id"])
    await client.runs.wait(thread, "echo", input={"text": "b"})

    async def none_left() -> bool:
        async with pool.connection() as held:
            cursor = await held.execute("SELECT 1 FROM webhook_calls WHERE run_id = %s", (run["run_id"],))
            return await cursor.fetchone() is None

    await eventually(none_left)
    assert len(receiver.calls) == 2
    for call in receiver.calls:
        assert call["run_id"] == run["run_id"]
        assert call["status"] == "success"
        assert call["values"]["log"] == ["a"]


async def test_a_webhook_is_called_by_another_process(client: Any, pool: Pool, receiver: Receiver) -> None:
    """As when the process that ended the run died before it made the call."""
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "boom", input={"text": "a"})
    with pytest.raises(Exception, match="boom!"):
        await client.runs.wait(thread, "boom", input={"text": "a"})
    async with pool.connection() as held:
        await held.execute("INSERT INTO webhook_calls (run_id, address) VALUES (%s, %s)", (run["run_id"], receiver.url))

    async def called() -> bool:
        return len(receiver.calls) == 2

    await eventually(called)
    assert receiver.calls[0]["error"] == {"error": "ValueError", "message": "boom!"}


@pytest.mark.parametrize("address", ["http://10.0.0.1/", "http://localhost:1/", "http://[::1]/", "file:///etc/passwd"])
async def test_a_webhook_to_a_private_host_is_refused(client: Any, address: str) -> None:
    thread = (await client.threads.create())["thread_id"]
    with pytest.raises(UnprocessableEntityError, match="webhook"):
        await client.runs.create(thread, "echo", input={"text": "a"}, webhook=address)


async def test_a_cron_fires_once_whatever_the_number_of_servers(client: Any, other: Any, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    crons = [await client.crons.create_for_thread(thread, "echo", schedule="0 0 1 1 *", input={"text": "a"})]
    crons += [await client.crons.create("echo", schedule="0 0 1 1 *", input={"text": "b"}) for _ in range(5)]
    ids = [cron["cron_id"] for cron in crons]
    async with pool.connection() as held:
        cursor = await held.execute("SELECT now() AS now")
        [row] = await cursor.fetchall()
    await _make_due(pool, ids, row["now"])

    async def fired() -> list[str]:
        async with pool.connection() as held:
            cursor = await held.execute("SELECT metadata->>'cron_id' AS id FROM runs WHERE metadata ? 'cron_id'")
            return [row["id"] for row in await cursor.fetchall() if row["id"] in ids]

    await eventually(lambda: _enough(fired, len(ids)))
    # As after a process that died between the beginning of the runs and the note of it.
    await _make_due(pool, ids, row["now"])
    await asyncio.sleep(2.5)
    assert sorted(await fired()) == sorted(ids)
    assert (await client.threads.get_state(thread))["values"]["log"] == ["a"]
    [run] = await client.runs.list(thread)
    assert run["kwargs"]["config"]["configurable"]["cron_id"] == run["metadata"]["cron_id"] == ids[0]
    for cron in await other.crons.search(limit=1000):
        if cron["cron_id"] in ids:
            assert cron["next_run_date"].endswith("-01-01T00:00:00+00:00")
            await client.crons.delete(cron["cron_id"])


async def _make_due(pool: Pool, ids: list[str], moment: datetime) -> None:
    async with pool.connection() as held:
        await held.execute("UPDATE crons SET next_run_date = %s WHERE cron_id = ANY(%s)", (moment, ids))


async def _enough(found: Callable[[], Awaitable[list[str]]], count: int) -> bool:
    return len(await found()) >= count


async def test_what_is_old_is_removed(client: Any, http: httpx.AsyncClient, start: Starter, pool: Pool) -> None:
    """A server tidies when it starts, and then every minute."""
    aged, kept, expired = [(await client.threads.create())["thread_id"] for _ in range(3)]
    old = (await client.runs.create(aged, "echo", input={"text": "old"}))["run_id"]
    await client.runs.join(aged, old)
    await client.runs.wait(aged, "echo", input={"text": "new"})
    await client.runs.wait(kept, "echo", input={"text": "a"})
    await client.runs.wait(kept, "echo", input={"text": "b"})
    gone = (await client.runs.create(expired, "echo", input={"text": "c"}))["run_id"]
    await client.runs.join(expired, gone)
    stateless = await client.runs.create(None, "echo", input={"text": "d"})
    await eventually(lambda: _rows(pool, "runs WHERE run_id = %s AND status = 'success'", stateless["run_id"]))
    async with pool.connection() as held:
        await held.execute("UPDATE runs SET updated_at = now() - interval '1 year' WHERE run_id = %s", (old,))
        await held.execute(
            "UPDATE run_events SET created_at = now() - interval '1 year' WHERE run_id = ANY(%s)", ([old, gone],)
        )
        for thread, strategy in ((kept, "keep_latest"), (expired, "delete")):
            await held.execute(
                "UPDATE threads SET ttl_strategy = %s, ttl_minutes = 60, expires_at = now() WHERE thread_id = %s",
                (strategy, thread),
            )
        await held.execute(
            "UPDATE threads SET updated_at = now() - interval '1 year' WHERE thread_id = %s", (stateless["thread_id"],)
        )
    await asyncio.to_thread(lambda: start.ready(start("serve", "--no-worker")))
    await eventually(lambda: _none(pool, "threads WHERE thread_id = %s", stateless["thread_id"]))
    assert len(await client.threads.get_history(kept)) == 1
    assert (await client.threads.get_state(kept))["values"]["log"] == ["a", "b"]
    assert [run["run_id"] == old for run in await client.runs.list(aged)] == [False]
    assert (await client.threads.get_state(aged))["values"]["log"] == ["old", "new"]
    with pytest.raises(NotFoundError):
        await client.threads.get(expired)
    for run in (old, gone, stateless["run_id"]):
        assert await _none(pool, "run_events WHERE run_id = %s", run)


async def test_a_deleted_thread_leaves_nothing(client: Any, http: httpx.AsyncClient, pool: Pool) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "asker", input={"text": ""}, webhook="http://127.0.0.1:9/")
    await client.runs.join(thread, run["run_id"])
    answered = await http.post("/feedback", json={"thread_id": thread, "run_id": run["run_id"], "score": "like"})
    assert answered.is_success, answered.text
    cron = await client.crons.create_for_thread(thread, "echo", schedule="0 0 1 1 *", input={"text": "a"})
    async with pool.connection() as held:
        cursor = await held.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND column_name IN ('thread_id', 'run_id')"
        )
        columns = [(row["table_name"], row["column_name"]) for row in await cursor.fetchall()]
    assert {"runs", "run_events", "checkpoints", "feedback", "artifacts", "ledger"} <= {name for name, _ in columns}
    values = {"thread_id": thread, "run_id": run["run_id"]}
    filled = [name for name, column in columns if not await _none(pool, f"{name} WHERE {column} = %s", values[column])]
    assert {"runs", "run_events", "checkpoints", "feedback", "crons"} <= set(filled)
    await client.threads.delete(thread)
    # What is counted per user stays.
    left = [name for name, column in columns if not await _none(pool, f"{name} WHERE {column} = %s", values[column])]
    assert set(left) <= {"usage"}
    with pytest.raises(NotFoundError):
        await client.crons.update(cron["cron_id"], enabled=False)


async def _rows(pool: Pool, where: str, value: str) -> bool:
    async with pool.connection() as held:
        cursor = await held.execute(f"SELECT 1 FROM {where}", (value,))
        return await cursor.fetchone() is not None


async def _none(pool: Pool, where: str, value: str) -> bool:
    return not await _rows(pool, where, value)
