"""Tools that judge a script without running it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from core.errors import UserError
from dolphin.pruning import partitions_read
from dolphin.script.effects import effects
from dolphin.script.lint import Finding, lint
from dolphin.sessions import Sessions
from graph.tools.base import Tool, ToolResult, ToolScope


class ValidateScript(BaseModel):
    """Check a script without running it: does it parse, what would it change (its effects), and does it fall into a
    known trap of the language. Each finding gives the corrected form."""

    script: str


class OptimizeQuery(BaseModel):
    """Look for what makes a query slow or subtly wrong, without running it: conditions that prevent partition pruning,
    missing limits, known traps; on a partitioned table also how many partitions it would read."""

    script: str = Field(description="One query.")


def check_tools(sessions: Sessions) -> list[Tool]:
    async def validate(arguments: ValidateScript, _scope: ToolScope) -> ToolResult:
        return ToolResult(json.dumps(judge(arguments.script), ensure_ascii=False))

    async def optimize(arguments: OptimizeQuery, scope: ToolScope) -> ToolResult:
        judged = judge(arguments.script)
        try:
            judged["partitions_read"] = await partitions_read(
                sessions, await scope.environment(), scope.thread_id, arguments.script
            )
        except UserError as error:
            judged["partitions_read"] = None
            judged["partitions_note"] = str(error)
        return ToolResult(json.dumps(judged, ensure_ascii=False))

    return [Tool("validate_script", ValidateScript, validate), Tool("optimize_query", OptimizeQuery, optimize)]


def judge(script: str) -> dict[str, Any]:
    """Effects and findings of a script as plain JSON."""
    found = effects(script)
    findings = lint(script)
    return {
        "ok": not any(finding.rule == "syntax" for finding in findings),
        "level": found.level.name,
        "effects": [
            {"effect": item.effect.name, "what": item.name, "reason": item.reason, "line": item.span.line}
            for item in found.findings
        ],
        "findings": [_finding(item) for item in findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"rule": finding.rule, "message": finding.message, "line": finding.span.line, "fix": finding.fix}
