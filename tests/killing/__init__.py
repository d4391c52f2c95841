"""Processes that kill themselves at a given event: the moment before or after a call that leaves a trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

remaining = -1


def event() -> None:
    global remaining
    if remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remaining -= 1


def around(owner: Any, *names: str) -> None:
    """Makes the moments before and after each of these calls events."""
    for name in names:
        _wrap(owner, name)


def _wrap(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        event()
        result = await original(*args, **kwargs)
        event()
        return result

    setattr(owner, name, wrapped)


def serve(work: Callable[[dict[str, Any]], Awaitable[int | None]]) -> None:
    """Reads lines of JSON and does the `work` of each in a process of its own that kills itself at event "number".

    Answers each with the exit status; work with fewer events ends by itself, with what it returns.
    """
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(work, json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(work: Callable[[dict[str, Any]], Awaitable[int | None]], asked: dict[str, Any]) -> NoReturn:
    global remaining
    remaining = asked["number"]
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    status = 1
    try:
        status = asyncio.run(_awaited(work(asked))) or 0
    finally:
        os._exit(status)


async def _awaited(work: Awaitable[int | None]) -> int | None:
    return await work
