"""Plain Python values out of the scalar arguments of a function."""

from __future__ import annotations

import math
from typing import Any

from engine.errors import CallError
from engine.types import LITERAL, NUMERIC, Type
from engine.values import AnyVector, Function, Matrix, Nothing, Scalar, Value, Vector

INTEGER_TYPES = (Type.BOOL, Type.CHAR, Type.SHORT, Type.INT, Type.LONG)


def is_omitted(value: Value | None) -> bool:
    return value is None or isinstance(value, Nothing) or (isinstance(value, Scalar) and value.type is Type.VOID)


def integer_argument(value: Value | None, name: str, default: int | None = None) -> int:
    """An integer; the default if the argument was omitted."""
    if is_omitted(value) and default is not None:
        return default
    value = first_of(value)
    if isinstance(value, Scalar) and value.type in INTEGER_TYPES and value.value is not None:
        return int(value.value)
    raise CallError(f"{name} must be an integer.")


def positive_argument(value: Value | None, name: str, default: int | None = None) -> int:
    number = integer_argument(value, name, default)
    if number <= 0:
        raise CallError(f"{name} must be a positive integer.")
    return number


def float_argument(value: Value | None, name: str, default: float | None = None) -> float:
    """A number as float; the default if the argument was omitted."""
    if is_omitted(value) and default is not None:
        return default
    value = first_of(value)
    if isinstance(value, Scalar) and value.value is not None:
        if value.type in NUMERIC:
            return float(value.value)
        if value.type in (Type.DECIMAL32, Type.DECIMAL64, Type.DECIMAL128):
            return float(value.value) / 10.0**value.scale
    raise CallError(f"{name} must be a number.")


def optional_float(value: Value | None, name: str) -> float | None:
    return None if is_omitted(value) else float_argument(value, name)


def optional_integer(value: Value | None, name: str) -> int | None:
    return None if is_omitted(value) else integer_argument(value, name)


def boolean_argument(value: Value | None, name: str, default: bool | None = None) -> bool:
    if is_omitted(value) and default is not None:
        return default
    value = first_of(value)
    if isinstance(value, Scalar) and value.type in NUMERIC and value.value is not None:
        return bool(value.value)
    raise CallError(f"{name} must be a Boolean value.")


def text_argument(value: Value | None, name: str, default: str | None = None) -> str:
    if is_omitted(value) and default is not None:
        return default
    value = first_of(value)
    if isinstance(value, Scalar) and value.type in LITERAL:
        raw: Any = value.value if value.value is not None else ""
        return raw.decode() if isinstance(raw, bytes) else str(raw)
    if isinstance(value, Scalar) and value.type is Type.CHAR and value.value is not None:
        return chr(value.value & 0xFF)
    raise CallError(f"{name} must be a string.")


def names_argument(value: Value, name: str) -> list[str]:
    """One name or several."""
    if is_omitted(value):
        return []
    if isinstance(value, Vector) and value.type in LITERAL:
        return [str(text) for text in value.strings().tolist()]
    if isinstance(value, AnyVector):
        return [text_argument(item, name) for item in value.items]
    return [text_argument(value, name)]


def choice_argument(value: Value | None, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
    """One of `choices`, compared without case."""
    text = text_argument(value, name, default)
    for choice in choices:
        if choice.lower() == text.lower():
            return choice
    raise CallError(f"{name} must be one of {', '.join(choices)}, not {text}.")


def first_of(value: Value | None) -> Value | None:
    """A vector of length 1 serves as a scalar."""
    return value.scalar(0) if isinstance(value, Vector) and len(value) == 1 else value


def finite_argument(value: Value | None, name: str) -> float:
    number = float_argument(value, name)
    if not math.isfinite(number):
        raise CallError(f"{name} must be a finite number.")
    return number


def function_argument(value: Value | None, name: str) -> Function:
    from engine.functions.registry import Builtin
    from engine.values import Closure, Partial, Pattern

    if isinstance(value, Builtin | Closure | Partial | Pattern):
        return value
    raise CallError(f"{name} must be a function.")


def matrix_argument(value: Value | None, name: str) -> Matrix:
    if isinstance(value, Matrix):
        return value
    raise CallError(f"{name} must be a matrix.")
