"""`interval` in group by: groups at even distances, with values made up for the empty ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from dolphin.script import syntax
from engine.cast import cast, cast_vector
from engine.errors import CallError, ScriptError
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
    width = _length(given.get("duration"), column.type, "duration")
    step = _length(given["step"], column.type, "step") if "step" in given else width
    if width % step:
        raise CallError(f"{USAGE} step must divide duration.")
    if not _flag(given.get("explicitOffset")):
        start = None
    elif start is None:
        raise CallError(f"{USAGE} With explicitOffset=true the where clause has to say where X starts.")
    return _placed(column, node, width, step, _fill(given.get("fill")), given, start)


def _placed(
    column: Vector,
    node: syntax.Expression,
    width: int,
    step: int,
    fill: str | Scalar,
    given: dict[str, Value],
    start: Scalar | None,
) -> Interval:
    closed, label = (_word(given.get(name), "left") for name in ("closed", "label"))
    first = None if start is None else cast(start, column.type).value  # type: ignore[union-attr]
    origin = _origin(given.get("origin"), column) if first is None else first
    data = column.data.astype(np.int64) - origin
    starts = (-((-data) // step) - 1) * step if closed == "right" else data // step * step
    starts = starts + origin + (width if label == "right" else 0)
    out = starts.astype(column.data.dtype)
    out[column.nulls()] = nulls(column.type, 1).data[0]
    if first is not None and label == "right":
        first += width
    return Interval(column.with_data(out), node, width, step, fill, first)


def _origin(value: Value | None, column: Vector) -> int:
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
        columns[position] = starts.with_data((starts.data - back).astype(starts.data.dtype))
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
    present = starts.data[~starts.nulls()].astype(np.int64)
    low, high = int(present.min()), int(present.max())
    low = low if spec.first is None else min(low, spec.first)
    check_allocation((high - low) // spec.step + 1)
    grid = np.arange(low, high + 1, spec.step, dtype=np.int64)
    others = [column for index, column in enumerate(key_columns) if index != position]
    codes, count = combined_codes(others) if others else (np.zeros(len(starts), dtype=np.int64), 1)
    check_allocation(count * len(grid))
    row_of = np.full(count * len(grid), -1, dtype=np.int64)
    row_of[codes * len(grid) + (starts.data.astype(np.int64) - low) // spec.step] = np.arange(len(starts))
    first = first_rows(codes, count)
    columns: list[Column] = []
    for name, column in zip(table.names, table.columns, strict=True):
        if name == labels[position]:
            columns.append(starts.with_data(np.tile(grid, count).astype(starts.data.dtype)))
        elif name in labels:
            columns.append(take(column, np.repeat(first, len(grid))))
        else:
            columns.append(_fill_column(column, row_of, len(grid), spec.fill))
    return Table(list(table.names), columns)


def _fill_column(column: Column, row_of: Array, length: int, fill: str | Scalar) -> Column:
    """`row_of` are the rows of the grid in runs of `length` per group of the other keys; -1 for an empty one."""
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
