"""Preparing the expressions of a query for evaluation over a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from dolphin.script import syntax
from engine.sql.frame import ROW_MARK, Frame

NodeT = TypeVar("NodeT", bound=syntax.Node)

SINGLE_ROW = "\0single"
"""Marks a subquery whose only row stands for a scalar."""
SUBQUERIES = (syntax.Select, syntax.SetOperation, syntax.With)


def transform(node: NodeT, change: Callable[[syntax.Node], syntax.Node]) -> NodeT:
    """The tree with `change` applied from the leaves up. Subqueries are handed over whole, not entered."""
    if isinstance(node, SUBQUERIES):
        return change(node)  # type: ignore[return-value]
    altered: dict[str, Any] = {}
    for item in fields(node):
        old = getattr(node, item.name)
        new = _transform_value(old, change)
        if new is not old:
            altered[item.name] = new
    return change(replace(node, **altered) if altered else node)  # type: ignore[return-value]


def _transform_value(value: Any, change: Callable[[syntax.Node], syntax.Node]) -> Any:
    if isinstance(value, syntax.Node):
        return transform(value, change)
    if isinstance(value, tuple):
        items = tuple(_transform_value(item, change) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def prepare(node: NodeT, frame: Frame) -> NodeT:
    """Qualified columns become plain names, `case` becomes `iif`, a compared subquery gives its value."""

    def change(each: syntax.Node) -> syntax.Node:
        if isinstance(each, syntax.Member) and isinstance(each.target, syntax.Name):
            name = f"{each.target.id}.{each.name}"
            if frame.has_qualifier(each.target.id) and frame.find(name) >= 0:
                return syntax.Name(name, span=each.span)
        if isinstance(each, syntax.ColumnName):
            return syntax.Name(each.text, span=each.span)
        if isinstance(each, syntax.Case):
            return _case(each)
        if isinstance(each, syntax.Binary):
            return replace(each, left=_value_query(each, each.left), right=_value_query(each, each.right))
        if isinstance(each, syntax.Call):
            return _call(each)
        return each

    return transform(node, change)


def _value_query(outer: syntax.Binary, node: syntax.Expression) -> syntax.Expression:
    """A subquery as an operand is the column it selects; except after `in`, a single row is a scalar."""
    if isinstance(node, syntax.Select) and node.kind == "select" and len(node.items) == 1:
        hints = node.hints if outer.operator == "in" else (*node.hints, SINGLE_ROW)
        return replace(node, kind="exec", hints=hints)
    return node


def value_query(node: syntax.Expression) -> syntax.Expression:
    """A subquery as a whole expression of a select or set clause."""
    if isinstance(node, syntax.Select) and node.kind == "select" and len(node.items) == 1:
        return replace(node, kind="exec", hints=(*node.hints, SINGLE_ROW))
    return node


def _case(node: syntax.Case) -> syntax.Expression:
    result: syntax.Expression = node.otherwise or syntax.Literal("VOID", None, span=node.span)
    for test, value in reversed(node.branches):
        if node.subject is not None:
            test = syntax.Binary("==", node.subject, test, span=test.span)
        result = call("iif", test, value, result, span=node.span)
    return result


def call(name: str, *arguments: syntax.Expression, span: syntax.Span) -> syntax.Call:
    return syntax.Call(
        syntax.Name(name, span=span), tuple(syntax.Argument(argument, span=span) for argument in arguments), span=span
    )


def is_star(argument: syntax.Argument) -> bool:
    return isinstance(argument.value, syntax.OperatorFunction) and argument.value.operator == "*"


def _call(node: syntax.Call) -> syntax.Node:
    if len(node.arguments) == 1 and is_star(node.arguments[0]) and isinstance(node.function, syntax.Name):
        return replace(node, arguments=(syntax.Argument(syntax.Name(ROW_MARK, span=node.span), span=node.span),))
    return node


def references(node: syntax.Node, frame: Frame) -> Iterator[str]:
    """The names in `node` that are columns of the frame; functions called and subqueries are left out."""
    pending: list[syntax.Node] = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, SUBQUERIES):
            continue
        if isinstance(each, syntax.Name):
            if each.id == ROW_MARK or frame.find(each.id) >= 0:
                yield each.id
            continue
        if isinstance(each, syntax.Call) and isinstance(each.function, syntax.Name):
            pending.extend(each.arguments)
            continue
        pending.extend(syntax.children(each))


def depends_on_rows(node: syntax.Node, frame: Frame) -> bool:
    return next(references(node, frame), None) is not None
