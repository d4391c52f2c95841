from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai_server.fixtures import scripted_openai  # noqa: F401
from openai_server.server import ScriptedOpenAI

from core.postgres import Pool
from core.settings import Settings
from core.threads import Threads
from graph.host import Host, open_deps


def model_file(server: ScriptedOpenAI, **more: Any) -> str:
    """A model registry with one entry, the scripted server, that gives up quickly."""
    entry = {"model": "scripted", "base_url": server.url, "timeout": 1.0, "total_timeout": 8.0, "max_retries": 1}
    return json.dumps({"models": {"scripted": {**entry, **more}}})


@pytest.fixture
async def host(
    request: pytest.FixtureRequest,
    settings: Settings,
    pool: Pool,
    scripted_openai: ScriptedOpenAI,  # noqa: F811
) -> AsyncIterator[Host]:
    """The agent over the scripted model, real Postgres and a real engine; `host_settings` marks change settings."""
    marker = request.node.get_closest_marker("host_settings")
    changes = dict(marker.kwargs) if marker else {}
    model = changes.pop("model", {})
    own = settings.model_copy(
        update={"models": model_file(scripted_openai, **model), "script_timeout": 20.0, **changes}
    )
    async with open_deps(own, pool) as deps:
        yield Host(own, deps, pool, Threads(pool, artifacts=deps.artifacts))
