"""What is around the agent: feedback, artifacts, the catalog, the checking of scripts."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from core.errors import InvalidInputError, NotFoundError, UserError
from core.postgres import connection
from dolphin.environment import Environment
from graph.host import DEFAULT_ENVIRONMENT
from server.bodies import FeedbackCreate, ScriptCheck
from server.ids import checked_uuid, new_id
from server.responses import Json, JsonRoute
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["Agent"])

CHUNK_BYTES = 262_144
CHECK_SECONDS = 10.0
INLINE = {"image/png", "application/json", "text/csv", "text/plain"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeError(UserError):
    """No byte of the artifact lies in the range asked for."""

    status = 416


@router.post("/feedback")
async def give_feedback(body: FeedbackCreate, services: Served, asking: Asking) -> Response:
    if body.run_id is None and not body.message_id:
        raise InvalidInputError("Say what the feedback is about: run_id, message_id, or both.")
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
    return Json(_feedback(row))


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


@router.get("/feedback/export")
async def export_feedback(services: Served, asking: Asking) -> Response:
    """Evaluation cases: a line of JSON for each feedback, with the input of its run and the state of its thread."""
    async with connection(services.pool) as held:
        cursor = await held.execute(
            "SELECT f.feedback_id, f.thread_id, f.run_id, f.message_id, f.score, f.comment, f.created_at, f.updated_at,"
            " r.kwargs -> 'input' AS input, t.state_values AS outcome FROM feedback f JOIN threads t USING (thread_id)"
            " LEFT JOIN runs r ON r.run_id = f.run_id AND r.owner = f.owner WHERE f.owner = %s"
            " ORDER BY f.created_at, f.feedback_id",
            (asking.identity,),
        )
        rows = await cursor.fetchall()
    lines = [Json({**_feedback(row), "input": row["input"], "outcome": row["outcome"]}).body for row in rows]
    return Response(b"".join(bytes(line) + b"\n" for line in lines), media_type="application/x-ndjson")


@router.get("/threads/{thread_id}/artifacts")
async def list_artifacts(
    thread_id: str, services: Served, asking: Asking, limit: int = Query(default=100, ge=1, le=1000),
    offset: int = Query(default=0, ge=0, le=2**62),
) -> Response:  # fmt: skip
    key = checked_uuid(thread_id, "thread")
    await services.threads.get(asking.identity, key)
    found = await services.artifacts.list(asking.identity, key, limit=limit, offset=offset)
    return Json([_artifact(item) for item in found])


@router.get("/artifacts/{artifact_id}")
async def get_artifact(
    artifact_id: str, services: Served, asking: Asking,
    format: Literal["raw", "json", "csv", "parquet", "info"] = "raw",
    limit: int = Query(default=100, ge=1, le=10_000), offset: int = Query(default=0, ge=0, le=2**62),
    range_: Annotated[str | None, Header(alias="range")] = None,
) -> Response:  # fmt: skip
    """The bytes of an artifact, in part with a Range header; of a table also pages of rows with format=json."""
    artifact = await services.artifacts.get(asking.identity, artifact_id)
    if format == "info":
        return Json(_artifact(artifact))
    table = artifact.media_type.startswith("text/csv")
    if format == "parquet":
        raise InvalidInputError("Parquet is not supported.", "Use format=csv.")
    if format == "csv" and not table:
        raise InvalidInputError(f"The artifact is {artifact.media_type}, not a table.", "Leave format out.")
    data = await services.artifacts.read(asking.identity, artifact_id)
    if format == "json" and table:
        return Json(await asyncio.to_thread(_page, data, offset, limit))
    headers = {
        "etag": f'"{artifact.sha256}"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "content-disposition": _disposition(artifact.name, inline=artifact.media_type.partition(";")[0] in INLINE),
    }
    first, last = 0, len(data) - 1
    status = 200
    if range_ is not None and (found := _RANGE.fullmatch(range_.strip())) and any(found.groups()):
        first, last = _span(found[1], found[2], len(data))
        headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
        status = 206
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(
        _chunks(data, first, last), status_code=status, headers=headers, media_type=artifact.media_type
    )


@router.get("/databases")
async def databases(services: Served, asking: Asking, refresh: bool = False) -> Response:
    environment, session = await _catalog(services, asking.identity, None)
    deps = await services.deps()
    found = await deps.catalog.databases(environment, session, refresh=refresh)
    return Json({"environment": environment.id, "databases": found})


@router.get("/tables")
async def tables_in_memory(services: Served, asking: Asking, thread_id: str | None = None) -> Response:
    """The tables in memory: shared ones, and those of a thread's session."""
    environment, session = await _catalog(services, asking.identity, thread_id)
    deps = await services.deps()
    return Json({"tables": [table.to_json() for table in await deps.catalog.tables(environment, session)]})


