"""Functions of text, element by element; positions and lengths count bytes of UTF-8, with a final u characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine import lifting
from engine.arguments import integer_argument, is_omitted, text_argument
from engine.cast import cast_vector
from engine.coded import changed, per_text
from engine.errors import CallError
from engine.forms import array_vector, as_vector
from engine.functions.registry import Registry
from engine.texts import element_texts
from engine.types import DTYPES, LITERAL, Type, null
from engine.values import AnyVector, Array, Scalar, Table, Value, Vector, string, vector

functions = Registry()

PAD_LIMIT = 65536


def texts_of(x: Vector, name: str = "X") -> Array:
    """Text elements as an object array of str."""
    if x.type in (Type.STRING, Type.SYMBOL):
        return x.strings()
    if x.type is Type.BLOB:
        return np.array([raw.decode(errors="replace") for raw in x.data], dtype=object)
    if x.type is Type.VOID:
        return np.full(len(x), "", dtype=object)
    if x.type is Type.CHAR:
        return cast_vector(x, Type.STRING).data
    raise CallError(f"{name} must be a string scalar or vector, not {x.type.name}.")


def object_array(items: list[Any]) -> Array:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def mapped(x: Vector, compute: Callable[[str], Any], name: str = "X") -> list[Any]:
    """A function of each text; where texts recur it is called once for each."""
    coded = x.coded()
    if coded is None:
        return [compute(text) for text in texts_of(x, name)]
    results, places = per_text(coded, compute)
    return list(map(results.__getitem__, places.tolist()))


def changed_texts(x: Vector, change: Callable[[str], str], name: str = "X") -> Vector:
    """The STRING column of a function of each text."""
    coded = x.coded()
    if coded is None:
        return Vector(Type.STRING, object_array([change(text) for text in texts_of(x, name)]))
    return changed(coded, change)


def measured_texts(x: Vector, type_: Type, measure: Callable[[str], int], name: str = "X") -> Vector:
    """The column of a whole number, never NULL, for each text."""
    coded = x.coded()
    if coded is None:
        return vector(type_, np.array([measure(text) for text in texts_of(x, name)], dtype=DTYPES[type_]))
    results, places = per_text(coded, measure)
    return vector(type_, np.array(results, dtype=DTYPES[type_])[places])


def _declare_text(name: str, compute: Callable[[str], str]) -> None:
    @functions.elementwise(name, "X")
    def of(x: Vector) -> Vector:
        return changed_texts(x, compute)


def _capitalized(text: str) -> str:
    out, inside = [], False
    for character in text:
        out.append(character.lower() if inside else character.upper())
        inside = character.isalnum()
    return "".join(out)


for _name, _compute in (
    ("lower", str.lower),
    ("upper", str.upper),
    ("trim", lambda text: text.strip(" ")),
    ("ltrim", lambda text: text.lstrip(" ")),
    ("rtrim", lambda text: text.rstrip(" ")),
    ("strip", lambda text: text.strip(" \t\r\n")),
    ("initcap", _capitalized),
):
    _declare_text(_name, _compute)


def _declare_number(name: str, compute: Callable[[str], int]) -> None:
    @functions.elementwise(name, "X")
    def of(x: Vector) -> Vector:
        return measured_texts(x, Type.INT, compute)


_declare_number("strlen", lambda text: len(text) if text.isascii() else len(text.encode()))
_declare_number("strlenu", len)
_declare_number("wc", lambda text: len(text.split()))


def _declare_test(name: str, holds: Callable[[str], bool]) -> None:
    @functions.elementwise(name, "X")
    def of(x: Vector) -> Vector:
        return measured_texts(x, Type.BOOL, holds)


def _only(characters: str) -> Callable[[str], bool]:
    return lambda text: bool(text) and all(character in characters for character in text)


for _name, _holds in (
    ("isAlpha", lambda text: text.isascii() and text.isalpha()),
    ("isDigit", _only("0123456789")),
    ("isNumeric", _only("0123456789")),
    ("isAlNum", lambda text: text.isascii() and text.isalnum()),
    ("isSpace", _only(" \t\r\n")),
    ("isLower", str.islower),
    ("isUpper", str.isupper),
    ("isTitle", str.istitle),
):
    _declare_test(_name, _holds)


def _bytes_slice(text: str, start: int, stop: int | None) -> str:
    if text.isascii():
        return text[start:stop]
    return text.encode()[start:stop].decode(errors="ignore")


def _declare_slice(name: str, cut: Callable[[str, int, int | None], str]) -> None:
    @functions.elementwise(name, "X, offset, [length]")
    def part(x: Vector, offset: Value, length: Value | None = None) -> Vector:
        starts = cast_vector(as_vector(offset), Type.LONG).data
        if (starts < 0).any():
            raise CallError("offset must be a non-negative integer.")
        lengths = None if is_omitted(length) else cast_vector(as_vector(length), Type.LONG).data  # type: ignore[arg-type]
        if lengths is not None and (lengths < 0).any():
            raise CallError("length must be a positive integer.")
        if len(starts) == 1 and (lengths is None or len(lengths) == 1):
            first, stop = int(starts[0]), None if lengths is None else int(starts[0] + lengths[0])
            return changed_texts(x, lambda text: cut(text, first, stop))
        texts = texts_of(x)
        begin = np.broadcast_to(starts, len(texts)).tolist()
        sizes = np.broadcast_to(lengths, len(texts)).tolist() if lengths is not None else [None] * len(texts)
        parts = [
            cut(text, start, None if size is None else start + size)
            for text, start, size in zip(texts, begin, sizes, strict=True)
        ]
        return Vector(Type.STRING, object_array(parts))


_declare_slice("substr", _bytes_slice)
_declare_slice("substru", lambda text, start, stop: text[start:stop])


def _text_columns(value: Value, change: Callable[[Vector], Vector]) -> Value:
    """Apply to text; of a table only to its text columns."""
    if isinstance(value, Table):
        columns = [change(c) if isinstance(c, Vector) and c.type in LITERAL else c for c in value.columns]
        return Table(list(value.names), columns)
    return lifting.elementwise(change, [value])


def _declare_sized(name: str, signature: str, shape: Callable[[str, int, str], str]) -> None:
    @functions.builtin(name, signature)
    def sized(x: Value, n: Value, pattern: Value | None = None) -> Value:
        number = integer_argument(n, "n")
        if number < 0:
            raise CallError("the length must be a positive integer.")
        fill = text_argument(pattern, "pattern", " ") or " "

        def change(column: Vector) -> Vector:
            return changed_texts(column, lambda text: shape(text, number, fill))

        return _text_columns(x, change)


def _padding(text: str, length: int, fill: str) -> str:
    missing = min(length, PAD_LIMIT) - len(text)
    return (fill * (missing // len(fill) + 1))[:missing] if missing > 0 else ""


_declare_sized("left", "X, n", lambda text, n, _: text[:n])
_declare_sized("right", "X, n", lambda text, n, _: text[-n:] if n else "")
_declare_sized("lpad", "str, length, [pattern]", lambda text, n, fill: _padding(text, n, fill) + text[:n])
_declare_sized("rpad", "str, length, [pattern]", lambda text, n, fill: text[:n] + _padding(text, n, fill))


@functions.builtin("repeat", "X, n")
def repeat(x: Value, n: Value) -> Value:
    number = integer_argument(n, "n")
    if number <= 0:
        raise CallError("n must be a positive integer.")
    return _text_columns(x, lambda column: changed_texts(column, lambda text: text * number))


def _declare_pair(name: str, signature: str, type_: Type, compute: Callable[[str, str], Any]) -> None:
    @functions.elementwise(name, signature, vectors=2)
    def of(x: Vector, y: Vector) -> Vector:
        other = y.coded()
        if other is not None and len(y) and (other.data == other.data[0]).all():
            part = str(y.scalar(0).value or "")
            return measured_texts(x, type_, lambda text: compute(text, part))
        pairs = zip(texts_of(x), texts_of(y, "str"), strict=True)
        return vector(type_, np.array([compute(a, b) for a, b in pairs], dtype=np.int32))


_declare_pair("startsWith", "X, str", Type.BOOL, str.startswith)
_declare_pair("endsWith", "X, str", Type.BOOL, str.endswith)
_declare_pair(
    "strpos", "X, str", Type.INT, lambda text, part: len(text[: text.find(part)].encode()) if part in text else -1
)


@functions.elementwise("strReplace", "str, pattern, replacement")
def replace_text(x: Vector, pattern: Value, replacement: Value) -> Vector:
    old, new = text_argument(pattern, "pattern"), text_argument(replacement, "replacement")
    if not old:
        return Vector(Type.STRING, texts_of(x))
    return changed_texts(x, lambda text: text.replace(old, new), "str")


@functions.builtin("split", "str, [delimiter]")
def split(x: Value, delimiter: Value | None = None) -> Value:
    """The parts of a text; without a delimiter its characters."""
    separator = None if is_omitted(delimiter) else text_argument(delimiter, "delimiter")

    def parts(text: str) -> Vector:
        if separator is None:
            return _characters(text)
        return Vector(Type.STRING, object_array(text.split(separator) if separator else list(text)))

    column = as_vector(x)
    pieces: list[Value] = [parts(text) for text in texts_of(column, "str")]
    return pieces[0] if isinstance(x, Scalar) else AnyVector(pieces, columnar=True)


def _characters(text: str) -> Vector:
    return vector(Type.CHAR, np.frombuffer(text.encode(), dtype=np.int8).copy())


@functions.builtin("toCharArray", "X")
def to_characters(x: Value) -> Value:
    rows = [_characters(text) for text in texts_of(as_vector(x))]
    return rows[0] if isinstance(x, Scalar) else array_vector(rows)


@functions.elementwise("charAt", "X, Y", vectors=2)
def char_at(x: Vector, y: Vector) -> Vector:
    out = np.full(len(x), null(Type.CHAR), dtype=np.int8)
    for row, (text, position) in enumerate(zip(texts_of(x), y.data.tolist(), strict=True)):
        raw = text.encode()
        if 0 <= position < len(raw):
            out[row] = np.uint8(raw[position]).astype(np.int8)
    return Vector(Type.CHAR, out)


@functions.builtin("concat", "X, [Y]")
def concat(x: Value, y: Value | None = None) -> Scalar:
    """Texts joined: a pair end to end, a vector with a separator."""
    other = "" if is_omitted(y) else _one_text(y)
    if isinstance(x, Scalar):
        return string(_one_text(x) + other)
    if isinstance(x, AnyVector) and all(isinstance(item, Scalar) for item in x.items):
        return string(other.join(_one_text(item) for item in x.items))
    column = as_vector(x)
    missing = column.nulls()
    pieces = ["" if gone else text for text, gone in zip(element_texts(column), missing, strict=True)]
    return string(other.join(pieces))


def _one_text(value: Value | None) -> str:
    if not isinstance(value, Scalar):
        raise CallError("Y must be a scalar.")
    return "" if value.is_null else element_texts(as_vector(value))[0]


def _replaced(x: Vector, old: Scalar, new: Scalar) -> Vector:
    if x.type in LITERAL:
        before, after = text_argument(old, "oldValue", ""), text_argument(new, "newValue", "")
        texts = np.where(x.strings() == before, after, x.strings()).astype(object)
        changed = Vector(Type.STRING, texts)
        return cast_vector(changed, x.type) if x.type is not Type.STRING else changed
    before_raw = cast_vector(as_vector(old), x.type, x.scale).data[0]
    after_raw = cast_vector(as_vector(new), x.type, x.scale).data[0]
    chosen = x.nulls() if old.is_null else x.data == before_raw
    return x.with_data(np.where(chosen, after_raw, x.data).astype(x.data.dtype))


@functions.builtin("replace", "X, oldValue, newValue")
def replace(x: Value, old: Value, new: Value) -> Value:
    if not isinstance(old, Scalar) or not isinstance(new, Scalar):
        raise CallError("oldValue and newValue must be scalars.")
    first, second = old, new
    return lifting.elementwise(lambda column: _replaced(column, first, second), [x])


@functions.builtin("replace!", "X, oldValue, newValue")
def replace_in_place(x: Value, old: Value, new: Value) -> Value:
    from engine.functions.series.sequences import replaced

    return replaced(x, replace(x, old, new))
