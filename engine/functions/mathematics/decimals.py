"""Decimals with a chosen scale, and integers read from text."""

from __future__ import annotations

import numpy as np

from engine.arguments import integer_argument
from engine.cast import cast_vector, decimal_raws, decimal_vector
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.lifting import elementwise, spread
from engine.operators import binary
from engine.operators.arithmetic import DECIMAL_DIGITS
from engine.operators.building import type_argument
from engine.types import DECIMAL, FLOATING, INTEGRAL, LITERAL, Type, null
from engine.values import Value, Vector

functions = Registry()


@functions.builtin("decimalMultiply", "X, Y, scale")
def decimal_multiply(left: Value, right: Value, scale: Value) -> Value:
    """The product of decimals with the given number of decimal places, where that is possible."""
    digits = integer_argument(scale, "scale")
    if digits < 0:
        raise CallError("scale must not be negative.")

    def kernel(one: Vector, other: Vector) -> Vector:
        return _product(one, other, digits)

    return elementwise(spread(kernel), [left, right])


def _product(one: Vector, other: Vector, digits: int) -> Vector:
    types = one.type, other.type
    if not set(types) & set(DECIMAL):
        raise CallError("X or Y must be DECIMAL.")
    full = binary("*", one, other)
    assert isinstance(full, Vector)
    if set(types) & set(FLOATING):
        return full
    if types[0] in DECIMAL and types[1] in DECIMAL:
        if not min(one.scale, other.scale) <= digits <= one.scale + other.scale:
            return full
        type_ = full.type
    else:
        return full
    raws = [None if raw is None else _shortened(raw, full.scale - digits) for raw in decimal_raws(full)]
    bound = 10 ** DECIMAL_DIGITS[type_]
    if any(raw is not None and abs(raw) >= bound * 10 for raw in raws):
        raise CallError("Decimal math overflow")
    return decimal_vector(raws, type_, digits)


def _shortened(raw: int, places: int) -> int:
    """Without the last decimal places, cut off toward zero."""
    if places <= 0:
        return int(raw * 10**-places)
    quotient = abs(raw) // 10**places
    return int(quotient if raw >= 0 else -quotient)


@functions.builtin("parseInteger", "X, type, [radix=10]", aliases=("parseInt",))
def parse_integer(value: Value, kind: Value, radix: Value | None = None) -> Value:
    """The integers that texts begin with, in a radix of 2 to 16."""
    type_, _scale = type_argument(kind)
    base = integer_argument(radix, "radix", 10)
    if type_ not in INTEGRAL:
        raise CallError("type must be CHAR, SHORT, INT or LONG.")
    if not 2 <= base <= 16:
        raise CallError("radix must be an integer from 2 to 16.")

    def kernel(column: Vector) -> Vector:
        if column.type not in LITERAL:
            raise CallError("X must be of STRING type.")
        raws = [_leading_integer(text, base) for text in cast_vector(column, Type.STRING).data]
        data = np.array([null(Type.LONG) if raw is None else raw for raw in raws], dtype=np.int64)
        return cast_vector(Vector(Type.LONG, data), type_)

    return elementwise(kernel, [value])


def _leading_integer(text: str, base: int) -> int | None:
    rest = text.strip()
    if not rest:
        return None
    sign = -1 if rest[0] == "-" else 1
    if rest[0] in "+-":
        rest = rest[1:]
    if base == 16 and rest[:2].lower() == "0x":
        rest = rest[2:]
    digits = "0123456789abcdef"[:base]
    count = next((place for place, letter in enumerate(rest.lower()) if letter not in digits), len(rest))
    if not count:
        raise CallError("Invalid string to parse.")
    return sign * int(rest[:count], base)
