"""Makes and deletes environments, each in a process that kills itself at a given event.

Reads lines of JSON `{"number", "owner", "environment_id", "workspace", "settings"}` and answers each with the exit
status of its process. An event is the moment before or after a call of the cloud, a statement or a checkpoint.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from functools import partial
from typing import Any, NoReturn

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from core.postgres import database_url, open_pool
from core.settings import load_settings
from provision import steps
from provision.eci import EciProvider
from provision.service import open_environments
from provision.settings import ProvisionSettings
from provision.specs import EnvironmentRequest
from provision.store import EnvironmentStore

remaining = 0


def event() -> None:
    global remaining
    if remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remaining -= 1


def around(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        event()
        result = await original(*args, **kwargs)
        event()
        return result

    setattr(owner, name, wrapped)


async def work(asked: dict[str, Any]) -> None:
    settings = load_settings()
    provision = ProvisionSettings(_env_file=None, **asked["settings"])
    async with (
        open_pool(partial(database_url, settings), max_size=4) as pool,
        open_environments(settings, pool, provision=provision) as environments,
    ):
        owner = asked["owner"]
        request = EnvironmentRequest(
            name=asked["environment_id"], cpu=1, memory=2, hours=1, workspace=asked["workspace"]
        )
        record = await environments.wait(owner, (await environments.start(owner, request)).id)
        assert record.state == "RUNNING", record.error
        await environments.delete(owner, record.id)


def run(asked: dict[str, Any]) -> NoReturn:
    global remaining
    remaining = asked["number"]
    asyncio.run(work(asked))
    os._exit(0)


def main() -> None:
    for owner, names in (
        (EciProvider, ("create", "delete", "find")),
        (EnvironmentStore, ("add", "begin", "intend", "group_created", "group_deleted", "move", "secured", "run")),
        (EnvironmentStore, ("delete", "end")),
        (AsyncPostgresSaver, ("aput",)),
        (steps, ("close_default_account", "version")),
    ):
        for name in names:
            around(owner, name)
    import alibabacloud_credentials.client  # noqa: F401
    import alibabacloud_eci20180808.client  # noqa: F401
    import dolphindb  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                run(asked)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


main()
