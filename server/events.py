"""The events of runs: made where a run executes, kept in an append-only log, followed from anywhere.

An event is bytes ready to be sent (`event:`, `data:`, `id:`). Its number grows within a run; every attempt to execute
the run starts at a number of its own, so that a follower who saw events the log lost in a crash misses nothing of the
next attempt.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from core.postgres import Pool
from server.database import DATABASE_ERRORS
from server.json import dumps

logger = logging.getLogger(__name__)

ATTEMPT_STRIDE = 1_000_000_000
FLUSH_SECONDS = 0.05
WATCHED_FLUSH_SECONDS = 0.008
MEMORY_BYTES = 8_000_000
# Enough for those who follow closely; whoever is slower reads the log.
RECENT_BYTES = 32_000
STATEMENT_BYTES = 500_000
SEPARATOR = b"\r\n\r\n"
_ID = re.compile(rb"\r\nid: (\d+)$")


@dataclass(frozen=True, slots=True)
class Event:
    number: int
    name: str
    data: bytes

    @property
    def mode(self) -> str:
        return self.name.partition("|")[0]

    def encoded(self) -> bytes:
        return b"event: %s\r\ndata: %s\r\nid: %d\r\n\r\n" % (self.name.encode(), self.data, self.number)


def decoded(batch: bytes) -> list[Event]:
    """The events of a batch of the log."""
    events = []
    for block in batch.split(SEPARATOR):
        if not block:
            continue
        found = _ID.search(block)
        name, _, rest = block.partition(b"\r\n")
        if found is None:
            raise ValueError("The event log holds something that is not an event.")
        data = rest[len(b"data: ") : found.start() - len(name) - 2]
        events.append(Event(int(found[1]), name.removeprefix(b"event: ").decode(), data))
    return events


class Live:
    """The events of a run that this process executes, with those who follow it."""

    def __init__(self, run_id: str, attempt: int) -> None:
        self.run_id = run_id
        self.number = (attempt - 1) * ATTEMPT_STRIDE
        self.first = self.number + 1
        self.done = False
        self.result: bytes | None = None
        self._events: deque[Event] = deque()
        self._size = 0
        self._changed: set[asyncio.Future[None]] = set()
        self._ended: set[asyncio.Future[None]] = set()

    def append(self, name: str, data: object) -> Event:
        self.number += 1
        event = Event(self.number, name, data if isinstance(data, bytes) else dumps(data))
        self._events.append(event)
        self._size += len(event.data)
        while self._size > MEMORY_BYTES and len(self._events) > 1:
            self._drop()
        self.wake()
        return event

    def shorten(self, number: int) -> None:
        """The events up to `number` are in the log: only the latest of them need stay here."""
        while self._size > RECENT_BYTES and self._events and self._events[0].number <= number:
            self._drop()

    def _drop(self) -> None:
        dropped = self._events.popleft()
        self._size -= len(dropped.data)
        self.first = dropped.number + 1

    def after(self, number: int) -> list[Event] | None:
        """The events after `number`; None when some of them are only in the log."""
        if number < self.first - 1:
            return None
        if number >= self.number:
            return []
        found: list[Event] = []
        for event in reversed(self._events):
            if event.number <= number:
                break
            found.append(event)
        return found[::-1]

    def finish(self, result: bytes | None) -> None:
        self.done = True
        self.result = result
        self.wake()
        ended, self._ended = self._ended, set()
        for future in ended:
            _resolve(future)

    def wake(self) -> None:
        if self._changed:
            changed, self._changed = self._changed, set()
            for future in changed:
                _resolve(future)

    async def changed(self, seconds: float) -> None:
        """Returns at the next event, at the end, or after `seconds`."""
        await _among(self._changed, seconds)

    async def ended(self, seconds: float) -> None:
        """Returns at the end, or after `seconds`."""
        if not self.done:
            await _among(self._ended, seconds)


async def _among(waiting: set[asyncio.Future[None]], seconds: float) -> None:
    """Waits to be resolved with the others of a set, at most `seconds`. Called for every event: no more than needed."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    timer = loop.call_later(seconds, _resolve, future)
    waiting.add(future)
    try:
        await future
    finally:
        timer.cancel()
        waiting.discard(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass
class EventLog:
    """Writes the events of all runs of this process together, a little after they were made.

    Those of an attempt that `worker` does not hold any more are left out. `written` is told of each run how far its
    log is.
    """

    pool: Pool
    worker: str = ""
    written: Callable[[str, int], None] | None = None
    _pending: dict[str, list[Event]] = field(default_factory=dict, init=False)
    _watched: set[str] = field(default_factory=set, init=False)
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def add(self, run_id: str, event: Event) -> None:
        self._pending.setdefault(run_id, []).append(event)
        self._wanted.set()

    def watch(self, run_id: str) -> None:
        """Tell other processes of each batch of this run from now on."""
        self._watched.add(run_id)

    async def take(self, run_id: str) -> list[Event]:
        """The events of a run that are not in the log yet, for whoever writes its end."""
        async with self._flushing:
            self._watched.discard(run_id)
            return self._pending.pop(run_id, [])

    def drop(self, run_id: str) -> None:
        self._pending.pop(run_id, None)
        self._watched.discard(run_id)

    async def run(self) -> None:
        """Flushes until cancelled. While the database is away the events wait."""
        while True:
            await self._wanted.wait()
            watched = not self._watched.isdisjoint(self._pending)
            await asyncio.sleep(WATCHED_FLUSH_SECONDS if watched else FLUSH_SECONDS)
            self._wanted.clear()
            try:
                await self.flush()
            except DATABASE_ERRORS as error:
                logger.warning("events wait for the database: %s", error)
                self._wanted.set()
                await asyncio.sleep(0.5)

    async def flush(self) -> None:
        async with self._flushing:
            while batches := self._next_batches():
                try:
                    await self._write(batches)
                except BaseException:
                    for run_id, events in batches.items():
                        self._pending[run_id] = events + self._pending.get(run_id, [])
                    raise

    def _next_batches(self) -> dict[str, list[Event]]:
        batches: dict[str, list[Event]] = {}
        size = 0
        for run_id in list(self._pending):
            if size >= STATEMENT_BYTES:
                break
            batches[run_id] = events = self._pending.pop(run_id)
            size += sum(len(event.data) for event in events)
        return batches

    async def _write(self, batches: dict[str, list[Event]]) -> None:
        async with self.pool.connection() as held:
            await held.execute(
                "INSERT INTO run_events (run_id, first, last, data)"
                " SELECT b.* FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bytea[])"
                " AS b (run_id, first, last, data) JOIN runs USING (run_id)"
                " WHERE runs.worker = %b AND runs.status = 'running' AND runs.attempt = b.last / %b + 1"
                " ON CONFLICT DO NOTHING",
                (
                    list(batches),
                    [events[0].number for events in batches.values()],
                    [events[-1].number for events in batches.values()],
                    [joined(events) for events in batches.values()],
                    self.worker,
                    ATTEMPT_STRIDE,
                ),
            )
            if self.written is not None:
                for run_id, events in batches.items():
                    self.written(run_id, events[-1].number)
            if watched := [run_id for run_id in batches if run_id in self._watched]:
                await held.execute(
                    "SELECT pg_notify('ddb_agent_runs', 'events ' || name) FROM unnest(%s::text[]) name",
                    (watched,),
                )


def joined(events: list[Event]) -> bytes:
    return b"".join([event.encoded() for event in events])


async def logged(pool: Pool, run_id: str, after: int) -> AsyncIterator[Event]:
    """The events of the log after a number, oldest first."""
    async with pool.connection() as held:
        cursor = await held.execute(
            "SELECT data FROM run_events WHERE run_id = %s AND last > %s ORDER BY last LIMIT 500", (run_id, after)
        )
        rows = await cursor.fetchall()
    for row in rows:
        for event in decoded(bytes(row["data"])):
            if event.number > after:
                yield event
