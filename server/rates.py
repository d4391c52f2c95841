"""How many requests a client makes in a minute, over all server processes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from psycopg_pool import PoolTimeout

from core.postgres import Pool
from server.database import DATABASE_ERRORS

logger = logging.getLogger(__name__)

MINUTE = 60
SHARE_SECONDS = 1.0
KEPT = "5 minutes"


@dataclass
class Rates:
    """Requests are counted here at once and told to the other processes every second, so that a client gets at most
    what it can send in that second above its limit. The last minute is this one so far and the rest of the one before.
    """

    limit: int
    _minute: int = 0
    _own: Counter[bytes] = field(default_factory=Counter)
    """This minute's requests that the others have not been told of."""
    _known: dict[bytes, int] = field(default_factory=dict)
    _before: dict[bytes, int] = field(default_factory=dict)

    def admit(self, client: str) -> bool:
        """Counts a request, unless the client has used up its limit."""
        key = hashlib.sha256(client.encode()).digest()
        self._turn()
        rest = 1.0 - (time.time() % MINUTE) / MINUTE
        if self._known.get(key, 0) + self._own[key] + self._before.get(key, 0) * rest >= self.limit:
            return False
        self._own[key] += 1
        return True

    def _turn(self) -> None:
        minute = int(time.time() // MINUTE)
        if minute != self._minute:
            following = minute == self._minute + 1
            self._before = {key: self._known.get(key, 0) + self._own[key] for key in self._known.keys() | self._own}
            if not following:
                self._before = {}
            self._minute = minute
            self._own, self._known = Counter(), {}

    async def share(self, pool: Pool) -> None:
        """Tells the other processes what came here, and learns what came there."""
        self._turn()
        minute, told = self._minute, self._own
        self._own = Counter()
        self._known = {key: self._known.get(key, 0) + told[key] for key in self._known.keys() | told}
        async with pool.connection() as held, held.transaction():
            if told:
                keys = sorted(told)
                await held.execute(
                    "INSERT INTO request_counts (client, minute, requests)"
                    " SELECT client, %s, requests FROM unnest(%s::bytea[], %s::bigint[]) AS t (client, requests)"
                    " ON CONFLICT (client, minute)"
                    " DO UPDATE SET requests = request_counts.requests + EXCLUDED.requests",
                    (minute, keys, [told[key] for key in keys]),
                )
            if self._known:
                cursor = await held.execute(
                    "SELECT client, requests FROM request_counts WHERE minute = %s AND client = ANY(%s)",
                    (minute, sorted(self._known)),
                )
                found = {bytes(row["client"]): int(row["requests"]) for row in await cursor.fetchall()}
                if minute == self._minute:
                    self._known.update(found)

    async def share_forever(self, pool: Pool) -> None:
        tidied = 0.0
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share(pool)
                if time.monotonic() - tidied > MINUTE:
                    tidied = time.monotonic()
                    async with pool.connection() as held:
                        await held.execute("DELETE FROM request_counts WHERE seen_at < now() - %s::interval", (KEPT,))
            except (*DATABASE_ERRORS, PoolTimeout) as error:
                logger.warning("requests are counted in this process only: %s", error)
