"""What of a conversation can be remembered: a question and the script that answered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from core.errors import InvalidInputError, NotFoundError
from graph.history import GUIDANCE_ID, understood_of
from graph.tools.dialogue import COMPLETE

RUN = "run_dolphindb_script"
SCRIPT = "script"


@dataclass(frozen=True)
class Answered:
    """`question` is as it was acted upon, so that it says the same at any time."""

    question: str
    script: str


def answered(messages: Sequence[AnyMessage], message_id: str | None = None) -> Answered:
    """What the message with this id, or the last one, belongs to.

    Raises NotFoundError when there is no such message, InvalidInputError when no script answered its question.
    """
    at = len(messages) - 1
    if message_id is not None:
        at = next((number for number, message in enumerate(messages) if message.id == message_id), -1)
        if at < 0:
            raise NotFoundError("There is no such message on the thread.")
    start = next((number for number in range(at, -1, -1) if _asks(messages[number])), -1)
    if start < 0:
        raise InvalidInputError("Nothing was asked yet, so there is nothing to remember.", "Ask something first.")
    end = next((number for number in range(start + 1, len(messages)) if _asks(messages[number])), len(messages))
    script = _script(messages[start + 1 : end])
    if not script:
        raise InvalidInputError("This answer came without a script, so there is nothing to remember.")
    understood = understood_of(messages[start])
    return Answered(understood["text"] if understood else messages[start].text, script)


def _asks(message: AnyMessage) -> bool:
    return isinstance(message, HumanMessage) and not (message.id or "").startswith(GUIDANCE_ID)


def _script(messages: Sequence[AnyMessage]) -> str:
    """The script that the answer names, else the last one that ran, as it ran."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    named = [str(call["args"].get(SCRIPT) or "") for call in calls if call["name"] == COMPLETE]
    if named and named[-1].strip():
        return named[-1]
    ran = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    for call in reversed(calls):
        result = ran.get(call["id"] or "")
        if call["name"] == RUN and result is not None and result.status == "success":
            edited = result.artifact.get(SCRIPT) if isinstance(result.artifact, dict) else None
            return str(edited or call["args"].get(SCRIPT) or "")
    return ""
