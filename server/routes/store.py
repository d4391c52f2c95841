"""/store: the user's own items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from langgraph.store.base import NOT_PROVIDED, InvalidNamespaceError
from pydantic import BaseModel

from core.errors import InvalidInputError
from server import answers
from server.bodies import StoreDelete, StoreNamespaces, StorePut, StoreSearch
from server.identity import Principal
from server.responses import Json, JsonRoute
from server.services import Asking, Served, Services
from server.store import OwnedStore

router = APIRouter(route_class=JsonRoute, prefix="/store", tags=["Store"])


@router.put("/items", status_code=204)
async def put(body: StorePut, services: Served, asking: Asking) -> Response:
    value = await _ruled(
        services, asking, "put", _namespace(body.namespace, empty=False), body, "index", "key", "ttl", "value"
    )
    try:
        await _store(services, asking.identity).aput(
            _namespace(value["namespace"], empty=False),
            value["key"],
            value["value"],
            index=value["index"],
            ttl=NOT_PROVIDED if value["ttl"] is None else value["ttl"],
        )
    except InvalidNamespaceError as error:
        raise InvalidInputError(str(error)) from error
    return Response(status_code=204)


@router.delete("/items", status_code=204)
async def delete(body: StoreDelete, services: Served, asking: Asking) -> Response:
    value = await _ruled(services, asking, "delete", _namespace(body.namespace), body, "key")
    await _store(services, asking.identity).adelete(_namespace(value["namespace"]), value["key"])
    return Response(status_code=204)


@router.get("/items", response_model=answers.Item | None)
async def get(
    services: Served, asking: Asking, key: str, namespace: Annotated[list[str] | None, Query()] = None,
    refresh_ttl: bool | None = None,
) -> Response:  # fmt: skip
    parts = _namespace([part for item in namespace or [] for part in item.split(".")])
    value: dict[str, Any] = {"namespace": parts, "key": key, "refresh_ttl": refresh_ttl}
    await services.rules.store(asking, "get", value)
    found = await _store(services, asking.identity).aget(
        _namespace(value["namespace"]), value["key"], refresh_ttl=value["refresh_ttl"]
    )
    return Json(found.dict() if found is not None else None)


@router.post("/items/search", response_model=answers.FoundItems)
async def search(services: Served, asking: Asking, body: StoreSearch | None = None) -> Response:
    body = body or StoreSearch()
    value = await _ruled(
        services, asking, "search", _namespace(body.namespace_prefix or []), body,
        "filter", "limit", "offset", "query", "refresh_ttl",
    )  # fmt: skip
    try:
        items = await _store(services, asking.identity).asearch(
            _namespace(value["namespace"] or ()),
            query=value["query"],
            filter=value["filter"],
            limit=value["limit"],
            offset=value["offset"],
            refresh_ttl=value["refresh_ttl"],
        )
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return Json({"items": [item.dict() for item in items]})


@router.post("/namespaces", response_model=answers.FoundNamespaces)
async def namespaces(services: Served, asking: Asking, body: StoreNamespaces | None = None) -> Response:
    body = body or StoreNamespaces()
    prefix = _namespace(body.prefix) if body.prefix else None
    value = await _ruled(services, asking, "list_namespaces", prefix, body, "suffix", "max_depth", "limit", "offset")
    options: dict[str, Any] = {name: value[name] for name in ("max_depth", "limit", "offset")}
    if value["namespace"]:
        options["prefix"] = _namespace(value["namespace"])
    if value["suffix"]:
        options["suffix"] = _namespace(value["suffix"])
    found = await _store(services, asking.identity).alist_namespaces(**options)
    return Json({"namespaces": [list(item) for item in found]})


async def _ruled(
    services: Services, asking: Principal, action: str, namespace: tuple[str, ...] | None, body: BaseModel, *names: str
) -> dict[str, Any]:
    """What is asked for, as a rule changes it."""
    value = {"namespace": namespace, **{name: getattr(body, name) for name in names}}
    return await services.rules.store(asking, action, value)


def _store(services: Services, owner: str) -> OwnedStore:
    return OwnedStore(services.users_store, owner)


def _namespace(parts: Sequence[str], *, empty: bool = True) -> tuple[str, ...]:
    if not parts and not empty:
        raise _EmptyNamespaceError("Namespace cannot be empty.")
    for part in parts:
        if not part or "." in part:
            raise InvalidInputError(f"Namespace label {part!r} must be a non-empty string without periods")
    if parts and parts[0] == "langgraph":
        raise InvalidInputError("The namespace 'langgraph' is reserved.", "Use another one.")
    return tuple(parts)


class _EmptyNamespaceError(InvalidInputError):
    status = 400
