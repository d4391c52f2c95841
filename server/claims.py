"""What workers do with runs in Postgres: claim them, keep them, end them.

Whoever holds a run is named by the worker and the attempt: a worker that was late may have claimed its own run again.
Times are Postgres' own, so that processes whose clocks differ agree on who holds what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg.types.json import Json

from core.postgres import Pool
from core.thread_lock import UNLOCKED
from server.events import Event, joined
from server.insertion import CHANNEL
from server.json import dumps, storable
from server.runs import COLUMNS, CancelAction, Run, call_webhooks
from server.saver import STORE, Entry, rows_of
from server.settling import lock_threads, remove_checkpoints, settle_threads
from server.together import Together

_FINISH = SQL("""
WITH f AS MATERIALIZED (
    SELECT * FROM ROWS FROM (
        json_to_recordset(%(ends)s::json) AS (run text, thread text, attempt integer, status text, error json,
            output json, thread_status text, state json, interrupts json, tokens_in bigint, tokens_out bigint,
            first bigint, last bigint, webhook text, webhook_state json),
        unnest(%(events)b::bytea[])
    ) AS f (run, thread, attempt, status, error, output, thread_status, state, interrupts, tokens_in, tokens_out,
        first, last, webhook, webhook_state, events)
),
l AS (SELECT thread_id FROM threads WHERE thread_id IN (SELECT thread FROM f) ORDER BY thread_id FOR UPDATE {skip}),
r AS (
    UPDATE runs SET status = f.status, error = f.error, output = f.output, worker = NULL, lease_until = NULL,
        input_tokens = f.tokens_in, output_tokens = f.tokens_out, updated_at = clock_timestamp()
    FROM f JOIN l ON l.thread_id = f.thread
    WHERE run_id = f.run AND worker = %(worker)s AND runs.attempt = f.attempt AND runs.status = 'running'
    RETURNING run_id, runs.thread_id, watched
),
held AS (SELECT run_id FROM r),
{store},
e AS (
    INSERT INTO run_events (run_id, first, last, data)
    SELECT run_id, f.first, f.last, f.events FROM r JOIN f ON f.run = run_id WHERE f.last IS NOT NULL
    ON CONFLICT DO NOTHING
),
h AS (
    INSERT INTO webhook_calls (run_id, address, state)
    SELECT run_id, f.webhook, f.webhook_state FROM r JOIN f ON f.run = run_id WHERE f.webhook IS NOT NULL
    ON CONFLICT DO NOTHING
),
w AS (
    SELECT run_id, thread_id, watched, EXISTS (
        SELECT 1 FROM runs n WHERE n.thread_id = r.thread_id AND n.status = 'pending' AND n.available_at <= now()
    ) AS waiting FROM r
),
t AS (
    UPDATE threads SET status = CASE WHEN w.waiting THEN 'busy' ELSE f.thread_status END,
        state_values = coalesce(f.state, state_values), interrupts = f.interrupts,
        error = f.error, updated_at = clock_timestamp(), state_updated_at = clock_timestamp()
    FROM w JOIN f ON f.run = w.run_id WHERE threads.thread_id = w.thread_id RETURNING threads.thread_id
)
SELECT l.thread_id, w.run_id, w.waiting, CASE WHEN w.watched THEN pg_notify(%(channel)s, 'done ' || w.run_id) END
FROM l LEFT JOIN w USING (thread_id)
""")
# psycopg remembers how it read a statement only when it is shorter than 4096 characters.
FINISH, FINISH_UNLOCKED = (
    " ".join(_FINISH.format(store=STORE, skip=SQL(skip)).as_string().split()) for skip in ("", "SKIP LOCKED")
)


@dataclass(frozen=True)
class End:
    """How a run ended. `values` is the thread's state, `output` what a waiting client gets; both JSON."""

    status: str
    thread_status: str
    values: bytes | None
    output: bytes | None
    interrupts: dict[str, Any]
    error: dict[str, Any] | None = None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class _Ending:
    """A run that ends, with its last events and steps."""

    run: Run
    worker: str
    end: End
    events: list[Event]
    steps: Sequence[Entry]

    def size(self) -> int:
        """In bytes, about."""
        return len(self.end.values or b"") + len(self.end.output or b"") + sum(len(each.data) for each in self.events)

    def row(self) -> dict[str, Any]:
        run, end, events = self.run, self.end, self.events
        return {
            "run": run.run_id,
            "thread": run.thread_id,
            "attempt": run.attempt,
            "status": end.status,
            "error": end.error,
            "output": _plain(end.output),
            "thread_status": end.thread_status,
            "state": _plain(end.values),
            "interrupts": end.interrupts,
            "tokens_in": end.input_tokens,
            "tokens_out": end.output_tokens,
            "first": events[0].number if events else None,
            "last": events[-1].number if events else None,
            "webhook": run.webhook,
            "webhook_state": _plain(end.values) if run.webhook else None,
        }


