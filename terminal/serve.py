"""The HTTP server and its workers."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from core.errors import ConfigurationError
from core.migrations import migrate
from core.postgres import database_url, open_pool, release_database
from core.settings import Settings

DEFAULT_CONFIG = Path("langgraph.json")
GARBAGE_THRESHOLDS = (5_000, 20, 20)


def serve(settings: Settings, *, host: str, port: int, config: Path | None, worker: bool = True) -> int:
    """Serves until told to stop. Refuses to listen beyond loopback as long as there are no users."""
    import uvicorn

    from server.app import create_app
    from server.config import load_config
    from server.logs import log_config

    local = is_loopback(host)
    loaded = load_config(_config(config))
    if not local and loaded.auth is None and not asyncio.run(_has_users(settings)):
        raise ConfigurationError(
            f"There are no users, so the server must not listen on {host}.",
            "Add one with ddb-agent user add NAME, or use --host 127.0.0.1.",
        )
    app = create_app(settings, loaded, local=local, worker=worker)

    class Server(uvicorn.Server):
        """Gives its runs back at the first signal: streams of runs end only when their runs do."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            services = getattr(app.state, "services", None)
            if services is not None and not services.worker.draining:
                loop.call_soon_threadsafe(lambda: drains.append(loop.create_task(services.worker.drain())))
            super().handle_exit(sig, frame)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _settle_garbage()

    # uvicorn raises the signal once more when it has ended. By default that would be the end of the process, and its
    # private database would go on.
    signal.signal(signal.SIGTERM, _end)
    drains: list[asyncio.Task[None]] = []
    server = Server(
        uvicorn.Config(
            app, host=host, port=port, log_config=log_config(), access_log=False, server_header=False,
            timeout_graceful_shutdown=int(settings.drain_seconds) + 5, timeout_keep_alive=75,
        )
    )  # fmt: skip
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()
        try:
            runner.run(server.serve())
        finally:
            release_database(settings)
    return 0 if server.started else 1


def work(settings: Settings, *, config: Path | None) -> int:
    """Executes runs for the servers over the same database, until told to stop."""
    import logging.config

    from server.config import load_config
    from server.logs import log_config
    from server.services import open_services

    logging.config.dictConfig(log_config())
    loaded = load_config(_config(config))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with open_services(settings, loaded):
            _settle_garbage()
            logging.getLogger("ddb_agent").info("worker is ready")
            await stop.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(run())
        finally:
            release_database(settings)
    return 0


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _settle_garbage() -> None:
    """What was loaded stays: the collector need not look at it again and again, which took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


async def add_user(settings: Settings, name: str, password: str, *, admin: bool) -> None:
    from server.auth import Users

    async with open_pool(lambda: database_url(settings), max_size=2) as pool:
        await migrate(pool)
        await Users(pool).add(name, password, role="admin" if admin else "user")


async def list_users(settings: Settings) -> list[dict[str, object]]:
    from server.auth import Users

    async with open_pool(lambda: database_url(settings), max_size=2) as pool:
        await migrate(pool)
        return await Users(pool).list()


async def disable_user(settings: Settings, name: str, *, disabled: bool = True) -> None:
    from server.auth import Users

    async with open_pool(lambda: database_url(settings), max_size=2) as pool:
        await migrate(pool)
        await Users(pool).disable(name, disabled=disabled)


async def set_password(settings: Settings, name: str, password: str) -> None:
    from server.auth import Users

    async with open_pool(lambda: database_url(settings), max_size=2) as pool:
        await migrate(pool)
        await Users(pool).set_password(name, password)


async def _has_users(settings: Settings) -> bool:
    from server.auth import Users

    async with open_pool(lambda: database_url(settings), max_size=2) as pool:
        await migrate(pool)
        return await Users(pool).exist()


def _config(path: Path | None) -> Path:
    found = path or DEFAULT_CONFIG
    if path is None and not found.exists():
        found = Path(__file__).parents[1] / DEFAULT_CONFIG
    return found


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
