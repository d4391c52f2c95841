"""/threads: conversations, their state and its history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.types import StateUpdate as GraphStateUpdate

from core.errors import ConflictError, InvalidInputError, NotFoundError, UserError
from server import answers
from server.binding import bound_metadata
from server.bodies import (
    Checkpoint,
    HistorySearch,
    Listed,
    StateAtCheckpoint,
    StateUpdate,
    Superstep,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
    UuidPath,
)
from server.execution import graph_input
from server.extract import extracted, parsed_path
from server.graphs import Access, Graph
from server.identity import Principal
from server.ids import checked_uuid, new_id
from server.removal import remove_thread
from server.responses import Json, JsonRoute, page_headers
from server.services import Asking, Served, Services
from server.state import checkpoint_of, empty_state, selected_state, snapshot_json, thread_interrupts
from server.threads import shown

router = APIRouter(route_class=JsonRoute, prefix="/threads", tags=["Threads"])

Select = Annotated[list[str] | None, Listed, Query()]


class BadStateError(UserError):
    """The state cannot be changed as asked."""


class NoGraphError(UserError):
    """Nothing has said yet which graph the thread is of."""


@router.post("", response_model=answers.Thread)
async def create(services: Served, asking: Asking, body: ThreadCreate | None = None) -> Response:
    body = body or ThreadCreate()
    existing = body.if_exists == "do_nothing"
    key = body.thread_id or new_id()
    value: dict[str, Any] = {"thread_id": UUID(key), "metadata": body.metadata, "if_exists": body.if_exists}
    scope = await services.rules.create(asking, "threads", value)
    acting = await services.rules.maker(asking, "threads", key, scope) if existing else asking
    metadata = await bound_metadata(services, acting.identity, value.get("metadata") or {})
    row = await services.threads.create(acting.identity, key, metadata, ttl=body.ttl, existing=existing)
    if body.supersteps:
        await _supersteps(services, asking, acting.identity, row, body.supersteps)
        row = await services.threads.get(acting.identity, key)
    return Json(shown(row))


@router.post("/search", response_model=list[answers.Thread])
async def search(services: Served, asking: Asking, body: ThreadSearch | None = None) -> Response:
    body = body or ThreadSearch()
    paths = {name: parsed_path(path) for name, path in (body.extract or {}).items()}
    rows, more = await services.threads.search(
        asking.identity, body, await services.rules.scope(asking, "threads", body)
    )
    found = [shown(row, body.select) for row in rows]
    if paths:
        for row, thread in zip(rows, found, strict=True):
            thread["extracted"] = {name: extracted(row, path) for name, path in paths.items()}
    return Json(found, headers=page_headers(body.limit, body.offset, len(rows), more=more))


@router.post("/count", response_model=int)
async def count(services: Served, asking: Asking, body: ThreadCount | None = None) -> Response:
    body = body or ThreadCount()
    return Json(
        await services.threads.count(asking.identity, body, await services.rules.scope(asking, "threads", body))
    )


@router.post("/prune", response_model=answers.Pruned)
async def prune(body: ThreadPrune, services: Served, asking: Asking) -> Response:
    pruned = 0
    for thread_id in body.thread_ids:
        try:
            owner = (await services.rules.thread(asking, thread_id, "delete")).identity
            if body.strategy == "delete":
                await remove_thread(services, owner, thread_id)
                pruned += 1
            elif await services.threads.prune(owner, thread_id):
                pruned += 1
        except NotFoundError:
            continue
        except NotImplementedError:
            raise InvalidInputError(
                f"Thread {thread_id} is of a graph that stores differences; its history cannot be shortened.",
                "Use the strategy delete.",
            ) from None
    return Json({"pruned_count": pruned})


@router.get("/{thread_id}", response_model=answers.Thread)
async def get(thread_id: UuidPath, services: Served, asking: Asking, include: str | None = None) -> Response:  # noqa: ARG001
    return Json(shown((await _opened(services, asking, thread_id, "read"))[1]))


@router.patch("/{thread_id}", response_model=answers.Thread)
async def patch(
    thread_id: UuidPath, body: ThreadPatch, services: Served, asking: Asking, prefer: Annotated[str, Header()] = ""
) -> Response:
    key = checked_uuid(thread_id, "thread")
    value: dict[str, Any] = {"metadata": body.metadata or {}}
    owner = (await services.rules.thread(asking, key, "update", value)).identity
    metadata = await bound_metadata(services, owner, value.get("metadata") or {})
    row = await services.threads.patch(owner, key, metadata, body.ttl)
    return Response(status_code=204) if prefer == "return=minimal" else Json(shown(row))


@router.delete("/{thread_id}", status_code=204)
async def delete(thread_id: UuidPath, services: Served, asking: Asking) -> Response:
    key = checked_uuid(thread_id, "thread")
    await remove_thread(services, (await services.rules.thread(asking, key, "delete")).identity, key)
    return Response(status_code=204)


@router.post("/{thread_id}/copy", response_model=answers.Thread)
async def copy(thread_id: UuidPath, services: Served, asking: Asking) -> Response:
    key = checked_uuid(thread_id, "thread")
    owner = (await services.rules.thread(asking, key, "read")).identity
    value: dict[str, Any] = {"metadata": {}}
    await services.rules.create(asking, "threads", value)
    row = await services.threads.copy(owner, key, to=asking.identity)
    if value.get("metadata"):
        row = await services.threads.patch(asking.identity, row["thread_id"], value["metadata"], None)
    return Json(shown(row))


@router.get("/{thread_id}/storage", response_model=answers.Json)
async def storage(thread_id: UuidPath, services: Served, asking: Asking) -> Response:
    owner, row = await _opened(services, asking, thread_id, "read")
    return Json(await services.threads.storage(owner, row["thread_id"]))


@router.get("/{thread_id}/state", response_model=answers.ThreadState)
async def state(
    thread_id: UuidPath, services: Served, asking: Asking, subgraphs: bool = False, select: Select = None
) -> Response:
    return await _state(services, asking, thread_id, None, select, subgraphs=subgraphs)


@router.get("/{thread_id}/state/{checkpoint_id}", response_model=answers.ThreadState)
async def state_at(
    thread_id: UuidPath,
    checkpoint_id: UuidPath,
    services: Served,
    asking: Asking,
    subgraphs: bool = False,
    select: Select = None,
) -> Response:
    place = Checkpoint(checkpoint_id=checked_uuid(checkpoint_id, "checkpoint"))
    return await _state(services, asking, thread_id, place, select, subgraphs=subgraphs)


@router.post("/{thread_id}/state/checkpoint", response_model=answers.ThreadState)
async def state_at_checkpoint(
    thread_id: UuidPath, body: StateAtCheckpoint, services: Served, asking: Asking
) -> Response:
    return await _state(services, asking, thread_id, body.checkpoint, body.select, subgraphs=body.subgraphs)


@router.patch("/{thread_id}/state", response_model=answers.Thread)
async def patch_state(thread_id: UuidPath, body: ThreadPatch, services: Served, asking: Asking) -> Response:
    """What the JavaScript client calls to change the metadata of a thread."""
    return await patch(thread_id, body, services, asking)


@router.post("/{thread_id}/state", response_model=answers.StateUpdated)
async def update_state(thread_id: UuidPath, body: StateUpdate, services: Served, asking: Asking) -> Response:
    owner, row = await _opened(services, asking, thread_id, "update")
    if row["status"] == "busy":
        raise ConflictError(
            "Thread is busy with a running job. Cannot update state.", "Wait for the run, or cancel it."
        )
    checkpoint = body.checkpoint or Checkpoint()
    if body.checkpoint_id:
        checkpoint = checkpoint.model_copy(update={"checkpoint_id": body.checkpoint_id})
    async with _graph_of(services, asking, row, "threads.update") as graph:
        try:
            config = await graph.aupdate_state(_config(row, checkpoint), body.values, as_node=body.as_node)  # type: ignore[arg-type]
        except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as error:
            raise BadStateError(str(error)) from error
        await _keep(services, owner, row, graph)
    found = checkpoint_of(config) or {}
    return Json({"checkpoint": found, "configurable": found, "checkpoint_id": found.get("checkpoint_id")})


@router.get("/{thread_id}/history", response_model=list[answers.ThreadState])
async def history_of(
    thread_id: UuidPath, services: Served, asking: Asking, limit: int = Query(default=10, ge=1, le=1000),
    before: str | None = None, select: Select = None,
) -> Response:  # fmt: skip
    place = checked_uuid(before, "checkpoint") if before is not None else None
    return await _history(services, asking, thread_id, HistorySearch(limit=limit, before=place, select=select))


@router.post("/{thread_id}/history", response_model=list[answers.ThreadState])
async def history(thread_id: UuidPath, services: Served, asking: Asking, body: HistorySearch | None = None) -> Response:
    return await _history(services, asking, thread_id, body or HistorySearch())


async def _history(services: Services, asking: Principal, thread_id: str, body: HistorySearch) -> Response:
    _, row = await _opened(services, asking, thread_id, "read")
    if not row["metadata"].get("graph_id"):
        return Json([])
    before: Any = None
    if body.before is not None:
        given = Checkpoint(checkpoint_id=body.before) if isinstance(body.before, str) else body.before
        before = _config(row, given)
    async with _graph_of(services, asking, row, "threads.read") as graph:
        try:
            states = [
                selected_state(snapshot_json(snapshot), body.select)
                async for snapshot in graph.aget_state_history(
                    _config(row, body.checkpoint),  # type: ignore[arg-type]
                    limit=body.limit,
                    before=before,
                    filter=body.metadata,
                )
            ]
        except (InvalidUpdateError, ValueError) as error:
            raise BadStateError(str(error)) from error
    return Json(states)


async def state_json(services: Services, asking: Principal, row: dict[str, Any], checkpoint_id: str) -> dict[str, Any]:
    """The state of a thread at a checkpoint."""
    async with _graph_of(services, asking, row, "threads.read") as graph:
        place = _config(row, Checkpoint(checkpoint_id=checkpoint_id))
        return snapshot_json(await graph.aget_state(place))  # type: ignore[arg-type]


async def _state(
    services: Services,
    asking: Principal,
    thread_id: str,
    checkpoint: Checkpoint | None,
    select: list[str] | None,
    *,
    subgraphs: bool,
) -> Response:
    _, row = await _opened(services, asking, thread_id, "read")
    if not row["metadata"].get("graph_id"):
        return Json(selected_state(empty_state(), select))
    async with _graph_of(services, asking, row, "threads.read") as graph:
        try:
            snapshot = await graph.aget_state(_config(row, checkpoint), subgraphs=subgraphs)  # type: ignore[arg-type]
        except (InvalidUpdateError, ValueError) as error:
            raise BadStateError(str(error)) from error
    return Json(selected_state(snapshot_json(snapshot), select))


async def _opened(services: Services, asking: Principal, thread_id: str, action: str) -> tuple[str, dict[str, Any]]:
    """The thread's owner and its row, when `asking` may."""
    key = checked_uuid(thread_id, "thread")
    owner = (await services.rules.thread(asking, key, action)).identity
    return owner, await services.threads.get(owner, key)


