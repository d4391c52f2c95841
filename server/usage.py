"""What users have used: runs, tokens, scripts and the rows they brought."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import SQL
from psycopg_pool import PoolTimeout

from core.postgres import Pool
from server.database import DATABASE_ERRORS

logger = logging.getLogger(__name__)

WRITE_SECONDS = 2.0
GATHER_SECONDS = 3600.0
GATHER_LOCK = 0x6464625F75736167
_SUMS = (
    "sum(runs)::bigint AS runs, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,"
    " sum(scripts)::bigint AS scripts, sum(rows)::bigint AS rows"
)


@dataclass
class Usage:
    pool: Pool
    _scripts: Counter[str] = field(default_factory=Counter)
    _rows: Counter[str] = field(default_factory=Counter)

    def add_script(self, thread_id: str, rows: int) -> None:
        """Notes a script of a thread; it is written with others in a moment."""
        self._scripts[thread_id] += 1
        self._rows[thread_id] += rows

    async def of_user(self, owner: str, days: int) -> list[dict[str, Any]]:
        """By day, oldest first."""
        async with self.pool.connection() as held:
            cursor = await held.execute(
                SQL(
                    "SELECT day, {} FROM used WHERE owner = %s AND day > current_date - %s::integer"
                    " GROUP BY day ORDER BY day"
                ).format(SQL(_SUMS)),
                (owner, days),
            )
            return await cursor.fetchall()

    async def of_everybody(self, days: int) -> list[dict[str, Any]]:
        """By owner."""
        async with self.pool.connection() as held:
            cursor = await held.execute(
                SQL(
                    "SELECT owner, {} FROM used WHERE day > current_date - %s::integer GROUP BY owner ORDER BY owner"
                ).format(SQL(_SUMS)),
                (days,),
            )
            return await cursor.fetchall()

    async def write(self) -> None:
        """Writes what was noted, to the owners of the threads."""
        scripts, rows = self._scripts, self._rows
        self._scripts, self._rows = Counter(), Counter()
        if not scripts:
            return
        threads = list(scripts)
        try:
            async with self.pool.connection() as held:
                await held.execute(
                    "INSERT INTO usage (owner, day, scripts, rows) SELECT owner, current_date, sum(scripts), sum(rows)"
                    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS noted (thread_id, scripts, rows)"
                    " JOIN threads USING (thread_id) GROUP BY owner",
                    (threads, [scripts[thread] for thread in threads], [rows[thread] for thread in threads]),
                )
        except (*DATABASE_ERRORS, PoolTimeout):
            self._scripts.update(scripts)
            self._rows.update(rows)
            raise

    async def gather(self) -> None:
        """Makes one row of all of an owner and day."""
        async with self.pool.connection() as held, held.transaction():
            await held.execute("SELECT pg_advisory_xact_lock(%s)", (GATHER_LOCK,))
            await held.execute(
                SQL(
                    "WITH parts AS (DELETE FROM usage RETURNING *)"
                    " INSERT INTO usage (owner, day, runs, input_tokens, output_tokens, scripts, rows)"
                    " SELECT owner, day, {} FROM parts GROUP BY owner, day"
                ).format(SQL(_SUMS))
            )

    async def write_forever(self) -> None:
        gathered = time.monotonic()
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
                if time.monotonic() - gathered > GATHER_SECONDS:
                    gathered = time.monotonic()
                    await self.gather()
            except (*DATABASE_ERRORS, PoolTimeout) as error:
                logger.warning("usage waits for the database: %s", error)
