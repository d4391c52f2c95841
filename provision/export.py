"""The provisioning graph as LangGraph's own server and Studio take it: the checkpointer is the server's."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

from langgraph.graph.state import CompiledStateGraph

from core.migrations import migrate
from core.postgres import database_url, open_pool, release_database
from core.settings import load_settings
from provision.graph import ProvisionContext, ProvisionInput, ProvisionState
from provision.service import Environments, open_environments


class _Opened:
    """The environments of this process' event loop; they live as long as the process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._environments: Environments | None = None

    async def environments(self) -> Environments:
        async with self._lock:
            if self._environments is None:
                settings = await asyncio.to_thread(load_settings)
                atexit.register(release_database, settings)
                pool = await self._stack.enter_async_context(
                    open_pool(partial(database_url, settings), max_size=settings.database_pool_size)
                )
                await migrate(pool)
                self._environments = await self._stack.enter_async_context(open_environments(settings, pool))
            return self._environments


_sources: dict[asyncio.AbstractEventLoop, Callable[[], Awaitable[Environments]]] = {}


@contextmanager
def built_from(source: Callable[[], Awaitable[Environments]]) -> Iterator[None]:
    """Meanwhile the graph of this event loop is built from what the caller has opened, and closes."""
    loop = asyncio.get_running_loop()
    _sources[loop] = source
    try:
        yield
    finally:
        del _sources[loop]


async def provisioning() -> CompiledStateGraph[ProvisionState, ProvisionContext, ProvisionInput, ProvisionState]:
    """The graph over this process' environments."""
    loop = asyncio.get_running_loop()
    if loop not in _sources:
        _sources[loop] = _Opened().environments
    return (await _sources[loop]()).build_graph().compile()
