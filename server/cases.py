"""Feedback as evaluation cases: what was asked, what was answered, and what somebody thought of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

HUMAN = ("human", "user")
AI = ("ai", "assistant", "AIMessageChunk")


def case_of(feedback: Mapping[str, Any], given: Any, values: Any) -> dict[str, Any]:
    """`given` is the input of the run, `values` the state of the thread; both may be None.

    `question`, `answer` and `scripts` are None where the conversation does not hold them (any more).
    """
    messages = _messages(values)
    asked = _asked(feedback, _messages(given), messages)
    turn = _turn(messages, asked)
    case: dict[str, Any] = {"question": None, "answer": None, "scripts": None}
    if turn:
        case = {"question": _text(turn[0]), "answer": _answer(turn), "scripts": _scripts(turn)}
    elif said := [message for message in _messages(given) if _is(message, HUMAN)]:
        case["question"] = _text(said[-1])
    return {**case, **feedback}


def _messages(state: Any) -> list[Message]:
    found = state.get("messages") if isinstance(state, dict) else None
    return [message for message in found if isinstance(message, dict)] if isinstance(found, list) else []


def _asked(feedback: Mapping[str, Any], given: Sequence[Message], messages: Sequence[Message]) -> int | None:
    """The place of the question that the feedback is about."""
    humans = [place for place, message in enumerate(messages) if _is(message, HUMAN)]
    if feedback["message_id"]:
        places = [place for place, message in enumerate(messages) if message.get("id") == feedback["message_id"]]
        return max((human for human in humans if places and human <= places[0]), default=None)
    wanted = [_text(message) for message in given if _is(message, HUMAN)]
    return max((human for human in humans if wanted and _text(messages[human]) == wanted[-1]), default=None)


def _turn(messages: Sequence[Message], asked: int | None) -> Sequence[Message]:
    if asked is None:
        return []
    following = (place for place in range(asked + 1, len(messages)) if _is(messages[place], HUMAN))
    return messages[asked : next(following, len(messages))]


def _answer(turn: Sequence[Message]) -> str | None:
    for call in reversed(_calls(turn)):
        if call.get("name") == "attempt_completion":
            return str((call.get("args") or {}).get("answer") or "") or None
    said = [_text(message) for message in turn if _is(message, AI)]
    return next((text for text in reversed(said) if text), None)


def _scripts(turn: Sequence[Message]) -> list[str]:
    found = [(call.get("args") or {}).get("script") for call in _calls(turn)]
    return [script for script in found if isinstance(script, str)]


def _calls(turn: Sequence[Message]) -> list[Mapping[str, Any]]:
    return [call for message in turn for call in message.get("tool_calls") or [] if isinstance(call, dict)]


def _is(message: Message, kinds: tuple[str, ...]) -> bool:
    return message.get("type", message.get("role")) in kinds


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts)
