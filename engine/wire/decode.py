"""Objects from bytes."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from engine import coding
from engine.types import DECIMAL, DTYPES, FLOATING, Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Column,
    Dictionary,
    Matrix,
    Scalar,
    Set,
    SymbolBase,
    Table,
    Value,
    Vector,
    based,
    scalar_of,
)
from engine.wire.compression import BLOCK_LIMIT, delta_block, lz4_block
from engine.wire.forms import ARRAY, EXTENDED_SYMBOL, NULL_DOUBLE, NULL_FLOAT, Form, duration_unit
from engine.wire.reader import ProtocolError, StreamReader

_DEPTH = 64
_TEXT_TYPES = (Type.HANDLE, Type.CODE, Type.DATASOURCE, Type.RESOURCE)
_SIXTEEN = (Type.UUID, Type.IPADDR, Type.INT128)


def decode(reader: StreamReader) -> Value:
    """The next object; raises ProtocolError when the bytes are not one."""
    return _Decoder(reader).value()


class _Decoder:
    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.depth = 0
        self.bases: dict[int, SymbolBase] = {}

    def value(self) -> Value:
        self.depth += 1
        if self.depth > _DEPTH:
            raise ProtocolError("objects are nested too deeply")
        code, form = self.reader.read(2)
        out = self._of_form(code, form)
        self.depth -= 1
        return out

    def _of_form(self, code: int, form: int) -> Value:
        if form == Form.SCALAR:
            return self._scalar(_type(code))
        if form in (Form.VECTOR, Form.PAIR):
            return self._vector(code, form == Form.PAIR)
        if form == Form.MATRIX:
            return self._matrix()
        if form == Form.SET:
            return self._set()
        if form == Form.DICTIONARY:
            return self._dictionary()
        if form == Form.TABLE:
            return self._table()
        raise ProtocolError(f"unknown form {form}")

    def _scalar(self, type_: Type) -> Value:
        reader = self.reader
        if type_ is Type.VOID:
            return NOTHING if reader.integer(1) == 2 else NULL
        if type_ is Type.FUNCTIONDEF:
            reader.read(1)
            return Scalar(Type.STRING, reader.string())
        if type_ in _TEXT_TYPES:
            return Scalar(Type.STRING, reader.string())
        if type_ is Type.DURATION:
            amount, code = struct.unpack("<ii", reader.read(8))
            unit = duration_unit(code)
            if unit is None:
                raise ProtocolError(f"unknown unit of a duration: {code}")
            return Scalar(type_, (amount, unit))
        scale = self._scale() if type_ in DECIMAL else 0
        if type_ in (Type.STRING, Type.SYMBOL):
            return Scalar(Type.STRING, reader.string() or None)
        if type_ not in DTYPES:
            raise ProtocolError(f"a scalar of type {type_.name} cannot be read")
        return scalar_of(type_, self._elements(type_, 1)[0], scale)

    def _scale(self) -> int:
        scale = self.reader.integer(4)
        if not 0 <= scale <= 38:
            raise ProtocolError(f"a decimal scale of {scale}")
        return scale

    def _count(self) -> int:
        rows, columns = struct.unpack("<ii", self.reader.read(8))
        if rows < 0 or columns not in (0, 1):
            raise ProtocolError(f"a vector of {rows} rows and {columns} columns")
        return int(rows)

    def _vector(self, code: int, pair: bool = False) -> Column:
        if code == Type.COMPRESS:
            return self._compressed()
        if ARRAY <= code != EXTENDED_SYMBOL:
            return self._array_vector(_type(code - ARRAY))
        rows = self._count()
        if code == EXTENDED_SYMBOL:
            return self._extended_symbols(rows)
        type_ = _type(code)
        if type_ is Type.ANY:
            return AnyVector([self.value() for _ in range(rows)])
        if type_ is Type.VOID:
            self.reader._spend(rows)
            return AnyVector([NULL] * rows)
        scale = self._scale() if type_ in DECIMAL else 0
        return self._typed(type_, rows, scale, pair)

    def _typed(self, type_: Type, rows: int, scale: int = 0, pair: bool = False) -> Vector:
        if type_ is Type.SYMBOL:
            return symbol_vector(self.reader.strings(rows))
        if type_ is Type.STRING and rows >= coding.LONG:
            return text_vector(self.reader.texts(rows), rows)
        return Vector(type_, self._elements(type_, rows), None, scale, pair)

    def _elements(self, type_: Type, rows: int) -> Array:
        reader = self.reader
        if type_ in _SIXTEEN:
            raw = bytes(reader.read(16 * rows))
            return _objects([raw[i : i + 16] for i in range(0, len(raw), 16)])
        if type_ is Type.DECIMAL128:
            data = bytes(reader.read(16 * rows))
            return _objects([int.from_bytes(data[i : i + 16], "little", signed=True) for i in range(0, len(data), 16)])
        if type_ is Type.STRING:
            return _objects(reader.strings(rows))
        if type_ is Type.BLOB:
            return _objects([bytes(reader.read(reader.integer(4))) for _ in range(rows)])
        if type_ not in DTYPES or DTYPES[type_].kind == "O":
            raise ProtocolError(f"a vector of type {type_.name} cannot be read")
        dtype = DTYPES[type_]
        out = np.frombuffer(reader.read(dtype.itemsize * rows), dtype.newbyteorder("<")).astype(dtype, copy=False)
        if type_ in FLOATING:
            sentinel = NULL_FLOAT if type_ is Type.FLOAT else NULL_DOUBLE
            out[out == sentinel] = math.nan
        return out

    def _extended_symbols(self, rows: int) -> Vector:
        identity, size = struct.unpack("<ii", self.reader.read(8))
        if size > 0:
            strings = self.reader.strings(size)
            base = SymbolBase(strings)
            if len(base) != size or strings[0]:
                return self._irregular_symbols(strings, rows)
            self.bases[identity] = base
        elif identity not in self.bases:
            raise ProtocolError(f"unknown symbol base {identity}")
        codes = self._elements(Type.INT, rows)
        base = self.bases[identity]
        if rows and (codes.min() < 0 or codes.max() >= len(base)):
            raise ProtocolError("a symbol code outside its base")
        return Vector(Type.SYMBOL, codes, base)

    def _irregular_symbols(self, strings: list[str], rows: int) -> Vector:
        """A base with repeated strings or without the leading empty one."""
        codes = self._elements(Type.INT, rows)
        if rows and (codes.min() < 0 or codes.max() >= len(strings)):
            raise ProtocolError("a symbol code outside its base")
        return symbol_vector([strings[code] for code in codes.tolist()])

    def _array_vector(self, base: Type) -> ArrayVector:
        rows, cells = struct.unpack("<ii", self.reader.read(8))
        if rows < 0 or cells < 0:
            raise ProtocolError("an array vector of negative size")
        scale = self._scale() if base in DECIMAL else 0
        return self._array_rows(base, rows, cells, scale)

    def _array_rows(self, base: Type, rows: int, cells: int, scale: int) -> ArrayVector:
        sizes: list[Array] = []
        flats: list[Vector] = []
        missing = rows
        while missing:
            count, width, _ = struct.unpack("<HBB", self.reader.read(4))
            if not 0 < count <= missing or width not in (1, 2, 4):
                raise ProtocolError("a broken block of an array vector")
            block = np.frombuffer(self.reader.read(count * width), f"<u{width}").astype(np.int64)
            sizes.append(block)
            flats.append(self._typed(base, int(block.sum()), scale))
            missing -= count
        offsets = np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum()
        if offsets[-1] != cells:
            raise ProtocolError("an array vector whose cells do not match its count")
        flat = np.concatenate([piece.data for piece in flats]) if flats else np.empty(0, DTYPES[base])
        return ArrayVector(Vector(base, flat, None, scale), offsets)

    def _matrix(self) -> Matrix:
        labels = self.reader.integer(1)
        row_labels = self._label() if labels & 1 else None
        column_labels = self._label() if labels & 2 else None
        code, _form = self.reader.read(2)
        type_ = _type(code)
        rows, columns = struct.unpack("<ii", self.reader.read(8))
        if rows < 0 or columns < 0:
            raise ProtocolError("a matrix of negative size")
        scale = self._scale() if type_ in DECIMAL else 0
        data = self._typed(type_, rows * columns, scale)
        if data.symbols is not None:
            data = Vector(Type.STRING, data.strings())
        return Matrix(data.type, data.data.reshape(columns, rows).T, row_labels, column_labels, scale)

    def _label(self) -> Vector:
        label = self.value()
        if not isinstance(label, Vector):
            raise ProtocolError("matrix labels are not a vector")
        return label

    def _set(self) -> Set:
        members = self.value()
        if not isinstance(members, Vector):
            raise ProtocolError("the members of a set are not a vector")
        type_ = Type.STRING if members.type is Type.SYMBOL else members.type
        return Set(type_, dict.fromkeys(raw_items(members)), members.scale)

    def _dictionary(self) -> Dictionary:
        keys, values = self.value(), self.value()
        if not isinstance(values, (Vector, AnyVector, ArrayVector)) or not isinstance(keys, (Vector, AnyVector)):
            raise ProtocolError("the keys or values of a dictionary are not vectors")
        if len(keys) != len(values):
            raise ProtocolError("a dictionary with unequal numbers of keys and values")
        if isinstance(keys, AnyVector):
            raise ProtocolError("a dictionary with keys of several types")
        names = raw_items(keys)
        if isinstance(values, Vector):
            items: list[Value] = [values.scalar(i) for i in range(len(values))]
            return Dictionary(keys.type, values.type, dict(zip(names, items, strict=True)))
        items = [values.row(i) for i in range(len(values))] if isinstance(values, ArrayVector) else values.items
        return Dictionary(keys.type, Type.ANY, dict(zip(names, items, strict=True)))

    def _table(self) -> Table:
        rows, count = struct.unpack("<ii", self.reader.read(8))
        if rows < 0 or count < 0:
            raise ProtocolError("a table of negative size")
        self.reader.string()
        names = self.reader.strings(count)
        outer, self.bases = self.bases, {}
        columns: list[Column] = []
        for name in names:
            code, form = self.reader.read(2)
            if form != Form.VECTOR:
                raise ProtocolError(f"column {name} is not a vector")
            column = self._vector(code)
            if len(column) != rows:
                raise ProtocolError(f"column {name} has {len(column)} rows instead of {rows}")
            columns.append(column)
        self.bases = outer
        return Table(names, columns)

    def _compressed(self) -> Column:
        header = self.reader.read(28)
        size, _columns, _version, _flag, _charset, method, code, unit = struct.unpack("<iibbbbBb", header[:14])
        scale, extra, count, _checksum = struct.unpack("<hiii", header[14:])
        if count < 0:
            raise ProtocolError("a compressed vector of negative size")
        remaining = size - 20
        pieces = []
        while remaining > 0:
            length = self.reader.integer(4) & 0x7FFFFFFF
            if length > 8 * BLOCK_LIMIT:
                raise ProtocolError(f"a compressed block of {length} bytes")
            block = bytes(self.reader.read(length))
            remaining -= 4 + length
            if self.reader.budget is not None and self.reader.budget < BLOCK_LIMIT:
                raise ProtocolError("the request is larger than this server accepts")
            pieces.append(lz4_block(block) if method == 1 else delta_block(block, unit).tobytes())
            self.reader._spend(len(pieces[-1]))
        expanded = _Decoder(StreamReader.over(b"".join(pieces)))
        if ARRAY <= code != EXTENDED_SYMBOL:
            base = _type(code - ARRAY)
            return expanded._array_rows(base, count, extra, scale if base in DECIMAL else 0)
        type_ = _type(code)
        return expanded._typed(type_, count, extra if type_ in DECIMAL else 0)


def text_vector(data: bytes, rows: int) -> Vector:
    """A STRING vector of texts in UTF-8 with a NUL between them, held as codes where they recur."""
    found = coding.split(data, rows)
    if found is not None:
        return based(*found)
    return Vector(Type.STRING, _objects(data.decode("utf-8", "replace").split("\0")))


def symbol_vector(strings: list[str]) -> Vector:
    """A SYMBOL vector of texts."""
    base = SymbolBase()
    codes = base._codes
    for text in dict.fromkeys(strings):
        base.code(text)
    return Vector(Type.SYMBOL, np.fromiter(map(codes.__getitem__, strings), np.int32, len(strings)), base)


def raw_items(vector: Vector) -> list[Any]:
    """The elements as Python values, None for NULL (the form of keys and members)."""
    if vector.type in (Type.SYMBOL, Type.STRING):
        return [text or None for text in vector.strings().tolist()]
    if vector.type is Type.BOOL:
        return [None if item == -128 else bool(item) for item in vector.data.tolist()]
    missing = vector.nulls()
    items = vector.data.tolist()
    return [None if gone else item for item, gone in zip(items, missing.tolist(), strict=True)]


def _type(code: int) -> Type:
    try:
        return Type(code)
    except ValueError:
        raise ProtocolError(f"unknown type {code}") from None


def _objects(items: list[Any]) -> Array:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out
