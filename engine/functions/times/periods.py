"""Calendar periods: the first or last (business) day of the week, month, quarter, half-year or year of a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.arguments import boolean_argument, integer_argument, is_omitted, positive_argument
from engine.calendars import BUSINESS_DAYS, TradingDays, for_distinct
from engine.cast import DAY, INSTANTS
from engine.declarations import every_form
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.lifting import blockwise, elementwise
from engine.types import Type, null
from engine.values import Array, Value, Vector

functions = Registry()

Boundary = Callable[[Array], Array]


@dataclass(frozen=True)
class Periods:
    """A division of days into numbered periods: `index` of a day, and the `day` that stands for a period.

    With a step of n periods counted from an offset, ends take the last of the n, everything else the first.
    """

    index: Boundary
    day: Boundary
    is_end: bool = False

    @classmethod
    def between(cls, trading: TradingDays) -> Periods:
        """From one trading day to the next."""
        return cls(trading.number, trading.day)

    def of(self, days: Array, missing: Array, offset: int | None = None, step: int = 1) -> Array:
        """The day that stands for the period of each day; any day where one is missing."""
        if missing.all():
            return days
        if missing.any():
            days = np.where(missing, days[~missing][0], days)
        start = 0
        if step > 1:
            start = int(self.index(np.array([days.min() if offset is None else offset], dtype=np.int64))[0])
            if offset is not None and self.is_end and self.day(np.array([start]))[0] < offset:
                start += 1

        def label(days: Array) -> Array:
            number = self.index(days)
            if step > 1:
                past = number - start
                number = start + (-(-past // step) * step if self.is_end else past // step * step)
            return self.day(number)

        return for_distinct(label, days)


def days_of(x: Vector) -> tuple[Array, Array]:
    """Days since 1970 and a mask of NULLs."""
    unit = INSTANTS.get(x.type)
    if unit is None:
        raise CallError(f"X must be of type DATE, DATEHOUR, DATETIME, TIMESTAMP or NANOTIMESTAMP, not {x.type.name}.")
    missing = x.nulls()
    return np.where(missing, 0, x.data).astype(np.int64) // (DAY // unit), missing


def dates(days: Array, missing: Array) -> Vector:
    return Vector(Type.DATE, np.where(missing, null(Type.DATE), days).astype(np.int32))


def month_number(days: Array) -> Array:
    """Months since 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def month_start(months: Array) -> Array:
    """The first day of months since 1970, as days since 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def business_roll(days: Array, *, forward: bool) -> Array:
    """Days themselves, or the next (previous) Monday to Friday."""
    weekday = (days + 3) % 7
    if forward:
        return np.asarray(days + np.where(weekday > 4, 7 - weekday, 0))
    return np.asarray(days - np.maximum(weekday - 4, 0))


def month_periods(length: int, first_month: int, *, end: bool, business: bool) -> Periods:
    """Periods of `length` months, one of which starts in `first_month` (1 to 12)."""
    shift = (first_month - 1) % length

    def index(days: Array) -> Array:
        return np.asarray((month_number(days) - shift) // length)

    def day(number: Array) -> Array:
        if end:
            last = month_start((number + 1) * length + shift) - 1
            return business_roll(last, forward=False) if business else last
        first = month_start(number * length + shift)
        return business_roll(first, forward=True) if business else first

    return Periods(index, day, end)


def week_periods(weekday: int, *, end: bool) -> Periods:
    """Weeks that start (or end) on a weekday, 0 for Monday."""
    if end:
        return Periods(lambda d: -((weekday - 3 - d) // 7), lambda k: k * 7 + weekday - 3, True)
    return Periods(lambda d: (d + 3 - weekday) // 7, lambda k: k * 7 - 3 + weekday)


def nth_weekday(week: int, weekday: int) -> Periods:
    """From the week-th weekday of a month to that of the next; week -1 is the last."""

    def chosen(months: Array) -> Array:
        if week < 0:
            last = month_start(months + 1) - 1
            return np.asarray(last - (last + 3 - weekday) % 7)
        first = month_start(months)
        return np.asarray(first + (weekday - (first + 3)) % 7 + 7 * week)

    def index(days: Array) -> Array:
        month = month_number(days)
        return month - (days < chosen(month))

    return Periods(index, chosen)


def half_months(day: int, *, end: bool) -> Periods:
    def index(days: Array) -> Array:
        month = month_number(days)
        return month * 2 + (days - month_start(month) + 1 >= day)

    def boundary(number: Array) -> Array:
        month, second = number // 2, number % 2
        first = month_start(month)
        return first + np.where(second == 1, day - 1, -1 if end else 0)

    return Periods(index, boundary)


def fiscal_years(weekday: int, month: int, nearest: bool) -> Periods:
    """Years of 52 or 53 weeks that start on the weekday nearest to, or last before, the end of a month."""

    def start(years: Array) -> Array:
        last = month_start(years * 12 + month) - 1
        before = last - (last + 3 - weekday) % 7
        return np.asarray(np.where(last - before > 3, before + 7, before)) if nearest else before

    def index(days: Array) -> Array:
        year = month_number(days) // 12 + 1
        for _ in range(3):  # the end of December may fall on a day of the next year
            year = year - (days < start(year))
        return year

    return Periods(index, start)


def fiscal_quarters(weekday: int, month: int, long_quarter: int, nearest: bool) -> Periods:
    years = fiscal_years(weekday, month, nearest)

    def starts(year: Array) -> list[Array]:
        first, following = years.day(year), years.day(year + 1)
        extra = (following - first) // 7 == 53
        out = [first]
        for quarter in range(1, 4):
            weeks = 13 + (extra & (quarter == long_quarter))
            out.append(out[-1] + 7 * weeks)
        return out

    def index(days: Array) -> Array:
        year = years.index(days)
        return year * 4 + sum((days >= each).astype(np.int64) for each in starts(year)[1:])

    def day(number: Array) -> Array:
        return np.choose(number % 4, starts(number // 4))

    return Periods(index, day)


def periods_of(x: Value, periods: Periods, offset: Value | None, n: Value | None) -> Value:
    """The days that stand for the periods of times of any form; n periods are counted from the first time or offset."""
    step = positive_argument(n, "n", 1)
    start = None
    if not is_omitted(offset) and offset is not None:
        days, missing = days_of(as_vector(offset))
        if len(days) != 1 or missing.any():
            raise CallError("offset must be a time of the type of X.")
        start = int(days[0])

    def kernel(times: Vector) -> Vector:
        days, missing = days_of(times)
        return dates(periods.of(days, missing, start, step), missing)

    # Without an offset the smallest of all times decides.
    return elementwise(kernel if step > 1 and start is None else blockwise(kernel), [x])


def _within(value: Value | None, name: str, low: int, high: int, default: int) -> int:
    number = integer_argument(value, name, default)
    if not low <= number <= high:
        raise CallError(f"{name} must be an integer between {low} and {high}.")
    return number


def _declare_months(name: str, length: int, *, business: bool, end: bool, aliases: tuple[str, ...] = ()) -> None:
    parameter, default = ("endingMonth", 12) if end else ("startingMonth", 1)
    if length == 1:

        @functions.elementwise(name, "X, [offset], [n=1]", aliases=aliases)
        @every_form
        def monthly(x: Value, offset: Value | None = None, n: Value | None = None) -> Value:
            return periods_of(x, month_periods(1, 1, end=end, business=business), offset, n)

        return

    @functions.elementwise(name, f"X, [{parameter}={default}], [offset], [n=1]", aliases=aliases)
    @every_form
    def longer(x: Value, month: Value | None = None, offset: Value | None = None, n: Value | None = None) -> Value:
        number = _within(month, parameter, 1, 12, default)
        periods = month_periods(length, number % 12 + 1 if end else number, end=end, business=business)
        return periods_of(x, periods, offset, n)


for _period, _length in (("Month", 1), ("Quarter", 3), ("Year", 12), ("annual", 6)):
    for _end in (False, True):
        _suffix = "End" if _end else "Begin"
        if _length == 6:
            _declare_months(f"semiannual{_suffix}", 6, business=False, end=_end)
            continue
        _alias = ("monthStart",) if _length == 1 and not _end else ()
        _declare_months(f"{_period.lower()}{_suffix}", _length, business=False, end=_end, aliases=_alias)
        _declare_months(f"business{_period}{_suffix}", _length, business=True, end=_end)


@functions.elementwise("weekBegin", "X, [weekday=0], [offset], [n=1]")
@every_form
def week_begin(x: Value, weekday: Value | None = None, offset: Value | None = None, n: Value | None = None) -> Value:
    return periods_of(x, week_periods(_within(weekday, "weekday", 0, 6, 0), end=False), offset, n)


@functions.elementwise("weekEnd", "X, [weekday=6], [offset], [n=1]", aliases=("week",))
@every_form
def week_end(x: Value, weekday: Value | None = None, offset: Value | None = None, n: Value | None = None) -> Value:
    return periods_of(x, week_periods(_within(weekday, "weekday", 0, 6, 6), end=True), offset, n)


@functions.elementwise("weekOfMonth", "X, [week=0], [weekday=0], [offset], [n=1]")
@every_form
def week_of_month(
    x: Value,
    week: Value | None = None,
    weekday: Value | None = None,
    offset: Value | None = None,
    n: Value | None = None,
) -> Value:
    periods = nth_weekday(_within(week, "week", 0, 3, 0), _within(weekday, "weekday", 0, 6, 0))
    return periods_of(x, periods, offset, n)


@functions.elementwise("lastWeekOfMonth", "X, [weekday=0], [offset], [n=1]")
@every_form
def last_week_of_month(
    x: Value, weekday: Value | None = None, offset: Value | None = None, n: Value | None = None
) -> Value:
    return periods_of(x, nth_weekday(-1, _within(weekday, "weekday", 0, 6, 0)), offset, n)


def _declare_half_months(name: str, *, end: bool) -> None:
    @functions.elementwise(name, "X, [dayOfMonth=15], [offset], [n=1]")
    @every_form
    def half(x: Value, day: Value | None = None, offset: Value | None = None, n: Value | None = None) -> Value:
        return periods_of(x, half_months(_within(day, "dayOfMonth", 2, 27, 15), end=end), offset, n)


_declare_half_months("semiMonthBegin", end=False)
_declare_half_months("semiMonthEnd", end=True)


@functions.elementwise("businessDay", "X, [offset], [n=1]")
@every_form
def business_day(x: Value, offset: Value | None = None, n: Value | None = None) -> Value:
    return periods_of(x, Periods.between(BUSINESS_DAYS), offset, n)


@functions.elementwise("fy5253", "X, [weekday=0], [startingMonth=1], [nearest=true], [offset], [n=1]")
@every_form
def fiscal_year(
    x: Value,
    weekday: Value | None = None,
    month: Value | None = None,
    nearest: Value | None = None,
    offset: Value | None = None,
    n: Value | None = None,
) -> Value:
    periods = fiscal_years(
        _within(weekday, "weekday", 0, 6, 0),
        _within(month, "startingMonth", 1, 12, 1),
        boolean_argument(nearest, "nearest", True),
    )
    return periods_of(x, periods, offset, n)


@functions.elementwise(
    "fy5253Quarter", "X, [weekday=0], [startingMonth=1], [qtrWithExtraWeek=1], [nearest=true], [offset], [n=1]"
)
@every_form
def fiscal_quarter(
    x: Value,
    weekday: Value | None = None,
    month: Value | None = None,
    long_quarter: Value | None = None,
    nearest: Value | None = None,
    offset: Value | None = None,
    n: Value | None = None,
) -> Value:
    periods = fiscal_quarters(
        _within(weekday, "weekday", 0, 6, 0),
        _within(month, "startingMonth", 1, 12, 1),
        _within(long_quarter, "qtrWithExtraWeek", 1, 4, 1),
        boolean_argument(nearest, "nearest", True),
    )
    return periods_of(x, periods, offset, n)


def _declare_boundary(name: str, periods: Periods) -> None:
    @functions.elementwise(name, "X")
    def at_boundary(x: Vector) -> Vector:
        days, missing = days_of(x)
        hit = (periods.day(periods.index(days)) == days).astype(np.int8)
        return Vector(Type.BOOL, np.where(missing, null(Type.BOOL), hit).astype(np.int8))


for _period, _length in (("Month", 1), ("Quarter", 3), ("Year", 12)):
    _declare_boundary(f"is{_period}Start", month_periods(_length, 1, end=False, business=False))
    _declare_boundary(f"is{_period}End", month_periods(_length, 1, end=True, business=False))
