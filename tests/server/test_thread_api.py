"""The thread API as LangGraph's own clients speak it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


async def parts_of(stream: Any) -> list[Any]:
    return [part async for part in stream]


async def new_thread(client: Any) -> str:
    return str((await client.threads.create())["thread_id"])


async def test_assistants_of_graphs_and_of_ones_own(client: Any) -> None:
    [system] = await client.assistants.search(graph_id="echo", metadata={"created_by": "system"})
    drawing = await client.assistants.get_graph(system["assistant_id"])
    assert [node["id"] for node in drawing["nodes"]] == ["__start__", "echo", "__end__"]
    schemas = await client.assistants.get_schemas(system["assistant_id"])
    assert set(schemas["state_schema"]["properties"]) == {"text", "log"}
    [outer] = await client.assistants.search(graph_id="parent")
    assert list(await client.assistants.get_subgraphs(outer["assistant_id"], recurse=True)) == ["child"]
    own = await client.assistants.create("who", context={"colour": "blue"}, name="Blue")
    changed = await client.assistants.update(own["assistant_id"], context={"colour": "grey"}, name="Grey")
    assert (changed["version"], changed["name"]) == (2, "Grey")
    versions = await client.assistants.get_versions(own["assistant_id"])
    assert [item["version"] for item in versions] == [2, 1]
    await client.assistants.set_latest(own["assistant_id"], 1)
    ended = await client.runs.wait(None, own["assistant_id"], input={"text": ""})
    assert ended["log"][2] == "blue"
    await client.assistants.delete(own["assistant_id"])
    with pytest.raises(NotFoundError):
        await client.assistants.get(own["assistant_id"])
    with pytest.raises(NotFoundError):
        await client.assistants.create("no such graph")


async def test_threads_are_made_found_changed_and_deleted(client: Any) -> None:
    mark = str(uuid4())
    thread = await client.threads.create(metadata={"mark": mark})
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=thread["thread_id"])
    same = await client.threads.create(thread_id=thread["thread_id"], if_exists="do_nothing")
    assert same["metadata"] == {"mark": mark}
    await client.threads.update(thread["thread_id"], metadata={"more": 1})
    await client.runs.wait(thread["thread_id"], "echo", input={"text": mark})
    [found] = await client.threads.search(metadata={"mark": mark, "more": 1}, values={"text": mark}, status="idle")
    assert found["thread_id"] == thread["thread_id"]
    assert found["values"] == {"text": mark, "log": [mark]}
    assert found["metadata"]["graph_id"] == "echo"
    assert await client.threads.count(metadata={"mark": mark}) == 1
    await client.threads.delete(thread["thread_id"])
    for missing in (client.threads.get, client.threads.get_state, client.threads.delete):
        with pytest.raises(NotFoundError):
            await missing(thread["thread_id"])


async def test_state_history_update_and_copy(client: Any) -> None:
    thread = await new_thread(client)
    assert (await client.threads.get_state(thread))["values"] == {}
    await client.runs.wait(thread, "echo", input={"text": "a"})
    await client.runs.wait(thread, "echo", input={"text": "b"})
    history = await client.threads.get_history(thread)
    assert history[0]["values"]["log"] == ["a", "b"]
    first = next(state for state in history if state["values"]["log"] == ["a"] and state["next"] == [])
    then = await client.threads.get_state(thread, checkpoint_id=first["checkpoint"]["checkpoint_id"])
    assert then["values"] == {"text": "a", "log": ["a"]}
    forked = await client.threads.update_state(thread, {"log": ["x"]}, checkpoint=first["checkpoint"], as_node="echo")
    assert (await client.threads.get_state(thread))["values"]["log"] == ["a", "x"]
    assert forked["checkpoint"]["checkpoint_id"]
    copied = await client.threads.copy(thread)
    await client.runs.wait(copied["thread_id"], "echo", input={"text": "c"})
    assert (await client.threads.get_state(copied["thread_id"]))["values"]["log"] == ["a", "x", "c"]
    assert (await client.threads.get(thread))["values"]["log"] == ["a", "x"]
    again = await client.runs.wait(
        thread, "echo", input={"text": "d"}, checkpoint_id=first["checkpoint"]["checkpoint_id"]
    )
    assert again["log"] == ["a", "d"]


async def test_threads_are_made_with_a_past(client: Any) -> None:
    steps = [
        {"updates": [{"values": {"text": "a", "log": ["a"]}, "as_node": "echo"}]},
        {"updates": [{"values": {"log": ["b"]}, "as_node": "echo"}]},
    ]
    thread = await client.threads.create(supersteps=steps, graph_id="echo")
    assert thread["values"] == {"text": "a", "log": ["a", "b"]}


@pytest.mark.parametrize(
    ("mode", "event"),
    [
        ("values", "values"),
        ("updates", "updates"),
        ("custom", "custom"),
        ("debug", "debug"),
        ("tasks", "tasks"),
        ("checkpoints", "checkpoints"),
        ("events", "events"),
    ],
)
async def test_stream_modes(client: Any, mode: str, event: str) -> None:
    parts = await parts_of(client.runs.stream(await new_thread(client), "echo", input={"text": "a"}, stream_mode=mode))
    assert parts[0].event == "metadata"
    assert {part.event for part in parts[1:]} == {event}
    assert all(part.id for part in parts)
    assert "langgraph_auth_user" not in str(parts)


async def test_tokens_come_one_by_one_or_put_together(client: Any) -> None:
    thread = await new_thread(client)
    parts = await parts_of(client.runs.stream(thread, "tokens", input=HELLO, stream_mode="messages-tuple"))
    chunks = [part.data[0]["content"] for part in parts if part.event == "messages"]
    whole = " ".join(f"t{number}" for number in range(50))
    assert len(chunks) >= 99
    assert "".join(chunks) == whole
    parts = await parts_of(client.runs.stream(thread, "tokens", input=HELLO, stream_mode="messages"))
    partial = [part.data[0]["content"] for part in parts if part.event == "messages/partial"]
    assert partial[-1] == whole
    assert [part.event for part in parts][:2] == ["metadata", "messages/metadata"]


async def test_subgraphs_have_their_namespace_in_the_event(client: Any) -> None:
    thread = await new_thread(client)
    arguments = {"input": {"text": "a"}, "stream_mode": ["values", "updates"]}
    with_them = await parts_of(client.runs.stream(thread, "parent", **arguments, stream_subgraphs=True))
    without = await parts_of(client.runs.stream(thread, "parent", **arguments))
    assert any(part.event.startswith("updates|child:") for part in with_them)
    assert {part.event for part in without} == {"metadata", "values", "updates"}


async def test_an_error_ends_the_run_and_marks_the_thread(client: Any) -> None:
    thread = await new_thread(client)
    parts = await parts_of(client.runs.stream(thread, "boom", input={"text": "a"}))
    assert (parts[-1].event, parts[-1].data) == ("error", {"error": "ValueError", "message": "boom!"})
    assert (await client.threads.get(thread))["status"] == "error"
    [run] = await client.runs.list(thread)
    assert run["status"] == "error"
    with pytest.raises(Exception, match="ValueError: boom!"):
        await client.runs.wait(thread, "boom", input={"text": "a"})
    ended = await client.runs.wait(thread, "echo", input={"text": "a"})
    assert ended["log"] == ["a"]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_interrupts_wait_and_are_answered(client: Any) -> None:
    thread = await new_thread(client)
    stopped = await client.runs.wait(thread, "asker", input={"text": "a"})
    [asked] = stopped["__interrupt__"]
    assert asked["value"] == {"question": "well?"}
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    assert [item["id"] for items in found["interrupts"].values() for item in items] == [asked["id"]]
    ended = await client.runs.wait(thread, "asker", command={"resume": "yes"})
    assert ended["log"] == ["answer yes"]
    assert (await client.threads.get(thread))["interrupts"] == {}


async def test_several_interrupts_are_answered_by_id(client: Any) -> None:
    thread = await new_thread(client)
    stopped = await client.runs.wait(thread, "fan", input={"text": "a"})
    ids = [item["id"] for item in stopped["__interrupt__"]]
    assert len(ids) == 2
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        await client.runs.wait(thread, "fan", command={"resume": "to whom?"})
    ended = await client.runs.wait(thread, "fan", command={"resume": {ids[0]: "x", ids[1]: "y"}})
    assert sorted(ended["log"]) == ["answer x", "answer y"]


async def test_an_answer_that_does_not_fit_is_refused_and_given_again(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "colour", input={"text": "a"})
    for wrong in ({"colour": "blue"}, "red", {}):
        with pytest.raises(UnprocessableEntityError, match="does not fit"):
            await parts_of(client.runs.stream(thread, "colour", command={"resume": wrong}))
        assert (await client.threads.get(thread))["status"] == "interrupted"
    ended = await client.runs.wait(thread, "colour", command={"resume": {"colour": "green"}})
    assert ended["log"] == ["green"]


async def test_commands_update_and_go_to(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.wait(thread, "echo", input={"text": "a"})
    ended = await client.runs.wait(thread, "echo", command={"update": {"text": "b"}, "goto": "echo"})
    assert ended == {"text": "b", "log": ["a", "b"]}


async def test_breakpoints_stop_and_go_on(client: Any) -> None:
    thread = await new_thread(client)
    stopped = await client.runs.wait(thread, "echo", input={"text": "a"}, interrupt_before=["echo"])
    assert stopped == {"text": "a", "log": []}
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    assert (await client.runs.wait(thread, "echo", input=None))["log"] == ["a"]


async def test_a_stream_is_joined_late_and_from_where_it_was_left(client: Any) -> None:
    thread = await new_thread(client)
    whole = await parts_of(client.runs.stream(thread, "tokens", input=HELLO, stream_mode=["messages-tuple", "values"]))
    run = whole[0].data["run_id"]
    middle = whole[40]
    rest = await parts_of(client.runs.join_stream(thread, run, last_event_id=middle.id))
    assert [part.id for part in rest] == [part.id for part in whole[41:]]
    assert [part.data for part in rest] == [part.data for part in whole[41:]]
    only = await parts_of(client.runs.join_stream(thread, run, stream_mode="values", last_event_id="-1"))
    assert {part.event for part in only} == {"metadata", "values"}
    assert (await client.runs.join(thread, run)) == whole[-1].data


async def test_a_run_that_waits_in_the_queue_can_be_joined(client: Any) -> None:
    thread = await new_thread(client)
    await client.runs.create(thread, "slow", input={"text": "0.5"})
    second = await client.runs.create(thread, "echo", input={"text": "after"})
    assert (await client.runs.get(thread, second["run_id"]))["status"] == "pending"
    parts = await parts_of(client.runs.join_stream(thread, second["run_id"]))
    assert parts[-1].data["log"] == ["0.5", "after"]


async def test_stateless_runs_leave_no_thread(client: Any) -> None:
    before = await client.threads.count()
    assert (await client.runs.wait(None, "echo", input={"text": "a"}))["log"] == ["a"]
    parts = await parts_of(client.runs.stream(None, "echo", input={"text": "b"}))
    assert parts[-1].data["log"] == ["b"]
    made = await client.runs.create_batch([{"assistant_id": "echo", "input": {"text": "c"}}] * 2)
    assert len(made) == 2
    assert await client.threads.count() == before


async def test_a_run_may_make_its_thread(client: Any) -> None:
    thread = str(uuid4())
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await client.runs.wait(thread, "echo", input={"text": "a"})
    assert (await client.runs.wait(thread, "echo", input={"text": "a"}, if_not_exists="create"))["log"] == ["a"]


async def test_a_run_may_wait_before_it_begins(client: Any) -> None:
    thread = await new_thread(client)
    run = await client.runs.create(thread, "echo", input={"text": "later"}, after_seconds=2)
    assert (await client.runs.wait(thread, "echo", input={"text": "now"}))["log"] == ["now"]
    assert (await client.runs.join(thread, run["run_id"]))["log"] == ["now", "later"]


async def test_factories_and_managed_graphs(client: Any) -> None:
    config = {"configurable": {"flavour": "mint"}}
    assert (await client.runs.wait(None, "by_config", input={"text": ""}, config=config))["log"] == ["mint"]
    assert (await client.runs.wait(None, "managed", input={"text": "m"}))["log"] == ["m"]


async def test_the_store(client: Any) -> None:
    space = ["notes", uuid4().hex]
    await client.store.put_item(space, "one", {"n": 1})
    await client.store.put_item(space, "two", {"n": 2})
    assert (await client.store.get_item(space, "one"))["value"] == {"n": 1}
    found = await client.store.search_items(space, filter={"n": 2})
    assert [item["key"] for item in found["items"]] == ["two"]
    listed = await client.store.list_namespaces(prefix=["notes"])
    assert space in listed["namespaces"]
    await client.store.delete_item(space, "one")
    assert await client.store.get_item(space, "one") is None


async def test_remote_graph(client: Any) -> None:
    remote = RemoteGraph("echo", client=client)
    thread = await new_thread(client)
    config: Any = {"configurable": {"thread_id": thread}}
    assert (await remote.ainvoke({"text": "a"}, config))["log"] == ["a"]
    assert (await remote.aget_state(config)).values["log"] == ["a"]
    assert [part async for part in remote.astream({"text": "b"}, config, stream_mode="updates")] == [
        {"echo": {"log": ["b"]}}
    ]
    assert len((await remote.aget_graph()).nodes) == 3


async def test_event_source_of_a_browser(http: httpx.AsyncClient) -> None:
    """A browser sends no body, and comes back with the last id it saw."""
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    run = (await http.post(f"/threads/{thread}/runs", json={"assistant_id": "slow", "input": {"text": "0.3"}})).json()
    path = f"/threads/{thread}/runs/{run['run_id']}/stream"
    async with http.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["location"] == path
        text = "".join([chunk async for chunk in answer.aiter_text()])
    assert text.count("event: values") == 2
    again = await http.get(path, headers={"last-event-id": "2"})
    assert again.text.count("event: values") == 1


async def test_studio_sends_json_as_text(http: httpx.AsyncClient) -> None:
    answer = await http.post("/threads", content='{"metadata": {"a": 1}}', headers={"content-type": "text/plain"})
    assert answer.json()["metadata"] == {"a": 1}


async def test_client_that_leaves_may_end_the_run(client: Any, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    body = {"assistant_id": "slow", "input": {"text": "20"}, "on_disconnect": "cancel"}
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
        async for _ in answer.aiter_bytes():
            break
    for _ in range(100):
        [run] = await client.runs.list(thread)
        if run["status"] == "interrupted":
            break
        await asyncio.sleep(0.05)
    assert run["status"] == "interrupted"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/threads/abc", None, 422),
        ("POST", "/threads", {"thread_id": "abc"}, 422),
        ("POST", "/threads/search", {"limit": 0}, 422),
        ("POST", "/threads/search", {"status": "odd"}, 422),
        ("POST", "/threads", {"metadata": {"a": "\x00"}}, 422),
        ("POST", "/runs/wait", {"assistant_id": "nobody"}, 422),
        ("POST", "/runs/wait", {"assistant_id": str(uuid4())}, 404),
        ("POST", "/runs/wait", {"assistant_id": "echo", "stream_mode": "odd"}, 422),
        ("POST", "/runs/wait", {"assistant_id": "echo", "multitask_strategy": "odd"}, 422),
        ("POST", "/runs/wait", {"assistant_id": "who", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}, 400),
        ("POST", "/runs/crons", {"assistant_id": "echo", "schedule": "now and then"}, 422),
        ("PUT", "/store/items", {"namespace": ["a.b"], "key": "k", "value": {}}, 422),
        ("POST", "/runs/wait", {"assistant_id": "echo", "input": {}, "webhook": "http://169.254.1.1/"}, 422),
        ("GET", "/nowhere", None, 404),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(http: httpx.AsyncClient, method: str, path: str, body: Any, status: int) -> None:
    answer = await http.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


async def test_every_answer_has_an_id_and_foreign_pages_are_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/info", headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    foreign = await http.post("/threads", content="{}", headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    rebound = await http.get("/info", headers={"host": "evil.example"})
    assert rebound.status_code == 421


async def test_metrics_and_the_api_document(http: httpx.AsyncClient) -> None:
    await http.post("/runs/wait", json={"assistant_id": "echo", "input": {"text": "a"}})
    text = (await http.get("/metrics")).text
    assert 'ddb_agent_runs_ended_total{graph="echo",status="success"}' in text
    assert "ddb_agent_queue_age_seconds" in text
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"/threads/{thread_id}/runs/stream", "/assistants/search", "/store/items"} <= set(paths)
