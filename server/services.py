"""What the routes work with, opened once per application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request
from langgraph.store.postgres.aio import AsyncPostgresStore

from core.artifacts import Artifacts
from core.migrations import migrate
from core.postgres import Pool, database_url, open_pool
from core.settings import Settings
from core.threads import Threads
from graph.deps import Deps
from graph.host import open_deps
from server.assistants import Assistants
from server.auth import Authenticator, Tokens, Users, check_hook
from server.config import ServerConfig, load_object
from server.crons import Crons
from server.database import open_server_pool
from server.events import EventLog
from server.graphs import Graphs
from server.housekeeping import tidy_forever
from server.identity import Principal
from server.listener import listen_forever
from server.metrics import Metrics
from server.runs import Runs
from server.threads import ThreadStore
from server.webhooks import Webhooks
from server.worker import Worker

OWN_STORE_CONNECTIONS = 4


@dataclass
class Services:
    settings: Settings
    pool: Pool
    artifacts: Artifacts
    assistants: Assistants
    authenticate: Authenticator
    crons: Crons
    graphs: Graphs
    metrics: Metrics
    runs: Runs
    store: AsyncPostgresStore
    threads: ThreadStore
    tokens: Tokens
    users: Users
    webhooks: Webhooks
    worker: Worker
    deps: Callable[[], Awaitable[Deps]]


@asynccontextmanager
async def open_services(
    settings: Settings,
    config: ServerConfig,
    *,
    graphs: Mapping[str, Any] | None = None,
    local: bool = True,
    worker: bool = True,
    metrics: Metrics | None = None,
) -> AsyncIterator[Services]:
    """Opens the database, loads the graphs, starts the loops. `graphs` are served beside those of `config`."""
    url = partial(database_url, settings)
    metrics = metrics or Metrics()
    async with AsyncExitStack() as stack:
        async with open_pool(url, max_size=2) as first:
            await migrate(first)
        size = settings.database_pool_size
        pool = await stack.enter_async_context(open_server_pool(url, max_size=size))
        relaxed = await stack.enter_async_context(open_server_pool(url, max_size=size, relaxed=True))
        store_pool = await stack.enter_async_context(open_server_pool(url, max_size=OWN_STORE_CONNECTIONS))
        store = AsyncPostgresStore(store_pool)
        artifacts = Artifacts(pool, settings.data_dir / "artifacts")
        loaded = Graphs(pool, relaxed, store)
        await loaded.load(config, stack)
        for name, graph in (graphs or {}).items():
            await loaded.add(name, graph, stack)
        assistants = Assistants(pool)
        await assistants.ensure(loaded.names, loaded.descriptions)
        runs = Runs(pool)
        log = EventLog(relaxed)
        webhooks = Webhooks(settings.webhook_hosts)
        stack.push_async_callback(webhooks.aclose)
        carrier = Worker(settings, runs, loaded, log, relaxed, metrics, webhooks, enabled=worker)
        users = Users(pool)
        tokens = Tokens(pool, users, settings)
        hook = None
        if config.auth is not None:
            hook = check_hook(await asyncio.to_thread(load_object, config.auth, config.directory))
        core_threads = Threads(pool, artifacts=artifacts)
        services = Services(
            settings=settings,
            pool=pool,
            artifacts=artifacts,
            assistants=assistants,
            authenticate=Authenticator(users, tokens, local=local and not await users.exist(), hook=hook),
            crons=Crons(pool),
            graphs=loaded,
            metrics=metrics,
            runs=runs,
            store=store,
            threads=ThreadStore(pool, core_threads),
            tokens=tokens,
            users=users,
            webhooks=webhooks,
            worker=carrier,
            deps=_opened_once(stack, settings, pool),
        )
        loops = [
            asyncio.create_task(log.run(), name="event log"),
            asyncio.create_task(listen_forever(url, carrier), name="listener"),
            asyncio.create_task(tidy_forever(services), name="housekeeping"),
        ]
        if worker:
            loops.append(asyncio.create_task(carrier.claim_forever(), name="claims"))
            loops.append(asyncio.create_task(carrier.beat_forever(), name="leases"))
        try:
            yield services
        finally:
            await carrier.drain()
            with suppress(Exception):
                await log.flush()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


def _opened_once(stack: AsyncExitStack, settings: Settings, pool: Pool) -> Callable[[], Awaitable[Deps]]:
    """What the agent stands on, opened at first use: a server of other graphs needs no DolphinDB."""
    lock = asyncio.Lock()
    opened: list[Deps] = []

    async def deps() -> Deps:
        async with lock:
            if not opened:
                opened.append(await stack.enter_async_context(open_deps(settings, pool)))
            return opened[0]

    return deps


def services_of(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


async def principal_of(request: Request) -> Principal:
    return await services_of(request).authenticate(request)


Served = Annotated[Services, Depends(services_of)]
Asking = Annotated[Principal, Depends(principal_of)]
