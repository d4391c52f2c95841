"""`share` as a function."""

from __future__ import annotations

from engine.arguments import boolean_argument, is_omitted, text_argument
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.registry import Registry
from engine.values import NOTHING, Nothing, Table, Value

functions = Registry()


@functions.builtin(
    "share", "table, sharedName, [database], [dbName], [partitionColumn], [readonly=false]", context=True
)
def share(
    context: Context,
    table: Value,
    name: Value,
    database: Value = NOTHING,
    database_name: Value = NOTHING,
    partition_column: Value = NOTHING,
    readonly: Value = NOTHING,
) -> Nothing:
    if not all(is_omitted(each) for each in (database, database_name, partition_column)):
        raise UnsupportedError("Sharing shards of a distributed table")
    if boolean_argument(readonly, "readonly", False):
        raise UnsupportedError("Sharing a table read-only")
    if not isinstance(table, Table):
        raise CallError("table must be a table in memory.")
    shared_name = text_argument(name, "sharedName")
    node = context.node
    with node.lock:
        known = node.shared.get(shared_name)
        if known is not None and known is not table:
            raise ScriptError(f"The shared variable [{shared_name}] exists already. Use undef with SHARED first.")
        node.shared[shared_name] = table
        table.shared_as = shared_name
    return NOTHING
