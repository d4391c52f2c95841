"""Subqueries that refer to columns of the query around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from dolphin.script import syntax
from engine.errors import ScriptError, UnsupportedError
from engine.forms import concat, element
from engine.interpreter.scope import Scope
from engine.sql.evaluation import NO_SPAN, Executor, boolean_mask
from engine.sql.frame import Field, Frame, RowScope
from engine.sql.keys import group_rows
from engine.sql.quantifiers import Comparison, column_of, compared, comparison_of
from engine.sql.rewrite import SUBQUERIES
from engine.types import Type
from engine.values import Array, Column, Scalar, Table, Value, Vector, nulls, repeat, take, vector


class OuterScope(Scope):
    """What a subquery sees of the query around it: the values of one row, if it is given one.

    `words` are those of the subquery that may be columns; those looked up are in `used`.
    """

    __slots__ = ("frame", "row", "used", "words")

    def __init__(self, frame: Frame, parent: Scope | None, node: syntax.Node, row: int | None = None) -> None:
        super().__init__({}, parent)
        self.frame = frame
        self.words = _column_words(node)
        self.row = row
        self.used: set[int] = set()

    def lookup(self, name: str) -> Value | None:
        index = self.frame.find(name) if name in self.words else -1
        if index < 0:
            return super().lookup(name)
        if self.row is None:
            raise UnsupportedError(
                f"A subquery that refers to the column [{name}] of the query around it in this clause"
            )
        self.used.add(index)
        column = self.frame.column(index)
        if len(column):
            return element(column, self.row)
        return nulls(column.type, 1).scalar(0) if isinstance(column, Vector) else None


class ConstantScope(Scope):
    """Values of subqueries that are the same for all rows."""

    __slots__ = ()


def inside(node: syntax.Node, scope: Scope) -> Scope:
    """The scope in which a query that stands in an expression over the rows of another is evaluated."""
    return OuterScope(scope.frame, scope.parent, node) if isinstance(scope, RowScope) else scope


def _column_words(node: syntax.Node) -> set[str]:
    called = {id(each.function) for each in syntax.walk(node) if isinstance(each, syntax.Call)}
    words: set[str] = set()
    for each in syntax.walk(node):
        if isinstance(each, syntax.Name) and id(each) not in called:
            words.add(each.id)
        elif isinstance(each, syntax.ColumnName):
            words.add(each.text)
        elif isinstance(each, syntax.Member) and isinstance(each.target, syntax.Name):
            words.add(f"{each.target.id}.{each.name}")
    return words


def with_subqueries(
    node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope
) -> tuple[syntax.Expression, Frame, Scope]:
    """The expression with subqueries on the rows around them replaced by hidden columns of the frame returned.

    Subqueries that might have been such, but turn out not to be, become variables of the scope returned.
    """
    if not any(_may_correlate(each, frame) for each in _subqueries(node)):
        return node, frame, scope
    work = _Work(frame, executor, scope)
    changed = work.replaced(node)
    return changed, frame.extended(work.added), ConstantScope(work.constants, scope)


def has_subqueries(node: syntax.Node) -> bool:
    return bool(_subqueries(node))


def _subqueries(node: syntax.Node) -> list[syntax.Node]:
    found: list[syntax.Node] = []
    pending: list[syntax.Node] = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, SUBQUERIES):
            found.append(each)
        else:
            pending.extend(syntax.children(each))
    return found


def _may_correlate(node: syntax.Node, frame: Frame) -> bool:
    return any(frame.find(word) >= 0 for word in _column_words(node))


class _Work:
    """Replaces the subqueries of one expression."""

    def __init__(self, frame: Frame, executor: Executor, scope: Scope) -> None:
        self.frame = frame
        self.executor = executor
        self.scope = scope
        self.added: list[Field] = []
        self.constants: dict[str, Value] = {}

    def replaced(self, node: Any) -> Any:
        if isinstance(node, SUBQUERIES):
            return self._value(node) if _may_correlate(node, self.frame) else node
        if isinstance(node, syntax.Quantifier) and node.kind == "exists" and _may_correlate(node.query, self.frame):
            return self._exists(node)
        if isinstance(node, syntax.Binary):
            found = comparison_of(node, self.frame)
            if found is not None and isinstance(found.query, SUBQUERIES) and _may_correlate(found.query, self.frame):
                return self._quantified(found)
            if node.operator == "in" and isinstance(node.right, SUBQUERIES) and _may_correlate(node.right, self.frame):
                return self._compared(node.right, self.replaced(node.left), _membership)
        altered: dict[str, Any] = {}
        for item in fields(node):
            old = getattr(node, item.name)
            new = self._replaced_field(old)
            if new is not old:
                altered[item.name] = new
        return replace(node, **altered) if altered else node

    def _replaced_field(self, value: Any) -> Any:
        if isinstance(value, syntax.Node):
            return self.replaced(value)
        if isinstance(value, tuple):
            items = tuple(self._replaced_field(item) for item in value)
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _results(self, query: syntax.Expression) -> tuple[list[Value], list[Array] | None]:
        """The values of a subquery, and the rows of the frame each belongs to; no rows for one that is constant."""
        outer = OuterScope(self.frame, self.scope, query, 0)
        value = self.executor.evaluate(query, outer)
        if not outer.used:
            return [value], None
        while True:
            known = sorted(outer.used)
            groups, first = group_rows([self.frame.column(index) for index in known])
            values: list[Value] = []
            for row in first.tolist():
                self.executor.check()
                outer.row = row
                values.append(self.executor.evaluate(query, outer))
                if len(outer.used) > len(known):
                    break
            else:
                return values, [groups.order[a:b] for a, b in zip(groups.offsets[:-1], groups.offsets[1:], strict=True)]

    def _column(self, column: Column) -> syntax.Name:
        name = f"\0sub{len(self.frame.fields) + len(self.added)}"
        self.added.append(Field(name, column, hidden=True))
        return _name(name)

    def _constant(self, value: Value) -> syntax.Name:
        name = f"\0constant{len(self.frame.fields)}.{len(self.constants)}"
        self.constants[name] = value
        return _name(name)

    def _spread(self, values: list[Value], rows: list[Array], type_: Type | None = None) -> syntax.Name:
        """One value for every row: `values[i]` at `rows[i]`."""
        parts = [_single(value) for value in values]
        column = concat([repeat(part, 1) for part in parts], type_) if parts else vector(type_ or Type.DOUBLE, [])
        codes = np.zeros(self.frame.rows, dtype=np.int64)
        for index, chosen in enumerate(rows):
            codes[chosen] = index
        return self._column(take(column, codes))

    def _value(self, query: syntax.Expression) -> syntax.Name:
        values, rows = self._results(query)
        return self._constant(values[0]) if rows is None else self._spread(values, rows)

    def _exists(self, node: syntax.Quantifier) -> syntax.Name:
        values, rows = self._results(node.query)
        truths: list[Value] = [Scalar(Type.BOOL, len(column_of(value)) > 0) for value in values]
        return self._constant(truths[0]) if rows is None else self._spread(truths, rows, Type.BOOL)

    def _quantified(self, found: Comparison) -> syntax.Name:
        def condition(left: syntax.Expression, values: Value, rows: RowScope) -> syntax.Expression:
            return compared(left, found.operator, found.kind, values, self.executor, rows)

        return self._compared(found.query, self.replaced(found.left), condition)

    def _compared(
        self,
        query: syntax.Expression,
        left: syntax.Expression,
        condition: Callable[[syntax.Expression, Value, RowScope], syntax.Expression],
    ) -> syntax.Name:
        """A comparison of the rows with all rows of their subquery, as a column of truths."""
        values, rows = self._results(query)
        frame = self.frame.extended(self.added)
        outer = ConstantScope(self.constants, self.scope)
        truths = np.zeros(frame.rows, dtype=np.int8)
        for value, chosen in zip(values, [np.arange(frame.rows)] if rows is None else rows, strict=True):
            scope = RowScope(frame.take(chosen), outer)
            found = self.executor.evaluate(condition(left, value, scope), scope)
            truths[chosen] = boolean_mask(found, len(chosen))
        return self._column(Vector(Type.BOOL, truths))


def _membership(left: syntax.Expression, values: Value, rows: RowScope) -> syntax.Expression:
    rows.variables["\0values"] = column_of(values) if isinstance(values, Table) else values
    return syntax.Binary("in", left, _name("\0values"), span=left.span)


def _name(name: str) -> syntax.Name:
    return syntax.Name(name, span=NO_SPAN)


def _single(value: Value) -> Scalar:
    """What a subquery stands for as a value: its only row, NULL if it has none."""
    if isinstance(value, Scalar):
        return value
    column = column_of(value)
    if isinstance(column, Vector) and len(column) <= 1:
        return column.scalar(0) if len(column) else nulls(column.type, 1).scalar(0)
    raise ScriptError("A subquery used as a value must return one column and at most one row.")
