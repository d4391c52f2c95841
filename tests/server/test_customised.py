"""What a langgraph.json brings of its own: who may, further routes, origins, how long items of the store live."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import Auth, get_client
from langgraph_sdk.errors import NotFoundError
from served.application import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from core.errors import ConfigurationError
from core.settings import Settings
from server.app import create_app
from server.auth import check_hook
from server.config import load_config

GRAPHS = """
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    said: list[str]

async def who(state, config):
    user = config["configurable"]["langgraph_auth_user"]
    return {"said": [user.identity, user["team"], user.team, ",".join(user.permissions)]}

graph = StateGraph(State)
graph.add_node("who", who)
graph.add_edge(START, "who")
"""
AUTH = """
from langgraph_sdk import Auth

auth = Auth()

@auth.authenticate
async def authenticate(authorization: str | None, path: str, method: str):
    if authorization is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="say who you are")
    name = authorization.removeprefix("Bearer ")
    if name == "eve":
        raise Auth.exceptions.HTTPException(status_code=403, detail="not you")
    return {"identity": name, "team": "blue", "permissions": ["read"]}
"""
APP = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    app.state.greeting = "hello"
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/greeting/{name}")
async def greet(name: str):
    return {"said": f"{app.state.greeting} {name}"}
"""
ORIGIN = "https://pages.example"


@pytest.fixture
async def url(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    # The folder of a langgraph.json is put on the path.
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("graphs.py", GRAPHS), ("guard.py", AUTH), ("more.py", APP)):
        (tmp_path / name).write_text(text)
    written = {
        "dependencies": ["."],
        "graphs": {"who": "./graphs.py:graph"},
        "auth": {"path": "./guard.py:auth"},
        "http": {"app": "./more.py:app", "cors": {"allow_origins": [ORIGIN]}},
        "store": {"ttl": {"default_ttl": 5, "refresh_on_read": False}},
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(written))
    async with serving(create_app(settings, load_config(tmp_path / "langgraph.json"))) as url:
        yield url


async def test_a_langgraph_json_with_everything(url: str, pool: Any) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        await _the_hook_says_who(http, url)
        await _each_sees_their_own(url)
        assert (await http.get("/greeting/ann")).json() == {"said": "hello ann"}
        preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
        assert (await http.options("/threads", headers=preflight)).headers["access-control-allow-origin"] == ORIGIN
        assert (await http.get("/info", headers={"origin": "https://evil.example"})).status_code == 403
    await _items_expire(url, pool)


async def _the_hook_says_who(http: httpx.AsyncClient, url: str) -> None:
    nobody = await http.get("/threads/x")
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "say who you are")
    eve = await http.get("/threads/x", headers={"authorization": "Bearer eve"})
    assert (eve.status_code, eve.json()["detail"]) == (403, "not you")
    with pytest.raises(InvalidStatus, match="401"):
        async with connect(f"{url.replace('http', 'ws', 1)}/threads/x/stream/events"):
            pass


async def _each_sees_their_own(url: str) -> None:
    async with (
        get_client(url=url, api_key=None, headers={"authorization": "Bearer ann"}) as ann,
        get_client(url=url, api_key=None, headers={"authorization": "Bearer bob"}) as bob,
    ):
        thread = (await ann.threads.create())["thread_id"]
        ended = await ann.runs.wait(thread, "who", input={})
        assert ended["said"] == ["ann", "blue", "blue", "read"]
        with pytest.raises(NotFoundError):
            await bob.threads.get(thread)


async def _items_expire(url: str, pool: Any) -> None:
    async with get_client(url=url, api_key=None, headers={"authorization": "Bearer ann"}) as client:
        await client.store.put_item(["brief"], "by default", {"n": 1})
        await client.store.put_item(["brief"], "longer", {"n": 2}, ttl=60)
        async with pool.connection() as held:
            await held.execute(
                "UPDATE store SET expires_at = expires_at - interval '6 minutes' WHERE prefix = 'ann.brief'"
            )
        assert await client.store.get_item(["brief"], "by default") is None
        found = await client.store.search_items(["brief"])
        assert [item["key"] for item in found["items"]] == ["longer"]


def test_rules_that_are_not_run_are_refused() -> None:
    hook = Auth()

    @hook.authenticate
    async def authenticate() -> str:
        return "ann"

    assert check_hook(hook) is hook

    @hook.on
    async def everything(ctx: Auth.types.AuthContext, value: Any) -> None:
        await asyncio.sleep(0)

    with pytest.raises(ConfigurationError, match=r"@auth\.on"):
        check_hook(hook)
    with pytest.raises(ConfigurationError, match="authenticate"):
        check_hook(Auth())


@pytest.mark.parametrize("minutes", ["soon", 0, True])
def test_a_time_to_live_that_is_none_is_refused(tmp_path: Path, minutes: Any) -> None:
    path = tmp_path / "langgraph.json"
    path.write_text(json.dumps({"graphs": {"a": "./b.py:c"}, "store": {"ttl": {"default_ttl": minutes}}}))
    with pytest.raises(ConfigurationError, match="default_ttl"):
        load_config(path)
