"""Objects to bytes, in the forms that clients can take."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.errors import ScriptError
from engine.forms import scalar_from
from engine.functions.registry import Builtin
from engine.texts import raw_text
from engine.types import DECIMAL, DECIMAL128_NULL, DTYPES, FLOATING, INTEGRAL, TEMPORAL, ZERO16, Type, null
from engine.values import (
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Closure,
    Code,
    Dictionary,
    Handle,
    IndexedSeries,
    Matrix,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Set,
    SymbolBase,
    Table,
    Value,
    Vector,
    nulls,
)
from engine.values import vector as vector_of
from engine.wire.forms import ARRAY, EXTENDED_SYMBOL, NULL_DOUBLE, NULL_FLOAT, Form, duration_code

Buffer: TypeAlias = "bytes | bytearray | memoryview"

_TEXT_CHUNK = 1 << 17
_ROWS_PER_BLOCK = 65535
_SIXTEEN = (Type.UUID, Type.IPADDR, Type.INT128)
_MATRIX_TYPES = (Type.BOOL, *INTEGRAL, *FLOATING, *TEMPORAL)
_KEY_TYPES = (Type.STRING, Type.SYMBOL, *INTEGRAL)


@dataclass(frozen=True)
class Encoding:
    """What the client at the other end understands.

    `all_types`: DURATION, COMPLEX, POINT and STRING matrices (the JavaScript client); otherwise they go as text or are
    refused. `decimals` off turns DECIMAL into DOUBLE. More than `max_bytes` in all is a ScriptError.
    """

    all_types: bool = False
    decimals: bool = True
    max_bytes: int | None = None


def encode(value: Value, encoding: Encoding | None = None) -> list[Buffer]:
    """The bytes of an object as a list of buffers, some of them views of the object's own data."""
    writer = _Encoder(encoding or Encoding())
    writer.value(value, nested=False)
    return writer.buffers


def encode_blocks(table: Table, rows: int, encoding: Encoding | None = None) -> list[Buffer]:
    """A table as an ANY vector of tables of at most `rows` rows each, as clients with a fetch size want it."""
    writer = _Encoder(encoding or Encoding())
    starts = range(0, table.rows, rows)
    writer.head(Type.ANY, Form.VECTOR)
    writer.add(struct.pack("<ii", len(starts) or 1, 1))
    for start in starts or [0]:
        writer.table(table.take(slice(start, start + rows)))
    return writer.buffers


