"""`schema`: what a table or database is made of."""

from __future__ import annotations

from typing import Any

from engine.arguments import text_argument
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.functions.tables.schema import in_memory_schema
from engine.functions.tables.tabular import listing
from engine.storage.access import OpenTable, Scheme, opened_table, require_right
from engine.storage.databases import Database
from engine.storage.partitions import KIND_NAMES, HashLevel, Level, ListLevel, RangeLevel, ValueLevel
from engine.storage.table_schema import ColumnSchema
from engine.storage.tables import TableStore
from engine.types import DECIMAL, Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    Dictionary,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    boolean,
    integer,
    string,
    vector,
)

functions = Registry()

_ARRAY = 64
_COMMENT_BYTES = 4096


@functions.builtin("schema", "table")
def schema(value: Value) -> Dictionary:
    if isinstance(value, Table):
        return in_memory_schema(value)
    if isinstance(value, Handle) and isinstance(value.target, Database | Scheme):
        return _dictionary(_database_entries(value.target))
    stored = opened_table(value)
    if stored is not None:
        return _dictionary(_table_entries(stored))
    raise CallError("table must be a table or a database handle.")


def _dictionary(entries: dict[str, Value]) -> Dictionary:
    return Dictionary(Type.STRING, Type.ANY, dict(entries), ordered=True)


def _database_entries(target: Database | Scheme) -> dict[str, Value]:
    entries: dict[str, Value] = {}
    if isinstance(target, Database):
        entries = {
            "databaseDir": string(target.url),
            "engineType": string(target.engine),
            "atomic": string(target.atomic),
            "chunkGranularity": string("TABLE"),
            "clusterReplicationEnabled": boolean(False),
            "databaseOwner": string(target.owner),
        }
    if target.levels:
        entries |= _partition_entries(target.levels)
    return entries


def _partition_entries(levels: list[Level]) -> dict[str, Value]:
    """Plain values for one level, vectors for several."""
    kinds = [level.kind for level in levels]
    types = [int(level.type) for level in levels]
    schemes = [_scheme(level) for level in levels]
    sites: dict[str, Value] = {"partitionSites": NULL}
    if len(levels) == 1:
        return sites | {
            "partitionType": integer(kinds[0]),
            "partitionTypeName": string(KIND_NAMES[kinds[0]]),
            "partitionColumnType": integer(types[0]),
            "partitionSchema": schemes[0],
        }
    return sites | {
        "partitionType": vector(Type.INT, kinds),
        "partitionTypeName": vector(Type.STRING, [KIND_NAMES[kind] for kind in kinds]),
        "partitionColumnType": vector(Type.INT, types),
        "partitionSchema": AnyVector(schemes),
    }


def _scheme(level: Level) -> Value:
    if isinstance(level, HashLevel):
        return integer(level.buckets)
    type_ = Type.STRING if level.type is Type.SYMBOL else level.type
    if isinstance(level, ListLevel):
        return AnyVector([vector(type_, values) for values in level.lists])
    if isinstance(level, RangeLevel):
        return vector(type_, level.bounds)
    assert isinstance(level, ValueLevel)
    return vector(type_, sorted(level.values))


def _table_entries(opened: OpenTable) -> dict[str, Value]:
    store = opened.store
    table = store.schema
    columns = table.columns
    entries: dict[str, Value] = {
        "dbUrl": string(store.database),
        "tableName": string(store.name),
        "tableOwner": string(table.owner),
        "chunkGranularity": string("TABLE"),
        "colDefs": definitions(columns),
        "compressMethods": listing(
            ("name", Type.STRING, [column.name for column in columns]),
            ("compressMethods", Type.STRING, ["none"] * len(columns)),
        ),
        "chunkPath": NULL,
    }
    if table.comment:
        entries["tableComment"] = string(table.comment)
    if table.sort_columns:
        entries["sortColumns"] = vector(Type.STRING, table.sort_columns)
        entries["keepDuplicates"] = string(table.keep)
    if table.primary_key:
        entries["primaryKey"] = vector(Type.STRING, table.primary_key)
    if not store.is_partitioned:
        return entries | {"partitionColumnIndex": integer(-1)}
    names = table.partition_columns
    positions = [store.names.index(name) for name in names]
    entries |= _partition_entries(list(store.levels))
    entries["partitionColumnName"] = string(names[0]) if len(names) == 1 else vector(Type.STRING, names)
    entries["partitionColumnIndex"] = integer(positions[0]) if len(names) == 1 else vector(Type.INT, positions)
    types = [int(store.column(name).type) for name in names]
    entries["partitionColumnType"] = integer(types[0]) if len(types) == 1 else vector(Type.INT, types)
    return entries


def definitions(columns: list[ColumnSchema]) -> Table:
    """The columns of a stored table, as `schema` shows them."""
    return listing(
        ("name", Type.STRING, [column.name for column in columns]),
        ("typeString", Type.STRING, [_type_name(column) for column in columns]),
        ("typeInt", Type.INT, [int(column.type) + _ARRAY * column.is_array for column in columns]),
        ("extra", Type.INT, [column.scale if column.type in DECIMAL else None for column in columns]),
        ("comment", Type.STRING, [column.comment for column in columns]),
    )


def _type_name(column: ColumnSchema) -> str:
    name = f"{column.type.name}({column.scale})" if column.type in DECIMAL else column.type.name
    return f"{name}[]" if column.is_array else name


def _store(value: Value) -> TableStore:
    stored = opened_table(value)
    if stored is None:
        raise CallError("table must be a table of a database.")
    require_right(stored.session, "DBOBJ_CREATE", stored.store.database)
    return stored.store


@functions.builtin("setColumnComment", "table, columnComments")
def set_column_comment(table: Value, comments: Value) -> Nothing:
    """`columnComments` is a dictionary of column names and texts."""
    if not isinstance(comments, Dictionary):
        raise CallError("columnComments must be a dictionary.")
    store = _store(table)
    texts: dict[str, Any] = {}
    for name, text in comments.items.items():
        if not isinstance(text, Scalar):
            raise CallError("columnComments must map column names to strings.")
        texts[str(name)] = text.value or ""
    store.set_comments(texts)
    return NOTHING


@functions.builtin("setTableComment", "table, comment")
def set_table_comment(table: Value, comment: Value) -> Nothing:
    """A note on a stored table, which `schema` shows."""
    store, text = _store(table), text_argument(comment, "comment")
    if len(text.encode()) > _COMMENT_BYTES:
        raise CallError(f"comment must have at most {_COMMENT_BYTES} bytes.")
    store.set_comment(text)
    return NOTHING
