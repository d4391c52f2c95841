"""Whether the server is well, what it is, and what it counts."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Query, Response

from server.responses import Json, JsonRoute
from server.services import Asking, Served

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


@router.get("/metrics")
async def metrics(services: Served) -> Response:
    begun = time.perf_counter()
    async with services.pool.connection() as held:
        cursor = await held.execute(
            "SELECT count(*) AS n,"
            " coalesce(extract(epoch FROM now() - min(greatest(available_at, created_at))), 0) AS age"
            " FROM runs WHERE status = 'pending' AND available_at <= now()"
        )
        row = await cursor.fetchone()
    assert row is not None
    services.metrics.database_seconds.observe(time.perf_counter() - begun)
    services.metrics.queue_length.set(row["n"])
    services.metrics.queue_age.set(float(row["age"]))
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/usage")
async def usage(services: Served, asking: Asking, days: int = Query(default=30, ge=1, le=366)) -> Response:
    """Runs and tokens of the user by day."""
    async with services.pool.connection() as held:
        cursor = await held.execute(
            "SELECT created_at::date AS day, count(*) AS runs, sum(input_tokens)::bigint AS input_tokens,"
            " sum(output_tokens)::bigint AS output_tokens FROM runs WHERE owner = %s"
            " AND created_at > now() - make_interval(days => %s) GROUP BY 1 ORDER BY 1",
            (asking.identity, days),
        )
        return Json({"owner": asking.identity, "days": await cursor.fetchall()})
