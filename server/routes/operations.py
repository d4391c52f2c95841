"""For those who run the server: what it counts, and what its users use."""

from __future__ import annotations

import ipaddress

from fastapi import APIRouter, Query, Request, Response

from server import answers
from server.errors import ForbiddenError
from server.responses import Json, JsonRoute
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["System"])

FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip")


@router.get("/metrics", response_class=Response, responses=answers.TEXT)
async def metrics(request: Request, services: Served) -> Response:
    """In Prometheus' format, for those whom DDB_AGENT_METRICS_ACCESS names."""
    await _check_access(request, services)
    await services.metrics.look(services.pools)
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/usage")
async def usage(
    services: Served, asking: Asking, days: int = Query(default=30, ge=1, le=366), owner: str | None = None,
    everybody: bool = False,
) -> Response:  # fmt: skip
    """Runs, tokens, scripts and the rows these brought: of the user by day; for administrators of any, or of all."""
    if (everybody or owner not in (None, asking.identity)) and not asking.is_admin:
        raise ForbiddenError("Only administrators see what others use.")
    if everybody:
        return Json({"owners": await services.observation.usage.of_everybody(days)})
    name = owner or asking.identity
    return Json({"owner": name, "days": await services.observation.usage.of_user(name, days)})


async def _check_access(request: Request, services: Services) -> None:
    access = services.watch.metrics_access
    if access == "everyone" or (access == "loopback" and _on_this_machine(request)):
        return
    if not (await services.authenticate(request)).is_admin:
        raise ForbiddenError("Only administrators read the metrics from here.", "See DDB_AGENT_METRICS_ACCESS.")


def _on_this_machine(request: Request) -> bool:
    """Whether the request comes from this machine itself, not through a proxy on it."""
    if request.client is None or any(name in request.headers for name in FORWARDING):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
