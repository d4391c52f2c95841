"""DolphinDB script for what was asked."""

# ruff: noqa: S608 - this is where script is written; names come from the catalog, texts are quoted
from __future__ import annotations

from datetime import date

from core.offline.query import Query
from core.offline.schema import Column, Table

MAX_DAYS_BY_VALUE = 1_000


def quoted(text: str) -> str:
    """A string literal. Raises ValueError for text that cannot stand in one line of script."""
    if any(character in text for character in "\r\n\0"):
        raise ValueError("a name cannot contain line breaks")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def render(query: Query) -> str:
    """The script that answers the query; its last statement is the result."""
    return _RENDERERS[query.kind](query)


def _where(query: Query, *more: str) -> str:
    conditions = [*query.conditions, *more]
    # "and", since sequence functions would see rows already filtered by conditions before a comma.
    return f" where {' and '.join(conditions)}" if conditions else ""


def _group_by(query: Query) -> str:
    return f" group by {', '.join(group.script for group in query.groups)}" if query.groups else ""


def _order_by(query: Query) -> str:
    if query.order:
        return f" order by {query.order} {'desc' if query.descending else 'asc'}"
    if query.groups:
        return f" order by {', '.join(group.alias for group in query.groups)}"
    return ""


def _limit(query: Query) -> str:
    return f" limit {query.limit}" if query.limit else ""


def _rows(query: Query) -> str:
    columns = ", ".join(_shown(column) for column in query.columns) or "*"
    source, where = query.table.reference, _where(query)
    limit = query.limit or 10
    time = query.table.time
    if query.order:
        return f"select {columns} from {source}{where}{_order_by(query)} limit {limit}"
    if not query.from_end:
        return f"select {columns} from {source}{where} limit {limit}"
    if time is None:
        whole = source if not where and columns == "*" else f"(select {columns} from {source}{where})"
        return f"tail({whole}, {limit})"
    last = f"select {columns} from {source}{where} order by {time.name} desc limit {limit}"
    if query.columns and time not in query.columns:
        return last
    return f"select * from ({last}) order by {time.name}"


def _shown(column: Column) -> str:
    return f"{column.expression} as {column.name}" if column.expression else column.name


def _count(query: Query) -> str:
    return f"select count(*) as rows from {query.table.reference}{_where(query)}{_group_by(query)}{_order_by(query)}"


def _distinct(query: Query) -> str:
    column = query.columns[0]
    source, where = query.table.reference, _where(query)
    if query.function == "count":
        return f"select nunique({column.name}, true) as distinct_{column.name} from {source}{where}"
    return f"select count(*) as rows from {source}{where} group by {column.name} order by {column.name}"


def _aggregate(query: Query) -> str:
    ordered = any(aggregate.function in ("first", "last") for aggregate in query.aggregates)
    source, where = _source(query, ordered=ordered)
    items = ", ".join(f"{aggregate.script} as {aggregate.alias}" for aggregate in query.aggregates)
    return f"select {items} from {source}{where}{_group_by(query)}{_order_by(query)}{_limit(query)}"


def _source(query: Query, *, ordered: bool) -> tuple[str, str]:
    """What to select from: first and last take rows as they come, so those must come in the order of time."""
    time = query.table.time
    if ordered and time is not None:
        return f"(select * from {query.table.reference}{_where(query)} order by {time.name})", ""
    return query.table.reference, _where(query)


def _vwap(query: Query) -> str:
    price, volume = query.columns
    items = f"wavg({price.script}, {volume.script}) as vwap"
    return (
        f"select {items} from {query.table.reference}{_where(query)}{_group_by(query)}{_order_by(query)}{_limit(query)}"
    )


def _ohlc(query: Query) -> str:
    price, *volume = query.columns
    source, where = _source(query, ordered=True)
    name = price.script
    items = f"first({name}) as open, max({name}) as high, min({name}) as low, last({name}) as close"
    if volume:
        items += f", sum({volume[0].script}) as volume"
    return f"select {items} from {source}{where}{_group_by(query)}{_order_by(query)}"


def _moving(query: Query) -> str:
    (column,) = query.columns
    table = query.table
    time = table.time
    alias = f"m{query.function}_{query.window}"
    item = f"m{query.function}({column.script}, {query.window}) as {alias}"
    value = _shown(column)
    if query.groups:
        keys = ", ".join(group.expression for group in query.groups)
        ordering = f" csort {time.name}" if time else ""
        shown = ", ".join([keys, *([time.name] if time else []), value, item])
        return f"select {shown} from {table.reference}{_where(query)} context by {keys}{ordering}"
    source, where = _source(query, ordered=True)
    shown = ", ".join([*([time.name] if time else []), value, item])
    return f"select {shown} from {source}{where}"


def _returns(query: Query) -> str:
    (price,) = query.columns
    keys = [group for group in query.groups if not group.is_time]
    (period,) = [group for group in query.groups if group.is_time]
    source, where = _source(query, ordered=True)
    names = "".join(f"{group.alias}, " for group in keys)
    context = f" context by {', '.join(group.alias for group in keys)} csort {period.alias}" if keys else ""
    ordering = "" if keys else f" order by {period.alias}"
    inner = f"select last({price.script}) as price from {source}{where}{_group_by(query)}{ordering}"
    items = f"{names}{period.alias}, price, price \\ prev(price) - 1 as return_rate"
    if query.order:
        ranked = f"select {items} from ({inner}){context}"
        return f"select * from ({ranked}) where isValid(return_rate){_order_by(query)}{_limit(query)}"
    return f"select {items} from ({inner}){context}"


