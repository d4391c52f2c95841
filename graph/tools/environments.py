"""Tools that rent DolphinDB servers, and give them back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from langgraph.config import get_stream_writer
from pydantic import BaseModel, Field

from core.errors import ConflictError
from dolphin.script.effects import Effect
from graph.tools.base import Review, Tool, ToolResult, ToolScope
from provision.records import EnvironmentRecord
from provision.service import Environments, public
from provision.specs import EnvironmentRequest

MARGIN_SECONDS = 10.0
SHOWN = ("environment_id", "name", "state", "provider", "cpu", "memory", "workspace", "expires_at", "error")


class CreateEnvironment(EnvironmentRequest):
    """Rent a DolphinDB server for some hours, by default with a workspace for files and commands. A person is asked
    first and is shown the estimated price. It takes some minutes; scripts can use it once it is RUNNING."""


class ListEnvironments(BaseModel):
    """List the user's DolphinDB environments: their state, size and when they end."""


class DeleteEnvironment(BaseModel):
    """Delete an environment with all its data. What is to be kept must be saved before."""

    environment: str = Field(description="its id or name")


class ExtendEnvironment(BaseModel):
    """Let an environment live longer."""

    environment: str = Field(description="its id or name")
    hours: int = Field(description="by how many hours, 1 to 48")


def environment_tools(environments: Environments) -> list[Tool]:
    async def create(arguments: CreateEnvironment, scope: ToolScope) -> ToolResult:
        record = await _begun(environments, EnvironmentRequest(**arguments.model_dump()), scope)
        return _json({"environment": _shown(await _followed(environments, record, scope))})

    async def list_all(_arguments: ListEnvironments, scope: ToolScope) -> ToolResult:
        records = await environments.list(scope.owner)
        notices = await environments.notices(scope.owner, scope.thread_id)
        return _json({"environments": [_shown(record) for record in records], "notices": notices})

    async def delete(arguments: DeleteEnvironment, scope: ToolScope) -> ToolResult:
        record = await environments.delete(scope.owner, arguments.environment)
        return _json({"environment": _shown(record)})

    async def extend(arguments: ExtendEnvironment, scope: ToolScope) -> ToolResult:
        record = await environments.extend(scope.owner, arguments.environment, arguments.hours)
        return _json({"environment": _shown(record)})

    return [
        Tool(
            "create_environment",
            CreateEnvironment,
            create,
            review=Review(
                Effect.admin,
                lambda arguments: environments.describe(EnvironmentRequest(**arguments.model_dump())),
                resumes=True,
            ),
        ),
        Tool("list_environments", ListEnvironments, list_all),
        Tool(
            "delete_environment",
            DeleteEnvironment,
            delete,
            review=Review(
                Effect.destroy,
                lambda arguments: f"Delete environment {arguments.environment} with all its data.",
                resumes=True,
            ),
        ),
        Tool(
            "extend_environment",
            ExtendEnvironment,
            extend,
            review=Review(
                Effect.admin,
                lambda arguments: f"Extend environment {arguments.environment} by {arguments.hours} h, at its price.",
            ),
        ),
    ]


async def _begun(environments: Environments, request: EnvironmentRequest, scope: ToolScope) -> EnvironmentRecord:
    """A new environment, or the one that the same call of this thread began before it was interrupted."""
    try:
        return await environments.start(scope.owner, request, thread_id=scope.thread_id)
    except ConflictError:
        for record in await environments.list(scope.owner):
            given = {name: getattr(record, name) for name in EnvironmentRequest.model_fields}
            if record.thread_id == scope.thread_id and given == request.model_dump():
                return await environments.resume(scope.owner, record.id)
        raise


async def _followed(environments: Environments, record: EnvironmentRecord, scope: ToolScope) -> EnvironmentRecord:
    """The record once it is made, or as it is when the time of the call is nearly over; it goes on by itself."""
    say = get_stream_writer()
    try:
        async with asyncio.timeout(max(scope.timeout - MARGIN_SECONDS, 1.0)):
            async for entry in environments.follow(scope.owner, record.id):
                say(
                    {
                        "event": "provisioning",
                        "environment_id": record.id,
                        "step": entry.event,
                        "state": entry.state,
                        "message": entry.detail,
                    }
                )
    except TimeoutError:
        return await environments.get(scope.owner, record.id)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.create_task(_taken_back(environments, record)))
        raise
    return await environments.get(scope.owner, record.id)


async def _taken_back(environments: Environments, record: EnvironmentRecord) -> None:
    if not environments.steps.draining:
        await environments.delete(record.owner, record.id)


def _shown(record: EnvironmentRecord) -> dict[str, Any]:
    """What the model needs: no address."""
    described = public(record)
    return {name: described[name] for name in SHOWN}


def _json(value: dict[str, Any]) -> ToolResult:
    return ToolResult(json.dumps(value, ensure_ascii=False))
