"""Asks questions as `ddb-agent ask --yes --json` does, each in a process that kills itself at a given event.

Reads lines of JSON `{"number", "thread", "question"}`. An event is the moment before or after a checkpoint, a pending
write, a ledger entry, a script, a command, or a step of making an environment.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

sys.path.insert(0, str(Path(__file__).parents[1]))

from killing import around, serve

from core.ledger import Ledger
from core.settings import load_settings
from dolphin.sessions import Sessions
from provision.local import LocalProvider
from provision.store import EnvironmentStore
from provision.workspace import Workspaces
from terminal.ask import ask


async def work(asked: dict[str, Any]) -> int:
    return await ask(load_settings(), asked["question"], mode=None, thread_id=asked["thread"], yes=True, as_json=True)


around(AsyncPostgresSaver, "aput", "aput_writes")
around(Ledger, "open", "close")
around(Sessions, "run")
around(Workspaces, "run")
around(EnvironmentStore, "add", "begin", "group_created", "secured", "run")
around(LocalProvider, "create")
import dolphindb  # noqa: E402, F401
import langchain_openai  # noqa: E402, F401

serve(work)
