"""/store: the user's own items."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from langgraph.store.base import NOT_PROVIDED, InvalidNamespaceError

from core.errors import InvalidInputError
from server import answers
from server.bodies import StoreDelete, StoreNamespaces, StorePut, StoreSearch
from server.responses import Json, JsonRoute
from server.services import Asking, Served, Services
from server.store import OwnedStore

router = APIRouter(route_class=JsonRoute, prefix="/store", tags=["Store"])


@router.put("/items", status_code=204)
async def put(body: StorePut, services: Served, asking: Asking) -> Response:
    namespace = _namespace(body.namespace, empty=False)
    try:
        await _store(services, asking.identity).aput(
            namespace, body.key, body.value, index=body.index, ttl=NOT_PROVIDED if body.ttl is None else body.ttl
        )
    except InvalidNamespaceError as error:
        raise InvalidInputError(str(error)) from error
    return Response(status_code=204)


@router.delete("/items", status_code=204)
async def delete(body: StoreDelete, services: Served, asking: Asking) -> Response:
    await _store(services, asking.identity).adelete(_namespace(body.namespace), body.key)
    return Response(status_code=204)


@router.get("/items", response_model=answers.Item | None)
async def get(
    services: Served, asking: Asking, key: str, namespace: Annotated[list[str] | None, Query()] = None,
    refresh_ttl: bool | None = None,
) -> Response:  # fmt: skip
    parts = [part for item in namespace or [] for part in item.split(".")]
    found = await _store(services, asking.identity).aget(_namespace(parts), key, refresh_ttl=refresh_ttl)
    return Json(found.dict() if found is not None else None)


@router.post("/items/search", response_model=answers.FoundItems)
async def search(services: Served, asking: Asking, body: StoreSearch | None = None) -> Response:
    body = body or StoreSearch()
    try:
        items = await _store(services, asking.identity).asearch(
            _namespace(body.namespace_prefix or []),
            query=body.query,
            filter=body.filter,
            limit=body.limit,
            offset=body.offset,
            refresh_ttl=body.refresh_ttl,
        )
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return Json({"items": [item.dict() for item in items]})


@router.post("/namespaces", response_model=answers.FoundNamespaces)
async def namespaces(services: Served, asking: Asking, body: StoreNamespaces | None = None) -> Response:
    body = body or StoreNamespaces()
    options: dict[str, Any] = {"max_depth": body.max_depth, "limit": body.limit, "offset": body.offset}
    if body.prefix:
        options["prefix"] = _namespace(body.prefix)
    if body.suffix:
        options["suffix"] = _namespace(body.suffix)
    found = await _store(services, asking.identity).alist_namespaces(**options)
    return Json({"namespaces": [list(item) for item in found]})


def _store(services: Services, owner: str) -> OwnedStore:
    return OwnedStore(services.store, owner)


def _namespace(parts: list[str], *, empty: bool = True) -> tuple[str, ...]:
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
