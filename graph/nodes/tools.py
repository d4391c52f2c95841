"""`tools`: runs the calls of the last reply.

Scripts run one after another in the order of the reply, since they share a session; everything else runs side by
side. An error becomes a result with status "error" and a hint. A script that changes data is entered in the
ledger before it is sent; one that is found there without an outcome is left to the human.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import BaseModel

from core.errors import ConflictError, DolphinDBTimeoutError, DolphinDBUnavailableError, UserError
from dolphin.environment import DEFAULT_ENVIRONMENT
from dolphin.script.effects import Effect
from graph.approval import Policy, unknown_functions
from graph.binding import bound, noted, reference_of, resolved, usable_tools
from graph.deps import Deps
from graph.hints import hint, near_functions
from graph.history import pending_calls, question
from graph.judgement import EDITED_SCRIPT, RAN_IN, Session, judge, ran_in, session_of
from graph.model_call import MALFORMED
from graph.nodes.node import Node
from graph.phrases import phrase
from graph.scope import RunScope, run_scope
from graph.state import Decision, Notices, RunContext, State, Task, changes
from graph.tasks import ARTIFACTS, current_task, failed, tried
from graph.tools import ASK, COMPLETE, PLAN, Tool, Toolbox, ToolResult, ToolScope

log = logging.getLogger(__name__)

GRACE_SECONDS = 15.0
RECORDED = 4_000
ENVIRONMENT = "environment"


class HumanNeededError(Exception):
    """A call cannot go on before a human has decided."""


@dataclass(frozen=True)
class Batch:
    """What the calls of one reply have in common."""

    deps: Deps
    tools: Toolbox
    scope: RunScope
    usable: Sequence[Tool]
    environment: str
    reply_id: str
    decisions: dict[str, Decision]
    malformed: dict[str, str]
    session: Callable[[], Session]
    continued: bool

    async def run(self, call: ToolCall) -> ToolMessage | None:
        """The result of a call, or None when a human must decide first."""
        call_id = call["id"] or ""
        try:
            result = await self._run(call, call_id)
        except HumanNeededError:
            return None
        except UserError as error:
            return self._error(call, await self._described(call, error))
        except TimeoutError:
            return self._error(call, f"{call['name']} took longer than {self._timeout:g} s and was given up.")
        except Exception as error:
            log.exception("tool %s failed", call["name"])
            return self._error(
                call, f"{call['name']} failed inside: {type(error).__name__}. This is a bug; try another way."
            )
        return ToolMessage(
            result.content,
            tool_call_id=call_id,
            name=call["name"],
            artifact=self._kept(call["name"], call_id, result) or None,
        )

    def _kept(self, name: str, call_id: str, result: ToolResult) -> dict[str, Any]:
        """What the message keeps beside its text: where a script ran, ids of artifacts, the environment from now on,
        and a script that differs from the call's."""
        kept: dict[str, Any] = self._place(name)
        if result.artifacts:
            kept[ARTIFACTS] = result.artifacts
        if result.environment is not None:
            kept[ENVIRONMENT] = result.environment
        decision = self.decisions.get(call_id)
        if decision is not None and decision["type"] == "edit" and "script" in decision["args"]:
            kept[EDITED_SCRIPT] = decision["args"]["script"]
        return kept

    def _place(self, name: str) -> dict[str, Any]:
        rented = self.environment != DEFAULT_ENVIRONMENT
        return {RAN_IN: self.environment} if rented and _runs_script(self.tools, name) else {}

    @property
    def _timeout(self) -> float:
        return self.deps.settings.script_timeout

    async def _run(self, call: ToolCall, call_id: str) -> ToolResult:
        tool = self.tools.find(call["name"])
        if tool is None or tool not in self.usable:
            names = ", ".join(sorted(each.name for each in self.usable))
            raise UserError(f"There is no tool named {call['name']!r} here.", f"Use one of: {names}.")
        if call_id in self.malformed:
            raise UserError(
                f"The arguments of {call['name']} were not valid JSON: {self.malformed[call_id][:200]!r}.",
                "Call it again with a JSON object.",
            )
        decision = self.decisions.get(call_id)
        edited = decision is not None and decision["type"] == "edit"
        arguments = tool.parse(decision["args"] if decision is not None and edited else call["args"])
        if tool.run is None:
            return _answered_here(tool.name)
        scope = ToolScope(
            self.scope.owner,
            self.scope.thread_id,
            self.environment,
            partial(resolved, self.deps, self.scope.owner, self.environment),
            self._timeout,
            f"{self.reply_id}:{call_id}",
            self.continued,
        )
        async with asyncio.timeout(self._timeout + GRACE_SECONDS):
            result = await self._guarded(tool, arguments, scope, call_id, decision)
        if edited:
            return replace(result, content=f"{_edited(tool, arguments)}\n{result.content}")
        return result

    async def _guarded(
        self, tool: Tool, arguments: BaseModel, scope: ToolScope, call_id: str, decision: Decision | None
    ) -> ToolResult:
        """Run the call; when it changes data, with an entry in the ledger around it."""
        assert tool.run is not None
        policy = Policy.of(self.scope.allowed_effects)
        undecided = decision is None
        if tool.script is not None:
            found = judge(tool.script(arguments), self.session)
            effect, undecided = found.level, undecided and not policy.allows(found)
            for name in unknown_functions(found, policy) if undecided else ():
                await self._function_exists(name, scope)
        elif tool.review is not None:
            effect = Effect.write if tool.review.effect is None else tool.review.effect
            undecided = undecided and tool.review.effect not in policy.allowed
            if undecided:
                # Tells what makes it pointless to ask.
                await tool.review.describe(arguments, scope.owner)
        else:
            return await tool.run(arguments, scope)
        if undecided:
            raise HumanNeededError
        if effect < Effect.write or (tool.review is not None and tool.review.resumes):
            return await tool.run(arguments, scope)
        return await self._entered(tool, arguments, scope, call_id, decision, effect)

    async def _entered(
        self,
        tool: Tool,
        arguments: BaseModel,
        scope: ToolScope,
        call_id: str,
        decision: Decision | None,
        effect: Effect,
    ) -> ToolResult:
        """Run the call between the two halves of its entry in the ledger."""
        assert tool.run is not None
        ledger = self.deps.ledger
        entry = await ledger.find(scope.owner, scope.thread_id, call_id)
        if entry is None:
            action = await _action(tool, arguments, scope)
            try:
                entry = await ledger.open(scope.owner, scope.thread_id, self.scope.run_id, call_id, action, effect.name)
            except ConflictError:
                raise HumanNeededError from None
        elif entry.outcome == "unknown" and decision is not None and decision.get("rerun"):
            entry = await ledger.reopen(scope.owner, entry.id)
        elif entry.outcome is None:
            raise HumanNeededError
        elif entry.outcome == "done":
            return ToolResult(entry.detail)
        else:
            raise UserError(entry.detail or "This was not run to its end.", "Look at the data before you go on.")
        try:
            result = await tool.run(arguments, scope)
        except DolphinDBUnavailableError as error:
            if error.may_have_run:
                raise HumanNeededError from error
            await ledger.close(entry.id, "failed", str(error), owner=scope.owner)
            raise
        except DolphinDBTimeoutError as error:
            await ledger.close(entry.id, "unknown", str(error), owner=scope.owner)
            raise
        except UserError as error:
            await ledger.close(entry.id, "failed", str(error), owner=scope.owner)
            raise
        await ledger.close(entry.id, "done", result.content[:RECORDED], owner=scope.owner)
        return result

    async def _function_exists(self, name: str, scope: ToolScope) -> None:
        """Raises UserError when neither DolphinDB nor the session has a function of this name."""
        if await self.deps.catalog.has_function(await scope.environment(), scope.thread_id, name):
            return
        near = near_functions(name)
        remedy = f"Near names: {', '.join(near)}." if near else "Use a documented function."
        raise UserError(
            f"Cannot recognize the token {name}: there is no such function. The script was not run.", remedy
        )

    async def _described(self, call: ToolCall, error: UserError) -> str:
        lines = [f"ERROR: {error.message}"]
        if error.remedy:
            lines.append(f"HINT: {error.remedy}")
        if extra := await hint(self.deps, self.scope, self.environment, call, error):
            lines.append(f"HINT: {extra}")
        return "\n".join(lines)

    def _error(self, call: ToolCall, text: str) -> ToolMessage:
        return ToolMessage(
            text,
            tool_call_id=call["id"] or "",
            name=call["name"],
            status="error",
            artifact=self._place(call["name"]) or None,
        )

    def not_run(self, call: ToolCall, reason: str) -> ToolMessage:
        return self._error(call, f"{call['name']} was not run: {reason}")


