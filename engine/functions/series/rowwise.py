"""Row functions: aggregates and sequences along the rows of matrices, tables, columns and array vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.aggregation import basic, running
from engine.aggregation.catalogue import AGGREGATES, MAXIMUM, MINIMUM, Aggregate
from engine.aggregation.rows import Kernel, gather
from engine.aggregation.running import shifted
from engine.aggregation.windows import cumulative_windows
from engine.arguments import integer_argument
from engine.cast import cast_vector
from engine.declarations import columns_of
from engine.errors import CallError
from engine.forms import array_vector, as_vector, concat
from engine.functions.registry import Registry
from engine.grouping import Groups
from engine.lifting import align_matrices, stack
from engine.types import LITERAL, Type
from engine.values import (
    AnyVector,
    Array,
    ArrayVector,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    nulls,
    repeat,
)

functions = Registry()


@dataclass(eq=False)
class Rows:
    """Data laid out flat, with the row each element belongs to, and how to give results their form back."""

    data: Vector
    groups: Groups
    rebuild: Callable[[Vector], Value]


def _columns(value: Value, rows: int | None) -> list[Vector]:
    if isinstance(value, Matrix):
        return [value.column(index) for index in range(value.columns)]
    if isinstance(value, Table):
        return [column for column in value.columns if isinstance(column, Vector) and _is_numeric(column)]
    if isinstance(value, AnyVector):
        return [column for item in value.items for column in _columns(item, rows)]
    if isinstance(value, IndexedSeries):
        return [value.values]
    if isinstance(value, Dictionary):
        return [column for item in value.items.values() for column in _columns(item, rows)]
    if isinstance(value, Scalar):
        return [repeat(value, rows or 1)]
    return [as_vector(value)]


def _is_numeric(column: Value) -> bool:
    return isinstance(column, Vector) and column.type not in LITERAL


def _height(value: Value) -> int | None:
    if isinstance(value, Matrix | Table):
        return value.rows
    if isinstance(value, AnyVector):
        return next((height for height in map(_height, value.items) if height is not None), None)
    if isinstance(value, Vector | ArrayVector):
        return len(value)
    return len(value.values) if isinstance(value, IndexedSeries) else None


def rows_of(values: Sequence[Value]) -> Rows:
    """The rows that the arguments form together."""
    if any(isinstance(value, AnyVector) and value.columnar for value in values):
        return _ragged_rows([_as_rows(value) for value in values])
    if any(isinstance(value, ArrayVector) for value in values):
        return _ragged_rows(values)
    height = next((each for each in map(_height, values) if each is not None), 1)
    columns = [column for value in values for column in _columns(value, height)]
    columns = columns_of(columns, height)
    flat = concat(columns) if columns else nulls(Type.VOID, 0)
    if not isinstance(flat, Vector):
        raise CallError("The columns must have types that go together.")
    groups = Groups(np.tile(np.arange(height), len(columns)), height)

    def rebuild(result: Vector) -> Value:
        parts = [result.take(slice(i * height, (i + 1) * height)) for i in range(len(columns))]
        first = values[0]
        if isinstance(first, Matrix):
            return stack(parts, first)
        if isinstance(first, Table):
            remaining = iter(parts)
            kept = [isinstance(column, Vector) and column.type not in LITERAL for column in first.columns]
            return Table(
                list(first.names), [next(remaining) if k else c for k, c in zip(kept, first.columns, strict=True)]
            )
        if isinstance(first, AnyVector):
            return AnyVector(list(parts))
        return parts[0] if len(parts) == 1 else AnyVector(list(parts))

    return Rows(flat, groups, rebuild)


def _as_rows(value: Value) -> Value:
    """A columnar tuple as an array vector."""
    return array_vector(value.items) if isinstance(value, AnyVector) and value.columnar else value


def _ragged_rows(values: Sequence[Value]) -> Rows:
    count = len(next(value for value in values if isinstance(value, ArrayVector)))
    parts, codes = [], []
    for value in values:
        if isinstance(value, ArrayVector):
            if len(value) != count:
                raise CallError("The arguments must have the same number of rows.")
            parts.append(value.flat.take(slice(int(value.offsets[0]), int(value.offsets[-1]))))
            codes.append(np.repeat(np.arange(count), np.diff(value.offsets)))
        else:
            for column in columns_of(_columns(value, count), count):
                parts.append(column)
                codes.append(np.arange(count))
    flat = concat(parts)
    if not isinstance(flat, Vector):
        raise CallError("The columns must have types that go together.")
    groups = Groups(np.concatenate(codes), count)

    def rebuild(result: Vector) -> Value:
        return ArrayVector(result.take(groups.order), groups.offsets)

    return Rows(flat, groups, rebuild)


def _declare_aggregate(name: str, kernel: Kernel) -> None:
    @functions.builtin(name, "args...")
    def reduce(*values: Value) -> Vector:
        rows = rows_of(values)
        return kernel(rows.groups, rows.data)


def _paired(x: Value, y: Value) -> tuple[Rows, Rows]:
    """Two arguments with the same rows; a vector meets every row of a matrix or array vector."""
    if isinstance(x, Matrix) and isinstance(y, Matrix) and x.indexed and y.indexed:
        x, y = align_matrices([x, y])
    x, y = _as_rows(x), _as_rows(y)
    if isinstance(x, Vector) and isinstance(y, Matrix | ArrayVector):
        x = _spread(x, y)
    elif isinstance(y, Vector) and isinstance(x, Matrix | ArrayVector):
        y = _spread(y, x)
    first, second = rows_of([x]), rows_of([y])
    if not np.array_equal(first.groups.codes, second.groups.codes):
        raise CallError("X and Y must have the same rows.")
    return first, second


def _spread(column: Vector, like: Matrix | ArrayVector) -> Value:
    """A vector as every row of something."""
    if isinstance(like, Matrix):
        if len(column) != like.columns:
            if len(column) == like.rows and like.columns == 1:
                return column
            raise CallError("The length of the vector must equal the number of columns of the matrix.")
        return Matrix(column.type, np.asfortranarray(np.tile(column.data, (like.rows, 1))), scale=column.scale)
    sizes = np.diff(like.offsets)
    if np.all(sizes == len(column)):
        return ArrayVector(column.take(np.tile(np.arange(len(column)), len(like))), like.offsets)
    raise CallError("The length of the vector must equal the length of the rows.")


def _declare_paired(name: str, kernel: Kernel, signature: str = "X, Y") -> None:
    @functions.builtin(name, signature)
    def reduce(x: Value, y: Value) -> Vector:
        first, second = _paired(x, y)
        return kernel(first.groups, first.data, second.data)


def _declare_sequence(name: str, signature: str, kernel: Callable[..., Vector], options: tuple[Any, ...] = ()) -> None:
    @functions.builtin(name, signature)
    def along(x: Value, *rest: Value) -> Value:
        rows = rows_of([x])
        parsed = [parse(value, parameter) for (parameter, parse), value in zip(options, rest, strict=False)]
        return rows.rebuild(kernel(rows.groups, rows.data, *parsed))


for _name in ("sum", "sum2", "avg", "count", "prod", "std", "stdp", "var", "varp", "skew", "kurtosis"):
    _declare_aggregate(f"row{_name[0].upper()}{_name[1:]}", AGGREGATES[_name].kernel)
for _name in ("imax", "imin", "imaxLast", "iminLast"):
    _declare_aggregate(f"row{_name[0].upper()}{_name[1:]}", AGGREGATES[_name].kernel)
_declare_aggregate("rowMax", MAXIMUM.kernel)
_declare_aggregate("rowMin", MINIMUM.kernel)
_declare_aggregate("rowSize", basic.size)
_declare_aggregate("rowAnd", basic.logical_all)
_declare_aggregate("rowOr", basic.logical_any)
_declare_aggregate("rowXor", basic.logical_odd)
for _name in ("corr", "covar", "covarp", "wavg", "wsum", "euclidean", "tanimoto", "beta"):
    _declare_paired(f"row{_name[0].upper()}{_name[1:]}", AGGREGATES[_name].kernel)
_declare_paired("rowDot", AGGREGATES["wsum"].kernel)


def _cumulative(aggregate: Aggregate) -> Callable[..., Vector]:
    def kernel(groups: Groups, *columns: Vector) -> Vector:
        ordered = [running.in_order(groups, column) for column in columns]
        return running.back(groups, aggregate.over(cumulative_windows(groups), *ordered))

    return kernel


_declare_sequence("rowCumsum", "X", _cumulative(AGGREGATES["sum"]))
_declare_sequence("rowCummax", "X", _cumulative(MAXIMUM))
_declare_sequence("rowCummin", "X", _cumulative(MINIMUM))
for _name in ("rowCumprod", "rowCumProd"):
    _declare_sequence(_name, "X", running.running_product)


@functions.builtin("rowCumwsum", "X, Y")
def row_cumulative_weighted_sum(x: Value, y: Value) -> Value:
    first, second = _paired(x, y)
    return first.rebuild(_cumulative(AGGREGATES["wsum"])(first.groups, first.data, second.data))


_declare_sequence("rowPrev", "X", lambda groups, x: shifted(groups, x, 1))
_declare_sequence("rowNext", "X", lambda groups, x: shifted(groups, x, -1))
_declare_sequence("rowMove", "X, steps", shifted, (("steps", integer_argument),))


@functions.builtin(
    "rowRank",
    "X, [ascending=true], [groupNum], [ignoreNA=true], [tiesMethod='min'], [percent=false], [precision]",
)
def row_rank(x: Value, *rest: Value) -> Value:
    from engine.functions.series.ordering import rank_column

    rows = rows_of([x])
    return rows.rebuild(rank_column(rows.groups, rows.data, *rest))


@functions.builtin("rowDenseRank", "X, [ascending=true], [ignoreNA=true], [percent=false]")
def row_dense_rank(x: Value, *rest: Value) -> Value:
    from engine.functions.series.ordering import dense_rank_column

    rows = rows_of([x])
    return rows.rebuild(dense_rank_column(rows.groups, rows.data, *rest))


@functions.builtin("rowAt", "X, [Y]")
def row_at(x: Value, y: Value | None = None) -> Value:
    """Elements of rows by position or by a Boolean choice; without Y the positions of true elements."""
    rows = rows_of([x])
    sizes, offsets, sorted_data = rows.groups.sizes, rows.groups.offsets, rows.data.take(rows.groups.order)
    if y is None or not isinstance(y, Matrix | Vector | AnyVector | ArrayVector | Scalar):
        y, chosen_value = x, True
    else:
        chosen_value = False
    if isinstance(y, Vector):
        index = cast_vector(y, Type.LONG).data
        inside = ~y.nulls() & (index >= 0) & (index < sizes)
        return gather(sorted_data, np.where(inside, offsets[:-1] + index, -1))
    choice = rows_of([y])
    flags = choice.data.take(choice.groups.order)
    owners = np.repeat(np.arange(choice.groups.count), choice.groups.sizes)
    if flags.type is Type.BOOL:
        if not np.array_equal(choice.groups.sizes, sizes):
            raise CallError("X and Y must have the same shape.")
        kept = np.flatnonzero(flags.data == 1)
        place = kept - offsets[owners[kept]]
        found = basic.ints(place) if chosen_value else sorted_data.take(kept)
        return _ragged(found, owners[kept], len(sizes), like=x)
    index = flags.data.astype(np.int64)
    inside = ~flags.nulls() & (index >= 0) & (index < sizes[owners])
    return _ragged(gather(sorted_data, np.where(inside, offsets[owners] + index, -1)), owners, len(sizes), like=x)


def _ragged(flat: Vector, owners: Array, count: int, like: Value) -> Value:
    """Elements as rows, some of them empty."""
    sizes = np.bincount(owners, minlength=count)
    result = ArrayVector(flat, np.concatenate(([0], np.cumsum(sizes))))
    if isinstance(like, AnyVector):
        return AnyVector([result.row(index) for index in range(count)], like.columnar)
    return result


@functions.builtin("rowNo", "X")
def row_number(x: Value) -> Vector:
    return basic.ints(np.arange(_height(x) or 0))
