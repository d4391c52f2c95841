"""The blocking client under an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from core.errors import DolphinDBUnavailableError
from dolphin.connection import Connection
from dolphin.environment import Environment

T = TypeVar("T")

ANSWER_SECONDS = 10.0
RESOLVE_SECONDS = 2.0


async def connect(environment: Environment) -> Connection:
    """A connection. Raises DolphinDBUnavailableError, also when the server takes it but does not answer in time."""
    # An engine that is just ending is still found by its address for a moment.
    deadline = time.monotonic() + (0.0 if environment.resolve is None else RESOLVE_SECONDS)
    while True:
        try:
            return await _connected(await environment.current())
        except DolphinDBUnavailableError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(RESOLVE_SECONDS / 10)


async def _connected(environment: Environment) -> Connection:
    future = in_thread(lambda: Connection(environment))
    try:
        done, _ = await asyncio.wait([future], timeout=ANSWER_SECONDS)
    except asyncio.CancelledError:
        future.add_done_callback(_discard)
        raise
    if not done:
        future.add_done_callback(_discard)
        raise DolphinDBUnavailableError(
            f"DolphinDB at {environment.host}:{environment.port} takes connections but does not answer.",
            "Check the load and the log of the server.",
        )
    return future.result()


def _discard(future: asyncio.Future[Connection]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().close()


def close_after(future: asyncio.Future[Any], connection: Connection) -> None:
    """Closes a connection once the call that uses it is over: the client must not be closed while it waits."""
    future.add_done_callback(lambda finished: _close(finished, connection))


def _close(future: asyncio.Future[Any], connection: Connection) -> None:
    if not future.cancelled():
        future.exception()
    connection.close()


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Runs a blocking function in a daemon thread, so that a server that never answers cannot hold up the exit."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="dolphindb", daemon=True).start()
    return future
