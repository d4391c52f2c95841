"""Threads, artifacts and the ledger over a real Postgres."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from core.artifacts import INLINE_BYTES, Artifacts
from core.checkpointer import checkpointer
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ledger import Ledger
from core.postgres import Pool
from core.threads import Threads


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
def owner() -> str:
    return f"owner-{uuid4()}"


async def test_threads_are_listed_last_touched_first_and_by_metadata(pool: Pool, owner: str) -> None:
    threads = Threads(pool)
    first = await threads.create(owner, title="one", metadata={"graph_id": "agent", "n": 1})
    second = await threads.create(owner, title="two")
    assert [thread.title for thread in await threads.list(owner)] == ["two", "one"]
    await threads.touch(owner, first.thread_id)
    assert [thread.title for thread in await threads.list(owner)] == ["one", "two"]
    assert [thread.thread_id for thread in await threads.list(owner, limit=1, offset=1)] == [second.thread_id]
    assert [thread.title for thread in await threads.list(owner, metadata={"graph_id": "agent"})] == ["one"]


async def test_updating_merges_metadata(pool: Pool, owner: str) -> None:
    threads = Threads(pool)
    thread = await threads.create(owner, title="one", metadata={"a": 1, "b": 2})
    changed = await threads.update(owner, thread.thread_id, metadata={"b": 3})
    assert (changed.title, changed.metadata) == ("one", {"a": 1, "b": 3})
    assert changed.updated_at > thread.updated_at
    assert (await threads.update(owner, thread.thread_id, title="'; DROP TABLE threads --")).title.startswith("'")
    assert await threads.get(owner, thread.thread_id)


async def test_another_owners_thread_does_not_exist(pool: Pool, owner: str) -> None:
    threads = Threads(pool)
    thread = await threads.create(owner)
    for attempt in (
        threads.get("other", thread.thread_id),
        threads.update("other", thread.thread_id, title="mine"),
        threads.delete("other", thread.thread_id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await threads.list("other") == []
    with pytest.raises(ConflictError):
        await threads.create("other", thread.thread_id)
    assert (await threads.get(owner, thread.thread_id)).owner == owner


@pytest.mark.parametrize("thread_id", ["", "x" * 201, "a\nb", "a\x00b"])
async def test_odd_thread_ids_are_refused(pool: Pool, owner: str, thread_id: str) -> None:
    with pytest.raises(InvalidInputError):
        await Threads(pool).create(owner, thread_id)


async def test_deleting_a_thread_deletes_all_that_belongs_to_it(pool: Pool, owner: str, tmp_path: Path) -> None:
    artifacts = Artifacts(pool, tmp_path)
    threads, ledger = Threads(pool, artifacts=artifacts), Ledger(pool)
    thread, other = await threads.create(owner), await threads.create(owner)
    for thread_id in (thread.thread_id, other.thread_id):
        await artifacts.save(owner, thread_id, "table", "big", "text/csv", b"x" * (INLINE_BYTES + 1))
        await ledger.open(owner, thread_id, None, "call", "t.append!(u)", "write")
        config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
        await checkpointer(pool).aput(config, empty_checkpoint(), {}, {})
    await threads.delete(owner, thread.thread_id)
    assert await checkpointer(pool).aget({"configurable": {"thread_id": thread.thread_id}}) is None
    assert await checkpointer(pool).aget({"configurable": {"thread_id": other.thread_id}}) is not None
    assert await artifacts.list(owner, thread.thread_id) == []
    assert len(await artifacts.list(owner, other.thread_id)) == 1
    assert len(files(tmp_path)) == 1
    assert await ledger.find(owner, thread.thread_id, "call") is None
    assert await ledger.find(owner, other.thread_id, "call") is not None
    with pytest.raises(NotFoundError):
        await threads.get(owner, thread.thread_id)


@pytest.mark.parametrize("size", [0, 10, INLINE_BYTES, INLINE_BYTES + 1, 3 * INLINE_BYTES])
async def test_artifacts_come_back_as_they_were_saved(pool: Pool, owner: str, tmp_path: Path, size: int) -> None:
    artifacts, data = Artifacts(pool, tmp_path), os.urandom(size)
    saved = await artifacts.save(owner, "thread", "table", "结果.csv", "text/csv", data)
    assert (saved.size, saved.name, saved.kind, saved.media_type) == (size, "结果.csv", "table", "text/csv")
    assert await artifacts.read(owner, saved.id) == data
    assert await artifacts.get(owner, saved.id) == saved
    on_disk = files(tmp_path)
    assert len(on_disk) == (size > INLINE_BYTES)
    await artifacts.delete(owner, saved.id)
    assert not files(tmp_path)
    with pytest.raises(NotFoundError):
        await artifacts.read(owner, saved.id)


async def test_another_owners_artifact_does_not_exist(pool: Pool, owner: str, tmp_path: Path) -> None:
    artifacts = Artifacts(pool, tmp_path)
    saved = await artifacts.save(owner, "thread", "table", "t", "text/csv", b"1")
    for attempt in (artifacts.get("other", saved.id), artifacts.read("other", saved.id)):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(NotFoundError):
        await artifacts.delete("other", saved.id)
    assert await artifacts.list("other", "thread") == []
    assert await artifacts.read(owner, saved.id) == b"1"


async def test_a_damaged_or_missing_file_is_noticed(pool: Pool, owner: str, tmp_path: Path) -> None:
    artifacts = Artifacts(pool, tmp_path)
    saved = await artifacts.save(owner, "thread", "table", "t", "text/csv", b"x" * (INLINE_BYTES + 1))
    file = files(tmp_path)[0]
    file.write_bytes(b"y" * (INLINE_BYTES + 1))
    with pytest.raises(NotFoundError, match="damaged"):
        await artifacts.read(owner, saved.id)
    file.unlink()
    with pytest.raises(NotFoundError, match="cannot be read"):
        await artifacts.read(owner, saved.id)


async def test_a_sweep_removes_old_files_without_an_artifact_only(pool: Pool, owner: str, tmp_path: Path) -> None:
    artifacts = Artifacts(pool, tmp_path)
    saved = await artifacts.save(owner, "thread", "table", "t", "text/csv", b"x" * (INLINE_BYTES + 1))
    (tmp_path / "zz").mkdir()
    for name in ("orphan", "fresh"):
        (tmp_path / "zz" / name).write_bytes(b"x")
    hours_ago = time.time() - 7200
    for path in files(tmp_path):
        if path.name != "fresh":
            os.utime(path, (hours_ago, hours_ago))
    assert await artifacts.sweep() == 1
    assert not (tmp_path / "zz" / "orphan").exists()
    assert (tmp_path / "zz" / "fresh").exists()
    assert await artifacts.read(owner, saved.id)


async def test_a_tool_call_is_entered_once_even_by_two_workers(pool: Pool, owner: str) -> None:
    ledger, thread_id = Ledger(pool), str(uuid4())
    results = await asyncio.gather(
        *(ledger.open(owner, thread_id, "run", "call", "drop", "destroy") for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, ConflictError) for result in results) == 3


async def test_ledger_entries_stay_open_until_closed(pool: Pool, owner: str) -> None:
    ledger, thread_id = Ledger(pool), str(uuid4())
    first = await ledger.open(owner, thread_id, None, "a", "t.append!(u)", "write")
    second = await ledger.open(owner, thread_id, "run", "b", "dropTable(db, `t)", "destroy")
    assert [entry.id for entry in await ledger.open_entries(owner, thread_id)] == [first.id, second.id]
    assert await ledger.open_entries("other", thread_id) == []
    assert await ledger.find("other", thread_id, "a") is None
    closed = await ledger.close(first.id, "failed", "Table is full")
    assert (closed.outcome, closed.detail, closed.closed_at is not None) == ("failed", "Table is full", True)
    assert [entry.id for entry in await ledger.open_entries(owner, thread_id)] == [second.id]
    with pytest.raises(NotFoundError):
        await ledger.close(second.id, "done", owner="other")
    with pytest.raises(ConflictError):
        await ledger.reopen(owner, second.id)
    assert (await ledger.reopen(owner, first.id)).outcome is None
    found = await ledger.find(owner, thread_id, "a")
    assert found is not None
    assert found.closed_at is None


async def test_a_graph_goes_on_with_another_saver_over_the_same_pool(pool: Pool) -> None:
    builder = StateGraph(Asked)
    builder.add_node("ask", lambda state: {"answer": interrupt({"question": "why?"})})
    builder.add_edge(START, "ask")
    config = RunnableConfig(configurable={"thread_id": str(uuid4())})
    first = await builder.compile(checkpointer=checkpointer(pool)).ainvoke({"answer": ""}, config)
    assert first["__interrupt__"][0].value == {"question": "why?"}
    second = await builder.compile(checkpointer=checkpointer(pool)).ainvoke(Command(resume="because"), config)
    assert second["answer"] == "because"


class Asked(TypedDict):
    answer: str


class Known(BaseModel):
    x: int


class Unknown(BaseModel):
    x: int


async def test_checkpoints_restore_declared_types_only(pool: Pool) -> None:
    saver = checkpointer(pool, [Known])
    kind, data = saver.serde.dumps_typed({"a": Known(x=1), "b": Unknown(x=2), "m": AIMessage("hi")})
    restored = checkpointer(pool, [Known]).serde.loads_typed((kind, data))
    assert restored["a"] == Known(x=1)
    assert restored["m"] == AIMessage("hi")
    assert not isinstance(restored["b"], Unknown)
