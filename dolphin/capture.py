"""Keeping the value of a script's last expression on the server, so that its type can be asked and its size bounded.

The script is sent once. Only its last statement changes: `select …` becomes `ddbAgentResult = select …`, and an
expression that describes the value follows. A variable that stands alone is described in its place, not copied. A call
that may give no value, which cannot be assigned, is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.parser import parse
from dolphin.script.syntax import (
    Binary,
    Block,
    Call,
    Case,
    DictLiteral,
    Expression,
    ExpressionStatement,
    FunctionDefinition,
    If,
    Index,
    Literal,
    Member,
    Name,
    Return,
    Select,
    SetOperation,
    Statement,
    Ternary,
    Throw,
    Try,
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
    r"(add|append(Event|ForJoin|Msg|Orca)|backup|call$|cancel|change|clean|clear|close|copy|create(Catalog|Group|Schema|User)|declare|delete|deny|destroy|"
    r"disable|drop|dump|emit|enable|encrypt|fflush|flush|force|go$|grant|init|install|load(Module|Plugin|Vocab)|lock|"
    r"login|logout|migrate|mkdir|move[A-Z]|moveReplicas|plot|print|purge|reb|register|remove|rename|reorder|replaceColumn|"
    r"remoteRun|replay|reset|restore|resubmit|resume|revoke|rm$|rmdir|rotate|route|rpc$|run$|runScript|save|send|set[A-Z]|share|skip|sleep|start|"
    r"stop|suspend|sync[A-Z]|terminate|test$|trigger|truncate|undef|unifiedCall|unload|unlock|unsubscribe|update|use$|warmup|"
    r"write(Log|Object)|clip!|memberModify!)"
)


@dataclass(frozen=True)
class Captured:
    """`text` is what to send. Its value describes the variable `name`, or is the result itself when `name` is None."""

    text: str
    name: str | None
    functions: Mapping[str, bool] = field(default_factory=dict)


def capture(script: str, functions: Mapping[str, bool] | None = None) -> Captured:
    """`script` with its last value kept, or unchanged when it may end in no value or is beyond the parser.

    `functions` are those defined in the session before, and whether each surely returns a value; the answer carries
    them together with the script's own.
    """
    known = dict(functions or {})
    try:
        statements = parse(script).statements
    except (ValueError, RecursionError):
        return Captured(script, None, known)
    for statement in statements:
        if isinstance(statement, FunctionDefinition) and not statement.declaration:
            body = statement.function.body
            known[statement.name] = _returns(body) if isinstance(body, Block) else True
    last = statements[-1] if statements else None
    if not isinstance(last, ExpressionStatement):
        return Captured(script, None, known)
    value, start, end = last.value, last.value.span.start, last.value.span.end
    if isinstance(value, Name) and "::" not in value.id:
        return Captured(script[:start] + description(value.id) + script[end:], value.id, known)
    if not (isinstance(value, VALUES) or (isinstance(value, Call) and _gives_value(value.function, known))):
        return Captured(script, None, known)
    # Queries run on over line ends, so the statement is closed explicitly.
    close = "" if script[end:].lstrip().startswith(";") else ";"
    text = f"{script[:start]}{RESULT} = {script[start:end]}{close}{script[end:]}\n{description(RESULT)}"
    return Captured(text, RESULT, known)


def description(name: str) -> str:
    return f"(form({name}), type({name}), typestr({name}))"


def _gives_value(function: Expression, known: Mapping[str, bool]) -> bool:
    if not isinstance(function, Name):
        return False
    if function.id in known:
        return known[function.id]
    return function.id in BUILTIN_NAMES and COMMAND.match(function.id) is None


def _returns(statement: Statement | None) -> bool:
    """Whether every way through the statement ends in a value or an error."""
    if isinstance(statement, Block):
        return bool(statement.statements) and _returns(statement.statements[-1])
    if isinstance(statement, If):
        return _returns(statement.then) and _returns(statement.otherwise)
    if isinstance(statement, Try):
        return _returns(statement.body) and _returns(statement.handler)
    return isinstance(statement, Throw) or (isinstance(statement, Return) and statement.value is not None)
