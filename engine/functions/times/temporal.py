"""Parts of dates and times, arithmetic with units, bars, parsing and formatting."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.aggregation.running import shifted
from engine.arguments import (
    boolean_argument,
    choice_argument,
    is_omitted,
    text_argument,
)
from engine.calendars import days_between, trading_days
from engine.cast import CLOCKS, DAY, INSTANTS
from engine.declarations import declare_sequence
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry
from engine.functions.times.periods import days_of, month_number, month_start
from engine.grouping import Groups
from engine.operators import binary
from engine.operators.temporal import UNITS, add_duration, add_durations
from engine.types import TEMPORAL, Type, null
from engine.values import Array, Scalar, Value, Vector

functions = Registry()

HOUR, MINUTE, SECOND = 3600 * 10**9, 60 * 10**9, 10**9


def _integers(data: Array, missing: Array) -> Vector:
    return Vector(Type.INT, np.where(missing, null(Type.INT), data).astype(np.int32))


def nanoseconds_of_day(x: Vector) -> tuple[Array, Array]:
    """Nanoseconds since midnight and a mask of NULLs."""
    unit = INSTANTS.get(x.type) or CLOCKS.get(x.type)
    if unit is None:
        raise CallError(f"{x.type.name} has no time of day.")
    missing = x.nulls()
    data = np.where(missing, 0, x.data).astype(np.int64, copy=False)
    return _modulo(data, DAY // unit) * unit, missing


def _modulo(data: Array, divisor: int) -> Array:
    """`data % divisor`; dividing by a constant is fast, its remainder is not."""
    return np.asarray(data - data // divisor * divisor)


def _declare_clock(name: str, unit: int, modulus: int) -> None:
    @functions.elementwise(name, "X")
    def part(x: Vector) -> Vector:
        within, missing = nanoseconds_of_day(x)
        return _integers(_modulo(within // unit, modulus), missing)


for _name, _unit, _modulus in (
    ("hourOfDay", HOUR, 24),
    ("hour", HOUR, 24),
    ("minuteOfHour", MINUTE, 60),
    ("secondOfMinute", SECOND, 60),
    ("millisecond", 10**6, 1000),
    ("microsecond", 10**3, 10**6),
    ("nanosecond", 1, 10**9),
):
    _declare_clock(_name, _unit, _modulus)


def _months_of(x: Vector) -> tuple[Array, Array]:
    """Months since 1970 of a date or MONTH, and a mask of NULLs."""
    if x.type is Type.MONTH:
        missing = x.nulls()
        return np.where(missing, 0, x.data).astype(np.int64) - 1970 * 12, missing
    days, missing = days_of(x)
    return month_number(days), missing


def _declare_month_part(name: str, part: Callable[[Array], Array]) -> None:
    @functions.elementwise(name, "X")
    def of(x: Vector) -> Vector:
        months, missing = _months_of(x)
        return _integers(part(months), missing)


_declare_month_part("year", lambda months: months // 12 + 1970)
_declare_month_part("monthOfYear", lambda months: months % 12 + 1)
_declare_month_part("quarterOfYear", lambda months: months % 12 // 3 + 1)
_declare_month_part("daysInMonth", lambda months: month_start(months + 1) - month_start(months))


def _declare_day_part(name: str, part: Callable[[Array], Array]) -> None:
    @functions.elementwise(name, "X")
    def of(x: Vector) -> Vector:
        days, missing = days_of(x)
        return _integers(part(days), missing)


def _iso_week(days: Array) -> Array:
    thursday = days - (days + 3) % 7 + 3
    return np.asarray((thursday - month_start(month_number(thursday) // 12 * 12)) // 7 + 1)


_declare_day_part("dayOfMonth", lambda days: days - month_start(month_number(days)) + 1)
_declare_day_part("dayOfYear", lambda days: days - month_start(month_number(days) // 12 * 12) + 1)
_declare_day_part("dayOfWeek", lambda days: (days + 3) % 7)
_declare_day_part("weekOfYear", _iso_week)


@functions.elementwise("weekday", "X, [startFromSunday=true]")
def weekday(x: Vector, from_sunday: Value | None = None) -> Vector:
    days, missing = days_of(x)
    return _integers((days + (4 if boolean_argument(from_sunday, "startFromSunday", True) else 3)) % 7, missing)


@functions.elementwise("isLeapYear", "X")
def is_leap_year(x: Vector) -> Vector:
    months, missing = _months_of(x)
    year = months // 12 + 1970
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return Vector(Type.BOOL, np.where(missing, null(Type.BOOL), leap).astype(np.int8))


@functions.elementwise("temporalAdd", "obj, duration, [unit]", vectors=2, aliases=("datetimeAdd",))
def temporal_add(x: Vector, duration: Vector, unit: Value | None = None) -> Vector:
    if x.type not in TEMPORAL:
        raise CallError("obj must be temporal.")
    if duration.type is Type.DURATION:
        return add_durations(x, duration, 1)
    name = text_argument(unit, "unit")
    missing = duration.nulls()
    amounts = np.where(missing, 0, duration.data).astype(np.int64)
    alike = len(amounts) > 0 and bool((amounts == amounts[0]).all())
    moved = add_duration(x, int(amounts[0]) if alike else amounts, name)
    if missing.any():
        moved.data[missing] = null(x.type)
    return moved


def _difference(x: Vector, y: Vector, unit: Value | None) -> Vector:
    if is_omitted(unit):
        return as_vector(binary("-", x, y))
    name = text_argument(unit, "unit")
    if x.type is not Type.DATE or y.type is not Type.DATE:
        raise CallError("with a unit X must be of type DATE.")
    (end, no_end), (start, no_start) = days_of(x), days_of(y)
    missing = no_end | no_start
    if name == "d":
        return _integers(end - start, missing)
    apart = np.zeros(len(missing), dtype=np.int64)
    apart[~missing] = days_between(trading_days(name), start[~missing], end[~missing])
    return _integers(apart, missing)


@functions.elementwise("temporalDiff", "X, Y, [unit]", vectors=2, aliases=("datetimeDiff",))
def temporal_diff(x: Vector, y: Vector, unit: Value | None = None) -> Vector:
    if x.type is not y.type or x.type not in TEMPORAL:
        raise CallError("X and Y must be of the same temporal type.")
    return _difference(x, y, unit)


def _temporal_deltas(groups: Groups, x: Vector, unit: Value | None = None) -> Vector:
    return _difference(x, shifted(groups, x, 1), unit) if x.type in TEMPORAL else x


declare_sequence(functions, "temporalDeltas", "X, [unit]", _temporal_deltas, raw=True, aliases=("datetimeDeltas",))


@functions.elementwise("concatDateTime", "date, time", vectors=2, aliases=("concatDT",))
def concat_date_time(date: Vector, time: Vector) -> Vector:
    types = {
        Type.SECOND: Type.DATETIME, Type.TIME: Type.TIMESTAMP, Type.NANOTIME: Type.NANOTIMESTAMP,
        Type.MINUTE: Type.DATETIME,
    }  # fmt: skip
    if date.type is not Type.DATE or time.type not in types:
        raise CallError("date must be of type DATE, time of type SECOND, TIME or NANOTIME.")
    type_ = types[time.type]
    unit = INSTANTS[type_]
    missing = date.nulls() | time.nulls()
    days = np.where(missing, 0, date.data).astype(np.int64)
    within = np.where(missing, 0, time.data).astype(np.int64) * (CLOCKS[time.type] // unit)
    out = days * (DAY // unit) + within
    return Vector(type_, np.where(missing, null(type_), out).astype(np.int64 if unit < 10**9 else np.int32))


def interval_length(x: Vector, interval: Value) -> Array | int:
    """An interval in units of X."""
    if isinstance(interval, Scalar) and interval.type is Type.DURATION and interval.value is not None:
        amount, unit = interval.value
        if unit in ("y", "M", "B") or unit not in UNITS:
            raise CallError("the unit of interval must be one of w, d, H, m, s, ms, us, ns.")
        per_unit = INSTANTS.get(x.type) or CLOCKS.get(x.type)
        if per_unit is None:
            if x.type is Type.MONTH or x.type not in TEMPORAL:
                raise CallError("interval can be a duration only if X is temporal.")
            raise CallError(f"X of type {x.type.name} cannot be divided into durations.")
        length = amount * UNITS[unit] // per_unit
        if amount * UNITS[unit] % per_unit:
            raise CallError(f"interval is finer than {x.type.name}.")
    else:
        column = as_vector(interval)
        if column.data.dtype.kind != "i" or column.symbols is not None:
            raise CallError("interval must be an integer or a duration.")
        if len(column) > 1:
            if (column.data <= 0).any():
                raise CallError("interval must be greater than 0.")
            lengths: Array = column.data.astype(np.int64)
            return lengths
        length = int(column.data[0])
    if length <= 0:
        raise CallError("interval must be greater than 0.")
    return int(length)


@functions.elementwise("bar", "X, interval, [closed='left']")
def bar(x: Vector, interval: Value, closed: Value | None = None) -> Vector:
    """Elements rounded towards zero to a multiple of the interval; with `right` away from it."""
    if x.data.dtype.kind != "i" or x.symbols is not None:
        raise CallError("X must be integral or temporal.")
    side = choice_argument(closed, "closed", ("left", "right"), "left")
    length = interval_length(x, interval)
    missing = x.nulls()
    data = np.where(missing, 0, x.data).astype(np.int64, copy=False)
    rest = np.fmod(data, length) if not isinstance(length, int) or (data < 0).any() else _modulo(data, length)
    out = data - rest if side == "left" else np.where(rest == 0, data, data + (length - rest))
    return x.with_data(np.where(missing, null(x.type), out).astype(x.data.dtype))


@functions.builtin("dailyAlignedBar", "X, timeOffset, n, [timeEnd], [mergeSessionEnd=false]", kind=Kind.ELEMENTWISE)
def daily_aligned_bar(
    x: Vector, offset: Value, n: Value, end: Value | None = None, merge: Value | None = None
) -> Vector:
    """The start of the window of each time, counted from the start of its session."""
    starts = as_vector(offset)
    unit = INSTANTS.get(x.type) or CLOCKS.get(x.type)
    if unit is None or starts.type not in CLOCKS or CLOCKS[starts.type] != unit:
        raise CallError("timeOffset must be a time of the same accuracy as X.")
    if starts.nulls().any() or (np.diff(starts.data) <= 0).any() or not len(starts):
        raise CallError("timeOffset must be increasing, without NULLs.")
    length = interval_length(starts, n)
    per_day = DAY // unit
    missing = x.nulls()
    data = np.where(missing, 0, x.data).astype(np.int64)
    within = data % per_day
    begin = starts.data.astype(np.int64)
    session = np.searchsorted(begin, within, side="right") - 1
    overnight = session < 0
    start = np.where(overnight, begin[-1] - per_day, begin[np.maximum(session, 0)])
    past = within - start
    if boolean_argument(merge, "mergeSessionEnd", False) and not is_omitted(end) and end is not None:
        ending = as_vector(end)
        if ending.type is not starts.type or len(ending) != len(starts):
            raise CallError("timeEnd must be of the type and length of timeOffset.")
        ends = ending.data.astype(np.int64)
        close = np.where(overnight, ends[-1], ends[np.maximum(session, 0)])
        close = np.where(close < start, close + per_day, close)
        past = np.where((within == close) & (past % length == 0) & (past > 0), past - length, past)
    out = data - within + start + past // length * length
    if x.type in CLOCKS:
        out = out % per_day
    return x.with_data(np.where(missing, null(x.type), out).astype(x.data.dtype))


@functions.builtin("now", "[nanoSecond=false]")
def now(nano: Value | None = None) -> Scalar:
    local = clock.time_ns() + clock.localtime().tm_gmtoff * SECOND
    if boolean_argument(nano, "nanoSecond", False):
        return Scalar(Type.NANOTIMESTAMP, local)
    return Scalar(Type.TIMESTAMP, local // 10**6)


@functions.builtin("today", "")
def today() -> Scalar:
    return Scalar(Type.DATE, (clock.time_ns() + clock.localtime().tm_gmtoff * SECOND) // DAY)


def _whole_seconds(data: Array, unit: int) -> Array:
    return data // (SECOND // unit) if unit <= SECOND else data * (unit // SECOND)


def offsets_of(seconds: Array, offset: Callable[[int], int]) -> Array:
    """`offset` at each of the seconds; it is asked once for all of a day that begins and ends with the same."""
    days, codes = np.unique(seconds // 86400, return_inverse=True)
    ends = np.array([(offset(day * 86400), offset(day * 86400 + 86399)) for day in days.tolist()], dtype=np.int64)
    found = np.asarray(ends.reshape(-1, 2)[codes, 0])
    changing = np.flatnonzero((ends.reshape(-1, 2)[:, 0] != ends.reshape(-1, 2)[:, 1])[codes])
    single, places = np.unique(seconds[changing], return_inverse=True)
    found[changing] = np.array([offset(second) for second in single.tolist()], dtype=np.int64)[places]
    return found


def _shifted(x: Vector, offsets: Callable[[Array], Array]) -> Vector:
    """Times moved by the seconds that `offsets` gives for their seconds since 1970."""
    unit = INSTANTS[x.type]
    missing = x.nulls()
    data = np.where(missing, 0, x.data).astype(np.int64)
    moved = data + offsets(_whole_seconds(data, unit)) * SECOND // unit
    return x.with_data(np.where(missing, null(x.type), moved).astype(x.data.dtype))


def in_zone(x: Vector, source: str, target: str) -> Vector:
    """Wall-clock times of one time zone as those of another."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if x.type not in (Type.DATETIME, Type.TIMESTAMP, Type.NANOTIMESTAMP, Type.DATEHOUR):
        raise CallError(f"X must be of type DATETIME, TIMESTAMP or NANOTIMESTAMP, not {x.type.name}.")
    zones = []
    for name in (source, target):
        try:
            zones.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CallError(f"unknown time zone {name}.") from None
    origin, goal = zones
    if origin is goal:
        return x

    def of_wall(second: int) -> int:
        return _seconds(datetime.fromtimestamp(second, UTC).replace(tzinfo=origin).utcoffset())

    def of_instant(second: int) -> int:
        return _seconds(datetime.fromtimestamp(second, goal).utcoffset())

    def offsets(wall: Array) -> Array:
        back = offsets_of(wall, of_wall)
        return offsets_of(wall - back, of_instant) - back

    return _shifted(x, offsets)


def _seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset.days * 86400 + offset.seconds


@functions.elementwise("convertTZ", "obj, srcTZ, destTZ")
def convert_zone(x: Vector, source: Value, target: Value) -> Vector:
    return in_zone(x, text_argument(source, "srcTZ"), text_argument(target, "destTZ"))


def _local_shift(x: Vector, sign: int) -> Vector:
    if INSTANTS.get(x.type) is None or x.type is Type.DATE:
        raise CallError(f"X must be of type DATETIME, TIMESTAMP or NANOTIMESTAMP, not {x.type.name}.")

    def offset(second: int) -> int:
        if sign > 0:
            return clock.localtime(second).tm_gmtoff
        return -clock.localtime(clock.mktime((*clock.gmtime(second)[:8], -1))).tm_gmtoff

    return _shifted(x, lambda seconds: offsets_of(seconds, offset))


@functions.elementwise("localtime", "X")
def local_time(x: Vector) -> Vector:
    return _local_shift(x, 1)


@functions.elementwise("gmtime", "X")
def gm_time(x: Vector) -> Vector:
    return _local_shift(x, -1)
