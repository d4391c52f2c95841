"""Evaluating the expressions of a query: over whole columns, or group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from dolphin.script import syntax
from engine.calls import call_grouped
from engine.context import Context
from engine.errors import ScriptError
from engine.forms import array_vector, concat, tuple_to_vector
from engine.functions.registry import Builtin, Kind, bind
from engine.grouping import Groups
from engine.interpreter.scope import Scope
from engine.sql.frame import Frame, RowScope
from engine.sql.rewrite import depends_on_rows
from engine.types import Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    ArrayVector,
    Closure,
    Column,
    Dictionary,
    Function,
    IndexedSeries,
    Matrix,
    Partial,
    Pattern,
    Scalar,
    Value,
    Vector,
    nulls,
    repeat,
    take,
)

ELEMENTWISE_OPERATORS = frozenset((
    "+", "-", "*", "/", "\\", "%", "==", "=", "!=", "<>", "<", "<=", ">", ">=", "and", "or", "&&", "||", "&", "|", "^",
    "<<", ">>", "like", "is",
))  # fmt: skip
ROWWISE_FUNCTIONS = frozenset(("iif", "bar", "nullFill", "in", "between", "like", "round", "string", "symbol"))
PAIRWISE_FUNCTIONS = frozenset(("max", "min"))
"""Aggregates of one argument that work element by element on two."""
COLLECTING_FUNCTIONS = frozenset(("toArray", "toTuple", "toColumnarTuple"))


class Executor(Context, Protocol):
    """The interpreter as queries see it."""

    def evaluate(self, node: Any, scope: Scope | None = None) -> Value: ...

    def function(self, name: str) -> Function | None: ...

    def call(
        self, function: Function, arguments: Sequence[Value], named: Mapping[str, Value] | None = None
    ) -> Value: ...


class Level(Enum):
    CONSTANT = "constant"
    GROUPS = "groups"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Result:
    """A value and what it has one of: nothing (the same for all), a group, or a row."""

    value: Value
    level: Level
    collected: bool = False


class SliceScope(RowScope):
    """Columns of a run of rows; moved from group to group."""

    __slots__ = ("rows_of_group",)

    def __init__(self, frame: Frame, parent: Scope) -> None:
        super().__init__(frame, parent)
        self.rows_of_group = slice(0, 0)

    def lookup(self, name: str) -> Value | None:
        index = self.frame.find(name)
        if index >= 0:
            return take(self.frame.column(index), self.rows_of_group)
        value = super().lookup(name)
        if name.startswith("\0") and isinstance(value, Vector | AnyVector | ArrayVector):
            return take(value, self.rows_of_group)
        return value


class GroupEvaluator:
    """Evaluates expressions over the groups of a frame, whole columns at a time where the functions allow it."""

    def __init__(self, executor: Executor, scope: Scope, frame: Frame, groups: Groups) -> None:
        self.executor = executor
        self.scope = scope
        self.frame = frame
        self.groups = groups
        self.rows = RowScope(frame, scope)
        self._known: dict[syntax.Node, Result] = {}
        self._sorted: Frame | None = None

    def evaluate(self, node: syntax.Expression) -> Result:
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = self._evaluate(node)
        return known

    def per_group(self, node: syntax.Expression) -> Column | Scalar:
        """One element per group, for `group by`; a scalar for a constant."""
        result = self.evaluate(node)
        if result.level is Level.GROUPS:
            return result.value  # type: ignore[return-value]
        if result.level is Level.ROWS:
            if not result.collected and not _is_pairwise(node):
                raise ScriptError(
                    "An expression in the select clause of a group by query must be a grouping column or use an"
                    " aggregate function."
                )
            return self._collect(result.value)
        return constant_column(result.value, self.groups.count)

    def per_row(self, node: syntax.Expression) -> Column:
        """One element per row, for `context by`: what a group has one of is repeated for its rows."""
        result = self.evaluate(node)
        if result.level is Level.GROUPS:
            return self._broadcast(result.value)
        if result.level is Level.ROWS:
            return result.value  # type: ignore[return-value]
        column = constant_column(result.value, self.groups.rows)
        return repeat(column, self.groups.rows) if isinstance(column, Scalar) else column

    def members_per_row(self, node: syntax.Expression, count: int) -> AnyVector:
        """An expression that gives `count` columns at once, one element of each per row."""
        if self._sorted is None:
            self._sorted = self.frame if self.groups.contiguous else self.frame.take(self.groups.order)
        scope = SliceScope(self._sorted, self.scope)
        members: list[list[Value]] = [[] for _ in range(count)]
        for rows in self._slices():
            scope.rows_of_group = rows
            value = self.executor.evaluate(node, scope)
            if isinstance(value, Matrix) and value.columns == count:
                parts: list[Value] = [value.column(index) for index in range(count)]
            elif isinstance(value, AnyVector) and len(value) == count:
                parts = value.items
            else:
                raise ScriptError("The number of aliases does not match the number of columns the expression returns.")
            for member, part in zip(members, parts, strict=True):
                member.append(repeat(part, rows.stop - rows.start) if isinstance(part, Scalar) else part)
        return AnyVector([restored(concat(member), self.groups) for member in members])

    def _slices(self) -> Iterator[slice]:
        offsets = self.groups.offsets.tolist()
        for start, stop in pairwise(offsets):
            self.executor.check()
            yield slice(start, stop)

    def _evaluate(self, node: syntax.Expression) -> Result:
        if not depends_on_rows(node, self.frame):
            return Result(self.executor.evaluate(node, self.rows), Level.CONSTANT)
        if isinstance(node, syntax.Name):
            return Result(self.executor.evaluate(node, self.rows), Level.ROWS)
        if isinstance(node, syntax.Call):
            return self._call(node)
        if isinstance(node, syntax.Binary) and node.operator in ELEMENTWISE_OPERATORS:
            return self._rowwise(node, (node.left, node.right), lambda a, b: replace(node, left=a, right=b))
        if (
            isinstance(node, syntax.Binary)
            and node.operator in ("in", "between", "$")
            and not depends_on_rows(node.right, self.frame)
        ):
            right = self._bound(self.executor.evaluate(node.right, self.rows))
            return self._rowwise(node, (node.left,), lambda a: replace(node, left=a, right=right))
        if isinstance(node, syntax.Unary):
            return self._rowwise(node, (node.operand,), lambda a: replace(node, operand=a))
        if isinstance(node, syntax.Index):
            return self._index(node)
        return self._each_group(node)

    def _index(self, node: syntax.Index) -> Result:
        """A dictionary looked up by a column is done at once."""
        if len(node.indices) == 1 and node.indices[0] is not None and not depends_on_rows(node.target, self.frame):
            target = self.executor.evaluate(node.target, self.rows)
            if isinstance(target, Dictionary):
                bound = self._bound(target)
                return self._rowwise(node, (node.indices[0],), lambda a: replace(node, target=bound, indices=(a,)))
        return self._each_group(node)

    def _rowwise(
        self, node: syntax.Expression, parts: Sequence[syntax.Expression], rebuild: Callable[..., syntax.Expression]
    ) -> Result:
        """An operation on elements: its operands are brought to one level, then it is done once."""
        results = [self.evaluate(part) for part in parts]
        if not self._uniform(results):
            return self._each_group(node)
        level, values = self._aligned(results)
        names = [self._bound(value) for value in values]
        return Result(self.executor.evaluate(rebuild(*names), self.rows), level)

    def _bound(self, value: Value) -> syntax.Name:
        """A name that stands for a value already computed."""
        name = f"\0{len(self.rows.variables)}"
        self.rows.variables[name] = value
        return syntax.Name(name, span=NO_SPAN)

    def _uniform(self, results: Sequence[Result]) -> bool:
        for result in results:
            if result.collected or isinstance(result.value, AnyVector):
                return False
            if result.level is Level.CONSTANT and not isinstance(result.value, Scalar):
                return False
        return True

    def _aligned(self, results: Sequence[Result]) -> tuple[Level, list[Value]]:
        levels = {result.level for result in results}
        if Level.ROWS not in levels:
            return (Level.GROUPS if Level.GROUPS in levels else Level.CONSTANT), [each.value for each in results]
        values: list[Value] = [
            self._broadcast(each.value) if each.level is Level.GROUPS else each.value for each in results
        ]
        return Level.ROWS, values

    def _broadcast(self, value: Value) -> Column:
        """What a group has one of, for each of its rows."""
        if isinstance(value, Vector) and self.groups.contiguous:
            return value.with_data(np.repeat(value.data, self.groups.sizes))
        return take(value, self.groups.codes)  # type: ignore[arg-type]

    def _call(self, node: syntax.Call) -> Result:
        if self._collects(node):
            return self._collected(node)
        function = self.function(node)
        if function is None or node.style == "partial" or any(each.value is None for each in node.arguments):
            return self._each_group(node)
        parts: list[syntax.Expression] = [each.value for each in node.arguments if each.value is not None]
        if any(isinstance(part, syntax.TupleLiteral | syntax.VectorLiteral | syntax.Lambda) for part in parts):
            return self._each_group(node)
        results = [self.evaluate(part) for part in parts]
        if any(result.collected for result in results):
            return self._each_group(node)
        if isinstance(function, Closure) and function.is_aggregate and Level.ROWS in {each.level for each in results}:
            return (
                self._apply_to_slices(function, results)
                if not any(a.name for a in node.arguments)
                else (self._each_group(node))
            )
        if not isinstance(function, Builtin):
            return self._each_group(node)
        arguments = self._bind(function, node, results)
        if arguments is None:
            return self._each_group(node)
        return self._apply(function, arguments, node)

    def _bind(self, function: Builtin, node: syntax.Call, results: Sequence[Result]) -> list[Result] | None:
        omitted = Result(NOTHING, Level.CONSTANT)
        positional = [result for result, each in zip(results, node.arguments, strict=True) if each.name is None]
        named = {
            each.name: result for result, each in zip(results, node.arguments, strict=True) if each.name is not None
        }
        bound: list[Result] = bind(function, positional, named, omitted)
        return bound

    def _apply(self, function: Builtin, arguments: list[Result], node: syntax.Call) -> Result:
        levels = {each.level for each in arguments}
        data = arguments[: function.vectors] if function.kind is not Kind.OTHER else arguments
        rest = arguments[function.vectors :] if function.kind is not Kind.OTHER else []
        pairwise = function.name in PAIRWISE_FUNCTIONS and len(arguments) == 2
        if pairwise:
            data, rest = arguments, []
        if any(each.level is not Level.CONSTANT for each in rest):
            return self._each_group(node)
        if function.kind is Kind.ELEMENTWISE or pairwise or function.name in ROWWISE_FUNCTIONS:
            if function.kind is Kind.OTHER:
                data, rest = [each for each in arguments if each.level is not Level.CONSTANT], []
            if not self._uniform(data):
                return self._each_group(node)
            level, values = self._aligned(arguments)
            return Result(self.executor.call(function, values), level)
        if Level.ROWS not in levels or function.kind is Kind.OTHER or function.wants_context:
            return self._each_group(node)
        if not all(isinstance(each.value, Vector | Scalar) and not is_pair(each.value) for each in data):
            return self._each_group(node)
        if any(each.level is Level.CONSTANT and isinstance(each.value, Vector) for each in data):
            # A vector of its own, such as weights, goes with the rows of each group.
            return self._apply_to_slices(function, arguments)
        _, values = self._aligned(arguments)
        aggregate = function.kind is Kind.AGGREGATE
        if function.grouped is not None and all(isinstance(value, Vector | Scalar) for value in values):
            level = Level.GROUPS if aggregate else Level.ROWS
            return Result(call_grouped(function, self.groups, values), level)
        return self._apply_to_slices(function, arguments)

    def _apply_to_slices(self, function: Function, arguments: Sequence[Result]) -> Result:
        """Call a function once per group, its row-wise arguments cut into the groups."""
        _, values = self._aligned(arguments)
        cut = [
            self._arranged(value) if each.level is not Level.CONSTANT else None
            for each, value in zip(arguments, values, strict=True)
        ]
        results: list[Value] = [
            self.executor.call(
                function, [value if part is None else take(part, rows) for part, value in zip(cut, values, strict=True)]
            )
            for rows in self._slices()
        ]
        return self._merged(results)

    def _arranged(self, value: Value) -> Column:
        """A column of rows in group order."""
        if isinstance(value, Vector):
            return value.with_data(self.groups.arrange(value.data))
        return take(value, self.groups.order)  # type: ignore[arg-type]

    def _each_group(self, node: syntax.Expression) -> Result:
        """Evaluate an expression once per group, its columns cut into the groups: always right, seldom fast."""
        if self._sorted is None:
            self._sorted = self.frame if self.groups.contiguous else self.frame.take(self.groups.order)
        scope = SliceScope(self._sorted, self.scope)
        results: list[Value] = []
        for rows in self._slices():
            scope.rows_of_group = rows
            value = self.executor.evaluate(node, scope)
            results.append(value.values if isinstance(value, IndexedSeries) else value)
        if not results:
            scope.rows_of_group = slice(0, 0)
            sample = self.executor.evaluate(node, scope)
            if isinstance(sample, Scalar):
                return Result(nulls(sample.type, 0, sample.scale), Level.GROUPS)
            return Result(sample, Level.ROWS)
        return self._merged(results)

    def _merged(self, results: list[Value]) -> Result:
        if all(isinstance(value, Scalar) for value in results):
            return Result(tuple_to_vector(results), Level.GROUPS)
        sizes = self.groups.sizes
        columns = [value for value in results if isinstance(value, Vector | AnyVector | ArrayVector)]
        if len(columns) == len(results) and all(len(value) == size for value, size in zip(columns, sizes, strict=True)):
            return Result(restored(concat(columns), self.groups), Level.ROWS, collected=True)
        if len(columns) == len(results) and all(isinstance(value, Vector) for value in columns):
            return Result(array_vector(columns), Level.GROUPS)
        return Result(AnyVector(results), Level.GROUPS)

    def _collects(self, node: syntax.Call) -> bool:
        """Whether a call makes one element of all values of a group."""
        return (
            isinstance(node.function, syntax.Name)
            and node.function.id in COLLECTING_FUNCTIONS
            and len(node.arguments) == 1
            and self.scope.lookup(node.function.id) is None
        )

    def _collected(self, node: syntax.Call) -> Result:
        argument = node.arguments[0].value
        assert argument is not None
        result = self.evaluate(argument)
        if result.level is not Level.ROWS or not isinstance(result.value, Vector):
            return self._each_group(node)
        rows = self._collect(result.value)
        name = node.function.id if isinstance(node.function, syntax.Name) else ""
        if name == "toArray" or not isinstance(rows, ArrayVector):
            return Result(rows, Level.GROUPS)
        return Result(AnyVector([rows.row(index) for index in range(len(rows))]), Level.GROUPS)

    def _collect(self, value: Value) -> Column:
        """The rows of each group as one element."""
        ordered = self._arranged(value)
        if isinstance(ordered, Vector):
            return ArrayVector(ordered, self.groups.offsets)
        offsets = self.groups.offsets
        return AnyVector([take(ordered, slice(int(a), int(b))) for a, b in pairwise(offsets)])

    def function(self, node: syntax.Call) -> Function | None:
        """The function a call names, if it is one."""
        if not isinstance(node.function, syntax.Name):
            return None
        value = self.scope.lookup(node.function.id)
        if isinstance(value, Builtin | Closure | Partial | Pattern):
            return value
        return self.executor.function(node.function.id)


def is_elementwise(node: syntax.Expression, frame: Frame, scope: Scope) -> bool:
    """Whether the value for a row depends on nothing but the elements of that row and scalars."""
    if isinstance(node, syntax.Literal):
        return True
    if isinstance(node, syntax.Name):
        return frame.find(node.id) >= 0 or isinstance(scope.lookup(node.id), Scalar)
    if isinstance(node, syntax.Unary):
        return is_elementwise(node.operand, frame, scope)
    if isinstance(node, syntax.Binary):
        if not is_elementwise(node.left, frame, scope):
            return False
        if node.operator in ("in", "between"):
            return not depends_on_rows(node.right, frame)
        return node.operator in ELEMENTWISE_OPERATORS and is_elementwise(node.right, frame, scope)
    return False


def _is_pairwise(node: syntax.Expression) -> bool:
    return (
        isinstance(node, syntax.Call)
        and isinstance(node.function, syntax.Name)
        and node.function.id in PAIRWISE_FUNCTIONS
        and len(node.arguments) == 2
    )


NO_SPAN = syntax.Span(0, 0, 0, 0)


def is_pair(value: Value) -> bool:
    return isinstance(value, Vector) and value.is_pair


def restored(column: Column, groups: Groups) -> Column:
    """A column given group after group, back in the order of rows."""
    return column if groups.contiguous else take(column, groups.restore(np.arange(groups.rows)))


def constant_column(value: Value, count: int) -> Column | Scalar:
    """A constant of a select clause: a scalar, or a column that happens to have the right length."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Vector | AnyVector | ArrayVector):
        if len(value) == count:
            return value
        if len(value) == 1 and isinstance(value, Vector):
            return value.scalar(0)
    raise ScriptError("The length of a column in the select clause does not match the number of rows.")


def boolean_mask(value: Value, rows: int) -> Array:
    """A condition as a mask over rows; NULL does not hold."""
    if isinstance(value, Scalar):
        return np.full(rows, bool(value.value) and value.value is not None)
    if isinstance(value, Vector) and value.data.dtype.kind in "ifb" and value.type is not Type.SYMBOL:
        if len(value) == 1 and rows != 1:
            return np.full(rows, bool(value.data[0] != 0) and not bool(value.nulls()[0]))
        if len(value) != rows:
            raise ScriptError("The length of a condition in the where clause does not match the number of rows.")
        if value.type is Type.BOOL:
            return np.asarray(value.data > 0)
        return np.asarray((value.data != 0) & ~value.nulls())
    raise ScriptError("A condition must be a Boolean expression.")
