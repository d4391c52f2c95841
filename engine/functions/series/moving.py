"""Functions over sliding windows of a number of rows (`msum`), of time (`tmsum`), and all rows so far (`cumsum`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import lifting
from engine.aggregation import order, rolling, running
from engine.aggregation.basic import doubles
from engine.aggregation.catalogue import AGGREGATES, MAXIMUM, MINIMUM, Aggregate
from engine.aggregation.rows import whole
from engine.aggregation.windows import Windows, count_windows, cumulative_windows, range_windows
from engine.arguments import is_omitted, positive_argument
from engine.cast import CLOCKS
from engine.declarations import OPTIONS, RANK_OPTIONS, columns_of, declare_sequence, every_form, options_of
from engine.errors import CallError
from engine.functions.registry import Kind, Registry, parse_parameters
from engine.grouping import Groups
from engine.operators.temporal import UNITS, add_duration
from engine.types import TEMPORAL, Type, null
from engine.values import AnyVector, IndexedSeries, Matrix, Scalar, Value, Vector

functions = Registry()


@dataclass(frozen=True)
class Moving:
    """An aggregate with the parameters of its moving forms; `window` marks where theirs go."""

    aggregate: Aggregate
    data: str = "X"
    before: str = ""
    after: str = ""

    def signature(self, *leading: str, window: str, trailing: str = "") -> str:
        return ", ".join(filter(None, (*leading, self.data, self.before, window, self.after, trailing)))

    @property
    def vectors(self) -> int:
        return self.data.count(",") + 1


def _plain(name: str) -> Moving:
    return Moving(AGGREGATES[name], AGGREGATES[name].data)


def _last_rank(
    groups: Groups,
    x: Vector,
    ascending: bool = True,
    ignore_null: bool = True,
    ties: str = "min",
    percent: bool = False,
) -> Vector:
    """The rank of the last row of each group."""
    ranked, sizes = order.rank_in_groups(groups, x, ascending, ignore_null, ties)
    last = ranked[groups.order[groups.offsets[1:] - 1]]
    return doubles((last + 1) / sizes if percent else last)


RANK = Aggregate(_last_rank, fast=rolling.rank)
PERCENTILE = Moving(AGGREGATES["percentile"], before="percent", after="[interpolation='linear']")

COMMON: dict[str, Moving] = {
    **{name: _plain(name) for name in (
        "sum", "sum2", "avg", "count", "prod", "first", "last", "med", "var", "varp", "std", "stdp",
    )},
    "max": Moving(MAXIMUM),
    "min": Moving(MINIMUM),
    "skew": Moving(AGGREGATES["skew"], after="[biased=true]"),
    "kurtosis": Moving(AGGREGATES["kurtosis"], after="[biased=true]"),
    "percentile": PERCENTILE,
    "corr": Moving(AGGREGATES["corr"], "X, Y"),
    "covar": Moving(AGGREGATES["covar"], "X, Y"),
    "covarp": Moving(AGGREGATES["covarp"], "X, Y"),
    "beta": Moving(AGGREGATES["beta"], "Y, X"),
    "wavg": Moving(AGGREGATES["wavg"], "X, Y"),
    "wsum": Moving(AGGREGATES["wsum"], "X, Y"),
}  # fmt: skip
ROWS_ONLY: dict[str, Moving] = {
    **{name: _plain(name) for name in (
        "imax", "imin", "imaxLast", "iminLast", "firstNot", "ifirstNot", "ilastNot", "lastNot", "maxPositiveStreak",
    )},
    "mad": Moving(AGGREGATES["mad"], after="[useMedian=false]"),
    "firstNot": Moving(AGGREGATES["firstNot"], before="", after="[k]"),
    "lastNot": Moving(AGGREGATES["lastNot"], before="", after="[k]"),
}  # fmt: skip
PLACES = (AGGREGATES["ifirstNot"], AGGREGATES["ilastNot"])
"""What looks for a place: minPeriods counts rows, NULL or not, and -1 says that there is none."""
RANK_MOVING = Moving(RANK, before="[ascending=true]", after="[ignoreNA=true], [tiesMethod='min'], [percent=false]")


def _valid(columns: list[Vector]) -> Any:
    return ~np.logical_or.reduce([column.nulls() for column in columns])


def _blank(result: Vector, missing: Any) -> Vector:
    if not missing.any():
        return result
    data = result.data.copy()
    data[missing] = null(result.type)
    return result.with_data(data)


@dataclass(frozen=True)
class Window:
    """The window argument: a number of rows, or of units of a time column."""

    length: int
    unit: str = ""

    @classmethod
    def of(cls, value: Value | None, name: str = "window") -> Window:
        if isinstance(value, Scalar) and value.type is Type.DURATION and value.value is not None:
            amount, unit = value.value
            if amount <= 0:
                raise CallError("window must be positive.")
            return cls(amount, unit)
        return cls(positive_argument(value, name))

    def lower(self, time: Vector) -> Any:
        """For each time, the end of what lies before its window."""
        if not self.unit:
            return time.data.astype(np.int64) - self.length
        if time.type in CLOCKS and self.unit in UNITS:
            return time.data.astype(np.int64) - self.length * UNITS[self.unit] // CLOCKS[time.type]
        return add_duration(time, -self.length, self.unit).data


def _over(
    moving: Moving, columns: list[Vector], options: Mapping[str, Any], windows: Windows, least: int | None
) -> Vector:
    result = moving.aggregate.over(windows, *columns, **options)
    if least is not None:
        counts = windows.sizes if moving.aggregate in PLACES else windows.counts(_valid(columns))
        result = _blank(result, counts < least)
    return result


def _check_time(time: Vector) -> None:
    if time.type not in (*TEMPORAL, Type.SHORT, Type.INT, Type.LONG):
        raise CallError("T must be an integral or temporal vector.")
    if time.nulls().any():
        raise CallError("T must not contain NULLs.")


def _declare_counted(name: str, moving: Moving, parsers: Mapping[str, Any] = OPTIONS) -> None:
    """`msum` and its like: the last rows, or by the index of an indexed series or matrix."""
    signature = moving.signature(window="window", trailing="[minPeriods]")
    parameters = parse_parameters(signature)[moving.vectors :]
    positions = {parameter.name: index for index, parameter in enumerate(parameters)}

    def split(values: tuple[Value, ...]) -> tuple[Window, int | None, dict[str, Any]]:
        rest: list[Value | None] = [*values, *([None] * (len(parameters) - len(values)))]
        window = Window.of(rest[positions["window"]])
        given = rest[positions["minPeriods"]]
        least = None if is_omitted(given) else positive_argument(given, "minPeriods")
        if least is not None and not window.unit and least > window.length:
            raise CallError("minPeriods must be no greater than window.")
        chosen = [
            (parameter, value)
            for parameter, value in zip(parameters, rest, strict=True)
            if parameter.name not in ("window", "minPeriods") and value is not None
        ]
        options = options_of([each[0] for each in chosen], [each[1] for each in chosen], parsers)
        return window, least, options

    def counted(groups: Groups, *values: Value) -> Vector:
        columns = columns_of(values[: moving.vectors], groups.rows)
        window, least, options = split(values[moving.vectors :])
        if window.unit:
            raise CallError("window must be an integer unless X has an index.")
        ordered = [running.in_order(groups, column) for column in columns]
        windows = count_windows(groups, window.length)
        result = _over(moving, ordered, options, windows, least)
        if least is None and moving.aggregate is not AGGREGATES["count"]:
            result = _blank(result, windows.sizes < window.length)
        return running.back(groups, result)

    @every_form
    def plain(*values: Value) -> Value:
        data = values[: moving.vectors]
        labels = next((_labels(value) for value in data if _labels(value) is not None), None)
        if labels is None:
            return lifting.sequence(
                lambda *columns: counted(whole(len(columns[0])), *columns, *values[moving.vectors :]), data
            )
        window, least, options = split(values[moving.vectors :])
        windows = range_windows(whole(len(labels)), labels.data, window.lower(labels))

        def indexed(*columns: Vector) -> Vector:
            return _over(moving, list(columns), options, windows, least)

        return lifting.sequence(indexed, data)

    functions.builtin(name, signature, kind=Kind.SEQUENCE, vectors=moving.vectors)(plain)
    functions.grouped(name)(counted)


def _labels(value: Value) -> Vector | None:
    if isinstance(value, IndexedSeries):
        return value.index
    if isinstance(value, Matrix) and value.indexed:
        return value.row_labels
    return None


def _declare_timed(name: str, moving: Moving, parsers: Mapping[str, Any] = OPTIONS) -> None:
    """`tmsum` and its like: the rows whose time lies in (t - window, t]."""
    signature = moving.signature("T", window="window")
    parameters = parse_parameters(signature)[moving.vectors + 1 :]
    place = next(index for index, parameter in enumerate(parameters) if parameter.name == "window")

    def timed(groups: Groups, *values: Value) -> Vector:
        time, *columns = columns_of(values[: moving.vectors + 1], groups.rows)
        _check_time(time)
        rest = values[moving.vectors + 1 :]
        window = Window.of(rest[place] if place < len(rest) else None)
        others = [(p, v) for i, (p, v) in enumerate(zip(parameters, rest, strict=False)) if i != place]
        options = options_of([each[0] for each in others], [each[1] for each in others], parsers)
        time = running.in_order(groups, time)
        windows = range_windows(groups, time.data, window.lower(time))
        ordered = [running.in_order(groups, column) for column in columns]
        return running.back(groups, _over(moving, ordered, options, windows, None))

    @every_form
    def plain(*values: Value) -> Value:
        return lifting.sequence(
            lambda *columns: timed(whole(len(columns[0])), *columns, *values[moving.vectors + 1 :]),
            values[: moving.vectors + 1],
        )

    functions.builtin(name, signature, kind=Kind.SEQUENCE, vectors=moving.vectors + 1)(plain)
    functions.grouped(name)(timed)


def _declare_cumulative(name: str, moving: Moving, parsers: Mapping[str, Any] = OPTIONS) -> None:
    def kernel(groups: Groups, *columns: Vector, **options: Any) -> Vector:
        ordered = [running.in_order(groups, column) for column in columns]
        quick = running.accumulated(groups, name.removeprefix("cum"), ordered[0]) if not options else None
        if quick is None:
            quick = moving.aggregate.over(cumulative_windows(groups), *ordered, **options)
        return running.back(groups, quick)

    signature = moving.signature(window="")
    declare_sequence(functions, name, signature, kernel, vectors=moving.vectors, parsers=parsers)


for _name, _moving in COMMON.items():
    _declare_counted(f"m{_name}", _moving)
    if _name not in ("skew", "kurtosis"):
        _declare_timed(f"tm{_name}", _moving)
    if _name not in ("prod", "first", "last", "skew", "kurtosis"):
        _declare_cumulative(f"cum{_name}", _moving)
for _name in ("skew", "kurtosis"):
    _declare_timed(f"tm{_name}", COMMON[_name])
for _name, _moving in ROWS_ONLY.items():
    _declare_counted(f"m{_name}", _moving)
_declare_counted("mrank", RANK_MOVING, RANK_OPTIONS)
_declare_timed("tmrank", RANK_MOVING, RANK_OPTIONS)
_declare_cumulative("cumrank", RANK_MOVING, RANK_OPTIONS)
for _name in ("sum3", "sum4"):
    _declare_cumulative(f"cum{_name}", _plain(_name))
_declare_cumulative("cumfirstNot", Moving(AGGREGATES["firstNot"], after="[k]"))
_declare_cumulative("cumlastNot", Moving(AGGREGATES["lastNot"], after="[k]"))
_declare_cumulative("cumnunique", Moving(AGGREGATES["nunique"], after="[ignoreNull=false]"))
declare_sequence(functions, "cumprod", "X", running.running_product)
declare_sequence(functions, "cumPositiveStreak", "X", running.positive_streak)
declare_sequence(functions, "cummdd", "X, [ratio=true]", running.drawdowns)


@functions.builtin("mslr", "Y, X, window, [minPeriods]", kind=Kind.SEQUENCE, vectors=2)
def mslr(y: Value, x: Value, window: Value, least: Value | None = None) -> Value:
    return _regressions(y, x, window, least, (0, 1))


@functions.builtin("mmse", "Y, X, window, [minPeriods]", kind=Kind.SEQUENCE, vectors=2)
def mmse(y: Value, x: Value, window: Value, least: Value | None = None) -> Value:
    return _regressions(y, x, window, least, (1, 2))


def _regressions(y: Value, x: Value, window: Value, least: Value | None, parts: tuple[int, ...]) -> Value:
    from engine.aggregation.moments import regression

    def one(part: int) -> Value:
        aggregate = Aggregate(lambda groups, a, b: regression(groups, a, b)[part], "Y, X")
        columns = columns_of([y, x])
        groups = whole(len(columns[0]))
        length = positive_argument(window, "window")
        windows = count_windows(groups, length)
        required = None if is_omitted(least) else positive_argument(least, "minPeriods")
        result = _over(Moving(aggregate, "Y, X"), columns, {}, windows, required)
        return _blank(result, windows.sizes < length) if required is None else result

    return AnyVector([one(part) for part in parts])


def _weighted_average(groups: Groups, x: Vector, weights: Vector) -> Vector:
    """Averages of windows as long as the weights, the last weight for the latest row."""
    column = running.in_order(groups, columns_of([x])[0])
    length = len(weights)
    rows, windows = count_windows(groups, length).expand()
    sizes = windows.sizes
    place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(length - sizes, sizes)
    result = AGGREGATES["wavg"].kernel(windows, column.take(rows), weights.take(place))
    return running.back(groups, _blank(result, sizes < length))


def _declare_weighted_average() -> None:
    """`mavg` also takes a vector of weights instead of a window."""
    counted = functions.functions["mavg"]
    plain, of_groups = counted.implementation, counted.grouped
    assert of_groups is not None

    @every_form
    def average(x: Value, window: Value, least: Value | None = None) -> Value:
        if isinstance(window, Vector) and len(window) > 1:
            weights = window
            return lifting.sequence(lambda column: _weighted_average(whole(len(column)), column, weights), [x])
        result: Value = plain(x, window, *([] if least is None else [least]))
        return result

    def grouped_average(groups: Groups, x: Value, window: Value, *rest: Value) -> Vector:
        if isinstance(window, Vector) and len(window) > 1:
            return _weighted_average(groups, columns_of([x], groups.rows)[0], window)
        counts: Vector = of_groups(groups, x, window, *rest)
        return counts

    counted.implementation = average
    counted.grouped = grouped_average


_declare_weighted_average()
