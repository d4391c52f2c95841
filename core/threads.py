"""Conversations and who owns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from core.artifacts import Artifacts
from core.checkpointer import checkpointer
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.postgres import Pool, connection

COLUMNS = SQL("thread_id, owner, title, metadata, created_at, updated_at")
MAX_ID_LENGTH = 200
NO_NAME = f"A thread id has 1 to {MAX_ID_LENGTH} printable characters."
# Names of threads become ids below this one.
NAMES = UUID("6b470253-e16c-57db-9256-e8f88e114d3e")


@dataclass(frozen=True)
class Thread:
    thread_id: str
    owner: str
    title: str
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """What its owner calls it: the name that was chosen for it, else its id."""
        name = self.metadata.get("name")
        chosen = isinstance(name, str) and _is_name(name) and named_id(self.owner, name) == self.thread_id
        return str(name) if chosen else self.thread_id


def named_id(owner: str, name: str) -> str:
    """The id of an owner's thread by a name that they chose: a UUID, as the HTTP API has them, and always the same."""
    if not _is_name(name):
        raise InvalidInputError(NO_NAME, "Leave it out to get a new one, or use a UUID.")
    try:
        return str(UUID(name))
    except ValueError:
        return str(uuid5(NAMES, f"{owner}\n{name}"))


class Threads:
    """Threads in Postgres. A thread of another owner is answered like one that does not exist."""

    def __init__(self, pool: Pool, *, artifacts: Artifacts | None = None) -> None:
        """`artifacts`, when given, removes a deleted thread's files at once; otherwise its next `sweep` does."""
        self._pool = pool
        self._artifacts = artifacts

    async def create(
        self,
        owner: str,
        thread_id: str | None = None,
        *,
        title: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Thread:
        """A new thread. Raises ConflictError when the id is taken, by whomever."""
        key = str(uuid4()) if thread_id is None else thread_id
        if not _is_name(key):
            raise InvalidInputError(NO_NAME, "Leave it out to get a new one, or use a UUID.")
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Thread)) as cursor:
            try:
                await cursor.execute(
                    SQL(
                        "INSERT INTO threads (thread_id, owner, title, metadata) VALUES (%s, %s, %s, %s) RETURNING {}"
                    ).format(COLUMNS),
                    (key, owner, title, Jsonb(dict(metadata or {}))),
                )
            except UniqueViolation:
                raise ConflictError(f"Thread {key} exists already.", "Use another id.") from None
            thread = await cursor.fetchone()
        assert thread is not None
        return thread

    async def get(self, owner: str, thread_id: str) -> Thread:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Thread)) as cursor:
            await cursor.execute(
                SQL("SELECT {} FROM threads WHERE owner = %s AND thread_id = %s").format(COLUMNS), (owner, thread_id)
            )
            thread = await cursor.fetchone()
        if thread is None:
            raise _not_found(thread_id)
        return thread

    async def find(self, owner: str, name: str) -> Thread:
        """The owner's thread by its id or by its name."""
        try:
            return await self.get(owner, name)
        except NotFoundError:
            if not _is_name(name):
                raise
        try:
            return await self.get(owner, named_id(owner, name))
        except NotFoundError:
            raise _not_found(name) from None

    async def list(
        self, owner: str, *, limit: int = 20, offset: int = 0, metadata: Mapping[str, Any] | None = None
    ) -> list[Thread]:
        """The owner's threads, last touched first; with `metadata` only those that contain it."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Thread)) as cursor:
            await cursor.execute(
                SQL(
                    "SELECT {} FROM threads WHERE owner = %s AND metadata @> %s AND NOT temporary"
                    " ORDER BY updated_at DESC, thread_id LIMIT %s OFFSET %s"
                ).format(COLUMNS),
                (owner, Jsonb(dict(metadata or {})), limit, offset),
            )
            return await cursor.fetchall()

    async def touch(self, owner: str, thread_id: str) -> Thread:
        """Marks the thread as used now."""
        return await self.update(owner, thread_id)

    async def update(
        self, owner: str, thread_id: str, *, title: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Thread:
        """Sets the title and merges `metadata` into what is there, key by key."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Thread)) as cursor:
            await cursor.execute(
                SQL(
                    "UPDATE threads SET title = coalesce(%s, title), metadata = metadata || %s,"
                    " updated_at = clock_timestamp()"
                    " WHERE owner = %s AND thread_id = %s RETURNING {}"
                ).format(COLUMNS),
                (title, Jsonb(dict(metadata or {})), owner, thread_id),
            )
            thread = await cursor.fetchone()
        if thread is None:
            raise _not_found(thread_id)
        return thread

    async def delete(self, owner: str, thread_id: str) -> None:
        """Deletes the thread with its checkpoints, artifacts and ledger entries. Can be repeated if cut short."""
        await self.get(owner, thread_id)
        await checkpointer(self._pool).adelete_thread(thread_id)
        async with connection(self._pool) as held, held.transaction():
            cursor = await held.execute(
                "DELETE FROM artifacts WHERE owner = %s AND thread_id = %s RETURNING path", (owner, thread_id)
            )
            paths = [row["path"] for row in await cursor.fetchall() if row["path"] is not None]
            await held.execute("DELETE FROM ledger WHERE owner = %s AND thread_id = %s", (owner, thread_id))
            await held.execute("DELETE FROM threads WHERE owner = %s AND thread_id = %s", (owner, thread_id))
        if self._artifacts is not None:
            await self._artifacts.remove_files(paths)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable()


def _not_found(thread_id: str) -> NotFoundError:
    return NotFoundError(f"There is no thread {thread_id}.", "List your threads to see their ids.")
