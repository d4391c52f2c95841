"""Changing the frequency of times and of series: transFreq, temporalSeq, asFreq, resample."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.aggregation.rows import gather
from engine.arguments import choice_argument, function_argument, text_argument
from engine.calendars import BUSINESS_DAYS, for_distinct, trading_days
from engine.calls import call_grouped
from engine.cast import DAY, INSTANTS, cast_vector
from engine.context import Context
from engine.declarations import every_form
from engine.errors import CallError
from engine.forms import as_vector, tuple_to_vector
from engine.functions.registry import Builtin, Kind, Registry
from engine.functions.series.ordering import positions_in
from engine.functions.times.periods import (
    Periods,
    days_of,
    fiscal_quarters,
    fiscal_years,
    half_months,
    month_periods,
    nth_weekday,
    week_periods,
)
from engine.grouping import ContiguousGroups
from engine.lifting import blockwise, elementwise, stack
from engine.types import TEMPORAL, Type, null
from engine.values import Array, Function, IndexedSeries, Matrix, Scalar, Value, Vector, elements

functions = Registry()

UNITS = {"D": DAY, "H": 3600 * 10**9, "min": 60 * 10**9, "S": 10**9, "L": 10**6, "U": 10**3, "N": 1}
PERIODS: dict[str, Callable[[], Periods]] = {
    "B": lambda: Periods.between(BUSINESS_DAYS),
    "W": lambda: week_periods(6, end=True),
    "WOM": lambda: nth_weekday(0, 0),
    "LWOM": lambda: nth_weekday(-1, 0),
    "SM": lambda: half_months(15, end=True),
    "SMS": lambda: half_months(15, end=False),
    "SA": lambda: month_periods(6, 1, end=True, business=False),
    "SAS": lambda: month_periods(6, 1, end=False, business=False),
    "RE": lambda: fiscal_years(0, 1, True),
    "REQ": lambda: fiscal_quarters(0, 1, 1, True),
}


def _monthly(length: int, business: bool, end: bool) -> Callable[[], Periods]:
    return lambda: month_periods(length, 1, end=end, business=business)


for _code, _length in (("M", 1), ("Q", 3), ("A", 12)):
    for _business in (False, True):
        for _end in (False, True):
            _name = f"{'B' if _business else ''}{_code}{'' if _end else 'S'}"
            PERIODS[_name] = _monthly(_length, _business, _end)
SIDES = ("left", "right")
ORIGINS = ("epoch", "start", "start_day", "end", "end_day")


@dataclass(frozen=True)
class Frequency:
    """A rule: calendar periods (`periods`), or steps of a fixed length from an origin."""

    step: int
    unit: str
    periods: Periods | None
    right_closed: bool
    right_label: bool
    origin: Value | None

    @classmethod
    def of(
        cls, rule: Value, closed: Value | None, label: Value | None, origin: Value | None, *, default: str
    ) -> Frequency:
        """`default` says how labels of steps are chosen when not given: left, origin or closed."""
        match = re.fullmatch(r"(\d*)(min|[A-Z]+)", text_argument(rule, "rule"))
        if match is None:
            raise CallError(
                f"rule must be one of {', '.join((*PERIODS, *UNITS))} or the name of a trading calendar; "
                "a number may stand before it."
            )
        step, unit = int(match.group(1) or 1), match.group(2)
        if step <= 0:
            raise CallError("the number in rule must be positive.")
        at_end = isinstance(origin, Scalar) and origin.value in ("end", "end_day")
        if unit in UNITS:
            periods = None
            side = choice_argument(closed, "closed", SIDES, "right" if at_end else "left")
            fallback = {"left": "left", "origin": "right" if at_end else "left", "closed": side}[default]
        else:
            periods = PERIODS[unit]() if unit in PERIODS else Periods.between(trading_days(unit))
            fallback = "right" if periods.is_end or at_end else "left"
            side = choice_argument(closed, "closed", SIDES, fallback)
        shown = choice_argument(label, "label", SIDES, fallback)
        return cls(step, unit, periods, side == "right", shown == "right", origin)

    def length(self, type_: Type) -> int:
        """The step in units of a temporal type."""
        unit = INSTANTS.get(type_)
        if unit is None:
            raise CallError(f"the times must have a date, not be of type {type_.name}.")
        if self.step * UNITS[self.unit] % unit:
            raise CallError(f"the rule is finer than {type_.name}.")
        return self.step * UNITS[self.unit] // unit

    def base(self, times: Vector) -> int:
        """Where the steps are counted from: a time, or the number of a period."""
        if self.periods is not None:
            days, missing = days_of(times)
            return 0 if missing.all() else int(self.periods.index(days[~missing].min(keepdims=True))[0])
        self.length(times.type)
        data = times.data[~times.nulls()].astype(np.int64)
        per_day = DAY // INSTANTS[times.type]
        if isinstance(self.origin, Scalar) and not isinstance(self.origin.value, str) and self.origin.value is not None:
            return int(cast_vector(as_vector(self.origin), times.type).data[0])
        kind = choice_argument(self.origin, "origin", ORIGINS, "start_day")
        if kind == "epoch" or not len(data):
            return 0
        first, last = int(data.min()), int(data.max())
        return {
            "start": first,
            "start_day": first // per_day * per_day,
            "end": last,
            "end_day": (last // per_day + 1) * per_day,
        }[kind]

    def labels(self, times: Vector, base: int) -> Vector:
        """The label of each time."""
        if self.periods is not None:
            return self._period_labels(times, base, self.periods)
        length = self.length(times.type)
        missing = times.nulls()
        past = np.where(missing, 0, times.data).astype(np.int64) - base
        edge = -(-past // length) - 1 if self.right_closed else past // length
        out = base + (edge + self.right_label) * length
        return times.with_data(np.where(missing, null(times.type), out).astype(times.data.dtype))

    def _period_labels(self, times: Vector, base: int, periods: Periods) -> Vector:
        days, missing = days_of(times)
        out = np.full(len(days), null(Type.DATE), dtype=np.int32)

        def label(days: Array) -> Array:
            edge = periods.index(days)
            if self.right_closed:
                edge = edge - 1 if periods.is_end else edge - (days <= periods.day(edge))
            elif periods.is_end:
                edge = edge - (days < periods.day(edge))
            return periods.day(base + (edge - base) // self.step * self.step + self.step * self.right_label)

        out[~missing] = for_distinct(label, days[~missing])
        return Vector(Type.DATE, out)

    def all_labels(self, times: Vector, base: int) -> Vector:
        """The labels from that of the first time to that of the last."""
        ends = self.labels(times.take(np.array([0, len(times) - 1])), base)
        first, last = (int(raw) for raw in ends.data)
        if self.periods is None:
            length = self.length(times.type)
            return ends.with_data(np.arange(first, last + 1, length).astype(ends.data.dtype))
        low, high = self.periods.index(np.array([first, last], dtype=np.int64))
        return Vector(Type.DATE, self.periods.day(np.arange(low, high + 1, self.step)).astype(np.int32))


@functions.builtin("transFreq", "X, rule, [closed], [label], [origin='start_day']", kind=Kind.ELEMENTWISE)
@every_form
def transform_frequency(
    x: Value, rule: Value, closed: Value | None = None, label: Value | None = None, origin: Value | None = None
) -> Value:
    """The label of each time: the period, the step or the trading day it belongs to."""
    frequency = Frequency.of(rule, closed, label, origin, default="left")

    def labels(times: Vector) -> Vector:
        base = frequency.base(times)
        labelled: Vector = blockwise(lambda part: frequency.labels(part, base))(times)
        return labelled

    return elementwise(labels, [x])


@functions.builtin("temporalSeq", "start, end, rule, [closed], [label], [origin='start_day']")
def temporal_sequence(
    start: Scalar,
    end: Scalar,
    rule: Value,
    closed: Value | None = None,
    label: Value | None = None,
    origin: Value | None = None,
) -> Vector:
    times = tuple_to_vector([start, end])
    if not isinstance(times, Vector) or start.type is not end.type or times.data[0] > times.data[1]:
        raise CallError("start and end must be of the same temporal type, and end must come after start.")
    frequency = Frequency.of(rule, closed, label, origin, default="origin")
    return frequency.all_labels(times, frequency.base(times))


def _indexed(x: Value) -> tuple[Vector, list[Vector]]:
    if isinstance(x, IndexedSeries):
        return x.index, [x.values]
    if isinstance(x, Matrix) and x.row_labels is not None:
        return x.row_labels, [x.column(index) for index in range(x.columns)]
    raise CallError("X must be an indexed series or a matrix with row labels of temporal type.")


def _rebuilt(x: Value, labels: Vector, columns: list[Vector]) -> Value:
    if isinstance(x, Matrix):
        stacked = stack(columns, x)
        return Matrix(stacked.type, stacked.data, labels, x.column_labels, stacked.scale, x.indexed)
    return IndexedSeries(labels, columns[0])


@functions.builtin("asFreq", "X, rule, [closed], [label], [origin='start_day']", aliases=("asfreq",))
def as_frequency(
    x: Value, rule: Value, closed: Value | None = None, label: Value | None = None, origin: Value | None = None
) -> Value:
    """The elements whose time is a label, the first of several, and NULL for the other labels."""
    index, columns = _indexed(x)
    if isinstance(rule, Vector) and rule.type in TEMPORAL:
        source = positions_in(index, rule)
        return _rebuilt(x, rule, [gather(column, source) for column in columns])
    frequency = Frequency.of(rule, closed, label, origin, default="closed")
    if not len(index):
        return x
    labels = frequency.all_labels(index, frequency.base(index))
    if frequency.periods is not None:
        index = Vector(Type.DATE, days_of(index)[0].astype(np.int32))
    if frequency.periods is not None or not frequency.right_label:
        labels = labels.take(labels.data <= index.data[-1])
    source = positions_in(index, labels)
    return _rebuilt(x, labels, [gather(column, source) for column in columns])


@functions.builtin("resample", "X, rule, func, [closed], [label], [origin='start_day']", context=True)
def resample(
    ctx: Context,
    x: Value,
    rule: Value,
    function: Value,
    closed: Value | None = None,
    label: Value | None = None,
    origin: Value | None = None,
) -> Value:
    """An aggregate of the elements of each interval."""
    index, columns = _indexed(x)
    called = function_argument(function, "func")
    frequency = Frequency.of(rule, closed, label, origin, default="origin")
    if not len(index):
        return x
    if index.nulls().any() or (np.diff(index.data) < 0).any():
        raise CallError("the row labels of X must be increasing, without NULLs.")
    base = frequency.base(index)
    labels = frequency.all_labels(index, base)
    bounds = np.searchsorted(frequency.labels(index, base).data, labels.data)
    results = []
    for column in columns:
        merged = _aggregated(ctx, called, column, np.append(bounds, len(index)))
        if not isinstance(merged, Vector):
            raise CallError("func must be an aggregate function.")
        results.append(merged)
    return _rebuilt(x, labels, results)


def _aggregated(ctx: Context, function: Function, column: Vector, bounds: Array) -> Value:
    """The results of a function for the runs of a column between bounds, empty ones among them."""
    sizes = np.diff(bounds)
    if isinstance(function, Builtin) and function.kind is Kind.AGGREGATE and function.grouped is not None:
        found = call_grouped(function, ContiguousGroups(sizes[sizes > 0]), [column])
        if (sizes > 0).all():
            return found  # type: ignore[no-any-return]
        of_none = ctx.call(function, [column.take(slice(0, 0))])
        together = tuple_to_vector([*elements(found), of_none])
        if isinstance(together, Vector):
            return together.take(np.where(sizes > 0, np.cumsum(sizes > 0) - 1, len(together) - 1))
    parts: list[Value] = []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        ctx.check()
        parts.append(ctx.call(function, [column.take(slice(first, last))]))
    return tuple_to_vector(parts)
