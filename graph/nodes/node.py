"""The shape of a node that needs to know who runs."""

from __future__ import annotations

from typing import Any, Protocol

from langgraph.runtime import Runtime
from langgraph.types import Command

from graph.state import RunContext, State


class Node(Protocol):
    async def __call__(self, state: State, *, runtime: Runtime[RunContext]) -> Command[Any]: ...
