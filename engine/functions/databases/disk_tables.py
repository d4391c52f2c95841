"""Saving tables to folders, without partitions and without rights of their own."""

from __future__ import annotations

from engine.arguments import boolean_argument, is_omitted, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.forms import concat
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.storage.databases import PREFIX
from engine.storage.disk_tables import DiskDatabase
from engine.values import NOTHING, Handle, Nothing, Scalar, Table, Value

functions = Registry()


def disk_database(context: Context, value: Value) -> DiskDatabase | None:
    """The folder behind a handle or a path; None for databases of dfs://."""
    if isinstance(value, Handle):
        return value.target if isinstance(value.target, DiskDatabase) else None
    if isinstance(value, Scalar) and isinstance(value.value, str) and not value.value.startswith(PREFIX):
        return DiskDatabase(readable(context, value.value))
    return None


def _handle(context: Context, value: Value) -> DiskDatabase:
    target = disk_database(context, value)
    if target is None or not isinstance(value, Handle):
        raise CallError(
            'dbHandle must be the handle of a folder, such as database("folder"); tables of dfs:// are made '
            "with createPartitionedTable or createDimensionTable."
        )
    return DiskDatabase(writable(context, str(target.folder)))


@functions.builtin("saveTable", "dbHandle, table, [tableName], [append=false], [compression=false]", context=True)
def save_table(
    context: Context,
    handle: Value,
    table: Value,
    name: Value = NOTHING,
    append: Value = NOTHING,
    _compression: Value = NOTHING,
) -> Nothing:
    """Write a table to a folder, or add its rows to the one that is there."""
    target = _handle(context, handle)
    if not isinstance(table, Table):
        raise CallError("table must be a table in memory.")
    wanted = table.name or table.shared_as or "" if is_omitted(name) else text_argument(name, "tableName")
    if not wanted:
        raise CallError("tableName must be given for a table that is not a variable.")
    if boolean_argument(append, "append", False) and target.exists(wanted):
        table = _joined(target.load(wanted), table)
    target.save(wanted, Table(list(table.names), list(table.columns)))
    return NOTHING


def _joined(there: Table, added: Table) -> Table:
    if len(there.columns) != len(added.columns):
        raise ScriptError("The number of columns must be the same as that of the saved table.")
    return Table(there.names, [concat([old, new]) for old, new in zip(there.columns, added.columns, strict=True)])


@functions.builtin("saveDatabase", "dbHandle", context=True)
def save_database(context: Context, handle: Value) -> Nothing:
    """Make the folder of a database."""
    _handle(context, handle).folder.mkdir(parents=True, exist_ok=True)
    return NOTHING
