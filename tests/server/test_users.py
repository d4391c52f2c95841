"""Who may what: tokens, keys, and two users who see nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import get_client
from served import Process, Starter

from core.artifacts import Artifacts
from core.errors import ConfigurationError, ConflictError, InvalidInputError
from core.postgres import Pool
from core.settings import Settings
from server.auth import Users
from server.config import ServerConfig, load_config
from terminal.serve import is_loopback, serve

PASSWORD = "correct horse battery"


@pytest.fixture
async def two(pool: Pool, start: Starter) -> AsyncIterator[tuple[Process, str, str]]:
    """A server with users; the users are gone afterwards, for the tests that know of none."""
    names = f"ann-{uuid4().hex[:6]}", f"bob-{uuid4().hex[:6]}"
    users = Users(pool)
    for name in names:
        await users.add(name, PASSWORD)
    try:
        process = await asyncio.to_thread(lambda: start.ready(start("serve")))
        yield process, *names
    finally:
        async with pool.connection() as held:
            await held.execute("DELETE FROM users WHERE name = ANY(%s)", (list(names),))


async def login(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = await http.post("/auth/token", data={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


async def test_users(two: tuple[Process, str, str], pool: Pool, settings: Settings) -> None:
    process, ann, bob = two
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as http:
        await _nobody_gets_in(http, ann)
        tokens = await login(http, ann)
        await _tokens_are_refreshed_once_and_revoked(http, ann)
        await _keys_work_until_they_are_deleted(http, process, tokens)
        await _the_owner_reaches_the_graph(process, ann, tokens)
        await _nothing_of_the_other_is_seen(http, process, tokens, await login(http, bob), pool, settings, ann)
        await _a_disabled_user_is_out(http, pool, ann, tokens)


async def _nobody_gets_in(http: httpx.AsyncClient, ann: str) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    open_paths = {"/ok", "/info", "/metrics", "/auth/token", "/auth/refresh"}
    for path, operations in paths.items():
        for method in operations:
            if path in open_paths:
                continue
            filled = path.replace("{namespace}", "x").replace("{table}", "t").replace("{database}", "d")
            for name in ("thread_id", "run_id", "assistant_id", "cron_id", "checkpoint_id", "artifact_id", "key_id"):
                filled = filled.replace(f"{{{name}}}", str(uuid4()))
            answer = await http.request(method.upper(), filled, json={})
            assert answer.status_code == 401, (method, path, answer.text)
    for wrong in ((ann, "wrong password"), ("nobody", PASSWORD)):
        answer = await http.post("/auth/token", data={"username": wrong[0], "password": wrong[1]})
        assert answer.status_code == 401
    forged = await http.get("/auth/me", headers={"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."})
    assert forged.status_code == 401


async def _tokens_are_refreshed_once_and_revoked(http: httpx.AsyncClient, ann: str) -> None:
    tokens = await login(http, ann)
    again = await http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (await http.get("/auth/me", headers=bearer(again.json()))).json()["identity"] == ann
    twice = await http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert twice.status_code == 401
    stolen = await http.post("/auth/refresh", json={"refresh_token": again.json()["refresh_token"]})
    assert stolen.status_code == 401
    assert (await http.post("/auth/revoke", headers=bearer(again.json()))).status_code == 204
    assert (await http.get("/auth/me", headers=bearer(again.json()))).status_code == 401


async def _keys_work_until_they_are_deleted(http: httpx.AsyncClient, process: Process, tokens: dict[str, Any]) -> None:
    made = (await http.post("/auth/keys", json={"label": "a script"}, headers=bearer(tokens))).json()
    async with get_client(url=process.url, api_key=made["key"]) as client:
        thread = await client.threads.create()
        assert (await client.runs.wait(thread["thread_id"], "echo", input={"text": "a"}))["log"] == ["a"]
    [listed] = (await http.get("/auth/keys", headers=bearer(tokens))).json()
    assert "key" not in listed
    assert (await http.delete(f"/auth/keys/{made['key_id']}", headers=bearer(tokens))).status_code == 204
    assert (await http.get("/auth/me", headers={"x-api-key": made["key"]})).status_code == 401


async def _the_owner_reaches_the_graph(process: Process, ann: str, tokens: dict[str, Any]) -> None:
    """Whatever the client says, the graph is told who it is."""
    async with get_client(url=process.url, headers=bearer(tokens), api_key=None) as client:
        forged: list[dict[str, Any]] = [
            {"context": {"owner": "mallory", "colour": "red"}},
            {"config": {"configurable": {"owner": "mallory", "colour": "red", "langgraph_auth_user_id": "mallory"}}},
            {"config": {"configurable": {"langgraph_auth_user": {"identity": "m"}, "user_id": "m", "colour": "red"}}},
        ]  # fmt: skip
        for arguments in forged:
            ended = await client.runs.wait(None, "who", input={"text": ""}, **arguments)
            assert ended["log"] == [ann, ann, "red", ann]


async def _nothing_of_the_other_is_seen(
    http: httpx.AsyncClient, process: Process, mine: dict[str, Any], theirs: dict[str, Any], pool: Pool,
    settings: Settings, ann: str,
) -> None:  # fmt: skip
    secret = uuid4().hex
    async with get_client(url=process.url, headers=bearer(mine), api_key=None) as client:
        thread = (await client.threads.create(metadata={"secret": secret}))["thread_id"]
        await client.runs.wait(thread, "who", input={"text": secret})
        [run] = await client.runs.list(thread)
        own = (await client.assistants.create("echo", name=secret))["assistant_id"]
        await client.store.put_item(["seen"], "mine", {"text": secret})
        assert (await client.store.get_item(["seen"], "last"))["value"]["text"] == secret
        cron = (await client.crons.create("echo", schedule="0 0 1 1 *", input={"text": secret}))["cron_id"]
    artifact = await Artifacts(pool, settings.data_dir / "artifacts").save(
        ann, thread, "table", "t.csv", "text/csv", f"a,b\n1,{secret}\n2,x\n".encode()
    )
    feedback = {"thread_id": thread, "run_id": run["run_id"], "score": "like", "comment": secret}
    assert (await http.post("/feedback", json=feedback, headers=bearer(mine))).status_code == 200
    places = [
        ("GET", f"/threads/{thread}"), ("PATCH", f"/threads/{thread}"), ("DELETE", f"/threads/{thread}"),
        ("POST", f"/threads/{thread}/copy"), ("GET", f"/threads/{thread}/state"), ("POST", f"/threads/{thread}/state"),
        ("GET", f"/threads/{thread}/history"), ("POST", f"/threads/{thread}/history"),
        ("GET", f"/threads/{thread}/storage"),
        ("GET", f"/threads/{thread}/runs"), ("GET", f"/threads/{thread}/artifacts"),
        ("GET", f"/threads/{thread}/runs/{run['run_id']}"), ("DELETE", f"/threads/{thread}/runs/{run['run_id']}"),
        ("GET", f"/threads/{thread}/runs/{run['run_id']}/join"),
        ("GET", f"/threads/{thread}/runs/{run['run_id']}/stream"),
        ("POST", f"/threads/{thread}/runs/{run['run_id']}/cancel"), ("GET", f"/runs/{run['run_id']}/stream"),
        ("GET", f"/assistants/{own}"), ("PATCH", f"/assistants/{own}"), ("DELETE", f"/assistants/{own}"),
        ("GET", f"/assistants/{own}/graph"), ("GET", f"/runs/crons/{cron}"), ("PATCH", f"/runs/crons/{cron}"),
        ("DELETE", f"/runs/crons/{cron}"), ("GET", f"/artifacts/{artifact.id}"),
    ]  # fmt: skip
    for method, path in places:
        answer = await http.request(method, path, json={} if method != "GET" else None, headers=bearer(theirs))
        assert answer.status_code == 404, (method, path, answer.status_code, answer.text)
    for path in ("runs", "runs/wait", "runs/stream", "runs/crons"):
        for body in ({"assistant_id": "echo", "if_not_exists": "create"}, {"assistant_id": own}):
            body = {**body, "input": {"text": "x"}, "schedule": "0 0 * * *"}
            answer = await http.post(f"/threads/{thread}/{path}", json=body, headers=bearer(theirs))
            assert answer.status_code == 404, (path, answer.text)
    assert (await http.post("/feedback", json=feedback, headers=bearer(theirs))).status_code == 404
    assert (await http.post("/threads", json={"thread_id": thread, "if_exists": "do_nothing"}, headers=bearer(theirs))).status_code == 409  # noqa: E501  # fmt: skip
    searches: list[tuple[str, str, Any]] = [
        ("POST", "/threads/search", {"limit": 1000}), ("POST", "/assistants/search", {"limit": 1000}),
        ("POST", "/runs/crons/search", {}), ("POST", "/store/items/search", {"limit": 1000}),
        ("POST", "/store/namespaces", {}), ("GET", "/feedback", None), ("GET", "/feedback/export", None),
        ("GET", "/store/items?namespace=seen&key=mine", None), ("POST", "/threads/search", {"ids": [thread]}),
    ]  # fmt: skip
    for method, path, body in searches:
        answer = await http.request(method, path, json=body, headers=bearer(theirs))
        assert answer.status_code == 200, (path, answer.text)
        assert secret not in answer.text, path
    assert (
        await http.post("/runs/cancel", json={"run_ids": [run["run_id"]]}, headers=bearer(theirs))
    ).status_code == 404
    found = await http.post("/assistants/search", json={"graph_id": "echo"}, headers=bearer(theirs))
    system = found.json()[0]["assistant_id"]
    changed = await http.patch(f"/assistants/{system}", json={"name": "x"}, headers=bearer(theirs))
    assert changed.status_code == 403
    await _artifacts_are_given_in_parts(http, artifact.id, secret, mine)


async def _artifacts_are_given_in_parts(
    http: httpx.AsyncClient, artifact: str, secret: str, mine: dict[str, Any]
) -> None:
    path = f"/artifacts/{artifact}"
    whole = await http.get(path, headers=bearer(mine))
    assert whole.text == f"a,b\n1,{secret}\n2,x\n"
    part = await http.get(path, headers={**bearer(mine), "range": "bytes=4-5"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "1,", f"bytes 4-5/{len(whole.text)}")
    page = (await http.get(path, params={"format": "json", "offset": 1, "limit": 1}, headers=bearer(mine))).json()
    assert page == {"columns": ["a", "b"], "rows": [["2", "x"]], "offset": 1, "total": 2}
    beyond = await http.get(path, headers={**bearer(mine), "range": "bytes=4000-"})
    assert beyond.status_code == 416


async def _a_disabled_user_is_out(http: httpx.AsyncClient, pool: Pool, ann: str, tokens: dict[str, Any]) -> None:
    await Users(pool).disable(ann)
    assert (await http.get("/auth/me", headers=bearer(tokens))).status_code == 401
    assert (await http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).status_code == 401
    answer = await http.post("/auth/token", data={"username": ann, "password": PASSWORD})
    assert answer.status_code == 401


async def test_names_and_passwords_are_checked(pool: Pool) -> None:
    users = Users(pool)
    for name, password in (("", PASSWORD), ("local", PASSWORD), ("a\nb", PASSWORD), ("ann", "short")):
        with pytest.raises(InvalidInputError):
            await users.add(name, password)
    name = f"carl-{uuid4().hex[:6]}"
    await users.add(name, PASSWORD)
    try:
        with pytest.raises(ConflictError):
            await users.add(name, PASSWORD)
        async with pool.connection() as held:
            cursor = await held.execute("SELECT password_hash FROM users WHERE name = %s", (name,))
            row = await cursor.fetchone()
        assert row is not None
        assert row["password_hash"].startswith("$argon2id$")
    finally:
        async with pool.connection() as held:
            await held.execute("DELETE FROM users WHERE name = %s", (name,))


def test_no_listening_beyond_loopback_without_users(settings: Settings) -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    with pytest.raises(ConfigurationError, match="no users"):
        serve(settings, host="0.0.0.0", port=0, config=None)


def test_configurations_that_cannot_be_honoured_are_refused(tmp_path: Any) -> None:
    path = tmp_path / "langgraph.json"
    for text, said in (("{", "not JSON"), ("{}", "no graphs"), ('{"graphs": {"a": "b:c"}, "extra": 1}', "extra")):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            load_config(path)
    path.write_text('{"graphs": {"a": {"path": "./b.py:c", "description": "d"}}}')
    found = load_config(path)
    assert found == ServerConfig(tmp_path, {"a": "./b.py:c"}, {"a": "d"})
