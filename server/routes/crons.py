"""/runs/crons: runs on a schedule."""

from __future__ import annotations

from fastapi import APIRouter, Response

from server import answers
from server.bodies import CronCount, CronCreate, CronPatch, CronSearch, UuidPath
from server.ids import checked_uuid
from server.responses import Json, JsonRoute, page_headers, selected
from server.routes.runs import prepare
from server.services import Asking, Served

router = APIRouter(route_class=JsonRoute, tags=["Crons"])


@router.post("/threads/{thread_id}/runs/crons", response_model=answers.Cron)
async def create_for_thread(thread_id: UuidPath, body: CronCreate, services: Served, asking: Asking) -> Response:
    assistant, _ = await prepare(services, asking, body)
    return Json(await services.crons.create(asking, assistant, body, checked_uuid(thread_id, "thread")))


@router.post("/runs/crons", response_model=answers.Cron)
async def create(body: CronCreate, services: Served, asking: Asking) -> Response:
    assistant, _ = await prepare(services, asking, body)
    return Json(await services.crons.create(asking, assistant, body, None))


@router.post("/runs/crons/search", response_model=list[answers.Cron])
async def search(services: Served, asking: Asking, body: CronSearch | None = None) -> Response:
    body = body or CronSearch()
    rows, more = await services.crons.search(asking.identity, body)
    return Json(selected(rows, body.select), headers=page_headers(body.limit, body.offset, len(rows), more=more))


@router.post("/runs/crons/count", response_model=int)
async def count(services: Served, asking: Asking, body: CronCount | None = None) -> Response:
    return Json(await services.crons.count(asking.identity, body or CronCount()))


@router.get("/runs/crons/{cron_id}", response_model=answers.Cron)
async def get(cron_id: UuidPath, services: Served, asking: Asking) -> Response:
    return Json(await services.crons.get(asking.identity, checked_uuid(cron_id, "cron")))


@router.patch("/runs/crons/{cron_id}", response_model=answers.Cron)
async def patch(cron_id: UuidPath, body: CronPatch, services: Served, asking: Asking) -> Response:
    if body.webhook is not None:
        await services.webhooks.check(body.webhook)
    return Json(await services.crons.patch(asking.identity, checked_uuid(cron_id, "cron"), body))


@router.delete("/runs/crons/{cron_id}")
async def delete(cron_id: UuidPath, services: Served, asking: Asking) -> Response:
    await services.crons.delete(asking.identity, checked_uuid(cron_id, "cron"))
    return Json({})
