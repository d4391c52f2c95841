"""What a change of a thread's runs means for the thread: its status, its checkpoints."""

from __future__ import annotations

from psycopg.types.json import Json

from core.postgres import Connection


async def lock_threads(held: Connection, thread_ids: list[str]) -> None:
    """Whoever changes a run and its thread locks the thread first, so that nobody waits in a circle."""
    await held.execute(
        "SELECT 1 FROM threads WHERE thread_id = ANY(%s) ORDER BY thread_id FOR UPDATE", (sorted(set(thread_ids)),)
    )


async def settle_threads(held: Connection, thread_ids: list[str], *, status: str | None = None) -> bool:
    """Sets the status of threads from their runs and what they wait for. Returns whether any has a run waiting."""
    if not thread_ids:
        return False
    cursor = await held.execute(
        "WITH active AS (SELECT thread_id, bool_or(status = 'pending') AS waiting FROM runs"
        " WHERE thread_id = ANY(%(threads)s) AND status IN ('pending', 'running') AND available_at <= now()"
        " GROUP BY thread_id)"
        " UPDATE threads t SET updated_at = clock_timestamp(), status = CASE"
        " WHEN EXISTS (SELECT 1 FROM active a WHERE a.thread_id = t.thread_id) THEN 'busy'"
        " WHEN %(status)s::text IS NOT NULL THEN %(status)s::text"
        " WHEN t.interrupts::text <> '{}' THEN 'interrupted' WHEN t.error IS NOT NULL THEN 'error' ELSE 'idle' END"
        " WHERE t.thread_id = ANY(%(threads)s)"
        " RETURNING EXISTS (SELECT 1 FROM active a WHERE a.thread_id = t.thread_id AND a.waiting) AS waiting",
        {"threads": thread_ids, "status": status},
    )
    return any(row["waiting"] for row in await cursor.fetchall())


async def remove_checkpoints(
    held: Connection, thread_id: str, run_id: str, base_writes: list[tuple[str, int]] | None
) -> None:
    """Takes a thread back to where it was before a run.

    `base_writes` are the writes that were on the checkpoint there; None when the run could not add any to it.
    """
    await held.execute(
        "WITH gone AS (DELETE FROM checkpoints WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s"
        " RETURNING checkpoint_ns, checkpoint_id)"
        " DELETE FROM checkpoint_writes w USING gone WHERE w.thread_id = %(thread)s"
        " AND w.checkpoint_ns = gone.checkpoint_ns AND w.checkpoint_id = gone.checkpoint_id",
        {"thread": thread_id, "run": run_id},
    )
    if base_writes is None:
        return
    cursor = await held.execute(
        "SELECT checkpoint_id FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = ''"
        " ORDER BY checkpoint_id DESC LIMIT 1",
        (thread_id,),
    )
    base = await cursor.fetchone()
    if base is not None:
        await held.execute(
            "DELETE FROM checkpoint_writes w WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = ''"
            " AND w.checkpoint_id = %(base)s AND NOT EXISTS (SELECT 1 FROM json_array_elements(%(kept)s) k"
            " WHERE k ->> 0 = w.task_id AND (k ->> 1)::integer = w.idx)",
            {"thread": thread_id, "base": base["checkpoint_id"], "kept": Json(base_writes)},
        )
