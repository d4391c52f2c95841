"""Partitions: adding, listing and dropping them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

from engine.arguments import boolean_argument, integer_argument, is_omitted, names_argument, text_argument
from engine.cast import cast, cast_vector
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.databases.databases import raw_scheme, scheme_vector
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing
from engine.operators.membership import like_pattern
from engine.server_node import ALIAS
from engine.sql.source import Conjunct
from engine.storage.access import database_of, has_right, require_right
from engine.storage.databases import PREFIX, Database, Databases
from engine.storage.partitions import Level
from engine.storage.tables import Partition, TableStore
from engine.types import LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    elements,
    integer,
)

functions = Registry()


@functions.builtin("addValuePartitions", "dbHandle, newValues, [level=0], [locations]", context=True)
def add_value_partitions(
    context: Context, handle: Value, values: Value, level: Value = NOTHING, locations: Value = NOTHING
) -> Scalar:
    """Returns how many values were given."""
    target, position = _level(context, handle, level, locations)
    column = _like_scheme(scheme_vector(values), target.levels[position], "newValues")
    target.add_values(raw_scheme(column), position)
    return integer(len(column))


@functions.builtin("addRangePartitions", "dbHandle, newRanges, [level=0], [locations]", context=True)
def add_range_partitions(
    context: Context, handle: Value, ranges: Value, level: Value = NOTHING, locations: Value = NOTHING
) -> Scalar:
    """Ranges after the last one; returns how many were added."""
    target, position = _level(context, handle, level, locations)
    column = _like_scheme(scheme_vector(ranges), target.levels[position], "newRanges")
    target.add_ranges(raw_scheme(column), position)
    return integer(len(column) - 1)


def _level(context: Context, handle: Value, level: Value, locations: Value) -> tuple[Database, int]:
    if not is_omitted(locations):
        raise UnsupportedError("Placing partitions on nodes (locations)")
    target = database_of(handle, context.node.databases)
    require_right(context.session, "DB_MANAGE", target.url)
    position = integer_argument(level, "level", 0)
    if not 0 <= position < len(target.levels):
        raise CallError(f"level must be between 0 and {len(target.levels) - 1}.")
    return target, position


def _like_scheme(column: Vector, level: Level, name: str) -> Vector:
    if column.type is level.type:
        return column
    if Type.SYMBOL in (column.type, level.type):
        raise ScriptError(f"{name} must be of type {level.type.name}.")
    return cast_vector(column, level.type)


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
    boolean_argument(force, "forceDelete", False)
    if boolean_argument(delete_schema, "deleteSchema", False):
        raise UnsupportedError("Removing partitions from the scheme (deleteSchema)")
    target = database_of(handle, context.node.databases)
    stores = [target.table(text_argument(name, "tableName"))] if not is_omitted(name) else list(target.tables.values())
    for store in stores:
        require_right(context.session, "TABLE_DELETE", target.url, store.name)
        if store.is_partitioned:
            store.remove(named_partitions(store, partitions))
    return NOTHING


def named_partitions(store: TableStore, wanted: Value) -> list[Partition]:
    """The partitions with rows that paths or conditions name."""
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


def _tablets(context: Context, path: Value, name: str) -> Iterator[tuple[TableStore, str, int]]:
    """Tables with the paths and rows of their partitions that have rows."""
    pattern = text_argument(path, "chunkPath", "")
    databases: Databases = context.node.databases
    for url in databases.urls():
        for store in list(databases.get(url).tables.values()):
            for key, count in store.partition_rows().items():
                part = store.partition_path(key) if store.is_partitioned else f"/{store.name}"
                dfs_path = "/" + url.removeprefix(PREFIX) + part
                if (not pattern or like_pattern(pattern.replace("*", "%")).fullmatch(dfs_path)) and name in (
                    "",
                    store.name,
                ):
                    yield store, dfs_path, count


def _limited(context: Context, path: Value, name: str, top: Value) -> list[tuple[TableStore, str, int]]:
    limit = integer_argument(top, "top", 1024)
    readable = [
        (store, part, count)
        for store, part, count in _tablets(context, path, name)
        if has_right(context.session, "TABLE_READ", store.database, store.name)
    ]
    return readable if limit < 0 else readable[:limit]


def chunk_id(path: str, table: str) -> bytes:
    """The id of a table's partition, as a raw UUID."""
    digest = hashlib.md5(f"{path}\0{table}".encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest).bytes[::-1]


@functions.builtin("getTabletsMeta", "[chunkPath], [tableName], [diskUsage=false], [top=1024]", context=True)
def get_tablets_meta(
    context: Context, path: Value = NOTHING, name: Value = NOTHING, usage: Value = NOTHING, top: Value = NOTHING
) -> Table:
    if boolean_argument(usage, "diskUsage", False):
        raise UnsupportedError("The disk usage of single partitions (diskUsage)")
    rows = _limited(context, path, text_argument(name, "tableName", ""), top)
    return listing(
        ("chunkId", Type.UUID, [chunk_id(path, store.name) for store, path, _ in rows]),
        ("path", Type.STRING, [str(store.folder) for store, _, _ in rows]),
        ("dfsPath", Type.STRING, [path for _, path, _ in rows]),
        ("tableName", Type.SYMBOL, [store.name for store, _, _ in rows]),
        ("version", Type.INT, [store.version for store, _, _ in rows]),
        ("rowNum", Type.LONG, [count for _, _, count in rows]),
    )


@functions.builtin("getChunksMeta", "[chunkPath], [top=1024]", context=True)
def get_chunks_meta(context: Context, path: Value = NOTHING, top: Value = NOTHING) -> Table:
    rows = _limited(context, path, "", top)
    return listing(
        ("site", Type.STRING, [ALIAS] * len(rows)),
        ("chunkId", Type.UUID, [chunk_id(path, store.name) for store, path, _ in rows]),
        ("path", Type.STRING, [str(store.folder) for store, _, _ in rows]),
        ("dfsPath", Type.STRING, [path for _, path, _ in rows]),
        ("type", Type.INT, [1] * len(rows)),
        ("flag", Type.INT, [0] * len(rows)),
        ("size", Type.LONG, [0] * len(rows)),
        ("version", Type.INT, [store.version for store, _, _ in rows]),
        ("state", Type.INT, [0] * len(rows)),
    )


@functions.builtin("listTables", "dbUrl", context=True)
def list_tables(context: Context, url: Value) -> Table:
    tables = sorted(database_of(url, context.node.databases).tables)
    return listing(("tableName", Type.STRING, tables), ("physicalIndex", Type.STRING, [""] * len(tables)))
