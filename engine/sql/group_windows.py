"""Analytic functions over the groups of a query: `rank() over (order by sum(x))` with group by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dolphin.script import syntax
from engine.errors import UnsupportedError
from engine.sql.evaluation import NO_SPAN
from engine.sql.frame import Frame, frame_of
from engine.sql.naming import column_name
from engine.sql.rewrite import prepare
from engine.sql.windows import has_windows
from engine.values import Table, Value

ExpressionT = TypeVar("ExpressionT", bound=syntax.Expression)


class _Lifted:
    """What is computed once per group, under names of its own."""

    def __init__(self) -> None:
        self.nodes: list[syntax.Expression] = []

    def name(self, node: syntax.Expression) -> syntax.Expression:
        if isinstance(node, syntax.Literal):
            return node
        if node not in self.nodes:
            self.nodes.append(node)
        return syntax.Name(f"\0group{self.nodes.index(node)}", span=NO_SPAN)

    def lift(self, node: syntax.Expression) -> syntax.Expression:
        """An expression over the rows of the grouped result that is the same as `node` over groups."""
        if not has_windows(node):
            return self.name(node)
        if isinstance(node, syntax.Over):
            order = tuple(replace(item, value=self.name(item.value)) for item in node.order)
            call = self._arguments(node.call, self.name)
            return replace(node, call=call, partition=tuple(map(self.name, node.partition)), order=order)
        if isinstance(node, syntax.Binary):
            return replace(node, left=self.lift(node.left), right=self.lift(node.right))
        if isinstance(node, syntax.Unary):
            return replace(node, operand=self.lift(node.operand))
        return self._arguments(node, self.lift)

    def _arguments(
        self, node: ExpressionT, change: Callable[[syntax.Expression], syntax.Expression]
    ) -> ExpressionT | syntax.Call:
        if not isinstance(node, syntax.Call):
            raise UnsupportedError("This use of an over clause together with group by")
        arguments = (each if each.value is None else replace(each, value=change(each.value)) for each in node.arguments)
        return replace(node, arguments=tuple(arguments))


def over_groups(
    query: syntax.Select,
    frame: Frame,
    grouped: Callable[[syntax.Select], Table],
    selected: Callable[[syntax.Select, Frame], Value],
) -> Value:
    """First the groups (`grouped`), then the analytic functions over them (`selected`)."""
    lifted = _Lifted()
    items = []
    for item in query.items:
        assert item.value is not None
        names = item.aliases or (column_name(item.value, frame),)
        items.append(replace(item, value=lifted.lift(prepare(item.value, frame)), aliases=names))
    known = {name.lower() for item in items for name in item.aliases}
    order = tuple(
        item
        if isinstance(item.value, syntax.Literal)
        or (isinstance(item.value, syntax.Name) and item.value.id.lower() in known)
        else replace(item, value=lifted.lift(prepare(item.value, frame)))
        for item in query.order
    )
    inner = tuple(
        syntax.SelectItem(node, (f"\0group{place}",), span=NO_SPAN) for place, node in enumerate(lifted.nodes)
    )
    groups = grouped(
        replace(query, kind="select", items=inner, order=(), limit=None, top=None, distinct=False, hints=())
    )
    keys = [item for item in _keys(query, frame, groups, lifted) if item.value not in [each.value for each in items]]
    outer = syntax.Select("select", (*keys, *items), order=order, distinct=query.distinct, span=query.span)
    return selected(outer, frame_of(groups))


def _keys(query: syntax.Select, frame: Frame, groups: Table, lifted: _Lifted) -> list[syntax.SelectItem]:
    """The grouping columns as columns of the grouped result."""
    assert query.grouping is not None
    nodes = {name: prepare(key.value, frame) for key in query.grouping.keys if key.value for name in _names(key, frame)}
    found = {name: syntax.Name(name, span=NO_SPAN) for name in groups.names if not name.startswith("\0")}
    for place, node in enumerate(lifted.nodes):
        for name, key in nodes.items():
            if node == key or (isinstance(node, syntax.Name) and node.id.lower() == name.lower()):
                found[name] = syntax.Name(f"\0group{place}", span=NO_SPAN)
    order = [*nodes, *(name for name in found if name not in nodes)]
    return [syntax.SelectItem(found[name], (name,), span=NO_SPAN) for name in order if name in found]


def _names(key: syntax.SelectItem, frame: Frame) -> tuple[str, ...]:
    assert key.value is not None
    return key.aliases or (column_name(key.value, frame),)
