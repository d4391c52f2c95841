"""The provisioning graph as LangGraph's own server and Studio take it: the checkpointer is the server's."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import AsyncExitStack
from functools import partial

from langgraph.graph.state import CompiledStateGraph

from core.migrations import migrate
from core.once import OncePerLoop
from core.postgres import Pool, database_url, open_pool, release_database
from core.settings import Settings, load_settings
from provision.graph import ProvisionContext, ProvisionInput, ProvisionState
from provision.service import Environments, open_environments


async def _open_database(stack: AsyncExitStack) -> tuple[Settings, Pool]:
    settings = await asyncio.to_thread(load_settings)
    atexit.register(release_database, settings)
    pool = await stack.enter_async_context(
        open_pool(partial(database_url, settings), max_size=settings.database_pool_size)
    )
    await migrate(pool)
    return settings, pool


async def _open_environments(stack: AsyncExitStack) -> Environments:
    opened = await stack.enter_async_context(open_environments(*await database()))
    reaping = asyncio.create_task(opened.reaper().run(), name="reaper")
    stack.callback(reaping.cancel)
    return opened


database = OncePerLoop(_open_database)
environments = OncePerLoop(_open_environments)
built_from = environments.given


async def provisioning() -> CompiledStateGraph[ProvisionState, ProvisionContext, ProvisionInput, ProvisionState]:
    """The graph over this process' environments."""
    return (await environments()).build_graph().compile()
