"""The checks that real endpoints make of a request before a model sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def request_problem(body: Mapping[str, Any]) -> str | None:
    """Why an endpoint would answer 400 to this request, or None."""
    if not body.get("model"):
        return "you must provide a model parameter"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "Invalid 'messages': empty array. Expected an array with minimum length 1."
    names = [tool.get("function", {}).get("name", "") for tool in body.get("tools", [])]
    for name in names:
        if not _TOOL_NAME.match(name):
            return f"Invalid 'tools[].function.name': {name!r} does not match '^[a-zA-Z0-9_-]{{1,64}}$'."
    if len(set(names)) < len(names):
        return "Tool names must be unique."
    return history_problem(messages)


def history_problem(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with a message history: every tool call needs its result, directly after, and no other."""
    open_calls: list[str] = []
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in ROLES:
            return f"Invalid value for 'messages[{number}].role': {role!r}."
        if role == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in open_calls:
                return (
                    f"Invalid parameter 'messages[{number}]': messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'."
                )
            open_calls.remove(call_id)
            continue
        if open_calls:
            return _unanswered(open_calls)
        if role == "assistant":
            calls = message.get("tool_calls")
            if calls is None and message.get("content") is None:
                return f"Invalid value for 'content' of messages[{number}]: expected a string, got null."
            if calls is not None and not calls:
                return f"Invalid 'messages[{number}].tool_calls': empty array."
            for call in calls or []:
                if not call.get("id") or not call.get("function", {}).get("name"):
                    return f"Missing required parameter in 'messages[{number}].tool_calls'."
                if not isinstance(call["function"].get("arguments"), str):
                    return f"Invalid type for 'messages[{number}].tool_calls[].function.arguments': expected a string."
                if not _is_json(call["function"]["arguments"]):
                    return f"Invalid 'messages[{number}].tool_calls[].function.arguments': not valid JSON."
                if call["id"] in open_calls:
                    return f"Duplicate tool call id {call['id']!r} in messages[{number}]."
                open_calls.append(call["id"])
        elif not message.get("content"):
            return f"Invalid value for 'content' of messages[{number}]: expected a string, got null or empty."
    return _unanswered(open_calls) if open_calls else None


def _unanswered(call_ids: Sequence[str]) -> str:
    return (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(call_ids)}"
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
