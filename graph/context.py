"""What the model sees, within its token budget.

The window is divided in this order: the answer's reserve, the system prompt, pinned context up to a share that
depends on the task, and the conversation in what is left. Conversation that no longer fits is summarised; the summary
takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from core.models import ModelEntry
from core.tokens import TokenCounter
from graph.history import Round, after, cut_middle, explicit, fit, flatten, question, rounds
from graph.prompts import prompt
from graph.state import Mode, Pin, Plan, State, Summary
from rag.memory.examples import Example

# Planning looks at schemas, acting at its own results.
PINNED_SHARE: dict[Mode, float] = {"plan": 0.45, "act": 0.3}
EXAMPLES_SHARE = 0.1
# One message may take this part of the conversation's budget before it is cut in its middle.
MESSAGE_SHARE = 0.35
# After summarising, the conversation starts again at this part of its budget, so that not every step summarises.
KEPT_SHARE = 0.5
# No message is cut below this.
LEAST_TOKENS = 60
SUMMARY_SHARE = 0.15


@dataclass(frozen=True)
class Window:
    """A model's token budget."""

    total: int
    answer: int
    tools: int

    @classmethod
    def of(cls, entry: ModelEntry, answer_tokens: int, tool_tokens: int) -> Window:
        return cls(entry.context_tokens, min(answer_tokens, entry.context_tokens // 4), tool_tokens)

    @property
    def usable(self) -> int:
        return max(self.total - self.answer - self.tools, 500)


@dataclass(frozen=True)
class Prompt:
    """`messages` to send; `overflow` are the rounds that did not fit and are in no summary yet."""

    messages: list[AnyMessage]
    overflow: list[Round]


def assemble(
    state: State,
    mode: Mode,
    window: Window,
    counter: TokenCounter,
    environment: str,
    examples: Sequence[Example] = (),
) -> Prompt:
    """The prompt for the next model call. When `overflow` is not empty, summarise it and assemble again."""
    summary = state.get("summary")
    system = system_text(state, mode, environment, int(window.usable * PINNED_SHARE[mode]), counter)
    if examples:
        system += "\n\n## Examples\n" + examples_text(examples, int(window.usable * EXAMPLES_SHARE), counter)
    if summary is not None:
        system += f"\n\n## Earlier in this conversation\n{summary['text']}"
    budget = max(window.usable - counter.count(system), window.usable // 5)
    latest = after(state["messages"], summary["until"] if summary else None)
    recent = rounds([explicit(message) for message in latest])
    limit = int(budget * MESSAGE_SHARE)
    kept = _newest(recent, budget, limit, counter)
    if len(kept) < len(recent):
        kept = _newest(recent, int(budget * KEPT_SHARE), limit, counter)
    overflow = recent[: len(recent) - len(kept)]
    messages = flatten(kept)
    asked = question(state["messages"])
    if asked is not None and not any(message.id == asked.id for message in messages):
        left = budget - counter.count_messages(messages)
        messages.insert(0, fit(explicit(asked), max(min(limit, left), LEAST_TOKENS), counter))
        if all(message.id == asked.id for message in flatten(overflow)):
            overflow = []
    return Prompt([SystemMessage(system), *messages], overflow)


def _newest(parts: Sequence[Round], budget: int, limit: int, counter: TokenCounter) -> list[Round]:
    """As many of the latest rounds as fit, each message cut to `limit`; the last round always, cut to fit alone."""
    kept: list[Round] = []
    used = 0
    for part in reversed(parts):
        fitted = _fitted(part, limit, counter)
        cost = counter.count_messages(fitted.messages)
        if used + cost > budget:
            if kept:
                break
            share = int(budget * (1 - MESSAGE_SHARE)) // len(part.messages)
            fitted = _fitted(part, min(limit, max(share, LEAST_TOKENS)), counter)
            cost = counter.count_messages(fitted.messages)
        used += cost
        kept.append(fitted)
    return kept[::-1]


def _fitted(part: Round, limit: int, counter: TokenCounter) -> Round:
    return Round(tuple(fit(message, limit, counter) for message in part.messages))


def system_text(state: State, mode: Mode, environment: str, pinned_tokens: int, counter: TokenCounter) -> str:
    sections = [prompt(mode), f"## Environment\n{environment}"]
    if pins := state.get("pins"):
        sections.append("## Pinned context\n" + pinned_text(pins, pinned_tokens, counter))
    plan = state.get("plan")
    if mode == "act" and plan is not None and plan["status"] == "approved":
        sections.append("## The approved plan\n" + plan_text(plan))
    return "\n\n".join(sections)


def pinned_text(pins: Sequence[Pin], tokens: int, counter: TokenCounter) -> str:
    """All pins, each with an equal share of what the earlier ones left over."""
    parts = []
    for position, pin in enumerate(pins):
        share = max(tokens // (len(pins) - position), 50)
        text = cut_middle(pin["text"], share, counter)
        tokens -= min(counter.count(text), share)
        parts.append(text)
    return "\n".join(parts)


def examples_text(examples: Sequence[Example], tokens: int, counter: TokenCounter) -> str:
    """Remembered examples, each fenced off and indented so that it can neither close its fence nor open a section,
    with an equal share of `tokens`."""
    head = prompt("examples")
    share = max((tokens - counter.count(head)) // len(examples), LEAST_TOKENS)
    parts = [head]
    for example in examples:
        tables = f"tables: {example.schema}\n" if example.schema else ""
        text = f"question: {example.question}\n{tables}script:\n{example.script}"
        fenced = re.sub(r"(?i)</?\s*example", "(example", text)
        parts.append(f"<example>\n{indent(cut_middle(fenced, share, counter), '  ')}\n</example>")
    return "\n".join(parts)


def plan_text(plan: Plan) -> str:
    steps = [f"{number}. {step['title']}: {step['detail']}" for number, step in enumerate(plan["steps"], 1)]
    return "\n".join([plan["text"], *steps])


def digest(summary: Summary | None, overflow: Sequence[Round], tokens: int, counter: TokenCounter) -> str:
    """What happened, extracted without a model: questions, scripts with their outcome, answers."""
    lines = [summary["text"]] if summary else []
    for part in overflow:
        lines.extend(_digest_lines(part))
    return cut_middle("\n".join(lines), tokens, counter)


def _digest_lines(part: Round) -> list[str]:
    head, *results = part.messages
    if isinstance(head, HumanMessage):
        return [f"User: {_first(head.text, 300)}"]
    lines = [f"Agent: {_first(head.text, 300)}"] if isinstance(head, AIMessage) and head.text.strip() else []
    calls = {call["id"]: call for call in head.tool_calls} if isinstance(head, AIMessage) else {}
    for result in results:
        if isinstance(result, ToolMessage) and (call := calls.get(result.tool_call_id)):
            what = call["args"].get("script") or ", ".join(f"{key}={value}" for key, value in call["args"].items())
            lines.append(f"Called {call['name']}: {_first(str(what), 300)} -> {_first(result.text, 200)}")
    return lines


def _first(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[:limit]}…"
