"""The write ledger: what was sent to a database that changes it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL

from core.errors import ConflictError, NotFoundError
from core.postgres import Pool, connection

Outcome = Literal["done", "failed", "unknown", "skipped"]

COLUMNS = SQL(
    "entry_id AS id, owner, thread_id, run_id, tool_call_id, script, effect, outcome, detail, opened_at, closed_at"
)


@dataclass(frozen=True)
class Entry:
    """A script that was about to be sent at `opened_at`. While `outcome` is None nobody knows whether it ran."""

    id: str
    owner: str
    thread_id: str
    run_id: str | None
    tool_call_id: str
    script: str
    effect: str
    outcome: Outcome | None
    detail: str
    opened_at: datetime
    closed_at: datetime | None


class Ledger:
    """One entry per tool call of a thread: opened before its script is sent, closed after."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open(
        self, owner: str, thread_id: str, run_id: str | None, tool_call_id: str, script: str, effect: str
    ) -> Entry:
        """Raises ConflictError when the call has an entry already, so two workers cannot both send its script."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Entry)) as cursor:
            try:
                await cursor.execute(
                    SQL(
                        "INSERT INTO ledger (entry_id, owner, thread_id, run_id, tool_call_id, script, effect)"
                        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING {}"
                    ).format(COLUMNS),
                    (uuid4().hex, owner, thread_id, run_id, tool_call_id, script, effect),
                )
            except UniqueViolation:
                raise ConflictError(
                    f"The tool call {tool_call_id} has an entry in the ledger already.",
                    "Ask whether its script should be sent again, and reopen the entry if so.",
                ) from None
            entry = await cursor.fetchone()
        assert entry is not None
        return entry

    async def close(self, entry_id: str, outcome: Outcome, detail: str = "", *, owner: str | None = None) -> Entry:
        """Records what became of the script. With `owner` an entry of anybody else is not found."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Entry)) as cursor:
            await cursor.execute(
                SQL(
                    "UPDATE ledger SET outcome = %s, detail = %s, closed_at = clock_timestamp()"
                    " WHERE entry_id = %s AND owner = coalesce(%s, owner) RETURNING {}"
                ).format(COLUMNS),
                (outcome, detail, entry_id, owner),
            )
            entry = await cursor.fetchone()
        if entry is None:
            raise _not_found(entry_id)
        return entry

    async def reopen(self, owner: str, entry_id: str) -> Entry:
        """Opens a closed entry because its script will be sent again. Raises ConflictError when it is open."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Entry)) as cursor:
            await cursor.execute(
                SQL(
                    "UPDATE ledger SET outcome = NULL, closed_at = NULL, opened_at = clock_timestamp()"
                    " WHERE entry_id = %s AND owner = %s AND outcome IS NOT NULL RETURNING {}"
                ).format(COLUMNS),
                (entry_id, owner),
            )
            entry = await cursor.fetchone()
            if entry is None:
                await cursor.execute(
                    SQL("SELECT {} FROM ledger WHERE entry_id = %s AND owner = %s").format(COLUMNS), (entry_id, owner)
                )
                if await cursor.fetchone() is None:
                    raise _not_found(entry_id)
                raise ConflictError("The ledger entry is open.", "Close it before it is opened again.")
        return entry

    async def find(self, owner: str, thread_id: str, tool_call_id: str) -> Entry | None:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Entry)) as cursor:
            await cursor.execute(
                SQL("SELECT {} FROM ledger WHERE owner = %s AND thread_id = %s AND tool_call_id = %s").format(COLUMNS),
                (owner, thread_id, tool_call_id),
            )
            return await cursor.fetchone()

    async def open_entries(self, owner: str, thread_id: str) -> list[Entry]:
        """Entries without an outcome, oldest first."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Entry)) as cursor:
            await cursor.execute(
                SQL(
                    "SELECT {} FROM ledger WHERE owner = %s AND thread_id = %s AND outcome IS NULL"
                    " ORDER BY opened_at, entry_id"
                ).format(COLUMNS),
                (owner, thread_id),
            )
            return await cursor.fetchall()


def _not_found(entry_id: str) -> NotFoundError:
    return NotFoundError(f"There is no ledger entry {entry_id}.")
