"""An application served in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from core.postgres import Pool
from core.settings import Settings
from server.auth import Tokens, Users
from server.identity import Role


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Its address. The lifespan of the application is run."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="websockets-sansio")
    server = uvicorn.Server(config)
    # A server that is not in the main thread leaves the signals alone; this one must too.
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if task.done():
            await task
            raise RuntimeError("the application did not start")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def accounts(pool: Pool, settings: Settings, names: dict[str, Role]) -> AsyncIterator[dict[str, str]]:
    """Users by name, with an API key for each; gone afterwards, for the tests that know of none."""
    tokens = Tokens(pool, Users(pool), settings)
    try:
        async with pool.connection() as held:
            for name, role in names.items():
                await held.execute(
                    "INSERT INTO users (name, password_hash, role) VALUES (%s, 'none', %s)", (name, role)
                )
        yield {name: (await tokens.make_key(name, "test"))["key"] for name in names}
    finally:
        async with pool.connection() as held:
            await held.execute("DELETE FROM users WHERE name = ANY(%s)", (list(names),))


@asynccontextmanager
async def logged_in(url: str, key: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=60, headers={"X-Api-Key": key}, **options) as http:
        yield http


def _no_signals() -> Any:
    from contextlib import nullcontext

    return nullcontext()
