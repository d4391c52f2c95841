"""One turn of the model: prompt assembled within its budget, called, and its reply made safe to act upon."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall

from core.errors import UserError
from core.models import Role
from core.tokens import TokenCounter
from graph.context import SUMMARY_SHARE, Prompt, Window, assemble, digest
from graph.deps import Deps
from graph.history import Round, cut_middle, flatten
from graph.prompts import prompt
from graph.state import Mode, State, Summary
from graph.tools import Tool
from rag.memory.examples import Example

log = logging.getLogger(__name__)

EMPTY_REPLIES = 2
NUDGE = "Your last reply was empty. Go on with the task: call a tool, or answer."
MALFORMED = "malformed_arguments"


@dataclass(frozen=True)
class Turn:
    """A usable reply. `summary` is new when the conversation had to be summarised for this call."""

    reply: AIMessage
    summary: Summary | None
    input_tokens: int
    output_tokens: int


async def take_turn(
    deps: Deps, state: State, mode: Mode, tools: Sequence[Tool], surroundings: str, examples: Sequence[Example] = ()
) -> Turn:
    """Call the model of the mode's role. `surroundings` says what the thread works in, `examples` are shown to the
    model. Raises UserError when no model answers usably."""
    role: Role = "planner" if mode == "plan" else "actor"
    entry = deps.models.entry(role)
    counter = TokenCounter(entry.model)
    schemas = [tool.schema for tool in tools]
    window = Window.of(entry, deps.settings.answer_tokens, counter.count(json.dumps(schemas)))
    assembled, summary = await _assembled(deps, state, mode, window, counter, surroundings, examples)
    model = deps.models.chat_model(role).bind_tools(schemas)
    messages = assembled.messages
    spent_in = spent_out = 0
    for _attempt in range(EMPTY_REPLIES + 1):
        reply = await model.ainvoke(messages)
        if not isinstance(reply, AIMessage):
            raise UserError("The model's reply is no chat message.", "Check the model's endpoint.")
        usage = reply.usage_metadata
        spent_in += usage["input_tokens"] if usage else counter.count_messages(messages)
        spent_out += usage["output_tokens"] if usage else counter.count_messages([reply])
        usable = normalised(reply)
        if usable.tool_calls or usable.text.strip():
            return Turn(usable, summary, spent_in, spent_out)
        messages = [*assembled.messages, HumanMessage(NUDGE)]
    raise UserError(
        f"The model {entry.name} gave {EMPTY_REPLIES + 1} empty replies.", "Ask again, or configure another model."
    )


async def _assembled(
    deps: Deps,
    state: State,
    mode: Mode,
    window: Window,
    counter: TokenCounter,
    surroundings: str,
    examples: Sequence[Example],
) -> tuple[Prompt, Summary | None]:
    assembled = assemble(state, mode, window, counter, surroundings, examples)
    if not assembled.overflow:
        return assembled, None
    text = await _summarise(deps, state.get("summary"), assembled.overflow, window, counter)
    summary = Summary(text=text, until=assembled.overflow[-1].messages[-1].id or "")
    reduced = State(**{**state, "summary": summary})
    return assemble(reduced, mode, window, counter, surroundings, examples), summary


async def _summarise(
    deps: Deps, earlier: Summary | None, overflow: Sequence[Round], window: Window, counter: TokenCounter
) -> str:
    """A summary by the model; extracted without it when the model is the offline one or does not answer."""
    limit = int(window.usable * SUMMARY_SHARE)
    if deps.models.entry("planner").provider == "offline":
        return digest(earlier, overflow, limit, counter)
    text = "\n\n".join(f"{message.type}: {_readable(message)}" for message in flatten(overflow))
    if earlier is not None:
        text = f"Summary so far: {earlier['text']}\n\n{text}"
    request: list[AnyMessage] = [
        SystemMessage(prompt("summary")),
        HumanMessage(cut_middle(text, window.usable * 3 // 4, counter)),
    ]
    try:
        reply = await deps.models.chat_model("planner").ainvoke(request, config={"tags": ["nostream"]})
    except UserError as error:
        log.warning("the summary is extracted, the model did not answer: %s", error)
        return digest(earlier, overflow, limit, counter)
    return cut_middle(reply.text, limit, counter) if reply.text.strip() else digest(earlier, overflow, limit, counter)


def _readable(message: AnyMessage) -> str:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return "\n".join([message.text, *(f"[calls {call['name']} {json.dumps(call['args'])}]" for call in calls)])


def normalised(reply: AIMessage) -> AIMessage:
    """The reply with every call legal to answer: ids present and distinct, arguments a JSON object.

    Calls whose arguments were no JSON become calls without arguments; what the model wrote is kept under
    `additional_kwargs` so that the tools node can say what was wrong.
    """
    calls: list[ToolCall] = []
    malformed: dict[str, str] = {}
    seen: set[str] = set()
    for raw in [*reply.tool_calls, *reply.invalid_tool_calls]:
        call_id = raw["id"] or ""
        if not call_id or call_id in seen:
            call_id = f"call_{uuid4().hex}"
        seen.add(call_id)
        args: Any = raw["args"]
        if not isinstance(args, dict):
            malformed[call_id] = str(args)
            args = {}
        calls.append(ToolCall(name=raw["name"] or "", args=args, id=call_id, type="tool_call"))
    extra = {key: value for key, value in reply.additional_kwargs.items() if key != "tool_calls"}
    if malformed:
        extra[MALFORMED] = malformed
    return AIMessage(
        content=reply.content if isinstance(reply.content, str) else reply.text,
        tool_calls=calls,
        additional_kwargs=extra,
        usage_metadata=reply.usage_metadata,
        response_metadata=reply.response_metadata,
        id=reply.id or f"run-{uuid4().hex}",
    )
