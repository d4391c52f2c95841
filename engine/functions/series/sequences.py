"""Functions of ordered columns: neighbours, changes, filling of NULLs, standardisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import lifting
from engine.aggregation.basic import average, doubles, ints
from engine.aggregation.catalogue import STD
from engine.aggregation.rows import gather, numbers, ranks
from engine.aggregation.running import back, in_order, shifted
from engine.aggregation.windows import starts_of
from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    integer_argument,
    is_omitted,
    optional_integer,
    positive_argument,
)
from engine.cast import cast_vector
from engine.declarations import declare_sequence, every_form, over_columns
from engine.errors import CallError
from engine.forms import as_vector, concat
from engine.functions.registry import Kind, Registry
from engine.functions.series.moving import Window
from engine.grouping import Groups
from engine.indexing import take_or_null
from engine.operators import binary
from engine.types import LITERAL, Type
from engine.values import (
    AnyVector,
    ArrayVector,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    elements,
    repeat,
)

functions = Registry()


@functions.builtin("prev", "X", kind=Kind.SEQUENCE)
@every_form
def prev(x: Value) -> Value:
    return _moved(x, 1)


@functions.builtin("next", "X", kind=Kind.SEQUENCE)
@every_form
def next_(x: Value) -> Value:
    return _moved(x, -1)


@functions.builtin("move", "X, steps", kind=Kind.SEQUENCE)
@every_form
def move(x: Value, steps: Value) -> Value:
    """Elements moved by rows, or by a duration along an index."""
    if isinstance(steps, Scalar) and steps.type is Type.DURATION:
        return _moved_in_time(x, steps)
    return _moved(x, integer_argument(steps, "steps"))


functions.grouped("prev")(lambda groups, x: shifted(groups, as_vector(x), 1))
functions.grouped("next")(lambda groups, x: shifted(groups, as_vector(x), -1))


@functions.grouped("move")
def _move_groups(groups: Groups, x: Value, steps: Value) -> Vector:
    return shifted(groups, as_vector(x), integer_argument(steps, "steps"))


def _moved(x: Value, steps: int) -> Value:
    """Elements moved by `steps`; those of an array vector or a columnar tuple are its rows."""
    if isinstance(x, Table):
        columns: list[Any] = [_moved(column, steps) for column in x.columns]
        return Table(list(x.names), columns)
    if isinstance(x, ArrayVector):
        return take_or_null(x, np.arange(len(x)) - steps)
    if isinstance(x, AnyVector) and x.columnar:
        moved = take_or_null(x, np.arange(len(x)) - steps)
        return AnyVector(list(elements(moved)), columnar=True)

    def kernel(column: Vector) -> Vector:
        return shifted(Groups(np.zeros(len(column), dtype=np.intp), 1), column, steps)

    return over_columns(kernel, [x])


def _moved_in_time(x: Value, steps: Scalar) -> Value:
    from engine.operators.temporal import add_duration

    if steps.value is None:
        raise CallError("steps must not be NULL.")
    amount, unit = steps.value
    labels = x.index if isinstance(x, IndexedSeries) else x.row_labels if isinstance(x, Matrix) else None
    if labels is None:
        raise CallError("with a duration X must be an indexed series or an indexed matrix.")
    earlier = add_duration(labels, -amount, unit).data
    source = np.searchsorted(labels.data, earlier, side="right") - 1
    return lifting.sequence(lambda column: gather(column, source), [x])


def _difference(operator: str, groups: Groups, x: Vector, n: Value | None) -> Vector:
    before = shifted(groups, x, optional_integer(n, "n") or 1)
    return as_vector(binary(operator, x, before))


declare_sequence(functions, "deltas", "X, [n]", lambda g, x, n=None: _difference("-", g, x, n), raw=True)
declare_sequence(functions, "ratios", "X", lambda g, x: _difference("\\", g, x, None), raw=True)


def _percent_change(groups: Groups, x: Vector, n: Value | None = None) -> Vector:
    return doubles(numbers(_difference("\\", groups, x, n)) - 1.0)


declare_sequence(functions, "percentChange", "X, [n]", _percent_change, raw=True)


def _filled(groups: Groups, x: Vector, limit: Value | None = None, *, forward: bool = True) -> Vector:
    """NULLs replaced by the nearest valid element before (or after) them in their group."""
    column = in_order(groups, x)
    valid = ~column.nulls()
    rows = np.arange(len(column))
    if forward:
        source = np.maximum.accumulate(np.where(valid, rows, -1)) if len(rows) else rows
        source = np.where(source >= starts_of(groups), source, -1)
        distance = rows - source
    else:
        far = len(rows)
        source = np.minimum.accumulate(np.where(valid, rows, far)[::-1])[::-1] if len(rows) else rows
        source = np.where(source < np.repeat(groups.offsets[1:], groups.sizes), source, -1)
        distance = source - rows
    if not is_omitted(limit):
        source = np.where(distance <= positive_argument(limit, "limit"), source, -1)
    return back(groups, gather(column, np.where(valid, rows, source)))


def _filled_rows(x: ArrayVector, forward: bool) -> ArrayVector:
    """NULLs of an array vector filled within their columns, empty rows by the nearest row."""
    rows = [x.row(index) for index in range(len(x))]
    order = range(len(rows)) if forward else range(len(rows) - 1, -1, -1)
    last: dict[int, Any] = {}
    nearest: Vector | None = None
    for index in order:
        row = rows[index].copy()
        missing = row.nulls()
        if nearest is not None and missing.all():
            rows[index] = nearest
            continue
        for position in np.flatnonzero(missing):
            if int(position) in last:
                row.data[position] = last[int(position)]
        for position in np.flatnonzero(~row.nulls()):
            last[int(position)] = row.data[position]
        rows[index], nearest = row, row
    flat = concat(rows)
    assert isinstance(flat, Vector)
    return ArrayVector(flat, np.concatenate(([0], np.cumsum([len(row) for row in rows]))))


def _declare_filling(name: str, *, forward: bool) -> None:
    def fill(x: Value, limit: Value | None = None) -> Value:
        if isinstance(x, ArrayVector):
            return _filled_rows(x, forward)

        def kernel(column: Vector) -> Vector:
            return _filled(Groups(np.zeros(len(column), dtype=np.intp), 1), column, limit, forward=forward)

        return over_columns(kernel, [x])

    functions.builtin(name, "obj, [limit]", kind=Kind.SEQUENCE)(every_form(fill))

    @functions.grouped(name)
    def grouped(groups: Groups, x: Value, limit: Value | None = None) -> Vector:
        return _filled(groups, as_vector(x), limit, forward=forward)

    @functions.builtin(f"{name}!", "obj, [limit]")
    def in_place(x: Value, limit: Value | None = None) -> Value:
        return replaced(x, fill(x, limit))


def replaced(target: Value, result: Value) -> Value:
    """Put a result of the same form into the object it was made from."""
    if isinstance(target, Vector) and isinstance(result, Vector):
        if result.type is not target.type:
            result = cast_vector(result, target.type, target.scale)
        target.data = result.data
    elif isinstance(target, Matrix) and isinstance(result, Matrix):
        target.data, target.type, target.scale = result.data, result.type, result.scale
    elif isinstance(target, IndexedSeries) and isinstance(result, IndexedSeries):
        target.values = result.values
    elif isinstance(target, ArrayVector) and isinstance(result, ArrayVector):
        target.flat, target.offsets = result.flat, result.offsets
    elif isinstance(target, Table) and isinstance(result, Table):
        with target.lock:
            target.columns = result.columns
    else:
        raise CallError("the argument cannot be changed in place.")
    return target


_declare_filling("ffill", forward=True)
_declare_filling("bfill", forward=False)


def _linear_fill(column: Vector) -> Vector:
    """NULLs between two numbers filled along a straight line."""
    values = numbers(column)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        return column
    inside = np.arange(known[0], known[-1] + 1)
    values = values.copy()
    values[inside] = np.interp(inside, known, values[known])
    return cast_vector(doubles(values), column.type, column.scale)


@functions.builtin("lfill", "obj")
def lfill(x: Value) -> Value:
    return over_columns(_linear_fill, [x])


@functions.builtin("lfill!", "obj")
def lfill_in_place(x: Value) -> Value:
    return replaced(x, lfill(x))


def _null_filled(x: Vector, y: Vector) -> Vector:
    missing = x.nulls()
    if not missing.any():
        return x
    if x.type is Type.VOID:
        return y
    if x.symbols is not None:
        texts = np.where(missing, y.strings() if y.type in LITERAL else cast_vector(y, Type.STRING).data, x.strings())
        return cast_vector(Vector(Type.STRING, texts.astype(object)), Type.SYMBOL)
    other = y if y.type is x.type and y.scale == x.scale else cast_vector(y, x.type, x.scale)
    return x.with_data(np.where(missing, other.data, x.data).astype(x.data.dtype, copy=False))


@functions.builtin("nullFill", "X, Y", kind=Kind.ELEMENTWISE, vectors=2)
@every_form
def null_fill(x: Value, y: Value) -> Value:
    return _null_fill_value(x, y)


def _null_fill_value(x: Value, y: Value) -> Value:
    if isinstance(x, Table) and isinstance(y, Scalar):
        return Table(list(x.names), [_null_fill_value(column, y) for column in x.columns])  # type: ignore[misc]
    if isinstance(x, Vector) and isinstance(y, Scalar) and x.type is not Type.VOID:
        return _null_filled(x, repeat(y, 1))
    return lifting.elementwise(lifting.spread(_null_filled), [x, y])


@functions.builtin("nullFill!", "X, Y")
def null_fill_in_place(x: Value, y: Value) -> Value:
    return replaced(x, _null_fill_value(x, y))


def _changed(groups: Groups, x: Vector, mode: Value | None = None) -> Vector:
    kind = choice_argument(mode, "mode", ("prev", "next", "either", "both"), "prev")
    column = in_order(groups, x)
    codes = ranks(column)[0]
    owners = np.repeat(np.arange(groups.count), groups.sizes)
    edge = owners[1:] != owners[:-1]
    differs = codes[1:] != codes[:-1]
    before, after = np.zeros(len(codes), dtype=bool), np.zeros(len(codes), dtype=bool)
    before[1:], after[:-1] = differs & ~edge, differs & ~edge
    result = {"prev": before, "next": after, "either": before | after, "both": before & after}[kind]
    return back(groups, Vector(Type.BOOL, result.astype(np.int8)))


declare_sequence(functions, "valueChanged", "X, [mode='prev']", _changed, raw=True)


def _extreme_points(groups: Groups, x: Vector, strict: Value | None, *, peaks: bool) -> Vector:
    """Peaks (or valleys) within groups; NULL neighbours make none."""
    column = in_order(groups, x)
    values = numbers(column) if peaks else -numbers(column)
    owners = np.repeat(np.arange(groups.count), groups.sizes)
    exact = boolean_argument(strict, "strict", True)
    out = np.zeros(len(values), dtype=np.int8)
    if len(values):
        same = np.zeros(len(values), dtype=bool)
        same[1:] = (values[1:] == values[:-1]) & (owners[1:] == owners[:-1])
        first = np.flatnonzero(~same)
        last = np.concatenate((first[1:], [len(values)])) - 1
        inner = (first > 0) & (last < len(values) - 1)
        first, last = first[inner], last[inner]
        inside = (owners[first - 1] == owners[first]) & (owners[last + 1] == owners[last])
        with np.errstate(invalid="ignore"):
            top = inside & (values[first - 1] < values[first]) & (values[last + 1] < values[last])
        if exact:
            top &= first == last
        out[(first + last)[top] // 2] = 1
    return back(groups, Vector(Type.BOOL, out))


def _declare_points(name: str, *, peaks: bool) -> None:
    def kernel(groups: Groups, x: Vector, strict: Value | None = None) -> Vector:
        return _extreme_points(groups, x, strict, peaks=peaks)

    declare_sequence(functions, name, "X, [strict=true]", kernel, raw=True, literal=False)


_declare_points("isPeak", peaks=True)
_declare_points("isValley", peaks=False)


def _demeaned(groups: Groups, x: Vector) -> Vector:
    return doubles(numbers(x) - average(groups, x).data[groups.codes])


def _standardized(groups: Groups, x: Vector) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        result = _demeaned(groups, x).data / STD(groups, x).data[groups.codes]
    return doubles(np.where(np.isfinite(result), result, np.nan))


declare_sequence(functions, "demean", "X", _demeaned, literal=False)
declare_sequence(functions, "zscore", "X", _standardized, literal=False)


@functions.builtin("winsorize", "X, limit, [inclusive=true], [nanPolicy='upper']")
def winsorize(x: Value, limit: Value, inclusive: Value | None = None, policy: Value | None = None) -> Value:
    """The most extreme shares of elements replaced by the nearest that stay."""
    limits = numbers(as_vector(limit), "limit")
    limits = np.repeat(limits, 2) if len(limits) == 1 else limits
    limits = np.nan_to_num(limits)
    if len(limits) != 2 or (limits < 0).any() or (limits > 1).any():
        raise CallError("limit must be one or two numbers between 0 and 1.")
    flags = [True] if is_omitted(inclusive) else [bool(flag) for flag in as_vector(inclusive).data]  # type: ignore[arg-type]
    truncates = flags * 2 if len(flags) == 1 else flags
    method = choice_argument(policy, "nanPolicy", ("upper", "lower", "raise", "omit"), "upper")

    def kernel(column: Vector) -> Vector:
        missing = column.nulls()
        if method == "raise" and missing.any():
            raise CallError("X contains NULLs.")
        rows = np.flatnonzero(~missing) if method == "omit" else np.arange(len(column))
        values = column.data[rows].astype(np.float64) if column.data.dtype.kind == "f" else column.data[rows]
        edge = -1 if method == "lower" else 1
        order = rows[np.lexsort((values, missing[rows] * edge))]
        size = len(order)
        cut = [
            int(size * each + 1e-9) if flag else int(np.floor(size * each + 0.5))
            for each, flag in zip(limits, truncates, strict=True)
        ]
        data = column.data.copy()
        if size and cut[0]:
            data[order[: cut[0]]] = data[order[min(cut[0], size - 1)]]
        if size and cut[1]:
            data[order[size - cut[1] :]] = data[order[max(size - cut[1] - 1, 0)]]
        return column.with_data(data)

    return lifting.sequence(kernel, [x])


@functions.builtin("winsorize!", "X, limit, [inclusive=true], [nanPolicy='upper']")
def winsorize_in_place(x: Value, limit: Value, inclusive: Value | None = None, policy: Value | None = None) -> Value:
    return replaced(x, winsorize(x, limit, inclusive, policy))


@functions.builtin("segment", "X, [segmentOffset=true]", kind=Kind.SEQUENCE)
def segment(x: Vector, offset: Value | None = None) -> Vector:
    """For each row the first row of its run of equal elements, or the number of the run."""
    codes = ranks(x)[0]
    fresh = np.ones(len(codes), dtype=bool)
    fresh[1:] = codes[1:] != codes[:-1]
    run = np.cumsum(fresh) - 1
    return ints(np.flatnonzero(fresh)[run] if boolean_argument(offset, "segmentOffset", True) else run)


@functions.builtin("sessionWindow", "X, sessionGap", kind=Kind.SEQUENCE)
def session_window(x: Vector, gap: Value) -> Vector:
    """For each row the first element of its session: a run without gaps of `sessionGap` or more."""
    window = Window.of(gap, "sessionGap")
    if window.unit:
        raise CallError("sessionGap must be a positive integer.")
    missing = x.nulls()
    out = x.data.copy()
    start = last = None
    for row, value in enumerate(x.data.tolist()):
        if not missing[row]:
            if start is None or (value > last and value - last >= window.length):
                start = value
            last = value if last is None else max(last, value)
        if start is not None:
            out[row] = start
    return x.with_data(out)


@functions.builtin("volumeBar", "X, interval, [label='seq']", kind=Kind.SEQUENCE)
def volume_bar(x: Vector, interval: Value, label: Value | None = None) -> Vector:
    """Groups of rows, each closed once the sum since the last one reaches the interval."""
    kind = choice_argument(label, "label", ("seq", "left", "right"), "seq")
    size = float_argument(interval, "interval")
    if size == 0:
        raise CallError("interval must not be 0.")
    values = np.nan_to_num(numbers(x))
    whole = x.data.dtype.kind == "i"
    if 0 < size < 1:
        size = float(values.sum()) * size
        size = float(np.floor(size)) if whole else size
    number, total, running_total = 0, 0.0, 0.0
    group = np.empty(len(values), dtype=np.int64)
    left, right = [0.0], []
    for row, value in enumerate(values):
        group[row] = number
        total += value
        running_total += value
        if total >= size if size > 0 else total <= size:
            number, total = number + 1, 0.0
            right.append(running_total)
            left.append(running_total)
    right.append(running_total)
    if kind == "seq":
        return ints(group)
    sums = np.array(left if kind == "left" else right)[group]
    return Vector(Type.LONG, sums.astype(np.int64)) if whole else doubles(sums)


def _true_range(groups: Groups, high: Vector, low: Vector, close: Vector) -> Vector:
    before = numbers(shifted(groups, close, 1))
    top, bottom = numbers(high), numbers(low)
    spans = np.stack((top - bottom, np.abs(top - before), np.abs(bottom - before)))
    return doubles(np.max(spans, axis=0))


declare_sequence(functions, "trueRange", "high, low, close", _true_range, vectors=3)


@functions.builtin("qcut", "X, q, [labels], [dropDuplicates=false]")
def qcut(x: Value, q: Value, labels: Value | None = None, drop: Value | None = None) -> Vector:
    """The quantile bin of each element; its label if labels are given."""
    column = as_vector(x)
    values = numbers(column)
    known = values[~np.isnan(values)]
    if isinstance(q, Scalar) and q.type not in (Type.FLOAT, Type.DOUBLE):
        points = np.linspace(0, 1, positive_argument(q, "q") + 1)
    else:
        points = numbers(as_vector(q), "q")
    edges = np.quantile(known, points) if len(known) else points
    bins = np.searchsorted(np.unique(edges[1:-1]), values, side="left")
    if len(np.unique(edges)) < len(edges) and not boolean_argument(drop, "dropDuplicates", False):
        raise CallError("bin edges must be unique. Set dropDuplicates to drop duplicate ones.")
    outside = np.isnan(values) | (values < edges[0]) | (values > edges[-1])
    if is_omitted(labels):
        return Vector(Type.INT, np.where(outside, np.iinfo(np.int32).min, bins).astype(np.int32))
    names = as_vector(labels)  # type: ignore[arg-type]
    if len(names) != len(points) - 1:
        raise CallError("labels must have one element for each bin.")
    return gather(names, np.where(outside, -1, bins))


@functions.builtin("difference", "X")
def difference(x: Value) -> Value:
    """The last element minus the first."""
    column = as_vector(x)
    if not len(column):
        raise CallError("X must not be empty.")
    return binary("-", column.scalar(len(column) - 1), column.scalar(0))


def _chosen(x: Vector, y: Vector, take_first: Any) -> Vector:
    other = y if y.type is x.type and x.symbols is y.symbols else cast_vector(y, x.type, x.scale)
    return x.with_data(np.where(take_first, x.data, other.data).astype(x.data.dtype))


@functions.elementwise("ifNull", "X, Y", vectors=2)
def if_null(x: Vector, y: Vector) -> Vector:
    return _chosen(x, y, x.nulls())


@functions.elementwise("ifValid", "X, Y", vectors=2)
def if_valid(x: Vector, y: Vector) -> Vector:
    return _chosen(x, y, ~x.nulls())


def _first_valid(x: Vector, y: Vector) -> Vector:
    return y if x.type is Type.VOID else _chosen(x, y, ~x.nulls())


@functions.builtin("coalesce", "X1, X2, [args...]")
def coalesce(x: Value, *others: Value) -> Value:
    """The first value that is not NULL, place by place."""
    for other in others:
        x = lifting.elementwise(_first_valid, [x, other])
    return x


@functions.builtin("tmove", "T, X, window", kind=Kind.SEQUENCE, vectors=2)
def move_in_time(time: Vector, x: Vector, window: Value) -> Vector:
    """For each time the last element not later than `window` before it."""
    return _moved_by_time(Groups(np.zeros(len(x), dtype=np.intp), 1), time, x, window)


def _moved_by_time(groups: Groups, time: Vector, x: Vector, window: Value) -> Vector:
    times, column = in_order(groups, time), in_order(groups, x)
    lower = Window.of(window).lower(times)
    source = np.full(len(column), -1, dtype=np.int64)
    for first, last in zip(groups.offsets[:-1].tolist(), groups.offsets[1:].tolist(), strict=True):
        place = np.searchsorted(times.data[first:last], lower[first:last], side="right") - 1
        source[first:last] = np.where(place < 0, -1, place + first)
    return back(groups, gather(column, source))


functions.grouped("tmove")(_moved_by_time)


def _bars_to_sum(groups: Groups, x: Vector, threshold: Value) -> Vector:
    """How many rows back from each the sum reaches the threshold; 0 if it never does."""
    values = np.nan_to_num(numbers(in_order(groups, x)))
    if (values < 0).any():
        raise CallError("X must not be negative.")
    goal = float_argument(threshold, "Y")
    out = np.zeros(len(values), dtype=np.int64)
    for first, last in zip(groups.offsets[:-1].tolist(), groups.offsets[1:].tolist(), strict=True):
        running_sum = np.concatenate(([0.0], np.cumsum(values[first:last])))
        rows = np.arange(1, last - first + 1)
        start = np.searchsorted(running_sum, running_sum[rows] - goal + 1e-12, side="right") - 1
        out[first:last] = np.where(start >= 0, rows - np.minimum(start, rows - 1), 0)
    return back(groups, ints(out))


declare_sequence(functions, "sumbars", "X, Y", _bars_to_sum, raw=True, literal=False)
