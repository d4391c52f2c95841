"""What `plan` and `act` share: one model turn, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.config import get_stream_writer
from langgraph.types import Command

from core.errors import NotFoundError, UserError
from dolphin.environment import DEFAULT_ENVIRONMENT
from graph.approval import Policy, questions
from graph.binding import described, look, news, noted, reference_of
from graph.deps import Deps
from graph.history import question
from graph.judgement import Session, session_of
from graph.model_call import MALFORMED, take_turn
from graph.phrases import phrase
from graph.scope import RunScope
from graph.state import Mode, State, Task, changes
from graph.tasks import current_task, failed, tried
from graph.tools import COMPLETE, Tool, Toolbox
from graph.understanding import Understanding, event


async def think(
    deps: Deps, tools: Toolbox, understanding: Understanding, state: State, scope: RunScope, mode: Mode
) -> Command[Any]:
    """Call the model once and go where its reply leads."""
    asked = question(state["messages"])
    text = asked.text if asked else ""
    task = current_task(state)
    if asked is None or not text.strip():
        return Command(goto="complete", update={"answer": failed(state, phrase("no_question", text)), "task": task})
    if task["steps"] >= scope.max_steps:
        gave_up = phrase("steps", text, limit=scope.max_steps, tried=tried(state["messages"], text))
        return Command(goto="complete", update={"answer": failed(state, gave_up), "task": task})
    try:
        surroundings = await look(deps, scope.owner, state)
    except NotFoundError:
        refused = failed(state, phrase("environment", text, name=reference_of(state)))
        return Command(goto="complete", update={"answer": refused, "task": task, "environment": DEFAULT_ENVIRONMENT})
    environment, held = surroundings.environment, noted(state, task["id"])
    notices = news(deps, scope.thread_id, surroundings, held, text)
    for notice in notices["texts"][len(held["texts"]) :]:
        get_stream_writer()({"event": "notice", "message": notice})
    usable = tools.usable(mode, environment)
    shown = [tool for tool in usable if surroundings.rents or not tool.for_renters]
    read: list[AnyMessage] = []
    if task["steps"] == 0:
        reading = await understanding.read(asked, state, scope)
        if reading.message is not None:
            read = [reading.message]
            state = State(**{**state, "messages": _replaced(state["messages"], reading.message)})
            get_stream_writer()(event(reading))
    else:
        reading = await understanding.again(asked, scope)
    try:
        turn = await take_turn(deps, state, mode, shown, described(environment, notices), reading.examples)
    except UserError as error:
        gave_up = phrase("model", text, error=error)
        return Command(goto="complete", update={"messages": read, "answer": failed(state, gave_up), "task": task})
    update: dict[str, Any] = {
        "messages": [*read, turn.reply],
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
    if notices["told"]:
        update["notices"] = notices
    if environment is not None:
        update["environment"] = environment.id
    session = session_of(deps, tools, state, scope)
    return Command(goto=await _next(turn.reply, tools, usable, scope, session), update=changes(state, update))


def _replaced(messages: Sequence[AnyMessage], message: AnyMessage) -> list[AnyMessage]:
    return [message if each.id == message.id else each for each in messages]


async def _next(
    reply: AIMessage, tools: Toolbox, usable: Sequence[Tool], scope: RunScope, session: Callable[[], Session]
) -> str:
    calls = reply.tool_calls
    if not calls or is_completion(reply, tools):
        return "complete"
    asked = await questions(
        calls,
        owner=scope.owner,
        tools=tools,
        usable=usable,
        policy=Policy.of(scope.allowed_effects),
        decisions={},
        unfinished=[],
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
