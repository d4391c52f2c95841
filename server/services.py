"""What the routes work with, opened once per application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from langgraph.store.base import TTLConfig
from starlette.requests import HTTPConnection

from core.artifacts import Artifacts
from core.migrations import migrate
from core.postgres import Pool, database_url, open_pool
from core.settings import Settings, read_settings
from core.threads import Threads
from graph import export as agent_export
from graph.deps import Deps
from graph.host import open_deps
from graph.state import RunContext
from provision import export as provisioning_export
from provision.proxy import WorkspaceProxy
from provision.service import Environments
from provision.tickets import Tickets
from server.assistants import Assistants
from server.auth import Authenticator, Tokens, Users, check_hook
from server.config import ServerConfig, load_object
from server.crons import Crons
from server.database import open_server_pool
from server.environments import look_after_environments
from server.events import EventLog
from server.graphs import Graphs
from server.housekeeping import tidy_forever
from server.identity import LOCAL, Principal
from server.listener import listen_forever
from server.meaning import Store, open_store
from server.metrics import Metrics, shown_on_port
from server.observation import Observation
from server.policies import HeaderPolicy
from server.rates import Rates
from server.rules import Rules
from server.runs import Runs
from server.settings import WatchSettings
from server.threads import ThreadStore
from server.tracing import open_tracer
from server.usage import Usage
from server.webhooks import Webhooks
from server.worker import Worker

T = TypeVar("T")

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
    headers: HeaderPolicy
    metrics: Metrics
    observation: Observation
    pools: Mapping[str, Pool]
    rules: Rules
    runs: Runs
    store: Store
    users_store: Store
    """As `store`, with vectors where they are configured: what users keep themselves, as opposed to memories."""
    threads: ThreadStore
    tokens: Tokens
    users: Users
    watch: WatchSettings
    webhooks: Webhooks
    worker: Worker
    agents: frozenset[str]
    """The graphs that are the agent, and can be given an environment."""
    tickets: Tickets
    workspaces: Callable[[], Awaitable[WorkspaceProxy]]
    deps: Callable[[], Awaitable[Deps]]

    async def environments(self) -> Environments:
        return (await self.deps()).environments

    async def principal(self, connection: HTTPConnection) -> Principal:
        """Who is asking, with the headers that graphs may read."""
        principal = await self.authenticate(connection)
        headers = self.headers.chosen(connection.headers)
        return replace(principal, headers=headers) if headers else principal


@asynccontextmanager
async def open_services(
    settings: Settings,
    config: ServerConfig,
    *,
    graphs: Mapping[str, Any] | None = None,
    local: bool = True,
    worker: bool = True,
    metrics: Metrics | None = None,
    rates: Rates | None = None,
) -> AsyncIterator[Services]:
    """Opens the database, loads the graphs, starts the loops. `graphs` are served beside those of `config`."""
    url = partial(database_url, settings)
    own, metrics = metrics is None, metrics or Metrics()
    async with AsyncExitStack() as stack:
        async with open_pool(url, max_size=2) as first:
            await migrate(first)
        size = settings.database_pool_size
        pool = await stack.enter_async_context(open_server_pool(url, max_size=size))
        relaxed = await stack.enter_async_context(open_server_pool(url, max_size=size, relaxed=True))
        leases = await stack.enter_async_context(open_server_pool(url, max_size=1))
        store_pool = await stack.enter_async_context(open_server_pool(url, max_size=OWN_STORE_CONNECTIONS))
        ttl: TTLConfig = {**config.store_ttl, "omit_expired": True}
        store = await open_store(store_pool, ttl)
        users_store = store
        if config.store_index is not None:
            users_store = await open_store(store_pool, ttl, config.store_index, config.directory)
        artifacts = Artifacts(pool, settings.data_dir / "artifacts")
        watch = read_settings(WatchSettings)
        tracer = await stack.enter_async_context(open_tracer(watch.otlp_endpoint))
        if own and watch.worker_metrics_port is not None:
            stack.enter_context(shown_on_port(metrics, watch.worker_metrics_port))
        observation = Observation(metrics, Usage(relaxed), tracer)
        deps = _opened_once(stack, partial(_open_deps, settings, url, observation))
        stack.enter_context(agent_export.built_from(deps))
        stack.enter_context(provisioning_export.built_from(partial(_environments, deps)))
        loaded = Graphs(pool, users_store)
        await loaded.load(config, stack)
        for name, graph in (graphs or {}).items():
            await loaded.add(name, graph, stack)
        assistants = Assistants(pool)
        await assistants.ensure(loaded.names, loaded.descriptions)
        runs = Runs(pool, config.thread_ttl)
        log = EventLog(relaxed)
        webhooks = Webhooks(pool, settings.webhook_hosts, config.webhooks)
        carrier = Worker(settings, runs, loaded, log, relaxed, leases, observation, webhooks, enabled=worker)
        users = Users(pool)
        tokens = Tokens(pool, users, settings)
        hook = None
        if config.auth is not None:
            hook = check_hook(await asyncio.to_thread(load_object, config.auth, config.directory))
        local = local and not await users.exist()
        tickets = Tickets(pool)
        admitted = partial(_admitted, users, local=local, hooked=hook is not None)
        core_threads = Threads(pool, artifacts=artifacts)
        services = Services(
            settings=settings,
            pool=pool,
            artifacts=artifacts,
            assistants=assistants,
            authenticate=Authenticator(users, tokens, local=local, hook=hook, studio=config.studio_auth),
            crons=Crons(pool),
            graphs=loaded,
            headers=config.headers,
            metrics=metrics,
            observation=observation,
            pools={"server": pool, "relaxed": relaxed, "store": store_pool},
            rules=Rules(pool, hook),
            runs=runs,
            store=store,
            users_store=users_store,
            threads=ThreadStore(pool, core_threads, config.thread_ttl),
            tokens=tokens,
            users=users,
            watch=watch,
            webhooks=webhooks,
            worker=carrier,
            agents=frozenset(name for name in loaded.names if loaded.context_schema(name) is RunContext),
            tickets=tickets,
            workspaces=_opened_once(stack, partial(_open_workspaces, deps, tickets, admitted)),
            deps=deps,
        )
        loops = [
            asyncio.create_task(log.run(), name="event log"),
            asyncio.create_task(listen_forever(url, carrier), name="listener"),
            asyncio.create_task(tidy_forever(services), name="housekeeping"),
            asyncio.create_task(webhooks.run(), name="webhooks"),
            asyncio.create_task(look_after_environments(services), name="environments"),
            asyncio.create_task(observation.usage.write_forever(), name="usage"),
        ]
        if rates is not None:
            loops.append(asyncio.create_task(rates.share_forever(relaxed), name="rates"))
        if worker:
            loops.append(asyncio.create_task(carrier.claim_forever(), name="claims"))
            loops.append(asyncio.create_task(carrier.beat_forever(), name="leases"))
        try:
            yield services
        finally:
            await carrier.drain()
            with suppress(Exception):
                await log.flush()
            with suppress(Exception):
                await observation.usage.write()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


def _opened_once(
    stack: AsyncExitStack, opening: Callable[[], AbstractAsyncContextManager[T]]
) -> Callable[[], Awaitable[T]]:
    """Opens at the first use, and closes with the stack."""
    lock = asyncio.Lock()
    opened: list[T] = []

    async def found() -> T:
        async with lock:
            if not opened:
                opened.append(await stack.enter_async_context(opening()))
            return opened[0]

    return found


@asynccontextmanager
async def _open_deps(settings: Settings, url: Callable[[], str], observation: Observation) -> AsyncIterator[Deps]:
    """What the agent stands on."""
    async with (
        open_server_pool(url, max_size=settings.database_pool_size) as pool,
        open_deps(settings, pool) as deps,
    ):
        deps.sessions.observe = observation.dolphindb
        yield deps


@asynccontextmanager
async def _open_workspaces(
    deps: Callable[[], Awaitable[Deps]], tickets: Tickets, admitted: Callable[[str], Awaitable[bool]]
) -> AsyncIterator[WorkspaceProxy]:
    async with aclosing(WorkspaceProxy((await deps()).environments, tickets, admitted)) as proxy:
        yield proxy


async def _admitted(users: Users, owner: str, *, local: bool, hooked: bool) -> bool:
    """Whether somebody who once came in with a ticket may still: users can be disabled meanwhile."""
    if hooked:
        return True
    return local if owner == LOCAL else await users.get(owner) is not None


async def _environments(deps: Callable[[], Awaitable[Deps]]) -> Environments:
    return (await deps()).environments


async def services_of(request: Request) -> Services:
    # Not a plain function: those are called in a thread.
    found: Services = request.app.state.services
    return found


async def principal_of(request: Request) -> Principal:
    return await (await services_of(request)).principal(request)


Served = Annotated[Services, Depends(services_of)]
Asking = Annotated[Principal, Depends(principal_of)]
