"""Quoted code: macros (`_$name`) replaced by what their variables hold."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.interpreter.scope import Scope
from engine.types import LITERAL
from engine.values import Scalar, Vector


def expand_macros(node: Any, scope: Scope) -> Any:
    """The tree without macros; the same object if there were none."""
    if not any(isinstance(each, syntax.Macro) or _names_macro(each) for each in syntax.walk(node)):
        return node
    return _expand(node, scope)


def _names_macro(node: syntax.Node) -> bool:
    return isinstance(node, syntax.SelectItem) and any(alias.startswith("_$") for alias in node.aliases)


def _expand(node: Any, scope: Scope) -> Any:
    if isinstance(node, syntax.Macro):
        return _names(node, scope)[0]
    if isinstance(node, tuple):
        out: list[Any] = []
        for item in node:
            macro = _many(item)
            if macro is None:
                out.append(_expand(item, scope))
            elif isinstance(item, syntax.SelectItem):
                out.extend(_columns(item, macro, scope))
            elif isinstance(item, syntax.Argument):
                names = tuple(_names(macro, scope))
                out.append(replace(item, value=syntax.TupleLiteral(span=macro.span, items=names)))
            else:
                out.extend(_names(macro, scope))
        return tuple(out)
    if not isinstance(node, syntax.Node):
        return node
    changed: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, syntax.Macro) and value.many:
            changed[field.name] = syntax.TupleLiteral(span=value.span, items=tuple(_names(value, scope)))
        elif field.name == "aliases":
            changed[field.name] = _aliases(value, scope)
        elif isinstance(value, syntax.Node | tuple):
            changed[field.name] = _expand(value, scope)
    return replace(node, **changed)


def _columns(item: syntax.SelectItem, macro: syntax.Macro, scope: Scope) -> list[syntax.SelectItem]:
    """`_$$names as _$$aliases`: one column for every name."""
    names = _names(macro, scope)
    aliases = _aliases(item.aliases, scope)
    if not aliases:
        return [replace(item, value=name) for name in names]
    if len(aliases) != len(names):
        raise ScriptError("The number of aliases does not match the number of columns of the macro.")
    return [replace(item, value=name, aliases=(alias,)) for name, alias in zip(names, aliases, strict=True)]


def _aliases(aliases: tuple[str, ...], scope: Scope) -> tuple[str, ...]:
    """Aliases with those that are macros replaced by the names they stand for."""
    out: list[str] = []
    for alias in aliases:
        if alias.startswith("_$"):
            out += _texts(alias.removeprefix("_$").removeprefix("$").strip('"'), scope)
        else:
            out.append(alias)
    return tuple(out)


def _many(item: Any) -> syntax.Macro | None:
    inner = item.value if isinstance(item, syntax.SelectItem | syntax.Argument) else item
    return inner if isinstance(inner, syntax.Macro) and inner.many else None


def _names(macro: syntax.Macro, scope: Scope) -> list[syntax.Name]:
    return [syntax.Name(span=macro.span, id=text) for text in _texts(macro.id, scope)]


def _texts(variable: str, scope: Scope) -> list[str]:
    value = scope.lookup(variable)
    if isinstance(value, Scalar) and value.type in LITERAL:
        return [str(value.value or "")]
    if isinstance(value, Vector) and value.type in LITERAL:
        return [str(text) for text in value.strings().tolist()]
    raise ScriptError(f"The variable [{variable}] of a macro must hold a column name or a vector of them.")
