"""What values and queries are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dolphin.script import syntax
from engine.arguments import text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.source import HINT_CODES
from engine.types import Type
from engine.values import NULL, AnyVector, Code, Dictionary, Scalar, Value, boolean, integer

functions = Registry()

_GROUP_FLAGS = {"context": 0, "group": 1, "pivot": 2}


@functions.builtin("refCount", "varname", context=True)
def reference_count(context: Context, name: Value) -> Scalar:
    """How many variables of the session and shared ones are the same object."""
    variable = text_argument(name, "varname")
    held = [*context.session.variables.values(), *context.node.shared.values()]
    value = context.session.variables.get(variable, context.node.shared.get(variable))
    if value is None:
        raise ScriptError(f"The variable [{variable}] does not exist.")
    return integer(sum(each is value for each in held))


@functions.builtin("objectComponent", "obj")
def object_component(value: Value) -> Dictionary:
    """The clauses of a query."""
    node = value.node if isinstance(value, Code) else None
    if not isinstance(node, syntax.Select):
        raise CallError("obj must be the code of a query, such as <select * from t>.")
    grouping = node.grouping or node.pivot
    cumulative = node.pivot is not None and node.pivot.kind == "cgroup"
    limit = node.top if node.top is not None else node.limit
    offset, count = (None, limit)
    if isinstance(limit, syntax.Binary) and limit.operator == ":":
        offset, count = limit.left, limit.right
    elif isinstance(limit, syntax.TupleLiteral):
        offset, count = limit.items
    entries: dict[str, Value] = {
        "exec": boolean(node.kind == "exec"),
        "select": _codes(_items(node.items)),
        "from": NULL if node.source is None else Code(_table(node.source)),
        "where": _codes(node.where),
        "groupBy": _codes(_items(grouping.keys) if grouping is not None else ()),
        "groupFlag": integer(_GROUP_FLAGS[grouping.kind]) if grouping is not None and not cumulative else NULL,
        "cgroups": integer(len(node.pivot.keys) if node.pivot is not None and cumulative else 0),
        "csort": _codes(node.csort),
        "having": NULL if node.having is None else Code(node.having),
        "orderBy": _codes(node.order),
        "rowOffset": NULL if offset is None else Code(offset),
        "rowCount": NULL if count is None else Code(count),
        "hint": integer(sum(HINT_CODES.get(each) or (int(each) if each.isdigit() else 0) for each in node.hints)),
        "segment": NULL,
    }
    return Dictionary(Type.STRING, Type.ANY, dict(entries), ordered=True)


def _codes(nodes: Sequence[Any]) -> AnyVector:
    return AnyVector([Code(node) for node in nodes])


def _items(items: Sequence[syntax.SelectItem]) -> list[Any]:
    """Columns, without the wrapping where they have no alias."""
    return [each.value if each.value is not None and not each.aliases else each for each in items]


def _table(source: syntax.Source | syntax.Join) -> Any:
    """A table that is named is what its name stands for."""
    if not isinstance(source, syntax.Source) or not isinstance(source.value, syntax.Name):
        return source
    span = source.span
    name = syntax.Argument(syntax.Literal("STRING", source.value.id, span=span), span=span)
    return syntax.Call(syntax.Name("objByName", span=span), (name,), span=span)
