"""Functions over windows and groups of rows: `moving`, `rolling`, `window`, `contextby`, `pivot` …"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.aggregation.rows import gather
from engine.arguments import boolean_argument, positive_argument
from engine.cast import CLOCKS, DAY, INSTANTS, cast_vector
from engine.context import Context
from engine.errors import CallError, ScriptError
from engine.forms import as_vector, concat, tuple_to_vector
from engine.functions.language.assembling import (
    data_arguments,
    function_argument,
    group_codes,
    is_divisible,
    join_rows,
    null_like,
    rows_of,
    scalars_or_rows,
    slice_rows,
)
from engine.functions.language.constructors import whole
from engine.functions.registry import Registry
from engine.operators.temporal import UNITS, add_duration
from engine.sql.construct import table_of_columns
from engine.types import DECIMAL, FLOATING, INTEGRAL, TEMPORAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Array,
    ArrayVector,
    Column,
    Function,
    IndexedSeries,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    nulls,
    repeat,
)

functions = Registry()

WORTHWHILE = 16
"""Fewer windows are worked on one by one."""
BATCH = 1 << 20
"""Rows of all windows that are worked on together."""


def _rows(arguments: list[Value], name: str) -> int:
    lengths = {rows_of(argument) for argument in arguments if is_divisible(argument)}
    if len(lengths) != 1:
        raise ScriptError(f"{name}: the arguments of the function must have the same length.")
    return lengths.pop()


def _observed(value: Value, rows: Array | slice) -> int:
    part = slice_rows(value, rows)
    if isinstance(part, Vector):
        return int((~part.nulls()).sum())
    return rows_of(part)


def _windowed(
    context: Context, function: Value, arguments: list[Value], bounds: list[tuple[int, int]], minimum: int, name: str
) -> Value:
    """One result per window `[start, stop)`; NULL where a window has fewer than `minimum` observations."""
    callee = function_argument(function, name)
    together = _windowed_together(context, callee, arguments, bounds, minimum)
    if together is not None:
        return together
    results: list[Value | None] = []
    for start, stop in bounds:
        context.check()
        rows = slice(start, stop)
        if start >= stop or (minimum > 0 and _observed(arguments[0], rows) < minimum):
            results.append(None)
        else:
            results.append(context.call(callee, [slice_rows(argument, rows) for argument in arguments]))
    missing = null_like([result for result in results if result is not None])
    return scalars_or_rows([missing if result is None else result for result in results])


def _windowed_together(
    context: Context, function: Function, arguments: list[Value], bounds: list[tuple[int, int]], minimum: int
) -> Vector | None:
    """All windows as groups of rows, some at a time; None where the function has to be called for each."""
    from engine.sql.inlining import of_windows

    columns = [argument for argument in arguments if isinstance(argument, Vector) and not argument.is_pair]
    if len(bounds) < WORTHWHILE or len(columns) < len(arguments):
        return None
    starts, stops = np.array(bounds).T
    sizes = np.maximum(stops - starts, 0)
    known = np.concatenate(([0], np.cumsum(~columns[0].nulls())))
    wanted = np.flatnonzero((sizes > 0) & (known[stops] - known[starts] >= minimum))
    parts: list[Column] = []
    for chosen in np.split(wanted, np.flatnonzero(np.diff(np.cumsum(sizes[wanted]) // BATCH)) + 1):
        context.check()
        size = sizes[chosen]
        rows = np.repeat(starts[chosen] - np.cumsum(size) + size, size) + np.arange(size.sum())
        part = of_windows(context, function, [column.take(rows) for column in columns], size)  # type: ignore[arg-type]
        if part is None:
            return None
        parts.append(part)
    found = concat(parts)
    if not isinstance(found, Vector):
        return None
    positions = np.full(len(bounds), -1)
    positions[wanted] = np.arange(len(wanted))
    return gather(found, positions)


@functions.builtin("moving", "func, funcArgs, window, [minPeriods]", context=True)
def moving(context: Context, function: Value, data: Value, window: Value, min_periods: Value = NOTHING) -> Value:
    """The function of each row and the `window - 1` rows before it."""
    arguments = data_arguments(data)
    width = whole(window, "window", 0)
    if width < 1:
        raise ScriptError("Usage: moving(func, funcArgs, window, [minPeriods]). window must be a positive integer.")
    minimum = whole(min_periods, "minPeriods", width)
    if isinstance(data, Matrix):
        columns = [
            as_vector(moving(context, function, data.column(i), window, min_periods)) for i in range(data.columns)
        ]
        from engine.lifting import stack

        return stack(columns, data)
    count = _rows(arguments, "moving")
    full = isinstance(min_periods, Nothing)
    bounds = [(max(0, i + 1 - width), i + 1 if i + 1 >= (width if full else minimum) else 0) for i in range(count)]
    return _windowed(context, function, arguments, bounds, 0 if full else minimum, "moving")


@functions.builtin("movingValid", "func, funcArgs, window, [minPeriods], [combined=true]", context=True)
def moving_valid(
    context: Context,
    function: Value,
    data: Value,
    window: Value,
    min_periods: Value = NOTHING,
    combined: Value = NOTHING,
) -> Value:
    """The function of the last `window` valid elements up to each row; rows of an array vector count as many."""
    width = positive_argument(window, "window")
    minimum, together = (
        positive_argument(min_periods, "minPeriods", width),
        boolean_argument(combined, "combined", True),
    )
    callee = function_argument(function, "movingValid")
    arguments = [data] if isinstance(data, AnyVector) and data.columnar else data_arguments(data)
    flat, ends = zip(*[_flat_rows(argument) for argument in arguments], strict=True)
    if (len({len(column) for column in flat}) > 1 and together) or len({len(end) for end in ends}) > 1:
        raise CallError("the arguments of the function must have the same size.")
    valid = [~column.nulls() for column in flat]
    if together:
        valid = [np.logical_and.reduce(valid)] * len(flat)
    places = [np.flatnonzero(each) for each in valid]
    seen = [np.searchsorted(place, end) for place, end in zip(places, ends, strict=True)]
    results: list[Value | None] = []
    for row in range(len(ends[0])):
        context.check()
        if min(counts[row] for counts in seen) < minimum:
            results.append(None)
            continue
        chosen: list[Value] = [
            column.take(place[max(0, counts[row] - width) : counts[row]])
            for column, place, counts in zip(flat, places, seen, strict=True)
        ]
        results.append(context.call(callee, chosen))
    missing = null_like([result for result in results if result is not None])
    return scalars_or_rows([missing if result is None else result for result in results])


def _flat_rows(value: Value) -> tuple[Vector, Array]:
    """All elements in turn, and how many there are up to the end of each row."""
    if isinstance(value, ArrayVector):
        start, stop = int(value.offsets[0]), int(value.offsets[-1])
        return value.flat.take(slice(start, stop)), value.offsets[1:] - start
    if isinstance(value, AnyVector):
        rows = [as_vector(item) for item in value.items]
        together = concat(list(rows))
        if isinstance(together, Vector):
            return together, np.cumsum([len(row) for row in rows])
    column = as_vector(value)
    return column, np.arange(1, len(column) + 1)


@functions.builtin("rolling", "func, funcArgs, window, [step=1]", context=True)
def rolling(context: Context, function: Value, data: Value, window: Value, step: Value = NOTHING) -> Value:
    """The function of windows that start every `step` rows."""
    callee = function_argument(function, "rolling")
    arguments = data_arguments(data)
    width, stride = whole(window, "window", 0), whole(step, "step", 1)
    if width < 1 or stride < 1:
        raise ScriptError("Usage: rolling(func, funcArgs, window, [step=1]). window and step must be positive.")
    count = _rows(arguments, "rolling")
    results = []
    for start in range(0, count - width + 1, stride):
        context.check()
        rows = slice(start, start + width)
        results.append(context.call(callee, [slice_rows(argument, rows) for argument in arguments]))
    # Of a matrix, a vector is one value per column; only a matrix has the rows of the window.
    in_columns = any(isinstance(argument, Matrix | Table) for argument in arguments)
    spread = Matrix | Table if in_columns else Vector
    if results and isinstance(results[0], spread) and rows_of(results[0]) == width and stride == width:
        return join_rows(results)
    out = scalars_or_rows(results)
    labelled = arguments[0]
    if isinstance(out, Matrix) and isinstance(labelled, Matrix) and out.columns == labelled.columns:
        starts = np.arange(0, count - width + 1, stride)
        out.row_labels = None if labelled.row_labels is None else labelled.row_labels.take(starts)
        out.column_labels = labelled.column_labels
    return out


@functions.builtin("window", "func, funcArgs, range", context=True)
def window_(context: Context, function: Value, data: Value, span: Value) -> Value:
    """The function of the rows from `i + first` to `i + last` around each row i."""
    if not isinstance(span, Vector) or len(span) != 2:
        raise ScriptError("Usage: window(func, funcArgs, range). range must be a pair.")
    if isinstance(data, IndexedSeries | Matrix):
        return _labelled_window(context, function, data, span)
    if span.type is Type.DURATION:
        raise ScriptError("Usage: window(func, funcArgs, range). A duration needs an indexed series or matrix.")
    arguments = data_arguments(data)
    count = _rows(arguments, "window")
    first, last = (int(raw) for raw in span.data)
    bounds = [(max(0, i + first), min(count, i + last + 1)) for i in range(count)]
    return _windowed(context, function, arguments, bounds, 0, "window")


def _labelled_window(context: Context, function: Value, data: IndexedSeries | Matrix, span: Vector) -> Value:
    labels = data.index if isinstance(data, IndexedSeries) else data.row_labels
    columns = [data.values] if isinstance(data, IndexedSeries) else [data.column(i) for i in range(data.columns)]
    if labels is None:
        count = len(columns[0])
        first, last = (int(raw) for raw in span.data)
        bounds = [(max(0, i + first), min(count, i + last + 1)) for i in range(count)]
    else:
        starts, stops = (_moved(labels, span, side) for side in (0, 1))
        low = np.searchsorted(labels.data, starts, side="left")
        high = np.searchsorted(labels.data, stops, side="right")
        bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    results = [as_vector(_windowed(context, function, [column], bounds, 0, "window")) for column in columns]
    if isinstance(data, IndexedSeries):
        return IndexedSeries(data.index, results[0])
    from engine.lifting import stack

    return stack(results, data)


def _moved(labels: Vector, span: Vector, side: int) -> Array:
    if span.type is Type.DURATION:
        amount, unit = span.data[side]
        return _plus(labels, amount, unit)
    return np.asarray(labels.data.astype(np.int64) + int(span.data[side]))


def _plus(labels: Vector, amount: int, unit: str) -> Array:
    """Times moved by a duration; times of day go past midnight, so that their order stays."""
    if labels.type in CLOCKS and unit in UNITS:
        return np.asarray(labels.data.astype(np.int64) + amount * UNITS[unit] // CLOCKS[labels.type])
    return add_duration(labels, amount, unit).data


def _without(times: Vector, excluded: Value, name: str) -> Vector:
    """Times as if the clock stood still in a part of each day."""
    if isinstance(excluded, Nothing):
        return times
    per_unit = INSTANTS.get(times.type) or CLOCKS.get(times.type)
    if per_unit is None or times.type not in (Type.TIMESTAMP, Type.NANOTIMESTAMP, Type.TIME, Type.NANOTIME):
        raise ScriptError(f"{name}: with excludedPeriod T must be TIMESTAMP, NANOTIMESTAMP, TIME or NANOTIME.")
    if not isinstance(excluded, Vector) or len(excluded) != 2 or excluded.type not in CLOCKS:
        raise ScriptError(f"{name}: excludedPeriod must be a pair of times of day.")
    start, end = (int(raw) * CLOCKS[excluded.type] // per_unit for raw in excluded.data)
    day = DAY // per_unit
    days, clock = np.divmod(times.data.astype(np.int64), day)
    if start > end or bool(((clock > start) & (clock < end)).any()):
        raise ScriptError(f"{name}: T must not contain times within excludedPeriod.")
    return times.with_data(days * (day - (end - start)) + np.where(clock >= end, clock - (end - start), clock))


def _times(value: Value, name: str) -> Vector:
    times = as_vector(value)
    if times.data.dtype.kind != "i" or (len(times) > 1 and bool((np.diff(times.data) < 0).any())):
        raise ScriptError(f"{name}: T must be non-decreasing integral or temporal values.")
    return times


@functions.builtin("tmoving", "func, T, funcArgs, window, [excludedPeriod]", context=True)
def tmoving(
    context: Context, function: Value, time: Value, data: Value, window: Value, excluded: Value = NOTHING
) -> Value:
    """The function of the rows whose time is within (t - window, t]."""
    times = _without(_times(time, "tmoving"), excluded, "tmoving")
    arguments = data_arguments(data)
    if isinstance(window, Scalar) and window.type is Type.DURATION:
        amount, unit = window.value
        low = _plus(times, -amount, unit)
    else:
        low = times.data.astype(np.int64) - whole(window, "window", 1)
    starts = np.searchsorted(times.data, low, side="right")
    bounds = [(int(start), index + 1) for index, start in enumerate(starts)]
    return _windowed(context, function, arguments, bounds, 0, "tmoving")


@functions.builtin("twindow", "func, funcArgs, T, range, [prevailing=0], [excludedPeriod]", context=True)
def twindow(
    context: Context,
    function: Value,
    data: Value,
    time: Value,
    span: Value,
    prevailing: Value = NOTHING,
    excluded: Value = NOTHING,
) -> Value:
    """The function of the rows whose time is within [t + first, t + last].

    `prevailing` 1 leaves out all but the last of equal times at the start of the window; 2 also lets a window
    that starts or ends at t begin or end with the row itself.
    """
    times = _without(_times(time, "twindow"), excluded, "twindow")
    if not isinstance(span, Vector) or len(span) != 2:
        raise ScriptError("Usage: twindow(func, funcArgs, T, range). range must be a pair.")
    starts, stops = _moved(times, span, 0), _moved(times, span, 1)
    low = np.searchsorted(times.data, starts, side="left")
    high = np.searchsorted(times.data, stops, side="right")
    rule = whole(prevailing, "prevailing", 0)
    if rule:
        after = np.searchsorted(times.data, starts, side="right")
        low = np.where(after > low, after - 1, low)
    if rule == 2:
        own = np.arange(len(times))
        low = np.where(starts == times.data, own, low)
        high = np.where(stops == times.data, own + 1, high)
    bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    return _windowed(context, function, data_arguments(data), bounds, 0, "twindow")


def _key_columns(value: Value) -> list[Value]:
    return list(value.items) if isinstance(value, AnyVector) else [value]


def _partitioned(
    context: Context, function: Value, data: Value, codes: Array, order: Array | None, name: str
) -> tuple[list[Value], list[Array]]:
    """The function of the rows of each group, and those rows."""
    callee = function_argument(function, name)
    arguments = data_arguments(data)
    sequence = np.argsort(codes, kind="stable") if order is None else order[np.argsort(codes[order], kind="stable")]
    bounds = np.cumsum(np.bincount(codes))[:-1]
    rows = [np.asarray(part) for part in np.split(sequence, bounds)]
    results = []
    for part in rows:
        context.check()
        results.append(
            context.call(callee, [slice_rows(a, part) if rows_of(a) == len(codes) else a for a in arguments])
        )
    return results, rows


def _scattered(results: list[Value], rows: list[Array], count: int) -> Value:
    """Results per group back in the order of the rows: scalars repeated, vectors spread."""
    parts: list[Value] = []
    for result, part in zip(results, rows, strict=True):
        if isinstance(result, Scalar):
            parts.append(repeat(result, len(part)))
        elif rows_of(result) == len(part):
            parts.append(result)
        else:
            raise ScriptError("The function must return a scalar or as many elements as its group has rows.")
    positions = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    back = np.empty(count, dtype=np.int64)
    back[positions] = np.arange(count)
    joined = concat(parts)
    return slice_rows(joined, back)


_NUMERIC = (*INTEGRAL, *FLOATING, *DECIMAL)
SEMANTIC_FILTERS: tuple[frozenset[Type], ...] = (
    frozenset(Type),
    frozenset(_NUMERIC),
    frozenset(TEMPORAL),
    frozenset((Type.STRING, Type.SYMBOL)),
    frozenset((*_NUMERIC, *TEMPORAL)),
)
"""The columns of a table that semanticFilter 0, 1, 2, 3 and 4 choose, by their type."""


@functions.builtin("contextby", "func, funcArgs, groupingCol, [sortingCol], [semanticFilter=1]", context=True)
def contextby(
    context: Context, function: Value, data: Value, keys: Value, sorting: Value = NOTHING, chosen: Value = NOTHING
) -> Value:
    """The function of the rows of each group, one result per row; of a table, of each column of the chosen types."""
    if isinstance(data, Table):
        place = whole(chosen, "semanticFilter", 1)
        if not 0 <= place < len(SEMANTIC_FILTERS):
            raise ScriptError("contextby: semanticFilter must be between 0 and 4.")
        types = SEMANTIC_FILTERS[place]
        named: list[tuple[str, Value]] = [
            (
                name,
                contextby(context, function, column, keys, sorting)
                if not isinstance(column, AnyVector) and column.type in types
                else column,
            )
            for name, column in zip(data.names, data.columns, strict=True)
        ]
        return table_of_columns([name for name, _ in named], [column for _, column in named])
    columns = _key_columns(keys)
    codes, _ = group_codes(columns)
    order = None
    if not isinstance(sorting, Nothing):
        order = np.lexsort([as_vector(column).data for column in reversed(_key_columns(sorting))])
    results, rows = _partitioned(context, function, data, codes, order, "contextby")
    return _scattered(results, rows, len(codes))


@functions.builtin("segmentby", "func, funcArgs, segment", context=True)
def segmentby(context: Context, function: Value, data: Value, segment: Value) -> Value:
    """Like contextby over runs of equal neighbours."""
    keys = as_vector(segment)
    changes = np.concatenate(([0], (keys.data[1:] != keys.data[:-1]).astype(np.int64))) if len(keys) else np.empty(0)
    codes = np.cumsum(changes).astype(np.int64)
    results, rows = _partitioned(context, function, data, codes, None, "segmentby")
    return _scattered(results, rows, len(codes))


@functions.builtin("groupby", "func, funcArgs, groupingCol", context=True)
def groupby(context: Context, function: Value, data: Value, keys: Value) -> Value:
    """A table of the keys and the function of each group."""
    columns = _key_columns(keys)
    if len({rows_of(column) for column in columns}) != 1:
        raise ScriptError(
            "Usage: groupby(func, funcArgs, groupingCol). The grouping columns must have the same length."
        )
    codes, first = group_codes(columns)
    results, _ = _partitioned(context, function, data, codes, None, "groupby")
    parts: list[Any] = [as_vector(column).take(first) for column in columns]
    names = getattr(context, "argument_names", {})
    label = getattr(function, "name", None) or "func"
    written = (names.get(1) or "").split(",")[0]
    label = f"{label}_{written}" if written else label
    if all(isinstance(result, Scalar) for result in results):
        value: Any = tuple_to_vector(results)
    else:
        sizes = [rows_of(result) for result in results]
        parts = [part.take(np.repeat(np.arange(len(sizes)), sizes)) for part in parts]
        value = concat(results)
    keys_named = str(names.get(2) or "").split(",") if names.get(2) else []
    keys_named = (keys_named + [""] * len(columns))[: len(columns)]
    return Table([name or "groupingKey" for name in keys_named] + [label], [*parts, value])


@functions.builtin("pivot", "func, funcArgs, rowAlignCol, colAlignCol", context=True)
def pivot(context: Context, function: Value, data: Value, row_keys: Value, column_keys: Value) -> Value:
    """A matrix of the function by the values of two columns."""
    row_codes, row_first = group_codes(_key_columns(row_keys))
    column_codes, column_first = group_codes(_key_columns(column_keys))
    width = len(column_first)
    cells, codes = np.unique(row_codes * width + column_codes, return_inverse=True)
    results, _ = _partitioned(context, function, data, codes.reshape(-1), None, "pivot")
    values = tuple_to_vector(results)
    if not isinstance(values, Vector):
        raise ScriptError("pivot: the function must return scalars of one type.")
    flat = nulls(values.type, len(row_first) * width, values.scale)
    flat.data[cells] = values.data
    data_ = flat.data.reshape((len(row_first), width))
    out = Matrix(values.type, np.asfortranarray(data_), scale=values.scale)
    out.row_labels = as_vector(row_keys).take(row_first)
    out.column_labels = as_vector(column_keys).take(column_first)
    return out


@functions.builtin("aggrTopN", "func, funcArgs, sortingCol, top, [ascending=true]", context=True)
def aggr_top_n(
    context: Context, function: Value, data: Value, sorting: Value, top: Value, ascending: Value = NOTHING
) -> Value:
    """An aggregate of the rows that come first in a sort order."""
    keys = as_vector(sorting)
    if not isinstance(top, Scalar) or top.value is None:
        raise ScriptError("Usage: aggrTopN(func, funcArgs, sortingCol, top, [ascending=true]). top must be a number.")
    count = max(1, int(top.value * len(keys))) if isinstance(top.value, float) else int(top.value)
    ranks = cast_vector(keys, Type.DOUBLE).data if keys.data.dtype.kind == "f" else keys.data.astype(np.int64)
    ranks = np.where(keys.nulls(), -np.inf, ranks)
    descending = isinstance(ascending, Scalar) and not ascending.value
    order = np.argsort(-ranks if descending else ranks, kind="stable")[:count]
    callee = function_argument(function, "aggrTopN")
    return context.call(callee, [slice_rows(argument, order) for argument in data_arguments(data)])