def _config(row: dict[str, Any], checkpoint: Checkpoint | None) -> dict[str, Any]:
    found = checkpoint.model_dump(exclude_none=True, exclude={"thread_id"}) if checkpoint is not None else {}
    metadata = {key: row["metadata"][key] for key in ("graph_id", "assistant_id") if row["metadata"].get(key)}
    return {"configurable": {"checkpoint_ns": "", **found, "thread_id": row["thread_id"]}, "metadata": metadata}


@asynccontextmanager
async def _graph_of(services: Services, asking: Principal, row: dict[str, Any], access: Access) -> AsyncIterator[Graph]:
    graph_id = row["metadata"].get("graph_id")
    if not graph_id:
        raise NoGraphError(
            f"Thread {row['thread_id']!r} has no assigned graph ID.",
            "Make a run on it, or set graph_id in its metadata.",
        )
    async with services.graphs.open(str(graph_id), access=access, user=asking, owner=asking.identity) as graph:
        yield graph


async def _keep(services: Services, owner: str, row: dict[str, Any], graph: Graph) -> None:
    snapshot = await graph.aget_state({"configurable": {"thread_id": row["thread_id"]}})
    await services.threads.keep_state(
        owner, row["thread_id"], snapshot.values, thread_interrupts(snapshot), waits=bool(snapshot.next)
    )


async def _supersteps(
    services: Services, asking: Principal, owner: str, row: dict[str, Any], steps: list[Superstep]
) -> None:
    updates = [
        [
            GraphStateUpdate(
                graph_input({"command": item.command.given()}) if item.command else item.values,
                item.as_node,
            )
            for item in step.updates
        ]
        for step in steps
    ]
    async with _graph_of(services, asking, row, "threads.update") as graph:
        try:
            await graph.abulk_update_state(_config(row, None), updates)  # type: ignore[arg-type]
        except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as error:
            raise BadStateError(str(error)) from error
        await _keep(services, owner, row, graph)
