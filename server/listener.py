"""What the processes over one database tell each other: new runs, cancels, events of runs that are watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import psycopg
from psycopg import AsyncConnection

from server.database import DATABASE_ERRORS
from server.insertion import CHANNEL
from server.worker import Worker

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


async def listen_forever(url: Callable[[], str], worker: Worker) -> None:
    """Hears notifications and hands them to the worker. After a break everybody looks again."""
    while True:
        try:
            address = await asyncio.to_thread(url)
            async with await AsyncConnection.connect(
                address, autocommit=True, connect_timeout=5, application_name="ddb-agent listener"
            ) as held:
                await held.execute(f"LISTEN {CHANNEL}")
                worker.wake()
                async for notification in held.notifies():
                    _handle(notification.payload, worker)
        except (*DATABASE_ERRORS, psycopg.Error) as error:
            logger.warning("notifications are interrupted: %s", error)
        await asyncio.sleep(RETRY_SECONDS)


def _handle(payload: str, worker: Worker) -> None:
    kind, _, rest = payload.partition(" ")
    run_id, _, action = rest.partition(" ")
    if kind == "new":
        worker.wake()
    elif kind == "cancel":
        worker.cancel(run_id, "rollback" if action == "rollback" else "interrupt")
    elif kind == "watch":
        worker.log.watch(run_id)
    elif kind == "deleted":
        worker.lose(run_id)
    worker.announce(run_id)
