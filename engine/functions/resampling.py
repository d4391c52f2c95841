"""Changing the frequency of times and of series: transFreq, temporalSeq, asFreq, resample."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.aggregation.rows import gather
from engine.arguments import choice_argument, function_argument, is_omitted, text_argument
from engine.cast import DAY, INSTANTS, cast_vector
from engine.context import Context
from engine.errors import CallError, UnsupportedError
from engine.forms import as_vector, tuple_to_vector
from engine.functions.calendar import (
    Periods,
    business_days,
    days_of,
    half_months,
    month_periods,
    nth_weekday,
    week_periods,
)
from engine.functions.ordering import positions_in
from engine.functions.registry import Kind, Registry
from engine.lifting import stack
from engine.types import Type, null
from engine.values import IndexedSeries, Matrix, Scalar, Value, Vector

functions = Registry()

UNITS = {"D": DAY, "H": 3600 * 10**9, "min": 60 * 10**9, "S": 10**9, "L": 10**6, "U": 10**3, "N": 1}
PERIODS: dict[str, Callable[[], Periods]] = {
    "B": business_days,
    "W": lambda: week_periods(6, end=True),
    "WOM": lambda: nth_weekday(0, 0),
    "LWOM": lambda: nth_weekday(-1, 0),
    "SM": lambda: half_months(15, end=True),
    "SMS": lambda: half_months(15, end=False),
    "SA": lambda: month_periods(6, 1, end=True, business=False),
    "SAS": lambda: month_periods(6, 1, end=False, business=False),
}


def _monthly(length: int, business: bool, end: bool) -> Callable[[], Periods]:
    return lambda: month_periods(length, 1, end=end, business=business)


for _code, _length in (("M", 1), ("Q", 3), ("A", 12)):
    for _business in (False, True):
        for _end in (False, True):
            _name = f"{'B' if _business else ''}{_code}{'' if _end else 'S'}"
            PERIODS[_name] = _monthly(_length, _business, _end)
ORIGINS = ("epoch", "start", "start_day", "end", "end_day")


@dataclass(frozen=True)
class Frequency:
    """A rule: calendar periods, or steps of a fixed length from an origin."""

    step: int
    unit: str
    right_closed: bool
    right_label: bool
    origin: Value | None

    @classmethod
    def of(
        cls, rule: Value, closed: Value | None, label: Value | None, origin: Value | None, *, default: str
    ) -> Frequency:
        """`default` says how labels are chosen when not given: left, origin or closed."""
        match = re.fullmatch(r"(\d*)([A-Za-z]+)", text_argument(rule, "rule"))
        if match is None or match.group(2) not in (*UNITS, *PERIODS):
            raise UnsupportedError(f"The frequency {text_argument(rule, 'rule')}")
        step = int(match.group(1) or 1)
        if step <= 0:
            raise CallError("the number in rule must be positive.")
        if match.group(2) in PERIODS and not (is_omitted(closed) and is_omitted(label)):
            raise UnsupportedError(f"closed or label with the frequency {match.group(2)}")
        at_end = isinstance(origin, Scalar) and origin.value in ("end", "end_day")
        side = choice_argument(closed, "closed", ("left", "right"), "right" if at_end else "left")
        fallback = {"left": "left", "origin": "right" if at_end else "left", "closed": side}[default]
        shown = choice_argument(label, "label", ("left", "right"), fallback)
        return cls(step, match.group(2), side == "right", shown == "right", origin)

    @property
    def is_calendar(self) -> bool:
        return self.unit in PERIODS

    def length(self, type_: Type) -> int:
        """The step in units of a temporal type."""
        unit = INSTANTS.get(type_)
        if unit is None:
            raise CallError(f"the times must have a date, not be of type {type_.name}.")
        if self.step * UNITS[self.unit] % unit:
            raise CallError(f"the rule is finer than {type_.name}.")
        return self.step * UNITS[self.unit] // unit

    def base(self, times: Vector) -> int:
        """Where the steps are counted from."""
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

    def labels(self, times: Vector, base: int | None = None) -> Vector:
        """The label of each time."""
        missing = times.nulls()
        if self.is_calendar:
            days, _ = days_of(times)
            start = int(days[~missing].min(initial=2**30)) if base is None else base
            out = PERIODS[self.unit]().of(days, missing, start, self.step)
            return Vector(Type.DATE, np.where(missing, null(Type.DATE), out).astype(np.int32))
        length = self.length(times.type)
        start = self.base(times) if base is None else base
        past = np.where(missing, 0, times.data).astype(np.int64) - start
        edge = -(-past // length) - 1 if self.right_closed else past // length
        out = start + (edge + self.right_label) * length
        return times.with_data(np.where(missing, null(times.type), out).astype(times.data.dtype))

    def between(self, first: int, last: int, type_: Type) -> Vector:
        """All labels from one to another."""
        if self.is_calendar:
            periods = PERIODS[self.unit]()
            numbers = periods.index(np.array([first, last], dtype=np.int64))
            days = periods.day(np.arange(numbers[0], numbers[1] + 1, self.step))
            return Vector(Type.DATE, days.astype(np.int32))
        length = self.length(type_)
        data = np.arange(first, last + 1, length)
        return Vector(type_, data.astype(np.int64 if type_ in (Type.TIMESTAMP, Type.NANOTIMESTAMP) else np.int32))


@functions.builtin("transFreq", "X, rule, [closed], [label], [origin='start_day']", kind=Kind.ELEMENTWISE)
def transform_frequency(
    x: Vector, rule: Value, closed: Value | None = None, label: Value | None = None, origin: Value | None = None
) -> Vector:
    return Frequency.of(rule, closed, label, origin, default="left").labels(x)


def _ends(times: Vector) -> Vector:
    return times.take(np.array([0, len(times) - 1]))


def all_labels(frequency: Frequency, times: Vector) -> Vector:
    """The labels from that of the first time to that of the last."""
    ends = _ends(times)
    base = None if frequency.is_calendar else frequency.base(times)
    labels = frequency.labels(ends, base)
    first, last = int(labels.data[0]), int(labels.data[-1])
    return frequency.between(first, last, labels.type)


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
    return all_labels(Frequency.of(rule, closed, label, origin, default="origin"), times)


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
    """The elements whose time is a label, and NULL for the other labels."""
    index, columns = _indexed(x)
    frequency = Frequency.of(rule, closed, label, origin, default="closed")
    labels = all_labels(frequency, index)
    if frequency.is_calendar or not frequency.right_label:
        last = int(days_of(_ends(index))[0][-1]) if labels.type is Type.DATE else int(index.data[-1])
        labels = labels.take(labels.data <= last)
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
    base = None if frequency.is_calendar else frequency.base(index)
    own = frequency.labels(index, base)
    labels = all_labels(frequency, index)
    if frequency.is_calendar and len(own):
        labels = frequency.between(int(own.data[0]), int(own.data[-1]), own.type)
    place = positions_in(labels, own)
    results = []
    for column in columns:
        parts: list[Value] = []
        for number in range(len(labels)):
            ctx.check()
            parts.append(ctx.call(called, [column.take(np.flatnonzero(place == number))]))
        merged = tuple_to_vector(parts)
        if not isinstance(merged, Vector):
            raise CallError("func must be an aggregate function.")
        results.append(merged)
    return _rebuilt(x, labels, results)
