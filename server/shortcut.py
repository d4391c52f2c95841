"""Straight from a path to its endpoint, for the routes that take nothing but ids in the path and a body.

FastAPI tries the routes one by one, twice, and works out for every request anew what its endpoint needs: more work than
a short run. The routes remain FastAPI's own, for the document and for every request that is out of the ordinary.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from server.responses import JsonRequest, JsonRoute

JSON = (b"content-type", b"application/json")
MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


@dataclass(frozen=True)
class _Way:
    """A route, and what its endpoint is asked with; None when that is left to FastAPI."""

    route: APIRoute
    asked: Mapping[str, Callable[[Request], Awaitable[Any]]] | None


class Shortcuts:
    """ASGI. A request for which there is no short way goes to `otherwise`, the application of the routers.

    As there, a request is for the first route that matches it.
    """

    def __init__(self, routers: Iterable[APIRouter], otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        self._ways: dict[tuple[str, int], list[_Way]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    for method in route.methods or ():
                        self._ways.setdefault((method, route.path.count("/")), []).append(_Way(route, _asked(route)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            path = scope["path"]
            for way in self._ways.get((scope["method"], path.count("/")), ()):
                if (found := way.route.path_regex.match(path)) is None:
                    continue
                if way.asked is not None and (way.route.body_field is None or JSON in scope["headers"]):
                    scope.update(route=way.route, endpoint=way.route.endpoint, path_params=found.groupdict())
                    response = await _answered(way.route, way.asked, JsonRequest(scope, receive, send))
                    await response(scope, receive, send)
                    return
                break
        await self._otherwise(scope, receive, send)


async def _answered(
    route: APIRoute, asked: Mapping[str, Callable[[Request], Awaitable[Any]]], request: JsonRequest
) -> Response:
    field = route.body_field
    body = await request.body() if field is not None else b""
    given = await request.json() if body else None
    values: dict[str, Any] = dict(request.path_params)
    for name, ask in asked.items():
        values[name] = await ask(request)
    if field is not None:
        value, errors = field.validate(given, loc=("body",)) if body else (field.get_default(), [])
        if not body and field.field_info.is_required():
            errors = [MISSING]
        if errors:
            raise RequestValidationError(errors, body=given)
        values[field.name] = value
    response: Response = await route.endpoint(**values)
    return response


def _asked(route: APIRoute) -> dict[str, Callable[[Request], Awaitable[Any]]] | None:
    """What an endpoint wants to know of a request, by name; None when it wants something that is not made here."""
    needs = route.dependant
    asked: dict[str, Callable[[Request], Awaitable[Any]]] = {}
    for each in needs.dependencies:
        if each.name is None or each.call is None or not inspect.iscoroutinefunction(each.call):
            return None
        if each.request_param_name is None or _wants(each) or each.path_params or each.body_params or each.dependencies:
            return None
        asked[each.name] = each.call
    plain = all(each.field_info.annotation is str and not each.field_info.metadata for each in needs.path_params)
    if not plain or _wants(needs) or needs.request_param_name or len(needs.body_params) > 1:
        return None
    answer = inspect.signature(route.endpoint, eval_str=True).return_annotation
    answers = inspect.iscoroutinefunction(route.endpoint) and isinstance(answer, type) and issubclass(answer, Response)
    return asked if answers and isinstance(route, JsonRoute) else None


def _wants(needs: Dependant) -> bool:
    """Whether anything is wanted beside the path, the body and the request."""
    return any(
        (
            needs.query_params,
            needs.header_params,
            needs.cookie_params,
            needs.websocket_param_name,
            needs.http_connection_param_name,
            needs.response_param_name,
            needs.background_tasks_param_name,
            needs.security_scopes_param_name,
        )
    )
