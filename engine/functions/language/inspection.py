"""What an object is: type, form, size, nulls."""

from __future__ import annotations

import numpy as np

from engine.context import Context
from engine.errors import ScriptError
from engine.forms import as_vector
from engine.forms import size as size_of
from engine.functions.registry import Builtin, Registry
from engine.lifting import elementwise
from engine.operators.building import type_argument
from engine.types import LITERAL, Category, Type, category
from engine.values import (
    NOTHING,
    AnyVector,
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
    Table,
    Value,
    Vector,
    boolean,
    integer,
    string,
    vector,
)

functions = Registry()

FORMS = {"SCALAR": 0, "VECTOR": 1, "PAIR": 2, "MATRIX": 3, "SET": 4, "DICT": 5, "TABLE": 6, "CHART": 7, "CHUNK": 8}


def form_code(value: Value) -> int:
    if isinstance(value, Vector):
        return 2 if value.is_pair else 1
    if isinstance(value, AnyVector | ArrayVector):
        return 1
    if isinstance(value, Matrix | IndexedSeries):
        return 3
    if isinstance(value, Set):
        return 4
    if isinstance(value, Dictionary):
        return 5
    if isinstance(value, Table) or (isinstance(value, Handle) and "table" in value.kind.lower()):
        return 6
    return 0


def type_code(value: Value) -> int:
    if isinstance(value, Scalar | Vector | Set | Matrix):
        return int(value.type)
    if isinstance(value, ArrayVector):
        return 64 + int(value.type)
    if isinstance(value, AnyVector):
        return int(Type.ANY)
    if isinstance(value, IndexedSeries):
        return int(value.values.type)
    if isinstance(value, Dictionary):
        return int(value.value_type)
    if isinstance(value, Builtin | Closure | Partial | Pattern):
        return int(Type.FUNCTIONDEF)
    if isinstance(value, Code):
        return int(Type.CODE)
    if isinstance(value, Table):
        return int(Type.DICTIONARY)
    if isinstance(value, Handle):
        return int(Type.DATASOURCE if "source" in value.kind.lower() else Type.HANDLE)
    return int(Type.VOID)


@functions.builtin("type", "X")
def type_(value: Value) -> Value:
    return integer(type_code(value))


@functions.builtin("form", "X")
def form(value: Value) -> Value:
    return integer(form_code(value))


@functions.builtin("category", "X")
def category_(value: Value) -> Value:
    code = type_code(value)
    order = [
        Category.NOTHING, Category.LOGICAL, Category.INTEGRAL, Category.FLOATING, Category.TEMPORAL, Category.LITERAL,
        Category.SYSTEM, Category.MIXED, Category.BINARY, Category.DENARY,
    ]  # fmt: skip
    return integer(order.index(category(Type(code - 64 if code >= 64 else code))))


@functions.builtin("typestr", "X")
def typestr(value: Value) -> Value:
    """The type in words: INT, FAST DOUBLE VECTOR, STRING VECTOR, IN-MEMORY TABLE …"""
    return string(type_text(value))


def type_text(value: Value) -> str:
    if isinstance(value, Scalar):
        return value.type.name
    if isinstance(value, Vector):
        if value.is_pair:
            return f"{value.type.name} PAIR"
        return (
            f"{value.type.name} VECTOR" if value.type in (Type.STRING, Type.BLOB) else f"FAST {value.type.name} VECTOR"
        )
    if isinstance(value, AnyVector):
        return "ANY VECTOR"
    if isinstance(value, ArrayVector):
        return f"FAST {value.type.name}[] VECTOR"
    if isinstance(value, Matrix):
        prefix = "INDEXED " if value.indexed else "FAST "
        return f"{prefix}{value.type.name} MATRIX"
    if isinstance(value, IndexedSeries):
        return f"INDEXED {value.values.type.name} SERIES"
    if isinstance(value, Set):
        return f"{value.type.name} SET"
    if isinstance(value, Dictionary):
        names = f"{value.key_type.name}->{value.value_type.name}"
        return f"{names} {'ORDERED ' if value.ordered else ''}DICTIONARY"
    if isinstance(value, Table):
        return _table_text(value)
    if isinstance(value, Code):
        return "CODE"
    if isinstance(value, Builtin):
        return "SYSTEM FUNCTION"
    if isinstance(value, Closure | Partial | Pattern):
        return "FUNCTION"
    if isinstance(value, Handle):
        return value.kind.upper()
    return "VOID"


def _table_text(table: Table) -> str:
    if table.kind not in ("TABLE", "BASIC"):
        name = {"KEYED": "KEYED TABLE", "INDEXED": "INDEXED TABLE"}.get(table.kind, table.kind)
        name = name if "TABLE" in name else f"{name} TABLE"
        return f"IN-MEMORY {name}" if name in ("KEYED TABLE", "INDEXED TABLE") else name
    return "IN-MEMORY KEYED TABLE" if table.keys else "IN-MEMORY TABLE"


@functions.builtin("size", "X")
def size(value: Value) -> Value:
    return integer(size_of(value))


