"""/threads: conversations, their state and its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Query, Response
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.types import StateUpdate as GraphStateUpdate

from core.errors import InvalidInputError, NotFoundError, UserError
from server.bodies import (
    Checkpoint,
    HistorySearch,
    StateAtCheckpoint,
    StateUpdate,
    Superstep,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
)
from server.execution import graph_input
from server.graphs import Access, Graph
from server.identity import Principal
from server.ids import checked_uuid
from server.responses import Json, JsonRoute
from server.routes.assistants import page_headers
from server.services import Asking, Served, Services
from server.state import checkpoint_of, empty_state, snapshot_json, thread_interrupts
from server.threads import FIELDS, shown

router = APIRouter(route_class=JsonRoute, prefix="/threads", tags=["Threads"])

END_SECONDS = 10.0


class BadStateError(UserError):
    """The state cannot be changed as asked."""


class NoGraphError(UserError):
    """Nothing has said yet which graph the thread is of."""


@router.post("")
async def create(services: Served, asking: Asking, body: ThreadCreate | None = None) -> Response:
    body = body or ThreadCreate()
    row = await services.threads.create(
        asking.identity, body.thread_id, body.metadata, ttl=body.ttl, existing=body.if_exists == "do_nothing"
    )
    if body.supersteps:
        await _supersteps(services, asking, row, body.supersteps)
        row = await services.threads.get(asking.identity, row["thread_id"])
    return Json(shown(row))


@router.post("/search")
async def search(services: Served, asking: Asking, body: ThreadSearch | None = None) -> Response:
    body = body or ThreadSearch()
    if body.extract:
        raise InvalidInputError("extract is not supported.", "Use select and read the values.")
    if body.select is not None and (unknown := set(body.select) - set(FIELDS)):
        raise InvalidInputError(f"Unknown fields: {', '.join(sorted(unknown))}.")
    rows, more = await services.threads.search(asking.identity, body)
    return Json(
        [shown(row, body.select) for row in rows], headers=page_headers(body.limit, body.offset, len(rows), more=more)
    )


@router.post("/count")
async def count(services: Served, asking: Asking, body: ThreadCount | None = None) -> Response:
    return Json(await services.threads.count(asking.identity, body or ThreadCount()))


@router.post("/prune")
async def prune(body: ThreadPrune, services: Served, asking: Asking) -> Response:
    pruned = 0
    for thread_id in body.thread_ids:
        try:
            if body.strategy == "delete":
                await _delete(services, asking.identity, thread_id)
                pruned += 1
            elif await services.threads.prune(asking.identity, thread_id):
                pruned += 1
        except NotFoundError:
            continue
        except NotImplementedError:
            raise InvalidInputError(
                f"Thread {thread_id} is of a graph that stores differences; its history cannot be shortened.",
                "Use the strategy delete.",
            ) from None
    return Json({"pruned_count": pruned})


@router.get("/{thread_id}")
async def get(thread_id: str, services: Served, asking: Asking, include: str | None = None) -> Response:  # noqa: ARG001
    return Json(shown(await services.threads.get(asking.identity, checked_uuid(thread_id, "thread"))))


@router.patch("/{thread_id}")
async def patch(thread_id: str, body: ThreadPatch, services: Served, asking: Asking) -> Response:
    key = checked_uuid(thread_id, "thread")
    return Json(shown(await services.threads.patch(asking.identity, key, body.metadata, body.ttl)))


@router.delete("/{thread_id}", status_code=204)
async def delete(thread_id: str, services: Served, asking: Asking) -> Response:
    await _delete(services, asking.identity, checked_uuid(thread_id, "thread"))
    return Response(status_code=204)


@router.post("/{thread_id}/copy")
async def copy(thread_id: str, services: Served, asking: Asking) -> Response:
    return Json(shown(await services.threads.copy(asking.identity, checked_uuid(thread_id, "thread"))))


@router.get("/{thread_id}/storage")
async def storage(thread_id: str, services: Served, asking: Asking) -> Response:
    return Json(await services.threads.storage(asking.identity, checked_uuid(thread_id, "thread")))


@router.get("/{thread_id}/state")
async def state(thread_id: str, services: Served, asking: Asking, subgraphs: bool = False) -> Response:
    return await _state(services, asking, thread_id, None, subgraphs=subgraphs)


@router.get("/{thread_id}/state/{checkpoint_id}")
async def state_at(
    thread_id: str, checkpoint_id: str, services: Served, asking: Asking, subgraphs: bool = False
) -> Response:
    return await _state(services, asking, thread_id, Checkpoint(checkpoint_id=checkpoint_id), subgraphs=subgraphs)


@router.post("/{thread_id}/state/checkpoint")
async def state_at_checkpoint(thread_id: str, body: StateAtCheckpoint, services: Served, asking: Asking) -> Response:
    return await _state(services, asking, thread_id, body.checkpoint, subgraphs=body.subgraphs)


@router.post("/{thread_id}/state")
async def update_state(thread_id: str, body: StateUpdate, services: Served, asking: Asking) -> Response:
    row = await services.threads.get(asking.identity, checked_uuid(thread_id, "thread"))
    checkpoint = body.checkpoint or Checkpoint()
    if body.checkpoint_id:
        checkpoint = checkpoint.model_copy(update={"checkpoint_id": body.checkpoint_id})
    async with _graph_of(services, asking, row, "threads.update") as graph:
        try:
            config = await graph.aupdate_state(_config(row, checkpoint), body.values, as_node=body.as_node)  # type: ignore[arg-type]
        except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as error:
            raise BadStateError(str(error)) from error
        await _keep(services, asking, row, graph)
    found = checkpoint_of(config) or {}
    return Json({"checkpoint": found, "configurable": found, "checkpoint_id": found.get("checkpoint_id")})


@router.get("/{thread_id}/history")
async def history_of(
    thread_id: str, services: Served, asking: Asking, limit: int = Query(default=10, ge=1, le=1000),
    before: str | None = None,
) -> Response:  # fmt: skip
    return await _history(services, asking, thread_id, HistorySearch(limit=limit, before=before))


@router.post("/{thread_id}/history")
async def history(thread_id: str, services: Served, asking: Asking, body: HistorySearch | None = None) -> Response:
    return await _history(services, asking, thread_id, body or HistorySearch())


async def _history(services: Services, asking: Principal, thread_id: str, body: HistorySearch) -> Response:
    row = await services.threads.get(asking.identity, checked_uuid(thread_id, "thread"))
    if not row["metadata"].get("graph_id"):
        return Json([])
    before: Any = None
    if body.before is not None:
        given = Checkpoint(checkpoint_id=body.before) if isinstance(body.before, str) else body.before
        before = _config(row, given)
    async with _graph_of(services, asking, row, "threads.read") as graph:
        states = [
            snapshot_json(snapshot)
            async for snapshot in graph.aget_state_history(
                _config(row, body.checkpoint),  # type: ignore[arg-type]
                limit=body.limit,
                before=before,
                filter=body.metadata,
            )
        ]
    return Json(states)


async def _state(
    services: Services, asking: Principal, thread_id: str, checkpoint: Checkpoint | None, *, subgraphs: bool
) -> Response:
    row = await services.threads.get(asking.identity, checked_uuid(thread_id, "thread"))
    if not row["metadata"].get("graph_id"):
        return Json(empty_state())
    async with _graph_of(services, asking, row, "threads.read") as graph:
        try:
            snapshot = await graph.aget_state(_config(row, checkpoint), subgraphs=subgraphs)  # type: ignore[arg-type]
        except ValueError as error:
            raise BadStateError(str(error)) from error
    return Json(snapshot_json(snapshot))


def _config(row: dict[str, Any], checkpoint: Checkpoint | None) -> dict[str, Any]:
    found = checkpoint.model_dump(exclude_none=True, exclude={"thread_id"}) if checkpoint is not None else {}
    return {"configurable": {"checkpoint_ns": "", **found, "thread_id": row["thread_id"]}}


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


async def _keep(services: Services, asking: Principal, row: dict[str, Any], graph: Graph) -> None:
    snapshot = await graph.aget_state({"configurable": {"thread_id": row["thread_id"]}})
    await services.threads.keep_state(
        asking.identity, row["thread_id"], snapshot.values, thread_interrupts(snapshot), waits=bool(snapshot.interrupts)
    )


async def _supersteps(services: Services, asking: Principal, row: dict[str, Any], steps: list[Superstep]) -> None:
    updates = [
        [
            GraphStateUpdate(
                graph_input({"command": item.command.model_dump(exclude_unset=True)}) if item.command else item.values,
                item.as_node,
            )
            for item in step.updates
        ]
        for step in steps
    ]
    async with _graph_of(services, asking, row, "threads.update") as graph:
        try:
            await graph.abulk_update_state({"configurable": {"thread_id": row["thread_id"]}}, updates)
        except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as error:
            raise BadStateError(str(error)) from error
        await _keep(services, asking, row, graph)


async def _delete(services: Services, owner: str, thread_id: str) -> None:
    """Ends what runs on the thread first: a run that went on would leave checkpoints of a thread that is gone."""
    await services.threads.get(owner, thread_id)
    cancelled = await services.runs.cancel(owner, "interrupt", thread_id=thread_id)
    for run_id, action in cancelled:
        services.worker.cancel(run_id, action)
    async with asyncio.timeout(END_SECONDS):
        for run_id, _ in cancelled:
            while (found := await services.runs.status(owner, run_id)) is not None and found[0] == "running":
                await services.worker.news(run_id, 0.05)
    await services.threads.delete(owner, thread_id)
