"""What `plan` and `act` share: one model turn, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.types import Command

from core.errors import UserError
from graph.approval import Policy, questions
from graph.deps import Deps
from graph.history import question
from graph.judgement import Session, session_of
from graph.model_call import MALFORMED, take_turn
from graph.phrases import phrase
from graph.scope import RunScope
from graph.state import Mode, State, Task, changes
from graph.tasks import current_task, failed, tried
from graph.tools import COMPLETE, Toolbox


async def think(deps: Deps, tools: Toolbox, state: State, scope: RunScope, mode: Mode) -> Command[Any]:
    """Call the model once and go where its reply leads."""
    asked = question(state["messages"])
    text = asked.text if asked else ""
    task = current_task(state)
    if not text.strip():
        return Command(goto="complete", update={"answer": failed(state, phrase("no_question", text)), "task": task})
    if task["steps"] >= scope.max_steps:
        gave_up = phrase("steps", text, limit=scope.max_steps, tried=tried(state["messages"], text))
        return Command(goto="complete", update={"answer": failed(state, gave_up), "task": task})
    try:
        turn = await take_turn(deps, state, mode, tools.for_mode(mode))
    except UserError as error:
        gave_up = phrase("model", text, error=error)
        return Command(goto="complete", update={"answer": failed(state, gave_up), "task": task})
    update: dict[str, Any] = {
        "messages": [turn.reply],
        "mode": mode,
        "answer": None,
        "task": Task(
            id=task["id"],
            steps=task["steps"] + 1,
            failures=task["failures"],
            input_tokens=task["input_tokens"] + turn.input_tokens,
            output_tokens=task["output_tokens"] + turn.output_tokens,
        ),
    }
    if turn.summary is not None:
        update["summary"] = turn.summary
    session = session_of(deps, tools, state, scope)
    return Command(goto=_next(turn.reply, tools, scope, mode, session), update=changes(state, update))


def _next(reply: AIMessage, tools: Toolbox, scope: RunScope, mode: Mode, session: Callable[[], Session]) -> str:
    calls = reply.tool_calls
    if not calls or is_completion(reply, tools):
        return "complete"
    asked = questions(
        calls,
        tools=tools,
        policy=Policy.of(scope.allowed_effects),
        decisions={},
        unfinished=[],
        mode=mode,
        session=session,
        skip_unknown=True,
    )
    return "human" if asked else "tools"


def is_completion(reply: AIMessage, tools: Toolbox) -> bool:
    """Whether the reply is a well-formed attempt_completion and nothing else."""
    if len(reply.tool_calls) != 1 or reply.tool_calls[0]["name"] != COMPLETE or MALFORMED in reply.additional_kwargs:
        return False
    tool = tools.find(COMPLETE)
    assert tool is not None
    try:
        tool.parse(reply.tool_calls[0]["args"])
    except UserError:
        return False
    return True
