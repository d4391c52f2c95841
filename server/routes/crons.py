"""/runs/crons: runs on a schedule."""

from __future__ import annotations

from fastapi import APIRouter, Response

from server.bodies import CronCreate, CronPatch, CronSearch
from server.ids import checked_uuid
from server.responses import Json, JsonRoute
from server.routes.runs import prepare
from server.services import Asking, Served

router = APIRouter(route_class=JsonRoute, tags=["Crons"])


@router.post("/threads/{thread_id}/runs/crons")
async def create_for_thread(thread_id: str, body: CronCreate, services: Served, asking: Asking) -> Response:
    assistant, _ = await prepare(services, asking, body)
    return Json(await services.crons.create(asking, assistant, body, checked_uuid(thread_id, "thread")))


@router.post("/runs/crons")
async def create(body: CronCreate, services: Served, asking: Asking) -> Response:
    assistant, _ = await prepare(services, asking, body)
    return Json(await services.crons.create(asking, assistant, body, None))


@router.post("/runs/crons/search")
async def search(services: Served, asking: Asking, body: CronSearch | None = None) -> Response:
    body = body or CronSearch()
    rows = await services.crons.search(asking.identity, body)
    return Json(rows if body.select is None else [{key: row.get(key) for key in body.select} for row in rows])


@router.post("/runs/crons/count")
async def count(services: Served, asking: Asking, body: CronSearch | None = None) -> Response:
    return Json(await services.crons.count(asking.identity, body or CronSearch()))


@router.get("/runs/crons/{cron_id}")
async def get(cron_id: str, services: Served, asking: Asking) -> Response:
    return Json(await services.crons.get(asking.identity, checked_uuid(cron_id, "cron")))


@router.patch("/runs/crons/{cron_id}")
async def patch(cron_id: str, body: CronPatch, services: Served, asking: Asking) -> Response:
    if body.webhook is not None:
        await services.webhooks.check(body.webhook)
    return Json(await services.crons.patch(asking.identity, checked_uuid(cron_id, "cron"), body))


@router.delete("/runs/crons/{cron_id}")
async def delete(cron_id: str, services: Served, asking: Asking) -> Response:
    await services.crons.delete(asking.identity, checked_uuid(cron_id, "cron"))
    return Json({})