def tools_node(deps: Deps, tools: Toolbox) -> Node:
    async def run_tools(
        state: State, *, runtime: Runtime[RunContext]
    ) -> Command[Literal["act", "plan", "human", "complete"]]:
        scope = run_scope(runtime, deps.settings)
        calls = pending_calls(state["messages"])
        reply = next((m for m in reversed(state["messages"]) if isinstance(m, AIMessage)), None)
        mode = state.get("mode") or "act"
        reference = reference_of(state)
        batch = Batch(
            deps=deps,
            tools=tools,
            scope=scope,
            usable=await usable_tools(deps, tools, scope.owner, state),
            environment=reference,
            reply_id=(reply.id if reply else None) or "",
            decisions=state.get("decisions") or {},
            malformed=reply.additional_kwargs.get(MALFORMED, {}) if reply else {},
            session=session_of(deps, tools, state, scope),
            continued=_has_run_scripts(state["messages"], tools, reference),
        )
        results = await _run_all(batch, calls, runtime)
        done = [message for message in results if message is not None]
        task = _counted(current_task(state), done)
        update: dict[str, Any] = {"messages": done, "task": task}
        moved = [m.artifact[ENVIRONMENT] for m in done if isinstance(m.artifact, dict) and ENVIRONMENT in m.artifact]
        if moved and moved[-1] != reference:
            update["environment"] = moved[-1]
            update["notices"] = await _moved(deps, scope, state, moved[-1])
        if len(done) < len(calls):
            return Command(goto="human", update=update)
        update["decisions"] = {}
        if task["failures"] >= deps.settings.max_tool_failures:
            if scope.interactive:
                return Command(goto="human", update=update)
            messages = [*state["messages"], *done]
            asked = question(messages)
            text = asked.text if asked else ""
            after = State(**{**state, "messages": messages, "task": task})
            gave_up = phrase("failures", text, count=task["failures"], tried=tried(messages, text))
            return Command(goto="complete", update={**update, "answer": failed(after, gave_up)})
        return Command(goto=mode, update=changes(state, update))

    return run_tools


