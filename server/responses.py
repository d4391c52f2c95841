"""Requests as JSON that can be stored, and the answers: JSON, streams of events, results one waits for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from server.events import Event, joined
from server.json import dumps

# An escaped NUL: an odd number of backslashes before u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
HEARTBEAT = b": heartbeat\r\n\r\n"


class JsonRequest(Request):
    """Refuses what Postgres cannot hold: the NUL character, text that is not Unicode."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                if _NUL.search(body):
                    raise ValueError("the NUL character is not allowed")
                self._json = orjson.loads(body)
            except ValueError as error:
                raise HTTPException(422, f"Invalid JSON in request body: {error}") from None
        return self._json


class JsonRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(JsonRequest(request.scope, request.receive))

        return handle


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else dumps(content)


def page_headers(limit: int, offset: int, found: int, *, more: bool) -> dict[str, str]:
    headers = {"X-Pagination-Total": str(offset + found + (1 if more else 0))}
    if more:
        headers["X-Pagination-Next"] = str(offset + limit)
    return headers


def selected(rows: Sequence[Mapping[str, Any]], select: Sequence[str] | None) -> list[Mapping[str, Any]]:
    """`rows` with the fields asked for only, all without `select`."""
    return list(rows) if select is None else [{key: row.get(key) for key in select} for row in rows]


def stream_modes(given: Sequence[str] | None) -> set[str] | None:
    """The stream modes of a query, one by one or with commas between; None for all."""
    return {part.strip() for text in given or () for part in text.split(",") if part.strip()} or None


class EventStream(Response):
    """Server-sent events. `on_disconnect` is called when the client leaves before the end."""

    media_type = "text/event-stream"

    def __init__(
        self,
        batches: AsyncIterator[list[Event]],
        *,
        headers: dict[str, str],
        modes: set[str] | None = None,
        on_disconnect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]
        self._batches = batches
        self._modes = modes
        self._on_disconnect = on_disconnect

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _write_until_left(self._write(send), receive, self._on_disconnect)

    async def _write(self, send: Send) -> None:
        async with aclosing(self._batches) as batches:  # type: ignore[type-var]
            async for events in batches:
                shown = [event for event in events if self._shows(event)]
                body = joined(shown) if shown else b"" if events else HEARTBEAT
                if body:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _shows(self, event: Event) -> bool:
        if self._modes is None or event.name in ("metadata", "error"):
            return True
        mode = event.mode
        return (
            mode in self._modes
            or (mode == "messages" and "messages-tuple" in self._modes)
            or (mode.startswith("messages/") and "messages" in self._modes)
        )


class Awaited(Response):
    """JSON that is sent when it is there. What does not come as the first of `parts` is awaited with white space that
    keeps the connection."""

    media_type = "application/json"

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        *,
        headers: dict[str, str],
        on_disconnect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._parts = parts
        self._on_disconnect = on_disconnect

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._parts) as parts:  # type: ignore[type-var]
            body = await anext(parts, b"{}")
            headers = [*self.raw_headers, (b"content-length", b"%d" % len(body))] if body else self.raw_headers
            await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": False})
            else:
                await _write_until_left(self._write(parts, send), receive, self._on_disconnect)

    async def _write(self, parts: AsyncIterator[bytes], send: Send) -> None:
        async for part in parts:
            await send({"type": "http.response.body", "body": part or b"\n", "more_body": not part})
            if part:
                return
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})


async def _write_until_left(
    write: Coroutine[Any, Any, None], receive: Receive, on_disconnect: Callable[[], Awaitable[None]] | None
) -> None:
    """Runs `write`; when the client goes away first, calls `on_disconnect` and cancels it."""
    writing = asyncio.ensure_future(write)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            if on_disconnect is not None:
                await on_disconnect()
        else:
            writing.result()
    finally:
        for task in (writing, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task


async def _left(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
