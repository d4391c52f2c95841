"""/mcp: the assistants as tools of the Model Context Protocol, over HTTP without sessions."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Response

from core.errors import InvalidInputError, NotFoundError, UserError
from server.bodies import AssistantSearch, RunCreate
from server.follow import result
from server.identity import Principal
from server.responses import Json, JsonRoute
from server.routes.assistants import graph_schemas, opened_graph, searched
from server.routes.runs import start_run
from server.services import Asking, Served, Services

router = APIRouter(route_class=JsonRoute, tags=["MCP"])

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PAGE = 100
MOST_ASSISTANTS = 1000
NO_METHOD, BAD_PARAMETERS = -32601, -32602
MESSAGES = "#/$defs/AIMessage"
HINTS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}


class _RefusedError(Exception):
    """Said in the protocol's own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@router.post("/mcp")
async def mcp(message: Annotated[dict[str, Any], Body()], services: Served, asking: Asking) -> Response:
    """One message of JSON-RPC: initialize, ping, tools/list, tools/call. A tool is an assistant, called with the input
    of its graph on a thread that is gone afterwards."""
    if message.get("jsonrpc") != "2.0":
        raise InvalidInputError("This is no message of JSON-RPC 2.0.", 'Send "jsonrpc": "2.0".')
    method, number = message.get("method"), message.get("id")
    if number is None or method is None:
        return Response(status_code=202)
    given = message.get("params")
    parameters: dict[str, Any] = given if isinstance(given, dict) else {}
    try:
        said = {"result": await _answer(services, asking, str(method), parameters)}
    except _RefusedError as error:
        said = {"error": {"code": error.code, "message": str(error)}}
    return Json({"jsonrpc": "2.0", "id": number, **said})


@router.post("/a2a/{assistant_id}", include_in_schema=False)
async def agent_to_agent(assistant_id: str) -> Response:  # noqa: ARG001
    raise NotFoundError("This server does not speak A2A.", "Use the thread API, or MCP at /mcp.")


async def _answer(services: Services, asking: Principal, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        wanted = parameters.get("protocolVersion")
        return {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[-1],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "ddb-agent", "version": version("ddb-agent")},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return await _tools(services, asking, parameters.get("cursor"))
    if method == "tools/call":
        return await _call(services, asking, parameters)
    raise _RefusedError(NO_METHOD, f"Method not found: {method}")


async def _tools(services: Services, asking: Principal, cursor: Any) -> dict[str, Any]:
    offset = int(cursor) if isinstance(cursor, str) and cursor.isdigit() and len(cursor) < 10 else 0
    found, more = await searched(services, asking, AssistantSearch(limit=PAGE, offset=offset))
    tools: dict[str, dict[str, Any]] = {}
    for assistant in found:
        name = _name(assistant["name"])
        if not name or name in tools or assistant["graph_id"] not in services.graphs:
            continue
        async with opened_graph(services, asking, assistant) as graph:
            schema = graph_schemas(graph)["input_schema"]
        tools[name] = {
            "name": name,
            "title": assistant["name"],
            "description": assistant["description"] or f"The assistant {assistant['name']}",
            "inputSchema": {"type": "object", **_plain(schema or {})},
            "annotations": HINTS,
        }
    return {"tools": list(tools.values()), **({"nextCursor": str(offset + PAGE)} if more else {})}


async def _call(services: Services, asking: Principal, parameters: dict[str, Any]) -> dict[str, Any]:
    name = parameters.get("name")
    found, _ = await searched(services, asking, AssistantSearch(limit=MOST_ASSISTANTS))
    matching = [assistant["assistant_id"] for assistant in found if name and _name(assistant["name"]) == name]
    if len(matching) != 1:
        why = "Multiple tools found with the same name" if matching else "Unknown tool"
        raise _RefusedError(BAD_PARAMETERS, f"{why}: {name}")
    context = parameters.get("context")
    try:
        body = RunCreate(
            assistant_id=matching[0],
            input=parameters.get("arguments") or {},
            context=context if isinstance(context, dict) else None,
        )
        run = await start_run(services, asking, None, body)
    except UserError as error:
        raise _RefusedError(BAD_PARAMETERS, str(error)) from error
    output = b"{}"
    async for part in result(services.worker, services.runs, run.owner, run.thread_id, run.run_id):
        output = part or output
    failure = (orjson.loads(output).get("__error__") or {}) if output.startswith(b'{"__error__"') else {}
    text = f"{failure.get('error')}: {failure.get('message')}" if failure else output.decode()
    return {"content": [{"type": "text", "text": text}], "isError": bool(failure)}


def _name(text: str) -> str:
    """An assistant's name as a tool may be called."""
    return re.sub(r"[^\w.-]", "", re.sub(r"\s+", "_", text.strip()), flags=re.ASCII)[:128]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with a text where messages may be: a model writes it more easily, and a graph takes it."""
    properties = {
        name: {"type": "string", "title": part.get("title", name), "description": "What the user says."}
        if MESSAGES in orjson.dumps(part.get("items", {})).decode()
        else part
        for name, part in schema.get("properties", {}).items()
    }
    plain = {**schema, "properties": properties}
    kinds = plain.pop("$defs", {})
    needed: dict[str, Any] = {}
    while more := {
        name: kind for name, kind in kinds.items()
        if name not in needed and f'"#/$defs/{name}"' in orjson.dumps([plain, needed]).decode()
    }:  # fmt: skip
        needed |= more
    return {**plain, "$defs": needed} if needed else plain
