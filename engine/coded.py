"""STRING vectors held as codes, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from engine import coding
from engine.types import Type
from engine.values import Array, SymbolBase, Vector, based

Result = TypeVar("Result")

COPIED = 64
"""So many distinct texts are copied at most for each element that brings a new one."""


def aligned(parts: Sequence[Vector], appending: bool = False) -> list[Vector] | None:
    """The parts as SYMBOL vectors over one base; None unless all are STRING, one of them held as codes already, and
    their texts recur together.

    `appending`, which may be done again and again, does not copy a large base for a few new texts.
    """
    rows = sum(map(len, parts))
    if rows < coding.LONG or any(part.type is not Type.STRING for part in parts):
        return None
    first = next((held.symbols for part in parts if (held := part.held_codes()) is not None), None)
    if first is None:
        return None
    base = first
    codes: list[Array] = []
    for part in parts:
        own = part.coded()
        if own is not None and own.symbols is first:
            codes.append(own.data)
            continue
        if own is None and len(part) * coding.SHARE > rows:
            return None
        distinct = part.data.tolist() if own is None or own.symbols is None else own.symbols.strings
        if any(base.find(text) < 0 for text in distinct):
            if appending and len(base) > COPIED * len(part):
                return None
            # Other vectors hold codes into this base as well: it grows only as a copy, which keeps its codes.
            base = SymbolBase([*base.strings, *distinct])
        mapping = np.array([base.find(text) for text in distinct], dtype=np.int32)
        codes.append(mapping if own is None else mapping[own.data])
    if len(base) * coding.SHARE > rows:
        return None
    return [Vector(Type.SYMBOL, each, base) for each in codes]


def together(parts: Sequence[Vector], appending: bool = False) -> Vector | None:
    """STRING vectors end to end, held as codes; None where `aligned` gives none."""
    pieces = aligned(parts, appending)
    if pieces is None:
        return None
    return Vector.holding(pieces[0].with_data(np.concatenate([piece.data for piece in pieces])))


def per_text(coded: Vector, compute: Callable[[str], Result]) -> tuple[list[Result], Array]:
    """What `compute` gives for each text that a SYMBOL vector contains, and which of these belongs to each element."""
    assert coded.symbols is not None
    seen = np.zeros(len(coded.symbols), dtype=bool)
    seen[coded.data] = True
    strings = coded.symbols.strings
    results = [compute(strings[code]) for code in np.flatnonzero(seen).tolist()]
    return results, (np.cumsum(seen, dtype=np.int32) - 1)[coded.data]


def changed(coded: Vector, change: Callable[[str], str]) -> Vector:
    """The STRING vector of what `change` makes of each text of a SYMBOL vector."""
    texts, codes = per_text(coded, change)
    if len(coded) >= coding.LONG:
        return based(codes, texts)
    return Vector(Type.STRING, coding.objects(texts)[codes])


def same_texts(left: Vector, right: Vector) -> Array:
    """Where two SYMBOL vectors of one length have the same text."""
    assert left.symbols is not None
    assert right.symbols is not None
    if left.symbols is right.symbols:
        return np.asarray(left.data == right.data)
    mapping = np.array([left.symbols.find(text) for text in right.symbols.strings], dtype=np.int32)
    return np.asarray(left.data == mapping[right.data])
