"""Runs on a schedule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from croniter import croniter  # type: ignore[import-untyped]
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg.types.json import Json, Jsonb

from core.errors import InvalidInputError, NotFoundError
from core.postgres import Connection, Pool
from server.bodies import CronCount, CronCreate, CronPatch, CronSearch
from server.identity import Principal
from server.ids import new_id
from server.json import dumps, storable
from server.pages import Order, count, page
from server.rules import Scope, own

_COLUMNS = SQL(
    "cron_id, assistant_id, thread_id, owner AS user_id, end_time, schedule, timezone, payload, next_run_date,"
    " metadata, CASE WHEN thread_id IS NULL THEN on_run_completed END AS on_run_completed, enabled, created_at,"
    " updated_at"
)
PAYLOAD = (
    "assistant_id", "input", "config", "context", "webhook", "interrupt_before", "interrupt_after", "stream_mode",
    "stream_subgraphs", "stream_resumable", "durability", "multitask_strategy", "metadata", "schedule", "timezone",
    "end_time", "on_run_completed", "enabled",
)  # fmt: skip


def next_time(schedule: str, timezone: str | None, after: datetime) -> datetime:
    """When a schedule is due next. InvalidInputError for what is not a schedule."""
    try:
        zone = ZoneInfo(timezone) if timezone else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(f"Unknown timezone {timezone!r}.", "Use an IANA name such as Europe/Berlin.") from None
    try:
        found = croniter(schedule, after.astimezone(zone)).get_next(datetime)
    except (ValueError, KeyError) as error:
        raise InvalidInputError(
            f"Invalid cron schedule: {schedule!r}. Reason: {error}.",
            "Use minute, hour, day of month, month, day of week: '*/5 * * * *' is every five minutes.",
        ) from None
    assert isinstance(found, datetime)
    return found.astimezone(UTC)


class Crons:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(
        self, principal: Principal, assistant_id: str, body: CronCreate, thread_id: str | None
    ) -> dict[str, Any]:
        payload = {
            key: value
            for key, value in body.model_dump(mode="json", exclude_unset=True).items()
            if key in PAYLOAD and value is not None
        }
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL(
                    "INSERT INTO crons (cron_id, owner, assistant_id, thread_id, schedule, timezone, end_time, payload,"
                    " principal, metadata, on_run_completed, enabled, next_run_date)"
                    " SELECT %(id)s, %(owner)s, a.assistant_id, t.thread_id, %(schedule)s, %(zone)s, %(end)s,"
                    " %(payload)s::json, %(principal)s, %(metadata)s, %(completed)s, %(enabled)s, %(next)s"
                    " FROM assistants a LEFT JOIN threads t ON t.thread_id = %(thread)s AND t.owner = %(owner)s"
                    " WHERE a.assistant_id = %(assistant)s AND a.owner IN ('', %(owner)s)"
                    " AND (%(thread)s::text IS NULL OR t.thread_id IS NOT NULL) RETURNING {}"
                ).format(_COLUMNS),
                {
                    "id": new_id(),
                    "owner": principal.identity,
                    "assistant": assistant_id,
                    "thread": thread_id,
                    "schedule": body.schedule,
                    "zone": body.timezone,
                    "end": body.end_time,
                    "payload": storable(dumps({**payload, "assistant_id": assistant_id})),
                    "principal": Json(principal.as_dict()),
                    "metadata": Jsonb(body.metadata or {}),
                    "completed": body.on_run_completed,
                    "enabled": body.enabled,
                    "next": next_time(body.schedule, body.timezone, await _now(held)),
                },
            )
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError("Thread or assistant not found.")
        return row

    async def get(self, owner: str, cron_id: str) -> dict[str, Any]:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL("SELECT {} FROM crons WHERE owner = %s AND cron_id = %s").format(_COLUMNS), (owner, cron_id)
            )
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"There is no cron {cron_id}.")
        return row

    async def patch(self, owner: str, cron_id: str, body: CronPatch) -> dict[str, Any]:
        known = await self.get(owner, cron_id)
        given = body.model_dump(mode="json", exclude_unset=True)
        payload = {**known["payload"], **{key: value for key, value in given.items() if key in PAYLOAD}}
        schedule = body.schedule or known["schedule"]
        zone = body.timezone or known["timezone"]
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL(
                    "UPDATE crons SET schedule = %s, timezone = %s, end_time = %s, payload = %s::json,"
                    " metadata = metadata || %s, on_run_completed = coalesce(%s, on_run_completed),"
                    " enabled = coalesce(%s, enabled), next_run_date = %s, updated_at = clock_timestamp()"
                    " WHERE owner = %s AND cron_id = %s RETURNING {}"
                ).format(_COLUMNS),
                (
                    schedule, zone, body.end_time if "end_time" in given else known["end_time"],
                    storable(dumps(payload)), Jsonb(body.metadata or {}), body.on_run_completed, body.enabled,
                    next_time(schedule, zone, await _now(held)), owner, cron_id,
                ),
            )  # fmt: skip
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"There is no cron {cron_id}.")
        return row

    async def delete(self, owner: str, cron_id: str) -> None:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "DELETE FROM crons WHERE owner = %s AND cron_id = %s RETURNING cron_id", (owner, cron_id)
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"There is no cron {cron_id}.")

    async def search(
        self, owner: str, search: CronSearch, scope: Scope | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        """A page of the owner's crons, or of those that `scope` shows, and whether there are more."""
        order = Order(search.sort_by or "created_at", "cron_id", descending=search.sort_order != "asc")
        seen = _narrowed(scope or own(owner), search)
        return await page(self._pool, "crons", _COLUMNS, seen, order, search.limit, search.offset)

    async def count(self, owner: str, search: CronCount, scope: Scope | None = None) -> int:
        return await count(self._pool, "crons", _narrowed(scope or own(owner), search))

    @asynccontextmanager
    async def due(self, limit: int = 50) -> AsyncIterator[list[dict[str, Any]]]:
        """The crons that are due, each with the id its run is to have. No other process has them meanwhile; after the
        block they are due again at their next time, or, when it failed, still."""
        async with self._pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "SELECT cron_id, owner, assistant_id, thread_id, schedule, timezone, end_time, payload, principal,"
                " on_run_completed, next_run_date, now() AS now FROM crons WHERE enabled AND next_run_date <= now()"
                " AND (end_time IS NULL OR end_time > now()) ORDER BY next_run_date LIMIT %s FOR UPDATE SKIP LOCKED",
                (limit,),
            )
            rows = await cursor.fetchall()
            yield [{**row, "run_id": _run_id(row["cron_id"], row["next_run_date"])} for row in rows]
            for row in rows:
                await held.execute(
                    "UPDATE crons SET next_run_date = %s WHERE cron_id = %s AND owner = %s",
                    (next_time(row["schedule"], row["timezone"], row["now"]), row["cron_id"], row["owner"]),
                )


def _run_id(cron_id: str, due_at: datetime) -> str:
    """The same whoever begins it, so that what is begun again after a crash is not begun twice."""
    return str(uuid5(UUID(cron_id), due_at.isoformat()))


async def _now(held: Connection) -> datetime:
    """The time by the clock that all processes share."""
    row = await (await held.execute("SELECT now() AS now")).fetchone()
    assert row is not None
    found: datetime = row["now"]
    return found


def cron_body(payload: dict[str, Any]) -> dict[str, Any]:
    """The run a cron's payload asks for."""
    return {key: value for key, value in orjson.loads(dumps(payload)).items() if key != "schedule"}


def _narrowed(scope: Scope, search: CronCount) -> Scope:
    for name in ("assistant_id", "thread_id", "enabled"):
        if (wanted := getattr(search, name)) is not None:
            scope = scope.narrowed(SQL("{} = {}").format(Identifier(name), Placeholder(name)), **{name: wanted})
    if search.metadata:
        scope = scope.narrowed(SQL("metadata @> %(metadata)s"), metadata=Jsonb(search.metadata))
    return scope
