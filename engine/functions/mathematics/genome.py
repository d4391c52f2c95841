"""Short DNA sequences as integers: two bits a letter, and the length above them."""

from __future__ import annotations

import numpy as np

from engine.arguments import positive_argument
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.types import LITERAL, Type, null
from engine.values import Array, Scalar, Value, Vector, vector

functions = Registry()

_LONGEST = 28
_LETTERS = "ATCG"
_CODES = {letter: code for code, letter in enumerate(_LETTERS)}


def _shift(length: int) -> int:
    """Where the length stands: above the letters, at the next byte."""
    return -(-2 * length // 8) * 8


def _encoded(text: str) -> int | None:
    if len(text) > _LONGEST or not set(text) <= _CODES.keys():
        return None
    bits = 0
    for letter in text:
        bits = bits << 2 | _CODES[letter]
    return len(text) << _shift(len(text)) | bits


def _text(value: Value) -> str | None:
    """One sequence: a text, or a vector of characters."""
    if isinstance(value, Vector) and value.type is Type.CHAR:
        return bytes(value.data.astype(np.uint8)).decode("latin-1")
    if isinstance(value, Scalar) and value.type is Type.CHAR and value.value is not None:
        return chr(value.value & 0xFF)
    return str(value.value or "") if isinstance(value, Scalar) and value.type in LITERAL else None


@functions.builtin("encodeShortGenomeSeq", "X", aliases=("encodeSGS",))
def encode_sequence(value: Value) -> Value:
    """A DNA sequence of at most 28 letters as LONG; NULL for other letters and longer texts."""
    text = _text(value)
    if text is not None:
        return Scalar(Type.LONG, _encoded(text))
    column = as_vector(value)
    if column.type not in LITERAL:
        raise CallError("X must be of STRING or CHAR type.")
    return vector(Type.LONG, [_encoded(text) for text in column.strings()])


@functions.elementwise("decodeShortGenomeSeq", "X", aliases=("decodeSGS",))
def decode_sequence(column: Vector) -> Vector:
    """The letters of an encoded sequence."""
    if column.data.dtype.kind != "i":
        raise CallError("X must be integral.")
    return vector(
        Type.STRING,
        ["" if empty else _decoded(int(raw)) for raw, empty in zip(column.data, column.nulls(), strict=True)],
    )


def _decoded(raw: int) -> str:
    for length in range(1, _LONGEST + 1):
        if raw >> _shift(length) == length:
            return "".join(_LETTERS[raw >> 2 * place & 3] for place in range(length - 1, -1, -1))
    return ""


@functions.builtin("genShortGenomeSeq", "X, window", aliases=("genSGS",))
def sequence_windows(value: Value, window: Value) -> Value:
    """The code of the window that begins at each letter; NULL where it is cut short or has other letters."""
    text, width = _text(value), positive_argument(window, "window")
    if text is None or not 2 <= width <= _LONGEST:
        raise CallError("X must be a text or a vector of CHAR, window between 2 and 28.")
    type_ = Type.SHORT if width <= 4 else Type.INT if width <= 12 else Type.LONG
    codes = np.array([_CODES.get(letter, -1) for letter in text], dtype=np.int64)
    out: Array = np.full(len(codes), null(type_), dtype=np.int64)
    starts = len(codes) - width + 1
    if starts > 0:
        windows = np.lib.stride_tricks.sliding_window_view(codes, width)
        bits = (windows << np.arange(2 * width - 2, -2, -2)).sum(axis=1) | width << _shift(width)
        out[:starts] = np.where((windows >= 0).all(axis=1), bits, null(type_))
    return vector(type_, out)
