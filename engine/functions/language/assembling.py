"""Putting the results of many calls together, and taking arguments apart for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.cast import cast, cast_vector, common_type
from engine.errors import ScriptError, UnsupportedError
from engine.forms import as_vector, concat, element, matrix_of, row_of, tuple_to_vector
from engine.functions.registry import Builtin, Kind
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    Array,
    ArrayVector,
    Closure,
    Dictionary,
    IndexedSeries,
    Matrix,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Table,
    Value,
    Vector,
    take,
    vector,
)

FUNCTIONS = (Builtin, Closure, Partial, Pattern)


def function_argument(value: Value, name: str) -> Any:
    """The function a higher-order function was given."""
    if not isinstance(value, FUNCTIONS):
        raise ScriptError(f"{name}: a function is expected.")
    return value


def arity(function: Any) -> int:
    """How many arguments a function needs at least."""
    if isinstance(function, Builtin):
        return max(1, sum(1 for parameter in function.parameters if parameter.required))
    if isinstance(function, Closure):
        return len(function.parameters)
    if isinstance(function, Partial):
        given = sum(1 for value in function.arguments if not isinstance(value, Nothing))
        total = (
            len(function.function.parameters) if isinstance(function.function, Closure) else arity(function.function)
        )
        return max(total - given, sum(1 for value in function.arguments if isinstance(value, Nothing)), 1)
    return 1


def parts_of(value: Value) -> list[Value]:
    """What `each` goes through: elements, columns of a matrix, rows of a table, values of a dictionary."""
    if isinstance(value, Dictionary):
        return list(value.items.values())
    if isinstance(value, Matrix):
        return [value.column(index) for index in range(value.columns)]
    if isinstance(value, Table):
        return [row_of(value, index) for index in range(value.rows)]
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return [element(value, index) for index in range(len(value))]
    if isinstance(value, IndexedSeries):
        return [element(value.values, index) for index in range(len(value.values))]
    return [value]


def each_part(value: Value) -> Iterator[Value]:
    """The same one by one; the elements of a vector are not all made before."""
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return (element(value, index) for index in range(len(value)))
    return iter(parts_of(value))


def part_count(value: Value) -> int:
    return len(value) if isinstance(value, Vector | AnyVector | ArrayVector) else len(parts_of(value))


def is_divisible(value: Value) -> bool:
    return isinstance(value, Vector | AnyVector | ArrayVector | Matrix | Table | Dictionary | IndexedSeries)


RULES = {"D": 0, "C": 1, "U": 2, "K": 3}


def assemble_rule(rule: Value) -> int:
    """The assembleRule argument as 0 (default), 1 (consistent), 2 (tuple) or 3 (kdb+)."""
    if isinstance(rule, Nothing) or (isinstance(rule, Scalar) and rule.is_null):
        return 0
    if isinstance(rule, Scalar):
        code = RULES.get(rule.value) if isinstance(rule.value, str) else int(rule.value)
        if code in RULES.values():
            return int(code)  # type: ignore[arg-type]
    raise ScriptError('assembleRule must be 0 ("D"), 1 ("C"), 2 ("U") or 3 ("K").')


def assemble(results: Sequence[Value], rule: Value = NOTHING) -> Value:
    """Scalars to a vector, equal vectors to a matrix, dictionaries to a table; anything else to a tuple."""
    clean: list[Value] = [NULL if isinstance(result, Nothing) else result for result in results]
    kind = assemble_rule(rule)
    if not clean or kind == 2 or (kind == 3 and any(not isinstance(each, Scalar) for each in clean)):
        return AnyVector(clean)
    first = clean[0]
    if kind == 1 and isinstance(first, Scalar):
        clean = [cast(each, first.type, first.scale) if isinstance(each, Scalar) else each for each in clean]
    if all(isinstance(result, Scalar) for result in clean):
        return tuple_to_vector(clean)
    if isinstance(first, Vector) and all(
        isinstance(result, Vector) and len(result) == len(first) and _goes_with(result, first) for result in clean
    ):
        columns = [as_vector(result) for result in clean]
        if common_type(*(column.type for column in columns)) is not Type.ANY:
            return matrix_of(columns)
    if isinstance(first, Dictionary) and first.key_type in LITERAL:
        rows = [result for result in clean if isinstance(result, Dictionary)]
        if len(rows) == len(clean):
            return table_of(rows)
    return AnyVector(clean)


def _goes_with(column: Vector, first: Vector) -> bool:
    return column.type is first.type or Type.VOID in (column.type, first.type)


def table_of(rows: Sequence[Dictionary]) -> Table:
    """Dictionaries as the rows of a table with the keys of the first; what other rows lack is NULL."""
    names = [key for key, _ in rows[0].listed()]
    columns: list[Any] = [tuple_to_vector([row.items.get(name, NULL) for row in rows]) for name in names]
    return Table(list(map(str, names)), columns)


def data_arguments(value: Value) -> list[Value]:
    """`funcArgs`: one argument, or several in a tuple."""
    arguments: list[Value] = list(value.items) if isinstance(value, AnyVector) else [value]
    if any(isinstance(argument, Dictionary) for argument in arguments):
        raise UnsupportedError("A dictionary as funcArgs")
    return arguments


def rows_of(value: Value) -> int:
    if isinstance(value, Matrix | Table):
        return value.rows
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return len(value)
    if isinstance(value, IndexedSeries):
        return len(value.values)
    return 1


def slice_rows(value: Value, rows: Array | slice) -> Value:
    """The rows of a vector, matrix or table; scalars stay."""
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return take(value, rows)
    if isinstance(value, Matrix):
        labels = None if value.row_labels is None else value.row_labels.take(rows)
        return Matrix(value.type, value.data[rows], labels, value.column_labels, value.scale, value.indexed)
    if isinstance(value, Table):
        return value.take(rows)
    if isinstance(value, IndexedSeries):
        return IndexedSeries(value.index.take(rows), value.values.take(rows))
    return value


def group_codes(columns: Sequence[Value]) -> tuple[Array, Array]:
    """For rows keyed by columns: the group of each row, and the first row of each group, groups sorted by key."""
    codes: Array | None = None
    for column in columns:
        keys = as_vector(column)
        data = keys.strings() if keys.type in LITERAL else keys.data
        _, inverse = np.unique(data.astype(str) if keys.type in LITERAL else data, return_inverse=True)
        inverse = inverse.reshape(-1).astype(np.int64)
        codes = inverse if codes is None else codes * (int(inverse.max(initial=0)) + 1) + inverse
    assert codes is not None
    _, first, final = np.unique(codes, return_index=True, return_inverse=True)
    return final.reshape(-1), first


def is_aggregate(function: Any) -> bool:
    if isinstance(function, Builtin):
        return function.kind is Kind.AGGREGATE
    if isinstance(function, Partial | Pattern):
        return is_aggregate(function.function)
    return isinstance(function, Closure) and function.is_aggregate


def join_rows(parts: Sequence[Value]) -> Value:
    """Results of consecutive rows, end to end."""
    first = parts[0]
    if isinstance(first, Matrix):
        matrices = [part for part in parts if isinstance(part, Matrix)]
        columns = [concat([m.column(i) for m in matrices]) for i in range(first.columns)]
        return matrix_of([as_vector(column) for column in columns])
    if isinstance(first, Table):
        tables = [part for part in parts if isinstance(part, Table)]
        return Table(list(first.names), [concat([t.columns[i] for t in tables]) for i in range(len(first.columns))])
    return concat(parts)


def scalars_or_rows(results: Sequence[Value]) -> Value:
    """One result per window: a vector of scalars, or a matrix whose rows are the results."""
    if results and all(isinstance(result, Vector) for result in results):
        columns = [as_vector(result) for result in results]
        if len({len(column) for column in columns}) == 1:
            type_ = common_type(*(column.type for column in columns))
            if type_ is not Type.ANY:
                data = np.vstack([cast_vector(column, type_, column.scale).data for column in columns])
                return Matrix(type_, np.asfortranarray(data), scale=columns[0].scale)
    if results and all(isinstance(result, Table) for result in results):
        return join_rows(results)
    if results and all(isinstance(result, Scalar) for result in results):
        return tuple_to_vector(results)
    return AnyVector(list(results))


def null_like(results: Sequence[Value]) -> Value:
    """A NULL of the type of the first result."""
    for result in results:
        if isinstance(result, Scalar):
            return Scalar(result.type, None, result.scale)
        if isinstance(result, Vector):
            return vector(result.type, [None] * len(result), result.scale)
        if isinstance(result, Table):
            names = list(result.names)
            return Table(names, [vector(as_vector(column).type, [None]) for column in result.columns])
    return NULL
