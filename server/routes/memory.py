"""/memory: what the user told the agent to remember, and what is shared with everybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from core.errors import InvalidInputError, NotFoundError
from graph.remembering import Answered, answered
from rag.memory.examples import Examples
from rag.memory.terminology import Terminology
from server import answers
from server.bodies import Body
from server.identity import Principal
from server.ids import checked_uuid
from server.responses import Json, JsonRoute
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, prefix="/memory", tags=["Memory"])

NDJSON = "application/x-ndjson"


class ExampleCreate(Body):
    """With `shared` everybody sees it; only administrators may."""

    question: str
    script: str
    tables: str = Field(default="", description="The tables and columns it reads; found in the script when left out.")
    shared: bool = False


class ExamplePatch(Body):
    question: str | None = None
    script: str | None = None
    tables: str | None = None
    shared: bool | None = None


class TermCreate(Body):
    """Given again, a term gets the new meaning."""

    term: str
    meaning: str


class TermPatch(Body):
    meaning: str


@router.get("/examples")
async def list_examples(
    services: Served, asking: Asking, limit: int = Query(default=100, ge=1, le=1000),
    offset: int = Query(default=0, ge=0, le=2**62),
) -> Response:  # fmt: skip
    """The user's own and the shared ones, newest first."""
    found = await Examples(services.store).list(asking.identity)
    return Json([_example(each) for each in found[offset : offset + limit]])


@router.post("/examples")
async def create_example(body: ExampleCreate, services: Served, asking: Asking) -> Response:
    kept = await Examples(services.store).save(
        asking.identity, body.question, body.script, schema=body.tables, shared=body.shared, admin=asking.is_admin
    )
    return Json(_example(kept))


@router.get("/examples/export", response_class=Response, responses=answers.LINES)
async def export_examples(services: Served, asking: Asking) -> Response:
    return _lines(_example(each) for each in await Examples(services.store).list(asking.identity))


@router.get("/examples/{example_id}")
async def get_example(example_id: str, services: Served, asking: Asking) -> Response:
    return Json(_example(await Examples(services.store).get(asking.identity, example_id)))


@router.patch("/examples/{example_id}")
async def edit_example(example_id: str, body: ExamplePatch, services: Served, asking: Asking) -> Response:
    """Sharing one, and changing a shared one, is for administrators."""
    kept = await Examples(services.store).edit(
        asking.identity,
        example_id,
        question=body.question,
        script=body.script,
        schema=body.tables,
        shared=body.shared,
        admin=asking.is_admin,
    )
    return Json(_example(kept))


@router.delete("/examples/{example_id}", status_code=204)
async def delete_example(example_id: str, services: Served, asking: Asking) -> Response:
    await Examples(services.store).delete(asking.identity, example_id, admin=asking.is_admin)
    return Response(status_code=204)


@router.get("/terms")
async def list_terms(services: Served, asking: Asking) -> Response:
    return Json([asdict(each) for each in await Terminology(services.store).list(asking.identity)])


@router.post("/terms")
async def create_term(body: TermCreate, services: Served, asking: Asking) -> Response:
    return Json(asdict(await Terminology(services.store).define(asking.identity, body.term, body.meaning)))


@router.get("/terms/export", response_class=Response, responses=answers.LINES)
async def export_terms(services: Served, asking: Asking) -> Response:
    return _lines(asdict(each) for each in await Terminology(services.store).list(asking.identity))


@router.patch("/terms/{term_id}")
async def edit_term(term_id: str, body: TermPatch, services: Served, asking: Asking) -> Response:
    terminology = Terminology(services.store)
    held = await terminology.get(asking.identity, term_id)
    return Json(asdict(await terminology.define(asking.identity, held.term, body.meaning)))


@router.delete("/terms/{term_id}", status_code=204)
async def delete_term(term_id: str, services: Served, asking: Asking) -> Response:
    await Terminology(services.store).forget(asking.identity, term_id)
    return Response(status_code=204)


async def answer_of(
    services: Services, asking: Principal, thread_id: str, run_id: str | None, message_id: str | None
) -> Answered:
    """The question and the script behind a message of the user's thread, or behind the end of one of its runs.

    Raises NotFoundError, and InvalidInputError for an answer that came without a script.
    """
    key = checked_uuid(thread_id, "thread")
    graph_id = (await services.threads.get(asking.identity, key))["metadata"].get("graph_id")
    if graph_id not in services.agents:
        raise InvalidInputError("The thread is none of the agent's, so it has no answer to remember.")
    place: Any = {"configurable": {"thread_id": key, "checkpoint_ns": ""}}
    async with services.graphs.open(str(graph_id), user=asking, owner=asking.identity) as graph:
        if message_id:
            snapshot = await graph.aget_state(place)
            return answered(snapshot.values.get("messages", []), message_id)
        async for snapshot in graph.aget_state_history(place, filter={"run_id": run_id}, limit=1):
            return answered(snapshot.values.get("messages", []))
    raise NotFoundError("There is no such thread or run.")


def _example(example: Any) -> dict[str, Any]:
    shown = asdict(example)
    return {**{name: value for name, value in shown.items() if name != "schema"}, "tables": shown["schema"]}


def _lines(items: Iterable[dict[str, Any]]) -> Response:
    return Response(b"".join(bytes(Json(item).body) + b"\n" for item in items), media_type=NDJSON)
