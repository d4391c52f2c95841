"""Keeping the value of a script's last expression on the server, so that its type can be asked and its size bounded.

The script is sent once. Only its last statement changes: `select …` becomes `ddbAgentResult = select …`, and an
expression that describes the value follows. A variable that stands alone is described in its place, not copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dolphin.script.parser import parse
from dolphin.script.syntax import (
    Binary,
    Call,
    Case,
    DictLiteral,
    Expression,
    ExpressionStatement,
    Index,
    Literal,
    Member,
    Name,
    Select,
    SetOperation,
    Ternary,
    TupleLiteral,
    Unary,
    VectorLiteral,
    With,
)

RESULT = "ddbAgentResult"
ROWS = "ddbAgentRows"

VALUES = (
    Select,
    SetOperation,
    With,
    Literal,
    VectorLiteral,
    TupleLiteral,
    DictLiteral,
    Unary,
    Binary,
    Ternary,
    Index,
    Member,
    Case,
)

# A command gives no value and cannot be assigned. Their results, if any, are small, so when in doubt it is one.
COMMAND = re.compile(
    r"(add|backup|cancel|change|clean|clear|close|copy|create(Catalog|Group|Schema|User)|declare|delete|deny|destroy|"
    r"disable|drop|dump|emit|enable|encrypt|fflush|flush|force|go$|grant|init|install|load(Module|Plugin|Vocab)|lock|"
    r"login|logout|migrate|mkdir|move[A-Z]|moveReplicas|plot|print|purge|reb|register|remove|rename|reorder|replaceColumn|"
    r"reset|restore|resubmit|resume|revoke|rm$|rmdir|rotate|route|run$|runScript|save|send|set[A-Z]|share|skip|sleep|start|"
    r"stop|suspend|sync[A-Z]|terminate|test$|trigger|truncate|undef|unload|unlock|unsubscribe|update|use$|warmup|"
    r"write(Log|Object)|clip!|memberModify!)"
)


@dataclass(frozen=True)
class Captured:
    """`text` is what to send. Its value describes the variable `name`, or is the result itself when `name` is None."""

    text: str
    name: str | None


def capture(script: str) -> Captured:
    """`script` with its last value kept, or unchanged when it ends in no value or is beyond the parser."""
    try:
        statements = parse(script).statements
    except (ValueError, RecursionError):
        return Captured(script, None)
    last = statements[-1] if statements else None
    if not isinstance(last, ExpressionStatement):
        return Captured(script, None)
    value, span = last.value, last.value.span
    if isinstance(value, Name):
        if "::" in value.id:
            return Captured(script, None)
        return Captured(script[: span.start] + description(value.id) + script[span.end :], value.id)
    if not (isinstance(value, VALUES) or (isinstance(value, Call) and not _is_command(value.function))):
        return Captured(script, None)
    start, end = span.start, span.end
    # Queries run on over line ends, so the statement is closed explicitly.
    close = "" if script[end:].lstrip().startswith(";") else ";"
    text = f"{script[:start]}{RESULT} = {script[start:end]}{close}{script[end:]}\n{description(RESULT)}"
    return Captured(text, RESULT)


def description(name: str) -> str:
    return f"(form({name}), type({name}), typestr({name}))"


def _is_command(function: Expression) -> bool:
    return not isinstance(function, Name) or COMMAND.match(function.id.rpartition("::")[2]) is not None
