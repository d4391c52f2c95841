"""Comparison and logic on columns. NULL is the smallest value of its type."""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np

from engine.cast import cast_vector, common_type, decimal_raws, rescale, to_float
from engine.coded import same_texts
from engine.errors import ScriptError
from engine.types import BINARY, DECIMAL, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type, null
from engine.values import Array, Vector

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}
SAMPLE = 1024
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMERIC = (Type.BOOL, *INTEGRAL, *FLOATING)


def compare(operator: str, left: Vector, right: Vector) -> Vector:
    """`< <= > >= == !=` on columns of one length (or length 1): a BOOL column without nulls."""
    return _boolean(_compare(operator, left, right))


def _boolean(mask: Any) -> Vector:
    return Vector(Type.BOOL, np.asarray(mask, dtype=bool).view(np.int8))


def _compare(operator: str, left: Vector, right: Vector) -> Any:
    if Type.VOID in (left.type, right.type) and left.type is not right.type:
        other = right.type if left.type is Type.VOID else left.type
        if other is Type.SYMBOL:
            other = Type.STRING
        left = cast_vector(left, other, right.scale) if left.type is Type.VOID else left
        right = cast_vector(right, other, left.scale) if right.type is Type.VOID else right
    lt_, rt = left.type, right.type
    if lt_ in LITERAL or rt in LITERAL:
        return _compare_literals(operator, left, right)
    if lt_ in DECIMAL or rt in DECIMAL:
        return _compare_decimals(operator, left, right)
    if lt_ in FLOATING or rt in FLOATING:
        if not _comparable_numbers(lt_, rt):
            raise _incomparable(left, right)
        return _compare_floats(operator, to_float(left), to_float(right))
    if lt_ in TEMPORAL and rt in TEMPORAL and lt_ is not rt:
        type_ = common_type(lt_, rt)
        if type_ is Type.ANY:
            raise _incomparable(left, right)
        left, right = cast_vector(left, type_), cast_vector(right, type_)
        return _COMPARE[operator](left.data, right.data)
    if lt_ in BINARY or rt in BINARY:
        return _compare_binary(operator, left, right)
    if Type.DURATION in (lt_, rt):
        raise ScriptError("Comparison of DURATION values is not supported.")
    return _compare_integers(operator, left, right)


def _comparable_numbers(left: Type, right: Type) -> bool:
    return all(type_ in _NUMERIC or type_ in TEMPORAL for type_ in (left, right))


def _incomparable(left: Vector, right: Vector) -> ScriptError:
    return ScriptError(f"{left.type.name} and {right.type.name} can't be compared.")


def _compare_integers(operator: str, left: Vector, right: Vector) -> Any:
    a, b = left.data, right.data
    if a.dtype != b.dtype:
        wide = np.result_type(a, b)
        a, b = _widen(left, wide), _widen(right, wide)
    return _COMPARE[operator](a, b)


def _widen(column: Vector, dtype: Any) -> Array:
    out = column.data.astype(dtype)
    if column.data.dtype != dtype:
        out[column.nulls()] = np.iinfo(dtype).min
    return out


def _compare_floats(operator: str, a: Array, b: Array) -> Any:
    with np.errstate(invalid="ignore"):
        if len(b) == 1 and b[0] > -np.inf:
            return _compare_with_number(operator, a, b)
        if len(a) == 1 and a[0] > -np.inf:
            return _compare_with_number(MIRRORED.get(operator, operator), b, a)
    return _COMPARE[operator](_with_least(a), _with_least(b))


def _with_least(values: Array) -> Array:
    """NULL as the smallest finite number, which it is on servers: only the negative infinity is smaller."""
    missing = np.isnan(values)
    return np.where(missing, -np.finfo(np.float64).max, values) if missing.any() else values


def _compare_with_number(operator: str, a: Array, number: Array) -> Any:
    """NULL is smaller than any finite number; NaN only fails to be as large."""
    if operator in ("<", "<="):
        return ~_COMPARE[">=" if operator == "<" else ">"](a, number)
    return _COMPARE[operator](a, number)


def _compare_decimals(operator: str, left: Vector, right: Vector) -> Any:
    if left.type in FLOATING or right.type in FLOATING:
        return _compare_floats(operator, to_float(left), to_float(right))
    if left.type is right.type and left.scale == right.scale and left.data.dtype.kind == "i":
        return _COMPARE[operator](left.data, right.data)
    if any(type_ not in DECIMAL and type_ not in _NUMERIC for type_ in (left.type, right.type)):
        raise _incomparable(left, right)
    scale = max(left.scale, right.scale)
    sides = []
    for side in (left, right):
        raws = [-(2**200) if raw is None else rescale(raw, side.scale, scale) for raw in decimal_raws(side)]
        out = np.empty(len(raws), dtype=object)
        out[:] = raws
        sides.append(out)
    return _COMPARE[operator](sides[0], sides[1])


def _compare_binary(operator: str, left: Vector, right: Vector) -> Any:
    if left.type is not right.type:
        raise _incomparable(left, right)
    if left.type in (Type.COMPLEX, Type.POINT):
        if operator not in ("==", "!="):
            raise ScriptError(f"The operator {operator} can't be applied to {left.type.name}.")
        same = (left.data == right.data) | (np.isnan(left.data) & np.isnan(right.data))
        return same if operator == "==" else ~same
    if operator in ("==", "!="):
        return _COMPARE[operator](left.data, right.data)
    numbers = []
    for side in (left, right):
        out = np.empty(len(side), dtype=object)
        out[:] = [int.from_bytes(raw, "little") for raw in side.data]
        numbers.append(out)
    return _COMPARE[operator](numbers[0], numbers[1])


