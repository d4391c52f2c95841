"""Asks questions as `ddb-agent ask --yes --json` does, each in a process that kills itself at a given event.

Reads lines of JSON `{"number", "thread", "question"}` and answers each with the exit status of its process. An event is
the moment before or after a checkpoint, a pending write, a ledger entry or a script; a run with fewer events
ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any, NoReturn

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from core.ledger import Ledger
from core.settings import load_settings
from dolphin.sessions import Sessions
from terminal.ask import ask

remaining = 0


def event() -> None:
    global remaining
    if remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remaining -= 1


def around(owner: type, name: str) -> None:
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        event()
        result = await original(*args, **kwargs)
        event()
        return result

    setattr(owner, name, wrapped)


def run(number: int, thread: str, question: str) -> NoReturn:
    global remaining
    remaining = number
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    work = ask(load_settings(), question, mode=None, thread_id=thread, yes=True, as_json=True)
    os._exit(asyncio.run(work))


def main() -> None:
    for owner, name in [
        (AsyncPostgresSaver, "aput"),
        (AsyncPostgresSaver, "aput_writes"),
        (Ledger, "open"),
        (Ledger, "close"),
        (Sessions, "run"),
    ]:
        around(owner, name)
    import dolphindb  # noqa: F401
    import langchain_openai  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            run(asked["number"], asked["thread"], asked["question"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


main()
