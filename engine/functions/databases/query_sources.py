"""Data sources of queries on stored tables: one for each partition, range or value of a column."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from dolphin.script import syntax
from engine.arguments import boolean_argument, is_omitted, text_argument
from engine.context import Context
from engine.embedded import Embedded
from engine.errors import CallError, ScriptError
from engine.forms import element
from engine.functions.databases.data_sources import data_source
from engine.functions.registry import Registry
from engine.source import source_of
from engine.sql.pruning import need_of
from engine.sql.resolve import default_alias
from engine.storage.access import OpenTable, opened_table, require_right
from engine.storage.columns import stacked
from engine.storage.databases import PREFIX
from engine.storage.partitions import HASH, RANGE, VALUE
from engine.storage.tables import Partition
from engine.types import LITERAL, TEMPORAL, Type
from engine.values import NOTHING, AnyVector, Code, Handle, Scalar, Value, Vector

functions = Registry()


def _query(code: Value, name: str) -> syntax.Select:
    query = code.node if isinstance(code, Code) else None
    if isinstance(query, syntax.ExpressionStatement):
        query = query.value
    if not isinstance(query, syntax.Select) or not isinstance(query.source, syntax.Source):
        raise CallError(f"{name} must be the metacode of a query of one table, such as <select * from t>.")  # noqa: S608
    return query


def _opened(context: Context, query: syntax.Select) -> OpenTable | None:
    assert isinstance(query.source, syntax.Source)
    return opened_table(context.evaluate(query.source.value))


def _whole(context: Context, query: syntax.Select) -> Handle:
    """The query on the table that its name stands for now."""
    assert isinstance(query.source, syntax.Source)
    bound = _on(query, context.evaluate(query.source.value))
    return data_source(source_of(query), lambda context: context.evaluate(bound))


def _on(query: syntax.Select, table: Value) -> syntax.Select:
    """The query on another table in place of its own."""
    assert isinstance(query.source, syntax.Source)
    alias = query.source.alias or default_alias(query.source.value)
    part = replace(query.source, value=Embedded(table, span=query.span), alias=alias)  # type: ignore[arg-type]
    return replace(query, source=part)


def _candidates(context: Context, query: syntax.Select, opened: OpenTable) -> list[Partition]:
    """The partitions the query would read."""
    assert isinstance(query.source, syntax.Source)
    need = need_of([item for item in query.items if item.value is not None], query.where, context.evaluate)
    return opened.store.candidates(need.conjuncts_of(opened.store.names, query.source.alias))


def _partitioned(query: syntax.Select, opened: OpenTable, keys: Sequence[Partition], path: str) -> Handle:
    """The query on the rows of some partitions."""

    def load(context: Context) -> Value:
        require_right(opened.session, "TABLE_READ", opened.store.database, opened.store.name)
        return context.evaluate(_on(query, stacked(*[opened.store.read_partition(key) for key in keys])))

    return data_source(f"{source_of(query)} [partition = {path}]", load)


@functions.builtin("sqlDS", "sqlObj, [forcePartition=false]", context=True)
def sql_data_sources(context: Context, code: Value, force: Value = NOTHING) -> AnyVector:
    """One data source for each partition the query would read."""
    forced, query = boolean_argument(force, "forcePartition", False), _query(code, "sqlObj")
    opened = _opened(context, query)
    if opened is None or not opened.store.is_partitioned:
        return AnyVector([_whole(context, query)])
    if not forced:
        _check_can_be_split(query, opened)
    folder = opened.store.database.removeprefix(PREFIX)
    return AnyVector(
        [
            _partitioned(query, opened, [key], f"/{folder}{opened.store.partition_path(key)}")
            for key in _candidates(context, query, opened)
        ]
    )


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


# --- other ways to divide a query

_REPARTITION = "query, [column], [partitionType], [partitionScheme], [local=true]"


@functions.builtin("repartitionDS", _REPARTITION, context=True)
def repartition(
    context: Context,
    query: Value,
    column: Value = NOTHING,
    kind: Value = NOTHING,
    scheme: Value = NOTHING,
    local: Value = NOTHING,
) -> AnyVector:
    """A data source for each part of a query by a column, or for each of several queries."""
    boolean_argument(local, "local", True)
    if isinstance(query, AnyVector):
        if not all(is_omitted(each) for each in (column, kind, scheme)):
            raise CallError("column, partitionType and partitionScheme must be left out for several queries.")
        return AnyVector([_whole(context, _query(each, "query")) for each in query.items])
    return AnyVector(_divided(context, _query(query, "query"), column, kind, scheme))


@functions.builtin("multiTableRepartitionDS", _REPARTITION, context=True)
def repartition_tables(
    context: Context,
    query: Value,
    column: Value = NOTHING,
    kind: Value = NOTHING,
    scheme: Value = NOTHING,
    local: Value = NOTHING,
) -> AnyVector:
    """The data sources of several queries, by partitions or by a column that all of them have."""
    boolean_argument(local, "local", True)
    sources: list[Value] = []
    for each in query.items if isinstance(query, AnyVector) else [query]:
        if isinstance(query, AnyVector) and is_omitted(column):
            sources += sql_data_sources(context, each).items
        else:
            sources += _divided(context, _query(each, "query"), column, kind, scheme)
    return AnyVector(sources)


def _divided(context: Context, query: syntax.Select, column: Value, kind: Value, scheme: Value) -> list[Value]:
    if is_omitted(column):
        raise CallError("column must be given for a single query.")
    name = text_argument(column, "column")
    if is_omitted(kind) and is_omitted(scheme):
        opened = _opened(context, query)
        if opened is None or name not in opened.store.schema.partition_columns:
            raise CallError("partitionType and partitionScheme must be given, as column is no partitioning column.")
        return _by_level(query, opened, name, _candidates(context, query, opened))
    if not isinstance(kind, Scalar) or kind.value not in (VALUE, RANGE):
        raise CallError("partitionType must be VALUE or RANGE.")
    if not isinstance(scheme, Vector) or (kind.value == RANGE and len(scheme) < 2) or scheme.nulls().any():
        raise CallError("partitionScheme must be a vector of values, or of two or more bounds, without NULL.")
    points = [_constant(element(scheme, index), query) for index in range(len(scheme))]
    if kind.value == VALUE:
        return [_whole(context, _where(query, [_compared(name, "==", point)])) for point in points]
    return [
        _whole(context, _where(query, [_compared(name, ">=", low), _compared(name, "<", high)]))
        for low, high in itertools.pairwise(points)
    ]


def _by_level(query: syntax.Select, opened: OpenTable, name: str, keys: Sequence[Partition]) -> list[Value]:
    """One data source for each partition of the level of a column, of the partitions that are to be read."""
    columns = opened.store.schema.partition_columns
    position = columns.index(name)
    level = opened.store.levels[position]
    sources: list[Value] = []
    for number in level.order():
        if parts := [key for key in keys if key[position] == number]:
            names = [level.name(number) if place == position else "*" for place in range(len(columns))]
            path = "/".join(names[: position + 1])
            sources.append(_partitioned(query, opened, parts, path if position else f"/{path}"))
    return sources


def _constant(value: Value, query: syntax.Select) -> syntax.Expression:
    assert isinstance(value, Scalar)
    type_ = Type.STRING if value.type in LITERAL else value.type
    return syntax.Literal(type=type_.name, value=value.value, span=query.span)


def _compared(name: str, operator: str, constant: syntax.Expression) -> syntax.Expression:
    return syntax.Binary(
        operator=operator, left=syntax.Name(id=name, span=constant.span), right=constant, span=constant.span
    )


def _where(query: syntax.Select, conditions: Sequence[syntax.Expression]) -> syntax.Select:
    return replace(query, where=(*query.where, *conditions))


@functions.builtin("replayDS", "sqlObj, [dateColumn], [timeColumn], [timeRepartitionSchema]", context=True)
def replay_sources(
    context: Context, code: Value, date: Value = NOTHING, time: Value = NOTHING, times: Value = NOTHING
) -> AnyVector:
    """The rows of a stored table in the order of time: one data source for each date, or part of its day."""
    query = _query(code, "sqlObj")
    opened = _opened(context, query)
    if opened is None or not opened.store.is_partitioned:
        raise CallError("sqlObj must be a query of a partitioned table of a database.")
    store = opened.store
    name = text_argument(date, "dateColumn", store.names[0])
    if name not in store.schema.partition_columns:
        raise CallError("dateColumn must be a partitioning column of the table.")
    level = store.levels[store.schema.partition_columns.index(name)]
    if level.kind == HASH or store.column(name).type not in TEMPORAL:
        raise CallError("dateColumn must be a temporal column that is not partitioned by HASH.")
    ordered = [name, *([] if is_omitted(time) else [text_argument(time, "timeColumn")])]
    order = tuple(syntax.OrderItem(value=syntax.Name(id=each, span=query.span), span=query.span) for each in ordered)
    keys = _candidates(context, query, opened)
    if is_omitted(times):
        return AnyVector(_by_level(replace(query, order=order), opened, name, keys))
    if not isinstance(times, Vector) or times.type not in TEMPORAL or is_omitted(time) or not len(times):
        raise CallError("timeRepartitionSchema must be a vector of times, and timeColumn must be given with it.")
    points = [_constant(element(times, index), query) for index in range(len(times))]
    parts = [
        [_compared(ordered[1], "<", points[0])],
        *([_compared(ordered[1], ">=", a), _compared(ordered[1], "<", b)] for a, b in itertools.pairwise(points)),
        [_compared(ordered[1], ">=", points[-1])],
    ]
    by_part = [_by_level(replace(_where(query, part), order=order), opened, name, keys) for part in parts]
    return AnyVector([source for day in zip(*by_part, strict=True) for source in day])
