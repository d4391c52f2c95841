"""Threads as the thread API sees them: with a status, the values of their state, and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from core.checkpointer import checkpointer
from core.errors import ConflictError, NotFoundError
from core.postgres import Pool
from core.threads import Threads
from server.bodies import ThreadCount, ThreadSearch, TimeToLive
from server.ids import new_id
from server.insertion import CHANNEL
from server.json import dumps, storable
from server.pages import Order, count, page
from server.rules import Scope, own
from server.together import Together

_COLUMNS = SQL(
    "thread_id, created_at, updated_at, state_updated_at, metadata, status, config, state_values AS values, error,"
    " interrupts, title, CASE WHEN expires_at IS NOT NULL THEN json_build_object('strategy', ttl_strategy,"
    " 'ttl_minutes', ttl_minutes, 'expires_at', expires_at) END AS ttl"
)

# Temporary threads are those of runs without one; expired ones wait for the housekeeping.
_SEEN = SQL("NOT temporary AND (expires_at IS NULL OR expires_at > now() OR ttl_strategy <> 'delete')")

_INSERT = (
    SQL(
        "INSERT INTO threads (thread_id, owner, metadata, ttl_strategy, ttl_minutes, expires_at)"
        " SELECT thread_id, owner, metadata, strategy, ttl, now() + make_interval(secs => ttl * 60)"
        " FROM json_to_recordset(%s::json)"
        " AS t (thread_id text, owner text, metadata jsonb, strategy text, ttl float8)"
        " ON CONFLICT (thread_id) DO NOTHING RETURNING {}"
    )
    .format(_COLUMNS)
    .as_string()
)


class ThreadStore:
    """Every statement carries the owner."""

    def __init__(self, pool: Pool, core: Threads, ttl: TimeToLive | None = None) -> None:
        """`ttl` is how long threads live that are made without a time of their own."""
        self._pool = pool
        self._core = core
        self._ttl = ttl
        self._creating = Together(self._insert)

    async def create(
        self,
        owner: str,
        thread_id: str | None,
        metadata: Mapping[str, Any],
        *,
        ttl: TimeToLive | None = None,
        existing: bool = False,
    ) -> dict[str, Any]:
        """A new thread; with `existing` the owner's own of that id when there is one."""
        ttl = ttl or self._ttl
        row = await self._creating(
            {
                "thread_id": thread_id or new_id(),
                "owner": owner,
                "metadata": metadata,
                "strategy": ttl and ttl.strategy,
                "ttl": ttl and ttl.ttl,
            }
        )
        if row is None and existing and thread_id is not None:
            try:
                return await self.get(owner, thread_id)
            except NotFoundError:
                pass
        if row is None:
            raise ConflictError(f"Thread with ID {thread_id} already exists")
        return row

    async def _insert(self, threads: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """The rows of new threads, None for one whose id is taken."""
        async with self._pool.connection() as held:
            cursor = await held.execute(_INSERT, (dumps(threads).decode(),))
            made = {row["thread_id"]: row for row in await cursor.fetchall()}
        return [made.pop(thread["thread_id"], None) for thread in threads]

    async def get(self, owner: str, thread_id: str) -> dict[str, Any]:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL("SELECT {} FROM threads WHERE owner = %s AND thread_id = %s AND {}").format(_COLUMNS, _SEEN),
                (owner, thread_id),
            )
            row = await cursor.fetchone()
        if row is None:
            raise _absent(thread_id)
        return row

    async def patch(
        self, owner: str, thread_id: str, metadata: Mapping[str, Any] | None, ttl: TimeToLive | None
    ) -> dict[str, Any]:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL(
                    "UPDATE threads SET metadata = metadata || %(metadata)s, updated_at = clock_timestamp(),"
                    " title = coalesce(%(title)s, title),"
                    " ttl_strategy = coalesce(%(strategy)s, ttl_strategy),"
                    " ttl_minutes = coalesce(%(ttl)s, ttl_minutes),"
                    " expires_at = coalesce(now() + make_interval(secs => %(ttl)s::float8 * 60), expires_at)"
                    " WHERE owner = %(owner)s AND thread_id = %(thread)s AND {} RETURNING {}"
                ).format(_SEEN, _COLUMNS),
                {
                    "metadata": Jsonb(dict(metadata or {})),
                    "title": title if isinstance(title := (metadata or {}).get("title"), str) else None,
                    "strategy": ttl and ttl.strategy,
                    "ttl": ttl and ttl.ttl,
                    "owner": owner,
                    "thread": thread_id,
                },
            )
            row = await cursor.fetchone()
        if row is None:
            raise _absent(thread_id)
        return row

    async def search(
        self, owner: str, search: ThreadSearch, scope: Scope | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        """A page of the owner's threads, or of those that `scope` shows, and whether there are more."""
        seen = _narrowed(scope or own(owner), search)
        if search.ids is not None:
            seen = seen.narrowed(SQL("thread_id = ANY(%(ids)s)"), ids=search.ids)
        order = Order(search.sort_by or "updated_at", "thread_id", descending=search.sort_order != "asc")
        return await page(self._pool, "threads", _COLUMNS, seen, order, search.limit, search.offset)

    async def count(self, owner: str, search: ThreadCount, scope: Scope | None = None) -> int:
        return await count(self._pool, "threads", _narrowed(scope or own(owner), search))

    async def keep_state(
        self, owner: str, thread_id: str, values: Any, interrupts: Mapping[str, Any], *, waits: bool
    ) -> None:
        """After a change of the state that was not a run."""
        async with self._pool.connection() as held:
            await held.execute(
                "UPDATE threads SET state_values = %s::json, interrupts = %s::json, error = NULL,"
                " status = CASE WHEN status = 'busy' THEN status WHEN %s THEN 'interrupted' ELSE 'idle' END,"
                " updated_at = clock_timestamp(), state_updated_at = clock_timestamp()"
                " WHERE owner = %s AND thread_id = %s",
                (storable(dumps(values)), storable(dumps(interrupts)), waits, owner, thread_id),
            )
            await held.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"state {thread_id}"))

    async def copy(self, owner: str, thread_id: str, *, to: str | None = None) -> dict[str, Any]:
        """A new thread, of the owner or of another, with the metadata, the state and the history of an old one."""
        copied = new_id()
        async with self._pool.connection() as held, held.transaction():
            cursor = await held.execute(
                SQL(
                    "INSERT INTO threads (thread_id, owner, title, metadata, config, state_values, interrupts, error,"
                    " status) SELECT %s, %s, title, metadata, config, state_values, interrupts, error,"
                    " CASE WHEN status = 'busy' THEN 'idle' ELSE status END FROM threads"
                    " WHERE owner = %s AND thread_id = %s AND {} RETURNING {}"
                ).format(_SEEN, _COLUMNS),
                (copied, to or owner, owner, thread_id),
            )
            row = await cursor.fetchone()
            if row is None:
                raise _absent(thread_id)
            await held.execute(
                "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,"
                " checkpoint, metadata) SELECT %(to)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,"
                " checkpoint, CASE WHEN metadata ? 'thread_id' THEN"
                " jsonb_set(metadata, '{thread_id}', to_jsonb(%(to)s::text)) ELSE metadata END"
                " FROM checkpoints WHERE thread_id = %(from)s",
                {"to": copied, "from": thread_id},
            )
            await held.execute(
                "INSERT INTO checkpoint_blobs SELECT %s, checkpoint_ns, channel, version, type, blob"
                " FROM checkpoint_blobs WHERE thread_id = %s",
                (copied, thread_id),
            )
            await held.execute(
                "INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type,"
                " blob, task_path) SELECT %s, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob,"
                " task_path FROM checkpoint_writes WHERE thread_id = %s",
                (copied, thread_id),
            )
        return row

    async def delete(self, owner: str, thread_id: str) -> None:
        """Deletes a thread with everything of it. Runs under way must have been ended."""
        await self.get(owner, thread_id)
        await self.erase(owner, thread_id)

    async def erase(self, owner: str, thread_id: str) -> None:
        async with self._pool.connection() as held:
            await held.execute(
                "DELETE FROM run_events WHERE run_id IN (SELECT run_id FROM runs WHERE owner = %s AND thread_id = %s)",
                (owner, thread_id),
            )
        await self._core.delete(owner, thread_id)

    async def prune(self, owner: str, thread_id: str) -> bool:
        """Keeps the latest checkpoint only. Returns False for a thread that is not the owner's."""
        try:
            await self.get(owner, thread_id)
        except NotFoundError:
            return False
        await checkpointer(self._pool).aprune([thread_id], strategy="keep_latest")
        return True

    async def storage(self, owner: str, thread_id: str) -> dict[str, Any]:
        """How much room a thread takes."""
        await self.get(owner, thread_id)
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT count(*) AS count,"
                " coalesce(sum(pg_column_size(checkpoint) + pg_column_size(metadata)), 0)::bigint"
                " AS bytes FROM checkpoints WHERE thread_id = %s",
                (thread_id,),
            )
            checkpoints = await cursor.fetchone()
            cursor = await held.execute(
                "SELECT channel, count(*) AS versions, coalesce(sum(octet_length(blob)), 0)::bigint AS bytes"
                " FROM checkpoint_blobs WHERE thread_id = %s GROUP BY channel",
                (thread_id,),
            )
            channels = await cursor.fetchall()
            cursor = await held.execute(
                "SELECT count(*) AS count, coalesce(sum(octet_length(blob)), 0)::bigint AS bytes FROM checkpoint_writes"
                " WHERE thread_id = %s",
                (thread_id,),
            )
            writes = await cursor.fetchone()
        assert checkpoints is not None
        assert writes is not None
        size = sum(row["bytes"] for row in channels)
        return {
            "thread_id": thread_id,
            "total_bytes": checkpoints["bytes"] + size + writes["bytes"],
            "checkpoints": checkpoints,
            "channel_values": {
                "count": sum(row["versions"] for row in channels),
                "bytes": size,
                "by_channel": {
                    row["channel"]: {"versions": row["versions"], "bytes": row["bytes"]} for row in channels
                },
            },
            "pending_writes": writes,
        }


def shown(row: Mapping[str, Any], select: Sequence[str] | None = None) -> dict[str, Any]:
    """A thread's row as it is answered."""
    found = {key: value for key, value in row.items() if key != "ttl" or value is not None}
    return found if select is None else {key: found.get(key) for key in select}


def _narrowed(scope: Scope, search: ThreadSearch | ThreadCount) -> Scope:
    scope = scope.narrowed(_SEEN)
    if search.metadata:
        scope = scope.narrowed(SQL("metadata @> %(metadata)s"), metadata=Jsonb(search.metadata))
    if search.values:
        holds = SQL("state_values IS NOT NULL AND state_values::jsonb @> %(values)s")
        scope = scope.narrowed(holds, values=Jsonb(search.values))
    if search.status:
        scope = scope.narrowed(SQL("status = %(status)s"), status=search.status)
    return scope


def _absent(thread_id: str) -> NotFoundError:
    return NotFoundError(f"Thread with ID {thread_id} not found")
