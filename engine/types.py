"""DolphinDB's data types: codes, categories, storage and null values."""

from __future__ import annotations

from enum import Enum, IntEnum
from functools import cache
from typing import Any

import numpy as np


class Type(IntEnum):
    """Type codes as on the wire (see `typestr` for names)."""

    VOID = 0
    BOOL = 1
    CHAR = 2
    SHORT = 3
    INT = 4
    LONG = 5
    DATE = 6
    MONTH = 7
    TIME = 8
    MINUTE = 9
    SECOND = 10
    DATETIME = 11
    TIMESTAMP = 12
    NANOTIME = 13
    NANOTIMESTAMP = 14
    FLOAT = 15
    DOUBLE = 16
    SYMBOL = 17
    STRING = 18
    UUID = 19
    FUNCTIONDEF = 20
    HANDLE = 21
    CODE = 22
    DATASOURCE = 23
    RESOURCE = 24
    ANY = 25
    COMPRESS = 26
    DICTIONARY = 27
    DATEHOUR = 28
    IPADDR = 30
    INT128 = 31
    BLOB = 32
    COMPLEX = 34
    POINT = 35
    DURATION = 36
    DECIMAL32 = 37
    DECIMAL64 = 38
    DECIMAL128 = 39


class Category(Enum):
    NOTHING = "NOTHING"
    LOGICAL = "LOGICAL"
    INTEGRAL = "INTEGRAL"
    FLOATING = "FLOATING"
    TEMPORAL = "TEMPORAL"
    LITERAL = "LITERAL"
    DENARY = "DENARY"
    BINARY = "BINARY"
    SYSTEM = "SYSTEM"
    MIXED = "MIXED"


INTEGRAL = (Type.CHAR, Type.SHORT, Type.INT, Type.LONG)
FLOATING = (Type.FLOAT, Type.DOUBLE)
DECIMAL = (Type.DECIMAL32, Type.DECIMAL64, Type.DECIMAL128)
LITERAL = (Type.STRING, Type.SYMBOL, Type.BLOB)
BINARY = (Type.UUID, Type.IPADDR, Type.INT128, Type.COMPLEX, Type.POINT)
TEMPORAL = (
    Type.DATE, Type.MONTH, Type.TIME, Type.MINUTE, Type.SECOND, Type.DATETIME, Type.TIMESTAMP, Type.NANOTIME,
    Type.NANOTIMESTAMP, Type.DATEHOUR,
)  # fmt: skip
NUMERIC = (Type.BOOL, *INTEGRAL, *FLOATING)

_CATEGORIES = {
    Type.VOID: Category.NOTHING,
    Type.BOOL: Category.LOGICAL,
    Type.ANY: Category.MIXED,
    **dict.fromkeys(INTEGRAL, Category.INTEGRAL),
    **dict.fromkeys(FLOATING, Category.FLOATING),
    **dict.fromkeys(TEMPORAL, Category.TEMPORAL),
    **dict.fromkeys(LITERAL, Category.LITERAL),
    **dict.fromkeys(DECIMAL, Category.DENARY),
    **dict.fromkeys(BINARY, Category.BINARY),
}

# Storage in memory. Nulls: the smallest integer; NaN for floating point (the wire has its own
# sentinel); "" for STRING and code 0 for SYMBOL; b"" for BLOB; sixteen zero bytes for UUID, IPADDR, INT128.
DTYPES: dict[Type, np.dtype[Any]] = {
    Type.VOID: np.dtype(np.int8),
    Type.BOOL: np.dtype(np.int8),
    Type.CHAR: np.dtype(np.int8),
    Type.SHORT: np.dtype(np.int16),
    Type.INT: np.dtype(np.int32),
    Type.LONG: np.dtype(np.int64),
    Type.DATE: np.dtype(np.int32),
    Type.MONTH: np.dtype(np.int32),
    Type.TIME: np.dtype(np.int32),
    Type.MINUTE: np.dtype(np.int32),
    Type.SECOND: np.dtype(np.int32),
    Type.DATETIME: np.dtype(np.int32),
    Type.DATEHOUR: np.dtype(np.int32),
    Type.TIMESTAMP: np.dtype(np.int64),
    Type.NANOTIME: np.dtype(np.int64),
    Type.NANOTIMESTAMP: np.dtype(np.int64),
    Type.FLOAT: np.dtype(np.float32),
    Type.DOUBLE: np.dtype(np.float64),
    Type.SYMBOL: np.dtype(np.int32),
    Type.STRING: np.dtype(object),
    Type.BLOB: np.dtype(object),
    Type.UUID: np.dtype(object),
    Type.IPADDR: np.dtype(object),
    Type.INT128: np.dtype(object),
    Type.COMPLEX: np.dtype(np.complex128),
    Type.POINT: np.dtype(np.complex128),
    Type.DURATION: np.dtype(object),
    Type.DECIMAL32: np.dtype(np.int32),
    Type.DECIMAL64: np.dtype(np.int64),
    Type.DECIMAL128: np.dtype(object),
}

ZERO16 = bytes(16)
DECIMAL128_NULL = -(2**127)


def category(type_: Type) -> Category:
    return _CATEGORIES.get(type_, Category.SYSTEM)


@cache
def null(type_: Type) -> Any:
    """The value that stands for NULL in a vector of this type."""
    dtype = DTYPES[type_]
    if dtype.kind == "i":
        return 0 if type_ is Type.SYMBOL else int(np.iinfo(dtype).min)
    if dtype.kind == "f":
        return np.nan
    if dtype.kind == "c":
        return complex(np.nan, np.nan)
    if type_ is Type.STRING:
        return ""
    if type_ is Type.BLOB:
        return b""
    if type_ is Type.DECIMAL128:
        return DECIMAL128_NULL
    if type_ is Type.DURATION:
        return None
    return ZERO16


def type_named(name: str) -> Type:
    """The type of a name as written in scripts (`INT`, `symbol`); raises KeyError."""
    return Type[name.upper()]
