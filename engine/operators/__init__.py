"""Operators on values of every form: `binary("+", left, right)`, `unary("-", value)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine.errors import ScriptError
from engine.functions.registry import Builtin
from engine.lifting import blockwise, elementwise
from engine.operators import building, membership
from engine.operators.arithmetic import arithmetic, negate
from engine.operators.comparison import bitwise, compare, invert, logic
from engine.operators.scalars import SCALAR_OPERATIONS
from engine.types import LITERAL
from engine.values import Closure, Scalar, Set, Value, Vector, string

__all__ = ["OPERATOR_NAMES", "binary", "unary"]

ARITHMETIC = ("+", "-", "*", "/", "\\", "%")
COMPARISON = ("<", "<=", ">", ">=", "==", "!=")
LOGIC = {"and": "and", "&&": "and", "or": "or", "||": "||", "xor": "xor"}
BITWISE = ("&", "|", "^", "<<", ">>")

# The functions the operators stand for.
OPERATOR_NAMES = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "\\": "ratio", "%": "mod", "**": "dot", "<": "lt", "<=": "le",
    ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "<>": "ne", "=": "eq", "&&": "and", "and": "and", "||": "or",
    "or": "or", "!": "not", "not": "not", "xor": "xor", "&": "bitAnd", "|": "bitOr", "^": "bitXor", "<<": "lshift",
    ">>": "rshift", ":": "pair", "..": "seq", "<-": "join", "$": "cast", "in": "in", "like": "like",
    "between": "between",
}  # fmt: skip


def _is(left: Value, _right: Value) -> Value:
    return membership.is_null(left)


_OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    ":": building.pair, "..": building.sequence, "<-": building.join, "$": building.convert, "**": building.dot,
    "in": membership.contains, "between": membership.between, "like": membership.like, "is": _is,
}  # fmt: skip
_KERNELS: dict[str, Callable[[Any, Any], Any]] = {
    **{operator: partial(arithmetic, operator) for operator in ARITHMETIC},
    **{operator: partial(compare, operator) for operator in COMPARISON},
    "=": partial(compare, "=="),
    "<>": partial(compare, "!="),
    **{operator: partial(logic, name) for operator, name in LOGIC.items()},
    **{operator: partial(bitwise, operator) for operator in BITWISE},
}
_ON_SETS = (*COMPARISON, "&", "|", "^", "-", "+")


def binary(operator: str, left: Value, right: Value) -> Value:
    """The value of `left operator right`."""
    if type(left) is Scalar and type(right) is Scalar:
        fast = SCALAR_OPERATIONS.get((operator, left.type, right.type))
        if fast is not None and left.value is not None and right.value is not None:
            return fast(left.value, right.value)
    operation = _OPERATIONS.get(operator)
    if operation is not None:
        return operation(left, right)
    if (isinstance(left, Set) or isinstance(right, Set)) and operator in _ON_SETS:
        return membership.set_operation(operator, left, right)
    kernel = _KERNELS.get(operator)
    if kernel is None:
        raise ScriptError(f"The operator {operator} is unknown.")
    if operator == "+":
        left, right = _beside_text(left, right), _beside_text(right, left)
    return elementwise(blockwise(kernel), [left, right])


def _beside_text(value: Value, other: Value) -> Value:
    """A named function added to a text is its name, as in `avg + "(price)"`."""
    if not isinstance(value, Builtin | Closure) or not value.name:
        return value
    return string(value.name) if isinstance(other, Scalar | Vector) and other.type in LITERAL else value


def unary(operator: str, value: Value) -> Value:
    """The value of `-value` or `not value`."""
    if operator == "-":
        if isinstance(value, Scalar) and type(value.value) is float:
            return Scalar(value.type, -value.value)
        return elementwise(negate, [value])
    if operator in ("!", "not"):
        return elementwise(invert, [value])
    if operator == "+":
        return value
    raise ScriptError(f"The operator {operator} is unknown.")
