"""`interval` in group by: groups at even distances, with values made up for the empty ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from dolphin.script import syntax
from engine.calendars import TradingDays, for_distinct, trading_days
from engine.cast import DAY, INSTANTS, cast, cast_vector
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import as_vector
from engine.functions.registry import parse_parameters
from engine.interpreter.scope import Scope
from engine.limits import check_allocation
from engine.sql.evaluation import Executor
from engine.sql.frame import Frame
from engine.sql.keys import combined_codes, first_rows
from engine.sql.matching import take_or_null
from engine.types import FLOATING, INTEGRAL, TEMPORAL, Type
from engine.values import Array, Column, Scalar, Table, Value, Vector, nulls, take

if TYPE_CHECKING:
    from engine.sql.grouping import Keys

SIGNATURE = "X, duration, fill, [step], [explicitOffset=false], [closed='left'], [label='left'], [origin='epoch']"
USAGE = f"Usage: interval({SIGNATURE})."
SECOND = 10**9
UNIT_NANOSECONDS = {
    Type.DATE: 86400 * SECOND, Type.DATEHOUR: 3600 * SECOND, Type.MINUTE: 60 * SECOND, Type.SECOND: SECOND,
    Type.DATETIME: SECOND, Type.TIME: 10**6, Type.TIMESTAMP: 10**6, Type.NANOTIME: 1, Type.NANOTIMESTAMP: 1,
}  # fmt: skip
DURATION_NANOSECONDS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "H": 3600 * SECOND, "d": 86400 * SECOND,
    "w": 7 * 86400 * SECOND,
}  # fmt: skip
FILLS = ("prev", "post", "linear", "null", "none")


@dataclass(frozen=True, slots=True)
class Interval:
    """The starts of the steps rows fall into, and how to go on from there."""

    column: Vector
    node: syntax.Expression
    width: int
    step: int
    fill: str | Scalar
    first: int | None = None
    calendar: TradingDays | None = None

    def positions(self, labels: Vector) -> Array:
        """Labels on the scale of width and step: units of their type, or numbers of trading days."""
        raws = labels.data.astype(np.int64)
        return raws if self.calendar is None else for_distinct(self.calendar.number, raws // _per_day(labels.type))

    def labels(self, positions: Array) -> Vector:
        """The labels at positions on that scale."""
        if self.calendar is not None:
            positions = for_distinct(self.calendar.day, positions) * _per_day(self.column.type)
        return self.column.with_data(positions.astype(self.column.data.dtype))


def is_interval(node: syntax.Expression | None) -> TypeGuard[syntax.Call]:
    return isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.id == "interval"


def interval_of(
    node: syntax.Expression, executor: Executor, scope: Scope, start: Scalar | None = None
) -> Interval | None:
    """The meaning of a call of `interval`; None for any other key. `start` is where the conditions let X begin."""
    if not is_interval(node):
        return None
    names = [parameter.name for parameter in parse_parameters(SIGNATURE)]
    given: dict[str, Value] = {}
    for position, argument in enumerate(node.arguments):
        name = argument.name or (names[position] if position < len(names) else "")
        if name not in names:
            raise CallError(f"{USAGE} Too many or unknown arguments.")
        if argument.value is not None:
            given[name] = executor.evaluate(argument.value, scope)
    column = given.get("X")
    if not isinstance(column, Vector) or column.type not in (*INTEGRAL, *TEMPORAL):
        raise CallError(f"{USAGE} X must be a vector of an integral or temporal type.")
    calendar = _calendar(given.get("duration"), column)
    if "step" in given and _calendar(given["step"], column) is not calendar:
        raise CallError(f"{USAGE} step must be in the unit of duration.")
    type_ = column.type if calendar is None else Type.INT
    width = _length(given.get("duration"), type_, "duration")
    step = _length(given["step"], type_, "step") if "step" in given else width
    if width % step:
        raise CallError(f"{USAGE} step must divide duration.")
    if not _flag(given.get("explicitOffset")):
        start = None
    elif start is None:
        raise CallError(f"{USAGE} With explicitOffset=true the where clause has to say where X starts.")
    return _placed(Interval(column, node, width, step, _fill(given.get("fill")), None, calendar), given, start)


def _placed(spec: Interval, given: dict[str, Value], start: Scalar | None) -> Interval:
    """The interval of times as that of their labels."""
    column, step = spec.column, spec.step
    closed, label = (_word(given.get(name), "left") for name in ("closed", "label"))
    present = ~column.nulls() if column.has_nulls() else slice(None)
    first = None
    if start is not None:
        first = int(spec.positions(as_vector(cast(start, column.type)))[0])
    origin = _origin(given.get("origin"), spec) if first is None else first
    times = column.with_data(column.data[present])
    data = spec.positions(times) - origin
    if spec.calendar is not None and closed == "right":
        # A day between two trading days comes after the first of them.
        data = data + (spec.labels(data + origin).data < times.data // _per_day(column.type) * _per_day(column.type))
    starts = (-((-data) // step) - 1) * step if closed == "right" else data // step * step
    starts = starts + origin + (spec.width if label == "right" else 0)
    out = nulls(column.type, len(column)).data
    out[present] = spec.labels(starts).data
    if first is not None and label == "right":
        first += spec.width
    return replace(spec, column=column.with_data(out), first=first)


def _calendar(value: Value | None, column: Vector) -> TradingDays | None:
    """The calendar in whose days a length is given."""
    if not isinstance(value, Scalar) or value.type is not Type.DURATION or value.value is None:
        return None
    unit = value.value[1]
    if unit in DURATION_NANOSECONDS or unit in ("M", "y"):
        return None
    if column.type not in INSTANTS:
        raise CallError(f"{USAGE} Trading days do not go with the type of X.")
    return trading_days(unit)


def _per_day(type_: Type) -> int:
    return DAY // INSTANTS[type_]


def _origin(value: Value | None, spec: Interval) -> int:
    column = spec.column
    if spec.calendar is not None:
        if value is not None:
            raise UnsupportedError("origin with trading days")
        days = column.data[~column.nulls()]
        return int(spec.positions(column.with_data(days.min(keepdims=True)))[0]) if len(days) else 0
    if value is None:
        return 0
    if isinstance(value, Scalar) and value.type is column.type and isinstance(value.value, int):
        return value.value
    word = _word(value, "epoch")
    present = column.data[~column.nulls()]
    if word == "epoch" or not len(present):
        return 0
    day = 86400 * SECOND // UNIT_NANOSECONDS.get(column.type, 86400 * SECOND)
    chosen = {
        "start": int(present.min()),
        "start_day": int(present.min()) // day * day,
        "end": int(present.max()),
        "end_day": (int(present.max()) // day + 1) * day,
    }
    if word not in chosen:
        raise CallError(f"{USAGE} origin must be epoch, start, start_day, end, end_day or a time.")
    return chosen[word]


def _length(value: Value | None, type_: Type, name: str) -> int:
    if isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool):
        length = value.value
    elif isinstance(value, Scalar) and value.type is Type.DURATION and value.value is not None:
        amount, unit = value.value
        if type_ is Type.MONTH and unit in ("M", "y"):
            length = amount * (12 if unit == "y" else 1)
        elif unit not in DURATION_NANOSECONDS and unit not in ("M", "y"):
            length = amount
        elif unit not in DURATION_NANOSECONDS or type_ not in UNIT_NANOSECONDS:
            raise CallError(f"{USAGE} The unit {unit} of {name} does not go with the type of X.")
        else:
            length, rest = divmod(amount * DURATION_NANOSECONDS[unit], UNIT_NANOSECONDS[type_])
            if rest:
                raise CallError(f"{USAGE} {name} must be a multiple of the precision of X.")
    else:
        raise CallError(f"{USAGE} {name} must be an integer or a duration.")
    if length <= 0:
        raise CallError(f"{USAGE} {name} must be positive.")
    return length


def _fill(value: Value | None) -> str | Scalar:
    if isinstance(value, Scalar) and isinstance(value.value, str) and value.value in FILLS:
        return value.value
    if isinstance(value, Scalar) and value.value is None:
        return "null"
    if isinstance(value, Scalar) and isinstance(value.value, int | float):
        return value
    raise CallError(f"{USAGE} fill must be a number or one of {', '.join(FILLS)}.")


def _flag(value: Value | None) -> bool:
    return isinstance(value, Scalar) and bool(value.value)


def _word(value: Value | None, default: str) -> str:
    if value is None:
        return default
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return value.value
    raise CallError(f"{USAGE} closed, label and origin must be strings.")


def spread(frame: Frame, keys: Keys) -> tuple[Frame, Keys]:
    """Where windows overlap (step < duration), every row once for each window it lies in."""
    for position, spec in keys.intervals.items():
        times = spec.width // spec.step
        if times == 1:
            continue
        rows = np.repeat(np.arange(frame.rows), times)
        back = np.tile(np.arange(times) * spec.step, frame.rows)
        frame = frame.take(rows)
        columns: list[Column] = [take(column, rows) for column in keys.columns]
        starts = columns[position]
        assert isinstance(starts, Vector)
        present = ~starts.nulls()
        data = starts.data.copy()
        data[present] = spec.labels(spec.positions(starts.take(present)) - back[present]).data
        columns[position] = starts.with_data(data)
        keys = replace(keys, columns=columns)
    return frame, keys


def filled(table: Table, key_columns: Sequence[Column], labels: Sequence[str], intervals: dict[int, Interval]) -> Table:
    """The result of grouping with rows for the empty intervals, filled as asked."""
    if len(intervals) > 1:
        raise ScriptError("Only one interval can be used in group by.")
    position, spec = next(iter(intervals.items()))
    starts = key_columns[position]
    assert isinstance(starts, Vector)
    if spec.fill == "none" or not len(starts):
        return table
    if starts.nulls().any():
        raise CallError(f"{USAGE} X must not contain NULLs unless fill is none.")
    positions = spec.positions(starts)
    low, high = int(positions.min()), int(positions.max())
    low = low if spec.first is None else min(low, spec.first)
    check_allocation((high - low) // spec.step + 1)
    grid = np.arange(low, high + 1, spec.step, dtype=np.int64)
    others = [column for index, column in enumerate(key_columns) if index != position]
    codes, count = combined_codes(others) if others else (np.zeros(len(starts), dtype=np.int64), 1)
    check_allocation(count * len(grid))
    row_of = np.full(count * len(grid), -1, dtype=np.int64)
    row_of[codes * len(grid) + (positions - low) // spec.step] = np.arange(len(starts))
    first = first_rows(codes, count)
    columns: list[Column] = []
    for name, column in zip(table.names, table.columns, strict=True):
        if name == labels[position]:
            columns.append(starts.with_data(np.tile(spec.labels(grid).data, count)))
        elif name in labels:
            columns.append(take(column, np.repeat(first, len(grid))))
        else:
            columns.append(_fill_column(column, row_of, len(grid), spec.fill))
    return Table(list(table.names), columns)


def _fill_column(column: Column, row_of: Array, length: int, fill: str | Scalar) -> Column:
    """`row_of` are the rows of the grid in runs of `length` per group of the other keys; -1 for an empty one.

    A NULL is filled as if the interval were empty.
    """
    if isinstance(column, Vector) and column.has_nulls():
        row_of = np.where((row_of >= 0) & column.nulls()[row_of], -1, row_of)
    missing = row_of < 0
    if isinstance(fill, Scalar):
        out = take_or_null(column, row_of)
        if isinstance(out, Vector):
            value = cast_vector(Vector(fill.type, np.array([fill.value])), out.type, out.scale)
            out.data[missing] = value.data[0]
        return out
    if fill == "null":
        return take_or_null(column, row_of)
    numeric = isinstance(column, Vector) and column.type in (*INTEGRAL, *FLOATING)
    if fill == "linear" and numeric:
        return _linear(column, row_of, length)  # type: ignore[arg-type]
    return take_or_null(column, _carried(row_of, length, backwards=fill == "post"))


def _carried(row_of: Array, length: int, backwards: bool) -> Array:
    runs = row_of.reshape(-1, length)
    if backwards:
        runs = runs[:, ::-1]
    position = np.where(runs >= 0, np.arange(length), -1)
    last = np.maximum.accumulate(position, axis=1)
    carried = np.where(last >= 0, np.take_along_axis(runs, np.maximum(last, 0), axis=1), -1)
    return (carried[:, ::-1] if backwards else carried).reshape(-1)


def _linear(column: Vector, row_of: Array, length: int) -> Column:
    before, after = _carried(row_of, length, False), _carried(row_of, length, True)
    out = take_or_null(column, row_of)
    assert isinstance(out, Vector)
    at = np.arange(len(row_of))
    inner = np.flatnonzero((row_of < 0) & (before >= 0) & (after >= 0))
    marks = np.where(row_of >= 0, at, -1)
    left = _carried(marks, length, False)[inner]
    right = _carried(marks, length, True)[inner]
    low, high = column.data[before[inner]].astype(float), column.data[after[inner]].astype(float)
    share = (inner - left) / np.maximum(right - left, 1)
    out.data[inner] = (low + (high - low) * share).astype(out.data.dtype)
    return out
