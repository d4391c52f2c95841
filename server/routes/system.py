"""Whether the server is well, and what it is."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Query, Response

from server.responses import Json, JsonRoute
from server.services import Served

router = APIRouter(route_class=JsonRoute, tags=["System"])


HOST_IDS = ("project_id", "host_revision_id", "revision_id", "tenant_id")


@router.get("/ok")
@router.get("/", include_in_schema=False)
async def ok(services: Served, check_db: bool = Query(default=False)) -> Response:
    if check_db:
        async with services.pool.connection() as held:
            await held.execute("SELECT 1")
    return Json({"ok": True, "services": {}})


@router.get("/info")
async def info() -> Response:
    found: dict[str, Any] = {
        "version": version("ddb-agent"),
        "langgraph_py_version": version("langgraph"),
        "flags": {"assistants": True, "crons": True, "langsmith": False, "langsmith_tracing_replicas": False},
        "host": {"kind": "self-hosted", **dict.fromkeys(HOST_IDS)},
    }  # fmt: skip
    return Json(found)
