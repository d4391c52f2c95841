"""/threads/{id}/runs and /runs: making runs, following them, ending them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from core.errors import InvalidInputError, NotFoundError
from server import answers
from server.assistants import assistant_reference, both_ways
from server.binding import bound_input, keep_binding
from server.bodies import Listed, RunCreate, RunField, RunsCancel, RunStatus, UuidPath
from server.events import Event
from server.follow import follow, result
from server.identity import Principal
from server.ids import checked_uuid, graph_assistant_id, new_id
from server.responses import Awaited, EventStream, Json, JsonRoute, selected, stream_modes
from server.resume import check_resume
from server.runs import Run, run_kwargs
from server.services import Asking, Served, Services
from server.worker import INVALID_RESUME

router = APIRouter(route_class=JsonRoute, tags=["Runs"])

Action = Annotated[Literal["interrupt", "rollback"], Query()]
NONE_FOUND = "No runs found to cancel."
RESUME_SECONDS = 1.0


@router.post("/threads/{thread_id}/runs", response_model=answers.Run)
async def create(thread_id: UuidPath, body: RunCreate, services: Served, asking: Asking) -> Response:
    run = await start_run(services, asking, checked_uuid(thread_id, "thread"), body)
    return Json(run.as_json() | {"status": "pending"}, headers={"Content-Location": _place(run)})


@router.post("/threads/{thread_id}/runs/stream", responses=answers.EVENTS, response_class=Response)
async def create_and_stream(thread_id: UuidPath, body: RunCreate, services: Served, asking: Asking) -> Response:
    run = await start_run(services, asking, checked_uuid(thread_id, "thread"), body)
    return await _stream_new(services, run, body)


@router.post("/threads/{thread_id}/runs/wait")
async def create_and_wait(thread_id: UuidPath, body: RunCreate, services: Served, asking: Asking) -> Response:
    run = await start_run(services, asking, checked_uuid(thread_id, "thread"), body)
    return await _wait_new(services, run, body)


@router.get("/threads/{thread_id}/runs", response_model=list[answers.Run])
async def list_runs(
    thread_id: UuidPath, services: Served, asking: Asking, limit: int = Query(default=10, ge=1, le=1000),
    offset: int = Query(default=0, ge=0, le=2**62), status: RunStatus | None = None,
    select: Annotated[list[RunField] | None, Listed, Query()] = None,
) -> Response:  # fmt: skip
    key = checked_uuid(thread_id, "thread")
    owner = (await services.rules.thread(asking, key, "read")).identity
    await services.threads.get(owner, key)
    runs = await services.runs.of_thread(owner, key, limit=limit, offset=offset, status=status)
    return Json(selected([run.as_json() for run in runs], select))


@router.get("/threads/{thread_id}/runs/{run_id}", response_model=answers.Run)
async def get(thread_id: UuidPath, run_id: UuidPath, services: Served, asking: Asking) -> Response:
    return Json((await _run(services, asking, thread_id, run_id)).as_json())


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204)
async def delete(thread_id: UuidPath, run_id: UuidPath, services: Served, asking: Asking) -> Response:
    run = await _run(services, asking, thread_id, run_id, "delete")
    if not await services.runs.delete(run.owner, run.thread_id, run.run_id):
        raise NotFoundError("Run not found")
    services.worker.lose(run.run_id)
    return Response(status_code=204)


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join(
    thread_id: UuidPath, run_id: UuidPath, services: Served, asking: Asking, cancel_on_disconnect: bool = False
) -> Response:
    run = await _followed(services, asking, thread_id, run_id)
    return _awaited(services, run, cancel=cancel_on_disconnect)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", responses=answers.EVENTS, response_class=Response)
async def stream(
    thread_id: UuidPath, run_id: UuidPath, services: Served, asking: Asking,
    stream_mode: Annotated[list[str] | None, Listed, Query()] = None, cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:  # fmt: skip
    run = await _followed(services, asking, thread_id, run_id)
    after = _after(last_event_id)
    return _streamed(services, run, modes=stream_modes(stream_mode), after=after, cancel=cancel_on_disconnect)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", status_code=202)
async def cancel(
    thread_id: UuidPath,
    run_id: UuidPath,
    services: Served,
    asking: Asking,
    wait: bool = False,
    action: Action = "interrupt",
) -> Response:
    run = await _run(services, asking, thread_id, run_id, "update")
    if run.ended or not await _cancel(services, run.owner, action, thread_id=run.thread_id, run_ids=[run.run_id]):
        raise NotFoundError(
            "No matching runs to cancel. Please verify the thread ID and run IDs are correct,"
            " and the runs haven't been deleted or completed."
        )
    if not wait:
        return Response(status_code=202)
    return _awaited(services, run, forgiving=True)


@router.post("/runs/cancel", status_code=204)
async def cancel_many(body: RunsCancel, services: Served, asking: Asking, action: Action = "interrupt") -> Response:
    if body.status is None and body.run_ids is None:
        raise InvalidInputError("Say which runs: run_ids, or status.")
    if body.status is not None and body.run_ids is not None:
        raise InvalidInputError("Say which runs by run_ids or by status, not by both.")
    statuses = ("pending", "running") if body.status in (None, "all") else (str(body.status),)
    owner = asking.identity
    if body.thread_id is not None:
        owner = (await services.rules.thread(asking, body.thread_id, "update")).identity
    if not await _cancel(services, owner, action, thread_id=body.thread_id, run_ids=body.run_ids, statuses=statuses):
        raise NotFoundError(NONE_FOUND)
    return Response(status_code=204)


@router.post("/runs", response_model=answers.Run)
async def create_stateless(body: RunCreate, services: Served, asking: Asking) -> Response:
    run = await start_run(services, asking, None, body)
    return Json(run.as_json() | {"status": "pending"}, headers={"Content-Location": f"/runs/{run.run_id}"})


@router.post("/runs/stream", responses=answers.EVENTS, response_class=Response)
async def stream_stateless(body: RunCreate, services: Served, asking: Asking) -> Response:
    run = await start_run(services, asking, None, body)
    return await _stream_new(services, run, body, place=f"/runs/{run.run_id}")


@router.post("/runs/wait")
async def wait_stateless(body: RunCreate, services: Served, asking: Asking) -> Response:
    return await _wait_new(services, await start_run(services, asking, None, body), body)


@router.post("/runs/batch", response_model=list[answers.Run])
async def batch(
    bodies: Annotated[list[RunCreate], Field(min_length=1, max_length=1000)], services: Served, asking: Asking
) -> Response:
    made = [await prepare(services, asking, body, create=True) for body in bodies]
    runs = [
        await _begin(
            services, asking, new_id(), prepared, body, temporary=body.on_completion == "delete", new=True
        )
        for body, prepared in zip(bodies, made, strict=True)
    ]  # fmt: skip
    return Json([run.as_json() | {"status": "pending"} for run in runs])


@router.get("/runs/{run_id}/stream", responses=answers.EVENTS, response_class=Response)
async def stream_by_run(
    run_id: UuidPath, services: Served, asking: Asking,
    stream_mode: Annotated[list[str] | None, Listed, Query()] = None, cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:  # fmt: skip
    key = checked_uuid(run_id, "run")
    run = await _run(services, asking, await services.runs.thread_of(asking.identity, key), key)
    after = _after(last_event_id)
    return _streamed(services, run, modes=stream_modes(stream_mode), after=after, cancel=cancel_on_disconnect)


@dataclass(frozen=True)
class Prepared:
    """What a run is executed with, and whose thread and assistant it is of."""

    assistant_id: str
    kwargs: dict[str, Any]
    owner: str
    assistant_owner: str


async def start_run(services: Services, asking: Principal, thread_id: str | None, body: RunCreate) -> Run:
    """Makes the run and, when it may begin here at once, begins it. Without a thread it gets one of its own."""
    prepared = await prepare(services, asking, body, thread_id, create=True)
    if thread_id is None:
        return await _begin(
            services, asking, new_id(), prepared, body, temporary=body.on_completion == "delete", new=True
        )
    if body.command is not None and body.command.has_resume:
        row = await services.threads.get(prepared.owner, thread_id)
        open_now = [item for items in row["interrupts"].values() for item in items]
        if row["status"] != "busy":
            check_resume(open_now, body.command.resume, strict=body.strict_resume)
    return await _begin(services, asking, thread_id, prepared, body, new=body.if_not_exists == "create")


async def prepare(
    services: Services, asking: Principal, body: RunCreate, thread_id: str | None = None, *, create: bool = False
) -> Prepared:
    """What the run is executed with; InvalidInputError for what cannot be. `create` is for one that begins now."""
    assistant_id = assistant_reference(body.assistant_id, services.graphs.names)
    if body.webhook is not None:
        await services.webhooks.check(body.webhook)
    config = body.config or {}
    for name, kind in (("configurable", dict), ("metadata", dict), ("tags", list)):
        if config.get(name) is not None and not isinstance(config[name], kind):
            raise InvalidInputError(f"config.{name} must be {'an object' if kind is dict else 'a list'}.")
    limit = config.get("recursion_limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 10_000):
        raise InvalidInputError("config.recursion_limit must be a number from 1 to 10000.")
    config, context = both_ways(config, body.context or {})
    if asking.headers:
        config["configurable"] = {**(config.get("configurable") or {}), **asking.headers}
    kwargs = {**run_kwargs(body), "config": config, "context": context}
    owner = assistant_owner = asking.identity
    if services.rules.active:
        if create:
            owner = await _ruled(services, asking, body, thread_id, assistant_id, kwargs)
        if assistant_id not in map(graph_assistant_id, services.graphs.names):
            assistant_owner = (await services.rules.assistant(asking, assistant_id, "read")).identity
    kwargs["input"] = await bound_input(services, owner, thread_id, assistant_id, kwargs["input"])
    return Prepared(assistant_id, kwargs, owner, assistant_owner)


async def _ruled(
    services: Services,
    asking: Principal,
    body: RunCreate,
    thread_id: str | None,
    assistant_id: str,
    kwargs: dict[str, Any],
) -> str:
    """Asks the rules for a run, which may change its metadata and what it is executed with; who owns its thread."""
    value: dict[str, Any] = {
        "thread_id": UUID(thread_id) if thread_id is not None else None,
        "assistant_id": UUID(assistant_id),
        "run_id": None,
        "status": "pending",
        "metadata": body.metadata or {},
        "prevent_insert_if_inflight": body.multitask_strategy == "reject",
        "multitask_strategy": body.multitask_strategy,
        "if_not_exists": body.if_not_exists,
        "after_seconds": body.after_seconds or 0,
        "kwargs": kwargs,
    }
    acting = await services.rules.run(asking, thread_id, value)
    body.metadata = value.get("metadata")
    return acting.identity


async def _begin(
    services: Services,
    asking: Principal,
    thread_id: str,
    prepared: Prepared,
    body: RunCreate,
    *,
    temporary: bool = False,
    new: bool = False,
) -> Run:
    worker = services.worker
    run, cancelled = await services.runs.create(
        asking,
        thread_id,
        prepared.assistant_id,
        body,
        kwargs=prepared.kwargs,
        temporary=temporary,
        new_thread=new,
        worker=worker.claims_as,
        lease_seconds=services.settings.run_lease_seconds,
        owner=prepared.owner,
        assistant_owner=prepared.assistant_owner,
    )
    for run_id, action in cancelled:
        worker.cancel(run_id, action)
    await keep_binding(services, prepared.owner, thread_id, prepared.assistant_id, prepared.kwargs["input"])
    worker.announce(thread_id)
    if run.status == "running":
        worker.start(run)
    else:
        worker.wake()
    return run


async def _stream_new(services: Services, run: Run, body: RunCreate, *, place: str | None = None) -> Response:
    await _answer_fits(services, run, body)
    cancel = body.on_disconnect == "cancel"
    return _streamed(services, run, modes=None, after=0, cancel=cancel, place=place)


async def _wait_new(services: Services, run: Run, body: RunCreate) -> Response:
    await _answer_fits(services, run, body)
    return _awaited(services, run, cancel=body.on_disconnect == "cancel")


async def _answer_fits(services: Services, run: Run, body: RunCreate) -> None:
    """The graph itself checks an answer when its run begins. Waits a moment for that, so that an answer that does not
    fit is refused like any bad request."""
    if body.command is None or not body.command.has_resume:
        return
    live = services.worker.lives.get(run.run_id)
    deadline = asyncio.get_running_loop().time() + RESUME_SECONDS
    while live is not None and not live.done and asyncio.get_running_loop().time() < deadline:
        # The first values are those the thread had before.
        names = [event.name for event in live.after(live.first - 1) or ()]
        if any(name not in ("metadata", "values", "error") for name in names) or names.count("values") > 1:
            break
        await live.changed(RESUME_SECONDS)
    if live is not None and live.done and live.result is not None and INVALID_RESUME.encode() in live.result:
        error = (orjson.loads(live.result).get("__error__") or {}) if live.result.startswith(b"{") else {}
        if error.get("error") == INVALID_RESUME:
            raise InvalidInputError(
                f"The answer does not fit what was asked: {error['message']}",
                "The question is still open; answer it again.",
            )


def _streamed(
    services: Services,
    run: Run,
    *,
    modes: set[str] | None,
    after: int,
    cancel: bool = False,
    place: str | None = None,
) -> Response:
    place = place or _place(run)
    return EventStream(
        _counted(services, follow(services.worker, services.runs, run.owner, run.run_id, after)),
        headers={"Content-Location": place, "Location": f"{place}/stream"},
        modes=modes,
        on_disconnect=_canceller(services, run) if cancel else None,
    )


async def _counted(services: Services, batches: AsyncIterator[list[Event]]) -> AsyncIterator[list[Event]]:
    services.metrics.streams.inc()
    try:
        async for batch_ in batches:
            yield batch_
    finally:
        services.metrics.streams.dec()


def _awaited(services: Services, run: Run, *, cancel: bool = False, forgiving: bool = False) -> Response:
    place = _place(run)

    async def parts() -> AsyncIterator[bytes]:
        try:
            async for part in result(services.worker, services.runs, run.owner, run.thread_id, run.run_id):
                yield part
        except NotFoundError as error:
            found = {} if forgiving else {"__error__": {"error": "NotFoundError", "message": str(error)}}
            yield orjson.dumps(found)

    return Awaited(
        parts(),
        headers={"Content-Location": place, "Location": f"{place}/join"},
        on_disconnect=_canceller(services, run) if cancel else None,
    )


def _canceller(services: Services, run: Run) -> Callable[[], Awaitable[None]]:
    async def cancel_run() -> None:
        await _cancel(services, run.owner, "interrupt", thread_id=run.thread_id, run_ids=[run.run_id])

    return cancel_run


async def _cancel(services: Services, owner: str, action: Any, **which: Any) -> bool:
    found = await services.runs.cancel(owner, action, **which)
    for run_id, wanted in found:
        services.worker.cancel(run_id, wanted)
    return bool(found)


async def _run(services: Services, asking: Principal, thread_id: str, run_id: str, action: str = "read") -> Run:
    key, run = checked_uuid(thread_id, "thread"), checked_uuid(run_id, "run")
    acting = await services.rules.thread(asking, key, action, {"run_id": UUID(run)})
    return await services.runs.get(acting.identity, key, run)


async def _followed(services: Services, asking: Principal, thread_id: str, run_id: str) -> Run:
    """A run to follow. Of one that executes here the owner and thread are known without asking the database."""
    thread, key = checked_uuid(thread_id, "thread"), checked_uuid(run_id, "run")
    owner = (await services.rules.thread(asking, thread, "read", {"run_id": UUID(key)})).identity
    return services.worker.executes(owner, thread, key) or await services.runs.get(owner, thread, key)


def _place(run: Run) -> str:
    return f"/threads/{run.thread_id}/runs/{run.run_id}"


def _after(last_event_id: str | None) -> int:
    """The number of the last event a client has; what is not a number means none."""
    text = (last_event_id or "").strip()
    return min(int(text), 2**62) if text.isdigit() else 0
