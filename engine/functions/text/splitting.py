"""Long texts in chunks."""

from __future__ import annotations

from collections.abc import Sequence

from engine.arguments import (
    boolean_argument,
    integer_argument,
    is_omitted,
    names_argument,
    positive_argument,
    text_argument,
)
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.types import Type
from engine.values import NOTHING, Value, Vector, vector

functions = Registry()

_SEPARATORS = ("\n\n", "\n", " ", "")


@functions.builtin("recursiveSplitText", "text, [maxLength=300], [chunkOverlap=20], [separators], [keepSeparator=true]")
def recursive_split_text(
    text: Value,
    length: Value = NOTHING,
    overlap: Value = NOTHING,
    separators: Value = NOTHING,
    keep: Value = NOTHING,
) -> Vector:
    """A text in chunks of at most maxLength characters, divided at the first separators as long as that is enough."""
    most, repeated = positive_argument(length, "maxLength", 300), integer_argument(overlap, "chunkOverlap", 20)
    if not 0 <= repeated <= most:
        raise CallError("chunkOverlap must be between 0 and maxLength.")
    marks = _SEPARATORS if is_omitted(separators) else tuple(names_argument(separators, "separators"))
    chunks = _chunks(text_argument(text, "text"), most, repeated, marks, boolean_argument(keep, "keepSeparator", True))
    return vector(Type.STRING, chunks)


def _chunks(text: str, most: int, overlap: int, separators: Sequence[str], keep: bool) -> list[str]:
    place = next((n for n, each in enumerate(separators) if not each or each in text), len(separators))
    if len(text) <= most or place == len(separators):
        return [text] if text else []
    separator, finer = separators[place], separators[place + 1 :]
    glue = "" if keep else separator
    chunks: list[str] = []
    small: list[str] = []
    for piece in _pieces(text, separator, keep):
        if len(piece) <= most:
            small.append(piece)
            continue
        chunks += _merged(small, most, overlap, glue)
        small = []
        chunks += _chunks(piece, most, overlap, finer, keep)
    return chunks + _merged(small, most, overlap, glue)


def _pieces(text: str, separator: str, keep: bool) -> list[str]:
    if not separator:
        return list(text)
    first, *rest = text.split(separator)
    return [piece for piece in (first, *(separator + each if keep else each for each in rest)) if piece]


def _merged(pieces: Sequence[str], most: int, overlap: int, glue: str) -> list[str]:
    """Neighbours joined up to the length; the last of a chunk begin the next one as far as they may be repeated."""
    chunks: list[str] = []
    current: list[str] = []
    size = 0
    for piece in pieces:
        if current and size + len(glue) + len(piece) > most:
            chunks.append(glue.join(current))
            while current and (size > overlap or size + len(glue) + len(piece) > most):
                size -= len(current.pop(0)) + (len(glue) if current else 0)
        size += len(piece) + (len(glue) if current else 0)
        current.append(piece)
    return [*chunks, glue.join(current)] if current else chunks
