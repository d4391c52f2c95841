"""The agent's tools, one module per family."""

from __future__ import annotations

from collections.abc import Iterable

from graph.deps import Deps
from graph.tools.base import Tool, ToolResult, ToolScope
from graph.tools.catalog import catalog_tools
from graph.tools.checks import check_tools
from graph.tools.dialogue import ASK, COMPLETE, PLAN, dialogue_tools
from graph.tools.knowledge import knowledge_tools
from graph.tools.samples import sample_tools
from graph.tools.scripts import script_tools

__all__ = ["ASK", "COMPLETE", "PLAN", "Tool", "ToolResult", "ToolScope", "Toolbox", "toolbox"]

_PLANNING = {
    "list_tables", "describe_table", "inspect_database", "validate_script", "optimize_query", "search_knowledge_base",
    "get_function_documentation", "function_signatures", PLAN,
}  # fmt: skip


class Toolbox:
    """All tools by name, and which of them a mode may use."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def find(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def for_mode(self, mode: str) -> list[Tool]:
        tools = [tool for tool in self._tools.values() if tool.available()]
        if mode == "plan":
            return [tool for tool in tools if tool.name in _PLANNING]
        return [tool for tool in tools if tool.name != PLAN]


def toolbox(deps: Deps) -> Toolbox:
    return Toolbox(
        [
            *catalog_tools(deps.catalog, deps.sessions),
            *script_tools(deps.sessions, deps.artifacts),
            *sample_tools(deps.sessions),
            *check_tools(deps.sessions),
            *knowledge_tools(deps.knowledge, deps.models),
            *dialogue_tools(),
        ]
    )
