"""Sorting, ranking and searching in sorted data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine import lifting
from engine.aggregation.basic import doubles, ints
from engine.aggregation.order import SortedGroups, rank_in_groups
from engine.aggregation.rows import gather, numbers, ranks, whole
from engine.aggregation.running import back, in_order
from engine.aggregation.windows import Windows, count_windows, cumulative_windows, range_windows
from engine.arguments import (
    boolean_argument,
    choice_argument,
    float_argument,
    integer_argument,
    is_omitted,
    optional_integer,
    positive_argument,
)
from engine.cast import cast_vector, common_type
from engine.declarations import columns_of, declare_sequence, every_form
from engine.errors import CallError
from engine.forms import as_vector, concat
from engine.functions.registry import Registry
from engine.grouping import Groups
from engine.types import LITERAL, Type, null
from engine.values import (
    AnyVector,
    Array,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
)

functions = Registry()


def sort_rows(columns: Sequence[Vector], ascending: Sequence[bool]) -> Array:
    """Row numbers in the order of the columns, the first one deciding first; stable."""
    keys = [ranks(column)[0].astype(np.int64) for column in columns]
    signed = [key if upward else -key for key, upward in zip(keys, ascending, strict=True)]
    if len(signed) == 1:
        return np.argsort(signed[0], kind="stable")
    return np.lexsort(signed[::-1])


def _sorted_column(column: Vector, upward: bool) -> Vector:
    if upward and column.kind == "i" and column.symbols is None:
        return column.with_data(np.sort(column.data))
    return column.take(sort_rows([column], [upward]))


@functions.builtin("sort", "X, [ascending=true]")
def sort(x: Value, ascending: Value | None = None) -> Value:
    upward = boolean_argument(ascending, "ascending", True)
    if isinstance(x, IndexedSeries):
        order = sort_rows([x.values], [upward])
        return IndexedSeries(x.index.take(order), x.values.take(order))
    if isinstance(x, Matrix):
        return _sorted_matrix(x, upward)
    return lifting.sequence(lambda column: _sorted_column(column, upward), [x])


def _sorted_matrix(x: Matrix, upward: bool) -> Matrix:
    """All elements sorted, filled in column by column."""
    flat = _sorted_column(as_vector(x), upward)
    data = flat.data.reshape(x.data.shape, order="F")
    return Matrix(x.type, data, x.row_labels, x.column_labels, x.scale, x.indexed)


@functions.builtin("sort!", "X, [ascending=true]")
def sort_in_place(x: Value, ascending: Value | None = None) -> Value:
    upward = boolean_argument(ascending, "ascending", True)
    if isinstance(x, Vector):
        x.data = _sorted_column(x, upward).data
        return x
    if isinstance(x, Matrix):
        x.data = _sorted_matrix(x, upward).data
        return x
    raise CallError("X must be a vector or a matrix.")


def _sort_columns(x: Value) -> list[Vector]:
    if isinstance(x, AnyVector) and x.items and not all(isinstance(item, Scalar) for item in x.items):
        return columns_of(x.items)
    return [as_vector(x)]


def _directions(ascending: Value | None, count: int) -> list[bool]:
    if is_omitted(ascending):
        return [True] * count
    assert ascending is not None
    flags = [bool(flag) for flag in as_vector(ascending).data]
    if len(flags) == 1:
        flags *= count
    if len(flags) != count:
        raise CallError("ascending must have as many elements as X has columns.")
    return flags


@functions.builtin("isort", "X, [ascending=true]")
def isort(x: Value, ascending: Value | None = None) -> Vector:
    columns = _sort_columns(x)
    return ints(sort_rows(columns, _directions(ascending, len(columns))))


@functions.builtin("isort!", "X, ascending, indices")
def isort_in_place(x: Value, ascending: Value, indices: Value) -> Vector:
    """The indices in the order of X; both are sorted in place."""
    columns = _sort_columns(x)
    places = as_vector(indices)
    order = sort_rows(columns, _directions(ascending, len(columns)))
    for column in columns:
        column.data = column.data[order]
    places.data = places.data[order]
    return places


@functions.builtin("isortTop", "X, top, [ascending=true]")
def isort_top(x: Value, top: Value, ascending: Value | None = None) -> Vector:
    columns = _sort_columns(x)
    order = sort_rows(columns, _directions(ascending, len(columns)))
    number = positive_argument(top, "top")
    if number > len(order):
        raise CallError("top must be no more than the size of X.")
    return ints(order[:number])


RANK_TIES = ("min", "max", "average", "first")


def _nearly_equal(column: Vector, digits: int) -> Vector:
    """Numbers within 10^-digits of the first of their run become equal to it."""
    if not 1 <= digits <= 15:
        raise CallError("precision must be between 1 and 15.")
    values = numbers(column)
    order = np.argsort(values)
    out = values.copy()
    limit = 10.0**-digits
    anchor = np.nan
    for row in order:
        if np.isnan(values[row]):
            break
        if not abs(values[row] - anchor) <= limit:
            anchor = values[row]
        out[row] = anchor
    return doubles(out)


def rank_column(
    groups: Groups,
    x: Vector,
    ascending: Value | None = None,
    group_number: Value | None = None,
    ignore_null: Value | None = None,
    ties: Value | None = None,
    percent: Value | None = None,
    precision: Value | None = None,
) -> Vector:
    """Ranks from 0 within groups of rows; with `groupNum` the number of the equal parts they fall into."""
    upward = boolean_argument(ascending, "ascending", True)
    ignored = boolean_argument(ignore_null, "ignoreNA", True)
    method = choice_argument(ties, "tiesMethod", RANK_TIES, "min")
    share = boolean_argument(percent, "percent", False)
    parts = optional_integer(group_number, "groupNum")
    digits = optional_integer(precision, "precision")
    if digits is not None:
        x = _nearly_equal(x, digits)
    result, sizes = rank_in_groups(groups, x, upward, ignored, method)
    if parts is not None:
        if parts <= 0:
            raise CallError("groupNum must be a positive integer.")
        if method != "first":
            result, _ = rank_in_groups(groups, x, upward, ignored, "min")
        return _as_ints(_part(result, sizes[groups.codes], parts))
    if share:
        return doubles((result + 1) / np.maximum(sizes, 1)[groups.codes])
    return doubles(result) if method == "average" else _as_ints(result)


def _part(place: Array, sizes: Array, parts: int) -> Array:
    """Which of `parts` nearly equal parts a place falls into; the first parts are longer by one."""
    each, longer = sizes // parts, sizes % parts
    border = longer * (each + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        late = longer + (place - border) // np.maximum(each, 1)
        return np.asarray(np.where(place < border, place // (each + 1), late))


def _as_ints(values: Array) -> Vector:
    missing = np.isnan(values)
    return Vector(Type.INT, np.where(missing, null(Type.INT), np.where(missing, 0, values)).astype(np.int32))


def dense_rank_column(
    groups: Groups,
    x: Vector,
    ascending: Value | None = None,
    ignore_null: Value | None = None,
    percent: Value | None = None,
) -> Vector:
    upward = boolean_argument(ascending, "ascending", True)
    ignored = boolean_argument(ignore_null, "ignoreNA", True)
    result, sizes = rank_in_groups(groups, x, upward, ignored, "dense")
    if boolean_argument(percent, "percent", False):
        return doubles((result + 1) / np.maximum(sizes, 1)[groups.codes])
    return _as_ints(result)


RANK_SIGNATURE = "X, [ascending=true], [groupNum], [ignoreNA=true], [tiesMethod='min'], [percent=false], [precision]"
declare_sequence(functions, "rank", RANK_SIGNATURE, rank_column, raw=True)
declare_sequence(
    functions, "denseRank", "X, [ascending=true], [ignoreNA=true], [percent=false]", dense_rank_column, raw=True
)


def _cumulative_dense_rank(
    groups: Groups,
    x: Vector,
    ascending: Value | None = None,
    ignore_null: Value | None = None,
    percent: Value | None = None,
    norm: Value | None = None,
) -> Vector:
    upward = boolean_argument(ascending, "ascending", True)
    ignored = boolean_argument(ignore_null, "ignoreNA", True)
    column = in_order(groups, x)
    fresh_rows = _first_appearances(groups, column)
    windows = cumulative_windows(groups)
    values = ranks(column)[0].astype(np.float64)
    missing = column.nulls() if ignored else np.zeros(len(column), dtype=bool)
    result = np.full(len(column), np.nan)
    for first, last in zip(groups.offsets[:-1], groups.offsets[1:], strict=True):
        result[first:last] = _dense_so_far(values[first:last], missing[first:last], upward)
    if not boolean_argument(percent, "percent", False):
        return back(groups, _as_ints(result))
    distinct = windows.counts(fresh_rows & ~missing)
    method = choice_argument(norm, "norm", ("max", "minmax"), "max")
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (result + 1) / distinct if method == "max" else result / (distinct - 1)
    share = np.where((distinct == 1) & ~np.isnan(result), 1.0, share)
    return back(groups, doubles(share))


def _first_appearances(groups: Groups, column: Vector) -> Array:
    from engine.aggregation.order import distinct_rows

    ordered = Groups(np.repeat(np.arange(groups.count), groups.sizes), groups.count)
    return distinct_rows(ordered, [column])


def _dense_so_far(values: Array, missing: Array, upward: bool) -> Array:
    """How many distinct values so far come before each value."""
    from bisect import bisect_left

    seen: list[float] = []
    out = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if missing[row]:
            continue
        place = bisect_left(seen, value)
        if place == len(seen) or seen[place] != value:
            seen.insert(place, value)
        out[row] = place if upward else len(seen) - 1 - place
    return out


for _name in ("cumdenserank", "cumdenseRank"):
    declare_sequence(
        functions,
        _name,
        "X, [ascending=true], [ignoreNA=true], [percent=false], [norm='max']",
        _cumulative_dense_rank,
        raw=True,
    )


def _decreases(column: Vector, upward: bool) -> bool:
    order = ranks(column)[0]
    step = np.diff(order)
    return bool((step < 0).any() if upward else (step > 0).any())


@functions.builtin("isSorted", "X, [ascending=true]")
def is_sorted(x: Value, ascending: Value | None = None) -> Scalar:
    return boolean(not _decreases(as_vector(x), boolean_argument(ascending, "ascending", True)))


@functions.builtin("isMonotonicIncreasing", "X", aliases=("isMonotonic",))
def is_increasing(x: Value) -> Scalar:
    return boolean(not _decreases(as_vector(x), True))


@functions.builtin("isMonotonicDecreasing", "X")
def is_decreasing(x: Value) -> Scalar:
    return boolean(not _decreases(as_vector(x), False))


@functions.builtin("searchK", "X, k")
def search_k(x: Value, k: Value) -> Scalar:
    """The k-th smallest element that is not NULL."""
    column = as_vector(x)
    kept = column.take(~column.nulls())
    place = positive_argument(k, "k") - 1
    if place >= len(kept):
        return Scalar(column.type, None, column.scale)
    return kept.take(sort_rows([kept], [True])).scalar(place)


def _searchable(x: Value, y: Vector) -> tuple[Vector, Vector]:
    """A sorted column and the sought elements in one type."""
    column = x.index if isinstance(x, IndexedSeries) else x.row_labels if isinstance(x, Matrix) else x
    if not isinstance(column, Vector):
        raise CallError("X must be a vector.")
    if column.type is y.type and column.symbols is None:
        return column, y
    type_ = common_type(column.type, y.type)
    if type_ is Type.ANY:
        raise CallError(f"{y.type.name} cannot be searched in {column.type.name}.")
    if type_ in LITERAL:
        type_ = Type.STRING
    return cast_vector(column, type_, column.scale), cast_vector(y, type_, column.scale)


def _keys(column: Vector) -> Array:
    data = column.strings() if column.type in LITERAL else column.data
    if data.dtype.kind == "f":
        return np.where(np.isnan(data), -np.inf, data)
    return data


def _search(x: Value, y: Vector, side: str) -> Array:
    column, sought = _searchable(x, y)
    return np.searchsorted(_keys(column), _keys(sought), side="right" if side == "right" else "left")


@functions.builtin("asof", "X, Y")
def asof(x: Value, y: Value) -> Value:
    """The last position whose element is not greater; -1 if there is none."""
    if isinstance(x, IndexedSeries | Matrix):
        return _at_labels(x, y, lambda sought: _search(x, sought, "right") - 1)
    return lifting.elementwise(lambda sought: ints(_search(x, sought, "right") - 1), [y])


@functions.builtin("lowerBound", "X, Y")
def lower_bound(x: Value, y: Value) -> Value:
    if isinstance(x, IndexedSeries | Matrix):
        return _at_labels(x, y, lambda sought: _search(x, sought, "left"))
    return lifting.elementwise(lambda sought: ints(_search(x, sought, "left")), [y])


def _at_labels(x: IndexedSeries | Matrix, y: Value, find: object) -> Value:
    sought = as_vector(y)
    places = find(sought)  # type: ignore[operator]
    if isinstance(x, IndexedSeries):
        inside = np.where(places < len(x.index), places, -1)
        return IndexedSeries(sought, gather(x.values, inside))
    inside = np.where(places < x.rows, places, -1)
    columns = [gather(x.column(i), inside) for i in range(x.columns)]
    stacked = lifting.stack(columns, x)
    return Matrix(stacked.type, stacked.data, sought, x.column_labels, stacked.scale, x.indexed)


@functions.builtin("binsrch", "X, Y")
def binary_search(x: Value, y: Value) -> Value:
    def kernel(sought: Vector) -> Vector:
        column, wanted = _searchable(x, sought)
        keys, goals = _keys(column), _keys(wanted)
        place = np.searchsorted(keys, goals)
        if not len(keys):
            return ints(np.full(len(goals), -1))
        inside = np.minimum(place, len(keys) - 1)
        return ints(np.where((place < len(keys)) & (keys[inside] == goals), inside, -1))

    return lifting.elementwise(kernel, [y])


def positions_in(column: Vector, sought: Vector) -> Array:
    """The first position of each sought element in a column, -1 if it is not there."""
    import pandas as pd

    haystack, needles = _searchable(column, sought)
    together = np.concatenate((_keys(haystack), _keys(needles)))
    codes = pd.factorize(together)[0]
    codes = np.where(codes < 0, codes.max(initial=-1) + 1, codes)
    first = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    size = len(haystack)
    first[codes[:size][::-1]] = np.arange(size)[::-1]
    return np.asarray(first[codes[size:]])


@functions.builtin("find", "X, Y")
def find(x: Value, y: Value) -> Value:
    """The first position of each element of Y in X; for a dictionary the values of keys."""
    if isinstance(x, Dictionary):
        dictionary = x
        return lifting.elementwise(lambda keys: _values_of(dictionary, keys), [y])
    if isinstance(x, Table):
        return _find_in_table(x, y)
    if isinstance(x, IndexedSeries):
        x = x.values
    column = as_vector(x)
    return lifting.elementwise(lambda sought: ints(positions_in(column, sought)), [y])


def _values_of(dictionary: Dictionary, keys: Vector) -> Value:
    wanted = cast_vector(keys, Type.STRING if dictionary.key_type is Type.SYMBOL else dictionary.key_type)
    missing = Scalar(dictionary.value_type if dictionary.value_type is not Type.ANY else Type.VOID, None)
    items = [dictionary.items.get(wanted.scalar(row).value, missing) for row in range(len(wanted))]
    if all(isinstance(item, Scalar) for item in items) and items:
        merged = concat(items)
        if isinstance(merged, Vector | AnyVector):
            return merged
    return AnyVector(items)


def _find_in_table(table: Table, y: Value) -> Value:
    names = table.keys or tuple(table.names[:1] if len(table.names) == 1 else ())
    if not names:
        raise CallError("X must have one column, or be a keyed or indexed table.")
    columns = columns_of([table.column(name) for name in names])  # type: ignore[misc]
    if len(columns) == 1:
        if isinstance(y, AnyVector) and len(y.items) == 1:
            y = y.items[0]
        return lifting.elementwise(lambda sought: ints(positions_in(columns[0], sought)), [y])
    if not isinstance(y, AnyVector) or len(y.items) != len(columns):
        raise CallError("Y must be a tuple with one element for each key column.")
    sought = columns_of([as_vector(item) for item in y.items])
    codes, goals = np.zeros(len(columns[0]), dtype=np.int64), np.zeros(len(sought[0]), dtype=np.int64)
    for column, wanted in zip(columns, sought, strict=True):
        first, second = positions_in(column, column), positions_in(column, wanted)
        codes = codes * (len(column) + 1) + first
        goals = np.where((second < 0) | (goals < 0), -1, goals * (len(column) + 1) + second)
    found = ints(positions_in(Vector(Type.LONG, codes), Vector(Type.LONG, goals)))
    return found if any(isinstance(item, Vector) for item in y.items) else found.scalar(0)


@functions.builtin("percentileRank", "X, score, [method='excel']")
def percentile_rank(x: Value, score: Value, method: Value | None = None) -> Value:
    """Where a score lies among the elements, in percent."""
    kind = choice_argument(method, "method", ("excel", "rank", "strict", "weak", "mean"), "excel")
    goal = float_argument(score, "score")

    def reduce(column: Vector) -> Scalar:
        ordered = SortedGroups.of(whole(len(column)), numbers(column))
        values = ordered.values[: int(ordered.sizes[0])]
        return doubles(np.array([_percentile_of(values, goal, kind)])).scalar(0)

    return lifting.aggregate(reduce, [x])


def _percentile_of(values: Array, score: float, method: str) -> float:
    size = len(values)
    below, upto = int(np.searchsorted(values, score, "left")), int(np.searchsorted(values, score, "right"))
    if not size:
        return np.nan
    if method == "strict":
        return 100.0 * below / size
    if method == "weak":
        return 100.0 * upto / size
    if method == "mean":
        return 50.0 * (below + upto) / size
    if method == "rank":
        return 50.0 * (below + upto + (upto > below)) / size
    if upto > below:
        return 100.0 * below / (size - (upto - below)) if size > upto - below else 100.0
    if below in (0, size):
        return np.nan
    low, high = values[below - 1], values[below]
    lower, upper = _percentile_of(values, low, "excel"), _percentile_of(values, high, "excel")
    return float(lower + (score - low) / (high - low) * (upper - lower))


def _range_left(groups: Groups, x: Vector, windows: Windows, *, larger: bool) -> Vector:
    """How many neighbours at the left are smaller (or larger) in a row; NULL is the smallest."""
    order = ranks(in_order(groups, x))[0].astype(np.int64)
    keys = (-order if larger else order).tolist()
    starts = windows.start.tolist()
    out = np.zeros(len(keys), dtype=np.int64)
    stack: list[int] = []
    for row, start in enumerate(starts):
        while stack and keys[stack[-1]] < keys[row]:
            stack.pop()
        before = stack[-1] if stack and stack[-1] >= start else start - 1
        out[row] = row - before - 1
        stack.append(row)
    return back(groups, ints(out))


def _declare_ranges(name: str, *, larger: bool) -> None:
    """`topRange` and `lowRange` with their forms for moving windows of rows and of time."""

    def so_far(groups: Groups, x: Vector) -> Vector:
        return _range_left(groups, x, cumulative_windows(groups), larger=larger)

    def timed(groups: Groups, time: Vector, x: Vector, window: Value) -> Vector:
        from engine.functions.series.moving import Window

        ordered = in_order(groups, time)
        windows = range_windows(groups, ordered.data, Window.of(window).lower(ordered))
        result = in_order(groups, _range_left(groups, x, windows, larger=larger))
        missing = windows.counts(~in_order(groups, x).nulls()) == 0
        return back(groups, result.with_data(np.where(missing, null(Type.INT), result.data)))

    def counted(groups: Groups, x: Vector, window: Value, least: Value | None = None) -> Vector:
        length = positive_argument(window, "window")
        windows = count_windows(groups, length)
        result = _range_left(groups, x, windows, larger=larger)
        valid = ~in_order(groups, x).nulls()
        required = length if is_omitted(least) else integer_argument(least, "minPeriods")
        short = windows.sizes < length if is_omitted(least) else windows.counts(valid) < required
        ordered = in_order(groups, result)
        return back(groups, ordered.with_data(np.where(short, null(Type.INT), ordered.data)))

    declare_sequence(functions, f"{name[0].lower()}{name[1:]}", "X", so_far)
    declare_sequence(functions, f"m{name}", "X, window, [minPeriods]", counted, raw=True)
    by_rows = functions.functions[f"m{name}"].implementation

    @every_form
    def by_rows_or_labels(x: Value, window: Value, *rest: Value) -> Value:
        labels = x.index if isinstance(x, IndexedSeries) else x.row_labels if isinstance(x, Matrix) else None
        if labels is None or not isinstance(window, Scalar) or window.type is not Type.DURATION:
            return by_rows(x, window, *rest)  # type: ignore[no-any-return]
        return lifting.sequence(lambda column: timed(whole(len(column)), labels, column, window), [x])

    functions.functions[f"m{name}"].implementation = by_rows_or_labels
    declare_sequence(functions, f"tm{name}", "T, X, window", timed, vectors=2, raw=True)


_declare_ranges("TopRange", larger=False)
_declare_ranges("LowRange", larger=True)
