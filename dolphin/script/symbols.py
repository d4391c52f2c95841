"""Functions, modules and names of a script, for a code index."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.errors import ScriptSyntaxError
from dolphin.script.parser import parse
from dolphin.script.unparse import unparse

_COMMENT_ABOVE = re.compile(r"(?:(?:[ \t]*//[^\n]*\n)+|/\*(?:(?!\*/)[\s\S])*\*/[ \t]*\n)(?=[ \t]*\Z)")
_DEFINITION = re.compile(r"^[ \t]*(def|defg|mapr)[ \t]+([A-Za-z_]\w*)[ \t]*\(([^)]*)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or class: `signature` as written in a call, `comment` the text right above it or first inside it."""

    name: str
    kind: str
    signature: str
    comment: str
    line: int
    end_line: int
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Symbols:
    """What a script defines and uses. `complete` is false when it did not parse and only headers were read."""

    module: str | None
    functions: tuple[Symbol, ...]
    uses: tuple[str, ...]
    assigned: tuple[str, ...]
    called: tuple[str, ...]
    complete: bool = True


def symbols(text: str) -> Symbols:
    """The symbols of a script; for a text that does not parse, those that its lines show."""
    try:
        script = parse(text)
    except ScriptSyntaxError:
        return _by_lines(text)
    module: str | None = None
    functions: list[Symbol] = []
    uses: list[str] = []
    assigned: dict[str, None] = {}
    for node in s.walk(script):
        if isinstance(node, s.FunctionDefinition) and not node.declaration:
            functions.append(_function(node, text))
        elif isinstance(node, s.ClassDefinition):
            functions.append(_symbol(node, node.name, "class", node.name, text, _calls(node)))
        elif isinstance(node, s.Module):
            module = node.name
        elif isinstance(node, s.Use) and not node.catalog:
            uses.append(node.name)
        elif isinstance(node, s.Assign):
            assigned.update((target.id, None) for target in node.targets if isinstance(target, s.Name))
    return Symbols(module, tuple(functions), tuple(uses), tuple(assigned), _calls(script))


def _function(node: s.FunctionDefinition, text: str) -> Symbol:
    parameters = ", ".join(unparse(parameter) for parameter in node.function.parameters)
    return _symbol(node, node.name, node.function.kind, f"{node.name}({parameters})", text, _calls(node))


def _symbol(node: s.Node, name: str, kind: str, signature: str, text: str, calls: tuple[str, ...]) -> Symbol:
    end_line = node.span.line + text.count("\n", node.span.start, node.span.end)
    return Symbol(name, kind, signature, _comment(text, node.span), node.span.line, end_line, calls)


def _calls(node: s.Node) -> tuple[str, ...]:
    """Functions called that are not built in: those of the project, in order of appearance."""
    names = {
        part.function.id: None
        for part in s.walk(node)
        if isinstance(part, s.Call) and isinstance(part.function, s.Name) and part.function.id not in BUILTIN_NAMES
    }
    return tuple(names)


def _comment(text: str, span: s.Span) -> str:
    before = text[: text.rfind("\n", 0, span.start) + 1]
    window = before[-4000:]
    while match := re.search(r"^[ \t]*@\w+[^\n]*\n\Z", window, re.MULTILINE):
        window = window[: match.start()]
    above = _COMMENT_ABOVE.search(window)
    if above:
        return _plain(above[0])
    inside = re.match(r"[^{]*\{\s*(/\*[\s\S]*?\*/|(?://[^\n]*\s*)+)", text[span.start : span.end])
    return _plain(inside[1]) if inside else ""


def _plain(comment: str) -> str:
    lines = (re.sub(r"^\s*(?://+|/\*+|\*+/|\*(?!/))?\s?|\s*\*+/\s*$", "", line) for line in comment.strip().split("\n"))
    return "\n".join(line.rstrip() for line in lines).strip()


def _by_lines(text: str) -> Symbols:
    functions = []
    for match in _DEFINITION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        span = s.Span(match.start(1), match.end(), line, 1)
        signature = f"{match[2]}({', '.join(part.strip() for part in match[3].split(',') if part.strip())})"
        functions.append(Symbol(match[2], match[1], signature, _comment(text, span), line, line))
    module = re.search(r"^[ \t]*module[ \t]+([\w:]+)", text, re.MULTILINE)
    uses = tuple(re.findall(r"^[ \t]*use[ \t]+([\w:]+)", text, re.MULTILINE))
    return Symbols(module[1] if module else None, tuple(functions), uses, (), (), complete=False)
