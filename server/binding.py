"""Which environment a thread works in: named when the thread is made, with a run, or chosen by the agent itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInputError
from core.postgres import Pool, connection
from dolphin.environment import DEFAULT_ENVIRONMENT
from provision.records import EnvironmentRecord
from provision.resolve import usable
from provision.service import UNDER_WAY
from server.ids import graph_assistant_id

if TYPE_CHECKING:
    from server.services import Services

KEY = "environment_id"
INPUT = "environment"
# Under this name clients of other graphs keep what they like; ours is known by its form.
OUR_ID = re.compile(r"env-[0-9a-f]{20}")


async def bindable(services: Services, owner: str, reference: object) -> EnvironmentRecord:
    """The owner's environment, running or being made.

    Raises NotFoundError, also for another's; ConflictError with what to do when it is no more.
    """
    if not isinstance(reference, str) or not reference:
        raise InvalidInputError("An environment is named by its id or name.", "List your environments to see them.")
    record = await (await services.environments()).get(owner, reference)
    return record if record.state in UNDER_WAY else usable(record)


async def bound_metadata(services: Services, owner: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a thread, with the environment that it names checked and given by its id."""
    reference = metadata.get(KEY)
    other = metadata.get(INPUT)
    if reference is None and isinstance(other, str) and OUR_ID.fullmatch(other):
        reference = other
    if not services.agents or reference is None or reference == DEFAULT_ENVIRONMENT:
        return dict(metadata)
    return {**metadata, KEY: (await bindable(services, owner, reference)).id}


async def bound_input(services: Services, owner: str, thread_id: str | None, assistant_id: str, given: Any) -> Any:
    """The input of a run of the agent, with the environment that it names or else the one its thread was given."""
    if not isinstance(given, dict) or not services.agents:
        return given
    if not await _is_agent(services, owner, assistant_id):
        return given
    values = {key: value for key, value in given.items() if key != KEY}
    reference = given.get(INPUT, given.get(KEY))
    if reference is not None:
        chosen = reference
        if reference != DEFAULT_ENVIRONMENT:
            chosen = (await bindable(services, owner, reference)).id
        return {**values, INPUT: chosen}
    wanted = await _wanted(services, owner, thread_id) if thread_id is not None else None
    return {**values, INPUT: wanted} if wanted is not None else values


async def _is_agent(services: Services, owner: str, assistant_id: str) -> bool:
    for name in services.graphs.names:
        if graph_assistant_id(name) == assistant_id:
            return name in services.agents
    return (await services.assistants.get(owner, assistant_id))["graph_id"] in services.agents


async def _wanted(services: Services, owner: str, thread_id: str) -> str | None:
    """The environment in the thread's metadata, unless the latest run that was given one was given that and left it."""
    async with connection(services.pool) as held:
        cursor = await held.execute(
            "SELECT metadata ->> 'environment_id' AS wanted FROM threads"
            " WHERE owner = %(owner)s AND thread_id = %(thread)s AND metadata ? 'environment_id'"
            " AND (metadata ->> 'environment_id' IS DISTINCT FROM"
            " (SELECT kwargs #>> '{input,environment}' FROM runs WHERE owner = %(owner)s AND thread_id = %(thread)s"
            " AND kwargs #>> '{input,environment}' IS NOT NULL ORDER BY created_at DESC LIMIT 1)"
            " OR status <> 'busy' AND state_values ->> 'environment' <> metadata ->> 'environment_id')",
            {"owner": owner, "thread": thread_id},
        )
        row = await cursor.fetchone()
    return None if row is None else row["wanted"]


async def keep_binding(services: Services, owner: str, thread_id: str, assistant_id: str, given: Any) -> None:
    """The environment in the input of a run that was made is its thread's from then on."""
    if isinstance(given, dict) and isinstance(given.get(INPUT), str) and await _is_agent(services, owner, assistant_id):
        await keep_choice(services.pool, owner, thread_id, given[INPUT])


async def keep_choice(pool: Pool, owner: str, thread_id: str, environment_id: str) -> None:
    """Writes into the metadata of a thread what it works in."""
    async with connection(pool) as held:
        await held.execute(
            "UPDATE threads SET metadata = metadata || jsonb_build_object('environment_id', %(environment)s::text)"
            " WHERE owner = %(owner)s AND thread_id = %(thread)s"
            " AND coalesce(metadata ->> 'environment_id', 'default') <> %(environment)s",
            {"owner": owner, "thread": thread_id, "environment": environment_id},
        )
