"""`human`: the only node that interrupts, so that a resume runs nothing else again.

Before the interrupt it only reads. What the human decided is recorded after it, call by call: answers and
rejections become tool results here, approved and edited calls go on to `tools`.
"""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.messages import AnyMessage, HumanMessage, ToolCall, ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from core.ledger import Entry
from graph.approval import GUIDANCE, Policy, Question, guidance, questions, request
from graph.binding import usable_tools
from graph.context import plan_text
from graph.deps import Deps
from graph.history import GUIDANCE_ID, pending_calls, question
from graph.judgement import session_of
from graph.nodes.node import Node
from graph.phrases import phrase
from graph.review import response_schema
from graph.scope import RunScope, run_scope
from graph.state import Decision, Plan, PlanStep, RunContext, State, Task
from graph.tasks import current_task, failed
from graph.tools import ASK, PLAN, Tool, Toolbox


def human_node(deps: Deps, tools: Toolbox) -> Node:
    async def human(
        state: State, *, runtime: Runtime[RunContext]
    ) -> Command[Literal["plan", "act", "tools", "complete"]]:
        scope = run_scope(runtime, deps.settings)
        calls = pending_calls(state["messages"])
        unfinished = await deps.ledger.open_entries(scope.owner, scope.thread_id)
        usable = await usable_tools(deps, tools, scope.owner, state)
        asked = await _asked(deps, tools, usable, state, scope, calls, unfinished)
        if not asked:
            return Command(goto=_onward(state.get("mode") or "act", calls, []))
        payload = request(asked)
        response = interrupt(payload, response_schema=response_schema(payload))
        verdict = Verdict(state, calls)
        entries = {entry.tool_call_id: entry for entry in unfinished}
        for item, given in zip(asked, response.decisions, strict=True):
            decision = given.as_decision()
            if item.call_id in entries:
                await _settle(deps, scope, entries[item.call_id], decision)
                verdict.unfinished(item, decision)
            else:
                verdict.take(item, decision)
        return verdict.command()

    return human


async def _asked(
    deps: Deps,
    tools: Toolbox,
    usable: list[Tool],
    state: State,
    scope: RunScope,
    calls: list[ToolCall],
    unfinished: list[Entry],
) -> list[Question]:
    asked = await questions(
        calls,
        owner=scope.owner,
        tools=tools,
        usable=usable,
        policy=Policy.of(scope.allowed_effects),
        decisions=state.get("decisions") or {},
        unfinished=unfinished,
        session=session_of(deps, tools, state, scope),
    )
    task = current_task(state)
    if asked or task["failures"] < deps.settings.max_tool_failures:
        return asked
    errors = (m.text for m in reversed(state["messages"]) if isinstance(m, ToolMessage) and m.status == "error")
    return [guidance(task["failures"], next(errors, ""))]


async def _settle(deps: Deps, scope: RunScope, entry: Entry, decision: Decision) -> None:
    outcome: Literal["unknown", "skipped"] = "unknown" if decision["type"] == "approve" else "skipped"
    await deps.ledger.close(entry.id, outcome, decision.get("message", ""), owner=scope.owner)


def _onward(mode: str, calls: list[ToolCall], results: list[AnyMessage]) -> Any:
    answered = {message.tool_call_id for message in results if isinstance(message, ToolMessage)}
    return "tools" if any(call["id"] not in answered for call in calls) else mode


class Verdict:
    """Collects what the decisions mean for the state, and where the graph goes on."""

    def __init__(self, state: State, calls: list[ToolCall]) -> None:
        self._state = state
        self._calls = calls
        self._by_id = {call["id"]: call for call in calls}
        self._decisions = dict(state.get("decisions") or {})
        self._messages: list[AnyMessage] = []
        self._update: dict[str, Any] = {}
        self._mode = state.get("mode") or "act"
        self._stopped = False

    def take(self, item: Question, decision: Decision) -> None:
        name = item.action["name"]
        if name == GUIDANCE:
            self._guide(decision)
        elif name == ASK:
            self._answer(item, decision)
        elif name == PLAN:
            self._plan(item, decision)
        elif decision["type"] == "reject":
            self._result(
                item,
                f"The user rejected this; it was not run.{_reason(decision)} Do not run it again unchanged.",
                "error",
            )
        else:
            self._decisions[item.call_id] = decision

    def unfinished(self, item: Question, decision: Decision) -> None:
        """The verdict on a script whose outcome is not known."""
        if decision["type"] == "approve":
            self._decisions[item.call_id] = Decision(type="approve", rerun=True)
        elif item.call_id in self._by_id:
            self._result(
                item,
                "This was sent before and its outcome was not recorded. The user decided that it is not run again."
                f"{_reason(decision)} Look at what it changed before you rely on it.",
                "error",
            )

    def command(self) -> Command[Any]:
        self._update["messages"] = self._messages
        self._update["decisions"] = self._decisions
        self._update["mode"] = self._mode
        if self._stopped:
            return Command(goto="complete", update=self._update)
        return Command(goto=_onward(self._mode, self._calls, self._messages), update=self._update)

    def _result(self, item: Question, text: str, status: Literal["success", "error"] = "success") -> None:
        self._messages.append(
            ToolMessage(text, tool_call_id=item.call_id, name=self._by_id[item.call_id]["name"], status=status)
        )

    def _answer(self, item: Question, decision: Decision) -> None:
        if decision["type"] == "reject":
            self._result(item, f"The user does not want to answer.{_reason(decision)}")
        else:
            self._result(item, decision.get("message", ""))

    def _plan(self, item: Question, decision: Decision) -> None:
        args = decision.get("args") if decision["type"] == "edit" else item.action["args"]
        plan = _plan_of(args or {}, "approved")
        if decision["type"] in ("approve", "edit"):
            self._mode = "act"
            self._update["plan"] = plan
            changed = "changed the plan and approved it" if decision["type"] == "edit" else "approved the plan"
            self._result(item, f"The user {changed}. Carry it out:\n{plan_text(plan)}")
        elif decision["type"] == "respond":
            self._update["plan"] = {**plan, "status": "proposed"}
            self._result(item, f"The user says: {decision.get('message', '')}")
        else:
            self._update["plan"] = {**plan, "status": "rejected"}
            self._result(item, f"The user rejected the plan.{_reason(decision)} Make another one.", "error")

    def _guide(self, decision: Decision) -> None:
        asked = question(self._state["messages"])
        if decision["type"] == "reject":
            self._stopped = True
            text = phrase("stopped", asked.text if asked else "")
            self._update["answer"] = {**failed(self._state, text), "status": "stopped"}
            return
        told = HumanMessage(decision.get("message", ""), id=f"{GUIDANCE_ID}{len(self._state['messages'])}")
        self._messages.append(told)
        task = current_task(self._state)
        self._update["task"] = Task(**{**task, "id": told.id or "", "failures": 0})


def _reason(decision: Decision) -> str:
    message = decision.get("message", "").strip()
    return f" Reason: {message}{'' if message.endswith(('.', '!', '?', '。', '！', '？')) else '.'}" if message else ""


def _plan_of(args: dict[str, Any], status: Literal["proposed", "approved", "rejected"]) -> Plan:
    steps = [PlanStep(title=step.get("title", ""), detail=step.get("detail", "")) for step in args.get("steps", [])]
    return Plan(text=str(args.get("plan", "")), steps=steps, status=status)
