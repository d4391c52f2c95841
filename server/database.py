"""Connections of the server: a pool that is checked no more than needed, and pools for what may be lost in a crash."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.errors import DatabaseUnavailableError
from core.postgres import Pool

CHECK_AFTER_SECONDS = 1.0
# Under load, and while Postgres is restarted, work waits rather than fails.
WAIT_SECONDS = 30.0
OPEN_SECONDS = 10.0
DATABASE_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError)


class CheckedConnection(AsyncConnection[DictRow]):
    """A connection that remembers when it was last known to work."""

    checked_at: float = 0.0


async def _check(held: AsyncConnection[DictRow]) -> None:
    """A check is a round trip, so a connection that worked a moment ago and has nothing to say is not checked again."""
    now = time.monotonic()
    if isinstance(held, CheckedConnection):
        if now - held.checked_at < CHECK_AFTER_SECONDS and not _speaks(held):
            return
        held.checked_at = now
    await AsyncConnectionPool.check_connection(held)


def _speaks(held: AsyncConnection[DictRow]) -> bool:
    """Whether an idle connection has something to read: that it was closed, most likely."""
    try:
        looked = select.poll()
        looked.register(held.fileno(), select.POLLIN)
        return bool(looked.poll(0))
    except (OSError, psycopg.OperationalError):
        return True


@asynccontextmanager
async def open_server_pool(
    url: Callable[[], str], *, max_size: int, relaxed: bool = False, wait_seconds: float = WAIT_SECONDS
) -> AsyncIterator[Pool]:
    """A pool like `core.postgres.open_pool`, with prepared statements and fewer checks.

    On a `relaxed` pool a commit does not wait for the disk. A crash of the Postgres server (not of this process) may
    lose its last commits, but never a commit that a later one on a strict connection came after.
    """

    async def current() -> str:
        return await asyncio.to_thread(url)

    options = "-c synchronous_commit=off" if relaxed else ""
    pool: Pool = AsyncConnectionPool(
        current,
        connection_class=CheckedConnection,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "connect_timeout": 5,
            "options": options,
            "application_name": "ddb-agent",
        },
        min_size=min(2, max_size),
        max_size=max_size,
        timeout=wait_seconds,
        max_idle=300.0,
        check=_check,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=OPEN_SECONDS)
    except PoolTimeout:
        await pool.close()
        raise DatabaseUnavailableError(
            "Postgres cannot be reached.", "Check DATABASE_URL and that the server runs."
        ) from None
    try:
        yield pool
    finally:
        await pool.close()
