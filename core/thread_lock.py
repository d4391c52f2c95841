"""One run at a time on a thread, across all processes.

Who works on a thread by itself (a command) holds its lock. The runs of the server are rows, of which a thread has one
active at most; one that begins checks the lock in the same statement (`UNLOCKED`), and a holder of the lock waits for
an active one. Each therefore sees the other, whoever is first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

from core.errors import ConflictError
from core.postgres import Connection, Pool, connection

# Postgres needs a moment to notice that the process which held the lock is dead.
PATIENCE_SECONDS = 3.0
INTERVAL_SECONDS = 0.05

UNLOCKED = "pg_try_advisory_xact_lock_shared(hashtextextended({thread}, 0))"
"""SQL: whether nobody holds the lock of a thread; it stays so until the transaction ends."""

ACTIVE: LiteralString = "EXISTS (SELECT 1 FROM runs WHERE thread_id = %s AND status = 'running')"


@asynccontextmanager
async def exclusive(pool: Pool, thread_id: str) -> AsyncIterator[None]:
    """Holds the thread while the block runs; raises ConflictError when another run holds it.

    The lock belongs to a database connection, so it ends with the process that holds it, however that ends.
    """
    async with connection(pool) as held:
        if not await _locked(held, thread_id):
            raise ConflictError(
                f"Another run is under way on thread {thread_id}.", "Wait for it to end, or use another thread."
            )
        try:
            yield
        finally:
            if not held.closed:
                await _unlock(held, thread_id)


async def _locked(held: Connection, thread_id: str) -> bool:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        if await _is(held, "pg_try_advisory_lock(hashtextextended(%s, 0))", thread_id):
            if not await _is(held, ACTIVE, thread_id):
                return True
            await _unlock(held, thread_id)
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(INTERVAL_SECONDS)


async def _unlock(held: Connection, thread_id: str) -> None:
    await held.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (thread_id,))


async def _is(held: Connection, condition: LiteralString, thread_id: str) -> bool:
    row = await (await held.execute(f"SELECT {condition} AS found", (thread_id,))).fetchone()
    return row is not None and bool(row["found"])
