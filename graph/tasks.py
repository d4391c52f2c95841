"""The task in hand: its counters, what it ran, and how it ends when it cannot be finished."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from graph.history import question, since_question, understood_of
from graph.phrases import phrase
from graph.state import Answer, ScriptRun, State, Task

ARTIFACTS = "artifacts"
_SOURCES = re.compile(r"(?m)^\[\d+\] .* - (.+)$")
_SOURCE = re.compile(r"(?m)^source: (.+)$")


def current_task(state: State) -> Task:
    """The counters of the task in hand; fresh ones when a new question has come since they were written."""
    asked = question(state["messages"])
    task = state.get("task")
    identity = (asked.id if asked else None) or ""
    if task is not None and task["id"] == identity:
        return task
    return Task(id=identity, steps=0, failures=0, input_tokens=0, output_tokens=0)


def script_runs(messages: Sequence[AnyMessage]) -> list[ScriptRun]:
    """The scripts of the task in hand, in the order in which they were called."""
    current = since_question(messages)
    outcomes = {m.tool_call_id: m.status == "success" for m in current if isinstance(m, ToolMessage)}
    return [
        ScriptRun(script=call["args"]["script"], ok=outcomes[call["id"] or ""])
        for message in current
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["name"] == "run_dolphindb_script" and call["args"].get("script") and call["id"] in outcomes
    ]


def artifacts_of(messages: Sequence[AnyMessage]) -> list[str]:
    """Ids of the artifacts that the task in hand made."""
    made = [
        artifact
        for message in since_question(messages)
        if isinstance(message, ToolMessage) and isinstance(message.artifact, dict)
        for artifact in message.artifact.get(ARTIFACTS, [])
    ]
    return list(dict.fromkeys(made))


def citations_of(messages: Sequence[AnyMessage]) -> list[str]:
    """The sources of the documentation that the task in hand was given."""
    found: list[str] = []
    for message in since_question(messages):
        if not isinstance(message, ToolMessage) or message.status != "success":
            continue
        # A document's own text may hold lines that look like sources.
        if message.name == "search_knowledge_base":
            found += _SOURCES.findall(message.text.rpartition("\nsources:\n")[2])
        elif message.name == "get_function_documentation":
            found += _SOURCE.findall(message.text)[:1]
    return list(dict.fromkeys(found))


def tried(messages: Sequence[AnyMessage], asked: str) -> str:
    """What the task in hand tried, one line a call, for an honest failure."""
    current = since_question(messages)
    results = {m.tool_call_id: m for m in current if isinstance(m, ToolMessage)}
    lines = []
    for message in current:
        for call in message.tool_calls if isinstance(message, AIMessage) else []:
            result = results.get(call["id"] or "")
            outcome = _first_line(result.text) if result else "?"
            what = call["args"].get("script") or call["args"].get("table") or ""
            lines.append(f"- {call['name']} {_first_line(str(what))} -> {outcome}".replace("  ", " "))
    return "\n".join(lines[-10:]) or phrase("nothing", asked)


def failed(state: State, text: str) -> Answer:
    task = current_task(state)
    return Answer(
        status="failed",
        text=text,
        script="",
        scripts=script_runs(state["messages"]),
        artifacts=artifacts_of(state["messages"]),
        citations=citations_of(state["messages"]),
        understood=understood_of(question(state["messages"])),
        input_tokens=task["input_tokens"],
        output_tokens=task["output_tokens"],
    )


def _first_line(text: str, limit: int = 160) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= limit else f"{line[:limit]}…"
