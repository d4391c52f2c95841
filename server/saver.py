"""The checkpoints of runs: written together for all runs of a process, and only as long as a run is this worker's."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg.sql import SQL

from core.postgres import Pool
from server.database import DATABASE_ERRORS

BATCH = 500
# A statement that stores steps is atomic: a checkpoint is never seen without its values. It says first which runs are
# `held`; rows of others are left out.
STORE = SQL("""
values_ AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT thread_id, ns, channel, version, kind, data FROM ROWS FROM (
        json_to_recordset(%(blobs)s::json)
            AS (run text, thread_id text, ns text, channel text, version text, kind text),
        unnest(%(blob_data)b::bytea[])
    ) AS v (run, thread_id, ns, channel, version, kind, data) WHERE run IN (SELECT run_id FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
),
writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT thread_id, ns, id, task, path, idx, channel, kind, data FROM ROWS FROM (
        json_to_recordset(%(writes)s::json) AS (run text, thread_id text, ns text, id text, task text,
            path text, idx integer, channel text, kind text),
        unnest(%(write_data)b::bytea[])
    ) AS w (run, thread_id, ns, id, task, path, idx, channel, kind, data) WHERE run IN (SELECT run_id FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE
        SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob
        WHERE EXCLUDED.idx < 0
),
checkpoints_ AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT thread_id, ns, id, parent, checkpoint::jsonb, metadata::jsonb FROM json_to_recordset(%(checkpoints)s::json)
        AS c (run text, thread_id text, ns text, id text, parent text, checkpoint text, metadata text)
    WHERE run IN (SELECT run_id FROM held)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
        DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
)
""")
WRITE = (
    SQL("""
WITH held AS MATERIALIZED (
    SELECT run_id FROM runs JOIN unnest(%(runs)s::text[], %(attempts)s::integer[]) AS h (run_id, attempt)
        USING (run_id, attempt)
    WHERE worker = %(worker)s AND status = 'running'
),
{store}
SELECT run_id FROM held
""")
    .format(store=STORE)
    .as_string()
)


class RunLostError(Exception):
    """The run is not this worker's any more."""


class _Value(NamedTuple):
    run: str
    thread_id: str
    ns: str
    channel: str
    version: str
    kind: str


class _Write(NamedTuple):
    run: str
    thread_id: str
    ns: str
    id: str
    task: str
    path: str
    idx: int
    channel: str
    kind: str


