"""The agent assembled: settings in, something that runs questions on threads out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.types import Command, StateSnapshot

from core.artifacts import Artifacts
from core.checkpointer import checkpointer
from core.ledger import Ledger
from core.migrations import migrate
from core.models import ModelRegistry
from core.postgres import Pool, database_url, open_pool
from core.settings import Settings
from core.threads import Threads
from dolphin.catalog import Catalog
from dolphin.environment import DEFAULT_ENVIRONMENT, Environment, default_environment
from dolphin.sessions import Sessions
from graph.agent import build_graph
from graph.deps import Deps
from graph.state import Input, Output, RunContext, State
from provision.service import Environments, open_environments
from rag.knowledge import KnowledgeBase

Agent = CompiledStateGraph[State, RunContext, Input, Output]

# Counted in supersteps; the agent's own limit on steps ends a task long before.
RECURSION_LIMIT = 400


@dataclass(frozen=True)
class Host:
    """Everything a process needs to run the agent."""

    settings: Settings
    deps: Deps
    pool: Pool
    threads: Threads

    @cached_property
    def _compiled(self) -> Agent:
        return build_graph(self.deps).compile()

    def graph(self) -> Agent:
        """The agent for one run, with a checkpointer of its own."""
        agent = copy(self._compiled)
        agent.checkpointer = checkpointer(self.pool)
        return agent

    async def state(self, owner: str, thread_id: str) -> StateSnapshot:
        """The thread's latest state; NotFoundError for a thread that is not the owner's."""
        await self.threads.get(owner, thread_id)
        return await self.graph().aget_state(run_config(thread_id))

    def stream(self, thread_id: str, start: Input | Command[Any] | None, context: RunContext) -> AsyncIterator[Any]:
        """Run until the task ends or a human is asked. `start` None goes on where a killed run stopped.

        Yields LangGraph's v2 stream parts of the modes updates, messages and custom. Every step is stored before
        the next begins.
        """
        return self.graph().astream(
            start,
            run_config(thread_id),
            context=context,
            stream_mode=["updates", "messages", "custom"],
            durability="sync",
            version="v2",
        )


def unfinished(state: StateSnapshot) -> bool:
    """Whether a run on the thread stopped before its end: killed, or waiting for a human.

    `state.next` is not enough: it is empty when the last step's writes are stored and the step after it is not begun.
    """
    return bool(state.tasks)


def run_config(thread_id: str) -> RunnableConfig:
    return RunnableConfig(configurable={"thread_id": thread_id}, recursion_limit=RECURSION_LIMIT)


@asynccontextmanager
async def open_host(settings: Settings) -> AsyncIterator[Host]:
    """Start what is embedded, open what is configured, bring the database up to date."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(partial(database_url, settings), max_size=settings.database_pool_size)
        )
        await migrate(pool)
        deps = await stack.enter_async_context(open_deps(settings, pool))
        yield Host(settings, deps, pool, Threads(pool, artifacts=deps.artifacts))


@asynccontextmanager
async def open_deps(settings: Settings, pool: Pool, opened: Environments | None = None) -> AsyncIterator[Deps]:
    """What the agent is built from. `opened` are environments that the caller has opened, and closes."""
    sessions = Sessions(
        idle_seconds=settings.session_idle_seconds,
        max_sessions=settings.max_sessions,
        row_limit=settings.result_row_limit,
    )
    try:
        async with open_environments(settings, pool) if opened is None else nullcontext(opened) as environments:
            environments.when_deleted.add(sessions.close_environment)
            yield Deps(
                settings=settings,
                models=ModelRegistry.load(settings),
                sessions=sessions,
                catalog=Catalog(sessions),
                artifacts=Artifacts(pool, settings.data_dir / "artifacts"),
                ledger=Ledger(pool),
                knowledge=KnowledgeBase(settings),
                environments=environments,
                store=AsyncPostgresStore(pool),
                environment=_resolver(settings, environments),
            )
    finally:
        if opened is not None:
            opened.when_deleted.discard(sessions.close_environment)
        await sessions.aclose()


def _resolver(settings: Settings, environments: Environments) -> Callable[[str, str], Awaitable[Environment]]:
    """Resolves references to environments. The default one is started or looked up at first use; it knows by itself
    how to come back when it ended."""
    lock = asyncio.Lock()
    default: list[Environment] = []

    async def resolve(owner: str, reference: str) -> Environment:
        if reference != DEFAULT_ENVIRONMENT:
            return await environments.resolve(owner, reference)
        async with lock:
            if not default:
                default.append(await default_environment(settings))
            return default[0]

    return resolve
