"""Operators as functions: `add(x, y)`, `each(+, x, y)`."""

from __future__ import annotations

import numpy as np

from engine.cast import to_float
from engine.errors import ScriptError
from engine.functions.registry import Registry
from engine.lifting import elementwise
from engine.operators import OPERATOR_NAMES, binary, unary
from engine.operators.arithmetic import negate
from engine.types import LITERAL, TEMPORAL, Type
from engine.values import Set, Value, Vector

functions = Registry()


def _declare(name: str, operator: str) -> None:
    def call(left: Value, right: Value) -> Value:
        return binary(operator, left, right)

    call.__doc__ = f"The operator {operator}."
    functions.builtin(name, "X, Y")(call)


for _operator, _name in OPERATOR_NAMES.items():
    if functions.find(_name) is None and _name not in ("not", "between", "cast", "in", "like", "pair", "seq"):
        # The function `or` is the word, which takes a NULL otherwise than `||`.
        _declare(_name, "or" if _operator == "||" else _operator)
for _name, _operator in (("between", "between"), ("in", "in"), ("cast", "$"), ("seq", ".."), ("pair", ":")):
    _declare(_name, _operator)


@functions.builtin("notIn", "X, Y")
def not_in(value: Value, members: Value) -> Value:
    return unary("not", binary("in", value, members))


@functions.builtin("notBetween", "X, Y")
def not_between(value: Value, bounds: Value) -> Value:
    return unary("not", binary("between", value, bounds))


@functions.builtin("like", "X, pattern")
def like(value: Value, pattern: Value) -> Value:
    return binary("like", value, pattern)


@functions.builtin("not", "X")
def invert(value: Value) -> Value:
    return unary("not", value)


@functions.builtin("neg", "X")
def neg(value: Value) -> Value:
    return elementwise(negate, [value])


@functions.builtin("bitNot", "X")
def bit_not(value: Value) -> Value:
    def kernel(column: Vector) -> Vector:
        if column.data.dtype.kind != "i" or column.type in TEMPORAL or column.type in LITERAL:
            raise ScriptError("Usage: bitNot(X). X must be integral.")
        return column.with_data(np.where(column.nulls(), column.data, ~column.data).astype(column.data.dtype))

    return elementwise(kernel, [value])


@functions.builtin("pow", "X, Y", aliases=("power",))
def power(base: Value, exponent: Value) -> Value:
    def kernel(left: Vector, right: Vector) -> Vector:
        with np.errstate(all="ignore"):
            result = np.asarray(np.power(to_float(left), to_float(right)))
        # numpy takes 1 ** nan and nan ** 0 for 1.
        return Vector(Type.DOUBLE, np.where(left.nulls() | right.nulls(), np.nan, result))

    return elementwise(kernel, [base, exponent])


@functions.builtin("union", "X, Y")
def union(left: Value, right: Value) -> Value:
    return binary("|", left, right)


@functions.builtin("intersection", "X, Y")
def intersection(left: Value, right: Value) -> Value:
    return binary("&", left, right)


@functions.builtin("symmetricDifference", "X, Y")
def symmetric_difference(left: Value, right: Value) -> Value:
    return binary("^", left, right)


@functions.builtin("isSubset", "X, Y", aliases=("subset",))
def is_subset(left: Value, right: Value) -> Value:
    if not isinstance(left, Set) or not isinstance(right, Set):
        raise ScriptError("Usage: subset(X, Y). X and Y must be sets.")
    return binary("<=", left, right)


@functions.builtin("iif", "cond, trueResult, falseResult")
def iif(condition: Value, when_true: Value, when_false: Value) -> Value:
    """Element by element, one of two results; NULL in the condition gives NULL."""
    from engine.operators.choice import choose

    return choose(condition, when_true, when_false)


@functions.builtin("asis", "obj")
def asis(value: Value) -> Value:
    return value
