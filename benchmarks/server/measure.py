"""What one client, twenty and two hundred see of a server, through LangGraph's own SDK."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

from langgraph_sdk import get_client

from benchmarks.server.graphs import TOKENS
from benchmarks.server.servers import Served

CLIENTS = 20
CLIENTS_SECONDS = 6.0
STREAMS = 200
STREAM_SECONDS = 120.0
REPEATS = 25
REPEAT_SECONDS = 8.0
REST_SECONDS = 5.0
REJOINED_PAUSE = 5
QUESTION = "list the tables"


def said(pause: float) -> dict[str, Any]:
    """The input of the graph `tokens`: `pause` is in milliseconds."""
    return {"messages": [{"role": "user", "content": str(pause)}]}


async def measured(served: Served) -> dict[str, float | str]:
    """Every figure by its name; a text where there is none, which says why."""
    found: dict[str, float | str] = {"rss_start": served.resident_bytes()}
    async with get_client(url=served.url, api_key=None) as client:
        await _warm(client)
        for name, measure in (
            ("wait", _create_and_wait),
            ("first", _first_event),
            ("stream", _whole_stream),
            ("token", _first_token),
            ("agent", _agent),
            ("rejoin", _rejoin),
        ):
            found[name] = await _of(measure, client)
        found["rate"] = await _of(_runs_per_second, client)
        found["many"] = await _of(_many_streams, client)
    found["rss_peak"] = served.resident_bytes()
    await asyncio.sleep(REST_SECONDS)
    found["rss"] = served.resident_bytes()
    return found


async def _of(measure: Callable[[Any], Awaitable[float]], client: Any) -> float | str:
    try:
        return await measure(client)
    except Exception as error:  # a server that fails is told as it is, and the others go on
        return f"{type(error).__name__}: {str(error)[:90]}"


async def _warm(client: Any) -> None:
    for _ in range(3):
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, "echo", input={"text": "a"})
        async for _part in client.runs.stream(thread, "tokens", input=said(0), stream_mode="messages-tuple"):
            pass


async def _median(once: Callable[[], Awaitable[float]]) -> float:
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < 3 or (len(seconds) < REPEATS and time.perf_counter() - begun < REPEAT_SECONDS):
        seconds.append(await once())
    return statistics.median(seconds)


async def _create_and_wait(client: Any) -> float:
    async def once() -> float:
        begun = time.perf_counter()
        thread = (await client.threads.create())["thread_id"]
        ended = await client.runs.wait(thread, "echo", input={"text": "hello"})
        if ended["log"] != ["hello"]:
            raise ValueError(f"The echo is {ended}.")
        return time.perf_counter() - begun

    return await _median(once)


async def _first_event(client: Any) -> float:
    async def once() -> float:
        thread = (await client.threads.create())["thread_id"]
        begun = time.perf_counter()
        seconds = 0.0
        async for _part in client.runs.stream(thread, "echo", input={"text": "hello"}, stream_mode="updates"):
            seconds = seconds or time.perf_counter() - begun
        return seconds

    return await _median(once)


async def _whole_stream(client: Any) -> float:
    async def once() -> float:
        thread = (await client.threads.create())["thread_id"]
        begun = time.perf_counter()
        await _tokens(client.runs.stream(thread, "tokens", input=said(0), stream_mode="messages-tuple"))
        return time.perf_counter() - begun

    return await _median(once)


async def _first_token(client: Any) -> float:
    """From the model to the client."""

    async def once() -> float:
        thread = (await client.threads.create())["thread_id"]
        seconds = 0.0
        async for part in client.runs.stream(thread, "tokens", input=said(1), stream_mode="messages-tuple"):
            if not seconds and (text := _text(part)):
                seconds = (time.time_ns() - int(text)) / 1e9
        return seconds

    return await _median(once)


async def _agent(client: Any) -> float:
    async def once() -> float:
        thread = (await client.threads.create())["thread_id"]
        begun = time.perf_counter()
        parts = [
            part
            async for part in client.runs.stream(
                thread, "agent", input={"messages": [{"role": "user", "content": QUESTION}]}, stream_mode="values"
            )
            if part.event == "values"
        ]
        if not parts or not parts[-1].data.get("answer"):
            raise ValueError(f"The agent gave no answer: {parts[-1:]}")
        return time.perf_counter() - begun

    await once()
    return await _median(once)


async def _rejoin(client: Any) -> float:
    """From asking for the rest of a stream that was cut to its next event; every token must come exactly once."""

    async def once() -> float:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(
            thread, "tokens", input=said(REJOINED_PAUSE), stream_mode="messages-tuple", stream_resumable=True
        )
        seen: list[str] = []
        last = None
        async with aclosing(client.runs.join_stream(thread, run["run_id"], stream_mode="messages-tuple")) as parts:
            async for part in parts:
                last = part.id or last
                seen.extend(filter(None, [_text(part)]))
                if len(seen) == TOKENS // 4:
                    break
        begun = time.perf_counter()
        seconds = 0.0
        rest = client.runs.join_stream(thread, run["run_id"], stream_mode="messages-tuple", last_event_id=last)
        async for part in rest:
            if text := _text(part):
                seconds = seconds or time.perf_counter() - begun
                seen.append(text)
        _check(seen)
        return seconds

    seconds = [await once() for _ in range(3)]
    return statistics.median(seconds)


async def _runs_per_second(client: Any) -> float:
    """Each of CLIENTS has connections of its own: over those of one client, its pool would be what is measured."""

    async def one(own: Any) -> int:
        count = 0
        while time.perf_counter() < deadline:
            thread = (await own.threads.create())["thread_id"]
            await own.runs.wait(thread, "echo", input={"text": "hello"})
            count += 1
        return count

    async with AsyncExitStack() as stack:
        url = str(client.http.client.base_url)
        clients = [await stack.enter_async_context(get_client(url=url, api_key=None)) for _ in range(CLIENTS)]
        begun = time.perf_counter()
        deadline = begun + CLIENTS_SECONDS
        counts = await asyncio.gather(*[one(own) for own in clients])
        return sum(counts) / (time.perf_counter() - begun)


async def _many_streams(client: Any) -> float:
    """STREAMS threads stream at once, each over a connection of its own."""
    threads = [(await client.threads.create())["thread_id"] for _ in range(STREAMS)]
    async with AsyncExitStack() as stack:
        url = str(client.http.client.base_url)
        # A client has at most 100 connections.
        clients = [await stack.enter_async_context(get_client(url=url, api_key=None)) for _ in range(STREAMS // 50)]
        begun = time.perf_counter()
        async with asyncio.timeout(STREAM_SECONDS):
            await asyncio.gather(
                *[
                    _tokens(
                        clients[number % len(clients)].runs.stream(
                            thread, "tokens", input=said(0), stream_mode="messages-tuple"
                        )
                    )
                    for number, thread in enumerate(threads)
                ]
            )
        return time.perf_counter() - begun


async def _tokens(stream: Any) -> None:
    _check([text async for part in stream if (text := _text(part))])


def _check(seen: list[str]) -> None:
    if [word for word in seen[1:] if word.startswith("w")] != [f"w{number} " for number in range(1, TOKENS)]:
        raise ValueError(f"{len(seen)} of {TOKENS} tokens came, or not in order.")


def _text(part: Any) -> str:
    """The text of a token; "" for other events. The whole message at the end is no token."""
    if not part.event.startswith("messages"):
        if part.event == "error":
            raise ValueError(f"The run failed: {part.data}")
        return ""
    message = part.data[0] if isinstance(part.data, list) else part.data
    return str(message["content"]) if "Chunk" in str(message.get("type")) else ""
