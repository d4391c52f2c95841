"""The thread-centred streaming protocol, as the SDK's `threads.stream` speaks it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest

pytestmark = pytest.mark.timeout(40)

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
TOKENS = " ".join(f"t{number}" for number in range(50))


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_run_and_its_messages(client: Any, transport: str) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    async with client.threads.stream(thread_id, assistant_id="tokens", transport=transport) as thread:
        await thread.run.start(input=HELLO)
        texts: list[asyncio.Task[str]] = []

        async def read() -> None:
            async for message in thread.messages:
                text = asyncio.create_task(whole(message))
                texts.append(text)

        reading = asyncio.create_task(read())
        ended = await asyncio.wait_for(thread.output, 20)
        for _ in range(100):
            if texts and texts[0].done():
                break
            await asyncio.sleep(0.05)
        reading.cancel()
    assert [text.result() for text in texts] == [TOKENS]
    assert ended["messages"][-1]["content"] == TOKENS


async def test_an_interrupt_is_answered(client: Any) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    async with client.threads.stream(thread_id, assistant_id="asker") as thread:
        await thread.run.start(input={"text": "a"})
        for _ in range(200):
            if thread.interrupted:
                break
            await asyncio.sleep(0.05)
        [asked] = thread.interrupts
        assert asked["value"] == {"question": "well?"}
        await thread.run.respond("yes")
        ended = await asyncio.wait_for(thread.output, 20)
    assert ended["log"] == ["answer yes"]


async def test_numbers_go_on_where_a_client_left(client: Any, http: httpx.AsyncClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    for text in ("a", "b"):
        body = {"id": 1, "method": "run.start", "params": {"assistant_id": "echo", "input": {"text": text}}}
        answer = (await http.post(f"/threads/{thread_id}/commands", json=body)).json()
        assert answer["type"] == "success"
        await client.runs.join(thread_id, answer["result"]["run_id"])
    whole = await _events(http, thread_id, ends=2)
    assert [event["params"]["data"]["event"] for event in whole if event["method"] == "lifecycle"] == [
        "running", "completed", "running", "completed",
    ]  # fmt: skip
    numbers = [event["seq"] for event in whole]
    assert numbers == sorted(set(numbers))
    rest = await _events(http, thread_id, ends=1, since=numbers[3])
    assert [event["event_id"] for event in rest] == [event["event_id"] for event in whole[4 : 4 + len(rest)]]


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("run.stop", {}, "unknown_command"),
        ("run.start", {"assistant_id": "nobody"}, "invalid_argument"),
        ("input.respond", {"interrupt_id": "none", "response": 1}, "no_such_interrupt"),
    ],
)
async def test_commands_that_cannot_be(
    client: Any, http: httpx.AsyncClient, method: str, params: dict[str, Any], error: str
) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    answer = await http.post(f"/threads/{thread_id}/commands", json={"id": 7, "method": method, "params": params})
    assert (answer.json()["type"], answer.json()["id"], answer.json()["error"]) == ("error", 7, error)


async def whole(message: Any) -> str:
    return str(await message.text)


async def _events(http: httpx.AsyncClient, thread_id: str, *, ends: int, since: int = 0) -> list[Any]:
    found: list[Any] = []
    body = {"channels": ["values", "lifecycle"], "since": since}
    async with http.stream("POST", f"/threads/{thread_id}/stream/events", json=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(orjson.loads(line[6:]))
                done = [event for event in found if event["params"]["data"].get("event") == "completed"]
                if len(done) == ends:
                    break
    return found


async def test_a_thread_is_followed_through_its_runs(client: Any) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "echo", input={"text": "before"})
    seen: list[Any] = []

    async def follow(last: str | None = None) -> None:
        async for part in await client.threads.join_stream(thread_id, last_event_id=last):
            seen.append(part)
            if (
                sum(part.data.get("status") == "run_done" for part in seen if part.event == "metadata") == 2
                and len(seen) >= 8
            ):
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    for text in ("one", "two"):
        await client.runs.wait(thread_id, "echo", input={"text": text})
    await asyncio.wait_for(following, 15)
    assert [part.data["log"] for part in seen if part.event == "values"][-1] == ["before", "one", "two"]
    whole = list(seen)
    seen.clear()
    seen.extend(part for part in whole[:3])
    await asyncio.wait_for(follow(whole[2].id), 15)
    assert [part.id for part in seen] == [part.id for part in whole]


async def test_changes_of_the_state_are_told(client: Any, other: Any) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "echo", input={"text": "a"})
    seen: list[Any] = []

    async def follow() -> None:
        async for part in await client.threads.join_stream(thread_id, stream_mode=["state_update"]):
            seen.append(part)
            if len(seen) == 2:
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    made = [await client.threads.update_state(thread_id, {"text": "b"}, as_node="echo")]
    await client.runs.wait(thread_id, "echo", input={"text": "c"})
    made.append(await other.threads.update_state(thread_id, {"text": "d"}, as_node="echo"))
    await asyncio.wait_for(following, 10)
    assert [part.event for part in seen] == ["state_update"] * 2
    assert [part.data["state"]["values"]["text"] for part in seen] == ["b", "d"]
    assert [part.data["state"]["checkpoint_id"] for part in seen] == [one["checkpoint_id"] for one in made]


async def test_subgraphs_tell_when_they_begin_and_end(client: Any, http: httpx.AsyncClient) -> None:
    thread_id = (await client.threads.create())["thread_id"]
    for graph, ends in (("parent", ["completed", "completed"]), ("outer", ["interrupted", "interrupted"])):
        body = {"id": 1, "method": "run.start", "params": {"assistant_id": graph, "input": {"text": "a"}}}
        run = (await http.post(f"/threads/{thread_id}/commands", json=body)).json()["result"]["run_id"]
        await client.runs.join(thread_id, run)
        events = [event for event in await _lives(http, thread_id) if event["event_id"].startswith(run)]
        data = [event["params"]["data"] for event in events]
        assert [item["event"] for item in data] == ["running", "started", *ends]
        [inner] = data[1]["namespace"]
        assert inner == f"{data[1]['graph_name']}:{data[1]['trigger_call_id']}"
        assert [event["params"]["namespace"] for event in events] == [[], [inner], [inner], []]


async def _lives(http: httpx.AsyncClient, thread_id: str) -> list[Any]:
    """The lifecycle of what ran on a thread so far."""
    found: list[Any] = []
    async with http.stream("POST", f"/threads/{thread_id}/stream/events", json={"channels": ["lifecycle"]}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(orjson.loads(line[6:]))
            elif line.startswith(":"):
                break
    return found
