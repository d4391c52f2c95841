"""Following a run from anywhere: from this process' memory while it executes here, else from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.errors import NotFoundError
from core.postgres import Pool
from server.events import Event, logged
from server.json import dumps
from server.runs import Runs
from server.worker import Worker

LOOK_SECONDS = 1.0
BEAT_SECONDS = 5.0
PROMPT_SECONDS = 0.25
# The number of the last event of a run in the stream of its thread.
RUN_DONE = 10**17
# Each write to a client costs as much as making an event, so those of a burst go out together: the first at once, later
# ones after a pause that grows with the number of runs under way.
PROMPT_WRITES = 6
PAUSE_SECONDS = 0.002
PAUSE_PER_RUN_SECONDS = 0.0005
LONGEST_PAUSE_SECONDS = 0.1


async def follow(worker: Worker, runs: Runs, owner: str, run_id: str, after: int) -> AsyncIterator[list[Event]]:
    """The events of a run after a number, as they come, until its end. An empty list is a sign of life."""
    watched = False
    silent = 0.0
    writes = 0
    while True:
        live = worker.lives.get(run_id)
        if live is not None:
            events = live.after(after)
            if events:
                after = events[-1].number
                yield events
                writes += 1
                if writes >= PROMPT_WRITES and not live.done:
                    pause = max(PAUSE_SECONDS, PAUSE_PER_RUN_SECONDS * worker.active)
                    await live.ended(min(pause, LONGEST_PAUSE_SECONDS))
                continue
            if events is not None:
                if live.done:
                    return
                before = live.number
                await live.changed(BEAT_SECONDS)
                if live.number == before and not live.done:
                    yield []
                continue
        status = await runs.status(owner, run_id)
        events = [event async for event in logged(runs.pool, run_id, after)]
        if events:
            after = events[-1].number
            silent = 0.0
            yield events
            continue
        if live is not None:
            # What lies between memory and log is on its way to the log.
            await live.changed(0.02)
            continue
        if status is None or status[0] not in ("pending", "running"):
            return
        if not watched:
            watched = True
            await runs.watch(owner, run_id)
            continue
        if run_id not in worker.lives:
            await worker.news(run_id, LOOK_SECONDS)
        silent += LOOK_SECONDS
        if silent >= BEAT_SECONDS:
            silent = 0.0
            yield []


async def follow_thread(
    worker: Worker, runs: Runs, owner: str, thread_id: str, place: int, after: int
) -> AsyncIterator[tuple[int, list[Event]]]:
    """The events of a thread's runs one after the other, from the run at `place`, without end; after each run one that
    says that it is done."""
    while True:
        found = await runs.nth(owner, thread_id, place)
        if found is None:
            await worker.news(thread_id, LOOK_SECONDS)
            yield place, []
            continue
        async for events in follow(worker, runs, owner, found.run_id, after):
            yield place, events
        if after < RUN_DONE:
            yield place, [Event(RUN_DONE, "metadata", dumps({"status": "run_done", "run_id": found.run_id}))]
        place, after = place + 1, 0


class StateChanges:
    """The changes of a thread's state that were not made by runs, from now on: the ids of their checkpoints."""

    def __init__(self, pool: Pool, owner: str, thread_id: str) -> None:
        self._pool = pool
        self._owner = owner
        self._thread_id = thread_id
        self._seen = ""

    @classmethod
    async def begin(cls, pool: Pool, owner: str, thread_id: str) -> StateChanges:
        changes = cls(pool, owner, thread_id)
        await changes.more()
        return changes

    async def more(self) -> list[str]:
        """Those since it was asked last."""
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT checkpoint_id FROM checkpoints c JOIN threads t USING (thread_id)"
                " WHERE c.thread_id = %s AND t.owner = %s AND c.checkpoint_ns = '' AND c.checkpoint_id > %s"
                " AND c.metadata ->> 'source' IN ('update', 'fork') AND NOT c.metadata ? 'run_id'"
                " ORDER BY c.checkpoint_id",
                (self._thread_id, self._owner, self._seen),
            )
            found = [str(row["checkpoint_id"]) for row in await cursor.fetchall()]
        self._seen = found[-1] if found else self._seen
        return found


async def result(worker: Worker, runs: Runs, owner: str, thread_id: str, run_id: str) -> AsyncIterator[bytes]:
    """What a run ends with, as JSON; before it b"" as signs of life, the first of them soon."""
    watched = False
    beat = PROMPT_SECONDS
    while True:
        live = worker.lives.get(run_id)
        if live is not None:
            if live.done and live.result is not None:
                yield live.result
                return
            if not live.done:
                await live.ended(beat)
                if not live.done:
                    yield b""
                    beat = BEAT_SECONDS
                continue
        status = await runs.status(owner, run_id)
        if status is None:
            raise NotFoundError("Run not found")
        if status[0] not in ("pending", "running"):
            yield await _stored(runs, owner, thread_id, status[2])
            return
        if not watched:
            watched = True
            await runs.watch(owner, run_id)
        elif run_id not in worker.lives:
            await worker.news(run_id, min(beat, LOOK_SECONDS))
            yield b""
            beat = BEAT_SECONDS


async def _stored(runs: Runs, owner: str, thread_id: str, output: str | None) -> bytes:
    if output is not None:
        return output.encode()
    async with runs.pool.connection() as held:
        cursor = await held.execute(
            "SELECT state_values::text AS found FROM threads WHERE owner = %s AND thread_id = %s", (owner, thread_id)
        )
        row = await cursor.fetchone()
    return (row["found"] or "{}").encode() if row else b"{}"
