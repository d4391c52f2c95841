"""The conditional element by element (`iif`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.cast import cast_vector, common_type
from engine.errors import ScriptError
from engine.forms import symbol_codes
from engine.lifting import SAME_LENGTH, elementwise
from engine.operators.comparison import truth
from engine.types import DTYPES, Type, null
from engine.values import AnyVector, Scalar, SymbolBase, Value, Vector, elements


def choose(condition: Value, when_true: Value, when_false: Value) -> Value:
    """`when_true` where the condition holds, else `when_false`; a NULL condition gives NULL."""
    simple = (Scalar, Vector)
    if isinstance(condition, Scalar) and not (isinstance(when_true, simple) and isinstance(when_false, simple)):
        return when_true if condition.value else when_false
    if isinstance(condition, Vector) and (isinstance(when_true, AnyVector) or isinstance(when_false, AnyVector)):
        picks = truth(condition) == 1
        sides = [
            list(elements(side)) if isinstance(side, AnyVector) and len(side) == len(condition) else [side] * len(picks)
            for side in (when_true, when_false)
        ]
        return AnyVector([sides[0][i] if pick else sides[1][i] for i, pick in enumerate(picks)])
    return elementwise(_choose, [condition, when_true, when_false])


def _choose(condition: Vector, when_true: Vector, when_false: Vector) -> Any:
    picks = truth(condition)
    count = max(len(picks), len(when_true), len(when_false)) if len(picks) else 0
    if any(len(side) not in (1, count) for side in (when_true, when_false)):
        raise ScriptError(SAME_LENGTH)
    type_ = common_type(when_true.type, when_false.type)
    if type_ is Type.ANY:
        raise ScriptError(f"The results of iif have different types: {when_true.type.name} and {when_false.type.name}.")
    if Type.SYMBOL in (when_true.type, when_false.type) and type_ in (Type.STRING, Type.SYMBOL):
        base = SymbolBase()
        codes = [symbol_codes(side, base) for side in (when_true, when_false)]
        chosen = np.where(picks == 1, codes[0], codes[1])
        return Vector(Type.SYMBOL, np.where(picks == -128, 0, chosen).astype(np.int32), base)
    scale = max(when_true.scale, when_false.scale)
    a = cast_vector(when_true, type_, scale).data
    b = cast_vector(when_false, type_, scale).data
    if DTYPES[type_].kind == "O":
        out = np.empty(count, dtype=object)
        out[:] = np.where(picks == 1, a, b)
        out[np.broadcast_to(picks == -128, out.shape)] = null(type_)
        return Vector(type_, out, None, scale)
    out = np.where(picks == 1, a, b)
    return Vector(type_, np.where(picks == -128, null(type_), out).astype(DTYPES[type_]), None, scale)
