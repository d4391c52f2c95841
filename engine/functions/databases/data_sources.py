"""Data sources, which are parts of a query or of a file, and functions over the parts: `mr`, `imr`, `olsEx`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

from engine.arguments import boolean_argument, function_argument, integer_argument, is_omitted, names_argument
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.functions.registry import Registry
from engine.sql.statements import stacked
from engine.types import Type
from engine.values import (
    NOTHING,
    NULL,
    AnyVector,
    Dictionary,
    Function,
    Handle,
    Nothing,
    Scalar,
    Table,
    Value,
    boolean,
    integer,
    vector,
)

functions = Registry()


@dataclass(eq=False)
class DataSource:
    """`load` reads the rows; `transforms` are called with them. `kept` are rows that `caching` was asked for."""

    load: Callable[[Context], Value]
    transforms: list[Function] = field(default_factory=list)
    caching: bool = False
    kept: Value | None = None

    def read(self, context: Context) -> Value:
        """The rows after all transformations, from the cache if they are there."""
        if self.kept is not None:
            rows = self.kept
        else:
            rows = self.load(context)
            for transform in self.transforms:
                rows = context.call(transform, [rows])
        self.kept = rows if self.caching else None
        return rows


def data_source(text: str, load: Callable[[Context], Value]) -> Handle:
    return Handle("DATASOURCE", f"DataSource< {text} >", DataSource(load))


def sources_of(value: Value) -> list[DataSource]:
    """The data sources of an argument: one, or a tuple of them."""
    items = value.items if isinstance(value, AnyVector) else [value]
    found = [item.target for item in items if isinstance(item, Handle) and isinstance(item.target, DataSource)]
    if not found or len(found) != len(items):
        raise CallError("ds must be a data source or a tuple of data sources, as sqlDS gives them.")
    return found


# --- what becomes of their rows


@functions.builtin("transDS!", "ds, transFunc")
def transform(sources: Value, function: Value) -> Value:
    """Call a function, or one after the other, with the rows of data sources whenever these are read."""
    items = function.items if isinstance(function, AnyVector) else [function]
    added = [function_argument(item, "transFunc") for item in items]
    for source in sources_of(sources):
        source.transforms += added
        source.kept = None
    return sources


@functions.builtin("cacheDS!", "ds")
def cache(sources: Value) -> Scalar:
    """Keep the rows of data sources when they are read the next time."""
    for source in sources_of(sources):
        source.caching = True
    return boolean(True)


@functions.builtin("cacheDSNow", "ds", context=True)
def cache_now(context: Context, sources: Value) -> Scalar:
    """Read data sources and keep their rows; returns how many rows these are."""
    count = 0
    for source in sources_of(sources):
        context.check()
        source.caching = True
        rows = source.read(context)
        count += rows.rows if isinstance(rows, Table) else 1
    return integer(count, Type.LONG)


@functions.builtin("clearDSCache!", "ds")
def forget(sources: Value) -> Nothing:
    """Let the rows of data sources go after they are read the next time."""
    for source in sources_of(sources):
        source.caching = False
    return NOTHING


@functions.builtin("clearDSCacheNow", "ds")
def forget_now(sources: Value) -> Nothing:
    """Let the rows of data sources go."""
    for source in sources_of(sources):
        source.caching, source.kept = False, None
    return NOTHING


# --- functions over all of them


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
    function = function_argument(mapping, "mapFunc")
    results: list[Value] = []
    for source in sources_of(sources):
        context.check()
        results.append(context.call(function, [source.read(context)]))
    result = _reduced(context, reduction, results)
    return result if is_omitted(final) else context.call(function_argument(final, "finalFunc"), [result])


@functions.builtin(
    "imr",
    "ds, initValue, mapFunc, [reduceFunc], [finalFunc], terminateFunc, [carryover=false]",
    context=True,
)
def iterated_map_reduce(
    context: Context,
    sources: Value,
    initial: Value,
    mapping: Value,
    reduction: Value,
    final: Value,
    termination: Value,
    carryover: Value = NOTHING,
) -> Value:
    """`mr` again and again, with the result of the time before, so often or until `terminateFunc(before, now)`."""
    if not isinstance(sources, AnyVector):
        raise CallError("ds must be a tuple of data sources.")
    function, carries = function_argument(mapping, "mapFunc"), boolean_argument(carryover, "carryover", False)
    until = None if isinstance(termination, Scalar) else function_argument(termination, "terminateFunc")
    times = integer_argument(termination, "terminateFunc") if until is None else None
    if times is not None and times < 1:
        raise CallError("terminateFunc must be a function or a positive number of iterations.")
    parts = [source.read(context) for source in sources_of(sources)]
    carried: list[Value] = [NULL] * len(parts)
    state, done = initial, 0
    while True:
        context.check()
        results = []
        for index, part in enumerate(parts):
            result = context.call(function, [part, state, carried[index]] if carries else [part, state])
            if carries:
                result, carried[index] = _without_carryover(result)
            results.append(result)
        before, state = state, _reduced(context, reduction, results)
        if not is_omitted(final):
            state = context.call(function_argument(final, "finalFunc"), [before, state])
        done += 1
        if until is None:
            if done == times:
                return state
        elif boolean_argument(context.call(until, [before, state]), "the result of terminateFunc"):
            return state


def _reduced(context: Context, reduction: Value, results: list[Value]) -> Value:
    if is_omitted(reduction):
        return AnyVector(results)
    combine = function_argument(reduction, "reduceFunc")
    return reduce(lambda left, right: context.call(combine, [left, right]), results)


def _without_carryover(result: Value) -> tuple[Value, Value]:
    if not isinstance(result, AnyVector) or len(result) < 2:
        raise ScriptError("With carryover, mapFunc must return a tuple whose last element is the carryover object.")
    *rest, carried = result.items
    return rest[0] if len(rest) == 1 else AnyVector(rest), carried


@functions.builtin("olsEx", "ds, Y, X, [intercept=true], [mode=0]", context=True)
def least_squares(
    context: Context, sources: Value, y: Value, x: Value, intercept: Value = NOTHING, mode: Value = NOTHING
) -> Value:
    """`ols` of columns of the rows of all data sources."""
    (goal, *others), factors = names_argument(y, "Y"), names_argument(x, "X")
    if others or not factors:
        raise CallError("Y must name one column, X one or more.")
    rows = stacked(tables_of(context, sources_of(sources)))
    columns = {name: rows.column(name) for name in (goal, *factors)}
    if missing := [name for name, column in columns.items() if column is None]:
        raise CallError(f"the data sources have no column {missing[0]}.")
    design = Table(factors, [column for name in factors if (column := columns[name]) is not None])
    found = columns[goal]
    assert found is not None
    result = context.call(_builtin(context, "ols"), [found, design, intercept, mode])
    table = result.items["Coefficient"] if isinstance(result, Dictionary) else result
    if isinstance(table, Table):
        constant = boolean_argument(intercept, "intercept", True)
        table.columns[0] = vector(Type.STRING, [*(["intercept"] if constant else []), *factors])
    return result


def tables_of(context: Context, sources: Sequence[DataSource]) -> list[Table]:
    """The rows of data sources, each a table."""
    tables = [source.read(context) for source in sources]
    found = [table for table in tables if isinstance(table, Table)]
    if len(found) != len(tables):
        raise ScriptError("A data source did not give a table.")
    return found


def _builtin(context: Context, name: str) -> Function:
    function = context.registry.find(name)
    assert function is not None
    return function
