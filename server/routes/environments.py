"""/environments: servers rented or registered, whether they answer, what is in them, and their workspaces."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from core.errors import DolphinDBUnavailableError, InvalidInputError
from provision.proxy import workspace_of
from provision.records import EnvironmentRecord
from provision.resolve import usable
from provision.service import Environments, StaticRequest, public
from provision.specs import EnvironmentRequest, Price
from provision.tickets import TICKET_SECONDS
from server.binding import KEY
from server.ids import checked_uuid
from server.responses import Json, JsonRoute
from server.services import Asking, Served

router = APIRouter(route_class=JsonRoute, prefix="/environments", tags=["Environments"])

CLOSE_SECONDS = 2.0

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**62)]


class EnvironmentCreate(EnvironmentRequest):
    """A server to rent. With `thread_id` the thread works in it from now on, and is told before it ends."""

    thread_id: str | None = None

    @property
    def request(self) -> EnvironmentRequest:
        return EnvironmentRequest(**self.model_dump(exclude={"thread_id"}))


class EnvironmentExtend(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hours: int = Field(description="1 to 48")


@router.post("", status_code=202)
async def create(body: EnvironmentCreate, services: Served, asking: Asking) -> Response:
    """Begins to make an environment; `GET /environments/{id}` tells how it goes."""
    environments, request = await services.environments(), body.request
    thread_id = None
    if body.thread_id is not None:
        thread_id = checked_uuid(body.thread_id, "thread")
        await services.threads.get(asking.identity, thread_id)
    price = environments.price(request)
    record = await environments.start(asking.identity, request, thread_id=thread_id)
    if thread_id is not None:
        await services.threads.patch(asking.identity, thread_id, {KEY: record.id}, None)
    return Json(
        {**public(record), "estimate": _estimate(price)},
        status_code=202,
        headers={"location": f"/environments/{record.id}"},
    )


@router.post("/estimate")
async def estimate(body: EnvironmentRequest, services: Served, asking: Asking) -> Response:  # noqa: ARG001
    """What an environment would be and is likely to cost; nothing is made."""
    environments = await services.environments()
    price = environments.price(body)
    return Json({"description": environments.describe(body), "estimate": _estimate(price)})


@router.post("/static", status_code=201)
async def register(body: StaticRequest, services: Served, asking: Asking) -> Response:
    """Enters a server of the user's own, after connecting to it."""
    try:
        record = await (await services.environments()).register(asking.identity, body)
    except DolphinDBUnavailableError as error:
        raise InvalidInputError(error.message, error.remedy) from None
    return Json(public(record), status_code=201, headers={"location": f"/environments/{record.id}"})


@router.get("")
async def list_environments(
    services: Served, asking: Asking, ended: bool = False, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """The live ones, newest first; with `ended` also those that are no more."""
    environments = await services.environments()
    found = await environments.list(asking.identity, ended=ended, limit=limit, offset=offset)
    return Json([public(record) for record in found])


@router.get("/{environment_id}")
async def get(environment_id: str, services: Served, asking: Asking) -> Response:
    """An environment by its id, or by the name of a live one, with what has happened to it."""
    environments = await services.environments()
    record = await environments.get(asking.identity, environment_id)
    return Json({**public(record), "history": await _history(environments, record)})


@router.delete("/{environment_id}", responses={202: {"description": "It is being deleted."}})
async def delete(environment_id: str, services: Served, asking: Asking) -> Response:
    """200 when it is gone, 202 while it is being deleted."""
    deps = await services.deps()
    environments = deps.environments
    record = await environments.delete(asking.identity, environment_id)
    with suppress(TimeoutError):
        # A script that still waits for the server that is gone keeps its session until it gives up.
        async with asyncio.timeout(CLOSE_SECONDS):
            await deps.sessions.close_environment(record.id)
    return Json(
        {**public(record), "history": await _history(environments, record)},
        status_code=202 if record.state == "DELETING" else 200,
    )


@router.post("/{environment_id}/extend")
async def extend(environment_id: str, body: EnvironmentExtend, services: Served, asking: Asking) -> Response:
    record = await (await services.environments()).extend(asking.identity, environment_id, body.hours)
    return Json(public(record))


@router.get("/{environment_id}/connection")
async def connection(environment_id: str, services: Served, asking: Asking) -> Response:
    """Whether the server answers, and which version it is."""
    return Json(await (await services.environments()).connection(asking.identity, environment_id))


@router.get("/{environment_id}/schema")
async def schema(environment_id: str, services: Served, asking: Asking) -> Response:
    """The databases, their tables and the columns of these."""
    deps = await services.deps()
    return Json(await deps.environments.schema(asking.identity, environment_id, deps.catalog))


@router.post("/{environment_id}/workspace/ticket", status_code=201)
async def ticket(environment_id: str, services: Served, asking: Asking) -> Response:
    """Opens the workspace in a browser: once, within a minute."""
    record = usable(await (await services.environments()).get(asking.identity, environment_id))
    workspace_of(record)
    issued = await services.tickets.issue(record)
    return Json(
        {
            "ticket": issued,
            "url": f"/environments/{record.id}/workspace/?ticket={issued}",
            "expires_in": TICKET_SECONDS,
        },
        status_code=201,
        headers={"cache-control": "no-store"},
    )


async def _history(environments: Environments, record: EnvironmentRecord) -> list[dict[str, Any]]:
    entries = await environments.history(record.owner, record.id)
    return [{"at": each.at, "state": each.state, "event": each.event, "detail": each.detail} for each in entries]


def _estimate(price: Price) -> dict[str, Any]:
    return {"amount": price.amount, "currency": price.currency, "text": str(price)}
