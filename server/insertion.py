"""The rows of new runs, with the marks they leave on their threads, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import orjson
from psycopg.sql import SQL

from core.postgres import Connection
from core.thread_lock import UNLOCKED
from server.json import dumps, storable

CHANNEL = "ddb_agent_runs"
WHEN_FREE = " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = i.thread AND r.status IN ('pending', 'running'))"
_INSERT = SQL("""
WITH i AS MATERIALIZED (
    SELECT *, {unlocked} AS unlocked FROM json_to_recordset(%(runs)s::json) AS i (run text, thread text, owner text,
        assistant text, assistant_owner text, metadata jsonb, kwargs json, principal json, strategy text,
        temporary boolean, webhook text, worker text, lease float8, delay float8, config jsonb, title text)
),
p AS MATERIALIZED (
    SELECT i.*, CASE WHEN i.unlocked THEN i.worker END AS held_by, a.graph_id, a.metadata AS assistant_metadata,
        a.config AS assistant_config, a.context AS assistant_context,
        jsonb_build_object('graph_id', a.graph_id, 'assistant_id', a.assistant_id) AS names
    FROM i JOIN threads t ON t.thread_id = i.thread AND t.owner = i.owner
        JOIN assistants a ON a.assistant_id = i.assistant AND a.owner IN ('', i.assistant_owner)
    WHERE (i.unlocked OR i.strategy <> 'reject' OR i.delay > 0){condition}
    ORDER BY t.thread_id FOR UPDATE OF t {skip}
),
t AS (
    UPDATE threads SET status = CASE WHEN p.delay > 0 THEN threads.status ELSE 'busy' END,
        updated_at = clock_timestamp(), config = p.config,
        title = CASE WHEN threads.title = '' THEN p.title ELSE threads.title END, metadata = threads.metadata || p.names
    FROM p WHERE threads.thread_id = p.thread RETURNING threads.thread_id, threads.metadata
),
r AS (
    INSERT INTO runs (run_id, thread_id, owner, assistant_id, graph_id, status, metadata, kwargs, assistant_config,
        assistant_context, principal, multitask_strategy, temporary, webhook, worker, attempt, lease_until, watched,
        available_at)
    SELECT p.run, p.thread, p.owner, p.assistant, p.graph_id,
        CASE WHEN p.held_by IS NULL THEN 'pending' ELSE 'running' END,
        p.assistant_metadata || (t.metadata - 'title') || p.metadata || p.names,
        p.kwargs, p.assistant_config, p.assistant_context, p.principal, p.strategy, p.temporary, p.webhook,
        p.held_by, CASE WHEN p.held_by IS NULL THEN 0 ELSE 1 END,
        CASE WHEN p.held_by IS NOT NULL THEN now() + make_interval(secs => p.lease) END,
        p.held_by IS NULL, now() + make_interval(secs => p.delay)
    FROM p JOIN t ON t.thread_id = p.thread RETURNING *
)
SELECT run_id, graph_id, status, metadata, assistant_config, assistant_context, attempt, watched, available_at,
    created_at, updated_at, NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = r.thread_id) AS blank,
    CASE WHEN status = 'pending' THEN pg_notify(%(channel)s, 'new ' || run_id) END AS told
FROM r
""")


def _statement(condition: LiteralString, skip: LiteralString) -> str:
    unlocked = SQL(UNLOCKED).format(thread=SQL("i.thread"))
    return " ".join(_INSERT.format(unlocked=unlocked, condition=SQL(condition), skip=SQL(skip)).as_string().split())


INSERT = _statement("", "")
# A thread that somebody else has locked counts as busy: several are made together, and do not wait for one.
INSERT_WHEN_FREE = _statement(WHEN_FREE, "SKIP LOCKED")


async def insert(held: Connection, runs: Sequence[Mapping[str, Any]], statement: str) -> dict[str, dict[str, Any]]:
    """What the database says of the runs that were made, by their ids. Each is of a thread of its own."""
    rows = [{**values, "kwargs": orjson.Fragment(values["kwargs"])} for values in runs]
    cursor = await held.execute(statement, {"runs": storable(dumps(rows)), "channel": CHANNEL})
    made = {row.pop("run_id"): row for row in await cursor.fetchall()}
    for row in made.values():
        del row["told"]
    return made
