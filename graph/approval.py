"""Which tool calls a human must see before they run, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import ToolCall

from core.errors import UserError
from core.ledger import Entry
from dolphin.script.effects import Effect, Effects
from graph.judgement import Session, judge
from graph.review import ActionRequest, DecisionType, ReviewRequest, review
from graph.state import Decision
from graph.tools import ASK, PLAN, Tool, Toolbox

GUIDANCE = "guidance"
UNKNOWN_FUNCTION = "unknown function"


@dataclass(frozen=True)
class Policy:
    """Effects that run unasked."""

    allowed: frozenset[Effect]

    @classmethod
    def of(cls, names: Collection[str]) -> Policy:
        try:
            return cls(frozenset(Effect[name] for name in names))
        except KeyError as error:
            known = ", ".join(effect.name for effect in Effect)
            raise UserError(f"There is no effect named {error.args[0]}.", f"Use some of: {known}.") from None

    def allows(self, found: Effects) -> bool:
        return {finding.effect for finding in found.findings} | {found.level} <= self.allowed


@dataclass(frozen=True)
class Question:
    """One thing to ask: which call it is about and how."""

    call_id: str
    action: ActionRequest
    allowed: list[DecisionType]


def script_of(call: ToolCall, tools: Toolbox) -> str | None:
    """The script that a call would run, None when it runs none or its arguments are wrong."""
    tool = tools.find(call["name"])
    if tool is None or tool.script is None:
        return None
    try:
        return tool.script(tool.parse(call["args"]))
    except UserError:
        return None


async def questions(
    calls: Sequence[ToolCall],
    *,
    owner: str,
    tools: Toolbox,
    usable: Sequence[Tool],
    policy: Policy,
    decisions: Mapping[str, Decision],
    unfinished: Sequence[Entry],
    session: Callable[[], Session],
    skip_unknown: bool = False,
) -> list[Question]:
    """What must be asked before `calls` go on: unfinished writes first, then calls in their order.

    With `skip_unknown`, scripts whose only fault is a function of an unknown name are left out: it is likely that there
    is no such function, and the server can tell. `session` is asked only for scripts that may need it. Calls of tools
    that are not `usable`, and those that will not be run, are not asked about.
    """
    asked = [_unfinished(entry, {call["id"] or "" for call in calls}) for entry in unfinished]
    known = {question.call_id for question in asked} | set(decisions) | tools.stranded(calls)
    for call in calls:
        if (call_id := call["id"] or "") in known:
            continue
        question = await _question(call, call_id, owner, tools, usable, policy, session, skip_unknown)
        if question is not None:
            asked.append(question)
    return asked


def request(asked: Sequence[Question]) -> ReviewRequest:
    return review(*((question.action, question.allowed) for question in asked))


def guidance(failures: int, last_error: str) -> Question:
    """The question when the agent is stuck."""
    description = f"{failures} tool calls in a row have failed. The last error: {last_error}\nHow shall I go on?"
    action = ActionRequest(
        name=GUIDANCE, args={"failures": failures, "last_error": last_error}, description=description
    )
    return Question(GUIDANCE, action, ["respond", "reject"])


async def _question(
    call: ToolCall,
    call_id: str,
    owner: str,
    tools: Toolbox,
    usable: Sequence[Tool],
    policy: Policy,
    session: Callable[[], Session],
    skip_unknown: bool,
) -> Question | None:
    name, args = call["name"], call["args"]
    tool = tools.find(name)
    if tool is None or tool not in usable:
        return None
    try:
        arguments = tool.parse(args)
    except UserError:
        return None
    if name == ASK:
        return _open_question(call_id, name, args)
    if name == PLAN:
        return None if args.get("needs_more_exploration") else _plan(call_id, args)
    if tool.review is not None and tool.review.effect not in policy.allowed:
        try:
            description = await tool.review.describe(arguments, owner)
        except UserError:
            return None
        action = ActionRequest(name=name, args=arguments.model_dump(), description=description)
        return Question(call_id, action, ["approve", "edit", "reject"])
    if tool.script is None:
        return None
    found = judge(tool.script(arguments), session)
    if policy.allows(found) or (skip_unknown and unknown_functions(found, policy)):
        return None
    action = ActionRequest(name=name, args=args, description=describe_effects(found))
    return Question(call_id, action, ["approve", "edit", "reject"])


def _open_question(call_id: str, name: str, args: dict[str, Any]) -> Question:
    return Question(call_id, ActionRequest(name=name, args=args, description=args["question"]), ["respond", "reject"])


def _plan(call_id: str, args: dict[str, Any]) -> Question:
    if args.get("question"):
        return _open_question(call_id, PLAN, args)
    steps = args.get("steps", [])
    lines = [args["plan"]]
    if not all(step["title"] in args["plan"] for step in steps):
        lines += [": ".join(filter(None, (f"{n}. {s['title']}", s.get("detail")))) for n, s in enumerate(steps, 1)]
    action = ActionRequest(name=PLAN, args=args, description="\n".join(lines))
    return Question(call_id, action, ["approve", "edit", "reject", "respond"])


def _unfinished(entry: Entry, current: set[str]) -> Question:
    can_rerun = entry.tool_call_id in current
    choices = "approve runs it again; reject leaves it" if can_rerun else "reject leaves it"
    description = (
        f"This (effect: {entry.effect}) was sent, and the connection or the process ended before its outcome was "
        f"known. It may have run. Check what it did before it is run again: {choices}; respond tells the agent what "
        "you found."
    )
    allowed: list[DecisionType] = ["approve", "reject", "respond"] if can_rerun else ["reject", "respond"]
    action = ActionRequest(name="unfinished_write", args={"script": entry.script}, description=description)
    return Question(entry.tool_call_id, action, allowed)


def unknown_functions(found: Effects, policy: Policy) -> list[str]:
    """The functions of unknown names, when they are all that keeps a script from running unasked."""
    held = [finding for finding in found.findings if finding.effect not in policy.allowed]
    if any(finding.reason != UNKNOWN_FUNCTION for finding in held):
        return []
    return list(dict.fromkeys(finding.name for finding in held))


def describe_effects(found: Effects) -> str:
    """`write: append! on dfs://x (line 3); destroy: …`."""
    items = [
        f"{finding.effect.name}: {finding.name} ({finding.reason}, line {finding.span.line})"
        for finding in found.findings
        if finding.effect > Effect.session
    ]
    return "; ".join(dict.fromkeys(items)) or f"{found.level.name}"
