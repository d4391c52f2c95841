"""One run at a time on a thread, across all processes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import ConflictError
from core.postgres import Connection, Pool, connection

# Postgres needs a moment to notice that the process which held the lock is dead.
PATIENCE_SECONDS = 3.0
INTERVAL_SECONDS = 0.05


@asynccontextmanager
async def exclusive(pool: Pool, thread_id: str) -> AsyncIterator[None]:
    """Holds the thread while the block runs; raises ConflictError when another run holds it.

    The lock belongs to a database connection, so it ends with the process that holds it, however that ends.
    """
    key = int.from_bytes(hashlib.sha256(thread_id.encode()).digest()[:8], signed=True)
    async with connection(pool) as held:
        if not await _locked(held, key):
            raise ConflictError(
                f"Another run is under way on thread {thread_id}.", "Wait for it to end, or use another thread."
            )
        try:
            yield
        finally:
            if not held.closed:
                await held.execute("SELECT pg_advisory_unlock(%s)", (key,))


async def _locked(held: Connection, key: int) -> bool:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        row = await (await held.execute("SELECT pg_try_advisory_lock(%s) AS got", (key,))).fetchone()
        if row is not None and row["got"]:
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(INTERVAL_SECONDS)
