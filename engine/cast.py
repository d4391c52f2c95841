"""Conversion between data types."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import coding
from engine.errors import ScriptError
from engine.parsing import PARSERS, parse_decimal
from engine.texts import element_texts
from engine.types import DECIMAL, DTYPES, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type, null
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    SymbolBase,
    Table,
    Value,
    Vector,
    nulls,
    repeat,
    vector,
)

DAY = 86400 * 10**9

# Nanoseconds per unit: points in time (since 1970) and times of day (since midnight).
INSTANTS = {
    Type.DATE: DAY, Type.DATEHOUR: 3600 * 10**9, Type.DATETIME: 10**9, Type.TIMESTAMP: 10**6, Type.NANOTIMESTAMP: 1,
}  # fmt: skip
CLOCKS = {Type.MINUTE: 60 * 10**9, Type.SECOND: 10**9, Type.TIME: 10**6, Type.NANOTIME: 1}

_NUMERIC_ORDER = {
    type_: rank
    for rank, type_ in enumerate((Type.BOOL, Type.CHAR, Type.SHORT, Type.INT, Type.LONG, Type.FLOAT, Type.DOUBLE))
}
_DECIMAL_LIMITS = {Type.DECIMAL32: 2**31, Type.DECIMAL64: 2**63, Type.DECIMAL128: 2**127}


def common_type(*types: Type) -> Type:
    """The type that holds values of all `types`; ANY if there is none. VOID goes with everything."""
    result = Type.VOID
    for type_ in types:
        if type_ is not result and type_ is not Type.VOID:
            result = type_ if result is Type.VOID else _common(result, type_)
    return result


def _common(left: Type, right: Type) -> Type:
    if left in _NUMERIC_ORDER and right in _NUMERIC_ORDER:
        return left if _NUMERIC_ORDER[left] > _NUMERIC_ORDER[right] else right
    if left in LITERAL and right in LITERAL:
        return Type.BLOB if Type.BLOB in (left, right) else Type.STRING
    if left in DECIMAL and right in DECIMAL:
        return max(left, right)
    for one, other in ((left, right), (right, left)):
        if one in DECIMAL and other in _NUMERIC_ORDER:
            return Type.DOUBLE if other in FLOATING else one
        if one in INSTANTS and other in INSTANTS:
            return one if INSTANTS[one] < INSTANTS[other] else other
        if one in CLOCKS and other in CLOCKS:
            return one if CLOCKS[one] < CLOCKS[other] else other
        if one is Type.MONTH and other in INSTANTS:
            return other
    return Type.ANY


def cast(value: Value, type_: Type, scale: int = 0) -> Value:
    """The value with its data converted to `type_`, in the same form."""
    if isinstance(value, Scalar):
        if value.type is type_ and value.scale == scale:
            return value
        if type_ is Type.SYMBOL:
            return cast(value, Type.STRING)
        return cast_vector(repeat(value, 1), type_, scale).scalar(0)
    if isinstance(value, Vector):
        converted = cast_vector(value, type_, scale)
        if value.is_pair and not converted.is_pair:
            converted = converted.copy()
            converted.is_pair = True
        return converted
    if isinstance(value, Matrix):
        flat = cast_vector(Vector(value.type, value.data.ravel(order="F"), None, value.scale), type_, scale)
        if flat.type is Type.SYMBOL:
            flat = cast_vector(flat, Type.STRING)
        data = flat.data.reshape(value.data.shape, order="F")
        return Matrix(flat.type, data, value.row_labels, value.column_labels, scale, value.indexed)
    if isinstance(value, ArrayVector):
        return ArrayVector(cast_vector(value.flat, type_, scale), value.offsets)
    if isinstance(value, AnyVector):
        if not value.items:
            return vector(type_, [], scale)
        return AnyVector([cast(item, type_, scale) for item in value.items])
    if isinstance(value, IndexedSeries):
        return IndexedSeries(value.index, cast_vector(value.values, type_, scale))
    if isinstance(value, Set):
        members = cast_vector(vector(value.type, list(value.members), value.scale), type_, scale)
        return Set(type_, dict.fromkeys(members.data.tolist()), scale)
    if isinstance(value, Dictionary):
        items = {key: cast(item, type_, scale) for key, item in value.items.items()}
        return Dictionary(value.key_type, type_, items, value.ordered)
    if isinstance(value, Table):
        return Table(list(value.names), [cast(column, type_, scale) for column in value.columns])  # type: ignore[misc]
    raise ScriptError(f"The object can't be converted to {type_.name}.")


def cast_vector(column: Vector, type_: Type, scale: int = 0) -> Vector:
    """The column as `type_` (a DECIMAL with `scale` digits). ScriptError when the types do not go together."""
    source = column.type
    if source is type_ and (type_ not in DECIMAL or column.scale == scale):
        return column
    if source is Type.VOID:
        return nulls(type_, len(column), scale)
    if type_ is Type.SYMBOL:
        return to_symbols(column)
    if source is Type.SYMBOL:
        return _from_symbols(column, type_, scale)
    if source in LITERAL:
        return _from_texts(column, type_, scale)
    if type_ in LITERAL:
        texts = vector(Type.STRING, element_texts(column))
        return texts if type_ is Type.STRING else vector(type_, [text.encode() for text in texts.data])
    if source in DECIMAL:
        return _from_decimals(column, type_, scale)
    if type_ in DECIMAL:
        return _to_decimals(column, type_, scale)
    if source in TEMPORAL and type_ in TEMPORAL:
        return _between_temporals(column, type_)
    if _is_plain(source) and _is_plain(type_):
        return _between_plain(column, type_)
    raise ScriptError(f"Can't convert {source.name} to {type_.name}.")


def _is_plain(type_: Type) -> bool:
    return type_ in _NUMERIC_ORDER or type_ in TEMPORAL


def _between_plain(column: Vector, type_: Type) -> Vector:
    missing = column.nulls()
    data = column.data
    if type_ is Type.BOOL:
        return Vector(type_, np.where(missing, null(type_), data != 0).astype(np.int8))
    if type_ in FLOATING:
        out = data.astype(DTYPES[type_])
        if data.dtype.kind == "i":
            out[missing] = np.nan
        return Vector(type_, out)
    bits = 8 * DTYPES[type_].itemsize
    if data.dtype.kind == "f":
        rounded = round_half_away(np.where(missing, 0.0, data.astype(np.float64)))
        outside = (rounded >= 2.0 ** (bits - 1)) | (rounded < -(2.0 ** (bits - 1)))
        whole = np.where(outside, 0.0, rounded).astype(np.int64)
        missing = missing | outside
    else:
        whole = data.astype(np.int64)
    out = np.where(missing, 0, whole).astype(DTYPES[type_])
    out[missing] = null(type_)
    return Vector(type_, out)


def round_half_away(data: Array) -> Array:
    return np.asarray(np.where(data < 0, np.ceil(data - 0.5), np.floor(data + 0.5)))


def _between_temporals(column: Vector, type_: Type) -> Vector:
    source, missing = column.type, column.nulls()
    data = np.where(missing, 0, column.data).astype(np.int64)
    if source is Type.MONTH:
        days = (data - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        source, data = Type.DATE, np.where(missing, 0, days)
    if source in INSTANTS and type_ is Type.MONTH:
        days = data // (DAY // INSTANTS[source])
        out = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
    elif source in INSTANTS and type_ in INSTANTS:
        out = _rescale(data, INSTANTS[source], INSTANTS[type_])
    elif source in INSTANTS and type_ in CLOCKS and source is not Type.DATE:
        out = _rescale(data % (DAY // INSTANTS[source]), INSTANTS[source], CLOCKS[type_])
    elif source in CLOCKS and type_ in CLOCKS:
        out = _rescale(data, CLOCKS[source], CLOCKS[type_])
    else:
        raise ScriptError(f"Can't convert {column.type.name} to {type_.name}.")
    result = out.astype(DTYPES[type_])
    result[missing] = null(type_)
    return Vector(type_, result)


def _rescale(data: Array, source: int, target: int) -> Array:
    return np.asarray(data * (source // target) if source >= target else data // (target // source))


def _from_symbols(column: Vector, type_: Type, scale: int) -> Vector:
    base = column.symbols
    assert base is not None
    if type_ is Type.STRING:
        if coding.LONG <= len(column) >= len(base):
            return Vector.holding(Vector(Type.SYMBOL, column.data.copy(), base))
        return Vector(type_, column.strings())
    distinct = _from_texts(vector(Type.STRING, base.strings), type_, scale)
    return distinct.take(column.data)


def _from_texts(column: Vector, type_: Type, scale: int) -> Vector:
    texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in column.data]
    if type_ is Type.STRING:
        return vector(type_, texts)
    if type_ in DECIMAL:
        raws: list[Any] = [parse_decimal(text, scale) for text in texts]
        _check_decimals(raws, type_)
        return vector(type_, raws, scale)
    parse = PARSERS.get(type_)
    if parse is None:
        raise ScriptError(f"Can't convert {column.type.name} to {type_.name}.")
    raws = [parse(text) if text else None for text in texts]
    if type_ is Type.CHAR and any(raw is None and text for raw, text in zip(raws, texts, strict=True)):
        raise ScriptError("Failed to convert the string to CHAR")
    if type_ is Type.DURATION and None in raws:
        raise ScriptError("Failed to convert the string to DURATION. Write an integer and a unit, such as 10m.")
    return vector(type_, raws)


def _check_decimals(raws: list[Any], type_: Type) -> None:
    limit = _DECIMAL_LIMITS[type_]
    if any(raw is not None and not -limit < raw < limit for raw in raws):
        raise ScriptError("DECIMAL math overflow RefId:S05003")


def decimal_vector(raws: list[Any], type_: Type, scale: int) -> Vector:
    """Unscaled integers (None for NULL) as a DECIMAL column; overflow is a ScriptError."""
    _check_decimals(raws, type_)
    return vector(type_, raws, scale)


def decimal_raws(column: Vector) -> list[Any]:
    """The unscaled integers of a DECIMAL (or the values of an integer) column, None for NULL."""
    return [None if missing else int(raw) for raw, missing in zip(column.data.tolist(), column.nulls(), strict=True)]


def _from_decimals(column: Vector, type_: Type, scale: int) -> Vector:
    if type_ in FLOATING:
        return Vector(type_, to_float(column).astype(DTYPES[type_]))
    raws = decimal_raws(column)
    if type_ in DECIMAL:
        return decimal_vector(
            [None if raw is None else rescale(raw, column.scale, scale) for raw in raws], type_, scale
        )
    if type_ is Type.BOOL:
        return vector(type_, [None if raw is None else raw != 0 for raw in raws])
    if type_ in INTEGRAL:
        whole = vector(Type.LONG, [None if raw is None else rescale(raw, column.scale, 0) for raw in raws])
        return cast_vector(whole, type_)
    raise ScriptError(f"Can't convert {column.type.name} to {type_.name}.")


def rescale(raw: int, source: int, target: int) -> int:
    """Unscaled digits at another scale; digits beyond it are cut off."""
    if target >= source:
        return raw * int(10 ** (target - source))
    divisor = int(10 ** (source - target))
    return raw // divisor if raw >= 0 else -(-raw // divisor)


def _to_decimals(column: Vector, type_: Type, scale: int) -> Vector:
    if column.type not in _NUMERIC_ORDER:
        raise ScriptError(f"Can't convert {column.type.name} to {type_.name}.")
    if not 0 <= scale <= {Type.DECIMAL32: 9, Type.DECIMAL64: 18, Type.DECIMAL128: 38}[type_]:
        raise ScriptError(f"The scale {scale} of {type_.name} is out of bounds.")
    missing = column.nulls().tolist()
    factor = int(10**scale)
    noise = 6e-8 if column.type is Type.FLOAT else 1e-14
    raws: list[Any] = []
    for value, is_null in zip(column.data.tolist(), missing, strict=True):
        if is_null:
            raws.append(None)
        elif isinstance(value, int):
            raws.append(value * factor)
        elif abs(value) == float("inf"):
            raise ScriptError("DECIMAL math overflow RefId:S05003")
        else:
            scaled = value * factor
            nearest = round(scaled)
            raws.append(nearest if abs(scaled - nearest) <= abs(scaled) * noise else int(scaled))
    return decimal_vector(raws, type_, scale)


def to_float(column: Vector) -> Array:
    """The column as float64 with NaN for NULL (a fresh array unless it is DOUBLE already)."""
    if column.type is Type.DOUBLE:
        return column.data
    if column.type in DECIMAL:
        factor = 10.0**column.scale
        values = [np.nan if raw is None else raw / factor for raw in decimal_raws(column)]
        return np.array(values, dtype=np.float64)
    if column.type in LITERAL:
        return cast_vector(column, Type.DOUBLE).data
    if column.data.dtype.kind not in "if":
        raise ScriptError(f"Can't convert {column.type.name} to DOUBLE.")
    out = column.data.astype(np.float64)
    if column.data.dtype.kind == "i":
        out[column.nulls()] = np.nan
    return out


def to_symbols(column: Vector) -> Vector:
    """A STRING column (or what can be made one) as SYMBOL."""
    if column.type is Type.SYMBOL:
        return column
    if column.type not in LITERAL and column.type is not Type.VOID:
        raise ScriptError("Only a string vector can be converted to a symbol vector.")
    coded = column.coded()
    if coded is not None and coded.symbols is not None:
        # A base of its own: that of the codes is shared by others, and this one may grow.
        return Vector(Type.SYMBOL, coded.data.copy(), SymbolBase(coded.symbols.strings))
    texts = column.strings() if column.type is Type.STRING else cast_vector(column, Type.STRING).data
    base = SymbolBase()
    codes = np.fromiter((base.code(text) for text in texts), dtype=np.int32, count=len(texts))
    return Vector(Type.SYMBOL, codes, base)
