"""Evaluating the expressions of a query: over whole columns, or group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from dolphin.script import syntax
from engine.calls import REFUSALS, call_grouped, refused
from engine.context import Context
from engine.errors import ScriptError
from engine.forms import array_vector, concat, element, tuple_to_vector
from engine.functions.registry import Builtin, Kind, bind
from engine.grouping import Groups
from engine.interpreter.scope import Scope
from engine.sql.frame import Frame, RowScope
from engine.sql.rewrite import depends_on_rows, references
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
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Value,
    Vector,
    nulls,
    repeat,
    take,
    vector,
)

ELEMENTWISE_OPERATORS = frozenset((
    "+", "-", "*", "/", "\\", "%", "==", "=", "!=", "<>", "<", "<=", ">", ">=", "and", "or", "&&", "||", "&", "|", "^",
    "<<", ">>", "like", "is",
))  # fmt: skip
ROWWISE_FUNCTIONS = frozenset((
    "iif", "bar", "nullFill", "in", "between", "like", "round", "nullCompare", "isNull", "isValid", "not", "neg",
    "add", "sub", "mul", "div", "ratio", "mod", "pow", "and", "or", "eq", "ne", "lt", "le", "gt", "ge",
    "bool", "char", "short", "int", "long", "float", "double", "string", "symbol", "date", "month", "time", "minute",
    "second", "datetime", "timestamp", "nanotime", "nanotimestamp", "datehour",
    "rowSum", "rowAvg", "rowMax", "rowMin", "rowCount",
))  # fmt: skip
"""Functions that take any form, with one result for each row of columns."""
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


class UnsuitableError(Exception):
    """A function of the user has to be called group by group."""


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
    """Evaluates expressions over the groups of a frame, whole columns at a time where the functions allow it.

    `singles` are columns of the frame that really have one value per group; `depth` is how many functions of the
    user the expressions are inside of.
    """

    def __init__(
        self,
        executor: Executor,
        scope: Scope,
        frame: Frame,
        groups: Groups,
        singles: Mapping[str, Result] | None = None,
        depth: int = 0,
    ) -> None:
        self.executor = executor
        self.scope = scope
        self.frame = frame
        self.groups = groups
        self.singles = singles or {}
        self.depth = depth
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
        return self._for_rows(self.evaluate(node))

    def _for_rows(self, result: Result) -> Column:
        if result.level is Level.GROUPS:
            return self._broadcast(result.value)
        if result.level is Level.ROWS:
            return result.value  # type: ignore[return-value]
        column = constant_column(result.value, self.groups.rows)
        return repeat(column, self.groups.rows) if isinstance(column, Scalar) else column

    def members_per_row(self, node: syntax.Expression, count: int) -> AnyVector:
        """An expression that gives `count` columns at once, one element of each per row."""
        found = self.members(node)
        if found is not None and len(found) == count:
            return AnyVector([self._for_rows(each) for each in found])
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
            return self.singles.get(node.id) or Result(self.executor.evaluate(node, self.rows), Level.ROWS)
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

    def members(self, node: syntax.Expression) -> list[Result] | None:
        """The results of an expression that may have several for every group; None where that is not known."""
        if isinstance(node, syntax.TupleLiteral):
            return [self.evaluate(item) for item in node.items]
        if not isinstance(node, syntax.Call):
            return None
        function, results = self._called(node)
        if isinstance(function, Closure):
            return self._inlined(function, node, results)
        if not isinstance(function, Builtin) or function.members is None:
            return None
        arguments = self._bind(function, node, results)
        rows = [each for each in arguments or () if each.level is Level.ROWS]
        if arguments is None or not rows or not all(isinstance(each.value, Vector) for each in rows):
            return None
        if any(each.level is Level.GROUPS for each in arguments):
            return None
        try:
            columns = function.members(self.groups, *[each.value for each in arguments])
        except REFUSALS as error:
            raise refused(function, error) from error
        return [Result(column, Level.ROWS) for column in columns]

    def _inlined(self, function: Closure, node: syntax.Call, results: Sequence[Result]) -> list[Result] | None:
        """What a function of the user gives for all groups at once; None where that is not possible."""
        from engine.sql.inlining import inlined

        if not results or Level.ROWS not in {each.level for each in results}:
            return None
        try:
            return inlined(self, function, [each.name for each in node.arguments], results)
        except UnsuitableError:
            if self.depth:
                raise
            return None

    def _called(self, node: syntax.Call) -> tuple[Function | None, list[Result]]:
        """The function of a call and its arguments; no function where it has to be called group by group."""
        function = self.function(node)
        if function is None or node.style == "partial" or any(each.value is None for each in node.arguments):
            return None, []
        parts: list[syntax.Expression] = [each.value for each in node.arguments if each.value is not None]
        if any(isinstance(part, syntax.TupleLiteral | syntax.VectorLiteral | syntax.Lambda) for part in parts):
            return None, []
        results = [self.evaluate(part) for part in parts]
        if any(each.collected and not isinstance(each.value, Vector) for each in results):
            return None, []
        return function, results

    def _index(self, node: syntax.Index) -> Result:
        """A member of several results; a dictionary looked up by a column is done at once."""
        place = node.indices[0] if len(node.indices) == 1 else None
        if isinstance(node.target, syntax.Call) and isinstance(place, syntax.Literal) and place.type == "INT":
            members = self.members(node.target)
            if members is not None and isinstance(place.value, int) and 0 <= place.value < len(members) > 1:
                return members[place.value]
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
        return Result(self.executor.evaluate(rebuild(*names), self.rows), level, _is_collected(level, results))

    def _bound(self, value: Value) -> syntax.Name:
        """A name that stands for a value already computed."""
        name = f"\0{len(self.rows.variables)}"
        self.rows.variables[name] = value
        return syntax.Name(name, span=NO_SPAN)

    def _uniform(self, results: Sequence[Result]) -> bool:
        for result in results:
            if isinstance(result.value, AnyVector) or (result.collected and not isinstance(result.value, Vector)):
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
        function, results = self._called(node)
        if isinstance(function, Closure):
            found = self._inlined(function, node, results)
            if found is not None and len(found) == 1:
                return found[0]
            named = any(each.name for each in node.arguments)
            if function.is_aggregate and not named and Level.ROWS in {each.level for each in results}:
                return self._apply_to_slices(function, results)
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
            value = self.executor.call(function, values)
            if level is Level.ROWS and isinstance(value, Scalar):
                return self._each_group(node)
            return Result(value, level, _is_collected(level, arguments))
        if function.name == "size" and len(data) == 1 and isinstance(data[0].value, Vector) and Level.ROWS in levels:
            return Result(vector(Type.INT, self.groups.sizes), Level.GROUPS)
        if function.kind is Kind.OTHER and function.grouped is not None and Level.GROUPS not in levels:
            values = [each.value for each in arguments]
            if all(isinstance(each.value, Vector) for each in arguments if each.level is Level.ROWS):
                result = call_grouped(function, self.groups, values)
                if result is not None:
                    return Result(result, Level.ROWS, collected=True)
        if Level.ROWS not in levels or function.kind is Kind.OTHER or function.wants_context:
            return self._each_group(node)
        if not all(isinstance(each.value, Vector | Scalar) and not is_pair(each.value) for each in data):
            return self._each_group(node)
        if any(each.level is Level.CONSTANT and isinstance(each.value, Vector) for each in data):
            # A vector of its own, such as weights, goes with the rows of each group.
            return self._apply_to_slices(function, arguments)
        _, values = self._aligned(arguments)
        aggregate = function.kind is Kind.AGGREGATE
        if function.grouped is not None and all(isinstance(value, Vector | Scalar | Nothing) for value in values):
            level = Level.GROUPS if aggregate else Level.ROWS
            return Result(call_grouped(function, self.groups, values), level, _is_collected(level, arguments))
        return self._apply_to_slices(function, arguments)

    def _apply_to_slices(self, function: Function, arguments: Sequence[Result]) -> Result:
        """Call a function once per group, its row-wise arguments cut into the groups.

        A function of the user gets what a group has one of as it is; built-in ones get it for each row.
        """
        single = isinstance(function, Closure)
        levels = [each.level for each in arguments]
        values = [each.value for each in arguments] if single else self._aligned(arguments)[1]
        cut = [
            self._arranged(value) if level is Level.ROWS or (level is Level.GROUPS and not single) else None
            for level, value in zip(levels, values, strict=True)
        ]
        results: list[Value] = []
        for group, rows in enumerate(self._slices()):
            members: list[Value] = []
            for part, value, level in zip(cut, values, levels, strict=True):
                if part is not None:
                    members.append(take(part, rows))
                else:
                    members.append(value if level is Level.CONSTANT else element(value, group))
            results.append(self.executor.call(function, members))
        return self._merged(results)

    def _arranged(self, value: Value) -> Column:
        """A column of rows in group order."""
        if isinstance(value, Vector):
            return value.with_data(self.groups.arrange(value.data))
        return take(value, self.groups.order)  # type: ignore[arg-type]

    def _each_group(self, node: syntax.Expression) -> Result:
        """Evaluate an expression once per group, its columns cut into the groups: always right, seldom fast."""
        if any(name in self.singles for name in references(node, self.frame)):
            raise UnsuitableError
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
        if result.level is Level.GROUPS and isinstance(result.value, AnyVector):
            # What each group made, a matrix column after column, is its row.
            return Result(array_vector(result.value.items), Level.GROUPS)
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


def _is_collected(level: Level, results: Sequence[Result]) -> bool:
    return level is Level.ROWS and any(each.collected for each in results)


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
