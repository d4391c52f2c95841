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
    reaper = environments.reaper(partial(warn_threads, services.pool))
    await asyncio.gather(_go_on(environments), reaper.run())


async def _go_on(environments: Environments) -> None:
    while True:
        try:
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


async def withdraw_warnings(pool: Pool, record: EnvironmentRecord) -> None:
    """After the environment was given more time, or has ended."""
    async with connection(pool) as held:
        await held.execute(
            "UPDATE threads SET metadata = metadata - %(key)s::text WHERE owner = %(owner)s"
            " AND metadata -> %(key)s::text ->> 'environment_id' = %(environment)s",
            {"key": WARNING, "owner": record.owner, "environment": record.id},
        )
