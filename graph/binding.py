"""Which environment a thread works in, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from core.errors import ConflictError, NotFoundError
from dolphin.environment import DEFAULT_ENVIRONMENT, Environment
from graph.deps import Deps
from graph.phrases import phrase
from graph.state import Notices, State
from graph.tools import Tool, Toolbox
from provision.records import STATIC, EnvironmentRecord
from provision.resolve import usable
from provision.service import UNDER_WAY
from provision.store import LIVE, not_found

WAYS_OUT = 'Offer to rent another one (create_environment), or to go back with use_environment "default".'


def reference_of(state: Mapping[str, Any]) -> str:
    """What the thread holds."""
    return str(state.get("environment") or DEFAULT_ENVIRONMENT)


@dataclass(frozen=True)
class Surroundings:
    """`environment` is what a thread works in, None for the default one; `known` are its user's: those that live, have
    just ended, or are worked in."""

    environment: EnvironmentRecord | None
    known: Sequence[EnvironmentRecord]

    @property
    def rents(self) -> bool:
        return any(record.state in LIVE for record in self.known) or self.environment is not None


async def look(deps: Deps, owner: str, state: State) -> Surroundings:
    """Raises NotFoundError when the thread works in an environment that the owner does not have."""
    reference = reference_of(state)
    known = await deps.environments.recent(owner, reference)
    if reference == DEFAULT_ENVIRONMENT:
        return Surroundings(None, known)
    for record in known:
        if record.id == reference or (record.name == reference and record.state in LIVE):
            return Surroundings(record, known)
    raise not_found(reference)


async def bound(deps: Deps, owner: str, state: State) -> EnvironmentRecord | None:
    """The environment that the thread works in, None for the default one.

    Raises NotFoundError for one that the owner does not have.
    """
    reference = reference_of(state)
    return None if reference == DEFAULT_ENVIRONMENT else await deps.environments.get(owner, reference)


async def usable_tools(deps: Deps, tools: Toolbox, owner: str, state: State) -> list[Tool]:
    """The tools that the model has now."""
    try:
        return tools.usable(state.get("mode") or "act", await bound(deps, owner, state))
    except NotFoundError:
        return []


def news(deps: Deps, thread_id: str, surroundings: Surroundings, notices: Notices, question: str) -> Notices:
    """The thread's notices, and those that it has not been told yet, in the language of the question."""
    works_in = surroundings.environment.id if surroundings.environment else ""
    found = deps.environments.notices(surroundings.known, thread_id, works_in)
    fresh = [notice for notice in found if notice.key not in notices["told"]]
    return Notices(
        task=notices["task"],
        texts=[*notices["texts"], *(phrase(notice.kind, question, **notice.values) for notice in fresh)],
        told=[*notices["told"], *(notice.key for notice in fresh)],
    )


def noted(state: State, task: str) -> Notices:
    """The thread's notices, without the texts of earlier tasks."""
    held = state.get("notices")
    if held is None:
        return Notices(task=task, texts=[], told=[])
    return held if held["task"] == task else Notices(task=task, texts=[], told=held["told"])


async def resolved(deps: Deps, owner: str, reference: str) -> Environment:
    """The server that `reference` means now. Raises UserError that tells the model what to do instead."""
    try:
        return await deps.environment(owner, reference)
    except (ConflictError, NotFoundError) as error:
        if reference == DEFAULT_ENVIRONMENT:
            raise
        raise type(error)(error.message, await _remedy(deps, owner, reference)) from None


async def _remedy(deps: Deps, owner: str, reference: str) -> str:
    try:
        record = await deps.environments.get(owner, reference)
    except NotFoundError:
        return WAYS_OUT
    return f"Wait for it with list_environments, wait_for {record.name!r}." if record.state in UNDER_WAY else WAYS_OUT


def described(record: EnvironmentRecord | None, notices: Notices) -> str:
    """For the prompt: what the thread works in, and what is to be said of it."""
    return "\n".join([_described(record), *notices["texts"]])


def _described(record: EnvironmentRecord | None) -> str:
    """The same words until something changes."""
    if record is None:
        return f"DolphinDB environment: {DEFAULT_ENVIRONMENT}"
    parts = [f"DolphinDB environment: {record.name!r} ({record.id})"]
    if record.provider == STATIC:
        parts.append("a server of the user's own")
    elif record.cpu is not None and record.memory is not None:
        parts.append(f"rented, {record.cpu:g} vCPUs, {record.memory:g} GiB")
    if record.workspace:
        parts.append("with a workspace for files and commands")
    if record.expires_at is not None:
        parts.append(f"ends {record.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    line = f"{', '.join(parts)}."
    try:
        usable(record)
    except ConflictError as error:
        waits = record.state in UNDER_WAY
        return f"{line} {error.message} {error.remedy if waits else WAYS_OUT}"
    return line
