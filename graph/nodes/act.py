"""`act`: the model with all tools."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from graph.deps import Deps
from graph.nodes.node import Node
from graph.nodes.think import think
from graph.scope import run_scope
from graph.state import RunContext, State
from graph.tools import Toolbox
from graph.understanding import Understanding


def act_node(deps: Deps, tools: Toolbox, understanding: Understanding) -> Node:
    async def act(state: State, *, runtime: Runtime[RunContext]) -> Command[Literal["human", "tools", "complete"]]:
        return await think(deps, tools, understanding, state, run_scope(runtime, deps.settings), "act")

    return act
