"""Conversion functions: `int(x)`, `date(x)`, `decimal32(x, scale)` …"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.cast import cast, to_float, to_symbols
from engine.console import string_of
from engine.errors import ScriptError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.lifting import elementwise
from engine.types import DECIMAL, DTYPES, FLOATING, LITERAL, TEMPORAL, ZERO16, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Scalar,
    Value,
    Vector,
)

functions = Registry()

_PLAIN = (
    Type.BOOL, Type.CHAR, Type.SHORT, Type.INT, Type.LONG, Type.FLOAT, Type.DOUBLE, Type.DATE, Type.MONTH, Type.TIME,
    Type.MINUTE, Type.SECOND, Type.DATETIME, Type.TIMESTAMP, Type.NANOTIME, Type.NANOTIMESTAMP, Type.DATEHOUR,
    Type.UUID, Type.IPADDR, Type.INT128, Type.BLOB,
)  # fmt: skip


def _declare(type_: Type) -> None:
    def convert(value: Value = NOTHING) -> Value:
        if value is NOTHING:
            return Scalar(type_, None)
        if type_ in FLOATING and isinstance(value, Scalar) and str(value.value).strip().lower() == "nan":
            raise UnsupportedError("NaN as a value other than NULL")
        if type_ in TEMPORAL and isinstance(value, Scalar | Vector) and value.type in (Type.FLOAT, Type.DOUBLE):
            value = cast(value, Type.LONG)
        return cast(value, type_)

    convert.__doc__ = f"Convert to {type_.name}; without an argument, the null of that type."
    functions.builtin(type_.name.lower(), "[X]")(convert)


for _type in _PLAIN:
    _declare(_type)


def _declare_decimal(type_: Type) -> None:
    @functions.builtin(type_.name.lower(), "X, scale")
    def convert(value: Value, scale: Value) -> Value:
        if not isinstance(scale, Scalar) or not isinstance(scale.value, int):
            raise ScriptError(f"Usage: {type_.name.lower()}(X, scale). scale must be an integer.")
        return cast(value, type_, scale.value)


for _type in DECIMAL:
    _declare_decimal(_type)


@functions.builtin("string", "[X]")
def string(value: Value = NOTHING) -> Value:
    return Scalar(Type.STRING, "") if value is NOTHING else string_of(value)


@functions.builtin("symbol", "[X]")
def symbol(value: Value = NOTHING) -> Value:
    if value is NOTHING:
        return Scalar(Type.STRING, "")
    if isinstance(value, Scalar):
        if value.type not in (*LITERAL, Type.VOID):
            raise ScriptError("Only a string can be converted to a symbol.")
        return Scalar(Type.STRING, value.value)
    if isinstance(value, AnyVector):
        value = as_vector(value)
    if not isinstance(value, Vector):
        raise ScriptError("Usage: symbol(X). X must be a string vector.")
    return to_symbols(value)


@functions.builtin("duration", "X")
def duration(value: Value) -> Value:
    if not isinstance(value, Scalar | Vector) or value.type not in (*LITERAL, Type.DURATION):
        raise ScriptError("Usage: duration(X). X must be a string, such as `10m.")
    return cast(value, Type.DURATION)


def _pairwise(type_: Type, first: Value, second: Value) -> Value:
    def kernel(left: Vector, right: Vector) -> Vector:
        real, imaginary = to_float(left), to_float(right)
        count = max(len(real), len(imaginary)) if len(real) and len(imaginary) else 0
        data = np.empty(count, dtype=np.complex128)
        data.real, data.imag = real, imaginary
        data[np.isnan(real) | np.isnan(imaginary)] = complex(np.nan, np.nan)
        return Vector(type_, data)

    return elementwise(kernel, [first, second])


@functions.builtin("complex", "X, Y")
def complex_number(real: Value, imaginary: Value) -> Value:
    return _pairwise(Type.COMPLEX, real, imaginary)


@functions.builtin("point", "X, Y")
def point(x: Value, y: Value) -> Value:
    return _pairwise(Type.POINT, x, y)


@functions.builtin("highDouble", "X")
def high_double(value: Value) -> Value:
    return elementwise(lambda column: Vector(Type.DOUBLE, _doubles(column).imag.copy()), [value])


@functions.builtin("lowDouble", "X")
def low_double(value: Value) -> Value:
    return elementwise(lambda column: Vector(Type.DOUBLE, _doubles(column).real.copy()), [value])


def _doubles(column: Vector) -> Any:
    if column.type not in (Type.COMPLEX, Type.POINT):
        raise ScriptError("X must be COMPLEX or POINT.")
    return column.data


def _longs(value: Value, half: slice) -> Value:
    def kernel(column: Vector) -> Vector:
        if column.type in (Type.COMPLEX, Type.POINT):
            raws = [raw.tobytes() for raw in column.data]
        elif DTYPES[column.type].kind == "O" and column.type not in LITERAL:
            raws = [raw if isinstance(raw, bytes) else ZERO16 for raw in column.data]
        else:
            raise ScriptError("X must be UUID, IPADDR, INT128, COMPLEX or POINT.")
        return Vector(Type.LONG, np.array([int.from_bytes(raw[half], "little", signed=True) for raw in raws]))

    return elementwise(kernel, [value])


@functions.builtin("highLong", "X")
def high_long(value: Value) -> Value:
    return _longs(value, slice(8, 16))


@functions.builtin("lowLong", "X")
def low_long(value: Value) -> Value:
    return _longs(value, slice(0, 8))
