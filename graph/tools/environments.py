"""Tools that rent DolphinDB servers, choose among them, and give them back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.runtime import get_runtime
from pydantic import BaseModel, Field

from core.errors import NotFoundError, UserError
from dolphin.environment import DEFAULT_ENVIRONMENT
from dolphin.script.effects import Effect
from dolphin.sessions import Sessions
from graph.tools.base import Review, Tool, ToolResult, ToolScope
from provision.records import STATIC, EnvironmentRecord
from provision.resolve import usable
from provision.service import UNDER_WAY, Environments, public
from provision.specs import EnvironmentRequest, validated

MARGIN_SECONDS = 10.0
BEHIND = "Nothing that was set in the session before is there."
ENDED = ("DELETED", "ERROR")
SHOWN = ("environment_id", "name", "state", "provider", "cpu", "memory", "workspace", "expires_at", "error")


class CreateEnvironment(EnvironmentRequest):
    """Rent a DolphinDB server; this thread then works in it. The user is asked first and shown the price."""


class ListEnvironments(BaseModel):
    """The user's environments: state, size, end."""

    wait_for: str = Field(default="", description="id or name of one being made: wait until it is RUNNING")


class UseEnvironment(BaseModel):
    """Work in another environment of the user from now on. Variables of the session stay behind. Tell the user."""

    environment: str = Field(description='id, name or "default"')


class DeleteEnvironment(BaseModel):
    """Give an environment back. Its data is lost: save before what is to be kept."""

    environment: str = Field(description="id or name")


class ExtendEnvironment(BaseModel):
    """Let an environment live longer."""

    environment: str = Field(description="id or name")
    hours: int = Field(description="1 to 48")


def environment_tools(environments: Environments, sessions: Sessions) -> list[Tool]:
    async def create(arguments: CreateEnvironment, scope: ToolScope) -> ToolResult:
        request = EnvironmentRequest(**arguments.model_dump())
        environment_id = _id_of(scope)
        try:
            record = await environments.start(
                scope.owner, request, thread_id=scope.thread_id, environment_id=environment_id
            )
            record = await _followed(environments, record, scope)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.create_task(_taken_back(environments, scope.owner, environment_id)))
            raise
        if record.state == "RUNNING" or record.state in UNDER_WAY:
            await environments.choose(scope.owner, scope.thread_id, record.id)
        if record.state == "RUNNING":
            return _told(f"This thread works in it from now on. {BEHIND}", record, record.id)
        if record.state in UNDER_WAY:
            return _told(f"This thread will work in it. {_how_to_wait(record)}", record, record.id)
        raise UserError(f"Environment {record.name!r} is {record.state}: {record.error or 'it was given back'}")

    async def list_all(arguments: ListEnvironments, scope: ToolScope) -> ToolResult:
        if arguments.wait_for:
            record = await environments.resume(scope.owner, arguments.wait_for)
            record = await _followed(environments, record, scope)
            if record.state in UNDER_WAY:
                return _told(_how_to_wait(record), record)
        records = await environments.list(scope.owner)
        shown = [_shown(record) for record in records]
        return _json({"environments": shown, "this_thread_works_in": scope.reference})

    async def use(arguments: UseEnvironment, scope: ToolScope) -> ToolResult:
        if arguments.environment == DEFAULT_ENVIRONMENT:
            await sessions.close_thread(scope.thread_id)
            await environments.choose(scope.owner, scope.thread_id, DEFAULT_ENVIRONMENT)
            note = f"This thread works in the default environment from now on. {BEHIND}"
            return ToolResult(note, environment=DEFAULT_ENVIRONMENT)
        record = await environments.get(scope.owner, arguments.environment)
        waits = record.state in UNDER_WAY
        if not waits:
            usable(record)
        if record.id != scope.reference:
            await sessions.close_thread(scope.thread_id)
        await environments.choose(scope.owner, scope.thread_id, record.id)
        note = _how_to_wait(record) if waits else "This thread works in it from now on."
        return _told(f"{note} {BEHIND}", record, record.id)

    async def delete(arguments: DeleteEnvironment, scope: ToolScope) -> ToolResult:
        record = await _live_or_ended(environments, scope.owner, arguments.environment)
        if record.state in ENDED:
            return _told("It is gone already.", record)
        record = await environments.delete(scope.owner, record.id)
        if record.provider == STATIC:
            return _told("The server is the user's own: it is forgotten here, and its data stays.", record)
        return _told("It will be gone soon." if record.state == "DELETING" else "It is gone.", record)

    async def extend(arguments: ExtendEnvironment, scope: ToolScope) -> ToolResult:
        record = await environments.extend(scope.owner, arguments.environment, arguments.hours)
        return _told("Extended.", record)

    async def describe_create(arguments: CreateEnvironment, owner: str) -> str:
        return await environments.proposal(owner, EnvironmentRequest(**arguments.model_dump()))

    async def describe_delete(arguments: DeleteEnvironment, owner: str) -> str:
        record = await _found(environments, owner, arguments.environment)
        if record is not None and record.provider == STATIC:
            return f"Forget the server {record.name} ({record.host}:{record.port}); its data stays."
        return f"Delete environment {_named(record, arguments.environment)} with all its data."

    async def describe_extend(arguments: ExtendEnvironment, owner: str) -> str:
        record = await _found(environments, owner, arguments.environment)
        text = f"Extend environment {_named(record, arguments.environment)} by {arguments.hours} h"
        return f"{text}: {_price(environments, record, arguments.hours)}."

    return [
        Tool(
            "create_environment",
            CreateEnvironment,
            create,
            review=Review(Effect.admin, describe_create, resumes=True),
            moves=True,
        ),
        Tool("list_environments", ListEnvironments, list_all),
        Tool("use_environment", UseEnvironment, use, moves=True, for_renters=True),
        Tool(
            "delete_environment",
            DeleteEnvironment,
            delete,
            review=Review(Effect.destroy, describe_delete, resumes=True),
            moves=True,
            for_renters=True,
        ),
        Tool(
            "extend_environment",
            ExtendEnvironment,
            extend,
            review=Review(Effect.admin, describe_extend),
            for_renters=True,
        ),
    ]


