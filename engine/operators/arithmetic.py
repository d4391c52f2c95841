"""Arithmetic on columns: promotion, nulls, wrap-around, division."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.cast import cast_vector, common_type, decimal_raws, decimal_vector, rescale, to_float
from engine.coded import changed
from engine.errors import ScriptError
from engine.operators.temporal import temporal_arithmetic
from engine.types import DECIMAL, DTYPES, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type, null
from engine.values import Array, Vector, nulls

# The largest scale of each type; a product that needs more becomes the next type.
DECIMAL_DIGITS = {Type.DECIMAL32: 9, Type.DECIMAL64: 18, Type.DECIMAL128: 38}
_PLAIN = (Type.BOOL, *INTEGRAL, *FLOATING)


def arithmetic(operator: str, left: Vector, right: Vector) -> Vector:
    r"""`+ - * / \ %` on columns of one length (or length 1)."""
    lt, rt = left.type, right.type
    if lt in _PLAIN and rt in _PLAIN:
        return numeric(operator, left, right)
    if Type.VOID in (lt, rt):
        return _with_void(operator, left, right)
    if lt in LITERAL or rt in LITERAL:
        return _concatenate(operator, left, right)
    if lt is Type.DURATION or rt is Type.DURATION or lt in TEMPORAL or rt in TEMPORAL:
        return temporal_arithmetic(operator, left, right)
    if lt in DECIMAL or rt in DECIMAL:
        return _decimal(operator, left, right)
    if Type.COMPLEX in (lt, rt):
        return _complex(operator, left, right)
    raise ScriptError(f"The operator {operator} can't be applied to {lt.name} and {rt.name}.")


def numeric(operator: str, left: Vector, right: Vector) -> Vector:
    type_ = common_type(left.type, right.type)
    if operator == "\\":
        type_ = type_ if type_ is Type.FLOAT and left.type is right.type else Type.DOUBLE
    if type_ in FLOATING:
        return _floating(operator, left, right, type_)
    if type_ is Type.BOOL:
        type_ = Type.INT
    return _integral(operator, left, right, type_)


def _floating(operator: str, left: Vector, right: Vector, type_: Type) -> Vector:
    a, b = to_float(left), to_float(right)
    with np.errstate(all="ignore"):
        if operator == "+":
            out = a + b
        elif operator == "-":
            out = a - b
        elif operator == "*":
            out = a * b
        elif operator == "%":
            out = np.mod(a, b)
        else:
            out = a / b
            zero = b == 0
            if zero.any():
                out[np.broadcast_to(zero, out.shape)] = np.nan
        return Vector(type_, out.astype(DTYPES[type_], copy=False))


def _integral(operator: str, left: Vector, right: Vector, type_: Type) -> Vector:
    dtype = DTYPES[type_]
    missing = left.nulls() | right.nulls()
    a, b = left.data.astype(dtype, copy=False), right.data.astype(dtype, copy=False)
    with np.errstate(all="ignore"):
        if operator == "+":
            out = a + b
        elif operator == "-":
            out = a - b
        elif operator == "*":
            out = a * b
        else:
            zero = b == 0
            divisor = np.where(zero, 1, b) if zero.any() else b
            out = a // divisor if operator == "/" else np.mod(a, divisor)
            missing = missing | zero
    if missing.any():
        out[missing] = null(type_)
    return Vector(type_, np.asarray(out, dtype=dtype))


def _with_void(operator: str, left: Vector, right: Vector) -> Vector:
    other = right.type if left.type is Type.VOID else left.type
    count = 0 if 0 in (len(left), len(right)) else max(len(left), len(right))
    if other in LITERAL and operator == "+":
        side = left if right.type is Type.VOID else right
        return cast_vector(side, Type.STRING)
    if operator == "\\":
        other = Type.DOUBLE
    if other in LITERAL:
        raise ScriptError(f"The operator {operator} can't be applied to strings.")
    scale = max(left.scale, right.scale)
    return nulls(Type.INT if other in (Type.VOID, Type.BOOL) else other, count, scale)


def _concatenate(operator: str, left: Vector, right: Vector) -> Vector:
    if operator != "+":
        raise ScriptError(f"The operator {operator} can't be applied to {left.type.name} and {right.type.name}.")
    a, b = cast_vector(left, Type.STRING), cast_vector(right, Type.STRING)
    coded, other = a.coded(), b.coded()
    if coded is not None and len(b) == 1:
        after = str(b.strings()[0])
        return changed(coded, lambda text: text + after)
    if other is not None and len(a) == 1:
        before = str(a.strings()[0])
        return changed(other, lambda text: before + text)
    return Vector(Type.STRING, np.asarray(a.strings() + b.strings(), dtype=object))


def _complex(operator: str, left: Vector, right: Vector) -> Vector:
    a, b = _as_complex(left), _as_complex(right)
    with np.errstate(all="ignore"):
        if operator == "+":
            out = a + b
        elif operator == "-":
            out = a - b
        elif operator == "*":
            out = a * b
        elif operator in ("/", "\\"):
            out = np.where(b == 0, complex(np.nan, np.nan), a / np.where(b == 0, 1, b))
        else:
            raise ScriptError(f"The operator {operator} can't be applied to COMPLEX.")
    return Vector(Type.COMPLEX, np.asarray(out))


def _as_complex(column: Vector) -> Array:
    return column.data if column.type is Type.COMPLEX else to_float(column).astype(np.complex128)


def _decimal(operator: str, left: Vector, right: Vector) -> Vector:
    lt, rt = left.type, right.type
    if lt in FLOATING or rt in FLOATING or operator == "\\":
        both = Vector(Type.DOUBLE, to_float(left)), Vector(Type.DOUBLE, to_float(right))
        return _floating(operator, *both, Type.DOUBLE)
    if not (lt in _PLAIN or lt in DECIMAL) or not (rt in _PLAIN or rt in DECIMAL):
        raise ScriptError(f"The operator {operator} can't be applied to {lt.name} and {rt.name}.")
    type_ = max(lt, rt) if lt in DECIMAL and rt in DECIMAL else (lt if lt in DECIMAL else rt)
    a, b = left.scale, right.scale
    scale = {"*": a + b, "/": a if lt in DECIMAL else b}.get(operator, max(a, b))
    while scale > DECIMAL_DIGITS[type_] and type_ is not Type.DECIMAL128:
        type_ = Type(type_ + 1)
    ls, rs = decimal_raws(left), decimal_raws(right)
    count = max(len(ls), len(rs)) if ls and rs else 0
    ls, rs = (ls * count if len(ls) == 1 else ls), (rs * count if len(rs) == 1 else rs)
    out: list[Any] = []
    for x, y in zip(ls, rs, strict=True):
        out.append(None if x is None or y is None else _decimal_pair(operator, x, a, y, b, scale))
    return decimal_vector(out, type_, scale)


def _decimal_pair(operator: str, x: int, a: int, y: int, b: int, scale: int) -> int | None:
    if operator == "*":
        return x * y
    if operator == "/":
        if y == 0:
            return None
        numerator = x * int(10 ** (scale - a + b))
        quotient = abs(numerator) // abs(y)
        return quotient if (numerator < 0) == (y < 0) else -quotient
    x, y = rescale(x, a, scale), rescale(y, b, scale)
    if operator == "%":
        return None if y == 0 else x % y
    return x + y if operator == "+" else x - y


def negate(column: Vector) -> Vector:
    if column.type in LITERAL or column.type in TEMPORAL or column.type in (Type.UUID, Type.IPADDR, Type.INT128):
        raise ScriptError(f"The operator - can't be applied to {column.type.name}.")
    if column.type is Type.BOOL:
        column = cast_vector(column, Type.INT)
    if column.type is Type.DURATION:
        raws = [None if raw is None else (-raw[0], raw[1]) for raw in column.data]
        data = np.empty(len(raws), dtype=object)
        data[:] = raws
        return column.with_data(data)
    with np.errstate(over="ignore"):
        if column.type is Type.DECIMAL128:
            return decimal_vector(
                [None if raw is None else -raw for raw in decimal_raws(column)], column.type, column.scale
            )
        return column.with_data(np.asarray(-column.data)) if column.type is not Type.VOID else column
