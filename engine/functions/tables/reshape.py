"""Turning tables around: transpose, unpivot, pivot."""

from __future__ import annotations

import numpy as np

from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.forms import concat, tuple_to_vector
from engine.functions.registry import Builtin, Registry
from engine.functions.tables.columns import names_of, table_argument
from engine.sql.construct import table_of_columns, table_of_dictionary
from engine.types import Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    ArrayVector,
    Closure,
    Column,
    Dictionary,
    Matrix,
    Partial,
    Pattern,
    Scalar,
    Table,
    Value,
    Vector,
    elements,
    take,
    vector,
)

functions = Registry()


@functions.builtin("transpose", "X", aliases=("flip",))
def transpose(x: Value) -> Value:
    if isinstance(x, Matrix):
        return Matrix(x.type, x.data.T.copy(order="F"), x.column_labels, x.row_labels, x.scale, x.indexed)
    if isinstance(x, Table):
        columns: dict[object, Value] = dict(zip(x.names, x.columns, strict=True))
        return Dictionary(Type.STRING, Type.ANY, columns, ordered=True)
    if isinstance(x, Dictionary):
        return _dictionary_to_table(x)
    if isinstance(x, ArrayVector):
        return _transposed_arrays(x)
    if isinstance(x, AnyVector):
        return _transposed_tuple(x)
    if isinstance(x, Vector):
        raise CallError("X must be a tuple, a matrix, a table, a dictionary or an array vector.")
    raise CallError("X cannot be transposed.")


def _dictionary_to_table(x: Dictionary) -> Table:
    if x.key_type not in (Type.STRING, Type.SYMBOL):
        raise CallError("The keys of the dictionary must be strings.")
    if x.items and all(isinstance(value, Dictionary) for value in x.items.values()):
        inner = [value for value in x.items.values() if isinstance(value, Dictionary)]
        names = list(inner[0].items)
        rows = [tuple_to_vector([each.items.get(name, NULL) for each in inner]) for name in names]
        return table_of_columns(["key", *map(str, names)], [vector(Type.STRING, list(x.items)), *rows])
    return table_of_dictionary(x)


def _transposed_arrays(x: ArrayVector) -> ArrayVector:
    sizes = np.diff(x.offsets)
    if len(sizes) and not bool((sizes == sizes[0]).all()):
        raise CallError("The rows of X must have the same number of elements.")
    rows, width = len(sizes), int(sizes[0]) if len(sizes) else 0
    order = np.arange(rows * width).reshape(rows, width).T.reshape(-1)
    return ArrayVector(
        x.flat.take(slice(int(x.offsets[0]), int(x.offsets[-1]))).take(order), np.arange(width + 1) * rows
    )


def _transposed_tuple(x: AnyVector) -> AnyVector:
    if not x.items:
        return x
    parts = [list(elements(item)) if isinstance(item, Vector | AnyVector | ArrayVector) else [item] for item in x.items]
    if len({len(part) for part in parts}) > 1:
        raise CallError("The elements of X must be vectors of the same length.")
    return AnyVector([tuple_to_vector(list(row)) for row in zip(*parts, strict=True)])


@functions.builtin("unpivot", "obj, [keyColNames], valueColNames, [func]", context=True)
def unpivot(context: Context, obj: Value, keys: Value, values: Value, function: Value = NOTHING) -> Table:
    table = table_argument(obj, "obj")
    key_names = [] if keys is NOTHING or (isinstance(keys, Scalar) and keys.is_null) else names_of(keys, "keyColNames")
    value_names = names_of(values, "valueColNames")
    key_columns = [_column(table, name) for name in key_names]
    parts = [_column(table, name) for name in value_names]
    stacked = concat(parts)
    if isinstance(stacked, AnyVector):
        raise ScriptError("The columns of valueColNames must have the same type.")
    repeated: list[Column] = [take(column, np.tile(np.arange(table.rows), len(parts))) for column in key_columns]
    labels = vector(Type.STRING, value_names)
    types: Column = labels
    if function is not NOTHING:
        if not isinstance(function, Builtin | Closure | Partial | Pattern):
            raise CallError("func must be a function.")
        made = [context.call(function, [each]) for each in elements(labels)]
        types = tuple_to_vector(made)
    column = take(types, np.repeat(np.arange(len(parts)), table.rows))
    return Table(
        [*(table.names[table.find(name)] for name in key_names), "valueType", "value"], [*repeated, column, stacked]
    )


def _column(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise ScriptError(f"Unrecognized column name [{name}].")
    return column
