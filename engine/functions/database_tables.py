"""Tables in databases: creating, opening, writing to and dropping them."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any

from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted, text_argument
from engine.cast import cast
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.registry import Registry
from engine.functions.tabular import listing
from engine.sql.source import Conjunct
from engine.storage.access import OpenTable, Scheme, database_of, require_user, table_handle
from engine.storage.databases import PREFIX, Database, Databases
from engine.storage.tables import ColumnSchema, Partition, TableSchema, TableStore
from engine.types import INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    elements,
    take,
)

functions = Registry()

_KEEP = ("ALL", "LAST", "FIRST")


def names_argument(value: Value, name: str) -> list[str]:
    """One name or several."""
    if is_omitted(value):
        return []
    if isinstance(value, Vector) and value.type in LITERAL:
        return [str(text) for text in value.strings().tolist()]
    if isinstance(value, AnyVector):
        return [text_argument(item, name) for item in value.items]
    return [text_argument(value, name)]


def _template(value: Value, name: str) -> list[ColumnSchema]:
    """The columns of the table a new one is modelled on."""
    if isinstance(value, AnyVector) and value.items:
        value = value.items[0]
    if isinstance(value, Handle) and isinstance(value.target, OpenTable):
        return [ColumnSchema(**vars(column)) for column in value.target.store.schema.columns]
    if not isinstance(value, Table):
        raise CallError(f"{name} must be a table.")
    columns = []
    for column_name, column in zip(value.names, value.columns, strict=True):
        if isinstance(column, AnyVector):
            raise ScriptError(f"The column [{column_name}] is a tuple; a table in a database can't hold one.")
        flat = column.flat if isinstance(column, ArrayVector) else column
        columns.append(ColumnSchema(0, column_name, flat.type, flat.scale, isinstance(column, ArrayVector)))
    return columns


def _keep(value: Value) -> str:
    if isinstance(value, Scalar) and isinstance(value.value, int):
        return _KEEP[value.value] if 0 <= value.value < 3 else "ALL"
    return choice_argument(value, "keepDuplicates", _KEEP, "ALL")


def _spelled(columns: Sequence[ColumnSchema], names: Sequence[str], what: str) -> list[str]:
    """Names as the columns spell them."""
    spelled = {column.name.lower(): column.name for column in columns}
    for name in names:
        if name.lower() not in spelled:
            raise ScriptError(f"The column [{name}] in {what} does not exist.")
    return [spelled[name.lower()] for name in names]


def _table_schema(
    context: Context,
    target: Database,
    columns: list[ColumnSchema],
    partition_columns: list[str],
    sort_columns: Value,
    primary_key: Value,
    keep: Value,
) -> TableSchema:
    sort, key = names_argument(sort_columns, "sortColumns"), names_argument(primary_key, "primaryKey")
    partitions = _spelled(columns, partition_columns, "partitionColumns")
    if target.engine == "PKEY":
        sort, key = [], key or sort
        if not key:
            raise CallError("primaryKey must be given for a table of the PKEY engine.")
        if not {name.lower() for name in partitions} <= {name.lower() for name in key}:
            raise CallError("primaryKey must contain the partitioning columns.")
    elif key:
        raise CallError("primaryKey is for tables of the PKEY engine only.")
    if target.engine == "OLAP" and sort:
        raise CallError("sortColumns is for tables of the TSDB engine only.")
    if target.engine == "TSDB":
        if not sort and partitions:
            raise CallError("sortColumns must be given for a table of the TSDB engine.")
        types = {column.name: column.type for column in columns}
        sort = _spelled(columns, sort, "sortColumns")
        if sort and types[sort[-1]] not in (*TEMPORAL, *INTEGRAL, Type.BOOL) and partitions:
            raise CallError("The last column of sortColumns must be of a temporal or integral type.")
    kept = _keep(keep)
    if kept != "ALL" and target.engine != "TSDB":
        raise CallError("keepDuplicates is for tables of the TSDB engine only.")
    key = _spelled(columns, key, "primaryKey")
    return TableSchema(columns, partitions, sort, key, kept, context.session.user)


@functions.builtin(
    "createPartitionedTable",
    "dbHandle, table, tableName, [partitionColumns], [compressMethods], [sortColumns], [keepDuplicates], "
    "[sortKeyMappingFunction], [softDelete], [indexes], [latestKeyCache], [compressHashSortKey], [encryptMode], "
    "[primaryKey]",
    context=True,
)
def create_partitioned_table(
    context: Context,
    handle: Value,
    table: Value,
    name: Value,
    partition_columns: Value = NOTHING,
    _compression: Value = NOTHING,
    sort_columns: Value = NOTHING,
    keep: Value = NOTHING,
    _sort_key_mapping: Value = NOTHING,
    _soft_delete: Value = NOTHING,
    indexes: Value = NOTHING,
    _latest_key_cache: Value = NOTHING,
    _compress_hash_key: Value = NOTHING,
    encryption: Value = NOTHING,
    primary_key: Value = NOTHING,
) -> Value:
    """Settings of speed and size alone (compression, mapped sort keys, caches) are accepted and have no effect."""
    _refuse_special(indexes, encryption)
    columns = _template(table, "table")
    if isinstance(handle, Handle) and isinstance(handle.target, Scheme):
        source = table.items[0] if isinstance(table, AnyVector) else table
        if not isinstance(source, Table):
            raise CallError("table must be a table.")
        return Table(list(source.names), [take(column, slice(0, 0)) for column in source.columns])
    target = database_of(handle, context.node.databases)
    require_user(context.session, "create tables")
    partitions = names_argument(partition_columns, "partitionColumns")
    if len(partitions) != len(target.levels):
        raise CallError(f"partitionColumns must name {len(target.levels)} column(s), one per level of the database.")
    schema = _table_schema(context, target, columns, partitions, sort_columns, primary_key, keep)
    _check_partition_columns(schema, target)
    return table_handle(target.create_table(text_argument(name, "tableName"), schema), context.session)


def _check_partition_columns(schema: TableSchema, target: Database) -> None:
    """Whether the partitioning columns go with the scheme of the database."""
    columns = {column.name: column for column in schema.columns}
    for name, level in zip(schema.partition_columns, target.levels, strict=True):
        column = columns[name]
        if column.is_array:
            raise ScriptError(f"The partitioning column [{name}] can't be an array vector.")
        families = ((*INTEGRAL, Type.BOOL), TEMPORAL, LITERAL)
        alike = any(column.type in family and level.type in family for family in families)
        if not alike and column.type is not level.type:
            raise ScriptError(
                f"The data type {column.type.name} of the partitioning column [{name}] doesn't match the "
                f"partition scheme of type {level.type.name}."
            )


def _refuse_special(indexes: Value, encryption: Value) -> None:
    if not is_omitted(indexes):
        text = str(indexes)
        if "vectorindex" in text or "textindex" in text:
            raise UnsupportedError("A vector or text index")
    if text_argument(encryption, "encryptMode", "plaintext") != "plaintext":
        raise UnsupportedError("An encrypted table (encryptMode)")


@functions.builtin(
    "createDimensionTable",
    "dbHandle, table, tableName, [compressMethods], [sortColumns], [keepDuplicates], [softDelete], [indexes], "
    "[encryptMode], [primaryKey]",
    context=True,
    aliases=("createTable",),
)
def create_dimension_table(
    context: Context,
    handle: Value,
    table: Value,
    name: Value,
    _compression: Value = NOTHING,
    sort_columns: Value = NOTHING,
    keep: Value = NOTHING,
    _soft_delete: Value = NOTHING,
    indexes: Value = NOTHING,
    encryption: Value = NOTHING,
    primary_key: Value = NOTHING,
) -> Value:
    _refuse_special(indexes, encryption)
    columns = _template(table, "table")
    if isinstance(handle, Handle) and isinstance(handle.target, Scheme) and isinstance(table, Table):
        return Table(list(table.names), [take(column, slice(0, 0)) for column in table.columns])
    target = database_of(handle, context.node.databases)
    require_user(context.session, "create tables")
    schema = _table_schema(context, target, columns, [], sort_columns, primary_key, keep)
    return table_handle(target.create_table(text_argument(name, "tableName"), schema), context.session)


@functions.builtin("loadTable", "database, tableName, [partitions], [memoryMode=false]", context=True)
def load_table(
    context: Context, database: Value, name: Value, partitions: Value = NOTHING, memory: Value = NOTHING
) -> Handle:
    if not is_omitted(partitions):
        raise ScriptError("Partitions of a DFS table can't be loaded: select them with a where clause.")
    boolean_argument(memory, "memoryMode", False)
    target = database_of(database, context.node.databases)
    return table_handle(target.table(text_argument(name, "tableName")), context.session)


@functions.builtin("existsTable", "dbUrl, tableName", context=True)
def exists_table(context: Context, url: Value, name: Value) -> Scalar:
    databases: Databases = context.node.databases
    if isinstance(url, Handle):
        return boolean(text_argument(name, "tableName") in database_of(url, databases).tables)
    path = text_argument(url, "dbUrl")
    return boolean(databases.exists(path) and text_argument(name, "tableName") in databases.get(path).tables)


@functions.builtin("dropTable", "dbHandle, tableName", context=True)
def drop_table(context: Context, handle: Value, name: Value) -> Nothing:
    require_user(context.session, "drop tables")
    database_of(handle, context.node.databases).drop_table(text_argument(name, "tableName"))
    return NOTHING


@functions.builtin("renameTable", "dbHandle, tableName, newTableName", context=True)
def rename_table(context: Context, handle: Value, name: Value, new_name: Value) -> Nothing:
    require_user(context.session, "rename tables")
    target = database_of(handle, context.node.databases)
    target.rename_table(text_argument(name, "tableName"), text_argument(new_name, "newTableName"))
    return NOTHING


@functions.builtin("truncate", "dbUrl, tableName", context=True)
def truncate(context: Context, url: Value, name: Value) -> Nothing:
    require_user(context.session, "truncate tables")
    database_of(url, context.node.databases).table(text_argument(name, "tableName")).truncate()
    return NOTHING


@functions.builtin(
    "dropPartition", "dbHandle, partitionPaths, [tableName], [forceDelete=false], [deleteSchema=false]", context=True
)
def drop_partition(
    context: Context,
    handle: Value,
    partitions: Value,
    name: Value = NOTHING,
    force: Value = NOTHING,
    delete_schema: Value = NOTHING,
) -> Nothing:
    """Partitions by path (`/20240101/Key3`) or by values of the partitioning columns."""
    require_user(context.session, "drop partitions")
    boolean_argument(force, "forceDelete", False)
    if boolean_argument(delete_schema, "deleteSchema", False):
        raise UnsupportedError("Removing partitions from the scheme (deleteSchema)")
    target = database_of(handle, context.node.databases)
    stores = [target.table(text_argument(name, "tableName"))] if not is_omitted(name) else list(target.tables.values())
    for store in stores:
        if store.is_partitioned:
            store.remove(_named_partitions(store, partitions))
    return NOTHING


def _named_partitions(store: TableStore, wanted: Value) -> list[Partition]:
    there = list(store.partition_rows())
    texts = names_argument(wanted, "partitionPaths") if _is_text(wanted) else []
    if texts and all(text.startswith("/") for text in texts):
        paths = {text.rstrip("/") for text in texts}
        return [key for key in there if store.partition_path(key) in paths]
    filters = wanted.items if isinstance(wanted, AnyVector) else [wanted]
    if len(filters) > len(store.levels):
        raise CallError("partitionPaths has more conditions than there are partition levels.")
    keys = set(there)
    for position, condition in enumerate(filters):
        values = [] if is_omitted(condition) else _scalars(condition)
        if not values:
            continue
        column = store.column(store.schema.partition_columns[position])
        allowed: set[int] = set()
        for value in values:
            converted = cast(value, column.type) if _finer(value.type, column.type) else value
            assert isinstance(converted, Scalar)
            found = store.levels[position].candidates(Conjunct(column.name, "==", converted), column.type)
            allowed |= {key[position] for key in there} if found is None else found
        keys = {key for key in keys if key[position] in allowed}
    return [key for key in there if key in keys]


def _finer(given: Type, declared: Type) -> bool:
    return given is not declared and given not in LITERAL and given not in TEMPORAL


def _is_text(value: Value) -> bool:
    return isinstance(value, Scalar | Vector) and value.type in LITERAL


def _scalars(value: Value) -> list[Scalar]:
    items: list[Any] = list(elements(value)) if isinstance(value, Vector | AnyVector) else [value]
    return [item for item in items if isinstance(item, Scalar)]


@functions.builtin("existsPartition", "path, [tableName]", context=True)
def exists_partition(context: Context, path: Value, name: Value = NOTHING) -> Scalar:
    databases: Databases = context.node.databases
    text = text_argument(path, "path").rstrip("/")
    for url in sorted(databases.urls(), key=len, reverse=True):
        if text.startswith(url + "/"):
            stores = databases.get(url).tables.values()
            wanted = text_argument(name, "tableName", "")
            rest = text.removeprefix(url)
            return boolean(
                any(
                    store.partition_path(key) == rest
                    for store in stores
                    if store.is_partitioned and wanted in ("", store.name)
                    for key in store.partition_rows()
                )
            )
    return boolean(False)


@functions.builtin("getTabletsMeta", "[chunkPath], [tableName], [diskUsage=false], [top=1024]", context=True)
def get_tablets_meta(
    context: Context, path: Value = NOTHING, name: Value = NOTHING, usage: Value = NOTHING, top: Value = NOTHING
) -> Table:
    """The partitions that have rows."""
    pattern = text_argument(path, "chunkPath", "")
    wanted = text_argument(name, "tableName", "")
    limit = integer_argument(top, "top", 1024)
    boolean_argument(usage, "diskUsage", False)
    rows: list[tuple[str, str, str, int, int]] = []
    databases: Databases = context.node.databases
    for url in databases.urls():
        for store in databases.get(url).tables.values():
            for key, count in store.partition_rows().items():
                part = store.partition_path(key) if store.is_partitioned else f"/{store.name}"
                dfs_path = "/" + url.removeprefix(PREFIX) + part
                if (not pattern or _like(dfs_path, pattern)) and wanted in ("", store.name):
                    rows.append((str(store.folder), dfs_path, store.name, store.version, count))
    rows = rows if limit < 0 else rows[:limit]
    ids = [uuid.UUID(bytes=hashlib.md5(f"{r[1]}\0{r[2]}".encode(), usedforsecurity=False).digest()) for r in rows]
    return listing(
        ("chunkId", Type.UUID, [each.bytes[::-1] for each in ids]),
        ("path", Type.STRING, [row[0] for row in rows]),
        ("dfsPath", Type.STRING, [row[1] for row in rows]),
        ("tableName", Type.SYMBOL, [row[2] for row in rows]),
        ("version", Type.INT, [row[3] for row in rows]),
        ("rowNum", Type.LONG, [row[4] for row in rows]),
    )


def _like(path: str, pattern: str) -> bool:
    translated = "".join(".*" if c in "*%" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(translated, path) is not None
