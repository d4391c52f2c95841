"""`sqlDS` and `mr`: a query taken apart by partitions, and functions over the parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

from dolphin.script import syntax
from engine.arguments import boolean_argument, function_argument, is_omitted
from engine.context import Context
from engine.embedded import Embedded
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.source import source_of
from engine.sql.pruning import need_of
from engine.sql.resolve import default_alias
from engine.storage.access import OpenTable, opened_table, require_right
from engine.storage.databases import PREFIX
from engine.storage.tables import Partition
from engine.values import NOTHING, AnyVector, Code, Handle, Value

functions = Registry()


@dataclass(frozen=True, eq=False)
class DataSource:
    """A query on one partition of a stored table, or on a table in memory (no partition)."""

    query: syntax.Select
    table: OpenTable | None = None
    partition: Partition | None = None
    alias: str | None = None


@functions.builtin("sqlDS", "sqlObj, [forcePartition=false]", context=True)
def sql_data_sources(context: Context, code: Value, force: Value = NOTHING) -> AnyVector:
    """One data source for each partition the query would read."""
    forced = boolean_argument(force, "forcePartition", False)
    query = code.node if isinstance(code, Code) else None
    if isinstance(query, syntax.ExpressionStatement):
        query = query.value
    if not isinstance(query, syntax.Select) or not isinstance(query.source, syntax.Source):
        raise CallError("sqlObj must be the metacode of a query of one table: <select ... from ...>.")
    value = context.evaluate(query.source.value)
    opened = opened_table(value)
    text = source_of(query)
    if opened is None or not opened.store.is_partitioned:
        return AnyVector([Handle("DATASOURCE", f"DataSource< {text} >", DataSource(query))])
    if not forced:
        _check_can_be_split(query, opened)
    store = opened.store
    need = need_of([item for item in query.items if item.value is not None], query.where, context.evaluate)
    keys = store.candidates(need.conjuncts_of(store.names, query.source.alias))
    folder = store.database.removeprefix(PREFIX)
    return AnyVector(
        [
            Handle(
                "DATASOURCE",
                f"DataSource< {text} [partition = /{folder}{store.partition_path(key)}] >",
                DataSource(query, opened, key, query.source.alias or default_alias(query.source.value)),
            )
            for key in keys
        ]
    )


@functions.builtin("mr", "ds, mapFunc, [reduceFunc], [finalFunc], [parallel=true]", context=True)
def map_reduce(
    context: Context,
    sources: Value,
    mapping: Value,
    reduction: Value = NOTHING,
    final: Value = NOTHING,
    parallel: Value = NOTHING,
) -> Value:
    """`mapFunc` of the rows of every data source, one after the other, reduced and finished."""
    boolean_argument(parallel, "parallel", True)
    items = sources.items if isinstance(sources, AnyVector) else [sources]
    if not items or not all(isinstance(item, Handle) and isinstance(item.target, DataSource) for item in items):
        raise CallError("ds must be a tuple of data sources, as sqlDS gives them.")
    function = function_argument(mapping, "mapFunc")
    results: list[Value] = []
    for item in items:
        context.check()
        assert isinstance(item, Handle)
        results.append(context.call(function, [rows_of_source(context, item.target)]))
    result: Value = AnyVector(results)
    if not is_omitted(reduction):
        combine = function_argument(reduction, "reduceFunc")
        result = reduce(lambda left, right: context.call(combine, [left, right]), results)
    return result if is_omitted(final) else context.call(function_argument(final, "finalFunc"), [result])


def rows_of_source(context: Context, source: DataSource) -> Value:
    """The result of the query of a data source."""
    if source.table is None or source.partition is None:
        return context.evaluate(source.query)
    assert isinstance(source.query.source, syntax.Source)
    opened = source.table
    require_right(opened.session, "TABLE_READ", opened.store.database, opened.store.name)
    table = opened.store.read_partition(source.partition)
    part = replace(source.query.source, value=Embedded(table, span=source.query.span), alias=source.alias)  # type: ignore[arg-type]
    return context.evaluate(replace(source.query, source=part))


def _check_can_be_split(query: syntax.Select, table: OpenTable) -> None:
    partitioning = {name.lower() for name in table.store.schema.partition_columns}
    reason = None
    if query.order:
        reason = "order by"
    elif query.top is not None or query.limit is not None:
        reason = "top or limit"
    elif query.grouping is not None and query.grouping.kind != "context":
        keys = {item.value.id.lower() for item in query.grouping.keys if isinstance(item.value, syntax.Name)}
        if not partitioning & keys:
            reason = "group by off the partitioning columns"
    if reason is not None:
        raise ScriptError(f"The query can't be split by partitions because of {reason}. Set forcePartition to true.")
