"""Tickets that open a workspace in a browser: for one use, within a minute."""

from __future__ import annotations

import hashlib
import secrets

from core.errors import NotFoundError
from core.postgres import Pool, connection
from provision.records import EnvironmentRecord

TICKET_SECONDS = 60


class Tickets:
    """Only digests are stored."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def issue(self, record: EnvironmentRecord) -> str:
        """A ticket for the workspace of an environment, which the caller has found for its owner."""
        ticket = secrets.token_urlsafe(32)
        async with connection(self._pool) as held:
            await held.execute("DELETE FROM workspace_tickets WHERE expires_at < now() - interval '1 hour'")
            await held.execute(
                "INSERT INTO workspace_tickets (digest, owner, environment_id, expires_at)"
                " VALUES (%s, %s, %s, now() + make_interval(secs => %s))",
                (_digest(ticket), record.owner, record.id, TICKET_SECONDS),
            )
        return ticket

    async def redeem(self, ticket: str, environment_id: str) -> str:
        """The owner whom the ticket stands for. Raises NotFoundError when it is unknown, used, late or for another."""
        async with connection(self._pool) as held:
            cursor = await held.execute(
                "UPDATE workspace_tickets SET used_at = now() WHERE digest = %s AND environment_id = %s"
                " AND used_at IS NULL AND expires_at > now() RETURNING owner",
                (_digest(ticket), environment_id),
            )
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError("This ticket is not valid (any more).", "Ask for a new one.")
        return str(row["owner"])


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
