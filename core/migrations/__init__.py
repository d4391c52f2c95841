"""The tables of the program, as numbered SQL files applied once each, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore

from core.errors import DatabaseUnavailableError
from core.postgres import Connection, Pool, connection

LOCK_KEY = 0x6464625F6167656E
LOCK_SECONDS = 60.0


def _scripts() -> list[tuple[int, str, str]]:
    return sorted(
        (int(entry.name.partition("_")[0]), entry.name, entry.read_text("utf-8"))
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".sql")
    )


async def migrate(pool: Pool) -> list[str]:
    """Brings the database up to date and returns the names of the files applied.

    Safe to call at every start and from several processes at once. Also sets up LangGraph's own tables.
    Raises DatabaseUnavailableError when another process holds the migration lock for over a minute.
    """
    applied = []
    async with _locked(pool) as held:
        await held.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["number"] for row in await (await held.execute("SELECT number FROM migrations")).fetchall()}
        for number, name, script in _scripts():
            if number not in done:
                async with held.transaction():
                    await held.execute(script)
                    await held.execute("INSERT INTO migrations (number, name) VALUES (%s, %s)", (number, name))
                applied.append(name)
        await AsyncPostgresSaver(held).setup()
        await AsyncPostgresStore(held).setup()
    return applied


@asynccontextmanager
async def _locked(pool: Pool) -> AsyncIterator[Connection]:
    # Polled, not waited for: a waiting statement would hold up CREATE INDEX CONCURRENTLY in the process it waits for.
    deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
    async with connection(pool) as held:
        while True:
            row = await (await held.execute("SELECT pg_try_advisory_lock(%s) AS got", (LOCK_KEY,))).fetchone()
            if row is not None and row["got"]:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseUnavailableError(
                    "Another process has been migrating the database for over a minute.",
                    "Wait for it, or end it, and start again.",
                )
            await asyncio.sleep(0.05)
        try:
            yield held
        finally:
            if not held.closed:
                await held.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))
