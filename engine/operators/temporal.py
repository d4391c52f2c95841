"""Arithmetic on dates and times."""

from __future__ import annotations

import numpy as np

from engine.calendars import move_days, trading_days
from engine.cast import CLOCKS, DAY, INSTANTS, cast_vector, common_type
from engine.errors import ScriptError
from engine.types import DTYPES, INTEGRAL, TEMPORAL, Type, null
from engine.values import Array, Vector

UNITS = {
    "ns": 1, "us": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "H": 3600 * 10**9, "d": DAY, "w": 7 * DAY,
}  # fmt: skip


def temporal_arithmetic(operator: str, left: Vector, right: Vector) -> Vector:
    """Temporal ± integer, temporal ± duration, temporal - temporal, instant + time of day of the same unit."""
    lt, rt = left.type, right.type
    if lt in TEMPORAL and rt is Type.DURATION and operator in "+-":
        return add_durations(left, right, -1 if operator == "-" else 1)
    if rt in TEMPORAL and lt is Type.DURATION and operator == "+":
        return add_durations(right, left, 1)
    if lt in TEMPORAL and rt in TEMPORAL and operator == "-":
        return _difference(left, right)
    if operator == "+" and INSTANTS.get(lt, 0) == CLOCKS.get(rt):
        return _shift(operator, left, right)
    if lt in TEMPORAL and (rt in INTEGRAL or rt is Type.BOOL):
        return _shift(operator, left, right)
    if rt in TEMPORAL and (lt in INTEGRAL or lt is Type.BOOL) and operator in "+*":
        return _shift(operator, right, left)
    if lt in TEMPORAL and rt in (Type.FLOAT, Type.DOUBLE) and operator in "+-":
        return _shift(operator, left, cast_vector(right, Type.LONG))
    raise ScriptError(f"The operator {operator} can't be applied to {lt.name} and {rt.name}.")


def _shift(operator: str, times: Vector, amounts: Vector) -> Vector:
    missing = times.nulls() | amounts.nulls()
    a, b = times.data.astype(np.int64), amounts.data.astype(np.int64)
    type_ = times.type
    with np.errstate(all="ignore"):
        if operator in "+-":
            out = a + b if operator == "+" else a - b
            if type_ in CLOCKS:
                out = out % (DAY // CLOCKS[type_])
        else:
            type_ = Type.LONG if times.data.dtype == np.int64 else Type.INT
            if operator == "*":
                out = a * b
            elif operator in "/%":
                missing = missing | (b == 0)
                divisor = np.where(b == 0, 1, b)
                out = a // divisor if operator == "/" else np.mod(a, divisor)
            else:
                raise ScriptError(f"The operator {operator} can't be applied to {times.type.name}.")
    result = out.astype(DTYPES[type_])
    result[missing] = null(type_)
    return Vector(type_, result)


def _difference(left: Vector, right: Vector) -> Vector:
    type_ = common_type(left.type, right.type)
    if type_ is Type.ANY:
        raise ScriptError(f"The operator - can't be applied to {left.type.name} and {right.type.name}.")
    a, b = cast_vector(left, type_), cast_vector(right, type_)
    missing = a.nulls() | b.nulls()
    result_type = Type.LONG if a.data.dtype == np.int64 else Type.INT
    with np.errstate(over="ignore"):
        out = np.asarray(a.data - b.data)
    out[missing] = null(result_type)
    return Vector(result_type, out)


def add_durations(times: Vector, durations: Vector, sign: int) -> Vector:
    """Times moved by durations (one for all, or one each)."""
    distinct = {raw for raw in durations.data.tolist() if raw is not None}
    if len(durations) == 1 and distinct:
        amount, unit = next(iter(distinct))
        return add_duration(times, sign * amount, unit)
    count = max(len(times), len(durations))
    out = np.full(count, null(times.type), dtype=times.data.dtype)
    spread = times if len(times) == count else times.take(np.zeros(count, dtype=np.int64))
    for amount, unit in distinct:
        rows = np.array([raw == (amount, unit) for raw in durations.data.tolist()])
        out[rows] = add_duration(spread.take(rows), sign * amount, unit).data
    return times.with_data(out)


def add_duration(times: Vector, amount: int | Array, unit: str) -> Vector:
    """Times moved by `amount` (one, or one per element) of a unit as written in durations (`10m`, `1M`, `3B`)."""
    type_ = times.type
    missing = times.nulls()
    data = np.where(missing, 0, times.data).astype(np.int64)
    if unit in ("M", "y"):
        out = _add_months(type_, data, amount * 12 if unit == "y" else amount)
    elif type_ is Type.MONTH:
        raise ScriptError(f"A duration in {unit} can't be added to a MONTH.")
    elif unit in UNITS:
        per_unit = INSTANTS.get(type_) or CLOCKS[type_]
        if UNITS[unit] < per_unit and np.any(np.asarray(amount) * UNITS[unit] % per_unit):
            raise ScriptError(f"A duration in {unit} is finer than {type_.name}.")
        moved = np.asarray(amount) * UNITS[unit] // per_unit
        out = data + moved
        if type_ in CLOCKS:
            out = out % (DAY // per_unit)
    else:
        out = _add_trading_days(type_, data, missing, amount, unit)
    limit = np.iinfo(times.data.dtype).max
    if len(out) and (out.max() > limit or out.min() < -limit):
        raise ScriptError(f"The result lies outside the times a {type_.name} can be.")
    result = out.astype(times.data.dtype)
    result[missing] = null(type_)
    return times.with_data(result)


def _add_months(type_: Type, data: Array, months: int | Array) -> Array:
    if type_ is Type.MONTH:
        return np.asarray(data + months)
    if type_ not in INSTANTS:
        raise ScriptError(f"Months can't be added to {type_.name}.")
    per_day = DAY // INSTANTS[type_]
    days, within = data // per_day, data % per_day
    month = days.astype("datetime64[D]").astype("datetime64[M]")
    day = days - month.astype("datetime64[D]").astype(np.int64)
    moved = month + np.asarray(months).astype("timedelta64[M]")
    last = ((moved + 1).astype("datetime64[D]") - moved.astype("datetime64[D]")).astype(np.int64) - 1
    first = moved.astype("datetime64[D]").astype(np.int64)
    return np.asarray((first + np.minimum(day, last)) * per_day + within)


def _add_trading_days(type_: Type, data: Array, missing: Array, amount: int | Array, unit: str) -> Array:
    calendar = trading_days(unit)
    if type_ not in INSTANTS:
        raise ScriptError(f"Trading days can't be added to {type_.name}.")
    per_day = DAY // INSTANTS[type_]
    days, within = np.divmod(data, per_day)
    if not missing.any():
        return np.asarray(move_days(calendar, days, amount) * per_day + within)
    if isinstance(amount, np.ndarray) and amount.ndim:
        amount = np.broadcast_to(amount, days.shape)[~missing]
    within[~missing] += move_days(calendar, days[~missing], amount) * per_day
    return within
