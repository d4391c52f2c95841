"""The environments of a server: made, looked after, and announced to their threads before they end."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from core.errors import UserError
from core.postgres import Pool, connection
from provision.records import EnvironmentRecord
from provision.service import Environments
from server.binding import keep_choice

if TYPE_CHECKING:
    from server.services import Services

logger = logging.getLogger(__name__)

WARNING = "environment_warning"
RETRY_SECONDS = 10.0


async def look_after_environments(services: Services) -> None:
    """Goes on with what processes that ended were making, and has the reaper run; for ever."""
    while True:
        try:
            environments = await services.environments()
            break
        except UserError as error:
            logger.warning("environments cannot be looked after: %s", error)
        except Exception:
            logger.exception("environments cannot be looked after")
        await asyncio.sleep(RETRY_SECONDS)
    withdraw, keep = partial(withdraw_warnings, services.pool), partial(keep_choice, services.pool)
    environments.when_deleted.add(withdraw)
    environments.when_extended.add(withdraw)
    environments.when_chosen.add(keep)
    reaper = environments.reaper(partial(warn_threads, services.pool))
    try:
        await asyncio.gather(_go_on(environments, services.pool), reaper.run())
    finally:
        environments.when_deleted.discard(withdraw)
        environments.when_extended.discard(withdraw)
        environments.when_chosen.discard(keep)


async def _go_on(environments: Environments, pool: Pool) -> None:
    while True:
        try:
            await withdraw_warnings(pool)
            for environment_id in await environments.go_on():
                logger.info("going on with making environment %s", environment_id)
        except UserError as error:
            logger.warning("what is left to be made cannot be looked for: %s", error)
        except Exception:
            logger.exception("what is left to be made cannot be looked for")
        await asyncio.sleep(environments.settings.reaper_seconds)


async def warn_threads(pool: Pool, record: EnvironmentRecord) -> None:
    """Writes into the metadata of every thread that works in the environment when that ends."""
    assert record.expires_at is not None
    end = record.expires_at.astimezone(UTC)
    warning = {
        "environment_id": record.id,
        "expires_at": end.isoformat(timespec="seconds"),
        "message": f"Environment {record.name!r} ends at {end:%Y-%m-%d %H:%M} UTC. Extend it, or save what you need.",
    }
    async with connection(pool) as held:
        await held.execute(
            "UPDATE threads SET metadata = metadata || %(warning)s WHERE owner = %(owner)s"
            " AND (thread_id = %(thread)s OR metadata ->> 'environment_id' = %(environment)s"
            " OR state_values ->> 'environment' = %(environment)s)",
            {
                "warning": Jsonb({WARNING: warning}),
                "owner": record.owner,
                "thread": record.thread_id,
                "environment": record.id,
            },
        )


async def withdraw_warnings(pool: Pool, environment_id: str | None = None) -> None:
    """Of environments that were given more time, or have ended: of one, or of all."""
    async with connection(pool) as held:
        await held.execute(
            "UPDATE threads SET metadata = metadata - %(key)s::text FROM environments"
            " WHERE environments.environment_id = metadata -> %(key)s::text ->> 'environment_id'"
            " AND environments.owner = threads.owner AND (state <> 'RUNNING' OR warned_at IS NULL)"
            " AND metadata ? %(key)s::text"
            " AND (%(environment)s::text IS NULL OR environments.environment_id = %(environment)s)",
            {"key": WARNING, "environment": environment_id},
        )
