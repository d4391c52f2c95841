"""Makes and deletes environments, each in a process that kills itself at a given event.

Reads lines of JSON `{"number", "owner", "environment_id", "workspace", "settings"}`. An event is the moment before or
after a call of the cloud, a statement or a checkpoint.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

sys.path.insert(0, str(Path(__file__).parents[1]))

from killing import around, serve

from core.postgres import database_url, open_pool
from core.settings import load_settings
from provision import steps
from provision.eci import EciProvider
from provision.service import open_environments
from provision.settings import ProvisionSettings
from provision.specs import EnvironmentRequest
from provision.store import EnvironmentStore


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


around(EciProvider, "create", "delete", "find")
around(EnvironmentStore, "add", "begin", "intend", "group_created", "group_deleted", "move", "secured", "run")
around(EnvironmentStore, "delete", "end")
around(AsyncPostgresSaver, "aput")
around(steps, "close_default_account", "version")
import alibabacloud_credentials.client  # noqa: E402, F401
import alibabacloud_eci20180808.client  # noqa: E402, F401
import dolphindb  # noqa: E402, F401

serve(work)
