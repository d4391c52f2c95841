"""The graphs as LangGraph's own server and Studio take them: without a checkpointer, which the server adds.

What a graph is built from is opened once per process, at the first use, and lives as long as the process.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

from core.migrations import migrate
from core.postgres import database_url, open_pool, release_database
from core.settings import load_settings
from graph.agent import build_graph
from graph.deps import Deps
from graph.host import Agent, open_deps


class _Opened:
    """The dependencies of this process' event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._deps: Deps | None = None

    async def deps(self) -> Deps:
        async with self._lock:
            if self._deps is None:
                settings = await asyncio.to_thread(load_settings)
                atexit.register(release_database, settings)
                pool = await self._stack.enter_async_context(
                    open_pool(partial(database_url, settings), max_size=settings.database_pool_size)
                )
                await migrate(pool)
                self._deps = await self._stack.enter_async_context(open_deps(settings, pool))
            return self._deps


_sources: dict[asyncio.AbstractEventLoop, Callable[[], Awaitable[Deps]]] = {}


@contextmanager
def built_from(source: Callable[[], Awaitable[Deps]]) -> Iterator[None]:
    """Meanwhile the agent of this event loop is built from what the caller has opened, and closes."""
    loop = asyncio.get_running_loop()
    _sources[loop] = source
    try:
        yield
    finally:
        del _sources[loop]


async def agent() -> Agent:
    """The agent's graph over this process' dependencies."""
    loop = asyncio.get_running_loop()
    if loop not in _sources:
        _sources[loop] = _Opened().deps
    return build_graph(await _sources[loop]()).compile()
