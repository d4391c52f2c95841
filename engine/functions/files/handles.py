"""Open files: lines, bytes, records and objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any, Literal, TypeAlias

import numpy as np

from engine.arguments import (
    boolean_argument,
    choice_argument,
    integer_argument,
    is_omitted,
    positive_argument,
    text_argument,
)
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import as_vector, element
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.limits import check_allocation
from engine.operators.building import type_argument
from engine.types import DECIMAL, DTYPES, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    Array,
    Column,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    integer,
    string,
    vector,
)
from engine.wire.decode import decode, symbol_vector
from engine.wire.encode import Encoding, encode
from engine.wire.forms import NULL_DOUBLE, NULL_FLOAT
from engine.wire.reader import ProtocolError, StreamReader

functions = Registry()

Order: TypeAlias = Literal["<", ">"]

_MODES = ("r", "r+", "w", "w+", "a", "a+")
_WORDS = frozenset((Type.BOOL, *INTEGRAL, *FLOATING, *TEMPORAL))
_POSITIONS = ("HEAD", "CURRENT", "TAIL")
_SIZE = 8
"""The bytes before an object that tell its length."""
END = "Reach the end of a file or a buffer."


@dataclass(eq=False)
class OpenFile:
    stream: IO[bytes]
    order: Order

    def close(self) -> None:
        self.stream.close()


@functions.builtin("file", 'name, [mode="r"], [isLittleEndian=true]', context=True)
def file(context: Context, name: Value, mode: Value = NOTHING, little_endian: Value = NOTHING) -> Handle:
    """A file. It is closed by `close`, or when nothing refers to it any more."""
    wanted = choice_argument(mode, "mode", _MODES, "r")
    text = text_argument(name, "name")
    path = readable(context, text) if wanted == "r" else writable(context, text)
    try:
        opened: IO[Any] = path.open(f"{wanted[0]}b{wanted[1:]}")
    except OSError as error:
        raise ScriptError(f"Failed to open the file [{text}]: {error.strerror}.") from None
    order: Order = "<" if boolean_argument(little_endian, "isLittleEndian", True) else ">"
    return Handle("FILE", f"file({text})", OpenFile(opened, order))


def _opened(handle: Value) -> OpenFile:
    target = handle.target if isinstance(handle, Handle) else None
    if not isinstance(target, OpenFile):
        raise CallError("handle must be a file handle, which file(name) returns.")
    if target.stream.closed:
        raise ScriptError("The file is closed.")
    return target


def _source(handle: Value) -> IO[bytes]:
    stream = _opened(handle).stream
    if not stream.readable():
        raise ScriptError("The file is not open for reading.")
    return stream


def _target(handle: Value) -> IO[bytes]:
    stream = _opened(handle).stream
    if not stream.writable():
        raise ScriptError("The file is not open for writing.")
    return stream


def _written(stream: IO[bytes], data: bytes) -> None:
    stream.write(data)
    stream.flush()


@functions.builtin("close", "X")
def close(handle: Value) -> Nothing:
    if not isinstance(handle, Handle) or not hasattr(handle.target, "close"):
        raise CallError("X must be a file handle.")
    handle.target.close()
    return NOTHING


@functions.builtin("fflush", "obj")
def flush(handle: Value) -> Nothing:
    _opened(handle).stream.flush()
    return NOTHING


@functions.builtin("seek", "handle, offset, [mode]")
def seek(handle: Value, offset: Value, mode: Value = NOTHING) -> Scalar:
    """Move to `offset` bytes from the head, the current place or the tail; returns where that is."""
    whence = choice_argument(mode, "mode", _POSITIONS, "CURRENT")
    try:
        return integer(
            _opened(handle).stream.seek(integer_argument(offset, "offset"), _POSITIONS.index(whence)), Type.LONG
        )
    except (OSError, ValueError):
        raise CallError("offset must not lead before the head of the file.") from None


# --- lines


def _next_line(stream: IO[bytes]) -> str | None:
    try:
        line = stream.readline().decode()
    except UnicodeDecodeError:
        raise ScriptError("The file is not a text in UTF-8.") from None
    return line.removesuffix("\n").removesuffix("\r") if line else None


@functions.builtin("readLine", "handle")
def read_line(handle: Value) -> Scalar:
    """The next line, or NULL at the end."""
    line = _next_line(_source(handle))
    return NULL if line is None else string(line)


def _lines(stream: IO[bytes], count: int) -> list[str]:
    lines: list[str] = []
    while len(lines) < count and (line := _next_line(stream)) is not None:
        lines.append(line)
    return lines


@functions.builtin("readLines", "handle, [length=1024]")
def read_lines(handle: Value, length: Value = NOTHING) -> Vector:
    return vector(Type.STRING, _lines(_source(handle), positive_argument(length, "length", 1024)))


@functions.builtin("readLines!", "handle, holder, [offset=0], [length=1]")
def read_lines_into(handle: Value, holder: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """Lines into an existing vector; returns how many were read."""
    if not isinstance(holder, Vector) or holder.type is not Type.STRING:
        raise CallError("holder must be a STRING vector.")
    rows = _range(len(holder), offset, length, 1)
    lines = _lines(_source(handle), rows.stop - rows.start)
    holder.data[rows.start : rows.start + len(lines)] = lines
    return integer(len(lines))


def _line_end(windows: Value) -> str:
    return "\r\n" if boolean_argument(windows, "windowsLineEnding", False) else "\n"


@functions.builtin("writeLine", "handle, line, [windowsLineEnding]")
def write_line(handle: Value, line: Value, windows: Value = NOTHING) -> Scalar:
    _written(_target(handle), (text_argument(line, "line") + _line_end(windows)).encode())
    return integer(1)


@functions.builtin("writeLines", "handle, object, [offset=0], [length], [windowsLineEnding]")
def write_lines(
    handle: Value, lines: Value, offset: Value = NOTHING, length: Value = NOTHING, windows: Value = NOTHING
) -> Scalar:
    if not isinstance(lines, Vector) or lines.type not in LITERAL:
        raise CallError("object must be a STRING vector.")
    start = integer_argument(offset, "offset", 0)
    count = len(lines) - start if is_omitted(length) else integer_argument(length, "length")
    wanted = lines.strings()[start : start + count].tolist()
    end = _line_end(windows)
    _written(_target(handle), "".join(f"{line}{end}" for line in wanted).encode())
    return integer(len(wanted))


# --- bytes and words


def _range(rows: int, offset: Value, length: Value, default: int | None) -> slice:
    """The elements from `offset` on; all that are left if there is no `default` number of them."""
    start = integer_argument(offset, "offset", 0)
    count = integer_argument(length, "length", rows - start if default is None else default)
    if not 0 <= start <= start + count <= rows:
        raise CallError("offset and length must lie within the object.")
    return slice(start, start + count)


def _words(column: Vector, order: Order) -> Array:
    """Elements as they stand in files, where NULL of a floating type is its most negative number."""
    if column.type not in _WORDS:
        raise UnsupportedError(f"Writing {column.type.name} to a file as words")
    data = column.data
    if data.dtype.kind == "f":
        data = np.where(np.isnan(data), NULL_FLOAT if data.dtype.itemsize == 4 else NULL_DOUBLE, data).astype(
            data.dtype
        )
    return data.astype(data.dtype.newbyteorder(order))


def _placed(holder: Vector, rows: slice, words: Array) -> None:
    data = words.astype(holder.data.dtype)
    if data.dtype.kind == "f":
        data[data == (NULL_FLOAT if data.dtype.itemsize == 4 else NULL_DOUBLE)] = np.nan
    holder.data[rows.start : rows.start + len(data)] = data


@functions.builtin("readBytes", "handle, sizeInByte")
def read_bytes(handle: Value, size: Value) -> Vector:
    count = integer_argument(size, "sizeInByte")
    data = _source(handle).read(count) if count > 0 else b""
    if len(data) != count:
        raise ScriptError(END)
    return Vector(Type.CHAR, np.frombuffer(data, dtype=np.int8).copy())


@functions.builtin("writeBytes", "handle, bytes")
def write_bytes(handle: Value, data: Value) -> Scalar:
    column = as_vector(data)
    if column.type is not Type.CHAR:
        raise CallError("bytes must be a CHAR scalar or vector.")
    _written(_target(handle), column.data.tobytes())
    return integer(len(column))


@functions.builtin("write", "handle, object, [offset=0], [length]")
def write(handle: Value, value: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """The elements of a vector as words; returns how many were written."""
    column = as_vector(value)
    part = column.take(_range(len(column), offset, length, None))
    _written(_target(handle), _words(part, _opened(handle).order).tobytes())
    return integer(len(part), Type.LONG)


@functions.builtin("read!", "handle, holder, [offset=0], [length=1]")
def read_into(handle: Value, holder: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """Words into an existing vector; returns how many there were."""
    if not isinstance(holder, Vector):
        raise UnsupportedError("Reading into a scalar")
    rows = _range(len(holder), offset, length, 1)
    like = _words(holder.take(slice(0, 0)), _opened(handle).order).dtype
    data = _source(handle).read((rows.stop - rows.start) * like.itemsize)
    words = np.frombuffer(data[: len(data) // like.itemsize * like.itemsize], dtype=like)
    _placed(holder, rows, words)
    return integer(len(words))


# --- records and objects


def _columns(value: Value) -> list[Vector]:
    parts = [*value.columns] if isinstance(value, Table) else value.items if isinstance(value, AnyVector) else []
    columns = [part for part in parts if isinstance(part, Vector)]
    if not columns or len(columns) != len(parts) or len({len(column) for column in columns}) != 1:
        raise CallError("a table or a tuple of vectors of one length is expected.")
    return columns


def _record(columns: list[Vector], order: Order) -> np.dtype[Any]:
    return np.dtype([(f"f{n}", _words(column.take(slice(0, 0)), order).dtype) for n, column in enumerate(columns)])


@functions.builtin("writeRecord", "handle, object, [offset=0], [length]")
def write_record(handle: Value, value: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """Rows of fixed length, the columns next to each other; returns how many were written."""
    columns, order = _columns(value), _opened(handle).order
    rows = _range(len(columns[0]), offset, length, None)
    packed = np.empty(rows.stop - rows.start, dtype=_record(columns, order))
    for n, column in enumerate(columns):
        packed[f"f{n}"] = _words(column.take(rows), order)
    _written(_target(handle), packed.tobytes())
    return integer(len(packed))


@functions.builtin("readRecord!", "handle, holder, [offset=0], [length]")
def read_record(handle: Value, holder: Value, offset: Value = NOTHING, length: Value = NOTHING) -> Scalar:
    """Rows of fixed length into the columns of a table or tuple; an empty table takes all there are."""
    columns = _columns(holder)
    record = _record(columns, _opened(handle).order)
    empty = isinstance(holder, Table) and not len(columns[0]) and is_omitted(length)
    rows = _range(len(columns[0]), offset, length, None)
    data = _source(handle).read(-1 if empty else (rows.stop - rows.start) * record.itemsize)
    packed = np.frombuffer(data[: len(data) // record.itemsize * record.itemsize], dtype=record)
    if not len(packed):
        raise ScriptError(END)
    if isinstance(holder, Table):
        size = len(packed) if empty else len(columns[0])
        columns = [column.with_data(np.resize(column.data, size)) for column in columns]
    for n, column in enumerate(columns):
        _placed(column, rows, packed[f"f{n}"])
    if isinstance(holder, Table):
        with holder.lock:
            holder.columns = list(columns)
    return integer(len(packed))


@functions.builtin("loadRecord", "filename, schema, [skipBytes=0], [count]", context=True)
def load_record(
    context: Context, filename: Value, schema: Value, skip: Value = NOTHING, count: Value = NOTHING
) -> Table:
    """The rows of a binary file whose columns have fixed lengths; schema: (name, type), with the length of texts."""
    fields = [_field(item) for item in schema.items] if isinstance(schema, AnyVector) else []
    skipped = integer_argument(skip, "skipBytes", 0)
    wanted = -1 if is_omitted(count) else positive_argument(count, "count")
    if not fields or skipped < 0:
        raise CallError("schema must be a tuple of (name, type), and skipBytes must not be negative.")
    name = text_argument(filename, "filename")
    record = np.dtype([(f"f{n}", layout) for n, (_, _, layout) in enumerate(fields)])
    path = readable(context, name)
    try:
        with path.open("rb") as file:
            rows = max(path.stat().st_size - skipped, 0) // record.itemsize
            rows = rows if wanted < 0 else min(rows, wanted)
            check_allocation(rows * record.itemsize, Type.CHAR, context.node)
            file.seek(skipped)
            packed = np.frombuffer(file.read(rows * record.itemsize), dtype=record)
    except OSError as error:
        raise ScriptError(f"Failed to read the file [{name}]: {error.strerror}.") from None
    columns: list[Column] = []
    for n, (_, type_, _) in enumerate(fields):
        if type_ in LITERAL:
            texts = [raw.partition(b"\0")[0].decode("utf-8", "replace") for raw in packed[f"f{n}"].tolist()]
            columns.append(symbol_vector(texts) if type_ is Type.SYMBOL else vector(Type.STRING, texts))
        else:
            column = Vector(type_, np.empty(len(packed), DTYPES[type_]))
            _placed(column, slice(0, len(packed)), packed[f"f{n}"])
            columns.append(column)
    return Table([name for name, _, _ in fields], columns)


def _field(item: Value) -> tuple[str, Type, np.dtype[Any]]:
    """Name, type and layout of a column from `(name, type)` or `(name, type, length)`."""
    parts = [element(item, index) for index in range(len(item))] if isinstance(item, AnyVector | Vector) else []
    if len(parts) not in (2, 3):
        raise CallError("every element of schema must be (name, type), for texts (name, type, length).")
    type_, _scale = type_argument(parts[1])
    if type_ in (Type.STRING, Type.SYMBOL):
        if len(parts) != 3:
            raise CallError("a text in schema needs a length.")
        return text_argument(parts[0], "name"), type_, np.dtype(f"S{positive_argument(parts[2], 'length')}")
    layout = DTYPES[type_] if type_ in DTYPES else np.dtype(object)
    if layout.kind not in "if" or type_ in DECIMAL:
        raise UnsupportedError(f"A column of type {type_.name} in a file of records")
    return text_argument(parts[0], "name"), type_, layout.newbyteorder("<")


@functions.builtin("writeObject", "handle, object")
def write_object(handle: Value, value: Value) -> Nothing:
    """Any object, for `readObject`."""
    data = b"".join(bytes(part) for part in encode(value, Encoding(all_types=True)))
    _written(_target(handle), len(data).to_bytes(_SIZE, "little") + data)
    return NOTHING


@functions.builtin("readObject", "handle")
def read_object(handle: Value) -> Value:
    """The next object that `writeObject` wrote."""
    stream = _source(handle)
    size = int.from_bytes(stream.read(_SIZE), "little")
    data = stream.read(size) if size else b""
    if not data or len(data) != size:
        raise ScriptError(END)
    try:
        return decode(StreamReader.over(data))
    except ProtocolError as error:
        raise ScriptError(f"The file holds no object here: {error}.") from None
