"""What a langgraph.json brings of its own: who may, further routes, origins, how long items of the store live."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import Auth, get_client
from langgraph_sdk.errors import NotFoundError, PermissionDeniedError
from psycopg.types.json import Jsonb
from served.application import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from core.errors import ConfigurationError, InvalidInputError
from core.errors import NotFoundError as MissingError
from core.settings import Settings
from server.app import create_app
from server.auth import check_hook
from server.config import ServerConfig, load_config, load_object
from server.identity import Principal
from server.rules import RuleError, Rules
from server.webhooks import Webhooks

GRAPHS = """
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    said: list[str]

async def who(state, config):
    user = config["configurable"]["langgraph_auth_user"]
    headers = [f"{key}={value}" for key, value in config["configurable"].items() if key.startswith("x-")]
    return {"said": [user.identity, user["team"], user.team, ",".join(user.permissions), *headers]}

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
RULES = """
from langgraph_sdk import Auth

auth = Auth()

@auth.authenticate
def authenticate(authorization: str):
    name = authorization.removeprefix("Bearer ")
    return ["read"], {"identity": name, "team": name.partition(".")[2]}

@auth.on
async def deny(ctx, value):
    return isinstance(ctx.user, Auth.types.StudioUser)

@auth.on.threads
async def of_the_team(ctx, value):
    if isinstance(ctx.user, Auth.types.StudioUser):
        return None
    return {"team": dict(ctx.user)["team"]} if ctx.user.get("team") else False

@auth.on.threads.delete
async def careful(ctx, value):
    assert ctx.user.identity == "ann.blue", "only ann"

@auth.on.assistants
async def shared(ctx, value):
    value.setdefault("metadata", {}).pop("secret", None)
    return {"$or": [{"readers": {"$contains": [ctx.user.identity]}}, {"made_by": {"$eq": ctx.user.identity}}]}

@auth.on.assistants.create
async def for_readers(ctx, value):
    if value["metadata"].get("alone"):
        value["metadata"]["made_by"] = ctx.user.identity
        return None
    return {"readers": {"$contains": ["ann.blue", "bob.blue"]}}

@auth.on.assistants.delete
async def paid(ctx, value):
    raise Auth.exceptions.HTTPException(status_code=402, detail="pay first")

@auth.on.store
async def own_shelf(ctx, value):
    value["namespace"] = ("of " + ctx.user.identity.replace(".", "_"), *value["namespace"])

@auth.on.store.search
async def no_secrets(ctx, value):
    await own_shelf(ctx, value)
    return {"n": 1}
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
MEANING = """
def vectors(texts):
    assert "unspeakable" not in texts, "sk-secret"
    return [[float("cat" in text or "feline" in text), float("dog" in text), 0.1] for text in texts]
