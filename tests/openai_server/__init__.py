"""A scripted OpenAI-compatible chat completions server on loopback, for tests."""

from __future__ import annotations

from openai_server.server import RecordedRequest, ScriptedOpenAI
from openai_server.steps import Call, Cut, Empty, Hang, Slow, Status, Step, Text, ToolCalls
from openai_server.validation import history_problem

__all__ = [
    "Call",
    "Cut",
    "Empty",
    "Hang",
    "RecordedRequest",
    "ScriptedOpenAI",
    "Slow",
    "Status",
    "Step",
    "Text",
    "ToolCalls",
    "history_problem",
]
