"""Tables in databases: creating, opening, writing to and dropping them."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.script import syntax
from engine.arguments import boolean_argument, choice_argument, is_omitted, names_argument, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.databases.disk_tables import disk_database
from engine.functions.files.paths import writable
from engine.functions.registry import Registry
from engine.rights import TABLE_RIGHTS
from engine.storage.access import OpenTable, Scheme, database_of, has_right, require_right, table_handle
from engine.storage.databases import Database, Databases
from engine.storage.disk_tables import DiskDatabase
from engine.storage.table_schema import ColumnSchema, TableSchema
from engine.types import INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Code,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    boolean,
    take,
)

functions = Registry()

_KEEP = ("ALL", "LAST", "FIRST")


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
    return TableSchema(columns, partitions, sort, key, kept, context.session.acting_user)


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
    require_right(context.session, "DBOBJ_CREATE", target.url)
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
    require_right(context.session, "DBOBJ_CREATE", target.url)
    schema = _table_schema(context, target, columns, [], sort_columns, primary_key, keep)
    return table_handle(target.create_table(text_argument(name, "tableName"), schema), context.session)


@functions.builtin("loadTable", "database, tableName, [partitions], [memoryMode=false]", context=True)
def load_table(
    context: Context, database: Value, name: Value, partitions: Value = NOTHING, memory: Value = NOTHING
) -> Handle | Table:
    """A table of a database; one of a folder is read into memory."""
    if not is_omitted(partitions):
        raise ScriptError("Partitions of a DFS table can't be loaded: select them with a where clause.")
    boolean_argument(memory, "memoryMode", False)
    folder = disk_database(context, database)
    if folder is not None:
        return folder.load(text_argument(name, "tableName"))
    target = database_of(database, context.node.databases)
    store = target.table(text_argument(name, "tableName"))
    if not any(has_right(context.session, right, target.url, store.name) for right in TABLE_RIGHTS):
        require_right(context.session, "TABLE_READ", target.url, store.name)
    return table_handle(store, context.session)


@functions.builtin("existsTable", "dbUrl, tableName", context=True)
def exists_table(context: Context, url: Value, name: Value) -> Scalar:
    databases: Databases = context.node.databases
    folder = disk_database(context, url)
    if folder is not None:
        return boolean(folder.exists(text_argument(name, "tableName")))
    if isinstance(url, Handle):
        return boolean(text_argument(name, "tableName") in database_of(url, databases).tables)
    path = text_argument(url, "dbUrl")
    return boolean(databases.exists(path) and text_argument(name, "tableName") in databases.get(path).tables)


@functions.builtin("dropTable", "dbHandle, tableName", context=True)
def drop_table(context: Context, handle: Value, name: Value) -> Nothing:
    if isinstance(handle, Handle) and isinstance(handle.target, DiskDatabase):
        DiskDatabase(writable(context, str(handle.target.folder))).drop(text_argument(name, "tableName"))
        return NOTHING
    target = database_of(handle, context.node.databases)
    require_right(context.session, "DBOBJ_DELETE", target.url)
    target.drop_table(text_argument(name, "tableName"))
    return NOTHING


@functions.builtin("renameTable", "dbHandle, tableName, newTableName", context=True)
def rename_table(context: Context, handle: Value, name: Value, new_name: Value) -> Nothing:
    target = database_of(handle, context.node.databases)
    require_right(context.session, "DBOBJ_CREATE", target.url)
    target.rename_table(text_argument(name, "tableName"), text_argument(new_name, "newTableName"))
    return NOTHING


@functions.builtin("truncate", "dbUrl, tableName", context=True)
def truncate(context: Context, url: Value, name: Value) -> Nothing:
    store = database_of(url, context.node.databases).table(text_argument(name, "tableName"))
    require_right(context.session, "TABLE_DELETE", store.database, store.name)
    store.truncate()
    return NOTHING


@functions.builtin("loadTableBySQL", "sql", context=True)
def load_table_by_query(context: Context, query: Value) -> Value:
    """What a query of filters and columns selects of a stored table, in memory."""
    node = query.node if isinstance(query, Code) else None
    if not isinstance(node, syntax.Select):
        raise CallError("sql must be the code of a query, such as <select * from t>.")
    if node.grouping or node.pivot or node.order or node.top or node.limit:
        raise CallError("the query must have no top, group by, context by, pivot by, order by or limit clause.")
    return context.evaluate(node)


@functions.builtin("savePartition", "dbHandle, table, tableName, [compression=true]", context=True)
def save_partition(
    context: Context, handle: Value, table: Value, name: Value, _compression: Value = NOTHING
) -> Nothing:
    """Add the rows of a table in memory to a partitioned table."""
    if not isinstance(table, Table):
        raise CallError("table must be a table in memory.")
    store = database_of(handle, context.node.databases).table(text_argument(name, "tableName"))
    require_right(context.session, "TABLE_INSERT", store.database, store.name)
    store.append(table)
    return NOTHING