"""
EMBEDDING_FAILED = "The embedding failed: AssertionError. See the server's log."
HEADERS = {"x-of-house": "red", "x-of-secret": "s", "x-other": "o"}
ORIGIN = "https://pages.example"


@pytest.fixture
async def url(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    # The folder of a langgraph.json is put on the path.
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("graphs.py", GRAPHS), ("guard.py", AUTH), ("more.py", APP), ("meaning.py", MEANING)):
        (tmp_path / name).write_text(text)
    written = {
        "dependencies": ["."],
        "graphs": {"who": "./graphs.py:graph"},
        "auth": {"path": "./guard.py:auth"},
        "http": {
            "app": "./more.py:app",
            "cors": {"allow_origins": [ORIGIN]},
            "configurable_headers": {"includes": ["x-of-*", "x-api-key"], "excludes": ["x-of-secret"]},
            "disable_mcp": True,
        },
        "checkpointer": {"ttl": {"default_ttl": 30, "strategy": "delete"}},
        "store": {
            "ttl": {"default_ttl": 5, "refresh_on_read": False},
            "index": {"dims": 3, "embed": "./meaning.py:vectors", "fields": ["text"]},
        },
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(written))
    async with serving(create_app(settings, load_config(tmp_path / "langgraph.json"))) as url:
        yield url


async def test_a_langgraph_json_with_everything(url: str, pool: Any) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        await _the_hook_says_who(http, url)
        await _each_sees_their_own(url)
        assert (await http.get("/greeting/ann")).json() == {"said": "hello ann"}
        assert (await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code == 404
        preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
        assert (await http.options("/threads", headers=preflight)).headers["access-control-allow-origin"] == ORIGIN
        assert (await http.get("/info", headers={"origin": "https://evil.example"})).status_code == 403
    await _items_are_found_by_meaning(url)
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
        get_client(url=url, api_key="k", headers={"authorization": "Bearer ann", **HEADERS}) as ann,
        acting(url, "bob") as bob,
    ):
        thread = (await ann.threads.create())["thread_id"]
        ended = await ann.runs.wait(thread, "who", input={})
        assert ended["said"] == ["ann", "blue", "blue", "read", "x-of-house=red"]
        made = str(uuid4())
        await ann.runs.wait(made, "who", input={}, if_not_exists="create")
        for key in (thread, made):
            assert (await ann.threads.get(key))["ttl"]["ttl_minutes"] == 30
        with pytest.raises(NotFoundError):
            await bob.threads.get(thread)


async def _items_are_found_by_meaning(url: str) -> None:
    async with acting(url, "ann") as ann, acting(url, "bob") as bob:
        await ann.store.put_item(["animals"], "one", {"text": "a feline", "other": "dog"})
        await ann.store.put_item(["animals"], "two", {"text": "a dog"})
        await ann.store.put_item(["animals"], "three", {"text": "cat"}, index=False)
        await bob.store.put_item(["animals"], "of bob", {"text": "cat"})
        for query, keys in (("cat", ["one", "two"]), ("dog", ["two", "one"])):
            found = (await ann.store.search_items(["animals"], query=query))["items"]
            assert [item["key"] for item in found] == keys
            assert found[0]["score"] == pytest.approx(1.0)
        with pytest.raises(httpx.HTTPStatusError) as failed:
            await ann.store.search_items(["animals"], query="unspeakable")
        assert (failed.value.response.status_code, str(failed.value)) == (502, EMBEDDING_FAILED)


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


def test_an_auth_that_cannot_be_honoured_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="authenticate"):
        check_hook(Auth())
    hook = Auth()

    @hook.authenticate
    async def authenticate(session: str) -> str:
        return session

    with pytest.raises(ConfigurationError, match="'session'"):
        check_hook(hook)


@pytest.fixture
async def ruled(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("graphs.py", GRAPHS), ("rules.py", RULES)):
        (tmp_path / name).write_text(text)
    written = {
        "graphs": {"who": "./graphs.py:graph"},
        "auth": {"path": "./rules.py:auth", "disable_studio_auth": False},
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(written))
    async with serving(create_app(settings, load_config(tmp_path / "langgraph.json"))) as url:
        yield url


def acting(url: str, name: str) -> Any:
    return get_client(url=url, api_key=None, headers={"authorization": f"Bearer {name}"})


async def test_rules_share_and_refuse(ruled: str) -> None:
    async with acting(ruled, "ann.blue") as ann, acting(ruled, "bob.blue") as bob, acting(ruled, "eve.red") as eve:
        await _a_team_shares_its_threads(ann, bob, eve)
        await _rules_of_assistants(ann, bob)
        await _rules_of_the_store(ann, bob)
        with pytest.raises(PermissionDeniedError, match="Forbidden"):
            await ann.crons.create("who", schedule="0 0 1 1 *")
    async with get_client(url=ruled, api_key=None, headers={"x-auth-scheme": "langsmith"}) as studio:
        assert (await studio.crons.search()) == []
        with pytest.raises(NotFoundError):
            await studio.threads.update(str(uuid4()), metadata={})


async def _a_team_shares_its_threads(ann: Any, bob: Any, eve: Any) -> None:
    mark = uuid4().hex
    thread = await ann.threads.create(metadata={"mark": mark, "team": "red"})
    assert thread["metadata"] == {"mark": mark, "team": "blue"}
    key = thread["thread_id"]
    assert (await bob.runs.wait(key, "who", input={}))["said"][0] == "bob.blue"
    [run] = await ann.runs.list(key)
    assert (await bob.runs.join(key, run["run_id"]))["said"][0] == "bob.blue"
    assert len([part async for part in ann.runs.join_stream(key, run["run_id"])]) > 1
    assert (await bob.threads.get_state(key))["values"]["said"][0] == "bob.blue"
    assert (await bob.threads.update(key, metadata={"seen": True}))["metadata"]["seen"]
    await bob.threads.update_state(key, {"said": ["later"]}, as_node="who")
    for client, count in ((ann, 1), (bob, 1), (eve, 0)):
        assert await client.threads.count(metadata={"mark": mark}) == count
        assert len(await client.threads.search(metadata={"mark": mark})) == count
    copied = await bob.threads.copy(key)
    assert (await ann.threads.get(copied["thread_id"]))["values"] == {"said": ["later"]}
    asked = [
        eve.threads.get(key), eve.threads.update(key, metadata={}), eve.threads.get_history(key), eve.threads.copy(key),
        eve.runs.list(key), eve.runs.wait(key, "who", input={}), eve.runs.join(key, run["run_id"]),
        eve.runs.create(key, "who", input={}, if_not_exists="create"), eve.runs.cancel(key, run["run_id"]),
    ]  # fmt: skip
    assert {await refusal(each) for each in asked} == {404}
    assert await refusal(eve.threads.create(thread_id=key, if_exists="do_nothing")) == 409
    assert (await bob.threads.create(thread_id=key, if_exists="do_nothing"))["metadata"]["mark"] == mark
    made = str(uuid4())
    await ann.runs.wait(made, "who", input={}, if_not_exists="create")
    assert (await bob.threads.get(made))["metadata"]["team"] == "blue"
    with pytest.raises(PermissionDeniedError, match="only ann"):
        await bob.threads.delete(key)
    await ann.threads.delete(key)
    with pytest.raises(NotFoundError):
        await bob.threads.get(key)


async def _rules_of_assistants(ann: Any, bob: Any) -> None:
    shared = (await ann.assistants.create("who", metadata={"readers": ["x"]}))["assistant_id"]
    assert (await bob.assistants.get(shared))["metadata"] == {"readers": ["x", "ann.blue", "bob.blue"]}
    changed = await bob.assistants.update(shared, name="ours", metadata={"secret": 1})
    assert (changed["name"], "secret" in changed["metadata"]) == ("ours", False)
    own = (await ann.assistants.create("who", metadata={"alone": True}))["assistant_id"]
    assert shared in [found["assistant_id"] for found in await bob.assistants.search(limit=100)]
    assert own not in [found["assistant_id"] for found in await bob.assistants.search(limit=100)]
    assert (await bob.runs.wait(None, shared, input={}))["said"][0] == "bob.blue"
    assert await refusal(bob.assistants.get(own)) == 404
    assert await refusal(bob.runs.wait(None, own, input={})) == 404
    assert await refusal(bob.assistants.delete(shared)) == 402


async def refusal(asked: Any) -> int:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        await asked
    return refused.value.response.status_code


async def _rules_of_the_store(ann: Any, bob: Any) -> None:
    await ann.store.put_item(["notes"], "k", {"n": 1})
    assert (await ann.store.get_item(["notes"], "k"))["namespace"] == ["of ann_blue", "notes"]
    assert (await bob.store.get_item(["notes"], "k")) is None
    await ann.store.put_item(["notes"], "secret", {"n": 2})
    assert [item["key"] for item in (await ann.store.search_items(["notes"]))["items"]] == ["k"]


METADATA = {"n": 1, "list": ["a", "b"], "object": {"x": 1, "y": 2}}


FILTERS: list[tuple[Any, bool | str]] = [
    ({"n": 1}, True),
    ({"n": {"$eq": 1}, "list": {"$contains": "a"}}, True),
    ({"list": {"$contains": ["b", "a"]}}, True),
    ({"list": {"$contains": ["a", "c"]}}, False),
    ({"n": {"$contains": 1}}, False),
    ({"list": ["a", "b"]}, True),
    ({"list": ["a"]}, False),
    ({"object": {"$eq": {"x": 1}}}, False),
    ({"n": None}, False),
    ({"$and": [{"n": 1}, {"$or": [{"n": 2}, {"list": {"$contains": "b"}}]}]}, True),
    ({"$or": [{"n": 2}, {"none": 1}]}, False),
    ({"n": {"$gt": 0}}, "not known"),
    ({"$or": [{"n": 1}]}, "at least 2"),
    ({"$or": [{"n": 2}, {"$or": [{"n": 2}, {"$or": [{"n": 2}, {"n": 1}]}]}]}, "levels"),
    ([], "returned a list"),
]


async def test_filters_of_rules(pool: Any) -> None:
    hook = Auth()
    asked: list[Any] = []

    @hook.on
    async def rule(ctx: Auth.types.AuthContext, value: Any) -> Any:
        return asked[-1]

    key, rules = str(uuid4()), Rules(pool, hook)
    async with pool.connection() as held:
        await held.execute(
            "INSERT INTO threads (thread_id, owner, metadata) VALUES (%s, 'ann', %s)", (key, Jsonb(METADATA))
        )

    async def owner() -> str:
        try:
            return (await rules.thread(Principal("bob"), key, "read")).identity
        except MissingError:
            return ""

    for filters, seen in FILTERS:
        asked.append(filters)
        if isinstance(seen, str):
            with pytest.raises(RuleError, match=seen):
                await owner()
        else:
            assert (await owner() == "ann") is seen, filters


def loaded(folder: Path, **parts: Any) -> ServerConfig:
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {"a": "./b.py:c"}, **parts}))
    return load_config(path)


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        *[({"store": {"ttl": {"default_ttl": minutes}}}, "default_ttl") for minutes in ("soon", 0, True)],
        ({"store": {"index": {"embed": "openai:x"}}}, "index.dims"),
        ({"store": {"index": {"dims": 3, "embed": "x"}}}, "index.embed"),
        ({"store": {"index": {"dims": 3, "embed": "a:b", "fields": "text"}}}, "index.fields"),
        ({"checkpointer": {"ttl": {"default_ttl": -1}}}, "ttl.default_ttl"),
        ({"checkpointer": {"ttl": {"default_ttl": 5, "strategy": "forget"}}}, "ttl.strategy"),
        ({"http": {"configurable_headers": {"includes": "x-*"}}}, "configurable_headers"),
        ({"webhooks": {"url": {"allowed_domains": ["a.*"]}}}, "allowed_domains"),
        ({"webhooks": {"headers": {"x": "${{ env.HOME }}"}}}, "webhooks.headers"),
        ({"webhooks": {"headers": {"x": "${{ env.LG_WEBHOOK_NOT_SET }}"}}}, "LG_WEBHOOK_NOT_SET"),
    ],
)
def test_a_setting_that_is_none_is_refused(tmp_path: Path, parts: Any, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(wrong)):
        loaded(tmp_path, **parts)


def test_javascript_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="JavaScript"):
        load_object("./graph.ts:graph", tmp_path)


async def test_webhooks_have_rules(tmp_path: Path, pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LG_WEBHOOK_NAME", "ann")
    rules = {"allowed_domains": ["hooks.test", "*.inner.test"], "allowed_ports": [443, 8443], "max_url_length": 40}
    headers = {"x-from": "of ${{ env.LG_WEBHOOK_NAME }}"}
    policy = loaded(tmp_path, webhooks={"url": rules, "headers": headers, "allowed_fields": ["run_id"]}).webhooks
    assert policy.headers == {"x-from": "of ann"}
    webhooks = Webhooks(pool, policy=policy)
    for allowed in ("https://hooks.test/x", "https://a.inner.test:8443"):
        await webhooks.check(allowed)
    for refused in (
        "http://hooks.test/x", "https://other.test", "https://inner.test", "https://hooks.test:9",
        f"https://hooks.test/{'x' * 40}", "https://evilhooks.test",
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match="webhook"):
            await webhooks.check(refused)
    none = Webhooks(pool, ("hooks.test",), loaded(tmp_path, http={"disable_webhooks": True}).webhooks)
    with pytest.raises(InvalidInputError, match="no webhooks"):
        await none.check("https://hooks.test/x")
