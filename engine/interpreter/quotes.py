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
    if not any(isinstance(each, syntax.Macro) for each in syntax.walk(node)):
        return node
    return _expand(node, scope)


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
                out.extend(replace(item, value=name) for name in _names(macro, scope))
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
        elif isinstance(value, syntax.Node | tuple):
            changed[field.name] = _expand(value, scope)
        elif field.name == "aliases":
            changed[field.name] = value
    return replace(node, **changed)


def _many(item: Any) -> syntax.Macro | None:
    inner = item.value if isinstance(item, syntax.SelectItem | syntax.Argument) else item
    return inner if isinstance(inner, syntax.Macro) and inner.many else None


def _names(macro: syntax.Macro, scope: Scope) -> list[syntax.Name]:
    value = scope.lookup(macro.id)
    texts: list[str]
    if isinstance(value, Scalar) and value.type in LITERAL:
        texts = [str(value.value or "")]
    elif isinstance(value, Vector) and value.type in LITERAL:
        texts = value.strings().tolist()
    else:
        raise ScriptError(f"The variable [{macro.id}] of a macro must hold a column name or a vector of them.")
    return [syntax.Name(span=macro.span, id=text) for text in texts]
