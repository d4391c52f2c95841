"""/threads/{id}/commands and /threads/{id}/stream/events, over HTTP and as a WebSocket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InvalidInputError, NotFoundError, UserError
from server import answers
from server.bodies import Listed, RunCommand, RunCreate, UuidPath
from server.follow import StateChanges, follow_thread
from server.identity import Principal
from server.ids import checked_uuid
from server.json import dumps
from server.protocol import STREAM_MODES, Subscription, thread_events
from server.responses import HEARTBEAT, Json, JsonRoute, stream_modes
from server.routes.runs import start_run
from server.routes.threads import state_json
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["Protocol"])

ASKED_SECONDS = 3.0
_LAST_SEEN = re.compile(r"(\d{1,9})-(\d{1,18})")

Namespace = list[str]
THREAD_STREAM_MODES = {"run_modes", "lifecycle", "state_update"}


class Command(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Annotated[int, Field(ge=0)]
    method: str
    params: dict[str, Any] = Field(default_factory=dict)


class EventStreamRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    channels: list[str]
    namespaces: list[Namespace] | None = None
    depth: Annotated[int, Field(ge=0)] | None = None
    since: Annotated[int, Field(ge=0)] | None = None

    def subscription(self) -> Subscription:
        return Subscription(set(self.channels), self.namespaces, self.depth, self.since or 0)


@router.post("/threads/{thread_id}/commands")
async def command(thread_id: UuidPath, body: Command, services: Served, asking: Asking) -> Response:
    return Json(await _answer(services, asking, checked_uuid(thread_id, "thread"), body))


@router.get("/threads/{thread_id}/stream", responses=answers.EVENTS, response_class=Response)
async def stream_of_thread(
    thread_id: UuidPath, services: Served, asking: Asking,
    stream_mode: Annotated[list[str] | None, Listed, Query()] = None,
    also: Annotated[list[str] | None, Listed, Query(alias="stream_modes")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:  # fmt: skip
    """The events of whatever runs on the thread, from now or from the last event seen, without end."""
    key, owner = await _owned(services, asking, thread_id)
    modes = stream_modes([*(stream_mode or ()), *(also or ())]) or {"run_modes"}
    if unknown := modes - THREAD_STREAM_MODES:
        raise InvalidInputError(
            f"The stream mode {sorted(unknown)[0]!r} is not known.", "Use run_modes, lifecycle or state_update."
        )
    seen = _LAST_SEEN.fullmatch(last_event_id or "")
    place, after = (int(seen[1]), int(seen[2])) if seen else (await services.runs.ended(owner, key), 0)
    changes = await StateChanges.begin(services.pool, owner, key) if "state_update" in modes else None

    async def frames() -> AsyncIterator[bytes]:
        async for at, events in follow_thread(services.worker, services.runs, owner, key, place, after):
            found = [
                _frame(event.name, event.data, at, event.number)
                for event in events
                if "run_modes" in modes or ("lifecycle" in modes and event.name == "metadata")
            ]
            if changes is not None and not events:
                for checkpoint_id in await changes.more():
                    row = await services.threads.get(owner, key)
                    state = await state_json(services, asking, row, checkpoint_id)
                    found.append(_frame("state_update", dumps({"state": state, "thread_id": key}), at, 0))
            yield b"".join(found) or HEARTBEAT

    headers = {"cache-control": "no-store", "x-accel-buffering": "no", "Location": f"/threads/{key}/stream"}
    return StreamingResponse(frames(), media_type="text/event-stream", headers=headers)


@router.post("/threads/{thread_id}/stream/events", responses=answers.EVENTS, response_class=Response)
async def events(thread_id: UuidPath, body: EventStreamRequest, services: Served, asking: Asking) -> Response:
    key, owner = await _owned(services, asking, thread_id)

    async def frames() -> AsyncIterator[bytes]:
        async for event in thread_events(services.worker, services.runs, owner, key, body.subscription()):
            if event is None:
                yield HEARTBEAT
                continue
            yield b"event: %s\r\ndata: %s\r\nid: %d\r\n\r\n" % (event["method"].encode(), dumps(event), event["seq"])

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(frames(), media_type="text/event-stream", headers=headers)


@router.websocket("/threads/{thread_id}/stream/events")
async def events_by_websocket(websocket: WebSocket, thread_id: str) -> None:
    services: Services = websocket.app.state.services
    try:
        asking = await services.principal(websocket)
        key, owner = await _owned(services, asking, thread_id)
    except UserError as error:
        await websocket.send_denial_response(Json({"detail": str(error)}, status_code=error.status))
        return
    await websocket.accept()
    subscriptions: dict[str, asyncio.Task[None]] = {}
    sending = asyncio.Lock()

    async def send(message: Any) -> None:
        async with sending:
            await websocket.send_text(dumps(message).decode())

    async def pump(subscription: Subscription) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            async for event in thread_events(services.worker, services.runs, owner, key, subscription):
                if event is not None:
                    await send(event)

    try:
        while True:
            text = await websocket.receive_text()
            try:
                asked = Command.model_validate(orjson.loads(text))
                if asked.method == "subscription.subscribe":
                    wanted = EventStreamRequest.model_validate(asked.params).subscription()
                    name = str(len(subscriptions) + 1)
                    await send(_success(asked.id, {"subscription_id": name}))
                    subscriptions[name] = asyncio.create_task(pump(wanted))
                elif asked.method == "subscription.unsubscribe":
                    task = subscriptions.pop(str(asked.params.get("subscription_id")), None)
                    if task is None:
                        await send(_error(asked.id, "no_such_subscription", "There is no such subscription."))
                        continue
                    task.cancel()
                    await send(_success(asked.id, {}))
                else:
                    await send(await _answer(services, asking, key, asked))
            except ValueError as error:
                await send(_error(None, "invalid_argument", str(error).splitlines()[0]))
    except WebSocketDisconnect:
        return
    finally:
        for task in subscriptions.values():
            task.cancel()


def _frame(name: str, data: bytes, place: int, number: int) -> bytes:
    return b"event: %s\r\ndata: %s\r\nid: %d-%d\r\n\r\n" % (name.encode(), data, place, number)


async def _owned(services: Services, asking: Principal, thread_id: str) -> tuple[str, str]:
    """The id of a thread that is there, and whose it is."""
    key = checked_uuid(thread_id, "thread")
    owner = (await services.rules.thread(asking, key, "read")).identity
    await services.threads.get(owner, key)
    return key, owner


async def _answer(services: Services, asking: Principal, thread_id: str, body: Command) -> dict[str, Any]:
    try:
        if body.method == "run.start":
            return await _start(services, asking, thread_id, body)
        if body.method == "input.respond":
            return await _respond(services, asking, thread_id, body)
    except NotFoundError as error:
        return _error(body.id, "no_such_run", str(error))
    except ValidationError as error:
        return _error(body.id, "invalid_argument", error.errors()[0]["msg"])
    except UserError as error:
        return _error(body.id, "invalid_argument", str(error))
    return _error(body.id, "unknown_command", f"Unknown protocol command: {body.method}")


async def _start(services: Services, asking: Principal, thread_id: str, body: Command) -> dict[str, Any]:
    params = {key: value for key, value in body.params.items() if key in RunCreate.model_fields}
    created = RunCreate.model_validate(
        {**params, "stream_mode": STREAM_MODES, "stream_subgraphs": True, "if_not_exists": "create"}
    )
    run = await start_run(services, asking, thread_id, created)
    return _success(body.id, {"run_id": run.run_id})


async def _respond(services: Services, asking: Principal, thread_id: str, body: Command) -> dict[str, Any]:
    wanted = body.params.get("interrupt_id")
    owner = (await services.rules.thread(asking, thread_id, "read")).identity
    deadline = asyncio.get_running_loop().time() + ASKED_SECONDS
    while True:
        row = await services.threads.get(owner, thread_id)
        if any(item["id"] == wanted for items in row["interrupts"].values() for item in items):
            break
        # A client that is quick answers before the run that asks has ended.
        if row["status"] == "busy" and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
            continue
        return _error(body.id, "no_such_interrupt", f"Unknown or already-consumed interrupt: {wanted}")
    created = RunCreate(
        assistant_id=row["metadata"].get("assistant_id") or row["metadata"]["graph_id"],
        command=RunCommand(resume={wanted: body.params.get("response")}),
        stream_mode=list(STREAM_MODES),  # type: ignore[arg-type]
        stream_subgraphs=True,
    )
    run = await start_run(services, asking, thread_id, created)
    return _success(body.id, {"run_id": run.run_id})


def _success(number: int, result: dict[str, Any]) -> dict[str, Any]:
    return {"type": "success", "id": number, "result": result, "meta": {"applied_through_seq": 0}}


def _error(number: int | None, kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "id": number, "error": kind, "message": message}
