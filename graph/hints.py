"""What helps the model out of an error: existing columns, near names, known traps in its script."""

from __future__ import annotations

import asyncio
import re
from difflib import get_close_matches

from langchain_core.messages import ToolCall

from core.errors import DolphinDBError, UserError
from dolphin.script import parse
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.lint import lint
from dolphin.script.syntax import Call, Name, Source, Update, walk
from graph.deps import Deps
from graph.scope import RunScope
from rag.hints import documentation_hint
from rag.knowledge import KnowledgeBase

MAX_TABLES = 3

_COLUMN = re.compile(r"(?i)unrecognized column|column name \[|invalid column|no column named")
_UNKNOWN = re.compile(r"(?i)(?:cannot recognize the token|can't recognize function|unknown function|function)\W+(\w+)")


async def hint(deps: Deps, scope: RunScope, environment: str, call: ToolCall, error: UserError) -> str:
    """One or more sentences, or "" when nothing useful is known."""
    script = call["args"].get("script")
    unknown = _UNKNOWN.search(error.message)
    # A script that calls what does not exist may have been held back before DolphinDB saw it.
    from_dolphindb = isinstance(error, DolphinDBError)
    if not isinstance(script, str) or not (from_dolphindb or unknown):
        return ""
    parts = []
    if _COLUMN.search(error.message):
        parts.append(await _columns(deps, scope, environment, script))
    if from_dolphindb and unknown and (near := near_functions(unknown[1])):
        parts.append(f"there is no function {unknown[1]}; near names: {', '.join(near)}")
    parts.extend(f"{finding.message} Corrected: {finding.fix}" for finding in lint(script)[:3] if finding.fix)
    if deps.knowledge.exists():
        parts.append(await asyncio.to_thread(_documented, deps.knowledge, error.message, script))
    return "; ".join(part for part in parts if part)


def _documented(knowledge: KnowledgeBase, error: str, script: str) -> str:
    return documentation_hint(knowledge.searcher(), error, script).text


def near_functions(name: str) -> list[str]:
    """Built-in functions whose names look like `name`."""
    if name in BUILTIN_NAMES:
        return []
    by_lower = {known.lower(): known for known in BUILTIN_NAMES}
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.75)]


async def _columns(deps: Deps, scope: RunScope, environment: str, script: str) -> str:
    parts = []
    for table in tables_in(script)[:MAX_TABLES]:
        try:
            found = await deps.catalog.describe(
                await deps.environment(scope.owner, environment), scope.thread_id, table
            )
        except UserError:
            continue
        parts.append(f"columns of {table}: " + ", ".join(column.name for column in found.columns))
    return "; ".join(parts)


def tables_in(script: str) -> list[str]:
    """The tables that queries of the script read, as the script refers to them."""
    try:
        tree = parse(script)
    except ScriptSyntaxError:
        return []
    names = []
    for node in walk(tree):
        if isinstance(node, Source):
            value = node.value
        elif isinstance(node, Update):
            value = node.target
        else:
            continue
        if isinstance(value, Name):
            names.append(value.id)
        elif isinstance(value, Call) and isinstance(value.function, Name) and value.function.id == "loadTable":
            names.append(script[value.span.start : value.span.end])
    return list(dict.fromkeys(names))
