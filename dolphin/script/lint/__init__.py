"""Where people and language models go wrong in DolphinDB script, with the corrected form."""

from __future__ import annotations

from collections.abc import Mapping

from dolphin.script import syntax as s
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.lint.context import read_context
from dolphin.script.lint.finding import Finding, Severity, apply_fixes
from dolphin.script.lint.query_rules import query_findings
from dolphin.script.lint.script_rules import expression_findings, script_findings
from dolphin.script.lint.text_rules import text_findings
from dolphin.script.parser import parse

_ROUNDS = 8


def lint(text: str, *, columns: Mapping[str, str] | None = None) -> list[Finding]:
    """The pitfalls in a script, in the order of the text.

    `columns` (name to DolphinDB type) are those of the tables it queries; with them some rules see more.
    A text that does not parse has a finding `syntax` beside those that explain it.
    """
    found = list(text_findings(text))
    try:
        script = parse(text)
    except ScriptSyntaxError as error:
        found.append(Finding("syntax", error.message, error.span, severity="error"))
        return _ordered(found)
    context = read_context(script, text, columns)
    for node in s.walk(script):
        found.extend(query_findings(node, context))
        found.extend(expression_findings(node, context))
    found.extend(script_findings(script, context))
    return _ordered(found)


def fix(text: str, *, columns: Mapping[str, str] | None = None) -> str:
    """The script with every mechanical fix applied, again until nothing changes."""
    for _ in range(_ROUNDS):
        fixed = apply_fixes(text, lint(text, columns=columns))
        if fixed == text:
            break
        text = fixed
    return text


def _ordered(found: list[Finding]) -> list[Finding]:
    unique = {(item.rule, item.span, item.fix): item for item in found}
    return sorted(unique.values(), key=lambda item: (item.span.start, item.span.end, item.rule))


__all__ = ["Finding", "Severity", "apply_fixes", "fix", "lint"]
