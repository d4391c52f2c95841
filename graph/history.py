"""The conversation as a model may see it: whole rounds, every call with its result, nothing oversized."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from core.tokens import TokenCounter
from graph.state import Understood

UNDERSTOOD = "understood"
GUIDANCE_ID = "guidance-"
"""How the id of a message begins that answers the agent's call for help and asks nothing new."""
UNKNOWN_OUTCOME = (
    "This call was interrupted before its result was recorded; it may or may not have run. Check before doing it again."
)


@dataclass(frozen=True)
class Round:
    """A message that stands alone, or an AI message with the results of all its calls: never to be separated."""

    messages: tuple[AnyMessage, ...]


def rounds(messages: Sequence[AnyMessage]) -> list[Round]:
    """Messages as rounds. A call without a result gets one that says so; a result without its call is left out."""
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    made = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        if isinstance(message, AIMessage) and message.tool_calls:
            answers = [results.get(call["id"] or "") or _missing(message, call) for call in message.tool_calls]
            made.append(Round((message, *answers)))
        else:
            made.append(Round((message,)))
    return made


def _missing(message: AIMessage, call: ToolCall) -> ToolMessage:
    return ToolMessage(UNKNOWN_OUTCOME, tool_call_id=call["id"] or "", name=call["name"], status="error", id=message.id)


def after(messages: Sequence[AnyMessage], message_id: str | None) -> Sequence[AnyMessage]:
    """The messages that follow the one with this id; all of them when it is None or unknown."""
    if message_id is None:
        return messages
    for position in range(len(messages) - 1, -1, -1):
        if messages[position].id == message_id:
            return messages[position + 1 :]
    return messages


def pending_calls(messages: Sequence[AnyMessage]) -> list[ToolCall]:
    """The calls of the last AI message that have no result yet, if nothing but results follows it."""
    answered = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            return [call for call in message.tool_calls if call["id"] not in answered]
        else:
            break
    return []


def question(messages: Sequence[AnyMessage]) -> HumanMessage | None:
    """The human message that the task in hand answers: the latest one."""
    return next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)


def understood_of(message: AnyMessage | None) -> Understood | None:
    """How a question was read before it was acted upon; None when it was taken as it stands."""
    found: Understood | None = message.additional_kwargs.get(UNDERSTOOD) if message is not None else None
    return found


def explicit(message: AnyMessage) -> AnyMessage:
    """A question as a model is to read it: with what it means behind what it says."""
    understood = understood_of(message)
    if understood is None or not understood["changes"]:
        return message
    notes = "".join(f"\n(Note: {note})" for note in understood["notes"])
    added = f"\n\n(Made explicit: {understood['text']}){notes}"
    content = message.content
    changed = content + added if isinstance(content, str) else [*content, {"type": "text", "text": added}]
    return message.model_copy(update={"content": changed})


def since_question(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """The latest human message and all after it."""
    for position in range(len(messages) - 1, -1, -1):
        if isinstance(messages[position], HumanMessage):
            return messages[position:]
    return messages


def cut_middle(text: str, tokens: int, counter: TokenCounter) -> str:
    """`text` within `tokens`, beginning and end kept, with a note of what is missing between them."""
    total = counter.count(text)
    if total <= tokens:
        return text
    share = max(tokens - 20, 10) / total
    keep = int(len(text) * share)
    while True:
        head, tail = text[: keep * 2 // 3], text[len(text) - keep // 3 :]
        cut = f"{head}\n… ({len(text) - len(head) - len(tail)} characters cut here) …\n{tail}"
        if counter.count(cut) <= tokens or keep < 40:
            return cut
        keep = keep * 9 // 10


def fit(message: AnyMessage, tokens: int, counter: TokenCounter) -> AnyMessage:
    """The message with its text cut to `tokens`; calls keep their arguments."""
    text = message.text
    if counter.count(text) <= tokens:
        return message
    return message.model_copy(update={"content": cut_middle(text, tokens, counter)})


def flatten(parts: Iterable[Round]) -> list[AnyMessage]:
    return [message for part in parts for message in part.messages]
