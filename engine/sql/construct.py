"""Making in-memory tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.cast import cast_vector
from engine.errors import CallError, ScriptError
from engine.forms import as_vector, form_name, tuple_to_vector
from engine.limits import check_allocation
from engine.sql.keys import combined_codes, first_rows
from engine.sql.naming import check_unique
from engine.types import DTYPES, LITERAL, Type, type_named
from engine.values import (
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    SymbolBase,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    repeat,
)

ARRAY_SUFFIX = "[]"
ARRAY_OFFSET = 64


class LatestTable(Table):
    """A keyed table that only takes rows whose time is not older than that of the row they replace."""

    time_column: str = ""


def table_of_columns(names: Sequence[str], values: Sequence[Value]) -> Table:
    """A table from named values: vectors, scalars (repeated), and what stands for several columns: tables and
    matrices, which keep their labels, and tuples of vectors."""
    parts: list[tuple[str, Column | Scalar]] = []
    taken: set[str] = set(filter(None, names))
    for name, value in zip(names, values, strict=True):
        columns_of_value = spread(value)
        own = own_labels(value)
        if own:
            parts.extend(zip(own, columns_of_value, strict=True))
        else:
            label = name if len(columns_of_value) == 1 else ""
            parts.extend((label, column) for column in columns_of_value)
    lengths = {len(column) for _, column in parts if not isinstance(column, Scalar)}
    if len(lengths) > 1:
        raise ScriptError("All columns must have the same length.")
    rows = lengths.pop() if lengths else 1
    columns = [repeat(column, rows) if isinstance(column, Scalar) else fresh(column) for _, column in parts]
    labels = []
    for position, (label, _) in enumerate(parts):
        made = label or f"col{position}"
        while not label and made in taken:
            made += "_"
        labels.append(made)
        taken.add(made)
    check_unique(labels)
    return Table(labels, columns)


def own_labels(value: Value) -> list[str]:
    if isinstance(value, Table):
        return list(value.names)
    if isinstance(value, Matrix) and value.column_labels is not None:
        return [str(text) for text in cast_vector(value.column_labels, Type.STRING).data]
    return []


def fresh(column: Column) -> Column:
    """A column of its own, so that changing the vector it came from does not change the table."""
    if isinstance(column, Vector):
        return Vector(column.type, column.data.copy(), column.symbols, column.scale)
    if isinstance(column, ArrayVector):
        return ArrayVector(column.flat.copy(), column.offsets.copy())
    return AnyVector(list(column.items), column.columnar)


def spread(value: Value) -> list[Column | Scalar]:
    """The columns one argument of `table` stands for."""
    if isinstance(value, Scalar | ArrayVector):
        return [value]
    if isinstance(value, Vector):
        return [value]
    if isinstance(value, IndexedSeries):
        return [value.index, value.values]
    if isinstance(value, Matrix):
        return [value.column(index) for index in range(value.columns)]
    if isinstance(value, AnyVector) and value.columnar:
        return [value]
    if isinstance(value, AnyVector):
        vectors = [item for item in value.items if isinstance(item, Vector | ArrayVector | AnyVector)]
        if vectors and len(vectors) == len(value.items) and len({len(item) for item in vectors}) == 1:
            return [
                column for item in vectors for column in ([item] if not isinstance(item, AnyVector) else spread(item))
            ]
        merged = tuple_to_vector(value.items)
        return [merged if isinstance(merged, Vector) and value.items else value]
    if isinstance(value, Table):
        return list(value.columns)
    raise ScriptError(f"A column of a table must be a vector, not {form_name(value)}.")


def table_of_matrix(matrix: Matrix, names: Sequence[str] = ()) -> Table:
    """The columns of a matrix; labelled rows become a first column `label`."""
    columns: list[Column] = [fresh(matrix.column(index)) for index in range(matrix.columns)]
    labels = list(names)
    labels = labels or own_labels(matrix) or [f"C{index}" for index in range(matrix.columns)]
    if matrix.row_labels is not None:
        return Table(["label", *labels], [fresh(matrix.row_labels), *columns])
    return Table(labels, columns)


def table_of_dictionary(dictionary: Dictionary) -> Table:
    """A column per key."""
    columns: list[Value] = [
        value if isinstance(value, Scalar | Vector | AnyVector | ArrayVector) else as_vector(value)
        for _, value in dictionary.listed()
    ]
    return table_of_columns([str(key) for key, _ in dictionary.listed()], columns)


def empty_table(names: Sequence[str], types: Sequence[ColumnType], rows: int = 0) -> Table:
    """A table with columns of the given types: zero, false or NULL in each row there is to be."""
    if len(names) != len(types):
        raise ScriptError("The number of column names must equal the number of column types.")
    check_unique(names)
    return Table(list(names), [initial_column(type_, rows) for type_ in types])


class ColumnType:
    """The type of a column as declared: with scale for decimals, and whether its elements are vectors."""

    __slots__ = ("is_array", "scale", "type")

    def __init__(self, type_: Type, scale: int = 0, is_array: bool = False) -> None:
        self.type = type_
        self.scale = scale
        self.is_array = is_array


def initial_column(declared: ColumnType, rows: int) -> Column:
    if declared.is_array:
        return ArrayVector(nulls(declared.type, 0, declared.scale), np.zeros(rows + 1, dtype=np.int64))
    if declared.type is Type.ANY:
        return AnyVector([])
    if declared.type not in DTYPES:
        raise ScriptError(f"A column cannot have the type {declared.type.name}.")
    check_allocation(rows, declared.type)
    if declared.type in LITERAL or DTYPES[declared.type].kind == "O":
        return nulls(declared.type, rows, declared.scale)
    base = SymbolBase() if declared.type is Type.SYMBOL else None
    return Vector(declared.type, np.zeros(rows, dtype=DTYPES[declared.type]), base, declared.scale)


def column_types(value: Value) -> list[ColumnType]:
    """The types in `[INT, "SYMBOL", DECIMAL32(2), DOUBLE[]]`."""
    if isinstance(value, Vector) and value.type not in LITERAL:
        return [_declared(int(raw)) for raw in value.data]
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return [column_type(item) for item in elements(value)]
    return [column_type(value)]


def column_type(value: Value) -> ColumnType:
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return named_type(value.value)
    if isinstance(value, Scalar) and isinstance(value.value, int):
        return _declared(value.value, value.scale)
    if isinstance(value, ArrayVector):
        return ColumnType(value.type, value.flat.scale, is_array=True)
    if isinstance(value, Vector) and len(value) == 2 and value.type in (Type.INT, Type.LONG):
        return _declared(int(value.data[0]), int(value.data[1]))
    if isinstance(value, Vector) and len(value) == 0:
        return ColumnType(value.type, value.scale, is_array=True)
    if isinstance(value, AnyVector) and len(value) == 2 and all(isinstance(item, Scalar) for item in value.items):
        base = column_type(value.items[0])
        scale = value.items[1]
        assert isinstance(scale, Scalar)
        return ColumnType(base.type, int(scale.value))
    raise CallError("A column type must be a data type such as INT or its name.")


def _declared(code: int, scale: int = 0) -> ColumnType:
    """A type by its code; array vectors count from 64."""
    is_array = code >= ARRAY_OFFSET
    try:
        return ColumnType(Type(code - ARRAY_OFFSET if is_array else code), scale, is_array)
    except ValueError:
        raise ScriptError(f"The type code {code} is not known.") from None


def named_type(name: str) -> ColumnType:
    """`INT`, `DECIMAL32(2)`, `DOUBLE[]`."""
    text = name.strip()
    is_array = text.endswith(ARRAY_SUFFIX)
    text = text.removesuffix(ARRAY_SUFFIX).strip()
    scale = 0
    if text.endswith(")") and "(" in text:
        text, _, inner = text[:-1].partition("(")
        if not inner.strip().isdigit():
            raise ScriptError(f"The data type [{name}] is not known.")
        scale = int(inner)
    try:
        return ColumnType(type_named(text), scale, is_array)
    except KeyError:
        raise ScriptError(f"The data type [{name}] is not known.") from None


def keyed(table: Table, keys: Sequence[str], kind: str) -> Table:
    """A table whose rows are unique by the key columns; of equal rows the last stays."""
    positions = []
    for key in keys:
        position = table.find(key)
        if position < 0:
            raise ScriptError(f"Unrecognized column name [{key}].")
        positions.append(position)
    columns = list(table.columns)
    if table.rows:
        codes, count = combined_codes([columns[position] for position in positions])
        if count < table.rows:
            last = np.empty(count, dtype=np.int64)
            last[codes] = np.arange(table.rows)
            order = np.argsort(first_rows(codes, count), kind="stable")
            columns = list(table.take(last[order]).columns)
    return Table(list(table.names), columns, tuple(table.names[position] for position in positions), kind)
