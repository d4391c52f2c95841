"""What users let the agent remember, over HTTP: everybody's own, and what an administrator shares."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk import get_client
from openai_server import Call, ScriptedOpenAI, Text, ToolCalls
from served import Process, Starter

from core.postgres import Pool
from server.auth import Users

PASSWORD = "correct horse battery"


@pytest.fixture
async def agent(
    start: Starter, scripted_openai: ScriptedOpenAI, pool: Pool
) -> AsyncIterator[tuple[Process, list[str]]]:
    """The agent's server with two users and an administrator, who are gone afterwards."""
    names = [f"{name}-{uuid4().hex[:6]}" for name in ("ann", "bob", "eve")]
    for name in names:
        await Users(pool).add(name, PASSWORD, role="admin" if name.startswith("eve") else "user")
    model = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 5}
    models = json.dumps({"models": {"scripted": model}})
    try:
        yield await asyncio.to_thread(lambda: start.ready(start("serve", "--agent", DDB_AGENT_MODELS=models))), names
    finally:
        async with pool.connection() as held:
            await held.execute("DELETE FROM users WHERE name = ANY(%s)", (names,))
            await held.execute("DELETE FROM store WHERE prefix LIKE '\\%memory%'")


async def bearer(http: httpx.AsyncClient, name: str) -> dict[str, str]:
    answer = await http.post("/auth/token", data={"username": name, "password": PASSWORD})
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def test_memory(agent: tuple[Process, list[str]], scripted_openai: ScriptedOpenAI) -> None:
    process, names = agent
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as http:
        ann, bob, eve = [await bearer(http, name) for name in names]
        assert (await http.get("/memory/examples")).status_code == 401
        await _terms(http, ann, bob)
        await _examples(http, ann, bob, eve)
        await _a_liked_answer(http, process, scripted_openai, ann, bob)
        await _nothing_through_the_store(http, ann, bob)


async def _terms(http: httpx.AsyncClient, ann: dict[str, str], bob: dict[str, str]) -> None:
    made = (await http.post("/memory/terms", json={"term": "sales", "meaning": "net amount"}, headers=ann)).json()
    assert made["term"] == "sales"
    place = f"/memory/terms/{made['id']}"
    assert (await http.patch(place, json={"meaning": "gross"}, headers=bob)).status_code == 404
    assert (await http.patch(place, json={"meaning": "gross"}, headers=ann)).json()["meaning"] == "gross"
    assert (await http.get("/memory/terms", headers=bob)).json() == []
    export = await http.get("/memory/terms/export", headers=ann)
    assert [json.loads(line)["meaning"] for line in export.text.splitlines()] == ["gross"]
    assert (await http.post("/memory/terms", json={"term": "t" * 61, "meaning": "m"}, headers=ann)).status_code == 422
    assert (await http.delete(place, headers=bob)).status_code == 404
    assert (await http.delete(place, headers=ann)).status_code == 204
    assert (await http.get("/memory/terms", headers=ann)).json() == []


async def _examples(http: httpx.AsyncClient, ann: dict[str, str], bob: dict[str, str], eve: dict[str, str]) -> None:
    body = {"question": "vwap of each symbol", "script": "select wavg(price, qty) from trades group by sym"}
    made = (await http.post("/memory/examples", json=body, headers=ann)).json()
    assert "trades" in made["tables"]
    assert (await http.post("/memory/examples", json=body, headers=ann)).json()["id"] == made["id"]
    place = f"/memory/examples/{made['id']}"
    for call in (http.get(place, headers=bob), http.patch(place, json={"script": "x"}, headers=bob),
                 http.delete(place, headers=bob), http.patch(place, json={"shared": True}, headers=eve)):  # fmt: skip
        assert (await call).status_code == 404
    assert (await http.patch(place, json={"shared": True}, headers=ann)).status_code == 403
    assert (await http.post("/memory/examples", json={**body, "shared": True}, headers=bob)).status_code == 403
    shared = (await http.post("/memory/examples", json={**body, "shared": True}, headers=eve)).json()
    listed = (await http.get("/memory/examples", headers=bob)).json()
    assert [each["id"] for each in listed] == [shared["id"]]
    place = f"/memory/examples/{shared['id']}"
    assert (await http.patch(place, json={"script": "x"}, headers=bob)).status_code == 404
    assert (await http.patch(place, json={"script": "select 2"}, headers=eve)).json()["script"] == "select 2"
    export = await http.get("/memory/examples/export", headers=ann)
    assert {json.loads(line)["id"] for line in export.text.splitlines()} == {made["id"], shared["id"]}
    assert (await http.delete(place, headers=eve)).status_code == 204
    assert (await http.delete(f"/memory/examples/{made['id']}", headers=ann)).status_code == 204


