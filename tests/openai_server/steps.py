"""What the server does with a request: one step answers one request."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

_ids = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """A tool call. Arguments given as text are sent as they are, so they may be malformed JSON."""

    name: str
    args: dict[str, Any] | str = field(default_factory=dict)
    id: str = ""

    @property
    def arguments(self) -> str:
        return self.args if isinstance(self.args, str) else json.dumps(self.args, ensure_ascii=False)


@dataclass(frozen=True)
class Text:
    """A text answer. `finish_reason` "length" is an answer that hit the limit of output tokens."""

    text: str
    finish_reason: str = "stop"


@dataclass(frozen=True, init=False)
class ToolCalls:
    """One or more (parallel) tool calls, with text before them if given. Calls without an id get a fresh one."""

    calls: tuple[Call, ...]
    text: str
    finish_reason: str

    def __init__(self, *calls: Call, text: str = "", finish_reason: str = "tool_calls") -> None:
        named = tuple(replace(call, id=call.id or f"call_{next(_ids)}") for call in calls)
        object.__setattr__(self, "calls", named)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "finish_reason", finish_reason)


@dataclass(frozen=True)
class Empty:
    """A finished answer with neither text nor calls."""


@dataclass(frozen=True)
class Status:
    """An HTTP error, with a Retry-After header if given."""

    code: int
    message: str = "scripted error"
    retry_after: str | float | None = None


@dataclass(frozen=True)
class Hang:
    """No answer until the client gives up, or the server closes."""


@dataclass(frozen=True)
class Cut:
    """The stream of `reply` ends after `chunks` chunks: by a broken connection, or `silently`, like an end."""

    reply: Text | ToolCalls
    chunks: int
    silently: bool = False


@dataclass(frozen=True)
class Slow:
    """The chunks of `reply` come `delay` seconds apart."""

    reply: Text | ToolCalls
    delay: float


Step = Text | ToolCalls | Empty | Status | Hang | Cut | Slow
