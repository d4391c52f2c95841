"""/assistants"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from langgraph.channels.base import BaseChannel
from pydantic import create_model

from core.errors import InvalidInputError, NotFoundError
from server import answers
from server.assistants import assistant_reference
from server.bodies import (
    AssistantCount,
    AssistantCreate,
    AssistantPatch,
    AssistantSearch,
    AssistantVersion,
    AssistantVersions,
)
from server.graphs import Graph
from server.identity import Principal
from server.ids import checked_uuid, new_id
from server.removal import remove_threads_of
from server.responses import Json, JsonRoute, page_headers, selected
from server.rules import Scope
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, prefix="/assistants", tags=["Assistants"])


@router.post("", response_model=answers.Assistant)
async def create(body: AssistantCreate, services: Served, asking: Asking) -> Response:
    _known_graph(services, body.graph_id)
    body.assistant_id = body.assistant_id or new_id()
    value = {**body.model_dump(exclude={"if_exists", "description"}), "assistant_id": UUID(body.assistant_id)}
    scope = await services.rules.create(asking, "assistants", value)
    body.metadata = value.get("metadata") or {}
    acting = asking
    if body.if_exists == "do_nothing":
        acting = await services.rules.maker(asking, "assistants", body.assistant_id, scope)
    return Json(await services.assistants.create(acting, body))


@router.post("/search", response_model=list[answers.Assistant])
async def search(services: Served, asking: Asking, body: AssistantSearch | None = None) -> Response:
    body = body or AssistantSearch()
    rows, more = await searched(services, asking, body)
    return Json(selected(rows, body.select), headers=page_headers(body.limit, body.offset, len(rows), more=more))


@router.post("/count", response_model=int)
async def count(services: Served, asking: Asking, body: AssistantCount | None = None) -> Response:
    body = body or AssistantCount()
    return Json(await services.assistants.count(asking.identity, body, await _scope(services, asking, body)))


@router.get("/{assistant_id}", response_model=answers.Assistant)
async def get(assistant_id: str, services: Served, asking: Asking) -> Response:
    return Json(await _found(services, asking, _uuid(assistant_id)))


@router.patch("/{assistant_id}", response_model=answers.Assistant)
async def patch(assistant_id: str, body: AssistantPatch, services: Served, asking: Asking) -> Response:
    if body.graph_id is not None:
        _known_graph(services, body.graph_id)
    key = _uuid(assistant_id)
    value = {**body.model_dump(exclude={"description"}), "metadata": body.metadata or {}}
    acting = await services.rules.assistant(asking, key, "update", value)
    body.metadata = value.get("metadata") or body.metadata
    return Json(await services.assistants.patch(acting, key, body))


@router.delete("/{assistant_id}", status_code=204)
async def delete(assistant_id: str, services: Served, asking: Asking, delete_threads: bool = False) -> Response:
    key = _uuid(assistant_id)
    acting = await services.rules.assistant(asking, key, "delete")
    await services.assistants.delete(acting, key)
    if delete_threads:
        await remove_threads_of(services, acting.identity, key)
    return Response(status_code=204)


@router.get("/{assistant_id}/graph", response_model=answers.Json)
async def graph(assistant_id: str, services: Served, asking: Asking, xray: str = Query(default="false")) -> Response:
    found = await _found(services, asking, assistant_reference(assistant_id, services.graphs.names))
    depth: bool | int = xray.lower() == "true"
    if xray.isdigit() and 0 < int(xray) < 100:
        depth = int(xray)
    elif xray.lower() not in ("true", "false"):
        raise InvalidInputError("xray is true, false, or a positive number.")
    async with opened_graph(services, asking, found) as opened:
        drawn = (await opened.aget_graph(xray=depth)).to_json()
    for node in drawn.get("nodes", []):
        data = node.get("data")
        if isinstance(data, dict):
            node["data"] = {key: value for key, value in data.items() if key != "id"}
    return Json(drawn)


@router.get("/{assistant_id}/schemas", response_model=answers.Schemas)
async def schemas(assistant_id: str, services: Served, asking: Asking) -> Response:
    found = await _found(services, asking, assistant_reference(assistant_id, services.graphs.names))
    async with opened_graph(services, asking, found) as opened:
        return Json({"graph_id": found["graph_id"], **graph_schemas(opened)})


@router.get("/{assistant_id}/subgraphs", response_model=dict[str, answers.Schemas])
async def subgraphs(assistant_id: str, services: Served, asking: Asking, recurse: bool = False) -> Response:
    return await _subgraphs(services, asking, assistant_id, None, recurse=recurse)


@router.get("/{assistant_id}/subgraphs/{namespace}", response_model=dict[str, answers.Schemas])
async def subgraphs_of(
    assistant_id: str, namespace: str, services: Served, asking: Asking, recurse: bool = False
) -> Response:
    return await _subgraphs(services, asking, assistant_id, namespace, recurse=recurse)


@router.post("/{assistant_id}/versions", response_model=list[answers.Assistant])
async def versions(
    assistant_id: str, services: Served, asking: Asking, body: AssistantVersions | None = None
) -> Response:
    body = body or AssistantVersions()
    key = _uuid(assistant_id)
    owner = (await services.rules.assistant(asking, key, "read")).identity
    found = await services.assistants.versions(owner, key, metadata=body.metadata, limit=body.limit, offset=body.offset)
    return Json(found)


@router.post("/{assistant_id}/latest", response_model=answers.Assistant)
async def latest(assistant_id: str, body: AssistantVersion, services: Served, asking: Asking) -> Response:
    key = _uuid(assistant_id)
    acting = await services.rules.assistant(asking, key, "update", {"version": body.version})
    return Json(await services.assistants.set_latest(acting, key, body.version))


async def searched(services: Services, asking: Principal, search: AssistantSearch) -> tuple[list[dict[str, Any]], bool]:
    """A page of the assistants that `asking` sees, and whether there are more."""
    return await services.assistants.search(asking.identity, search, await _scope(services, asking, search))


def graph_schemas(graph: Graph) -> dict[str, Any]:
    """JSON schemas of what goes in and out; None where there is no schema to be had."""
    context = _schema(graph.get_context_jsonschema)
    return {
        "input_schema": _schema(graph.get_input_jsonschema),
        "output_schema": _schema(graph.get_output_jsonschema),
        "state_schema": _schema(lambda: _state_schema(graph)),
        # What clients of before `context` was there fill in as `configurable`.
        "config_schema": context or {},
        "context_schema": context,
    }


def _schema(make: Any) -> Any:
    try:
        return make()
    except Exception:  # pydantic raises errors of many kinds for types that have no JSON schema
        return None


def _state_schema(graph: Graph) -> Any:
    fields: dict[str, Any] = {
        key: (channel.UpdateType, None)
        for key, channel in graph.channels.items()
        if isinstance(channel, BaseChannel) and key in graph.stream_channels_list
    }
    return create_model(graph.get_name("State"), **fields).model_json_schema()


async def _subgraphs(
    services: Services, asking: Principal, assistant_id: str, namespace: str | None, *, recurse: bool
) -> Response:
    found = await _found(services, asking, assistant_reference(assistant_id, services.graphs.names))
    async with opened_graph(services, asking, found) as opened:
        return Json(
            {
                name: graph_schemas(inner)
                async for name, inner in opened.aget_subgraphs(namespace=namespace, recurse=recurse)
            }
        )


def opened_graph(services: Services, asking: Principal, assistant: dict[str, Any]) -> Any:
    """The graph of an assistant, to look at."""
    return services.graphs.open(
        assistant["graph_id"], config=assistant["config"], access="assistants.read", user=asking, owner=asking.identity
    )


async def _found(services: Services, asking: Principal, assistant_id: str) -> dict[str, Any]:
    owner = (await services.rules.assistant(asking, assistant_id, "read")).identity
    return await services.assistants.get(owner, assistant_id)


async def _scope(services: Services, asking: Principal, search: AssistantCount) -> Scope | None:
    """Which assistants are searched; a rule may change what for."""
    scope = await services.rules.scope(asking, "assistants", search)
    if search.graph_id is not None:
        _known_graph(services, search.graph_id)
    return scope


def _known_graph(services: Services, graph_id: str) -> None:
    if graph_id not in services.graphs:
        raise NotFoundError(f"Graph {graph_id!r} not found. Expected one of: {sorted(services.graphs.names)}")


def _uuid(assistant_id: str) -> str:
    return checked_uuid(assistant_id, "assistant")
