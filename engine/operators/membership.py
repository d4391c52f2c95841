"""`in`, `between`, `like`, and the operators on sets."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from engine.cast import cast, cast_vector, common_type, to_float
from engine.errors import ScriptError
from engine.forms import as_vector, dictionary_keys, element, size
from engine.lifting import blockwise, elementwise
from engine.operators.comparison import compare, logic, symbol_mask
from engine.types import DTYPES, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    NULL,
    AnyVector,
    ArrayVector,
    Dictionary,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    boolean,
    repeat,
    take,
    vector,
)


def contains(left: Value, right: Value) -> Value:
    """`left in right`: which elements of left occur in right."""
    if isinstance(right, Table) and right.keys:
        return _key_rows(left, right)
    if isinstance(right, Table):
        right = right.columns[0]
    if isinstance(right, Dictionary):
        right = dictionary_keys(right)
    if isinstance(right, AnyVector):
        if isinstance(left, AnyVector) and len(left) == len(right):
            return AnyVector([contains(a, b) for a, b in zip(left.items, right.items, strict=True)])
        if {item.type for item in right.items if isinstance(item, Scalar)} == {Type.STRING, Type.CHAR}:
            # Texts of one character in single quotes are CHAR.
            right = AnyVector([cast(item, Type.STRING) for item in right.items])
        right = as_vector(right)
    if isinstance(right, Scalar):
        if right.is_null:
            return elementwise(lambda column: vector(Type.BOOL, np.zeros(len(column), dtype=np.int8)), [left])
        right = repeat(right, 1)
    if isinstance(right, Vector) and right.is_pair:
        right = right.take(slice(None))
    if isinstance(right, ArrayVector):
        raise ScriptError("The right side of in must not be an array vector.")
    members = as_vector(right)
    return elementwise(blockwise(lambda column: Vector(Type.BOOL, member_mask(column, members).view(np.int8))), [left])


def member_mask(column: Vector, members: Vector) -> np.ndarray[Any, Any]:
    """Which elements of a column occur among the members."""
    if len(members) == 0 or len(column) == 0:
        return np.zeros(len(column), dtype=bool)
    if column.type in LITERAL:
        texts = members if members.type in LITERAL else cast_vector(members, Type.STRING)
        wanted = set(cast_vector(texts, Type.STRING).strings().tolist())
        source = column if column.type is not Type.BLOB else cast_vector(column, Type.STRING)
        if source.coded() is None:
            return np.fromiter(map(wanted.__contains__, source.strings().tolist()), bool, count=len(source))
        return symbol_mask(source, wanted.__contains__)
    if members.type in LITERAL:
        members = cast_vector(members, column.type, column.scale)
    if column.type in FLOATING and members.type in INTEGRAL:
        column = cast_vector(column, members.type)
    type_ = common_type(column.type, members.type)
    if type_ is Type.ANY:
        if column.type in TEMPORAL and members.type not in TEMPORAL:
            a, b = column.data, members.data
            return np.isin(a, b)
        raise ScriptError(f"{column.type.name} and {members.type.name} can't be compared.")
    if type_ in FLOATING:
        own, other = to_float(column), to_float(members)
        found = np.isin(own, other)
        return found | np.isnan(own) if np.isnan(other).any() else found
    scale = max(column.scale, members.scale)
    own, other = cast_vector(column, type_, scale).data, cast_vector(members, type_, scale).data
    if DTYPES[type_].kind == "O":
        wanted_raws = set(other.tolist())
        return np.fromiter((raw in wanted_raws for raw in own), dtype=bool, count=len(own))
    return np.isin(own, other)


def _key_rows(left: Value, table: Table) -> Value:
    keys = [table.column(name) for name in table.keys]
    parts = left.items if isinstance(left, AnyVector) else [left]
    if len(parts) != len(keys):
        raise ScriptError("The number of elements on the left side of in must equal the number of key columns.")
    from engine.texts import element_texts

    rows = set(zip(*[element_texts(as_vector(key)) for key in keys if key is not None], strict=True))
    asked = zip(*[element_texts(cast_as(part, key)) for part, key in zip(parts, keys, strict=True)], strict=True)
    found = [row in rows for row in asked]
    if all(isinstance(part, Scalar) for part in parts):
        return boolean(found[0])
    return vector(Type.BOOL, found)


def cast_as(value: Value, like: Any) -> Vector:
    column = as_vector(value)
    return cast_vector(column, like.type, like.scale) if isinstance(like, Vector) else column


def between(left: Value, right: Value) -> Value:
    """`left between low:high`, both ends included."""
    if isinstance(right, AnyVector) and len(right) == 2:
        low, high = right.items
    elif isinstance(right, Vector) and len(right) == 2:
        low, high = element(right, 0), element(right, 1)
    else:
        raise ScriptError("The right side of between must be a pair.")
    return elementwise(
        blockwise(lambda x, a, b: logic("and", compare(">=", x, a), compare("<=", x, b))),
        [left, low, high],
    )


@lru_cache(maxsize=256)
def like_pattern(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """`%` any text, `?` one character. What stands between two `%` is looked for once, from left to right."""
    first, *rest = ["".join("." if char == "?" else re.escape(char) for char in part) for part in pattern.split("%")]
    if rest:
        first += "".join(f"(?>.*?{part})" for part in rest[:-1] if part) + f".*{rest[-1]}"
    return re.compile(first, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def like(left: Value, right: Value, ignore_case: bool = False) -> Value:
    if not isinstance(right, Scalar) or right.type not in LITERAL:
        raise ScriptError("The pattern of like must be a string scalar.")
    text = cast(right, Type.STRING)
    assert isinstance(text, Scalar)
    matches = _matcher(text.value or "", ignore_case)

    def kernel(column: Vector) -> Vector:
        if column.type in (Type.VOID, Type.BLOB):
            column = cast_vector(column, Type.STRING)
        if column.type not in LITERAL:
            raise ScriptError("The left side of like must be strings.")
        return Vector(Type.BOOL, symbol_mask(column, matches).view(np.int8))

    return elementwise(blockwise(kernel), [left])


def _matcher(pattern: str, ignore_case: bool) -> Callable[[str], bool]:
    """Whether a text fits a pattern; a fixed text at one end or inside is looked for directly."""
    fixed = pattern.strip("%")
    if not ignore_case and fixed and "%" not in fixed and "?" not in fixed:
        if pattern == f"{fixed}%":
            return lambda text: text.startswith(fixed)
        if pattern == f"%{fixed}":
            return lambda text: text.endswith(fixed)
        if pattern == f"%{fixed}%":
            return lambda text: fixed in text
    matches = like_pattern(pattern, ignore_case).fullmatch
    return lambda text: matches(text) is not None


def set_of(value: Value) -> Set:
    """A set of the distinct elements of a scalar or vector."""
    if isinstance(value, Set):
        return value
    column = as_vector(value)
    type_ = column.type
    items = column.strings().tolist() if type_ in (Type.SYMBOL, Type.STRING) else column.data.tolist()
    if type_ is Type.BOOL:
        items = [None if item == -128 else bool(item) for item in items]
    members = {(None if null else item): None for item, null in zip(items, column.nulls().tolist(), strict=True)}
    return Set(type_, members, column.scale)


def set_operation(operator: str, left: Value, right: Value) -> Value:
    if not isinstance(left, Set | Vector | Scalar) or not isinstance(right, Set | Vector | Scalar):
        raise ScriptError(f"The operator {operator} can't be applied to a set and this object.")
    a, b = set_of(left), set_of(right)
    type_ = common_type(a.type, b.type)
    if type_ is Type.ANY:
        raise ScriptError("The sets must have members of the same type.")
    if type_ is not a.type or type_ is not b.type:
        a, b = set_of(cast_vector(as_vector(a), type_)), set_of(cast_vector(as_vector(b), type_))
    x, y = a.members.keys(), b.members.keys()
    if operator in ("<", "<=", ">", ">=", "==", "!="):
        answer = {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y}[operator]
        return boolean(answer)
    if operator == "&":
        kept = [item for item in x if item in y]
    elif operator in ("|", "+"):
        kept = [*x, *(item for item in y if item not in x)]
    elif operator == "-":
        kept = [item for item in x if item not in y]
    elif operator == "^":
        kept = [*(item for item in x if item not in y), *(item for item in y if item not in x)]
    else:
        raise ScriptError(f"The operator {operator} can't be applied to sets.")
    return Set(type_, dict.fromkeys(kept), max(a.scale, b.scale))


def is_null(value: Value) -> Value:
    """`x is null`."""
    if value is NULL:
        return boolean(True)
    return elementwise(lambda column: Vector(Type.BOOL, column.nulls().astype(np.int8)), [value])


def rows_where(table: Table, mask: Vector) -> Table:
    if size(mask) != table.rows:
        raise ScriptError("The condition must have one element per row.")
    keep = mask.data == 1
    return Table(list(table.names), [take(column, keep) for column in table.columns])
