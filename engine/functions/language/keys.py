"""Keys of several parts, and conditions looked up by key."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.indexing import lookup
from engine.lifting import elementwise
from engine.operators import binary
from engine.texts import element_texts
from engine.types import LITERAL, Type
from engine.values import AnyVector, Dictionary, Scalar, Set, Value, Vector

functions = Registry()


def _combined(*parts: Value) -> Value:
    """The texts of the arguments one after the other, as BLOB."""

    def kernel(*columns: Vector) -> Vector:
        out = np.empty(max(len(column) for column in columns), dtype=object)
        texts = [column.strings().tolist() if column.type in LITERAL else element_texts(column) for column in columns]
        for place in range(len(out)):
            out[place] = "".join(text[place if len(text) > 1 else 0] for text in texts).encode()
        return Vector(Type.BLOB, out)

    return elementwise(kernel, list(parts))


for _name in ("makeKey", "makeSortedKey"):
    functions.builtin(_name, "args...")(_combined)


@functions.builtin("conditionalFilter", "X, condition, filterMap")
def conditional_filter(value: Value, condition: Value, filters: Value) -> Value:
    """Whether each element is among those the dictionary allows under its condition."""
    if not isinstance(filters, Dictionary):
        raise CallError("filterMap must be a dictionary.")
    if isinstance(value, Scalar) and isinstance(condition, Scalar):
        return Scalar(Type.BOOL, bool(_allowed(as_vector(value), as_vector(condition), filters)[0]))
    return Vector(Type.BOOL, _allowed(as_vector(value), as_vector(condition), filters))


def _allowed(data: Vector, keys: Vector, filters: Dictionary) -> np.ndarray[Any, np.dtype[np.int8]]:
    count = max(len(data), len(keys))
    if len(data) not in (1, count) or len(keys) not in (1, count):
        raise CallError("X and condition must have the same length.")
    rows = np.arange(count)
    raws = keys.strings() if keys.type in LITERAL else keys.data
    _, first, codes = np.unique(
        raws.astype(str) if keys.type in LITERAL else raws, return_index=True, return_inverse=True
    )
    out = np.zeros(count, dtype=np.int8)
    codes = np.broadcast_to(codes.reshape(-1), (count,))
    for code, place in enumerate(first):
        members = lookup(filters, keys.scalar(int(place)))
        if isinstance(members, Scalar) and members.is_null:
            continue
        if not isinstance(members, Vector | AnyVector | Set):
            members = as_vector(members)
        chosen = rows[codes == code]
        part = data.take(chosen if len(data) > 1 else np.zeros(len(chosen), dtype=np.int64))
        is_range = isinstance(members, Vector) and members.is_pair
        out[chosen] = as_vector(binary("between" if is_range else "in", part, members)).data
    return out
