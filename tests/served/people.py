"""A server with users, one of whom has something of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.artifacts import Artifacts
from core.postgres import Pool
from core.settings import Settings
from served.application import accounts, logged_in, serving
from server.app import create_app
from server.config import load_config

CONFIG = Path(__file__).parent / "langgraph.json"


@dataclass
class People:
    """Somebody with things, somebody else, an administrator, and one who does not say who they are."""

    url: str
    owner: httpx.AsyncClient
    other: httpx.AsyncClient
    admin: httpx.AsyncClient
    nobody: httpx.AsyncClient
    things: dict[str, str]
    secret: str


@pytest.fixture
async def people(settings: Settings, pool: Pool) -> AsyncIterator[People]:
    names = {role: f"{role}-{uuid4().hex[:6]}" for role in ("owner", "other", "admin")}
    roles: Any = {name: "admin" if role == "admin" else "user" for role, name in names.items()}
    own = settings.model_copy(update={"run_lease_seconds": 2.0})
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(accounts(pool, settings, roles))
        url = await stack.enter_async_context(serving(create_app(own, load_config(CONFIG), local=False)))
        clients = {role: await stack.enter_async_context(logged_in(url, keys[name])) for role, name in names.items()}
        nobody = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
        secret = f"secret-{uuid4().hex}"
        things = await belongings(clients["owner"], names["owner"], secret, pool, settings)
        yield People(url, **clients, nobody=nobody, things=things, secret=secret)


async def belongings(
    http: httpx.AsyncClient, owner: str, secret: str, pool: Pool, settings: Settings
) -> dict[str, str]:
    """One of everything, all with the secret in it; their ids."""

    async def made(path: str, body: Any) -> Any:
        answer = await http.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    thread = (await made("/threads", {"metadata": {"secret": secret}}))["thread_id"]
    await made(f"/threads/{thread}/runs/wait", {"assistant_id": "echo", "input": {"text": secret}})
    [run] = (await http.get(f"/threads/{thread}/runs")).json()
    state = (await http.get(f"/threads/{thread}/state")).json()
    assistant = (await made("/assistants", {"graph_id": "echo", "name": secret}))["assistant_id"]
    schedule = {"assistant_id": "echo", "schedule": "0 0 1 1 *", "input": {"text": secret}}
    await http.put("/store/items", json={"namespace": ["seen"], "key": "k", "value": {"text": secret}})
    await made("/feedback", {"thread_id": thread, "run_id": run["run_id"], "score": "like", "comment": secret})
    example = {"question": f"what is {secret}?", "script": "exec count(*) from trades"}
    table = f"a\n{secret}\n".encode()
    artifact = await Artifacts(pool, settings.data_dir / "artifacts").save(
        owner, thread, "table", "t.csv", "text/csv", table
    )
    return {
        "owner": owner,
        "thread_id": thread,
        "run_id": run["run_id"],
        "checkpoint_id": state["checkpoint"]["checkpoint_id"],
        "assistant_id": assistant,
        "cron_id": (await made("/runs/crons", schedule))["cron_id"],
        "key_id": (await made("/auth/keys", {"label": secret}))["key_id"],
        "example_id": (await made("/memory/examples", example))["id"],
        "term_id": (await made("/memory/terms", {"term": secret, "meaning": secret}))["id"],
        "artifact_id": artifact.id,
        "environment_id": uuid4().hex,
        "namespace": "child",
        "database": "dfs://d",
        "table": "t",
    }