async def _a_liked_answer(
    http: httpx.AsyncClient, process: Process, server: ScriptedOpenAI, ann: dict[str, str], bob: dict[str, str]
) -> None:
    done = ToolCalls(Call("attempt_completion", {"answer": "It is 2."}))
    server.add(ToolCalls(Call("run_dolphindb_script", {"script": "1 + 1"})), done, Text("hi"), Text("with an example"))
    async with get_client(url=process.url, api_key=None, headers=ann) as client:
        thread = (await client.threads.create())["thread_id"]
        first = await _asked(client, thread, "add one and one on the last trading day")
        events = [data for data in first["events"] if data["event"] == "understood"]
        assert [change["kind"] for change in events[0]["changes"]] == ["time"]
        second = await _asked(client, thread, "hello")
    liked = {"thread_id": thread, "run_id": first["run_id"], "score": "like", "remember": True}
    for wrong, status in (
        ({**liked, "score": "dislike"}, 422),
        ({**liked, "run_id": second["run_id"]}, 422),
        ({**liked, "run_id": str(uuid4())}, 404),
        ({**liked, "run_id": None, "message_id": "none"}, 404),
    ):
        assert (await http.post("/feedback", json=wrong, headers=ann)).status_code == status, wrong
    assert (await http.post("/feedback", json=liked, headers=bob)).status_code == 404
    assert (await http.get("/memory/examples", headers=ann)).json() == []
    assert (await http.get("/feedback", headers=ann)).json() == []
    plain = await http.post("/feedback", json={**liked, "remember": False}, headers=ann)
    assert "example_id" not in plain.json()
    assert (await http.get("/memory/examples", headers=ann)).json() == []
    ids = {(await http.post("/feedback", json=liked, headers=ann)).json()["example_id"] for _ in range(2)}
    by_message = {**liked, "run_id": None, "message_id": first["message_id"]}
    ids.add((await http.post("/feedback", json=by_message, headers=ann)).json()["example_id"])
    [kept] = (await http.get("/memory/examples", headers=ann)).json()
    assert ids == {kept["id"]}
    assert kept["question"] == events[0]["text"]
    assert kept["script"] == "1 + 1"
    async with get_client(url=process.url, api_key=None, headers=ann) as client:
        other = (await client.threads.create())["thread_id"]
        third = await _asked(client, other, "add one and one today", context={"rewrite": False})
    [understood] = [data for data in third["events"] if data["event"] == "understood"]
    assert understood["changes"] == []
    assert [example["id"] for example in understood["examples"]] == [kept["id"]]
    assert "1 + 1" in server.requests[-1].messages[0]["content"]


async def _asked(client: Any, thread: str, text: str, **more: Any) -> dict[str, Any]:
    question = {"messages": [{"role": "user", "content": text}]}
    run_id, events, messages = "", [], []
    async for part in client.runs.stream(thread, "agent", input=question, stream_mode=["custom", "values"], **more):
        assert part.event != "error", part
        if part.event == "metadata":
            run_id = part.data["run_id"]
        elif part.event == "custom":
            events.append(part.data)
        elif part.event == "values":
            messages = part.data["messages"]
    return {"run_id": run_id, "events": events, "message_id": messages[-1]["id"]}


async def _nothing_through_the_store(http: httpx.AsyncClient, ann: dict[str, str], bob: dict[str, str]) -> None:
    for headers in (ann, bob):
        for prefix in ([], ["%memory"], ["examples"], ["%memory", "examples"]):
            found = await http.post("/store/items/search", json={"namespace_prefix": prefix}, headers=headers)
            assert found.json() == {"items": []}
    planted = {"namespace": ["%memory", "examples", "shared"], "key": "k", "value": {"question": "q"}}
    assert (await http.put("/store/items", json=planted, headers=bob)).status_code == 204
    assert len((await http.get("/memory/examples", headers=ann)).json()) == 1
    assert (await http.get("/memory/examples", headers=bob)).json() == []
