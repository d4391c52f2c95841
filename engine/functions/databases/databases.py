"""Databases: creating, opening, listing and dropping them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from engine.arguments import choice_argument, integer_argument, is_omitted, text_argument
from engine.context import Context
from engine.errors import CallError, UnsupportedError
from engine.functions.files.paths import writable
from engine.functions.registry import Registry
from engine.storage.access import Scheme, database_handle, database_of, has_right, require_right, require_user
from engine.storage.databases import ENGINES, PREFIX, Database, Databases
from engine.storage.disk_tables import DiskDatabase
from engine.storage.partitions import (
    COMPO,
    HASH,
    LIST,
    RANGE,
    SEQ,
    VALUE,
    HashLevel,
    Level,
    ListLevel,
    RangeLevel,
    ValueLevel,
)
from engine.types import INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Dictionary,
    Handle,
    Nothing,
    Scalar,
    Value,
    Vector,
    boolean,
    elements,
    string,
    vector,
)

functions = Registry()

_SCHEME_TYPES = (*INTEGRAL, *TEMPORAL, *LITERAL)
_HASH_TYPES = (*_SCHEME_TYPES, Type.UUID, Type.IPADDR, Type.INT128)


@functions.builtin(
    "database",
    "[directory], [partitionType], [partitionScheme], [locations], [engine='OLAP'], [atomic='TRANS'], "
    "[chunkGranularity='TABLE']",
    context=True,
)
def database(
    context: Context,
    directory: Value = NOTHING,
    partition_type: Value = NOTHING,
    scheme: Value = NOTHING,
    locations: Value = NOTHING,
    engine: Value = NOTHING,
    atomic: Value = NOTHING,
    granularity: Value = NOTHING,
) -> Handle:
    """Open a database, or create it when a partition scheme is given; without a directory a scheme only."""
    url = text_argument(directory, "directory", "")
    if not is_omitted(locations):
        raise UnsupportedError("Placing partitions on nodes (locations)")
    if is_omitted(partition_type):
        if not url:
            return database_handle(Scheme([]))
        if not url.startswith(PREFIX):
            require_user(context.session, "reach files")
            return database_handle(DiskDatabase(writable(context, url)))
        return database_handle(context.node.databases.get(url))
    if is_omitted(scheme):
        raise CallError("partitionScheme must be given together with partitionType.")
    levels = _levels(integer_argument(partition_type, "partitionType"), scheme)
    if not url:
        return database_handle(Scheme(levels))
    _check_url(url)
    require_user(context.session, "create databases")
    require_right(context.session, "DB_MANAGE", url.rstrip("/"))
    kind = choice_argument(engine, "engine", (*ENGINES, "IMOLTP", "VECTORDB", "TEXTDB", "IOTDB"), "OLAP")
    if kind not in ENGINES:
        raise UnsupportedError(f"The storage engine {kind}")
    choice_argument(granularity, "chunkGranularity", ("TABLE", "DATABASE"), "TABLE")
    atomicity = choice_argument(atomic, "atomic", ("TRANS", "CHUNK"), "TRANS")
    made = context.node.databases.create(url, levels, kind, atomicity, context.session.acting_user)
    return database_handle(made)


def _check_url(url: str) -> None:
    if not url.startswith(PREFIX):
        raise UnsupportedError(
            f'A partitioned database outside of dfs:// ([{url}]); write database("dfs://name", ...). It'
        )


def _levels(kind: int, scheme: Value) -> list[Level]:
    if kind == COMPO:
        if not isinstance(scheme, AnyVector) or len(scheme) < 2:
            raise CallError("partitionScheme of a COMPO domain must be a tuple of at least 2 database handles.")
        levels: list[Level] = []
        for part in scheme.items:
            target = part.target if isinstance(part, Handle) else None
            if not isinstance(target, Scheme | Database) or len(target.levels) != 1:
                raise CallError("partitionScheme of a COMPO domain must be a tuple of database handles.")
            levels += target.levels
        if len(levels) > 3:
            raise CallError("A COMPO domain has at most 3 levels.")
        return levels
    if kind == SEQ:
        raise UnsupportedError("The partition type SEQ")
    if kind == VALUE:
        column = scheme_vector(scheme)
        return [ValueLevel(column.type, list(dict.fromkeys(raw_scheme(column))))]
    if kind == RANGE:
        column = scheme_vector(scheme)
        bounds = raw_scheme(column)
        if len(bounds) < 2 or any(low >= high for low, high in itertools.pairwise(bounds)):
            raise CallError("partitionScheme of a RANGE domain must be a vector in strictly ascending order.")
        return [RangeLevel(column.type, bounds)]
    if kind == LIST:
        return [_list_level(scheme)]
    if kind == HASH:
        return [_hash_level(scheme)]
    raise CallError("partitionType must be one of VALUE, RANGE, LIST, COMPO, HASH.")


def scheme_vector(scheme: Value) -> Vector:
    if isinstance(scheme, Scalar):
        scheme = vector(scheme.type, [scheme.value], scheme.scale)
    if not isinstance(scheme, Vector) or scheme.type not in _SCHEME_TYPES or scheme.nulls().any() or not len(scheme):
        raise CallError("partitionScheme must be a vector of integers, temporal values or strings without NULL.")
    return Vector(Type.SYMBOL, scheme.data, scheme.symbols) if scheme.type in LITERAL else scheme


def raw_scheme(column: Vector) -> list[Any]:
    if column.type is Type.SYMBOL:
        return [str(text) for text in (column.strings() if column.symbols is not None else column.data)]
    items: list[Any] = column.data.tolist()
    return items


def _list_level(scheme: Value) -> ListLevel:
    if not isinstance(scheme, AnyVector | ArrayVector) or not len(scheme):
        raise CallError("partitionScheme of a LIST domain must be a tuple of vectors or scalars.")
    columns = [scheme_vector(part) for part in elements(scheme)]
    if len({column.type for column in columns}) != 1:
        raise CallError("The elements of the partitionScheme of a LIST domain must have the same type.")
    return ListLevel(columns[0].type, [raw_scheme(column) for column in columns])


def _hash_level(scheme: Value) -> HashLevel:
    parts: list[Value] = list(elements(scheme)) if isinstance(scheme, Vector | AnyVector) else []
    if len(parts) != 2:
        raise CallError("partitionScheme of a HASH domain must be a data type and the number of partitions.")
    code, buckets = integer_argument(parts[0], "partitionScheme"), integer_argument(parts[1], "partitionScheme")
    if code not in [int(type_) for type_ in _HASH_TYPES] or not 0 < buckets <= 65536:
        raise CallError("partitionScheme of a HASH domain must be a data type and the number of partitions.")
    return HashLevel(Type(code), buckets)


@functions.builtin("existsDatabase", "dbUrl", context=True)
def exists_database(context: Context, url: Value) -> Scalar:
    databases: Databases = context.node.databases
    return boolean(databases.exists(text_argument(url, "dbUrl")))


@functions.builtin("dropDatabase", "directory", context=True)
def drop_database(context: Context, directory: Value) -> Nothing:
    target = database_of(directory, context.node.databases)
    require_right(context.session, "DB_MANAGE", target.url)
    context.node.databases.drop(target.url)
    context.node.catalogs.forget_database(target.url)
    return NOTHING


@functions.builtin("getClusterDFSDatabases", "[includeSysDb=true]", context=True)
def get_cluster_dfs_databases(context: Context, _system: Value = NOTHING) -> Vector:
    return vector(Type.STRING, context.node.databases.urls())


@functions.builtin("getDFSDatabases", "", context=True)
def get_dfs_databases(context: Context) -> Vector:
    return vector(Type.STRING, context.node.databases.urls())


@functions.builtin("getDFSDatabasesByOwner", "user", context=True)
def get_dfs_databases_by_owner(context: Context, user: Value) -> Vector:
    databases: Databases = context.node.databases
    name = text_argument(user, "user")
    return vector(Type.STRING, [url for url in databases.urls() if databases.get(url).owner == name])


@functions.builtin("getTables", "dbHandle", context=True)
def get_tables(context: Context, handle: Value) -> Vector:
    if not isinstance(handle, Handle):
        raise CallError('dbHandle must be a database handle; for a path use getDFSTablesByDatabase("dfs://...").')
    if isinstance(handle.target, DiskDatabase):
        return vector(Type.STRING, handle.target.tables())
    return vector(Type.STRING, _visible(context, database_of(handle, context.node.databases)))


def _visible(context: Context, target: Database) -> list[str]:
    """The tables of a database the user may read."""
    return [name for name in sorted(target.tables) if has_right(context.session, "TABLE_READ", target.url, name)]


@functions.builtin("getDFSTablesByDatabase", "directory", context=True)
def get_dfs_tables_by_database(context: Context, directory: Value) -> Vector:
    target = database_of(directory, context.node.databases)
    return vector(Type.STRING, [f"{target.url}/{name}" for name in _visible(context, target)])


@functions.builtin("getClusterDFSTables", "[includeSysTable=true]", context=True)
def get_cluster_dfs_tables(context: Context, _system: Value = NOTHING) -> Vector:
    databases: Databases = context.node.databases
    return vector(
        Type.STRING, [f"{url}/{name}" for url in databases.urls() for name in _visible(context, databases.get(url))]
    )


@functions.builtin("getAllDBs", "", context=True)
def get_all_databases(context: Context) -> Dictionary:
    """The tables of the databases the user manages: name, number, whether it was dropped, and name in storage."""
    databases: Databases = context.node.databases
    managed = [databases.get(url) for url in databases.urls() if has_right(context.session, "DB_MANAGE", url)]
    return _by_name(
        {
            each: "".join(f"{name}:{number}:0:{name};" for number, name in enumerate(sorted(each.tables), 1))
            for each in managed
        }
    )


@functions.builtin("getAllDBGranularity", "", context=True)
def get_all_database_granularity(context: Context) -> Dictionary:
    """TABLE for every database: partitions of tables are stored apart."""
    databases: Databases = context.node.databases
    return _by_name({databases.get(url): "TABLE" for url in databases.urls()})


def _by_name(texts: Mapping[Database, str]) -> Dictionary:
    entries = {"/" + each.url.removeprefix(PREFIX): string(text) for each, text in texts.items()}
    return Dictionary(Type.STRING, Type.STRING, dict(entries), ordered=True)
