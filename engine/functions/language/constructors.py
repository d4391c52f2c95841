"""Making objects: arrays, pairs, matrices, dictionaries, sets, array vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.cast import cast, cast_vector
from engine.context import Context
from engine.errors import ScriptError
from engine.forms import (
    array_vector,
    as_vector,
    concat,
    dictionary_keys,
    dictionary_values,
    matrix_of,
    tuple_to_vector,
)
from engine.functions.registry import Builtin, Registry
from engine.indexing import dictionary_key
from engine.interpreter.constants import ARRAY_VECTOR_OFFSET
from engine.lifting import align_series
from engine.limits import check_allocation
from engine.operators.building import reshape, type_argument
from engine.operators.membership import set_of
from engine.types import DECIMAL, DTYPES, INTEGRAL, LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Dictionary,
    IndexedSeries,
    Matrix,
    Nothing,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    repeat,
    vector,
)

functions = Registry()


def whole(value: Value, name: str, default: int) -> int:
    """An integer argument, or its default when omitted."""
    if isinstance(value, Nothing) or (isinstance(value, Scalar) and value.is_null):
        return default
    if not isinstance(value, Scalar) or not isinstance(value.value, int) or value.type not in (*INTEGRAL, Type.BOOL):
        raise ScriptError(f"{name} must be an integer.")
    return value.value


def filled(type_: Type, count: int, default: Value, scale: int, context: Context) -> Vector:
    check_allocation(count, type_, context.node)
    if isinstance(default, Scalar):
        return cast_vector(repeat(default, count), type_, scale)
    out = nulls(type_, count, scale)
    if (DTYPES[type_].kind != "O" and type_ is not Type.SYMBOL) or type_ in DECIMAL:
        out.data.fill(0)
    return out


def _array(context: Context, kind: Value, count: Value, default: Value) -> Value:
    size = whole(count, "initialSize", 0)
    if isinstance(kind, Vector) and not kind.is_pair:
        return filled(kind.type, len(kind) if isinstance(count, Nothing) else size, default, kind.scale, context)
    if isinstance(kind, ArrayVector):
        return ArrayVector(nulls(kind.type, 0, kind.flat.scale), np.zeros(size + 1, dtype=np.int64))
    if isinstance(kind, Scalar) and isinstance(kind.value, int) and kind.value >= ARRAY_VECTOR_OFFSET:
        type_ = Type(kind.value - ARRAY_VECTOR_OFFSET)
        if size == 0:
            return ArrayVector(nulls(type_, 0, kind.scale), np.zeros(1, dtype=np.int64))
        return ArrayVector(filled(type_, size, default, kind.scale, context), np.arange(size + 1))
    type_, scale = type_argument(kind)
    if type_ is not Type.ANY and type_ not in DTYPES:
        raise ScriptError(f"{type_.name} can't be the type of a vector.")
    if type_ is Type.ANY:
        return AnyVector([Scalar(Type.VOID, None)] * size)
    return filled(type_, size, default, scale, context)


@functions.builtin("array", "dataType, [initialSize=0], [capacity], [defaultValue]", context=True)
def array(
    context: Context, kind: Value, count: Value = NOTHING, _capacity: Value = NOTHING, default: Value = NOTHING
) -> Value:
    return _array(context, kind, count, default)


@functions.builtin("bigarray", "dataType, [initialSize=0], [capacity], [defaultValue]", context=True)
def bigarray(
    context: Context, kind: Value, count: Value = NOTHING, _capacity: Value = NOTHING, default: Value = NOTHING
) -> Value:
    return _array(context, kind, count, default)


@functions.builtin("tuple", "[args...]")
def tuple_(*items: Value) -> Value:
    return AnyVector(list(items))


@functions.builtin("enlist", "X")
def enlist(value: Value) -> Value:
    """A vector of one scalar, a table of a dictionary whose keys are strings, a tuple of anything else."""
    if isinstance(value, Scalar):
        return repeat(value, 1)
    if isinstance(value, Dictionary):
        if value.key_type not in LITERAL:
            return AnyVector([value])
        return Table(
            [str(key) for key, _ in value.listed()],
            [repeat(item, 1) if isinstance(item, Scalar) else AnyVector([item]) for _, item in value.listed()],
        )
    return AnyVector([value])


@functions.builtin("matrix", "X, [cols], [columnsCapacity], [defaultValue], [args...]", context=True)
def matrix(context: Context, first: Value, *rest: Value) -> Value:
    """From columns (vectors, a tuple, a table, matrices), or of a type with rows and columns."""
    is_type = isinstance(first, Builtin) or (
        isinstance(first, Scalar) and len(rest) >= 1 and isinstance(rest[0], Scalar)
    )
    if is_type:
        type_, scale = type_argument(first)
        rows, columns = whole(rest[0], "rows", 0), whole(rest[1], "columns", 0) if len(rest) > 1 else 1
        default = rest[3] if len(rest) > 3 else NOTHING
        if type_ is Type.SYMBOL:
            type_ = Type.STRING
        data = filled(type_, rows * columns, default, scale, context)
        return Matrix(type_, data.data.reshape((rows, columns), order="F"), scale=scale)
    return matrix_from([first, *rest])


def matrix_from(parts: Sequence[Value]) -> Matrix:
    """The columns of all parts side by side, with the labels of the first that has any."""
    columns: list[Vector] = []
    names: Vector | None = None
    rows: Vector | None = None
    if len(parts) > 1 and all(isinstance(part, IndexedSeries) for part in parts):
        series = align_series([part for part in parts if isinstance(part, IndexedSeries)])
        out = matrix_of([one.values for one in series])
        out.row_labels, out.indexed = series[0].index, True
        return out
    for part in parts:
        if isinstance(part, Matrix):
            columns.extend(part.column(i) for i in range(part.columns))
            rows = part.row_labels if rows is None else rows
            names = part.column_labels if len(parts) == 1 else names
        elif isinstance(part, ArrayVector):
            columns.extend(columns_of_rows(part))
        elif isinstance(part, AnyVector) and not (part.items and all(isinstance(item, Scalar) for item in part.items)):
            for item in elements(part):
                columns.extend(matrix_columns(item))
        elif isinstance(part, Table):
            columns.extend(as_vector(column) for column in part.columns)
        elif isinstance(part, IndexedSeries):
            columns.append(part.values)
            rows = part.index
        else:
            columns.append(as_vector(part))
    if not columns:
        raise ScriptError("Usage: matrix(X...). There are no columns.")
    if len({len(column) for column in columns}) > 1:
        raise ScriptError("The columns of a matrix must have the same length.")
    out = matrix_of(columns)
    out.row_labels, out.column_labels = rows, names
    return out


def columns_of_rows(rows: ArrayVector) -> list[Vector]:
    """The columns of an array vector, whose rows are those of the matrix."""
    sizes = np.diff(rows.offsets)
    if len(sizes) and (sizes != sizes[0]).any():
        raise ScriptError("The rows of an array vector must have the same length to make a matrix.")
    width = int(sizes[0]) if len(sizes) else 0
    return [rows.flat.take(rows.offsets[:-1] + index) for index in range(width)]


def matrix_columns(value: Value) -> list[Vector]:
    if isinstance(value, Matrix):
        return [value.column(i) for i in range(value.columns)]
    return [as_vector(value)]


@functions.builtin("reshape", "X, [dim]")
def reshape_(value: Value, shape: Value = NOTHING) -> Value:
    if isinstance(shape, Nothing):
        return reshape(value, None)
    if not isinstance(shape, Vector) or len(shape) != 2:
        raise ScriptError("Usage: reshape(X, [dim]). dim must be a pair rows:columns.")
    return reshape(value, shape)


@functions.builtin("dict", "keyObj, valueObj, [ordered=false]")
def dict_(keys: Value, values: Value, ordered: Value = NOTHING) -> Value:
    """From keys and values, or empty from a key type and a value type."""
    keep = isinstance(ordered, Scalar) and bool(ordered.value)
    if isinstance(keys, Scalar | Builtin) and isinstance(values, Scalar | Builtin) and _is_type(keys):
        key_type, value_type = type_argument(keys)[0], type_argument(values)[0]
        return Dictionary(key_type, value_type, {}, keep)
    key_list = list(elements(keys)) if isinstance(keys, Vector | AnyVector) else [keys]
    value_list = list(elements(values)) if isinstance(values, Vector | AnyVector | ArrayVector) else [values]
    if len(key_list) != len(value_list):
        if len(key_list) != 1:
            raise ScriptError("Usage: dict(keyObj, valueObj). keyObj and valueObj must have the same length.")
        value_list = [values]
    key_type = keys.type if isinstance(keys, Scalar | Vector) else Type.ANY
    if isinstance(keys, AnyVector):
        merged = tuple_to_vector(keys.items)
        key_type = merged.type if isinstance(merged, Vector) else Type.ANY
    value_type = values.type if isinstance(values, Scalar | Vector) else Type.ANY
    out = Dictionary(key_type, value_type, {}, keep, len(key_list))
    for key, value in zip(key_list, value_list, strict=True):
        out.items[dictionary_key(out, key)] = value
    return out


def _is_type(value: Value) -> bool:
    """Whether a scalar names a type: `INT`, `"INT"` or a conversion function."""
    if isinstance(value, Scalar) and value.type is Type.STRING:
        return value.value in Type.__members__
    return isinstance(value, Builtin) or (isinstance(value, Scalar) and value.type is Type.INT)


@functions.builtin("syncDict", "keyObj, valueObj, [sharedName], [ordered=false]", context=True)
def sync_dict(context: Context, keys: Value, values: Value, name: Value = NOTHING, ordered: Value = NOTHING) -> Value:
    out: Value = dict_(keys, values, ordered)
    if isinstance(name, Scalar) and name.value:
        with context.node.lock:
            context.node.shared[str(name.value)] = out
    return out


@functions.builtin("set", "X")
def set_(value: Value) -> Value:
    if isinstance(value, Scalar | Builtin) and _is_type(value) and isinstance(value, Builtin):
        return Set(type_argument(value)[0])
    return set_of(value)


@functions.builtin("keys", "X")
def keys(value: Value) -> Value:
    if isinstance(value, Dictionary):
        return dictionary_keys(value)
    if isinstance(value, Set):
        return as_vector(value)
    if isinstance(value, Table):
        return vector(Type.STRING, value.names)
    raise ScriptError("Usage: keys(X). X must be a dictionary, a set or a table.")


@functions.builtin("values", "X")
def values_(value: Value) -> Value:
    if isinstance(value, Dictionary):
        return dictionary_values(value)
    if isinstance(value, Table):
        return AnyVector(list(value.columns))
    raise ScriptError("Usage: values(X). X must be a dictionary or a table.")


@functions.builtin("dictUpdate!", "dictionary, function, keys, parameters, [initFunc]", context=True)
def dict_update(
    context: Context, target: Value, function: Value, names: Value, parameters: Value, init: Value = NOTHING
) -> Value:
    if not isinstance(target, Dictionary):
        raise ScriptError("Usage: dictUpdate!(dictionary, function, keys, parameters). dictionary is expected first.")
    key_list = list(elements(names)) if isinstance(names, Vector | AnyVector) else [names]
    items = list(elements(parameters)) if isinstance(parameters, Vector | AnyVector) else [parameters] * len(key_list)
    for key, item in zip(key_list, items, strict=True):
        raw = dictionary_key(target, key)
        old = target.items.get(raw)
        if old is not None:
            new = context.call(function, [old, item])  # type: ignore[arg-type]
        elif not isinstance(init, Nothing):
            new = context.call(init, [item])  # type: ignore[arg-type]
        else:
            new = item
        wanted = target.value_type
        target.items[raw] = cast(new, wanted) if wanted is not Type.ANY and isinstance(new, Scalar) else new
    return target


@functions.builtin("arrayVector", "index, value")
def array_vector_(index: Value, value: Value) -> Value:
    """`index` holds the end position of each row in `value`."""
    ends, flat = as_vector(index), as_vector(value)
    if ends.type not in INTEGRAL:
        raise ScriptError("Usage: arrayVector(index, value). index must be integral.")
    offsets = np.concatenate(([0], ends.data.astype(np.int64)))
    if np.any(np.diff(offsets) < 0) or offsets[-1] != len(flat):
        raise ScriptError("Usage: arrayVector(index, value). index must increase and end at the length of value.")
    return ArrayVector(flat.take(slice(None)), offsets)


@functions.builtin("fixedLengthArrayVector", "args...")
def fixed_length_array_vector(*parts: Value) -> Value:
    """Row i holds the i-th elements of all columns."""
    columns: list[Vector] = []
    for part in parts:
        if isinstance(part, AnyVector):
            columns.extend(as_vector(item) for item in part.items)
        elif isinstance(part, Table):
            columns.extend(as_vector(column) for column in part.columns)
        else:
            columns.extend(matrix_columns(part))
    if not columns or len({len(column) for column in columns}) > 1:
        raise ScriptError("Usage: fixedLengthArrayVector(args...). The columns must have the same length.")
    together = concat(columns)
    if not isinstance(together, Vector):
        raise ScriptError("Usage: fixedLengthArrayVector(args...). The columns must have the same type.")
    count, width = len(columns[0]), len(columns)
    order = np.arange(count * width).reshape((width, count)).T.ravel()
    return ArrayVector(together.take(order), np.arange(count + 1) * width)


@functions.builtin("asArrayVector", "X")
def as_array_vector(value: Value) -> Value:
    if isinstance(value, ArrayVector):
        return value
    if not isinstance(value, Vector | AnyVector):
        raise ScriptError("Usage: asArrayVector(X). X must be a vector or a tuple of vectors.")
    return array_vector(elements(value))


@functions.builtin("subtuple", "X, range")
def subtuple(value: Value, span: Value) -> Value:
    if not isinstance(value, AnyVector) or not isinstance(span, Vector) or len(span) != 2:
        raise ScriptError("Usage: subtuple(X, range). X must be a tuple of vectors and range a pair.")
    start, stop = (int(raw) for raw in span.data)
    picked: list[Any] = []
    for item in value.items:
        column = as_vector(item)
        places = np.arange(start, stop) if start <= stop else np.arange(start - 1, stop - 1, -1)
        picked.append(column.take(places))
    return AnyVector(picked)


@functions.builtin("copy", "X")
def copy(value: Value) -> Value:
    from engine.interpreter.copying import copy_value

    if isinstance(value, Table):
        return Table(list(value.names), [copy_value(column) for column in value.columns], value.keys, value.kind)  # type: ignore[misc]
    return copy_value(value)


@functions.builtin("deepCopy", "obj")
def deep_copy(value: Value) -> Value:
    """A copy that shares nothing with the original, down to the elements of tuples and dictionaries."""
    if isinstance(value, AnyVector):
        return AnyVector([deep_copy(item) for item in value.items], value.columnar)
    if isinstance(value, Dictionary):
        items = {key: deep_copy(item) for key, item in value.items.items()}
        return Dictionary(value.key_type, value.value_type, items, value.ordered)
    result: Value = copy(value)
    return result
