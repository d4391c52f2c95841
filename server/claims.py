"""What workers do with runs in Postgres: claim them, keep them, end them. Every statement says who holds the run.

Times are Postgres' own, so that processes whose clocks differ agree on who holds what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg.types.json import Json

from core.postgres import Pool
from core.thread_lock import UNLOCKED
from server.events import Event, joined
from server.json import dumps, storable
from server.runs import CHANNEL, COLUMNS, CancelAction, Run, call_webhooks
from server.settling import lock_threads, remove_checkpoints, settle_threads


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


class Claims:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

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

    async def again(self, worker: str, run_id: str, lease_seconds: float) -> Run | None:
        """The next attempt of a run this worker still holds."""
        async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(
                SQL(
                    "UPDATE runs SET attempt = attempt + 1, lease_until = now() + make_interval(secs => %s)"
                    " WHERE run_id = %s AND worker = %s AND status = 'running' RETURNING {columns}"
                ).format(columns=COLUMNS),
                (lease_seconds, run_id, worker),
            )
            return await cursor.fetchone()

    async def release(self, worker: str, run_id: str) -> None:
        """Gives a run back unfinished, for any worker to go on with."""
        async with self.pool.connection() as held:
            await held.execute(
                "WITH r AS (UPDATE runs SET status = 'pending', worker = NULL, lease_until = NULL,"
                " updated_at = clock_timestamp()"
                " WHERE run_id = %s AND worker = %s AND status = 'running' RETURNING run_id)"
                " SELECT pg_notify(%s, 'new ' || run_id) FROM r",
                (run_id, worker, CHANNEL),
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

    async def finish(self, run: Run, worker: str, end: End, events: list[Event]) -> tuple[bool, bool]:
        """Writes the end of a run, its last events and what its thread is now, all at once.

        Returns whether the run was still this worker's, and whether another one waits on the thread.
        """
        values = {
            "run": run.run_id,
            "thread": run.thread_id,
            "worker": worker,
            "status": end.status,
            "error": Json(end.error) if end.error is not None else None,
            "output": storable(end.output) if end.output is not None else None,
            "thread_status": end.thread_status,
            "values": storable(end.values) if end.values is not None else None,
            "interrupts": storable(dumps(end.interrupts)),
            "tokens_in": end.input_tokens,
            "tokens_out": end.output_tokens,
            "first": events[0].number if events else None,
            "last": events[-1].number if events else None,
            "data": joined(events) if events else None,
            "channel": CHANNEL,
            "webhook": run.webhook,
            "webhook_state": storable(end.values) if run.webhook and end.values is not None else None,
        }
        async with self.pool.connection() as held:
            cursor = await held.execute(
                "WITH l AS (SELECT thread_id FROM threads WHERE thread_id = %(thread)s FOR UPDATE),"
                " r AS (UPDATE runs SET status = %(status)s, error = %(error)s, output = %(output)s, worker = NULL,"
                " lease_until = NULL, input_tokens = %(tokens_in)s, output_tokens = %(tokens_out)s,"
                " updated_at = clock_timestamp()"
                " FROM l WHERE run_id = %(run)s AND worker = %(worker)s AND status = 'running'"
                " RETURNING run_id, runs.thread_id, watched),"
                " e AS (INSERT INTO run_events (run_id, first, last, data)"
                " SELECT run_id, %(first)s::bigint, %(last)s::bigint, %(data)s::bytea FROM r"
                " WHERE %(last)s::bigint IS NOT NULL ON CONFLICT DO NOTHING),"
                " h AS (INSERT INTO webhook_calls (run_id, address, state)"
                " SELECT run_id, %(webhook)s::text, %(webhook_state)s::json FROM r WHERE %(webhook)s::text IS NOT NULL"
                " ON CONFLICT DO NOTHING),"
                " w AS (SELECT EXISTS (SELECT 1 FROM runs WHERE thread_id = %(thread)s AND status = 'pending'"
                " AND available_at <= now()) AS waiting),"
                " t AS (UPDATE threads SET status ="
                " CASE WHEN w.waiting THEN 'busy' ELSE %(thread_status)s END,"
                " state_values = coalesce(%(values)s::json, state_values), interrupts = %(interrupts)s::json,"
                " error = %(error)s, updated_at = clock_timestamp(), state_updated_at = clock_timestamp()"
                " FROM r, w WHERE threads.thread_id = r.thread_id RETURNING threads.thread_id)"
                " SELECT w.waiting, r.watched,"
                " CASE WHEN r.watched THEN pg_notify(%(channel)s, 'done ' || r.run_id) END FROM r, w",
                values,
            )
            row = await cursor.fetchone()
        return (row is not None, bool(row and row["waiting"]))

    async def roll_back(self, run: Run, worker: str) -> bool:
        """Deletes a run with its events and the checkpoints it made. Returns whether another one waits."""
        async with self.pool.connection() as held, held.transaction():
            await lock_threads(held, [run.thread_id])
            cursor = await held.execute(
                "DELETE FROM runs WHERE run_id = %s AND worker = %s AND status = 'running' RETURNING base_writes",
                (run.run_id, worker),
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
