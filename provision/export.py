"""The provisioning graph as LangGraph's own server and Studio take it: the checkpointer is the server's."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import AsyncExitStack
from functools import partial

from langgraph.graph.state import CompiledStateGraph

from core.migrations import migrate
from core.postgres import database_url, open_pool, release_database
from core.settings import load_settings
from provision.graph import ProvisionContext, ProvisionInput, ProvisionState
from provision.service import Environments, open_environments

_stacks: list[AsyncExitStack] = []
_opened: dict[asyncio.AbstractEventLoop, asyncio.Task[Environments]] = {}


async def _open() -> Environments:
    # Lives as long as the process.
    stack = AsyncExitStack()
    _stacks.append(stack)
    settings = await asyncio.to_thread(load_settings)
    atexit.register(release_database, settings)
    pool = await stack.enter_async_context(
        open_pool(partial(database_url, settings), max_size=settings.database_pool_size)
    )
    await migrate(pool)
    return await stack.enter_async_context(open_environments(settings, pool))


async def provisioning() -> CompiledStateGraph[ProvisionState, ProvisionContext, ProvisionInput, ProvisionState]:
    """The graph over this process' environments."""
    loop = asyncio.get_running_loop()
    if loop not in _opened:
        _opened[loop] = asyncio.create_task(_open())
    return (await asyncio.shield(_opened[loop])).build_graph().compile()
