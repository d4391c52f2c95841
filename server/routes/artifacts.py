"""/artifacts: results, charts and documents; whole, in part, or as pages of rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from core.artifacts import Artifact
from core.errors import InvalidInputError, UserError
from server.ids import checked_uuid
from server.responses import Json, JsonRoute
from server.services import Asking, Served
from server.tables import page_of, parquet_of

router = APIRouter(route_class=JsonRoute, tags=["Agent"])

CHUNK_BYTES = 262_144
INLINE = {"image/png", "application/json", "text/csv", "text/plain"}
IMAGES = {"png": "image/png", "svg": "image/svg+xml"}
PARQUET = "application/vnd.apache.parquet"
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes, or what was asked for of them", "content": {"*/*": {}}},
    206: {"description": "The bytes of the range", "content": {"*/*": {}}},
    304: {"description": "It is what the client has"},
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeError(UserError):
    """No byte of the artifact lies in the range asked for."""

    status = 416


@router.get("/threads/{thread_id}/artifacts")
async def list_artifacts(
    thread_id: str, services: Served, asking: Asking, limit: int = Query(default=100, ge=1, le=1000),
    offset: int = Query(default=0, ge=0, le=2**62),
) -> Response:  # fmt: skip
    key = checked_uuid(thread_id, "thread")
    await services.threads.get(asking.identity, key)
    found = await services.artifacts.list(asking.identity, key, limit=limit, offset=offset)
    return Json([_described(item) for item in found])


@router.get("/artifacts/{artifact_id}", response_class=Response, responses=ANSWERS)
async def get_artifact(
    artifact_id: str, services: Served, asking: Asking,
    format: Literal["raw", "json", "csv", "parquet", "png", "svg", "info"] = "raw",
    limit: int = Query(default=100, ge=1, le=10_000), offset: int = Query(default=0, ge=0, le=2**62),
    range_: Annotated[str | None, Header(alias="range")] = None,
    if_none_match: Annotated[str | None, Header()] = None, if_range: Annotated[str | None, Header()] = None,
) -> Response:  # fmt: skip
    """The bytes of an artifact, in part with a Range header; a table also as pages of rows (json) and as Parquet."""
    artifact = await services.artifacts.get(asking.identity, artifact_id)
    if format == "info":
        return Json(_described(artifact))
    kind = artifact.media_type.partition(";")[0]
    if format in ("csv", "parquet") and kind != "text/csv":
        raise InvalidInputError(f"The artifact is {kind}, not a table.", "Leave format out.")
    if format in IMAGES and kind != IMAGES[format]:
        raise InvalidInputError(f"The artifact is {kind}, not {IMAGES[format]}.", "Leave format out.")
    etag = f'"{artifact.sha256}{"-parquet" if format == "parquet" else ""}"'
    if format != "json" and _matches(if_none_match, etag):
        return Response(status_code=304, headers={"etag": etag})
    data = await services.artifacts.read(asking.identity, artifact_id)
    if format == "json" and kind == "text/csv":
        return Json(await asyncio.to_thread(page_of, data, offset, limit))
    media_type, name = artifact.media_type, artifact.name
    if format == "parquet":
        data = await asyncio.to_thread(parquet_of, data)
        media_type, name = PARQUET, f"{name.removesuffix('.csv')}.parquet"
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "content-disposition": _disposition(name, inline=media_type.partition(";")[0] in INLINE),
    }
    first, last, status = 0, len(data) - 1, 200
    found = _RANGE.fullmatch((range_ or "").strip())
    if found and any(found.groups()) and if_range in (None, etag):
        first, last = _span(found[1], found[2], len(data))
        headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
        status = 206
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(_chunks(data, first, last), status_code=status, headers=headers, media_type=media_type)


def _described(artifact: Artifact) -> dict[str, Any]:
    keys = ("id", "thread_id", "kind", "name", "media_type", "size", "sha256", "created_at")
    return {key: getattr(artifact, key) for key in keys}


def _matches(given: str | None, etag: str) -> bool:
    known = [each.strip().removeprefix("W/") for each in (given or "").split(",")]
    return etag in known or "*" in known


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
