"""What a script can do, judged with what earlier scripts of the thread left in its session.

A table that an earlier call made is the session's own, and a function that one defined is known by its body. Without
that knowledge both would count as unknown, and every second call would need approval. Whatever is not certain stays
unknown: names set in any other way, names that a script which failed or reached beyond the session has mentioned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from core.errors import UserError
from dolphin.environment import DEFAULT_ENVIRONMENT
from dolphin.script import parse
from dolphin.script.effects import Effect, Effects, Finding, effects
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.syntax import (
    Adverb,
    Assign,
    Call,
    Expression,
    FunctionDefinition,
    Lambda,
    Name,
    Node,
    Quote,
    Script,
    Select,
    Statement,
    walk,
)
from dolphin.sessions import LOST
from graph.binding import reference_of
from graph.deps import Deps
from graph.scope import RunScope
from graph.state import State
from graph.tools import Toolbox

EDITED_SCRIPT = "script"
RAN_IN = "ran_in"

# Older ones are not read again: what they made is unknown then.
REMEMBERED_SCRIPTS = 100

# Functions whose result is a new table of the session, whatever they are given.
TABLE_MAKERS = frozenset({"table", "loadText", "ploadText"})


@dataclass
class Session:
    """What is certain of a session: names of its own tables, and definitions of its functions by name."""

    tables: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)

    def forget(self, name: str) -> None:
        self.tables.discard(name)
        self.functions.pop(name, None)

    def after(self, text: str, succeeded: bool) -> None:
        """Take in a script that ran."""
        script, level = _read(text)
        if script is None:
            self.tables.clear()
            self.functions.clear()
            return
        if not succeeded or level > Effect.session:
            for node in walk(script):
                self.forget(_name_of(node))
            return
        for statement in script.statements:
            self._learn(statement, text)

    def _learn(self, statement: Statement, text: str) -> None:
        match statement:
            case FunctionDefinition(name=name, declaration=False):
                self.forget(name)
                self.functions[name] = text[statement.span.start : statement.span.end]
            case Assign(targets=(Name(id=name),), operator="=", reference=False) if _makes_table(statement.value):
                self.forget(name)
                self.tables.add(name)
            case _:
                for node in walk(statement):
                    if isinstance(node, Assign):
                        for target in node.targets:
                            self.forget(_name_of(target))
                    elif isinstance(node, FunctionDefinition):
                        self.forget(node.name)


@lru_cache(4 * REMEMBERED_SCRIPTS)
def _read(text: str) -> tuple[Script | None, Effect]:
    """The tree of a script, None when it does not parse, and its level; a thread's scripts are asked for at every
    step."""
    try:
        script = parse(text)
    except ScriptSyntaxError:
        return None, Effect.admin
    return script, effects(script).level


def _name_of(node: Node) -> str:
    if isinstance(node, Name):
        return node.id
    return node.name if isinstance(node, FunctionDefinition) else ""


def _makes_table(value: Expression) -> bool:
    made = isinstance(value, Select) and value.kind == "select"
    if isinstance(value, Call) and isinstance(value.function, Name):
        made = value.function.id in TABLE_MAKERS and value.style == "call"
    return made and not any(isinstance(node, Lambda | Quote | Adverb) for node in walk(value))


def judge(script: str, known: Callable[[], Session]) -> Effects:
    """The effects of `script` in a session of which so much is known; `known` is asked only when it matters."""
    alone = effects(script)
    if alone.level <= Effect.session:
        return alone
    session = known()
    if not (session.tables or session.functions):
        return alone
    try:
        tree: Script = parse(script)
    except ScriptSyntaxError:
        return alone
    mentioned = {node.id for node in walk(tree) if isinstance(node, Name)}
    lines = [f"{name} = table(0 as x)" for name in sorted(session.tables & mentioned)]
    lines.extend(session.functions.values())
    before = "\n".join([*lines, ""])
    together = effects(before + script)
    start, height = len(before), before.count("\n")
    return Effects(tuple(_moved(finding, start, height) for finding in together.findings), alone.touched)


def _moved(finding: Finding, start: int, height: int) -> Finding:
    """The finding with its place counted in the script; one in an earlier function's body stands at its beginning."""
    span = finding.span
    if span.start < start:
        return replace(finding, span=replace(span, start=0, end=0, line=1, column=1))
    return replace(finding, span=replace(span, start=span.start - start, end=span.end - start, line=span.line - height))


def session_of(deps: Deps, tools: Toolbox, state: State, scope: RunScope) -> Callable[[], Session]:
    """Looks up what is known of the thread's session; nothing, when this process does not hold one."""

    def known() -> Session:
        reference = reference_of(state)
        if not deps.sessions.has_session(scope.thread_id, reference):
            return Session()
        return known_session(state["messages"], tools, reference)

    return known


def ran_in(message: ToolMessage) -> str:
    """The environment in which the script of a result ran."""
    kept = message.artifact if isinstance(message.artifact, dict) else {}
    return str(kept.get(RAN_IN, DEFAULT_ENVIRONMENT))


def known_session(messages: Sequence[AnyMessage], tools: Toolbox, environment: str = DEFAULT_ENVIRONMENT) -> Session:
    """What the thread's messages tell about its present session in an environment."""
    scripts = {
        call["id"]: script
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if (script := script_of(call["name"], call["args"], tools)) is not None
    }
    ran = [
        message
        for message in messages
        if isinstance(message, ToolMessage) and message.tool_call_id in scripts and ran_in(message) == environment
    ]
    session = Session()
    for message in ran[-REMEMBERED_SCRIPTS:]:
        if LOST in message.text:
            session = Session()
        edited = message.artifact.get(EDITED_SCRIPT) if isinstance(message.artifact, dict) else None
        session.after(edited or scripts[message.tool_call_id], message.status == "success")
    return session


def script_of(name: str, args: dict[str, object], tools: Toolbox) -> str | None:
    """The script that a call runs; None for a call that runs none."""
    tool = tools.find(name)
    if tool is None or tool.script is None:
        return None
    try:
        return tool.script(tool.parse(args))
    except UserError:
        return None
