"""/runs/crons: runs on a schedule."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from server import answers
from server.bodies import CronCount, CronCreate, CronPatch, CronSearch, UuidPath
from server.identity import Principal
from server.ids import checked_uuid
from server.responses import Json, JsonRoute, page_headers, selected
from server.routes.runs import prepare
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["Crons"])


@router.post("/threads/{thread_id}/runs/crons", response_model=answers.Cron)
async def create_for_thread(thread_id: UuidPath, body: CronCreate, services: Served, asking: Asking) -> Response:
    return await _create(services, asking, body, checked_uuid(thread_id, "thread"))


@router.post("/runs/crons", response_model=answers.Cron)
async def create(body: CronCreate, services: Served, asking: Asking) -> Response:
    return await _create(services, asking, body, None)


@router.post("/runs/crons/search", response_model=list[answers.Cron])
async def search(services: Served, asking: Asking, body: CronSearch | None = None) -> Response:
    body = body or CronSearch()
    rows, more = await services.crons.search(asking.identity, body, await services.rules.scope(asking, "crons", body))
    return Json(selected(rows, body.select), headers=page_headers(body.limit, body.offset, len(rows), more=more))


@router.post("/runs/crons/count", response_model=int)
async def count(services: Served, asking: Asking, body: CronCount | None = None) -> Response:
    body = body or CronCount()
    return Json(await services.crons.count(asking.identity, body, await services.rules.scope(asking, "crons", body)))


@router.get("/runs/crons/{cron_id}", response_model=answers.Cron)
async def get(cron_id: UuidPath, services: Served, asking: Asking) -> Response:
    key = checked_uuid(cron_id, "cron")
    return Json(await services.crons.get((await services.rules.cron(asking, key, "read")).identity, key))


@router.patch("/runs/crons/{cron_id}", response_model=answers.Cron)
async def patch(cron_id: UuidPath, body: CronPatch, services: Served, asking: Asking) -> Response:
    if body.webhook is not None:
        await services.webhooks.check(body.webhook)
    key = checked_uuid(cron_id, "cron")
    value: dict[str, Any] = {
        "payload": body.model_dump(exclude_unset=True),
        "schedule": body.schedule,
        "metadata": body.metadata or {},
    }
    acting = await services.rules.cron(asking, key, "update", value)
    if value.get("metadata"):
        body.metadata = value["metadata"]
    return Json(await services.crons.patch(acting.identity, key, body))


@router.delete("/runs/crons/{cron_id}", status_code=204)
async def delete(cron_id: UuidPath, services: Served, asking: Asking) -> Response:
    key = checked_uuid(cron_id, "cron")
    await services.crons.delete((await services.rules.cron(asking, key, "delete")).identity, key)
    return Response(status_code=204)


async def _create(services: Services, asking: Principal, body: CronCreate, thread_id: str | None) -> Response:
    assistant = (await prepare(services, asking, body)).assistant_id
    value: dict[str, Any] = {
        "payload": body.model_dump(exclude_unset=True),
        "schedule": body.schedule,
        "thread_id": UUID(thread_id) if thread_id is not None else None,
        "user_id": asking.identity,
        "end_time": body.end_time,
        "metadata": body.metadata or {},
    }
    await services.rules.create(asking, "crons", value)
    body.metadata = value.get("metadata")
    return Json(await services.crons.create(asking, assistant, body, thread_id))
