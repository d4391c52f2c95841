"""The common operators on two scalars, without the way over columns."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, eq, ge, gt, le, lt, mul, ne, sub
from typing import Any

from engine.types import LITERAL, TEMPORAL, Type
from engine.values import Scalar

Operation = Callable[[Any, Any], Scalar]

TRUE = Scalar(Type.BOOL, True)
FALSE = Scalar(Type.BOOL, False)

_INTEGERS = {Type.SHORT: 16, Type.INT: 32, Type.LONG: 64}
_ORDER = (Type.SHORT, Type.INT, Type.LONG, Type.DOUBLE)


def _wrapping(function: Callable[[int, int], int], type_: Type, bits: int) -> Operation:
    limit = 1 << (bits - 1)

    def operation(a: int, b: int) -> Scalar:
        value = function(a, b)
        if -limit < value < limit:
            return Scalar(type_, value)
        value = (value + limit) % (limit << 1) - limit
        return Scalar(type_, None if value == -limit else value)

    return operation


def _floating(function: Callable[[float, float], float]) -> Operation:
    def operation(a: float, b: float) -> Scalar:
        value = function(float(a), float(b))
        return Scalar(Type.DOUBLE, value if value == value else None)

    return operation


def _divide(a: float, b: float) -> Scalar:
    return Scalar(Type.DOUBLE, a / b if b else None)


def _floor_divide(type_: Type) -> Operation:
    return lambda a, b: Scalar(type_, a // b if b else None)


def _modulo(type_: Type) -> Operation:
    return lambda a, b: Scalar(type_, a % b if b else None)


def _test(function: Callable[[Any, Any], bool]) -> Operation:
    return lambda a, b: TRUE if function(a, b) else FALSE


def _build() -> dict[tuple[str, Type, Type], Operation]:
    table: dict[tuple[str, Type, Type], Operation] = {}
    tests = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}
    basic = {"+": add, "-": sub, "*": mul}
    for left in _ORDER:
        for right in _ORDER:
            type_ = max(left, right, key=_ORDER.index)
            for name, test in tests.items():
                table[name, left, right] = _test(test)
            for name, function in basic.items():
                table[name, left, right] = (
                    _floating(function) if type_ is Type.DOUBLE else _wrapping(function, type_, _INTEGERS[type_])
                )
            table["\\", left, right] = _divide
            if type_ is Type.DOUBLE:
                table["/", left, right] = _divide
            else:
                table["/", left, right] = _floor_divide(type_)
                table["%", left, right] = _modulo(type_)
    for type_ in (Type.BOOL, Type.STRING, *TEMPORAL):
        for name, test in tests.items():
            if type_ not in LITERAL or name in ("==", "!="):
                table[name, type_, type_] = _test(test)
    table["&&", Type.BOOL, Type.BOOL] = table["and", Type.BOOL, Type.BOOL] = lambda a, b: TRUE if a and b else FALSE
    table["||", Type.BOOL, Type.BOOL] = table["or", Type.BOOL, Type.BOOL] = lambda a, b: TRUE if a or b else FALSE
    return table


SCALAR_OPERATIONS = _build()
