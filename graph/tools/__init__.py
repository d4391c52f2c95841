"""The agent's tools, one module per family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langchain_core.messages import ToolCall

from graph.deps import Deps
from graph.tools.base import Tool, ToolResult, ToolScope
from graph.tools.catalog import catalog_tools
from graph.tools.checks import check_tools
from graph.tools.dialogue import ASK, COMPLETE, PLAN, dialogue_tools
from graph.tools.environments import environment_tools
from graph.tools.knowledge import knowledge_tools
from graph.tools.memory import memory_tools
from graph.tools.samples import sample_tools
from graph.tools.scripts import script_tools
from graph.tools.workspace import workspace_tools
from provision.records import EnvironmentRecord
from provision.workspace import Workspaces

__all__ = ["ASK", "COMPLETE", "PLAN", "Tool", "ToolResult", "ToolScope", "Toolbox", "toolbox"]

_PLANNING = {
    "list_tables", "describe_table", "inspect_database", "validate_script", "optimize_query", "search_knowledge_base",
    "get_function_documentation", "function_signatures", "list_environments", "list_files", "read_file", PLAN,
}  # fmt: skip


class Toolbox:
    """All tools by name, and which of them the model has."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def find(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def stranded(self, calls: Sequence[ToolCall]) -> set[str]:
        """Ids of the calls that come after one which may move the thread to another environment."""
        moved, found = False, set()
        for call in calls:
            tool = self.find(call["name"])
            moves = tool is not None and tool.moves
            if moved and not moves:
                found.add(call["id"] or "")
            moved = moved or moves
        return found

    def usable(self, mode: str, environment: EnvironmentRecord | None) -> list[Tool]:
        """The tools of a mode on a thread that works in this environment, None being the default one."""
        tools = [tool for tool in self._tools.values() if tool.available(environment)]
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
            *environment_tools(deps.environments, deps.sessions),
            *workspace_tools(Workspaces(deps.environments), deps.sessions),
            *memory_tools(deps.store),
            *dialogue_tools(),
        ]
    )