@functions.builtin("rows", "X")
def rows(value: Value) -> Value:
    return integer(value.rows if isinstance(value, Matrix) else size_of(value))


@functions.builtin("cols", "X", aliases=("columns",))
def cols(value: Value) -> Value:
    return integer(column_count(value))


def column_count(value: Value) -> int:
    if isinstance(value, Matrix):
        return value.columns
    if isinstance(value, Table):
        return len(value.columns)
    if isinstance(value, Handle):
        return len(getattr(value.target, "names", "x"))
    return 1


@functions.builtin("shape", "X")
def shape(value: Value) -> Value:
    first, second = rows(value), cols(value)
    assert isinstance(first, Scalar)
    assert isinstance(second, Scalar)
    out = vector(Type.INT, [first.value, second.value])
    out.is_pair = True
    return out


def _null_mask(value: Value) -> Value:
    if isinstance(value, Scalar):
        return boolean(value.is_null)
    if isinstance(value, Nothing):
        return boolean(True)
    if isinstance(value, AnyVector):
        return vector(Type.BOOL, [isinstance(item, Scalar) and item.is_null for item in value.items])
    return elementwise(lambda column: Vector(Type.BOOL, column.nulls().astype(np.int8)), [value])


@functions.builtin("isNull", "X")
def is_null(value: Value) -> Value:
    return _null_mask(value)


@functions.builtin("isValid", "X")
def is_valid(value: Value) -> Value:
    mask = _null_mask(value)
    return elementwise(lambda column: Vector(Type.BOOL, (column.data == 0).astype(np.int8)), [mask])


@functions.builtin("isNothing", "[X]")
def is_nothing(value: Value = NOTHING) -> Value:
    return boolean(isinstance(value, Nothing))


@functions.builtin("isVoid", "[X]")
def is_void(value: Value = NOTHING) -> Value:
    return boolean(isinstance(value, Nothing) or (isinstance(value, Scalar) and value.type is Type.VOID))


@functions.builtin("isScalar", "X")
def is_scalar(value: Value) -> Value:
    return boolean(form_code(value) == 0)


@functions.builtin("isVector", "X")
def is_vector(value: Value) -> Value:
    return boolean(form_code(value) == 1)


@functions.builtin("isPair", "X")
def is_pair(value: Value) -> Value:
    return boolean(form_code(value) == 2)


@functions.builtin("isMatrix", "X")
def is_matrix(value: Value) -> Value:
    return boolean(isinstance(value, Matrix))


@functions.builtin("isDict", "X")
def is_dict(value: Value) -> Value:
    return boolean(isinstance(value, Dictionary))


@functions.builtin("isSet", "X")
def is_set(value: Value) -> Value:
    return boolean(isinstance(value, Set))


@functions.builtin("isTable", "X")
def is_table(value: Value) -> Value:
    return boolean(form_code(value) == 6)


@functions.builtin("isIndexedMatrix", "X")
def is_indexed_matrix(value: Value) -> Value:
    return boolean(isinstance(value, Matrix) and value.indexed)


@functions.builtin("isIndexedSeries", "X")
def is_indexed_series(value: Value) -> Value:
    one_column = isinstance(value, Matrix) and value.indexed and value.columns == 1 and value.column_labels is None
    return boolean(one_column or isinstance(value, IndexedSeries))


@functions.builtin("defined", "names, [type=VAR]", context=True)
def defined(context: Context, names: Value, kind: Value = NOTHING) -> Value:
    """Which names stand for a variable (VAR), a shared variable (SHARED) or a function (DEF)."""
    where = str(kind.value) if isinstance(kind, Scalar) and kind.value else "VAR"

    def known(name: str) -> bool:
        if where == "DEF":
            return context.session.functions.get(name) is not None or context.registry.find(name) is not None
        if where == "SHARED":
            return name in context.node.shared
        local = getattr(context, "scope", None)
        if local is not None and local.lookup(name) is not None:
            return True
        return name in context.session.variables or name in context.session.functions

    if isinstance(names, Scalar):
        if names.type not in LITERAL:
            raise ScriptError("Usage: defined(names, [type=VAR]). names must be strings.")
        return boolean(known(str(names.value or "")))
    return vector(Type.BOOL, [known(name) for name in as_vector(names).strings()])


@functions.builtin("typeName", "type")
def type_name(code: Value) -> Value:
    return string(type_argument(code)[0].name)


@functions.builtin("memSize", "X")
def memory_size(value: Value) -> Value:
    """Bytes of the data of an object."""
    return Scalar(Type.LONG, _bytes_of(value))


def _bytes_of(value: Value) -> int:
    if isinstance(value, Vector | Matrix):
        return int(value.data.nbytes)
    if isinstance(value, ArrayVector):
        return int(value.flat.data.nbytes + value.offsets.nbytes)
    if isinstance(value, Table):
        return sum(_bytes_of(column) for column in value.columns)
    if isinstance(value, AnyVector):
        return sum(_bytes_of(item) for item in value.items)
    if isinstance(value, Dictionary):
        return sum(_bytes_of(item) + 16 for item in value.items.values())
    return 16


__all__ = ["form_code", "functions", "type_code", "type_text"]