def _are_words(column: Vector) -> bool:
    """Whether no element can equal a number by being converted: texts that are words, numbers that are not NULL."""
    if column.type not in LITERAL:
        return not bool(column.nulls().any())
    return not any(not text or text[0] in "+-.0123456789" for text in set(column.strings().tolist()))


def _compare_literals(operator: str, left: Vector, right: Vector) -> Any:
    own, its = left.coded(), right.coded()
    if own is not None and len(right) == 1 and right.type in LITERAL:
        return _compare_symbols(operator, own, _text(right))
    if its is not None and len(left) == 1 and left.type in LITERAL:
        return _compare_symbols(MIRRORED.get(operator, operator), its, _text(left))
    if own is not None and its is not None and operator in ("==", "!="):
        return same_texts(own, its) if operator == "==" else ~same_texts(own, its)
    lt_, rt = left.type, right.type
    if lt_ not in LITERAL or rt not in LITERAL:
        other = lt_ if rt in LITERAL else rt
        if other not in TEMPORAL and other not in BINARY and other is not Type.CHAR:
            if operator in ("==", "!=") and _are_words(left) and _are_words(right):
                return np.full(max(len(left), len(right)), operator == "!=")
            raise _incomparable(left, right)
        if other is Type.CHAR:
            return _COMPARE[operator](
                cast_vector(left, Type.STRING).strings(), cast_vector(right, Type.STRING).strings()
            )
        if lt_ in LITERAL:
            left = cast_vector(cast_vector(left, Type.STRING), other)
        else:
            right = cast_vector(cast_vector(right, Type.STRING), other)
        return _compare(operator, left, right)
    return _COMPARE[operator](cast_vector(left, Type.STRING).strings(), cast_vector(right, Type.STRING).strings())


def _text(column: Vector) -> str:
    if column.type is Type.BLOB:
        return str(cast_vector(column, Type.STRING).data[0])
    return str(column.strings()[0])


def _compare_symbols(operator: str, column: Vector, text: str) -> Any:
    base = column.symbols
    assert base is not None
    if operator in ("==", "!="):
        code = base.find(text)
        return _COMPARE[operator](column.data, code)
    return symbol_mask(column, lambda each: bool(_COMPARE[operator](each, text)))


class _Remembered(dict[str, bool]):
    """The answers of a test by text, each asked for once."""

    def __init__(self, test: Callable[[str], bool]) -> None:
        super().__init__()
        self.test = test

    def __missing__(self, text: str) -> bool:
        found = self[text] = self.test(text)
        return found


def symbol_mask(column: Vector, test: Callable[[str], bool]) -> Array:
    """Which elements of a STRING or SYMBOL column pass a test, asked once per distinct text if texts recur."""
    coded = column.coded()
    if coded is None or coded.symbols is None:
        texts = column.strings().tolist()
        sample = texts[:SAMPLE]
        recur = 2 * len(set(sample)) <= len(sample)
        return np.fromiter(map(_Remembered(test).__getitem__ if recur else test, texts), bool, count=len(texts))
    passed = np.fromiter(map(test, coded.symbols.strings), dtype=bool, count=len(coded.symbols))
    if np.count_nonzero(passed) == 1:
        return np.asarray(coded.data == np.argmax(passed))
    return np.asarray(passed[coded.data])


def logic(operator: str, left: Vector, right: Vector) -> Vector:
    """`and or || xor`. NULL makes the result NULL, but `or` leaves it out of account if the other side is not NULL."""
    a, b = truth(left), truth(right)
    missing = (a == -128) & (b == -128) if operator == "or" else (a == -128) | (b == -128)
    x, y = a == 1, b == 1
    out = x & y if operator == "and" else x | y if operator in ("or", "||") else x ^ y
    return Vector(Type.BOOL, np.where(missing, -128, out).astype(np.int8))


def truth(column: Vector) -> Array:
    """0, 1 or -128 for NULL."""
    if column.type is Type.BOOL:
        return column.data
    if column.type in LITERAL or column.type in BINARY:
        raise ScriptError(f"Can't convert {column.type.name} to BOOL.")
    if column.type in DECIMAL:
        column = Vector(Type.DOUBLE, to_float(column))
    return np.where(column.nulls(), -128, column.data != 0).astype(np.int8)


def invert(column: Vector) -> Vector:
    values = truth(column)
    return Vector(Type.BOOL, np.where(values == -128, -128, values == 0).astype(np.int8))


def bitwise(operator: str, left: Vector, right: Vector) -> Vector:
    """`& | ^ << >>` on integers; NULL makes the result NULL."""
    for side in (left, right):
        if side.type not in INTEGRAL and side.type not in (Type.BOOL, Type.VOID):
            raise ScriptError(f"The operator {operator} can't be applied to {side.type.name}.")
    type_ = left.type if operator in ("<<", ">>") else common_type(left.type, right.type)
    if type_ is Type.VOID:
        type_ = Type.INT
    a = cast_vector(left, type_)
    b = cast_vector(right, Type.LONG if operator in ("<<", ">>") else type_)
    missing = a.nulls() | b.nulls()
    if operator == "&":
        out = a.data & b.data
    elif operator == "|":
        out = a.data | b.data
    elif operator == "^":
        out = a.data ^ b.data
    else:
        wide = a.data.astype(np.int64)
        shift = np.clip(b.data, 0, 63)
        out = np.left_shift(wide, shift) if operator == "<<" else np.right_shift(wide, shift)
    out = np.asarray(out).astype(a.data.dtype)
    out[missing] = null(type_)
    return Vector(type_, out)
