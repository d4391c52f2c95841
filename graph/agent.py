"""The agent.

START -> (mode) -> plan -> human -> act <-> tools -> complete -> END
                    ^  \\-> tools      \\-> human -> tools | act
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.deps import Deps
from graph.nodes.act import act_node
from graph.nodes.complete import complete
from graph.nodes.human import human_node
from graph.nodes.plan import plan_node
from graph.nodes.tools import tools_node
from graph.scope import run_scope
from graph.state import Input, Output, RunContext, State
from graph.tools import toolbox
from graph.understanding import Understanding


def build_graph(deps: Deps) -> StateGraph[State, RunContext, Input, Output]:
    """The agent's graph, not compiled: each host compiles it with its own checkpointer."""
    tools = toolbox(deps)
    understanding = Understanding(deps)
    graph = StateGraph(State, context_schema=RunContext, input_schema=Input, output_schema=Output)
    graph.add_node("plan", plan_node(deps, tools, understanding))
    graph.add_node("act", act_node(deps, tools, understanding))
    graph.add_node("tools", tools_node(deps, tools))
    graph.add_node("human", human_node(deps, tools))
    graph.add_node("complete", complete)
    graph.add_conditional_edges(START, _start(deps), ["plan", "act", "human"])
    graph.add_edge("complete", END)
    return graph


def _start(deps: Deps) -> Any:
    async def start(state: State, *, runtime: Runtime[RunContext]) -> Literal["plan", "act", "human"]:
        """A write whose outcome is not known comes before anything new."""
        scope = run_scope(runtime, deps.settings)
        if await deps.ledger.open_entries(scope.owner, scope.thread_id):
            return "human"
        return state.get("mode") or "act"

    return start
