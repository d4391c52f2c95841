"""Tools that run DolphinDB script."""

from __future__ import annotations

import asyncio
import re

from pydantic import BaseModel, Field

from core.artifacts import Artifacts
from core.errors import UserError
from dolphin.results import preview, to_bytes
from dolphin.script import parse_expression
from dolphin.script.effects import Effect, effects
from dolphin.script.errors import ScriptSyntaxError
from dolphin.sessions import Sessions
from graph.tools.base import Tool, ToolResult, ToolScope


class RunDolphindbScript(BaseModel):
    """Run DolphinDB script in this thread's session and get the value of its last expression. Variables stay in the
    session for later calls. End with an expression, aggregate or limit what you return. Scripts that change stored or
    shared data are first shown to the user for approval."""

    script: str = Field(description="The script.")
    purpose: str = Field(default="", description="What it is for, in a few words, for the user.")


class QueryData(BaseModel):
    """Query one table without writing a script: choose columns (or aggregate expressions such as avg(price)), a
    condition, grouping and order."""

    table: str = Field(description="A table name or reference as listed by list_tables.")
    columns: list[str] = Field(default_factory=list, description="Columns or expressions; all columns when empty.")
    where: str = Field(default="", description="A condition, for example sym=`AAPL and price>100.")
    group_by: list[str] = Field(default_factory=list, description="Columns or expressions to group by.")
    order_by: str = Field(default="", description="For example price desc.")
    limit: int = Field(default=100, ge=1, le=100_000)


def script_tools(sessions: Sessions, artifacts: Artifacts) -> list[Tool]:
    async def run_script(arguments: RunDolphindbScript, scope: ToolScope) -> ToolResult:
        return await _run(arguments.script, scope, sessions, artifacts)

    async def query_data(arguments: QueryData, scope: ToolScope) -> ToolResult:
        return await _run(query_script(arguments), scope, sessions, artifacts)

    return [
        Tool("run_dolphindb_script", RunDolphindbScript, run_script, script=lambda arguments: str(arguments.script)),
        Tool("query_data", QueryData, query_data),
    ]


def query_script(query: QueryData) -> str:
    """The select statement of a query; raises UserError when a part is not a plain read-only expression."""
    columns = ", ".join(_expression(column, "columns") for column in query.columns) or "*"
    table = _expression(query.table, "table")
    lines = [f"select {columns} from {table}"]  # noqa: S608, every part was parsed and found read-only
    if query.where.strip():
        lines.append(f"where {_expression(query.where, 'where')}")
    if query.group_by:
        lines.append("group by " + ", ".join(_expression(key, "group_by") for key in query.group_by))
    if query.order_by.strip():
        lines.append("order by " + ", ".join(_order(part) for part in query.order_by.split(",")))
    lines.append(f"limit {query.limit}")
    return "\n".join(lines)


def _order(text: str) -> str:
    match = re.fullmatch(r"(?is)\s*(.+?)(?:\s+(asc|desc))?\s*", text)
    if match is None:
        raise UserError("order_by has an empty part.", "Write it as: price desc, sym.")
    return f"{_expression(match[1], 'order_by')} {(match[2] or 'asc').lower()}"


def _expression(text: str, part: str) -> str:
    plain, _, alias = text.strip().rpartition(" as ") if " as " in text else (text.strip(), "", "")
    try:
        parse_expression(plain)
    except ScriptSyntaxError as error:
        raise UserError(f"{part} is not an expression: {text!r} ({error}).", "Correct it and call again.") from None
    if effects(plain).level > Effect.read:
        raise UserError(f"{part} does more than read: {text!r}.", "Use run_dolphindb_script for anything but a query.")
    if alias and not re.fullmatch(r"\w+", alias):
        raise UserError(f"{part} has a strange alias: {alias!r}.", "Use letters, digits and underscores.")
    return f"{plain} as {alias}" if alias else plain


async def _run(script: str, scope: ToolScope, sessions: Sessions, artifacts: Artifacts) -> ToolResult:
    outcome = await sessions.run(
        await scope.environment(), scope.thread_id, script, timeout=scope.timeout, continued=scope.continued
    )
    result = outcome.value
    shown = preview(result)
    lines = [outcome.notice] if outcome.notice else []
    if outcome.printed:
        lines.append(f"printed:\n{_shorten(outcome.printed)}")
    lines.append(shown.text)
    identifiers: list[str] = []
    if not shown.complete:
        media_type, data = await asyncio.to_thread(to_bytes, result)
        name = "result.csv" if media_type.startswith("text/csv") else "result.json"
        artifact = await artifacts.save(scope.owner, scope.thread_id, "result", name, media_type, data)
        identifiers.append(artifact.id)
        lines.append(f"artifact: {artifact.id}")
    return ToolResult("\n".join(lines), identifiers)


def _shorten(text: str, limit: int = 2000) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit} more characters)"
