"""The environments of a server: made, looked after, and announced to their threads before they end."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from core.errors import UserError
from core.postgres import Pool, connection
from provision.records import EnvironmentRecord
from provision.service import Environments, ending

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
        await asyncio.sleep(environments.settings.reaper_seconds)


async def warn_threads(pool: Pool, record: EnvironmentRecord) -> None:
    """Writes into the metadata of every thread that works in the environment when that ends."""
    warning = {"environment_id": record.id, "message": ending(record), "expires_at": f"{record.expires_at:%FT%TZ}"}
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
            "UPDATE threads SET metadata = metadata - 'environment_warning' WHERE owner = %s"
            " AND metadata -> 'environment_warning' ->> 'environment_id' = %s",
            (record.owner, record.id),
        )