@dataclass
class Entry:
    """What one step of an attempt to execute a run stores."""

    run_id: str
    attempt: int
    values: dict[_Value, bytes | None] = field(default_factory=dict)
    writes: list[tuple[_Write, bytes]] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class CheckpointLog:
    """Stores the steps of all runs of a worker, those that come within `linger` seconds or while it stores together."""

    def __init__(self, pool: Pool, worker: str, *, linger: float = 0.0) -> None:
        self._pool = pool
        self._worker = worker
        self._linger = linger
        self._waiting: list[Entry] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._hurried = False

    def put(self, entry: Entry) -> None:
        """Stores an entry after those before it; `entry.done` says when. It fails with RunLostError, or with what the
        database says."""
        self._waiting.append(entry)
        if len(self._waiting) >= BATCH:
            self.hurry()
        elif self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self.hurry)

    def hurry(self) -> None:
        """Stores what waits now."""
        self._hurried = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="checkpoints")

    def take(self, run_id: str, attempt: int) -> list[Entry]:
        """What waits of an attempt, for the caller to store instead."""
        taken = [entry for entry in self._waiting if (entry.run_id, entry.attempt) == (run_id, attempt)]
        self._waiting = [entry for entry in self._waiting if (entry.run_id, entry.attempt) != (run_id, attempt)]
        return taken

    async def store(self, entries: Sequence[Entry]) -> None:
        """Stores entries one by one if need be; raises the first error when all are tried."""
        for entry in entries:
            self.put(entry)
        self.hurry()
        ended = await asyncio.gather(*[entry.done for entry in entries], return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each

    async def _write_all(self) -> None:
        try:
            while self._waiting and self._hurried:
                self._hurried = len(self._waiting) > BATCH
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                await self._write_each(batch)
        finally:
            self._writing = None
            if self._waiting:
                self._timer = asyncio.get_running_loop().call_later(self._linger, self.hurry)

    async def _write_each(self, batch: list[Entry]) -> None:
        try:
            held = await self._write(batch)
        except psycopg.Error as error:
            if len(batch) > 1 and not isinstance(error, DATABASE_ERRORS):
                # What one of them holds cannot be stored: the others shall not suffer.
                for entry in batch:
                    await self._write_each([entry])
                return
            _fail(batch, error)
        except Exception as error:
            _fail(batch, error)
        else:
            for entry in batch:
                if entry.done.done():
                    continue
                if (entry.run_id, entry.attempt) in held:
                    entry.done.set_result(None)
                else:
                    entry.done.set_exception(RunLostError(f"The run {entry.run_id} is another worker's."))

    async def _write(self, batch: list[Entry]) -> set[tuple[str, int]]:
        """Returns the runs and attempts that are this worker's."""
        attempts: dict[str, int] = {}
        for entry in batch:
            attempts[entry.run_id] = max(entry.attempt, attempts.get(entry.run_id, 0))
        latest = [entry for entry in batch if entry.attempt == attempts[entry.run_id]]
        whose = {"worker": self._worker, "runs": list(attempts), "attempts": list(attempts.values())}
        async with self._pool.connection() as held:
            cursor = await held.execute(WRITE, {**whose, **rows_of(latest)})
            return {(row["run_id"], attempts[row["run_id"]]) for row in await cursor.fetchall()}


def rows_of(batch: Sequence[Entry]) -> dict[str, Any]:
    """What `STORE` stores."""
    values = {row: data for entry in batch for row, data in entry.values.items()}
    writes: dict[tuple[Any, ...], tuple[_Write, bytes]] = {}
    for entry in batch:
        for row, data in entry.writes:
            key = (row.thread_id, row.ns, row.id, row.task, row.idx)
            if row.idx < 0 or key not in writes:
                writes[key] = (row, data)
    checkpoints: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in batch:
        if (row_ := entry.checkpoint) is not None:
            checkpoints[(row_["thread_id"], row_["ns"], row_["id"])] = row_
    return {
        "blobs": _json([row._asdict() for row in values]),
        "blob_data": list(values.values()),
        "writes": _json([row._asdict() for row, _ in writes.values()]),
        "write_data": [data for _, data in writes.values()],
        "checkpoints": _json(list(checkpoints.values())),
    }


def _json(value: Any) -> str:
    """`value` as JSON; TypeError or ValueError for what is not."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value)


def _is_plain(value: Any) -> bool:
    """Whether a value can stand in the JSON of a checkpoint."""
    return isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value))


def _fail(batch: list[Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.done.done():
            entry.done.set_exception(error)


class RunSaver(AsyncPostgresSaver):
    """The checkpointer of one use of a graph.

    A run's writes through a `CheckpointLog`: when it does not wait for each step, the run goes on while they are
    stored, and ends when they are. A graph that is cancelled writes what it has in the background; such a write must
    not come after the run was rolled back, so `close` ends writing.
    """

    def __init__(
        self,
        pool: Pool,
        log: CheckpointLog | None = None,
        run_id: str = "",
        attempt: int = 1,
        *,
        waits: bool = True,
        blank: bool = False,
    ) -> None:
        """`waits` says that a step is stored before the next begins, `blank` that the thread has no checkpoints yet."""
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self._log = log
        self._run_id = run_id
        self._attempt = attempt
        self._waits = waits
        self._blank = blank
        self._error: BaseException | None = None
        self._under_way = 0
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Ends writing; returns when everything is stored that was to be."""
        self._closed = True
        self._hurry()
        await self._idle.wait()

    async def stored(self) -> None:
        """Returns when everything is stored; raises when something was not."""
        self._hurry()
        await self._idle.wait()
        if self._error is not None:
            raise self._error

    async def rest(self) -> list[Entry]:
        """Takes what is still to be stored, for whoever writes the end of the run. Returns when all else is stored;
        raises when something was not."""
        rest = self._log.take(self._run_id, self._attempt) if self._log is not None else []
        for entry in rest:
            entry.done.remove_done_callback(self._ended)
        self._under_way -= len(rest)
        if self._under_way == 0:
            self._idle.set()
        await self.stored()
        return rest

    def _hurry(self) -> None:
        if self._log is not None and self._under_way:
            self._log.hurry()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        if self._blank:
            return None
        await self.stored()
        return await super().aget_tuple(config)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        await self.stored()
        return await super().aget_delta_channel_history(config=config, channels=channels)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if self._closed:
            return config
        if self._log is None:
            return await super().aput(config, checkpoint, metadata, new_versions)
        configurable = config["configurable"]
        thread_id, ns = configurable["thread_id"], configurable["checkpoint_ns"]
        entry = Entry(self._run_id, self._attempt)
        kept: dict[str, Any] = {}
        for channel, value in checkpoint["channel_values"].items():
            if value is None or _is_plain(value):
                kept[channel] = value
                continue
            if isinstance(value, _DeltaSnapshot):
                kept[channel] = True
            if (version := new_versions.get(channel)) is not None:
                kind, data = self.serde.dumps_typed(value)
                entry.values[_Value(self._run_id, thread_id, ns, channel, str(version), kind)] = data
        entry.checkpoint = {
            "run": self._run_id,
            "thread_id": thread_id,
            "ns": ns,
            "id": checkpoint["id"],
            "parent": configurable.get("checkpoint_id"),
            # As text, so that what is not JSON fails here and not with the others.
            "checkpoint": _json({**checkpoint, "channel_values": kept}),
            "metadata": _json(get_serializable_checkpoint_metadata(config, metadata)),
        }
        await self._put(self._log, entry)
        return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if self._closed:
            return
        if self._log is None:
            await super().aput_writes(config, writes, task_id, task_path)
            return
        configurable = config["configurable"]
        place = (configurable["thread_id"], configurable["checkpoint_ns"], configurable["checkpoint_id"])
        entry = Entry(self._run_id, self._attempt)
        for number, (channel, value) in enumerate(writes):
            kind, data = self.serde.dumps_typed(value)
            index = WRITES_IDX_MAP.get(channel, number)
            entry.writes.append((_Write(self._run_id, *place, task_id, task_path, index, channel, kind), data))
        await self._put(self._log, entry)

    async def _put(self, log: CheckpointLog, entry: Entry) -> None:
        if self._error is not None:
            raise self._error
        self._blank = False
        self._under_way += 1
        self._idle.clear()
        # Also when whoever waits for it is cancelled, it is under way until it is stored.
        entry.done.add_done_callback(self._ended)
        log.put(entry)
        if self._waits:
            await asyncio.shield(entry.done)

    def _ended(self, done: asyncio.Future[None]) -> None:
        self._error = self._error or done.exception()
        self._under_way -= 1
        if self._under_way == 0:
            self._idle.set()