class Claims:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._finishing = Together(self._finish_unlocked, size=_Ending.size)

    async def claim(self, worker: str, graphs: Sequence[str], limit: int, lease_seconds: float) -> list[Run]:
        """Takes runs that may begin: the oldest of each thread that has no active one. Those of graphs that are not
        among `graphs` are left to a worker that serves them."""
        try:
            async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
                await cursor.execute(
                    SQL(
                        "WITH free AS (SELECT r.run_id FROM runs r JOIN threads t USING (thread_id)"
                        " WHERE r.status = 'pending' AND r.available_at <= now() AND r.graph_id = ANY(%(graphs)s)"
                        " AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = r.thread_id"
                        " AND (o.status = 'running'"
                        " OR (o.status = 'pending' AND o.available_at <= now()"
                        " AND (o.created_at, o.run_id) < (r.created_at, r.run_id))))"
                        " AND {unlocked}"
                        " ORDER BY r.created_at LIMIT %(limit)s FOR UPDATE OF r, t SKIP LOCKED),"
                        " taken AS (UPDATE runs SET status = 'running', worker = %(worker)s, attempt = attempt + 1,"
                        " lease_until = now() + make_interval(secs => %(lease)s), updated_at = clock_timestamp()"
                        " FROM free WHERE runs.run_id = free.run_id RETURNING runs.*) SELECT {columns} FROM taken"
                    ).format(columns=COLUMNS, unlocked=SQL(UNLOCKED).format(thread=SQL("r.thread_id"))),
                    {"worker": worker, "graphs": list(graphs), "limit": limit, "lease": lease_seconds},
                )
                return await cursor.fetchall()
        except UniqueViolation:
            return []

    async def beat(self, worker: str, run_ids: Sequence[str], lease_seconds: float) -> dict[str, CancelAction | None]:
        """Renews leases; returns the runs still held with what was asked of them."""
        async with self.pool.connection() as held:
            cursor = await held.execute(
                "UPDATE runs SET lease_until = now() + make_interval(secs => %s)"
                " WHERE run_id = ANY(%s) AND worker = %s AND status = 'running' RETURNING run_id, cancel",
                (lease_seconds, list(run_ids), worker),
            )
            return {row["run_id"]: row["cancel"] for row in await cursor.fetchall()}

    async def again(self, worker: str, run: Run, lease_seconds: float) -> Run | None:
        """The next attempt of a run this worker still holds."""
        async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(
                SQL(
                    "UPDATE runs SET attempt = attempt + 1, lease_until = now() + make_interval(secs => %s)"
                    " WHERE run_id = %s AND worker = %s AND attempt = %s AND status = 'running' RETURNING {columns}"
                ).format(columns=COLUMNS),
                (lease_seconds, run.run_id, worker, run.attempt),
            )
            return await cursor.fetchone()

    async def release(self, worker: str, run: Run) -> None:
        """Gives a run back unfinished, for any worker to go on with."""
        async with self.pool.connection() as held:
            await held.execute(
                "WITH r AS (UPDATE runs SET status = 'pending', worker = NULL, lease_until = NULL,"
                " updated_at = clock_timestamp()"
                " WHERE run_id = %s AND worker = %s AND attempt = %s AND status = 'running' RETURNING run_id)"
                " SELECT pg_notify(%s, 'new ' || run_id) FROM r",
                (run.run_id, worker, run.attempt, CHANNEL),
            )

    async def reap(self, attempts: int) -> list[str]:
        """Gives back the runs whose worker has not been heard of; ends those that were tried too often."""
        async with self.pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "SELECT r.run_id FROM runs r JOIN threads t USING (thread_id)"
                " WHERE r.status = 'running' AND r.lease_until < now() LIMIT 100 FOR UPDATE OF t, r SKIP LOCKED"
            )
            late = [row["run_id"] for row in await cursor.fetchall()]
            if not late:
                return []
            cursor = await held.execute(
                "UPDATE runs SET worker = NULL, lease_until = NULL, updated_at = clock_timestamp(),"
                " status = CASE WHEN attempt >= %s THEN 'error' ELSE 'pending' END,"
                " error = CASE WHEN attempt >= %s THEN %s::json END"
                " WHERE run_id = ANY(%s) RETURNING run_id, thread_id, status",
                (
                    attempts,
                    attempts,
                    Json({"error": "WorkerLost", "message": f"The run was begun {attempts} times and never ended."}),
                    late,
                ),
            )
            rows = await cursor.fetchall()
            if dead := [row["thread_id"] for row in rows if row["status"] == "error"]:
                await settle_threads(held, dead, status="error")
                await call_webhooks(held, [row["run_id"] for row in rows if row["status"] == "error"])
            for row in rows:
                await held.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"new {row['run_id']}"))
            return [row["run_id"] for row in rows]

    async def keep_base_writes(self, run: Run, worker: str, writes: list[tuple[str, int]]) -> None:
        async with self.pool.connection() as held:
            await held.execute(
                "UPDATE runs SET base_writes = %s WHERE run_id = %s AND worker = %s AND base_writes IS NULL",
                (Json(writes), run.run_id, worker),
            )

    async def finish(
        self, run: Run, worker: str, end: End, events: list[Event], steps: Sequence[Entry] = ()
    ) -> tuple[bool, bool]:
        """Writes the end of a run, its last steps and events and what its thread is now, all at once.

        Returns whether the run was still this worker's, and whether another one waits on the thread.
        """
        ending = _Ending(run, worker, end, events, steps)
        found = await self._finishing(ending)
        if found is None:
            # Only this one waits for whoever has locked its thread.
            [found] = await self._finish([ending], FINISH)
        return found or (False, False)

    async def _finish_unlocked(self, endings: Sequence[_Ending]) -> list[tuple[bool, bool] | None]:
        return await self._finish(endings, FINISH_UNLOCKED)

    async def _finish(self, endings: Sequence[_Ending], statement: str) -> list[tuple[bool, bool] | None]:
        """As `finish`; None where the thread was not found, or locked."""
        values = {
            "worker": endings[0].worker,
            "channel": CHANNEL,
            "ends": storable(dumps([each.row() for each in endings])),
            "events": [joined(each.events) for each in endings],
            **rows_of([step for each in endings for step in each.steps]),
        }
        async with self.pool.connection() as held:
            cursor = await held.execute(statement, values)
            rows = {row["thread_id"]: row for row in await cursor.fetchall()}
        found: list[tuple[bool, bool] | None] = []
        for each in endings:
            row = rows.get(each.run.thread_id)
            ours = row is not None and row["run_id"] == each.run.run_id
            found.append(None if row is None else (ours, ours and row["waiting"]))
        return found

    async def roll_back(self, run: Run, worker: str) -> bool:
        """Deletes a run with its events and the checkpoints it made. Returns whether another one waits."""
        async with self.pool.connection() as held, held.transaction():
            await lock_threads(held, [run.thread_id])
            cursor = await held.execute(
                "DELETE FROM runs WHERE run_id = %s AND worker = %s AND attempt = %s AND status = 'running'"
                " RETURNING base_writes",
                (run.run_id, worker, run.attempt),
            )
            row = await cursor.fetchone()
            if row is None:
                return False
            await remove_checkpoints(held, run.thread_id, run.run_id, row["base_writes"])
            await held.execute("DELETE FROM run_events WHERE run_id = %s", (run.run_id,))
            # The thread is again that of the graph that ran on it before.
            await held.execute(
                "UPDATE threads SET metadata = metadata || r.names FROM ("
                "SELECT jsonb_build_object('graph_id', graph_id, 'assistant_id', assistant_id) AS names FROM runs"
                " WHERE thread_id = %(thread)s ORDER BY created_at DESC LIMIT 1) r WHERE thread_id = %(thread)s",
                {"thread": run.thread_id},
            )
            await held.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"deleted {run.run_id}"))
            return await settle_threads(held, [run.thread_id])


def _plain(data: bytes | None) -> orjson.Fragment | None:
    return None if data is None else orjson.Fragment(data)
