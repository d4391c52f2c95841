"""Making an environment.

START -> name -> validate -> confirm -> create_database -> wait_database -> secure -> create_workspace
      -> wait_workspace -> check -> END, and from each of them -> compensate -> END

Durable: run it with durability "sync". Every step enters what it is about to do before it does it, so that a run
that was killed anywhere goes on, and what nobody goes on with is taken away by the reaper.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from core.cancellation import raise_if_cancelled
from core.errors import DatabaseUnavailableError, UserError
from provision.confirmation import Response, confirmation, place
from provision.provider import Role
from provision.records import EnvironmentRecord
from provision.removal import Removal
from provision.specs import EnvironmentRequest, validated
from provision.steps import HeldElsewhereError, Steps, lost
from provision.store import new_id
from provision.vault import random_password

log = logging.getLogger(__name__)

Goto = Command[Any]
COMPENSATE = "compensate"


@dataclass(frozen=True)
class ProvisionContext:
    """Who asks, and for which thread. A server that authenticates users says who they are itself."""

    owner: str = "local"
    thread_id: str | None = None


class ProvisionInput(TypedDict, total=False):
    """`request` has the fields of EnvironmentRequest. `approved` tells that a person has agreed already."""

    request: dict[str, Any]
    environment_id: str
    approved: bool


class ProvisionState(ProvisionInput, total=False):
    error: str
    state: str
    version: str


def build_provision_graph(
    steps: Steps, removal: Removal
) -> StateGraph[ProvisionState, ProvisionContext, ProvisionInput, ProvisionState]:
    """The graph, not compiled: each host compiles it with its own checkpointer."""
    nodes = _Nodes(steps, removal)
    graph = StateGraph(
        ProvisionState, context_schema=ProvisionContext, input_schema=ProvisionInput, output_schema=ProvisionState
    )
    graph.add_node("name", nodes.name)
    graph.add_node("validate", nodes.validate)
    graph.add_node("confirm", nodes.confirm, destinations=("validate", "create_database", COMPENSATE, END))
    order = ["create_database", "wait_database", "secure", "create_workspace", "wait_workspace", "check"]
    for step in order:
        graph.add_node(step, nodes.step(step), destinations=(*order, COMPENSATE, END))
    graph.add_node(COMPENSATE, nodes.compensate)
    graph.add_edge(START, "name")
    graph.add_edge("name", "validate")
    graph.add_edge("validate", "confirm")
    graph.add_edge(COMPENSATE, END)
    return graph


def owner_of(runtime: Runtime[ProvisionContext]) -> str:
    user = runtime.server_info.user if runtime.server_info else None
    return user.identity if user else (runtime.context or ProvisionContext()).owner


def _say(runtime: Runtime[ProvisionContext], state: ProvisionState, step: str, message: str) -> None:
    runtime.stream_writer(
        {"event": "provisioning", "environment_id": state.get("environment_id"), "step": step, "message": message}
    )


class _Nodes:
    def __init__(self, steps: Steps, removal: Removal) -> None:
        self._steps = steps
        self._removal = removal
        self._work: dict[str, Callable[[EnvironmentRecord], Awaitable[tuple[str, str]]]] = {
            "create_database": lambda record: self._create(record, "database"),
            "wait_database": lambda record: self._wait(record, "database", "secure"),
            "secure": self._secure,
            "create_workspace": lambda record: self._create(record, "workspace"),
            "wait_workspace": lambda record: self._wait(record, "workspace", "check"),
            "check": self._check,
        }

    async def name(self, state: ProvisionState) -> ProvisionState:
        """The id is stored before anything is done under it."""
        return {"environment_id": state.get("environment_id") or new_id(), "error": "", "state": "PENDING"}

    async def validate(self, state: ProvisionState, runtime: Runtime[ProvisionContext]) -> ProvisionState:
        request = validated(EnvironmentRequest.model_validate(state["request"]))
        steps, context = self._steps, runtime.context or ProvisionContext()
        record = await steps.store.add(
            owner_of(runtime),
            state["environment_id"],
            request,
            provider=steps.provider.name,
            region=steps.provider.region,
            thread_id=context.thread_id,
            quota=steps.settings.environments_per_user,
        )
        _say(runtime, state, "validate", f"{record.id}: {request.cpu:g} vCPUs, {request.memory:g} GiB")
        return {"request": request.model_dump(), "state": record.state}

    async def confirm(self, state: ProvisionState, runtime: Runtime[ProvisionContext]) -> Goto:
        steps = self._steps
        record = await steps.store.get(owner_of(runtime), state["environment_id"])
        if record.state == "PENDING" and not state.get("approved"):
            request = EnvironmentRequest.model_validate(state["request"])
            asked = confirmation(request, steps.provider.price(request), place(record.provider, record.region))
            answer = interrupt(asked, response_schema=Response)
            decision = Response.model_validate(answer).decisions[0]
            if decision.type == "reject":
                await steps.store.move(record, ("PENDING",), "declined", decision.message, state="DELETED")
                return Command(goto=END, update={"state": "DELETED", "error": "The request was declined."})
            if decision.type == "edit":
                assert decision.edited_action is not None
                refused = await self._edit(record, decision.edited_action.args)
                if refused is not None:
                    return Command(goto=COMPENSATE, update={"error": refused})
        if record.state == "PENDING":
            vault = steps.vault
            secrets = [vault.encrypt(random_password()) for _ in range(2)]
            begun = await steps.store.begin(record, steps.worker, steps.settings.provision_lease_seconds, *secrets)
            record = begun or await steps.store.get(record.owner, record.id)
        if record.state not in ("PROVISIONING", "RUNNING"):
            return Command(goto=END, update={"state": record.state, "error": str(lost(record))})
        _say(runtime, state, "confirm", "approved")
        return Command(goto="create_database", update={"state": record.state})

    async def _edit(self, record: EnvironmentRecord, wanted: EnvironmentRequest) -> str | None:
        """Takes over what the person changed; why it cannot, if so."""
        try:
            request = validated(wanted.model_copy(update={"name": record.name}))
        except UserError as error:
            return str(error)
        changes = request.model_dump(exclude={"name"})
        await self._steps.store.move(record, ("PENDING",), "edited", "", **changes)
        return None

    def step(self, name: str) -> Callable[..., Awaitable[Goto]]:
        async def node(state: ProvisionState, runtime: Runtime[ProvisionContext]) -> Goto:
            steps = self._steps
            record = await steps.store.get(owner_of(runtime), state["environment_id"])
            if record.state == "RUNNING":
                return Command(goto=END, update={"state": "RUNNING"})
            _say(runtime, state, name, "begun")
            try:
                async with steps.working(record) as held:
                    goto, message = await self._work[name](held)
            except (GraphBubbleUp, DatabaseUnavailableError):
                # Without Postgres nothing can be entered, nor undone: the run stays where it is, to be gone on with.
                raise
            except asyncio.CancelledError:
                if not steps.draining:
                    await asyncio.shield(asyncio.create_task(self._give_back(record, "cancelled", "It was cancelled.")))
                raise
            except HeldElsewhereError as error:
                return Command(goto=END, update={"state": "PROVISIONING", "error": str(error)})
            except UserError as error:
                raise_if_cancelled()
                return Command(goto=COMPENSATE, update={"error": str(error)})
            except Exception as error:
                raise_if_cancelled()
                log.exception("step %s of environment %s failed", name, record.id)
                return Command(goto=COMPENSATE, update={"error": f"{name} failed inside: {type(error).__name__}."})
            _say(runtime, state, name, message)
            update = {"state": "RUNNING", "version": message} if goto == END else {}
            return Command(goto=goto, update=update)

        return node

    async def compensate(self, state: ProvisionState, runtime: Runtime[ProvisionContext]) -> ProvisionState:
        record = await self._steps.store.get(owner_of(runtime), state["environment_id"])
        _say(runtime, state, COMPENSATE, state["error"])
        ended = await self._give_back(record, "failed", state["error"])
        _say(runtime, state, COMPENSATE, ended.state)
        return {"state": ended.state}

    async def _give_back(self, record: EnvironmentRecord, event: str, reason: str) -> EnvironmentRecord:
        store = self._steps.store
        await store.delete(record, "ERROR", event, reason)
        return await self._removal.remove(await store.get(record.owner, record.id), forget_run=False)

    async def _create(self, record: EnvironmentRecord, role: Role) -> tuple[str, str]:
        group = await self._steps.create(record, role)
        return f"wait_{role}", f"created {group.group_id}" + (f" in {group.zone}" if group.zone else "")

    async def _wait(self, record: EnvironmentRecord, role: Role, then: str) -> tuple[str, str]:
        group = await self._steps.wait(record, role)
        if group is None:
            return f"create_{role}", "no stock, trying the next zone"
        return then, "running"

    async def _secure(self, record: EnvironmentRecord) -> tuple[Literal["create_workspace", "check"], str]:
        await self._steps.secure(record)
        return ("create_workspace" if record.workspace else "check"), "the default account is closed"

    async def _check(self, record: EnvironmentRecord) -> tuple[str, str]:
        steps = self._steps
        found = await steps.check(record)
        if await steps.store.run(record, steps.worker) is None:
            raise lost(await steps.store.get(record.owner, record.id))
        return END, found