class _Encoder:
    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.buffers: list[Buffer] = []
        self.size = 0

    def add(self, data: Buffer) -> None:
        limit = self.encoding.max_bytes
        self.size += len(data)
        if limit is not None and self.size > limit:
            raise ScriptError(
                f"The result is larger than {limit:,} bytes (maxResultBytes). "
                "Select fewer rows or columns, aggregate, or read it in parts with limit."
            )
        self.buffers.append(data)

    def head(self, code: int, form: int) -> None:
        self.add(bytes((code, form)))

    def value(self, value: Value, nested: bool = True) -> None:
        if isinstance(value, Scalar):
            self.scalar(value)
        elif isinstance(value, Nothing):
            self.add(b"\0\0\0")
        elif isinstance(value, Vector):
            self.vector(value, {} if not nested else None)
        elif isinstance(value, AnyVector):
            self.tuple(value)
        elif isinstance(value, ArrayVector):
            self.array_vector(value)
        elif isinstance(value, Table):
            self.table(value)
        elif isinstance(value, Dictionary):
            self.dictionary(value)
        elif isinstance(value, Matrix):
            self.matrix(value)
        elif isinstance(value, Set):
            self.set(value)
        elif isinstance(value, IndexedSeries):
            series = value.values
            self.matrix(Matrix(series.type, series.data.reshape(-1, 1), value.index, None, series.scale))
        elif isinstance(value, (Builtin, Closure, Partial, Pattern)):
            self.head(Type.FUNCTIONDEF, Form.SCALAR)
            self.add(b"\0" if isinstance(value, Builtin) else b"\1")
            self.text(_shown(value))
        elif isinstance(value, Code):
            self.head(Type.CODE, Form.SCALAR)
            self.text(_shown(value))
        elif isinstance(value, Handle):
            self.head(Type.DATASOURCE if "source" in value.kind.lower() else Type.RESOURCE, Form.SCALAR)
            self.text(value.text)
        else:
            raise ScriptError(f"A {type(value).__name__} cannot be sent to a client.")

    def text(self, text: str) -> None:
        self.add(_line(text) + b"\0")

    def scalar(self, scalar: Scalar) -> None:
        type_, raw = scalar.type, scalar.value
        if type_ is Type.VOID:
            self.add(b"\0\0\1")
        elif type_ in (Type.STRING, Type.SYMBOL):
            self.head(type_, Form.SCALAR)
            self.text(raw or "")
        elif type_ in (Type.FUNCTIONDEF, Type.CODE, Type.HANDLE, Type.RESOURCE, Type.DATASOURCE, Type.ANY):
            raise ScriptError(f"A scalar of type {type_.name} cannot be sent to a client.")
        elif type_ in (Type.DURATION, Type.COMPLEX, Type.POINT) and not self.encoding.all_types:
            self.head(Type.STRING, Form.SCALAR)
            self.text(_shown(scalar))
        elif type_ in DECIMAL and not self.encoding.decimals:
            self.scalar(Scalar(Type.DOUBLE, None if raw is None else raw / 10**scalar.scale))
        else:
            self.head(type_, Form.SCALAR)
            if type_ in DECIMAL:
                self.add(struct.pack("<i", scalar.scale))
            one = np.empty(1, dtype=DTYPES[type_])
            one[0] = null(type_) if raw is None else raw
            self.elements(type_, one)

    def vector(self, vector: Vector, bases: dict[int, int] | None = None) -> None:
        """`bases` numbers the symbol bases of the enclosing table; None sends symbols as plain strings."""
        vector = self._acceptable(vector)
        type_, rows = vector.type, len(vector)
        if type_ is Type.VOID:
            self.tuple(AnyVector([NULL] * rows))
            return
        form = Form.PAIR if vector.is_pair else Form.VECTOR
        size = struct.pack("<ii", rows, 1)
        if type_ is Type.SYMBOL:
            assert vector.symbols is not None
            if bases is not None and form is Form.VECTOR and 2 * rows >= len(vector.symbols):
                self.head(EXTENDED_SYMBOL, Form.VECTOR)
                self.add(size)
                self.extended_symbols(vector.data, vector.symbols, bases)
                return
        self.head(type_, form)
        self.add(size)
        if type_ in DECIMAL:
            self.add(struct.pack("<i", vector.scale))
        if type_ in (Type.STRING, Type.SYMBOL):
            self.texts(vector)
        else:
            self.elements(type_, vector.data)

    def _acceptable(self, vector: Vector) -> Vector:
        type_ = vector.type
        if type_ in DECIMAL and not self.encoding.decimals:
            data = np.array([np.nan if raw == null(type_) else raw / 10**vector.scale for raw in vector.data.tolist()])
            return Vector(Type.DOUBLE, data.astype(np.float64), is_pair=vector.is_pair)
        if type_ in (Type.DURATION, Type.COMPLEX, Type.POINT) and not (
            self.encoding.all_types and type_ is not Type.DURATION
        ):
            items = [vector.scalar(index) for index in range(len(vector))]
            out = vector_of(Type.STRING, [_shown(item) for item in items])
            out.is_pair = vector.is_pair
            return out
        return vector

    def extended_symbols(self, codes: Array, base: SymbolBase, bases: dict[int, int]) -> None:
        known = bases.get(id(base))
        if known is not None:
            self.add(struct.pack("<ii", known, 0))
        else:
            bases[id(base)] = len(bases)
            strings = base.strings[:]
            self.add(struct.pack("<ii", bases[id(base)], len(strings)))
            self.strings(strings)
        self.elements(Type.INT, codes)

    def elements(self, type_: Type, data: Array) -> None:
        if type_ in (Type.STRING, Type.SYMBOL):
            for start in range(0, len(data), _TEXT_CHUNK):
                self.strings(data[start : start + _TEXT_CHUNK].tolist())
        elif type_ is Type.BLOB:
            self.add(b"".join(struct.pack("<i", len(blob)) + blob for blob in map(_blob, data.tolist())))
        elif type_ in _SIXTEEN:
            self.add(b"".join(item or ZERO16 for item in data.tolist()))
        elif type_ is Type.DECIMAL128:
            numbers = (DECIMAL128_NULL if item is None else int(item) for item in data.tolist())
            self.add(b"".join(number.to_bytes(16, "little", signed=True) for number in numbers))
        elif type_ is Type.DURATION:
            pairs = ((-(2**31), 0) if item is None else (item[0], duration_code(item[1])) for item in data)
            self.add(b"".join(struct.pack("<ii", *pair) for pair in pairs))
        elif type_ in (Type.COMPLEX, Type.POINT):
            self.elements(Type.DOUBLE, np.ascontiguousarray(data).view(np.float64))
        else:
            dtype = DTYPES[type_].newbyteorder("<")
            if type_ in FLOATING:
                missing = np.isnan(data)
                if missing.any():
                    data = np.where(missing, dtype.type(NULL_FLOAT if type_ is Type.FLOAT else NULL_DOUBLE), data)
            self.raw(np.ascontiguousarray(data, dtype=dtype))

    def raw(self, data: Array) -> None:
        if data.nbytes:
            self.add(data.data.cast("B"))

    def texts(self, column: Vector) -> None:
        """The elements of a STRING or SYMBOL vector."""
        coded = column.held_codes() if column.symbols is None else column
        if coded is None or coded.symbols is None or len(coded.symbols) > len(coded):
            self.elements(Type.STRING, column.strings())
            return
        texts = coded.symbols.array()
        for start in range(0, len(coded), _TEXT_CHUNK):
            self.strings(texts[coded.data[start : start + _TEXT_CHUNK]].tolist())

    def strings(self, strings: Sequence[str]) -> None:
        if not strings:
            return
        joined = "\0".join(strings)
        if joined.count("\0") != len(strings) - 1:
            joined = "\0".join(text.partition("\0")[0] for text in strings)
        self.add(joined.encode("utf-8", "replace") + b"\0")

    def tuple(self, items: AnyVector) -> None:
        self.head(Type.ANY, Form.VECTOR)
        self.add(struct.pack("<ii", len(items), 1))
        for item in items.items:
            self.value(item)

    def array_vector(self, array: ArrayVector) -> None:
        flat = self._acceptable(array.flat)
        type_, rows = flat.type, len(array)
        if type_ in (Type.STRING, Type.SYMBOL, Type.BLOB, Type.VOID, Type.COMPLEX, Type.POINT):
            self.tuple(AnyVector([array.row(index) for index in range(rows)]))
            return
        offsets = array.offsets
        first, last = int(offsets[0]), int(offsets[-1])
        self.head(type_ + ARRAY, Form.VECTOR)
        self.add(struct.pack("<ii", rows, last - first))
        if type_ in DECIMAL:
            self.add(struct.pack("<i", flat.scale))
        sizes = np.diff(offsets)
        for start in range(0, rows, _ROWS_PER_BLOCK):
            counts = sizes[start : start + _ROWS_PER_BLOCK]
            longest = int(counts.max())
            width = 1 if longest < 1 << 8 else 2 if longest < 1 << 16 else 4
            self.add(struct.pack("<HBB", len(counts), width, 0))
            self.raw(counts.astype(f"<u{width}"))
            self.elements(type_, flat.data[int(offsets[start]) : int(offsets[start + len(counts)])])

    def table(self, table: Table) -> None:
        if not table.columns:
            raise ScriptError("A table without columns cannot be sent to a client.")
        with table.lock:
            shown = table.take(slice(None)) if table.shared_as is None else _snapshot(table)
        self.head(0, Form.TABLE)
        self.add(struct.pack("<ii", shown.rows, len(shown.columns)) + b"\0")
        self.strings(shown.names)
        bases: dict[int, int] = {}
        for column in shown.columns:
            if isinstance(column, Vector):
                self.vector(column, bases)
            elif isinstance(column, ArrayVector):
                self.array_vector(column)
            else:
                self.tuple(column)

    def dictionary(self, dictionary: Dictionary) -> None:
        key_type, value_type = dictionary.key_type, dictionary.value_type
        keys = vector_of(key_type, list(dictionary.items)) if key_type in DTYPES and key_type is not Type.VOID else None
        if keys is None:
            keys = vector_of(Type.STRING, [_key_text(key) for key in dictionary.items])
        keys.scale = 0
        if key_type not in _KEY_TYPES and not self.encoding.all_types:
            keys = vector_of(Type.STRING, [_shown(keys.scalar(index)) for index in range(len(keys))])
        items = list(dictionary.items.values())
        values: Vector | AnyVector = AnyVector(items)
        if value_type not in (Type.ANY, Type.VOID) and all(isinstance(item, Scalar) for item in items):
            scalars = [item for item in items if isinstance(item, Scalar)]
            scale = max((item.scale for item in scalars), default=0)
            if all(item.type is value_type or item.value is None or Type.SYMBOL is value_type for item in scalars):
                values = self._acceptable(vector_of(value_type, [item.value for item in scalars], scale))
        self.head(values.type if isinstance(values, Vector) else Type.ANY, Form.DICTIONARY)
        self.vector(keys)
        self.value(values)

    def set(self, members: Set) -> None:
        type_ = members.type
        items = list(members.members)
        if type_ is Type.VOID or type_ is Type.ANY:
            self.tuple(AnyVector([NULL] * len(items)))
            return
        if type_ is Type.BOOL:
            type_, items = Type.CHAR, [None if item is None else int(item) for item in items]
        vector = self._acceptable(vector_of(type_, items, members.scale))
        self.head(vector.type, Form.SET)
        self.vector(vector)

    def matrix(self, matrix: Matrix) -> None:
        type_, data = matrix.type, matrix.data
        if type_ in DECIMAL and not self.encoding.decimals:
            flat = self._acceptable(Vector(type_, data.reshape(-1), None, matrix.scale))
            type_, data = Type.DOUBLE, flat.data.reshape(data.shape)
        if type_ is Type.VOID:
            type_ = Type.INT
            data = nulls(type_, data.size).data.reshape(data.shape)
        if type_ not in _MATRIX_TYPES and not (self.encoding.all_types and type_ is not Type.SYMBOL):
            raise ScriptError(
                f"A matrix of type {type_.name} cannot be sent to this client. Return a table instead, "
                "for example with select rather than exec, or table(m)."
            )
        self.head(type_, Form.MATRIX)
        labels = [label for label in (matrix.row_labels, matrix.column_labels) if label is not None]
        self.add(bytes([(matrix.row_labels is not None) + 2 * (matrix.column_labels is not None)]))
        for label in labels:
            self.vector(label)
        self.head(type_, Form.MATRIX)
        self.add(struct.pack("<ii", *data.shape))
        if type_ in DECIMAL:
            self.add(struct.pack("<i", matrix.scale))
        self.elements(type_, data.T.reshape(-1))


def _snapshot(table: Table) -> Table:
    return table.take(np.arange(table.rows))


def _blob(item: bytes | None) -> bytes:
    return item or b""


def _line(text: str) -> bytes:
    return text.partition("\0")[0].encode("utf-8", "replace")


def _key_text(key: Any) -> str:
    return _shown(key if isinstance(key, Scalar) else scalar_from(key))


def _shown(value: Value) -> str:
    if isinstance(value, Scalar):
        return "" if value.value is None else raw_text(value.type, value.value, value.scale)
    from engine.console import console_text

    return console_text(value)
