"""The application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from core.settings import Settings
from server.answers import PROBLEMS
from server.config import ServerConfig, load_object
from server.document import describe
from server.errors import add_error_handlers
from server.metrics import Metrics
from server.middleware import RequestGate
from server.rates import Rates
from server.routes import (
    agent,
    artifacts,
    assistants,
    auth,
    crons,
    environments,
    mcp,
    memory,
    operations,
    protocol,
    runs,
    store,
    system,
    threads,
)
from server.services import open_services
from server.shortcut import Shortcuts
from server.workspace import PLACE, workspace_site

# What http.disable_… of a langgraph.json leaves out.
SWITCHED: dict[str, list[Any]] = {
    "assistants": [assistants],
    "threads": [threads],
    "runs": [runs, crons, protocol, mcp],
    "store": [store],
    "mcp": [mcp],
}
EXPOSED = ["Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next", "X-Request-Id"]


def create_app(
    settings: Settings,
    config: ServerConfig,
    *,
    graphs: Mapping[str, Any] | None = None,
    local: bool = True,
    worker: bool = True,
) -> FastAPI:
    """The thread API over the graphs of `config` and of `graphs`.

    `local` means that it listens on loopback only: without users everybody there is the local user. With `worker`
    False runs are left to the workers of other processes.
    """
    settings = settings.model_copy(update={"cors_origins": (*settings.cors_origins, *config.cors_origins)})
    metrics = Metrics()
    rates = None if local else Rates(settings.requests_per_minute)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.services = await stack.enter_async_context(
                open_services(settings, config, graphs=graphs, local=local, worker=worker, metrics=metrics, rates=rates)
            )
            if config.http_app is not None:
                custom = load_object(config.http_app, config.directory)
                if hasattr(custom, "router"):
                    await stack.enter_async_context(custom.router.lifespan_context(custom))
                app.mount("/", custom)
            yield

    app = FastAPI(
        title="ddb-agent",
        version=version("ddb-agent"),
        description="LangGraph's thread API over durable runs.",
        lifespan=lifespan,
        redoc_url=None,
        responses=PROBLEMS,
    )
    describe(app)
    add_error_handlers(app)
    parts = (
        system, operations, auth, assistants, crons, runs, protocol, threads, store, agent, artifacts, environments,
        memory, mcp,
    )  # fmt: skip
    disabled = {part for name in config.disabled for part in SWITCHED[name]}
    routers = [part.router for part in parts if part not in disabled]
    for router in routers:
        app.include_router(router)
    app.router.middleware_stack = Shortcuts(routers, app.router.middleware_stack)
    app.mount(PLACE, workspace_site)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            allow_credentials=True,
            expose_headers=EXPOSED,
        )
    app.add_middleware(RequestGate, settings=settings, metrics=metrics, local=local, rates=rates)
    return app
