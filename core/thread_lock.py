"""One run at a time on a thread, across all processes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import ConflictError
from core.postgres import Pool, connection


@asynccontextmanager
async def exclusive(pool: Pool, thread_id: str) -> AsyncIterator[None]:
    """Holds the thread while the block runs; raises ConflictError at once when another run holds it.

    The lock belongs to a database connection, so it ends with the process that holds it, however that ends.
    """
    key = int.from_bytes(hashlib.sha256(thread_id.encode()).digest()[:8], signed=True)
    async with connection(pool) as held:
        row = await (await held.execute("SELECT pg_try_advisory_lock(%s) AS got", (key,))).fetchone()
        if row is None or not row["got"]:
            raise ConflictError(
                f"Another run is under way on thread {thread_id}.", "Wait for it to end, or use another thread."
            )
        try:
            yield
        finally:
            if not held.closed:
                await held.execute("SELECT pg_advisory_unlock(%s)", (key,))
