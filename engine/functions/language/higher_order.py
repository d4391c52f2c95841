"""Functions of functions over the elements of their arguments: `each`, `loop`, `cross`, `reduce` …"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from itertools import repeat as repeated
from typing import Any

import numpy as np

from engine.arguments import positive_argument
from engine.context import Context
from engine.errors import CancelledError, ScriptError
from engine.forms import array_vector, as_vector, size
from engine.functions.language.assembling import (
    FUNCTIONS,
    arity,
    assemble,
    each_part,
    function_argument,
    is_divisible,
    part_count,
    parts_of,
)
from engine.functions.registry import Builtin, Kind, Registry, parse_parameters
from engine.lifting import elementwise
from engine.limits import check_allocation
from engine.operators import binary
from engine.types import Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    ArrayVector,
    Dictionary,
    Function,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    double,
    vector,
)

functions = Registry()

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "ratio": "\\", "mod": "%", "eq": "==", "ne": "!=",
              "lt": "<", "le": "<=", "gt": ">", "ge": ">="}  # fmt: skip


def _results(context: Context, function: Value, arguments: tuple[Value, ...], name: str) -> list[Value]:
    return list(_calls(context, function, arguments, name))


def _calls(context: Context, function: Value, arguments: tuple[Value, ...], name: str) -> Iterator[Value]:
    callee = function_argument(function, name)
    lengths = {part_count(argument) for argument in arguments if is_divisible(argument)}
    if not lengths:
        yield context.call(callee, list(arguments))
        return
    if len(lengths) > 1:
        raise ScriptError(f"Usage: {name}(func, args...). The arguments must have the same length.")
    count = lengths.pop()
    divided = [each_part(argument) if is_divisible(argument) else repeated(argument, count) for argument in arguments]
    for row in zip(*divided, strict=True):
        context.check()
        yield context.call(callee, list(row))


def _each(context: Context, function: Value, *arguments: Value) -> Value:
    if isinstance(function, AnyVector):
        count = len(function)
        by_function: list[Value] = []
        for index, callee in enumerate(function.items):
            row = [
                parts_of(argument)[index] if is_divisible(argument) and len(parts_of(argument)) == count else argument
                for argument in arguments
            ]
            by_function.append(context.call(function_argument(callee, "each"), row))
        return _named_columns(assemble(by_function), function)
    results = _results(context, function, arguments, "each")
    if not any(is_divisible(argument) for argument in arguments):
        return results[0]
    first = arguments[0]
    if isinstance(first, Dictionary):
        items = dict(zip(first.items, results, strict=True))
        items = {key: items[key] for key, _ in first.listed()}
        types = {result.type if isinstance(result, Scalar) else Type.ANY for result in results}
        return Dictionary(first.key_type, types.pop() if len(types) == 1 else Type.ANY, items, first.ordered)
    out = assemble(results)
    if isinstance(out, Matrix) and isinstance(first, Matrix):
        out.column_labels = first.column_labels
        out.row_labels = first.row_labels if out.rows == first.rows else None
    return _named_columns(out, first)


def _named_columns(out: Value, parts: Value) -> Value:
    """A matrix made of one column per function is labelled with their names."""
    if isinstance(out, Matrix) and isinstance(parts, AnyVector) and all(isinstance(p, Builtin) for p in parts.items):
        out.column_labels = vector(Type.STRING, [p.name for p in parts.items if isinstance(p, Builtin)])
    return out


def _loop(context: Context, function: Value, *arguments: Value) -> Value:
    return AnyVector([NULL if isinstance(r, Nothing) else r for r in _results(context, function, arguments, "loop")])


for _name in ("each", "peach"):
    functions.builtin(_name, "func, args...", context=True)(_each)
for _name in ("loop", "ploop"):
    functions.builtin(_name, "func, args...", context=True)(_loop)


def _verdicts(context: Context, function: Value, arguments: tuple[Value, ...], name: str) -> Iterator[bool]:
    """Whether each call gives a result that is true throughout."""
    for result in _calls(context, function, arguments, name):
        column = as_vector(result)
        yield bool(np.all((column.data != 0) & ~column.nulls()))


@functions.builtin("all", "func, args...", context=True)
def all_(context: Context, function: Value, *arguments: Value) -> Value:
    """Whether the function is true for all elements; with data alone, whether all of them are true."""
    if not isinstance(function, FUNCTIONS):
        column = as_vector(function)
        return boolean(bool(np.all(column.data != 0)))
    return boolean(all(_verdicts(context, function, arguments, "all")))


@functions.builtin("any", "func, args...", context=True)
def any_(context: Context, function: Value, *arguments: Value) -> Value:
    """Whether the function is true for some element; with data alone, whether some element is true."""
    if not isinstance(function, FUNCTIONS):
        column = as_vector(function)
        return boolean(bool(np.any((column.data != 0) & ~column.nulls())))
    return boolean(any(_verdicts(context, function, arguments, "any")))


@functions.builtin("nothrowCall", "func, args...", context=True, aliases=("nothrow",))
def nothrow_call(context: Context, function: Value, *arguments: Value) -> Value:
    """The result of a call, nothing if it fails."""
    try:
        return context.call(function_argument(function, "nothrowCall"), list(arguments))
    except CancelledError:
        raise
    except ScriptError:
        return NOTHING


@functions.builtin("compose", "first, second")
def compose(first: Value, second: Value) -> Value:
    """The function that applies `first` to its arguments and `second` to the result."""
    one, two = function_argument(first, "compose"), function_argument(second, "compose")

    def both(context: Context, *arguments: Value) -> Value:
        return context.call(two, [context.call(one, list(arguments))])

    return Builtin("compose", "compose(args...)", Kind.OTHER, both, parse_parameters("args..."), wants_context=True)


@functions.builtin("evalTimer", "funcs, [count=1]", context=True)
def eval_timer(context: Context, function: Value, count: Value = NOTHING) -> Value:
    """Milliseconds that calling the functions without arguments takes."""
    callees = [
        function_argument(f, "evalTimer") for f in (function.items if isinstance(function, AnyVector) else [function])
    ]
    started = time.perf_counter()
    for _ in range(positive_argument(count, "count", 1)):
        for callee in callees:
            context.call(callee, [])
    return double((time.perf_counter() - started) * 1000)


@functions.builtin("pcall", "func, args...", context=True)
def pcall(context: Context, function: Value, *arguments: Value) -> Value:
    return context.call(function_argument(function, "pcall"), list(arguments))


@functions.builtin("call", "func, args...", context=True)
def call(context: Context, function: Value, *arguments: Value) -> Value:
    return context.call(function_argument(function, "call"), list(arguments))


@functions.builtin("unifiedCall", "func, args", context=True)
def unified_call(context: Context, function: Value, arguments: Value) -> Value:
    if not isinstance(arguments, AnyVector):
        raise ScriptError("Usage: unifiedCall(func, args). args must be a tuple.")
    return context.call(function_argument(function, "unifiedCall"), arguments.items)


def _called(context: Context, callee: Function, *arguments: Value) -> Value:
    context.check()
    return context.call(callee, arguments)


def _cross(context: Context, function: Value, left: Value, right: Value = NOTHING) -> Value:
    """The function of every pair of elements: a matrix, rows by X and columns by Y."""
    callee = function_argument(function, "cross")
    other = left if isinstance(right, Nothing) else right
    check_allocation(part_count(left) * part_count(other), node=context.node)
    columns = parts_of(other)
    results = [[_called(context, callee, row, column) for column in columns] for row in each_part(left)]
    if not all(isinstance(cell, Scalar) for row in results for cell in row):
        return AnyVector([AnyVector(row) for row in results])
    out = assemble([assemble(list(column)) for column in zip(*results, strict=True)])
    if isinstance(out, Matrix):
        out.row_labels, out.column_labels = _labels(left), _labels(other)
    return out


for _name in ("cross", "pcross"):
    functions.builtin(_name, "func, X, [Y]", context=True)(_cross)


def _labels(value: Value) -> Vector | None:
    if isinstance(value, Matrix):
        return value.column_labels
    return value.take(slice(None)) if isinstance(value, Vector) and not value.is_pair else None


@functions.builtin("eachLeft", "func, X, Y, [assembleRule|consistent=false]", context=True)
def each_left(context: Context, function: Value, left: Value, right: Value, rule: Value = NOTHING) -> Value:
    callee = function_argument(function, "eachLeft")
    return _as_given(left, [context.call(callee, [part, right]) for part in parts_of(left)], rule)


@functions.builtin("eachRight", "func, X, Y, [assembleRule|consistent=false]", context=True)
def each_right(context: Context, function: Value, left: Value, right: Value, rule: Value = NOTHING) -> Value:
    callee = function_argument(function, "eachRight")
    return _as_given(right, [context.call(callee, [left, part]) for part in parts_of(right)], rule)


def _as_given(divided: Value, results: list[Value], rule: Value) -> Value:
    if isinstance(divided, Dictionary):
        return Dictionary(divided.key_type, Type.ANY, dict(zip(divided.items, results, strict=True)), divided.ordered)
    out = assemble(results, rule)
    if isinstance(out, Matrix):
        out.column_labels = _labels(divided)
    return out


def _fast_operator(function: Value, data: Value) -> str | None:
    if isinstance(function, Builtin) and isinstance(data, Vector) and not data.is_pair:
        return _OPERATORS.get(function.name)
    return None


@functions.builtin("eachPre", "func, X, [pre], [assembleRule|consistent=false]", context=True)
def each_pre(context: Context, function: Value, data: Value, pre: Value = NOTHING, rule: Value = NOTHING) -> Value:
    """The function of each element and the one before it."""
    callee = function_argument(function, "eachPre")
    if not part_count(data):
        return data
    operator = _fast_operator(function, data)
    if operator is not None and isinstance(data, Vector) and isinstance(rule, Nothing):
        rest = binary(operator, data.take(slice(1, None)), data.take(slice(0, -1)))
        first = NULL if isinstance(pre, Nothing) else binary(operator, data.scalar(0), pre)
        return binary("<-", first, rest) if not isinstance(pre, Nothing) else _prepend_null(rest)
    results = [] if isinstance(pre, Nothing) else [context.call(callee, [next(each_part(data)), pre])]
    results += [_called(context, callee, part, before) for before, part in pairwise(each_part(data))]
    if isinstance(pre, Nothing):
        results.insert(0, _missing(results))
    return assemble(results, rule)


def _prepend_null(rest: Value) -> Value:
    column = as_vector(rest)
    empty = vector(column.type, [None], column.scale)
    return Vector(column.type, np.concatenate([empty.data, column.data]), column.symbols, column.scale)


def _missing(results: list[Value]) -> Value:
    first = results[0] if results else NULL
    if isinstance(first, Vector):
        return vector(first.type, [None] * len(first), first.scale)
    return Scalar(first.type, None, first.scale) if isinstance(first, Scalar) else NULL


@functions.builtin("eachPost", "func, X, [post], [assembleRule|consistent=false]", context=True)
def each_post(context: Context, function: Value, data: Value, post: Value = NOTHING, rule: Value = NOTHING) -> Value:
    """The function of each element and the one after it."""
    callee = function_argument(function, "eachPost")
    if not part_count(data):
        return data
    results = [_called(context, callee, part, after) for part, after in pairwise(each_part(data))]
    if isinstance(post, Nothing):
        results.append(_missing(results))
    else:
        results.append(context.call(callee, [list(each_part(data))[-1], post]))
    return assemble(results, rule)


def _iterate(context: Context, function: Value, data: Value, init: Value, name: str) -> list[Value]:
    """All results of an iteration, `init` first where it counts as one."""
    callee = function_argument(function, name)
    needed = arity(callee)
    if needed == 2 and isinstance(data, Scalar) and is_divisible(init):
        data, init = init, data
    if needed == 1:
        return _repeat(context, callee, data, init, name)
    if needed >= 3:
        if not isinstance(data, AnyVector) or len(data) != 2:
            raise ScriptError(f"Usage: {name}(func, X, [init]). X must be a tuple of two for a function of three.")
        steps = [list(pair) for pair in zip(parts_of(data.items[0]), parts_of(data.items[1]), strict=True)]
    else:
        steps = [[part] for part in _steps(data)]
    if isinstance(init, Nothing):
        if needed >= 3:
            raise ScriptError(f"Usage: {name}(func, X, [init]). init must be given for a function of three.")
        if not steps:
            return []
        results = [steps[0][0]]
        steps = steps[1:]
        current = results[0]
    else:
        results, current = [], init
    for step in steps:
        context.check()
        current = context.call(callee, [current, *step])
        results.append(current)
    return results


def _steps(data: Value) -> list[Value]:
    return parts_of(data) if is_divisible(data) else [data]


def _repeat(context: Context, callee: Any, data: Value, init: Value, name: str) -> list[Value]:
    if isinstance(init, Nothing):
        raise ScriptError(f"Usage: {name}(func, X, init). init must be given for a unary function.")
    results: list[Value] = [init]
    current: Value = init
    if isinstance(data, Scalar) and isinstance(data.value, int) and data.value is not None:
        for _ in range(data.value):
            context.check()
            current = context.call(callee, [current])
            results.append(current)
        return results
    if isinstance(data, Nothing) or (isinstance(data, Scalar) and data.is_null):
        while True:
            context.check()
            following = context.call(callee, [current])
            if _identical(following, current) or _identical(following, init):
                return results
            results.append(following)
            current = following
    condition = function_argument(data, name)
    while True:
        context.check()
        passed = context.call(condition, [current])
        if not isinstance(passed, Scalar) or not passed.value:
            return results
        current = context.call(callee, [current])
        results.append(current)


def _identical(left: Value, right: Value) -> bool:
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return bool(left.value == right.value)
    if isinstance(left, AnyVector) or isinstance(right, AnyVector):
        if not isinstance(left, AnyVector) or not isinstance(right, AnyVector) or len(left) != len(right):
            return False
        return all(_identical(one, other) for one, other in zip(left.items, right.items, strict=True))
    if type(left) is not type(right) or size(left) != size(right):
        return False
    same = binary("==", left, right)
    return bool(np.all(as_vector(same).data == 1))


@functions.builtin("accumulate", "func, [X], [init], [assembleRule|consistent=false]", context=True)
def accumulate(
    context: Context, function: Value, data: Value = NOTHING, init: Value = NOTHING, rule: Value = NOTHING
) -> Value:
    return assemble(_iterate(context, function, data, init, "accumulate"), rule)


@functions.builtin("reduce", "func, [X], [init], [assembleRule|consistent=false]", context=True)
def reduce(
    context: Context, function: Value, data: Value = NOTHING, init: Value = NOTHING, _rule: Value = NOTHING
) -> Value:
    results = _iterate(context, function, data, init, "reduce")
    if not results:
        return NULL if isinstance(init, Nothing) else init
    return results[-1]


@functions.builtin("withNullFill", "func, x, y, fillValue", context=True)
def with_null_fill(context: Context, function: Value, left: Value, right: Value, fill: Value) -> Value:
    """A NULL on one side only counts as the fill value."""
    callee = function_argument(function, "withNullFill")

    def fill_in(one: Vector, other: Vector, value: Vector) -> Vector:
        missing = np.broadcast_to(one.nulls(), (max(len(one), len(other)),))
        replace = missing & ~np.broadcast_to(other.nulls(), missing.shape)
        data = np.broadcast_to(one.data, missing.shape).copy()
        data[replace] = cast_like(value, one).data[0]
        return one.with_data(data)

    a = elementwise(fill_in, [left, right, fill])
    b = elementwise(fill_in, [right, left, fill])
    return context.call(callee, [a, b])


def cast_like(value: Vector, column: Vector) -> Vector:
    from engine.cast import cast_vector

    return cast_vector(value, column.type, column.scale)


@functions.builtin("nullCompare", "func, X, Y", context=True)
def null_compare(context: Context, function: Value, left: Value, right: Value) -> Value:
    """A comparison that is NULL where an operand is NULL."""
    compared = context.call(function_argument(function, "nullCompare"), [left, right])
    sides = [right.scalar(0), right.scalar(1)] if isinstance(right, Vector) and right.is_pair else [right]

    def blank(result: Vector, one: Vector, *others: Vector) -> Vector:
        missing = one.nulls()
        for other in others:
            missing = missing | other.nulls()
        return Vector(Type.BOOL, np.where(missing, -128, result.data).astype(np.int8))

    return elementwise(blank, [compared, left, *sides])


def _row_parts(value: Value) -> list[Value]:
    if isinstance(value, Table):
        columns = [as_vector(column) for column in value.columns]
        return _rows_across(columns)
    if isinstance(value, Matrix):
        return [Vector(value.type, value.data[index].copy(), None, value.scale) for index in range(value.rows)]
    if (
        isinstance(value, AnyVector)
        and not value.columnar
        and value.items
        and all(isinstance(item, Vector) for item in value.items)
    ):
        columns = [as_vector(item) for item in value.items]
        if len({len(column) for column in columns}) == 1:
            return _rows_across(columns)
    return parts_of(value)


def _rows_across(columns: list[Vector]) -> list[Value]:
    from engine.forms import concat

    together = concat(columns)
    count, width = len(columns[0]), len(columns)
    if not isinstance(together, Vector):
        return [AnyVector([column.scalar(i) for column in columns]) for i in range(count)]
    return [together.take(np.arange(width) * count + i) for i in range(count)]


@functions.builtin("byRow", "func, X, [Y]", context=True)
def by_row(context: Context, function: Value, left: Value, right: Value = NOTHING) -> Value:
    """The function of each row; rows of results keep the form of X."""
    callee = function_argument(function, "byRow")
    rows = _row_parts(left)
    others = None if isinstance(right, Nothing) else _row_parts(right)
    if others is not None and len(others) != len(rows):
        raise ScriptError("Usage: byRow(func, X, [Y]). X and Y must have the same number of rows.")
    results = []
    for index, row in enumerate(rows):
        context.check()
        results.append(context.call(callee, [row] if others is None else [row, others[index]]))
    return _in_rows(left, results)


def _in_rows(like: Value, results: list[Value]) -> Value:
    from engine.forms import matrix_of

    if not results or all(isinstance(result, Scalar) for result in results):
        return assemble(results)
    columns = [as_vector(result) for result in results]
    if isinstance(like, Matrix | Table | AnyVector) and len({len(column) for column in columns}) == 1:
        across = _rows_across(columns)
        if isinstance(like, Table) and len(across) == len(like.names):
            return Table(list(like.names), [as_vector(column) for column in across])
        if isinstance(like, AnyVector):
            return AnyVector(list(columns), columnar=True) if like.columnar else AnyVector(across)
        out = matrix_of([as_vector(column) for column in across])
        if isinstance(like, Matrix):
            out.row_labels = like.row_labels
            out.column_labels = like.column_labels if out.columns == like.columns else None
        return out
    return array_vector(columns)


@functions.builtin("byColumn", "func, X, [Y]", context=True)
def by_column(context: Context, function: Value, left: Value, right: Value = NOTHING) -> Value:
    """The function of each column; columns of results keep the form of X."""
    callee = function_argument(function, "byColumn")
    if isinstance(left, ArrayVector) or (isinstance(left, AnyVector) and left.columnar):
        return _by_transposed_column(context, callee, left, right)
    columns, others = _column_parts(left), None if isinstance(right, Nothing) else _column_parts(right)
    results = [
        context.call(callee, [column] if others is None else [column, others[i]]) for i, column in enumerate(columns)
    ]
    if all(isinstance(result, Scalar) for result in results):
        if isinstance(left, Table):
            return Table(list(left.names), [as_vector(result) for result in results])
        return AnyVector(results) if isinstance(left, AnyVector) else assemble(results)
    if isinstance(left, Table):
        return Table(list(left.names), [as_vector(result) for result in results])
    if isinstance(left, Matrix):
        out = assemble(results)
        if isinstance(out, Matrix):
            out.column_labels = left.column_labels
            out.row_labels = left.row_labels if out.rows == left.rows else None
        return out
    return AnyVector(results)


def _by_transposed_column(context: Context, callee: Any, left: Value, right: Value) -> Value:
    """Rows of one length taken as the rows of a matrix: a result per column, or the rows of the results."""
    columns = _columns_of_rows(left)
    others = [[column] for column in _columns_of_rows(right)] if not isinstance(right, Nothing) else [[]] * len(columns)
    results = [context.call(callee, [column, *other]) for column, other in zip(columns, others, strict=True)]
    if not results or all(isinstance(result, Scalar) for result in results):
        return assemble(results)
    rows = _rows_across([as_vector(result) for result in results])
    return AnyVector(rows, columnar=True) if isinstance(left, AnyVector) else array_vector(rows)


def _columns_of_rows(value: Value) -> list[Value]:
    rows = [as_vector(row) for row in parts_of(value)]
    if len({len(row) for row in rows}) > 1:
        raise ScriptError("Usage: byColumn(func, X, [Y]). The rows of X must have the same number of elements.")
    return _rows_across(rows)


def _column_parts(value: Value) -> list[Value]:
    if isinstance(value, Table):
        return list(value.columns)
    return value.items if isinstance(value, AnyVector) else parts_of(value)
