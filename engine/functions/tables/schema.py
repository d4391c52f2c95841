"""What `schema` says about a table in memory."""

from __future__ import annotations

from engine.types import DECIMAL, Type
from engine.values import AnyVector, ArrayVector, Column, Dictionary, Scalar, Table, Value, nulls, vector


def in_memory_schema(table: Table) -> Dictionary:
    """`colDefs` and, for keyed tables, `keyColumn`."""
    names = [_type_name(column) for column in table.columns]
    codes = [type_code(column) for column in table.columns]
    scales = [
        column.scale if not isinstance(column, AnyVector | ArrayVector) and column.type in DECIMAL else None
        for column in table.columns
    ]
    definitions = Table(
        ["name", "typeString", "typeInt", "extra", "comment"],
        [
            vector(Type.STRING, list(table.names)),
            vector(Type.STRING, names),
            vector(Type.INT, codes),
            vector(Type.INT, scales),
            nulls(Type.STRING, len(names)),
        ],
    )
    items: dict[object, Value] = {"colDefs": definitions, "partitionColumnIndex": Scalar(Type.INT, -1)}
    if table.keys:
        items["keyColumn"] = (
            Scalar(Type.STRING, table.keys[0]) if len(table.keys) == 1 else vector(Type.STRING, list(table.keys))
        )
    return Dictionary(Type.STRING, Type.ANY, items, ordered=True)


def _type_name(column: Column) -> str:
    if isinstance(column, AnyVector):
        return "ANY"
    name = column.type.name
    if column.type in DECIMAL:
        scale = column.flat.scale if isinstance(column, ArrayVector) else column.scale
        name = f"{name}({scale})"
    return f"{name}[]" if isinstance(column, ArrayVector) else name


def type_code(column: Column) -> int:
    if isinstance(column, AnyVector):
        return int(Type.ANY)
    return int(column.type) + (64 if isinstance(column, ArrayVector) else 0)