def _id_of(scope: ToolScope) -> str:
    """The same when the call is sent again after a kill, so that nothing is made twice."""
    return f"env-{hashlib.sha256(f'{scope.owner}:{scope.thread_id}:{scope.call_key}'.encode()).hexdigest()[:20]}"


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
        pass
    return await environments.get(scope.owner, record.id)


async def _taken_back(environments: Environments, owner: str, environment_id: str) -> None:
    """After a cancellation, unless it is the process that ends: then somebody goes on with it."""
    if environments.steps.draining or get_runtime().drain_requested:
        return
    with contextlib.suppress(NotFoundError):
        await environments.delete(owner, environment_id)


async def _live_or_ended(environments: Environments, owner: str, reference: str) -> EnvironmentRecord:
    """By id or name, the name of an ended one too: a deletion that is sent again finds what it did."""
    try:
        return await environments.get(owner, reference)
    except NotFoundError:
        for record in await environments.list(owner, ended=True):
            if record.name == reference:
                return record
        raise


async def _found(environments: Environments, owner: str, reference: str) -> EnvironmentRecord | None:
    """None when there is none: what a person was asked about may be gone when they answer."""
    try:
        return await environments.get(owner, reference)
    except NotFoundError:
        return None


def _named(record: EnvironmentRecord | None, reference: str) -> str:
    if record is None or record.cpu is None or record.memory is None:
        return reference
    return f"{record.name} ({record.id}, {record.cpu:g} vCPUs, {record.memory:g} GiB)"


def _price(environments: Environments, record: EnvironmentRecord | None, hours: int) -> str:
    if record is None or record.cpu is None:
        return "at its price"
    names = ("name", "cpu", "memory", "workspace", "spot")
    wanted = EnvironmentRequest(hours=hours, **{name: getattr(record, name) for name in names})
    try:
        provider = environments.providers.get(record.provider, record.region)
        return str(provider.price(validated(wanted)))
    except UserError:
        return "at its price"


def _how_to_wait(record: EnvironmentRecord) -> str:
    return f"It is still being made; list_environments with wait_for {record.name!r} waits until it is RUNNING."


def _shown(record: EnvironmentRecord) -> dict[str, Any]:
    """What the model needs: no address."""
    described = public(record)
    return {name: described[name] for name in SHOWN if described[name] not in (None, "")}


def _told(note: str, record: EnvironmentRecord, environment: str | None = None) -> ToolResult:
    result = _json({"note": note, "environment": _shown(record)})
    return ToolResult(result.content, environment=environment)


def _json(value: dict[str, Any]) -> ToolResult:
    return ToolResult(json.dumps(value, ensure_ascii=False))
