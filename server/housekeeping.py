"""What is done on a schedule: crons, and removing what is kept no longer."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from psycopg_pool import PoolTimeout

from core.errors import ConflictError, UserError
from server.bodies import RunCreate
from server.crons import cron_body
from server.database import DATABASE_ERRORS
from server.identity import Principal
from server.ids import new_id

if TYPE_CHECKING:
    from server.services import Services

logger = logging.getLogger(__name__)

CRON_SECONDS = 1.0
TIDY_SECONDS = 60.0
TEMPORARY_SECONDS = 300.0


async def tidy_forever(services: Services) -> None:
    tidied = 0.0
    while True:
        await asyncio.sleep(CRON_SECONDS)
        try:
            if services.worker.enabled and not services.worker.draining:
                await start_crons(services)
            if time.monotonic() - tidied > TIDY_SECONDS:
                tidied = time.monotonic()
                await tidy(services)
        except (*DATABASE_ERRORS, PoolTimeout) as error:
            logger.warning("housekeeping waits for the database: %s", error)
        except Exception:
            logger.exception("housekeeping failed")


async def start_crons(services: Services) -> None:
    async with services.crons.due() as due:
        for cron in due:
            try:
                await _start(services, cron)
            except ConflictError as error:
                logger.info("a cron's run is not begun: %s", error, extra={"cron_id": cron["cron_id"]})
            except (UserError, ValueError) as error:
                logger.warning("a cron could not start its run: %s", error, extra={"cron_id": cron["cron_id"]})
    if due:
        services.worker.wake()


async def _start(services: Services, cron: dict[str, Any]) -> None:
    thread_id = cron["thread_id"]
    body = RunCreate.model_validate(cron_body(cron["payload"]))
    body.metadata = {**(body.metadata or {}), "cron_id": cron["cron_id"]}
    config = body.config or {}
    body.config = {**config, "configurable": {**(config.get("configurable") or {}), "cron_id": cron["cron_id"]}}
    await services.runs.create(
        Principal.from_dict(cron["principal"]),
        thread_id or new_id(),
        cron["assistant_id"],
        body,
        temporary=thread_id is None and cron["on_run_completed"] == "delete",
        new_thread=thread_id is None,
        run_id=cron["run_id"],
    )


async def tidy(services: Services) -> None:
    """Removes old events and runs, threads and items of the store past their time, the threads of stateless runs, and
    spent tokens."""
    settings = services.settings
    await services.store.sweep_ttl()
    async with services.pool.connection() as held:
        await held.execute(
            "DELETE FROM run_events e WHERE created_at < now() - make_interval(secs => %s)"
            " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = e.run_id AND r.status IN ('pending', 'running'))",
            (settings.event_retention_seconds,),
        )
        await held.execute(
            "DELETE FROM runs WHERE status NOT IN ('pending', 'running')"
            " AND updated_at < now() - make_interval(secs => %s)",
            (settings.run_retention_seconds,),
        )
        await held.execute("DELETE FROM refresh_tokens WHERE expires_at < now()")
        await held.execute("DELETE FROM revoked_tokens WHERE expires_at < now()")
        cursor = await held.execute(
            "SELECT owner, thread_id, temporary OR ttl_strategy = 'delete' AS gone FROM threads t"
            " WHERE status <> 'busy'"
            " AND (expires_at < now() OR temporary AND updated_at < now() - make_interval(secs => %s))"
            " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id"
            " AND r.status IN ('pending', 'running'))"
            " LIMIT 500",
            (TEMPORARY_SECONDS,),
        )
        rows = await cursor.fetchall()
    for row in rows:
        if row["gone"]:
            await services.threads.erase(row["owner"], row["thread_id"])
            continue
        try:
            await services.threads.prune(row["owner"], row["thread_id"])
        except NotImplementedError:
            logger.info("thread keeps its history: its graph stores differences", extra={"thread_id": row["thread_id"]})
        async with services.pool.connection() as held:
            await held.execute(
                "UPDATE threads SET expires_at = now() + make_interval(secs => ttl_minutes * 60)"
                " WHERE owner = %s AND thread_id = %s",
                (row["owner"], row["thread_id"]),
            )