@router.get("/databases/{database:path}/tables/{table}")
async def table(database: str, table: str, services: Served, asking: Asking, refresh: bool = False) -> Response:
    environment, session = await _catalog(services, asking.identity, None)
    deps = await services.deps()
    name = f"{_database(database)}/{table}"
    return Json((await deps.catalog.describe(environment, session, name, refresh=refresh)).to_json())


@router.get("/databases/{database:path}/tables")
async def tables(database: str, services: Served, asking: Asking, refresh: bool = False) -> Response:
    environment, session = await _catalog(services, asking.identity, None)
    deps = await services.deps()
    found = await deps.catalog.tables(environment, session, _database(database), refresh=refresh)
    return Json({"database": _database(database), "tables": [item.to_json() for item in found]})


@router.post("/script/check")
async def check_script(body: ScriptCheck, asking: Asking) -> Response:  # noqa: ARG001
    """What a script would change, and what is wrong with it; it is not run."""
    from graph.tools.checks import judge

    async with asyncio.timeout(CHECK_SECONDS):
        return Json(await asyncio.to_thread(judge, body.script))


async def _catalog(services: Services, owner: str, thread_id: str | None) -> tuple[Environment, str]:
    """The environment and the session to ask in: the thread's, or one that looks at stored data only."""
    session = f"catalog {owner}"
    if thread_id is not None:
        session = (await services.threads.get(owner, checked_uuid(thread_id, "thread")))["thread_id"]
    deps = await services.deps()
    return await deps.environment(owner, DEFAULT_ENVIRONMENT), session


def _database(text: str) -> str:
    return text if text.startswith("dfs://") else f"dfs://{text.removeprefix('dfs:/').lstrip('/')}"


def _feedback(row: Any) -> dict[str, Any]:
    keys = ("feedback_id", "thread_id", "score", "comment", "created_at", "updated_at")
    return {**{key: row[key] for key in keys}, "run_id": row["run_id"] or None, "message_id": row["message_id"] or None}


def _artifact(artifact: Any) -> dict[str, Any]:
    keys = ("id", "thread_id", "kind", "name", "media_type", "size", "sha256", "created_at")
    return {key: getattr(artifact, key) for key in keys}


def _page(data: bytes, offset: int, limit: int) -> dict[str, Any]:
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    columns = next(rows, [])
    page = list(islice(rows, offset, offset + limit))
    return {
        "columns": columns,
        "rows": page,
        "offset": offset,
        "total": offset + len(page) + sum(1 for _ in rows) if page or offset == 0 else None,
    }


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if first:
        begin, end = int(first), min(int(last), size - 1) if last else size - 1
    else:
        begin, end = max(0, size - int(last)), size - 1
    if begin > end or begin >= size:
        raise RangeError(f"The artifact has {size} bytes.")
    return begin, end


async def _chunks(data: bytes, first: int, last: int) -> AsyncIterator[bytes]:
    for begin in range(first, last + 1, CHUNK_BYTES):
        yield data[begin : min(begin + CHUNK_BYTES, last + 1)]


def _disposition(name: str, *, inline: bool) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name) or "artifact"
    return f'{"inline" if inline else "attachment"}; filename="{plain}"'
