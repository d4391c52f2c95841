"""`complete`: the end of a task, as a typed answer and a last message."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.types import Command

from graph.binding import noted
from graph.history import pending_calls, question, understood_of
from graph.phrases import phrase
from graph.state import Answer, State, changes
from graph.tasks import artifacts_of, citations_of, current_task, script_runs
from graph.tools import COMPLETE


async def complete(state: State) -> Command[Any]:
    closing: list[AnyMessage] = []
    answer = state.get("answer")
    completion = next((call for call in pending_calls(state["messages"]) if call["name"] == COMPLETE), None)
    if answer is not None:
        closing = [AIMessage(answer["text"])]
    elif completion is not None:
        args = completion["args"]
        answer = _answer(state, args["answer"], args.get("script", ""), args.get("artifact_ids", []))
        closing = [
            ToolMessage("Shown to the user.", tool_call_id=completion["id"] or "", name=COMPLETE),
            AIMessage(answer["text"]),
        ]
    else:
        answer = _answer(state, state["messages"][-1].text, "", [])
    plan = state.get("plan")
    done = plan is not None and plan["status"] == "approved"
    said = noted(state, current_task(state)["id"])["texts"]
    if said:
        note = "\n".join(said)
        answer = Answer(**{**answer, "text": f"{answer['text']}\n\n{note}"})
        closing = [*closing[:-1], AIMessage(answer["text"])] if closing else [AIMessage(note)]
    update: State = {"messages": closing, "answer": answer, "decisions": {}, "plan": None if done else plan}
    return Command(update=changes(state, update))


def _answer(state: State, text: str, script: str, named: list[str]) -> Answer:
    messages = state["messages"]
    runs = script_runs(messages)
    task = current_task(state)
    made = artifacts_of(messages)
    asked = question(messages)
    return Answer(
        status="completed",
        text=text.strip() or phrase("stopped", asked.text if asked else ""),
        script=script or next((run["script"] for run in reversed(runs) if run["ok"]), ""),
        scripts=runs,
        artifacts=[artifact for artifact in named if artifact in made] or made,
        citations=citations_of(messages),
        understood=understood_of(asked),
        input_tokens=task["input_tokens"],
        output_tokens=task["output_tokens"],
    )
