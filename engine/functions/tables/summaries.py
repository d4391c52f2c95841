"""Tables that sum up data: statistics of columns, pairs of events close in time."""

from __future__ import annotations

from collections import Counter

import numpy as np

from engine.aggregation import basic, order
from engine.aggregation.catalogue import MAXIMUM, MINIMUM, STD
from engine.aggregation.rows import whole
from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted
from engine.cast import cast_vector
from engine.errors import CallError, UnsupportedError
from engine.forms import array_vector, as_vector, concat
from engine.functions.registry import Registry
from engine.sql.resolve import frame_of_value
from engine.types import DECIMAL, FLOATING, INTEGRAL, TEMPORAL, Type
from engine.values import Table, Value, Vector, vector

functions = Registry()

INTERPOLATIONS = ("linear", "nearest", "lower", "higher", "midpoint")


@functions.builtin("summary", "X, [interpolation='linear'], [characteristic], [percentile], [precision]")
def summary(
    x: Value,
    interpolation: Value | None = None,
    characteristic: Value | None = None,
    percentile: Value | None = None,
    precision: Value | None = None,
) -> Table:
    """Extremes, counts, mean, deviation and exact percentiles of the numeric columns of a table."""
    del precision  # Percentiles are exact here, which is as precise as can be asked for.
    table = frame_of_value(x, None).table()
    kind = choice_argument(interpolation, "interpolation", INTERPOLATIONS, "linear")
    wanted = {"avg", "std"}
    if not is_omitted(characteristic):
        wanted = {str(text) for text in as_vector(characteristic).strings()}  # type: ignore[arg-type]
        if wanted - {"avg", "std"}:
            raise CallError("characteristic must be 'avg' or 'std', or both.")
    points = [25.0, 50.0, 75.0]
    if not is_omitted(percentile):
        points = sorted(float(each) for each in cast_vector(as_vector(percentile), Type.DOUBLE).data)  # type: ignore[arg-type]
    if any(not 0 <= each <= 100 for each in points):
        raise CallError("percentile must be between 0 and 100.")
    chosen = [
        (name, column)
        for name, column in zip(table.names, table.columns, strict=True)
        if isinstance(column, Vector) and column.type in (*INTEGRAL, *FLOATING, *DECIMAL)
    ]
    groups = whole(table.rows)
    names = ["name", "min", "max", "nonNullCount", "count"]
    columns: list[Value] = [
        vector(Type.STRING, [name for name, _ in chosen]),
        *(_doubles([aggregate.kernel(groups, column) for _, column in chosen]) for aggregate in (MINIMUM, MAXIMUM)),
        cast_vector(_column([basic.count(groups, column) for _, column in chosen]), Type.LONG),
        vector(Type.LONG, [table.rows] * len(chosen)),
    ]
    for name, kernel in (("avg", basic.average), ("std", STD)):
        if name in wanted:
            names.append(name)
            columns.append(_doubles([kernel(groups, column) for _, column in chosen]))
    quantiles = [_column([order.percentile(groups, column, each, kind) for each in points]) for _, column in chosen]
    return Table([*names, "percentile"], [*columns, array_vector(quantiles)])  # type: ignore[list-item]


def _column(parts: list[Vector]) -> Vector:
    return as_vector(concat(parts)) if parts else vector(Type.DOUBLE, [])


def _doubles(parts: list[Vector]) -> Vector:
    return _column([cast_vector(part, Type.DOUBLE) for part in parts])


@functions.builtin("coevent", "event, eventTime, window, [orderSensitive=false]")
def coevent(event: Value, time: Value, window: Value, ordered: Value | None = None) -> Table:
    """How often two events happen within `window` of each other."""
    events, times, span = as_vector(event), as_vector(time), integer_argument(window, "window")
    if len(events) != len(times):
        raise CallError("event and eventTime must have the same length.")
    if times.type not in (*TEMPORAL, *INTEGRAL) or times.nulls().any():
        raise CallError("eventTime must be temporal or integral, without NULLs.")
    if span < 0:
        raise CallError("window must not be negative.")
    if events.type in DECIMAL:
        raise UnsupportedError("Decimals as events")
    directed = boolean_argument(ordered, "orderSensitive", False)
    sequence = np.argsort(times.data, kind="stable")
    moments = times.data[sequence].astype(np.int64)
    _, codes = np.unique(events.strings() if events.symbols else events.data, return_inverse=True)
    codes = codes.reshape(-1)[sequence]
    last = np.searchsorted(moments, moments + span, side="right")
    hits: Counter[tuple[int, int]] = Counter()
    for place, end in enumerate(last.tolist()):
        for other in codes[place + 1 : end].tolist():
            pair = (int(codes[place]), int(other))
            hits[pair if directed else (min(pair), max(pair))] += 1
    first = {int(code): int(sequence[place]) for place, code in reversed(list(enumerate(codes.tolist())))}
    pairs = sorted(hits)
    return Table(
        ["event1", "event2", "hits"],
        [
            events.take(np.array([first[one] for one, _ in pairs], dtype=np.int64)),
            events.take(np.array([first[other] for _, other in pairs], dtype=np.int64)),
            vector(Type.INT, [hits[pair] for pair in pairs]),
        ],
    )