async def _moved(deps: Deps, scope: RunScope, state: State, reference: str) -> Notices:
    """That the thread works elsewhere from now on, for the answer."""
    asked = question(state["messages"])
    notices = noted(state, current_task(state)["id"])
    record = await bound(deps, scope.owner, State(environment=reference))
    name = reference if record is None else f"{record.name} ({record.id})"
    text = phrase("moved", asked.text if asked else "", name=name)
    return Notices(task=notices["task"], texts=[*notices["texts"], text], told=notices["told"])


async def _run_all(batch: Batch, calls: Sequence[ToolCall], runtime: Runtime[RunContext]) -> list[ToolMessage | None]:
    """Results in the order of `calls`. Calls that may move the thread to another environment come after all before
    them, and only when those went well."""

    async def one(call: ToolCall) -> ToolMessage | None:
        runtime.stream_writer({"event": "tool_started", "name": call["name"], "id": call["id"]})
        return await batch.run(call)

    stranded = batch.tools.stranded(calls)
    first = next((number for number, call in enumerate(calls) if _moves(batch.tools, call)), len(calls))
    results = await _side_by_side(batch, calls[:first], one)
    for call in calls[first:]:
        if call["id"] in stranded:
            results.append(batch.not_run(call, "a call before it changes the environment. Call it again, if need be."))
        elif None in results:
            results.append(None)
        elif any(result is not None and result.status == "error" for result in results):
            results.append(batch.not_run(call, "a call before it failed. Look at that first."))
        else:
            results.append(await one(call))
    return results


async def _side_by_side(
    batch: Batch, calls: Sequence[ToolCall], one: Callable[[ToolCall], Awaitable[ToolMessage | None]]
) -> list[ToolMessage | None]:
    async def scripts(positions: Sequence[int]) -> list[ToolMessage | None]:
        return [await one(calls[position]) for position in positions]

    in_order = [position for position, call in enumerate(calls) if _runs_script(batch.tools, call["name"])]
    beside = [position for position in range(len(calls)) if position not in in_order]
    ordered, others = await asyncio.gather(
        scripts(in_order), asyncio.gather(*(one(calls[position]) for position in beside))
    )
    by_position = dict(zip([*in_order, *beside], [*ordered, *others], strict=True))
    return [by_position[position] for position in range(len(calls))]


def _has_run_scripts(messages: Sequence[AnyMessage], tools: Toolbox, environment: str) -> bool:
    return any(
        isinstance(message, ToolMessage) and _runs_script(tools, message.name or "") and ran_in(message) == environment
        for message in messages
    )


def _runs_script(tools: Toolbox, name: str) -> bool:
    tool = tools.find(name)
    return tool is not None and tool.script is not None


def _moves(tools: Toolbox, call: ToolCall) -> bool:
    tool = tools.find(call["name"])
    return tool is not None and tool.moves


def _counted(task: Task, results: Sequence[ToolMessage]) -> Task:
    failures = task["failures"]
    for message in results:
        failures = failures + 1 if message.status == "error" else 0
    return Task(**{**task, "failures": failures})


async def _action(tool: Tool, arguments: BaseModel, scope: ToolScope) -> str:
    """What a call does, for the ledger."""
    if tool.script is not None:
        return tool.script(arguments)
    assert tool.review is not None
    return await tool.review.describe(arguments, scope.owner)


def _edited(tool: Tool, arguments: BaseModel) -> str:
    if tool.script is not None:
        return f"The user edited the script before it ran:\n{tool.script(arguments)}"
    return f"The user changed the arguments before it ran: {arguments.model_dump_json()}"


def _answered_here(name: str) -> ToolResult:
    if name == COMPLETE:
        raise UserError(
            "attempt_completion was called together with other tools.",
            "Look at their results first, then call it alone.",
        )
    if name == PLAN:
        return ToolResult("Noted. Go on looking, then present the plan.")
    assert name == ASK
    raise UserError("The question could not be asked.", "Ask it again.")