def _total_return(query: Query) -> str:
    (price,) = query.columns
    source, where = _source(query, ordered=True)
    items = (
        f"first({price.script}) as first_price, last({price.script}) as last_price, "
        f"last({price.script}) \\ first({price.script}) - 1 as return_rate"
    )
    ordering = _order_by(query) if query.groups else ""
    return f"select {items} from {source}{where}{_group_by(query)}{ordering}{_limit(query)}"


def _correlation(query: Query) -> str:
    first, second = query.columns
    items = f"corr({first.script}, {second.script}) as correlation"
    return f"select {items} from {query.table.reference}{_where(query)}{_group_by(query)}{_order_by(query)}"


def _pair_correlation(query: Query) -> str:
    price, key, time = query.columns
    first, second = query.symbols
    moment = time.name if time.base_type in ("DATE", "MONTH") else f"bar({time.name}, 1m)"
    lines = []
    for variable, value, alias in (("first_series", first, "first_value"), ("second_series", second, "second_value")):
        where = _where(query, f"{key.name} == {quoted(value)}")
        source = f"(select {key.name}, {time.name}, {price.script} as v from {query.table.reference}{where}"
        source += f" order by {time.name})"
        lines.append(f"{variable} = select last(v) as {alias} from {source} group by {moment} as moment")
    items = "corr(first_value, second_value) as correlation, count(*) as points"
    lines.append(f"select {items} from ej(first_series, second_series, `moment)")
    return "\n".join(lines)


def _drawdown(query: Query) -> str:
    (price,) = query.columns
    time = query.table.time
    keys = ", ".join(group.expression for group in query.groups)
    if keys:
        ordering = f" csort {time.name}" if time else ""
        source = f"{query.table.reference}{_where(query)} context by {keys}{ordering}"
        inner = f"select {keys}, 1 - {price.script} \\ cummax({price.script}) as drawdown from {source}"
        tail = f" group by {keys} order by max_drawdown desc"
    else:
        source, where = _source(query, ordered=True)
        inner = f"select 1 - {price.script} \\ cummax({price.script}) as drawdown from {source}{where}"
        tail = ""
    return f"select max(drawdown) as max_drawdown from ({inner}){tail}"


_RENDERERS = {
    "rows": _rows,
    "count": _count,
    "distinct": _distinct,
    "aggregate": _aggregate,
    "vwap": _vwap,
    "ohlc": _ohlc,
    "moving": _moving,
    "returns": _returns,
    "total_return": _total_return,
    "correlation": _correlation,
    "pair_correlation": _pair_correlation,
    "drawdown": _drawdown,
}


def load_file(path: str, name: str) -> str:
    return f"{name} = loadText({quoted(path)})\nselect count(*) as rows from {name}"


def export_file(table: Table, path: str) -> str:
    return f"saveText((select * from {table.reference}), {quoted(path)})\nexists({quoted(path)})"


def extent(table: Table, time: Column) -> str:
    """One row: the first and last moment and the number of rows, from which a partition scheme is chosen."""
    moment = time.name if time.base_type in ("DATE", "MONTH") else f"date({time.name})"
    return f"select min({moment}) as first_day, max({moment}) as last_day, count(*) as rows from {table.reference}"


def save_table(table: Table, database: str, name: str, partition: str, column: Column) -> str:
    """Create the table in `database` and append the rows. `partition` is the type and scheme, empty if it exists."""
    source = table.reference if table.reference == table.name else f"(select * from {table.reference})"
    arguments = f"{quoted(database)}, {partition}" if partition else quoted(database)
    return (
        # In one statement, so that no variable is left in the session.
        f"createPartitionedTable(database({arguments}), {source}, {quoted(name)}, {quoted(column.name)})"
        f".append!({source})\n"
        f"select count(*) as rows from loadTable({quoted(database)}, {quoted(name)})"
    )


def partition_by_time(first: date, last: date) -> str:
    """Partitions by day for up to about three years, else by month."""
    if (last - first).days < MAX_DAYS_BY_VALUE:
        return f"VALUE, {first:%Y.%m.%d}..{last:%Y.%m.%d}"
    return f"VALUE, {first:%Y.%m}M..{last:%Y.%m}M"


def partition_by_key(column: Column) -> str:
    return f"HASH, [{column.base_type}, 8]"


def append_rows(table: Table, stored: Table) -> str:
    return f"{stored.reference}.append!({table.reference})\nselect count(*) as rows from {stored.reference}"


def delete_rows(table: Table, conditions: tuple[str, ...]) -> str:
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"delete from {table.reference}{where}\nselect count(*) as rows_left from {table.reference}"


def drop_table(table: Table) -> str:
    if table.reference.startswith("loadTable("):
        database, name = (part.strip() for part in table.reference[len("loadTable(") : -1].split(",", 1))
        return f"dropTable(database({database}), {name})\nexistsTable({database}, {name})"
    kind = ", SHARED" if "shared" in table.kind.lower() else ""
    return f"undef({quoted(table.name)}{kind})\nexec count(*) from objs(true) where name == {quoted(table.name)}"


def drop_database(url: str) -> str:
    return f"dropDatabase({quoted(url)})\nexistsDatabase({quoted(url)})"
