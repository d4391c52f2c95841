"""Making vectors out of others: take, repeat rows, cut, reverse, distinct, and changes in place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from engine import lifting
from engine.aggregation.basic import ints
from engine.aggregation.order import distinct_rows
from engine.aggregation.rows import ranks, whole
from engine.arguments import boolean_argument, choice_argument, integer_argument, is_omitted, positive_argument
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, element
from engine.functions.registry import Builtin, Registry
from engine.grouping import Groups
from engine.limits import check_allocation
from engine.types import LITERAL, Type
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    Closure,
    Code,
    Dictionary,
    IndexedSeries,
    Matrix,
    Partial,
    Pattern,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    repeat,
    vector,
)
from engine.vectors import joined, row_count, take_columns, take_rows

functions = Registry()


@functions.builtin("take", "X, n", context=True)
def take(ctx: Context, x: Value, n: Value) -> Value:
    """`n` rows in turn, from the end if negative; with a vector, so many copies of each row."""
    if isinstance(n, Vector) and not (isinstance(x, Scalar) and len(n) == 1):
        copies = np.maximum(n.data.astype(np.int64), 0)
        if len(copies) != row_count(x):
            raise CallError("n must be as long as X.")
        check_allocation(int(copies.sum()), Type.LONG, ctx.node)
        return take_rows(x, np.repeat(np.arange(len(copies)), copies))
    number = integer_argument(n, "n")
    if isinstance(x, Scalar):
        check_allocation(number, x.type, ctx.node)
        return repeat(x, number)
    if isinstance(x, Builtin | Closure | Partial | Pattern | Code):
        check_allocation(number, Type.ANY, ctx.node)
        return AnyVector([x] * number)
    check_allocation(abs(number), x.type if isinstance(x, Vector | Matrix | ArrayVector) else Type.ANY, ctx.node)
    size = row_count(x)
    if not size:
        if number:
            raise CallError("X must not be empty.")
        return take_rows(x, slice(0, 0))
    rows = np.arange(number) if number >= 0 else np.arange(number, 0)
    return take_rows(x, rows % size)


@functions.builtin("stretch", "X, n", context=True)
def stretch(ctx: Context, x: Value, n: Value) -> Value:
    """Each row repeated so that there are `n` in all."""
    number, size = integer_argument(n, "n"), row_count(x)
    if number < 0:
        raise CallError("n must not be negative.")
    check_allocation(number, Type.LONG, ctx.node)
    copies = np.full(size, number // max(size, 1))
    copies[: number % max(size, 1)] += 1
    return take_rows(x, np.repeat(np.arange(size), copies))


def _ends(value: Value, number: int, *, tail: bool) -> Value:
    if isinstance(value, Matrix):
        width = value.columns
        chosen = np.arange(width)[width - min(number, width) :] if tail else np.arange(width)[:number]
        return value.column(int(chosen[0])) if number == 1 and len(chosen) else take_columns(value, chosen)
    size = row_count(value)
    if number == 1 and not isinstance(value, IndexedSeries) and size:
        return element(value, size - 1 if tail else 0)
    return take_rows(value, slice(max(size - number, 0), size) if tail else slice(0, number))


@functions.builtin("head", "X, [n=1]")
def head(x: Value, n: Value | None = None) -> Value:
    return _ends(x, positive_argument(n, "n", 1), tail=False)


@functions.builtin("tail", "obj, [n=1]")
def tail(x: Value, n: Value | None = None) -> Value:
    return _ends(x, positive_argument(n, "n", 1), tail=True)


@functions.builtin("drop", "obj, count")
def drop(x: Value, count: Value) -> Value:
    number = integer_argument(count, "count")
    kept = slice(number, None) if number >= 0 else slice(0, number)
    if isinstance(x, Matrix):
        return take_columns(x, kept)
    return take_rows(x, kept)


@functions.builtin("reverse", "X")
def reverse(x: Value) -> Value:
    if isinstance(x, Dictionary):
        return Dictionary(x.key_type, x.value_type, dict(reversed(x.items.items())), x.ordered)
    if isinstance(x, Matrix):
        return Matrix(x.type, np.asfortranarray(x.data[::-1, ::-1]), None, None, x.scale)
    if isinstance(x, Scalar) and x.type in LITERAL and x.value is not None:
        return Scalar(x.type, x.value[::-1])
    return take_rows(x, np.arange(row_count(x))[::-1])


@functions.grouped("reverse")
def _reversed_groups(groups: Groups, x: Vector) -> Vector:
    ends = groups.offsets[:-1] + groups.offsets[1:] - 1
    backwards = np.repeat(ends, groups.sizes) - np.arange(groups.rows)
    return x.with_data(groups.restore(groups.arrange(x.data)[backwards]))


@functions.builtin("distinct", "X")
def distinct(x: Value) -> Value:
    """The different elements in the order of their first appearance."""
    if isinstance(x, Set):
        return as_vector(x)
    if isinstance(x, AnyVector) and not all(isinstance(item, Scalar) for item in x.items):
        raise CallError("X must be a vector.")
    column = x.flat if isinstance(x, ArrayVector) else as_vector(x)
    return column.take(distinct_rows(whole(len(column)), [column]))


@functions.builtin("cut", "X, size|cutPositions")
def cut(x: Value, size: Value) -> Value:
    """Parts of a given size, or starting at given positions."""
    count = x.columns if isinstance(x, Matrix) else row_count(x)
    if isinstance(size, Vector) and not size.is_pair:
        starts = size.data.astype(np.int64)
        if len(starts) and ((np.diff(starts) <= 0).any() or starts[0] < 0 or starts[-1] > count):
            raise CallError("cutPositions must be increasing positions of X.")
        bounds = np.concatenate((starts, [count]))
    else:
        width = positive_argument(size, "size")
        if width == 1 and not isinstance(x, Matrix | Table):
            return AnyVector([element(x, row) for row in range(count)])
        bounds = np.append(np.arange(0, count, width), count)
    parts = [slice(int(first), int(last)) for first, last in pairwise(bounds)]
    if isinstance(x, Matrix):
        return AnyVector([take_columns(x, part) for part in parts])
    return AnyVector([take_rows(x, part) for part in parts])


@functions.builtin("repmat", "X, rowRep, colRep")
def repmat(x: Matrix, rows: Value, columns: Value) -> Matrix:
    times = (positive_argument(rows, "rowRep"), positive_argument(columns, "colRep"))
    check_allocation(x.data.size * times[0] * times[1], x.type)
    return Matrix(x.type, np.asfortranarray(np.tile(x.data, times)), scale=x.scale)


@functions.builtin("til", "n", context=True)
def til(ctx: Context, n: Scalar) -> Vector:
    number = integer_argument(n, "n")
    if number < 0:
        raise CallError("n must be a non-negative integer.")
    check_allocation(number, n.type, ctx.node)
    return vector(n.type if n.type is Type.LONG else Type.INT, np.arange(number))


@functions.builtin("subarray", "X, range")
def subarray(x: Value, bounds: Value) -> Value:
    size = x.columns if isinstance(x, Matrix) else row_count(x)
    part = _range(bounds, size)
    return take_columns(x, part) if isinstance(x, Matrix) else take_rows(x, part)


def _range(bounds: Value, size: int) -> slice:
    if not isinstance(bounds, Vector) or len(bounds) != 2:
        raise CallError("range must be a pair of integers.")
    first, last = (None if missing else int(raw) for raw, missing in zip(bounds.data, bounds.nulls(), strict=True))
    first, last = 0 if first is None else first, size if last is None else last
    if first < 0 or last > size or first > last:
        raise CallError(f"range must lie within 0:{size}.")
    return slice(first, last)


@functions.builtin("groups", "X, [mode='dict']")
def groups(x: Value, mode: Value | None = None) -> Value:
    """The rows of each distinct element."""
    kind = choice_argument(mode, "mode", ("dict", "table", "vector", "tuple"), "dict")
    column = as_vector(x)
    order, _ = ranks(column)
    distinct_codes, first, codes = np.unique(order, return_index=True, return_inverse=True)
    grouping = Groups(codes, len(distinct_codes))
    rows = ArrayVector(ints(grouping.order), grouping.offsets)
    keys = column.take(first)
    if kind == "vector":
        return rows
    if kind == "tuple":
        return AnyVector([rows.row(index) for index in range(len(rows))])
    if kind == "table":
        return Table(["key", "index"], [keys, rows])
    items: dict[object, Value] = {keys.scalar(index).value: rows.row(index) for index in range(len(rows))}
    return Dictionary(column.type, Type.ANY, items)


def _own_vector(x: Value, name: str) -> Vector | AnyVector:
    if not isinstance(x, Vector | AnyVector):
        raise CallError(f"{name} must be a vector.")
    return x


def _keep(x: Vector | AnyVector, kept: slice) -> None:
    if isinstance(x, Vector):
        x.data = x.data[kept].copy()
    else:
        x.items[:] = x.items[kept]


@functions.builtin("pop!", "X")
def pop(x: Value) -> Value:
    own = _own_vector(x, "X")
    if not len(own):
        raise CallError("X must not be empty.")
    removed = element(own, len(own) - 1)
    _keep(own, slice(0, len(own) - 1))
    return removed


@functions.builtin("removeHead!", "obj, n")
def remove_head(x: Value, n: Value) -> Value:
    own = _own_vector(x, "obj")
    _keep(own, slice(_removable(n, own), len(own)))
    return own


@functions.builtin("removeTail!", "obj, n")
def remove_tail(x: Value, n: Value) -> Value:
    own = _own_vector(x, "obj")
    _keep(own, slice(0, len(own) - _removable(n, own)))
    return own


def _removable(n: Value, own: Vector | AnyVector) -> int:
    number = positive_argument(n, "n")
    if number > len(own):
        raise CallError("n must be no more than the size of obj.")
    return number


@functions.builtin("shuffle", "X", context=True)
def shuffle(ctx: Context, x: Value) -> Value:
    order = _permutation(ctx, x)
    if isinstance(x, Matrix):
        data = x.data.ravel(order="F")[order].reshape(x.data.shape, order="F")
        return Matrix(x.type, data, x.row_labels, x.column_labels, x.scale)
    return take_rows(x, order)


@functions.builtin("shuffle!", "X", context=True)
def shuffle_in_place(ctx: Context, x: Value) -> Value:
    shuffled = shuffle(ctx, x)
    if (isinstance(x, Vector) and isinstance(shuffled, Vector)) or (
        isinstance(x, Matrix) and isinstance(shuffled, Matrix)
    ):
        x.data = shuffled.data
        return x
    raise CallError("X must be a vector or a matrix.")


def _permutation(ctx: Context, x: Value) -> Array:
    from engine.functions.mathematics.random import generator

    return generator(ctx).permutation(x.data.size if isinstance(x, Matrix) else row_count(x))


@functions.builtin("rowNames", "X")
def row_names(x: Value) -> Value:
    if not isinstance(x, Matrix):
        raise CallError("X must be a matrix.")
    return x.row_labels if x.row_labels is not None else vector(Type.VOID, [])


@functions.builtin("dropna", "X, [byRow=true], [thresh]")
def dropna(x: Value, by_row: Value | None = None, threshold: Value | None = None) -> Value:
    """Without NULLs; of a matrix or table without the rows (or columns) that hold too many."""
    if isinstance(x, Vector):
        return x.take(~x.nulls())
    if isinstance(x, IndexedSeries):
        return take_rows(x, ~x.values.nulls())
    if isinstance(x, AnyVector):
        return AnyVector([item for item in x.items if not (isinstance(item, Scalar) and item.is_null)])
    along_rows = boolean_argument(by_row, "byRow", True)
    if isinstance(x, Table):
        masks = [~column.nulls() if isinstance(column, Vector) else np.ones(x.rows, bool) for column in x.columns]
        valid = np.column_stack(masks)
    elif isinstance(x, Matrix):
        valid = np.column_stack([~x.column(index).nulls() for index in range(x.columns)])
    else:
        raise CallError("X must be a vector, a tuple, a matrix or a table.")
    full = valid.shape[1] if along_rows else valid.shape[0]
    least = full if is_omitted(threshold) else positive_argument(threshold, "thresh")
    kept = np.flatnonzero(valid.sum(axis=1 if along_rows else 0) >= least)
    if along_rows:
        return take_rows(x, kept)
    if isinstance(x, Table):
        return Table([x.names[i] for i in kept], [x.columns[i] for i in kept])
    return take_columns(x, kept)


@functions.builtin("concatMatrix", "X, [horizontal=true]")
def concat_matrix(x: Value, horizontal: Value | None = None) -> Matrix:
    from engine.cast import cast_vector

    if not isinstance(x, AnyVector) or not x.items or not all(isinstance(item, Matrix) for item in x.items):
        raise CallError("X must be a tuple of matrices.")
    matrices = [item for item in x.items if isinstance(item, Matrix)]
    across = boolean_argument(horizontal, "horizontal", True)
    type_ = joined([matrix.column(0) for matrix in matrices]).type
    parts = [
        cast_vector(as_vector(matrix), type_, matrix.scale).data.reshape(matrix.data.shape, order="F")
        for matrix in matrices
    ]
    if len({part.shape[0 if across else 1] for part in parts}) > 1:
        raise CallError(f"the matrices must have the same number of {'rows' if across else 'columns'}.")
    data = np.concatenate(parts, axis=1 if across else 0)
    return Matrix(type_, np.asfortranarray(data), scale=matrices[0].scale)


def _triangle(x: Value, k: Value | None, *, upper: bool) -> Matrix:
    if not isinstance(x, Matrix):
        raise CallError("X must be a matrix.")
    keep = np.triu if upper else np.tril
    mask = keep(np.ones(x.data.shape, dtype=bool), integer_argument(k, "k", 0))
    return Matrix(x.type, np.where(mask, x.data, x.data.dtype.type(0)), x.row_labels, x.column_labels, x.scale)


@functions.builtin("triu", "X, [k=0]")
def upper_triangle(x: Value, k: Value | None = None) -> Matrix:
    return _triangle(x, k, upper=True)


@functions.builtin("tril", "X, [k=0]")
def lower_triangle(x: Value, k: Value | None = None) -> Matrix:
    return _triangle(x, k, upper=False)


@functions.builtin("mask", "X, Y")
def mask(x: Value, y: Value) -> Value:
    """NULL where Y is true."""
    from engine.aggregation.rows import gather, numbers

    def kernel(column: Vector, flags: Vector) -> Vector:
        chosen = np.nan_to_num(numbers(flags, "Y")) != 0
        return gather(column, np.where(chosen, -1, np.arange(len(column))))

    return lifting.elementwise(lifting.spread(kernel), [x, y])


@functions.builtin("panel", "row, col, metrics, [rowLabel], [colLabel], [parallel=false]")
def panel(
    row: Value,
    column: Value,
    metrics: Value,
    row_labels: Value | None = None,
    column_labels: Value | None = None,
    parallel: Value | None = None,
) -> Value:
    """Metrics arranged as matrices by a row and a column key; of duplicates the last counts."""
    from engine.aggregation.rows import gather
    from engine.functions.series.ordering import positions_in, sort_rows

    boolean_argument(parallel, "parallel", False)
    rows, columns = as_vector(row), as_vector(column)

    def labels(given: Value | None, keys: Vector) -> Vector:
        if given is not None and not is_omitted(given):
            return as_vector(given)
        different = keys.take(distinct_rows(whole(len(keys)), [keys]))
        return different.take(sort_rows([different], [True]))

    down, across = labels(row_labels, rows), labels(column_labels, columns)
    place_down, place_across = positions_in(down, rows), positions_in(across, columns)
    inside = (place_down >= 0) & (place_across >= 0)

    def arrange(metric: Vector) -> Matrix:
        source = np.full((len(down), len(across)), -1, dtype=np.int64)
        source[place_down[inside], place_across[inside]] = np.flatnonzero(inside)
        cells = gather(metric, source.ravel(order="F"))
        return Matrix(metric.type, cells.data.reshape(source.shape, order="F"), down, across, metric.scale)

    if isinstance(metrics, AnyVector):
        return AnyVector([arrange(as_vector(item)) for item in metrics.items])
    return arrange(as_vector(metrics))
