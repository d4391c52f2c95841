"""The conditional element by element (`iif`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import coding
from engine.cast import cast_vector, common_type
from engine.coded import aligned
from engine.errors import ScriptError
from engine.forms import symbol_codes
from engine.lifting import SAME_LENGTH, elementwise
from engine.operators.comparison import truth
from engine.types import DTYPES, Type, null
from engine.values import AnyVector, Array, Scalar, SymbolBase, Value, Vector, based, elements


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
    count = next((len(side) for side in (picks, when_true, when_false) if len(side) != 1), 1)
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
    if type_ is Type.STRING:
        texts = _chosen_texts(picks, when_true, when_false, count)
        if texts is not None:
            return texts
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


def _chosen_texts(picks: Array, when_true: Vector, when_false: Vector, count: int) -> Vector | None:
    """The same of STRING columns held as codes, or of two texts for many rows."""
    sides = [cast_vector(side, Type.STRING) for side in (when_true, when_false)]
    if len(sides[0]) == len(sides[1]) == 1 and count >= coding.LONG:
        codes = np.where(picks == -128, 0, np.where(picks == 1, 1, 2))
        return based(np.broadcast_to(codes, count), ["", *(str(side.strings()[0]) for side in sides)])
    coded = aligned(sides)
    if coded is None:
        return None
    chosen = np.where(picks == -128, np.int32(0), np.where(picks == 1, coded[0].data, coded[1].data))
    return Vector.holding(coded[0].with_data(chosen)) if len(chosen) == count else None
