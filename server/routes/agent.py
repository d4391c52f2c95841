"""What is around the agent: feedback, the catalog, the checking of scripts."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Query, Response

from core.errors import InvalidInputError, NotFoundError, UserError
from core.postgres import connection
from dolphin.environment import DEFAULT_ENVIRONMENT, Environment
from dolphin.pruning import partitions_read
from rag.memory.examples import Examples
from server import answers
from server.bodies import FeedbackCreate, ScriptCheck
from server.cases import case_of
from server.errors import ForbiddenError
from server.ids import checked_uuid, new_id
from server.responses import Json, JsonRoute
from server.routes.memory import answer_of
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["Agent"])

CHECK_SECONDS = 10.0


@router.post("/feedback")
async def give_feedback(body: FeedbackCreate, services: Served, asking: Asking) -> Response:
    if body.run_id is None and not body.message_id:
        raise InvalidInputError("Say what the feedback is about: run_id, message_id, or both.")
    if body.remember and body.score != "like":
        raise InvalidInputError("Only an answer that you like is remembered.", "Leave remember out.")
    liked = await answer_of(services, asking, body.thread_id, body.run_id, body.message_id) if body.remember else None
    async with connection(services.pool) as held:
        cursor = await held.execute(
            "INSERT INTO feedback (feedback_id, owner, thread_id, run_id, message_id, score, comment)"
            " SELECT %(id)s, t.owner, t.thread_id, %(run)s, %(message)s, %(score)s, %(comment)s FROM threads t"
            " WHERE t.thread_id = %(thread)s AND t.owner = %(owner)s AND (%(run)s = '' OR EXISTS"
            " (SELECT 1 FROM runs r WHERE r.run_id = %(run)s AND r.thread_id = t.thread_id AND r.owner = t.owner))"
            " ON CONFLICT (owner, thread_id, run_id, message_id)"
            " DO UPDATE SET score = EXCLUDED.score, comment = EXCLUDED.comment, updated_at = now()"
            " RETURNING feedback_id, thread_id, run_id, message_id, score, comment, created_at, updated_at",
            {
                "id": new_id(),
                "owner": asking.identity,
                "thread": body.thread_id,
                "run": body.run_id or "",
                "message": body.message_id or "",
                "score": body.score,
                "comment": body.comment,
            },
        )
        row = await cursor.fetchone()
    if row is None:
        raise NotFoundError("There is no such thread or run.")
    if liked is None:
        return Json(_feedback(row))
    example = await Examples(services.store).save(asking.identity, liked.question, liked.script)
    return Json({**_feedback(row), "example_id": example.id})


@router.get("/feedback")
async def list_feedback(
    services: Served, asking: Asking, score: Literal["like", "dislike"] | None = None,
    limit: int = Query(default=100, ge=1, le=1000), offset: int = Query(default=0, ge=0, le=2**62),
) -> Response:  # fmt: skip
    async with connection(services.pool) as held:
        cursor = await held.execute(
            "SELECT feedback_id, thread_id, run_id, message_id, score, comment, created_at, updated_at FROM feedback"
            " WHERE owner = %s AND (%s::text IS NULL OR score = %s) ORDER BY created_at DESC, feedback_id"
            " LIMIT %s OFFSET %s",
            (asking.identity, score, score, limit, offset),
        )
        rows = await cursor.fetchall()
    return Json([_feedback(row) for row in rows])


@router.get("/feedback/export", response_class=Response, responses=answers.LINES)
async def export_feedback(services: Served, asking: Asking, everybody: bool = False) -> Response:
    """Evaluation cases: a line of JSON for each feedback, with the question, the answer and its scripts.

    Administrators get those of `everybody`, with their owners.
    """
    if everybody and not asking.is_admin:
        raise ForbiddenError("Only administrators export what others said.")
    async with connection(services.pool) as held:
        cursor = await held.execute(
            "SELECT f.owner, f.feedback_id, f.thread_id, f.run_id, f.message_id, f.score, f.comment, f.created_at,"
            " f.updated_at, r.kwargs -> 'input' AS input, t.state_values AS values FROM feedback f"
            " JOIN threads t ON t.thread_id = f.thread_id AND t.owner = f.owner"
            " LEFT JOIN runs r ON r.run_id = f.run_id AND r.owner = f.owner"
            " WHERE f.owner = %(owner)s OR %(everybody)s ORDER BY f.created_at, f.feedback_id",
            {"owner": asking.identity, "everybody": everybody},
        )
        rows = await cursor.fetchall()
    cases = [case_of(_feedback(row), row["input"], row["values"]) for row in rows]
    if everybody:
        cases = [{"owner": row["owner"], **case} for row, case in zip(rows, cases, strict=True)]
    return Response(b"".join(bytes(Json(case).body) + b"\n" for case in cases), media_type="application/x-ndjson")


@router.get("/databases")
async def databases(
    services: Served, asking: Asking, environment: str | None = None, refresh: bool = False
) -> Response:
    found, session = await _catalog(services, asking.identity, environment)
    names = await (await services.deps()).catalog.databases(found, session, refresh=refresh)
    return Json({"environment": found.id, "databases": names})


@router.get("/tables")
async def tables_in_memory(
    services: Served, asking: Asking, environment: str | None = None, thread_id: str | None = None
) -> Response:
    """The tables in memory: shared ones, and those of a thread's session."""
    found, session = await _catalog(services, asking.identity, environment, thread_id)
    deps = await services.deps()
    return Json({"tables": [table.to_json() for table in await deps.catalog.tables(found, session)]})


