"""The agent's graph as LangGraph's own server and Studio take it: without a checkpointer, which the server adds.

What it is built from is opened once per event loop, at the first use, and lives as long as the process. Its
environments are those of the provisioning graph.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from core.once import OncePerLoop
from graph.agent import build_graph
from graph.deps import Deps
from graph.host import Agent, open_deps
from provision.export import database, environments


async def _open(stack: AsyncExitStack) -> Deps:
    settings, pool = await database()
    return await stack.enter_async_context(open_deps(settings, pool, await environments()))


deps = OncePerLoop(_open)
built_from = deps.given


async def agent() -> Agent:
    """The agent's graph over this process' dependencies.

    Its metadata tell our server that each step is stored before the next begins: a reply whose script has run must
    not be lost, since the model would be asked again and the ledger would not know the new call.
    """
    return build_graph(await deps()).compile().with_config(metadata={"durability": "sync"})
