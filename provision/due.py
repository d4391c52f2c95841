"""What the reaper must look at, over all owners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import class_row
from psycopg.sql import SQL

from core.postgres import Connection
from provision.records import EnvironmentRecord
from provision.store import COLUMNS


async def sweep_begins(held: Connection, since: float) -> bool:
    """Notes that a sweep begins, unless one did less than `since` seconds ago: then False."""
    cursor = await held.execute(
        "UPDATE installation SET swept_at = clock_timestamp()"
        " WHERE swept_at IS NULL OR swept_at <= clock_timestamp() - make_interval(secs => %s)",
        (since,),
    )
    return cursor.rowcount == 1


async def expired(held: Connection) -> list[EnvironmentRecord]:
    """Those whose time is up, whatever they do."""
    return await _select(held, "state IN ('PROVISIONING', 'RUNNING') AND expires_at < now()")


async def abandoned(held: Connection, seconds: float) -> list[EnvironmentRecord]:
    """Those that no process has been making for `seconds`, and requests nobody decided on for a day."""
    return await _select(
        held,
        "(state = 'PROVISIONING' AND worker_until < now() - make_interval(secs => %s))"
        " OR (state = 'PENDING' AND created_at < now() - interval '1 day')",
        (seconds,),
    )


async def left(held: Connection, provider: str, region: str) -> list[EnvironmentRecord]:
    """Those that a process was making until it ended."""
    return await _select(
        held,
        "state = 'PROVISIONING' AND worker_until < clock_timestamp() AND provider = %s AND region = %s",
        (provider, region),
    )


async def deleting(held: Connection) -> list[EnvironmentRecord]:
    """Those whose deletion was begun or failed and is to be tried now."""
    return await _select(held, "state = 'DELETING' AND (retry_at IS NULL OR retry_at <= now())")


async def running(held: Connection, provider: str, region: str) -> list[EnvironmentRecord]:
    return await _select(held, "state = 'RUNNING' AND provider = %s AND region = %s", (provider, region))


async def to_warn(held: Connection, seconds: float) -> list[EnvironmentRecord]:
    """Those that end within `seconds` and whose thread has not been told."""
    return await _select(
        held,
        "state = 'RUNNING' AND warned_at IS NULL AND expires_at < now() + make_interval(secs => %s)",
        (seconds,),
    )


async def wanted_groups(held: Connection, environment_ids: Sequence[str]) -> set[str]:
    """Those of the environments whose groups are in use or about to be deleted anyway."""
    cursor = await held.execute(
        "SELECT environment_id FROM environments WHERE environment_id = ANY(%s)"
        " AND state IN ('PENDING', 'PROVISIONING', 'RUNNING', 'DELETING')",
        (list(environment_ids),),
    )
    return {row["environment_id"] for row in await cursor.fetchall()}


async def orphans_past_grace(held: Connection, provider: str, group_ids: Sequence[str], seconds: float) -> list[str]:
    """Remembers groups seen without a live row, forgets those gone, and gives the ones seen for over `seconds`."""
    await held.execute(
        "DELETE FROM orphans WHERE provider = %s AND NOT group_id = ANY(%s)", (provider, list(group_ids))
    )
    await held.execute(
        "INSERT INTO orphans (provider, group_id) SELECT %s, unnest(%s::text[]) ON CONFLICT DO NOTHING",
        (provider, list(group_ids)),
    )
    cursor = await held.execute(
        "SELECT group_id FROM orphans WHERE provider = %s AND seen_at <= now() - make_interval(secs => %s)",
        (provider, seconds),
    )
    return [row["group_id"] for row in await cursor.fetchall()]


async def _select(held: Connection, where: str, values: Sequence[Any] = ()) -> list[EnvironmentRecord]:
    async with held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
        await cursor.execute(
            SQL("SELECT {} FROM environments WHERE {} ORDER BY expires_at, environment_id").format(
                COLUMNS,
                SQL(where),
            ),
            list(values),
        )
        return await cursor.fetchall()