@router.get("/databases/{database:path}/tables/{table}")
async def table(
    database: str, table: str, services: Served, asking: Asking, environment: str | None = None, refresh: bool = False
) -> Response:
    found, session = await _catalog(services, asking.identity, environment)
    deps = await services.deps()
    name = f"{_database(database)}/{table}"
    return Json((await deps.catalog.describe(found, session, name, refresh=refresh)).to_json())


@router.get("/databases/{database:path}/tables")
async def tables(
    database: str, services: Served, asking: Asking, environment: str | None = None, refresh: bool = False
) -> Response:
    found, session = await _catalog(services, asking.identity, environment)
    deps = await services.deps()
    listed = await deps.catalog.tables(found, session, _database(database), refresh=refresh)
    return Json({"database": _database(database), "tables": [item.to_json() for item in listed]})


@router.post("/script/check")
async def check_script(body: ScriptCheck, services: Served, asking: Asking, environment: str | None = None) -> Response:
    """What a script would change, and what is wrong with it; it is not run.

    With an environment also how many partitions its queries would read there.
    """
    from graph.tools.checks import judge

    place = None if environment is None else await _catalog(services, asking.identity, environment)
    async with asyncio.timeout(CHECK_SECONDS):
        judged = await asyncio.to_thread(judge, body.script)
    if place is not None:
        try:
            judged["partitions_read"] = await partitions_read((await services.deps()).sessions, *place, body.script)
        except UserError as error:
            judged["partitions_read"] = None
            judged["partitions_note"] = str(error)
    return Json(judged)


async def _catalog(
    services: Services, owner: str, reference: str | None, thread_id: str | None = None
) -> tuple[Environment, str]:
    """The environment and the session to ask in: the thread's, or one that looks at stored data only."""
    session = f"catalog {owner}"
    if thread_id is not None:
        row = await services.threads.get(owner, checked_uuid(thread_id, "thread"))
        session = row["thread_id"]
        values = row["values"] if isinstance(row["values"], dict) else {}
        reference = reference or values.get("environment")
    deps = await services.deps()
    return await deps.environment(owner, reference or DEFAULT_ENVIRONMENT), session


def _database(text: str) -> str:
    return text if text.startswith("dfs://") else f"dfs://{text.removeprefix('dfs:/').lstrip('/')}"


def _feedback(row: Any) -> dict[str, Any]:
    keys = ("feedback_id", "thread_id", "score", "comment", "created_at", "updated_at")
    return {**{key: row[key] for key in keys}, "run_id": row["run_id"] or None, "message_id": row["message_id"] or None}
