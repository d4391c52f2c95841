"""Finer points of the thread API, as LangGraph's own server has them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from core.postgres import Pool

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


async def new_thread(client: Any, **options: Any) -> str:
    return str((await client.threads.create(**options))["thread_id"])


async def parts_of(stream: Any) -> list[Any]:
    return [part async for part in stream]


async def test_parts_of_threads_are_extracted_and_selected(client: Any) -> None:
    mark = str(uuid4())
    thread = await new_thread(client, metadata={"mark": mark})
    for text in ("a", "b"):
        await client.runs.wait(thread, "echo", input={"text": text})
    paths = {"last": "values.log[-1]", "log": "values.log", "mark": "metadata.mark", "none": "values.log[7].text"}
    [found] = await client.threads.search(metadata={"mark": mark}, select=["thread_id", "status"], extract=paths)
    assert found == {
        "thread_id": thread,
        "status": "idle",
        "extracted": {"last": "b", "log": ["a", "b"], "mark": mark, "none": None},
    }
    for wrong in ("status", "values..x", "values[x]", "secrets.x"):
        with pytest.raises(UnprocessableEntityError, match="Extract path"):
            await client.threads.search(extract={"x": wrong})
    for select in (client.threads.search, client.assistants.search, client.crons.search):
        with pytest.raises(UnprocessableEntityError):
            await select(select=["odd"])


async def test_parts_of_states_are_selected(client: Any, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "echo", input={"text": "a"})
    assert await client.threads.get_state(thread, select=["values.text", "next"]) == {
        "values": {"text": "a"},
        "next": [],
    }
    [latest] = await client.threads.get_history(thread, limit=1, select=["values"])
    assert latest == {"values": {"text": "a", "log": ["a"]}}
    answer = await http.get(f"/threads/{thread}/state", params={"select": "odd"})
    assert answer.status_code == 422


async def test_a_checkpoint_is_named_in_many_ways(client: Any) -> None:
    thread = await new_thread(client)
    for text in ("a", "b"):
        await client.runs.wait(thread, "echo", input={"text": text})
    history = await client.threads.get_history(thread, limit=20)
    first = next(state["checkpoint"] for state in history if state["values"]["log"] == ["a"] and not state["next"])
    for before in (first, {"configurable": first}, first["checkpoint_id"]):
        [found] = await client.threads.get_history(thread, limit=1, before=before)
        assert found["next"] == ["echo"]
        assert found["values"] == {"text": "a", "log": []}
    for place in (
        {"checkpoint": first},
        {"checkpoint_id": first["checkpoint_id"]},
        {"config": {"configurable": {"checkpoint_id": first["checkpoint_id"]}}},
    ):
        ended = await client.runs.wait(thread, "echo", input={"text": "c"}, **place)
        assert ended["log"] == ["a", "c"]
    for wrong in ({"checkpoint_id": "latest"}, {"config": {"configurable": {"checkpoint_id": "latest"}}}):
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            await client.runs.wait(thread, "echo", input={"text": "c"}, **wrong)


async def test_a_task_that_is_a_subgraph_leads_to_its_state(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "outer", input={"text": "a"})
    [task] = (await client.threads.get_state(thread))["tasks"]
    assert task["checkpoint"]["checkpoint_ns"].startswith("inner:")
    inner = await client.threads.get_state(thread, checkpoint=task["checkpoint"])
    assert inner["next"] == ["ask"]
    [whole] = (await client.threads.get_state(thread, subgraphs=True))["tasks"]
    assert whole["state"]["next"] == ["ask"]
    [part] = [
        part.data["payload"]
        for part in await parts_of(client.runs.stream(thread, "outer", command={"resume": "yes"}, stream_mode="debug"))
        if part.data.get("type") == "checkpoint" and part.data["payload"]["next"] == ["inner"]
    ]
    assert part["tasks"][0]["checkpoint"]["checkpoint_ns"].startswith("inner:")


async def test_tokens_of_subgraphs_are_for_those_who_ask(client: Any) -> None:
    whole = " ".join(f"t{number}" for number in range(50))
    ended = await parts_of(client.runs.stream(None, "talker", input=HELLO, stream_mode="messages-tuple"))
    assert [part.data[0]["content"] for part in ended if part.event == "messages"] == [whole]
    tokens = await parts_of(
        client.runs.stream(
            None, "talker", input=HELLO, stream_mode=["messages-tuple", "messages"], stream_subgraphs=True
        )
    )
    said = [part.data[0]["content"] for part in tokens if part.event.startswith("messages|inner:")]
    assert "".join(said) == whole
    assert {part.event for part in tokens if "/" in part.event} == {"messages/metadata", "messages/partial"}


async def test_errors_of_tasks_have_a_shape(client: Any) -> None:
    parts = await parts_of(client.runs.stream(None, "boom", input={"text": "a"}, stream_mode="tasks"))
    assert parts[-2].data["error"] == {"error": "ValueError", "message": "boom!"}


async def test_commands_that_do_nothing_and_updates_without_a_node(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "echo", input={"text": "a"})
    nothing = await client.runs.wait(thread, "echo", command={"update": None, "goto": None})
    assert nothing["log"] == ["a"]
    for text in ("b", "c"):
        ended = await client.runs.wait(thread, "echo", command={"update": {"text": text}})
        assert ended == {"text": text, "log": ["a"]}
    ended = await client.runs.wait(thread, "echo", input={"text": "d"}, command={})
    assert ended["log"] == ["a", "d"]
    ended = await client.runs.wait(thread, "echo", input={}, command={"update": {"text": "e"}, "goto": "echo"})
    assert ended["log"] == ["a", "d", "e"]


async def test_a_changed_state_that_leads_on_waits(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "echo", input={"text": "a"})
    await client.threads.update_state(thread, {"text": "b"}, as_node="__start__")
    assert (await client.threads.get(thread))["status"] == "interrupted"
    assert (await client.runs.wait(thread, "echo", input=None))["log"] == ["a", "b"]
    with pytest.raises(BadRequestError):
        await client.threads.update_state(thread, {"text": "b"}, as_node="nowhere")


async def test_the_state_of_a_busy_thread_is_not_changed(client: Any) -> None:
    thread = await new_thread(client)
    run = await client.runs.create(thread, "slow", input={"text": "20"})
    with pytest.raises(ConflictError):
        await client.threads.update_state(thread, {"log": ["x"]}, as_node="slow")
    await client.runs.cancel(thread, run["run_id"], wait=True)
    await client.threads.update_state(thread, {"log": ["x"]}, as_node="slow")
    assert (await client.threads.get(thread))["values"]["log"] == ["x"]


async def test_context_is_what_the_graph_knows(client: Any) -> None:
    for options in (
        {"context": {"colour": "red", "taste": "sweet"}},
        {"config": {"configurable": {"colour": "red", "taste": "sweet"}}},
    ):
        assert (await client.runs.wait(None, "who", input={"text": ""}, **options))["log"][2] == "red"
    own = (await client.assistants.create("who", context={"colour": "blue"}))["assistant_id"]
    changed = await client.assistants.update(own, config={"tags": ["x"]})
    assert changed["context"] == {"colour": "blue"}
    assert (await client.runs.wait(None, own, input={"text": ""}))["log"][2] == "blue"


async def test_an_assistant_is_deleted_with_its_threads(client: Any) -> None:
    own = (await client.assistants.create("echo"))["assistant_id"]
    thread, other = await new_thread(client), await new_thread(client)
    await client.runs.wait(thread, own, input={"text": "a"})
    await client.runs.wait(other, "echo", input={"text": "a"})
    await client.assistants.delete(own, delete_threads=True)
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)
    assert (await client.threads.get(other))["thread_id"] == other


async def test_threads_are_gone_when_their_time_is_over(client: Any, pool: Pool) -> None:
    mark = str(uuid4())
    thread = await new_thread(client, metadata={"mark": mark}, ttl=5)
    found = await client.threads.get(thread)
    assert (found["ttl"]["strategy"], found["ttl"]["ttl_minutes"]) == ("delete", 5)
    async with pool.connection() as held:
        await held.execute("UPDATE threads SET expires_at = now() - interval '1 s' WHERE thread_id = %s", (thread,))
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)
    assert await client.threads.count(metadata={"mark": mark}) == 0


async def test_items_are_found_by_their_words(client: Any) -> None:
    space = ["found", uuid4().hex]
    texts = {"one": "每只股票的成交量", "two": "the volume of each stock", "three": "weather in Berlin"}
    for key, text in texts.items():
        await client.store.put_item(space, key, {"text": text}, index=["text"])
    for query, first in (("成交量", "one"), ("stock volume", "two"), ("Berlin?", "three")):
        found = (await client.store.search_items(space, query=query))["items"]
        assert found[0]["key"] == first
        assert found[0]["score"] == pytest.approx(1.0)
        assert len(found) == 3
    [second] = (await client.store.search_items(space, query="stock", limit=1, offset=1))["items"]
    assert second["key"] != "two"
    for number in (9, 10):
        await client.store.put_item(space, str(number), {"n": number})
    [found] = (await client.store.search_items(space, filter={"n": {"$gt": 9}}))["items"]
    assert found["key"] == "10"


async def test_little_things(client: Any, http: httpx.AsyncClient) -> None:
    made = str(uuid4())
    ended = await client.runs.wait(
        made, "echo", input={"text": "a"}, if_not_exists="create", metadata={"mark": made, "environment_id": "x"},
        interrupt_after="*",
    )  # fmt: skip
    assert ended["log"] == ["a"]
    [thread] = await client.threads.search(metadata={"mark": made})
    assert (thread["thread_id"], thread["status"], thread["config"]["configurable"]) == (made, "idle", {})
    assert "environment_id" not in thread["metadata"]
    assert await client.threads.update(made, metadata={"seen": True}, return_minimal=True) is None
    assert (await client.threads.get(made))["metadata"]["seen"]
    with pytest.raises(UnprocessableEntityError):
        await client.threads.update_state(made, "text", as_node="echo")
    for asked in (client.assistants.search, client.assistants.count):
        with pytest.raises(NotFoundError, match="'odd' not found"):
            await asked(graph_id="odd")
    with pytest.raises(UnprocessableEntityError):
        await client.assistants.get_graph("echo", xray=0)
    assert (await http.post("/a2a/echo", json={})).json()["detail"].startswith("This server does not speak A2A.")


async def test_where_a_run_is(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    body = {"assistant_id": "echo", "input": {"text": "a"}}
    place = rf"/threads/{thread}/runs/"
    for path in ("runs", "runs/stream", "runs/wait"):
        answer = await http.post(f"/threads/{thread}/{path}", json=body)
        assert answer.headers["content-location"].startswith(place)
    alone = await http.post("/runs/stream", json=body)
    assert alone.headers["content-location"].startswith("/runs/")
    again = await http.get(alone.headers["location"], headers={"last-event-id": "1"})
    assert again.text == alone.text.partition("id: 1\r\n\r\n")[2]
    for modes, shown in ((["updates", "custom"], False), ("values,updates", True), ('["values"]', True)):
        part = await http.get(alone.headers["location"], params={"stream_mode": modes})
        assert ("event: values" in part.text) is shown
    answer = await http.get(f"/threads/{thread}/stream", params={"stream_mode": '["odd"]'})
    assert answer.status_code == 422


async def test_assistants_are_tools_of_the_model_context_protocol(http: httpx.AsyncClient) -> None:
    async def said(method: str, **parameters: Any) -> Any:
        answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters})
        assert (answer.status_code, answer.json()["id"]) == (200, 0)
        return answer.json()

    begun = (await said("initialize", protocolVersion="2025-03-26"))["result"]
    assert (begun["protocolVersion"], begun["capabilities"]) == ("2025-03-26", {"tools": {"listChanged": False}})
    note = await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (note.status_code, note.content) == (202, b"")
    tools: dict[str, Any] = {}
    cursor = None
    while not tools or cursor:
        page = (await said("tools/list", cursor=cursor))["result"]
        tools |= {tool["name"]: tool["inputSchema"] for tool in page["tools"]}
        cursor = page.get("nextCursor")
    assert tools["echo"]["properties"]["text"]["type"] == "string"
    assert tools["tokens"]["properties"]["messages"]["type"] == "string"
    assert "$defs" not in tools["tokens"]
    told = (await said("tools/call", name="echo", arguments={"text": "a"}))["result"]
    assert (json.loads(told["content"][0]["text"])["log"], told["isError"]) == (["a"], False)
    failed = (await said("tools/call", name="boom", arguments={"text": "a"}))["result"]
    assert (failed["content"][0]["text"], failed["isError"]) == ("ValueError: boom!", True)
    assert (await said("tools/call", name="nothing"))["error"]["code"] == -32602
    assert (await said("resources/list"))["error"]["code"] == -32601
    assert (await http.post("/mcp", json={"id": 1, "method": "ping"})).status_code == 422
