"""Aggregates of the `top` rows of each window by a sorting column (`msumTopN`, `tmsumTopN`, `cumsumTopN`)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from engine import lifting
from engine.aggregation import running
from engine.aggregation.catalogue import AGGREGATES
from engine.aggregation.rows import Kernel, ranks, whole
from engine.aggregation.windows import CHUNK, Windows, count_windows, cumulative_windows, range_windows, windowed
from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted, positive_argument
from engine.declarations import OPTIONS, columns_of, every_form, options_of
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry, parse_parameters
from engine.functions.series.moving import Window
from engine.grouping import Groups
from engine.types import Type
from engine.values import Array, ArrayVector, Value, Vector, vector

functions = Registry()

SHORT = 512
"""Windows of so many rows are laid side by side."""
TIES = ("oldest", "latest", "all")
NAMES = {
    "sum": "X", "avg": "X", "std": "X", "stdp": "X", "var": "X", "varp": "X", "skew": "X", "kurtosis": "X",
    "beta": "Y, X", "corr": "X, Y", "covar": "X, Y", "covarp": "X, Y", "wsum": "X, Y", "percentile": "X",
}  # fmt: skip


def top_rows(groups: Groups, keys: Vector, top: int, ascending: bool, ties: str) -> Array:
    """The `top` rows of each group by `keys` (NULLs never), group by group in sorted order."""
    rows = np.flatnonzero(~keys.nulls())
    codes = groups.codes[rows]
    order = ranks(keys)[0][rows].astype(np.int64)
    if not ascending:
        order = -order
    age = -rows if ties == "latest" else rows
    sorter = np.lexsort((age, order, codes))
    rows, codes, order = rows[sorter], codes[sorter], order[sorter]
    starts = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=groups.count))[:-1]))
    place = np.arange(len(rows)) - starts[codes]
    kept = place < top
    if ties == "all" and len(rows):
        limit = np.full(groups.count, np.iinfo(np.int64).max)
        last = place == top - 1
        limit[codes[last]] = order[last]
        kept |= order == limit[codes]
    return np.asarray(rows[kept])


def _unique_order(keys: Vector, ascending: bool, ties: str) -> tuple[Array, Array]:
    """The rows in the order in which they are chosen, and for each row its place there (NULLs: beyond all)."""
    order = ranks(keys)[0].astype(np.int64)
    rows = np.arange(len(keys))
    sorter = np.lexsort((-rows if ties == "latest" else rows, order if ascending else -order, keys.nulls()))
    place = np.empty(len(keys), dtype=np.int64)
    place[sorter] = rows
    place[keys.nulls()] = len(keys)
    return sorter, place


def _in_short_windows(
    kernel: Kernel, windows: Windows, length: int, top: int, order: tuple[Array, Array], columns: list[Vector]
) -> Vector:
    """`kernel` on the chosen rows of every window of at most `length` rows, found side by side in a matrix."""
    sorter, place = order
    beyond = len(place)
    padded = np.concatenate((np.full(length - 1, beyond), place))
    view = np.lib.stride_tricks.sliding_window_view(padded, length)
    parts: list[Vector] = []
    step = max(CHUNK // length, 1)
    for first in range(0, max(beyond, 1), step):
        part = view[first : first + step]
        inside = np.arange(length)[None, :] >= length - windows.sizes[first : first + step, None]
        chosen = np.where(inside, part, beyond)
        if top < length:
            chosen = np.partition(chosen, top - 1, axis=1)[:, :top]
        owners, columns_chosen = np.nonzero(chosen < beyond)
        rows = sorter[chosen[owners, columns_chosen]]
        rows = rows[np.lexsort((rows, owners))] if top < length else rows
        parts.append(kernel(Groups(owners, len(part)), *(column.take(rows) for column in columns)))
    return parts[0].with_data(np.concatenate([part.data for part in parts])) if len(parts) > 1 else parts[0]


def _top_kernel(kernel: Kernel, top: int, ascending: bool, ties: str, options: dict[str, Any]) -> Kernel:
    def best(groups: Groups, *columns: Vector) -> Vector:
        rows = np.sort(top_rows(groups, columns[-1], top, ascending, ties))
        chosen = Groups(groups.codes[rows], groups.count)
        return kernel(chosen, *(column.take(rows) for column in columns[:-1]), **options)

    return best


def _declare(prefix: str, name: str, data: str) -> None:
    aggregate = AGGREGATES[name]
    shape = "[biased=true], " if name in ("skew", "kurtosis") else ""
    timed, windowless = prefix == "tm", prefix == "cum"
    ties = "oldest" if prefix == "m" and not shape else "latest"
    percent, interpolation = ("percent, ", "[interpolation='linear'], ") if name == "percentile" else ("", "")
    signature = (
        f"{'T, ' if timed else ''}{data}, S, {percent}{'' if windowless else 'window, '}top, "
        f"{interpolation}{shape}[ascending=true], [tiesMethod='{ties}']"
    )
    vectors = data.count(",") + 2 + timed
    parameters = parse_parameters(signature)[vectors:]

    def windows_of(groups: Groups, time: Vector | None, window: Value | None) -> Windows:
        if windowless:
            return cumulative_windows(groups)
        if time is None:
            return count_windows(groups, positive_argument(window, "window"))
        ordered = running.in_order(groups, time)
        return range_windows(groups, ordered.data, Window.of(window).lower(ordered))

    def grouped(groups: Groups, *values: Value) -> Vector:
        columns = columns_of(values[:vectors], groups.rows)
        given: dict[str, Value] = {
            parameter.name: value for parameter, value in zip(parameters, values[vectors:], strict=False)
        }
        top = positive_argument(given.pop("top", None), "top")
        ascending = boolean_argument(given.pop("ascending", None), "ascending", True)
        method = choice_argument(given.pop("tiesMethod", None), "tiesMethod", TIES, ties)
        window = given.pop("window", None)
        named = [parameter for parameter in parameters if parameter.name in given]
        options = options_of(named, [given[parameter.name] for parameter in named], OPTIONS)
        windows = windows_of(groups, columns.pop(0) if timed else None, window)
        ordered = [running.in_order(groups, column) for column in columns]
        if not timed and not windowless and method != "all":
            length = positive_argument(window, "window")
            if length <= SHORT:
                order = _unique_order(ordered.pop(), ascending, method)
                chosen = partial(aggregate.kernel, **options)
                return running.back(groups, _in_short_windows(chosen, windows, length, top, order, ordered))
        kernel = _top_kernel(aggregate.kernel, top, ascending, method, options)
        return running.back(groups, windowed(kernel, windows, *ordered))

    @every_form
    def plain(*values: Value) -> Value:
        return lifting.sequence(
            lambda *columns: grouped(whole(len(columns[0])), *columns, *values[vectors:]), values[:vectors]
        )

    functions.builtin(f"{prefix}{name}TopN", signature, kind=Kind.SEQUENCE, vectors=vectors)(plain)
    functions.grouped(f"{prefix}{name}TopN")(grouped)


for _name, _data in NAMES.items():
    _declare("m", _name, _data if _name != "beta" else "X, Y")
    _declare("tm", _name, _data if _name != "beta" else "X, Y")
    if _name != "percentile":
        _declare("cum", _name, _data)


@functions.builtin("movingTopNIndex", "X, window, top, [ascending=true], [fixed=false], [tiesMethod='oldest']")
def moving_top_index(
    x: Value,
    window: Value,
    top: Value,
    ascending: Value | None = None,
    fixed: Value | None = None,
    ties: Value | None = None,
) -> ArrayVector:
    """For each row the positions of the best rows of its window, as rows of an array vector."""
    column = as_vector(x)
    number = positive_argument(top, "top")
    length = integer_argument(window, "window")
    if length < 2:
        raise CallError("window must be an integer no less than 2.")
    if not 1 < number <= length:
        raise CallError("top must be greater than 1 and no greater than window.")
    upward = boolean_argument(ascending, "ascending", True)
    method = choice_argument(ties, "tiesMethod", TIES[:2], "oldest")
    rows, groups = count_windows(whole(len(column)), length).expand()
    values = column.take(rows)
    chosen = top_rows(groups, values, number, upward, method)
    order = ranks(values)[0][chosen].astype(np.int64)
    chosen = chosen[np.lexsort((chosen, order if upward else -order, groups.codes[chosen]))]
    positions, owners = rows[chosen], groups.codes[chosen]
    sizes = np.bincount(owners, minlength=len(column))
    if is_omitted(fixed) or not boolean_argument(fixed, "fixed"):
        return ArrayVector(vector(Type.INT, positions), np.concatenate(([0], np.cumsum(sizes))))
    flat = np.full(len(column) * number, np.iinfo(np.int32).min, dtype=np.int64)
    place = np.arange(len(positions)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat[owners * number + (number - sizes[owners]) + place] = positions
    return ArrayVector(vector(Type.INT, flat), np.arange(len(column) + 1) * number)
