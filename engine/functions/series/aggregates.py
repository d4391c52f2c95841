"""Aggregate functions: a column to a scalar, or to one element per group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation import basic, order
from engine.aggregation.catalogue import AGGREGATES, MAXIMUM, MINIMUM
from engine.aggregation.moments import weighted_regression
from engine.aggregation.order import INTERPOLATIONS, SortedGroups
from engine.aggregation.rows import Kernel, Numbers, counts, numbers, sums, whole
from engine.arguments import boolean_argument, float_argument, is_omitted
from engine.arguments import choice_argument as choice
from engine.declarations import columns_of, declare_aggregate, every_form
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Kind, Registry
from engine.grouping import Groups
from engine.operators import binary
from engine.types import Type
from engine.values import (
    AnyVector,
    ArrayVector,
    Dictionary,
    Function,
    Scalar,
    Table,
    Value,
    Vector,
    boolean,
    double,
    elements,
    integer,
)

functions = Registry()

SPECIAL = ("count", "nunique", "ifirstNot", "ilastNot")
for _name, _aggregate in AGGREGATES.items():
    if _name not in SPECIAL:
        declare_aggregate(
            functions,
            _name,
            _aggregate.signature,
            _aggregate.kernel,
            vectors=_aggregate.vectors,
            aliases=_aggregate.aliases,
        )


def _root_mean_square(groups: Groups, x: Vector) -> Vector:
    values = Numbers(x)
    number = values.counts(groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = sums(groups, lambda rows: [values.at(rows)[0] ** 2])[0]
        return basic.doubles(np.sqrt(squares / number), number == 0)


def _in_context(kernel: Kernel) -> Kernel:
    """An aggregate of X where neither X nor Y is NULL."""

    def contextual(groups: Groups, x: Vector, y: Vector) -> Vector:
        kept = np.flatnonzero(~(x.nulls() | y.nulls()))
        return kernel(Groups(groups.codes[kept], groups.count), x.take(kept))

    return contextual


def _count_not_finite(groups: Groups, x: Vector, include_null: bool = False) -> Vector:
    chosen = np.isinf(x.data) if x.data.dtype.kind == "f" else np.zeros(len(x), dtype=bool)
    return basic.ints(counts(groups, chosen | x.nulls() if include_null else chosen))


declare_aggregate(functions, "rms", "X", _root_mean_square)
declare_aggregate(functions, "countNanInf", "X, [includeNull=false]", _count_not_finite)
declare_aggregate(functions, "contextSum", "X, Y", _in_context(basic.total), vectors=2)
declare_aggregate(functions, "contextSum2", "X, Y", _in_context(basic.power_sum(2)), vectors=2)
declare_aggregate(functions, "contextCount", "X, Y", _in_context(basic.count), vectors=2)


@functions.builtin("count", "X", kind=Kind.AGGREGATE)
@every_form
def count(x: Value) -> Scalar:
    """Non-null elements; the rows of a table."""
    if isinstance(x, Table):
        return integer(x.rows)
    if isinstance(x, AnyVector):
        missing = sum(isinstance(item, Scalar) and item.is_null for item in x.items)
        return integer(len(x) - missing)
    if isinstance(x, Dictionary):
        return integer(len(x))
    column = x.flat if isinstance(x, ArrayVector) else as_vector(x)
    return integer(int(np.count_nonzero(~column.nulls())))


@functions.grouped("count")
def _count_groups(groups: Groups, x: Value) -> Vector:
    if isinstance(x, AnyVector | ArrayVector):
        return basic.ints(groups.sizes)
    return basic.count(groups, *columns_of([x], groups.rows))


def _holds_null(x: Value) -> bool:
    if isinstance(x, Table):
        return any(_holds_null(column) for column in x.columns)
    if isinstance(x, AnyVector):
        return any(isinstance(item, Scalar) and item.is_null for item in x.items)
    column = x.flat if isinstance(x, ArrayVector) else as_vector(x)
    return bool(column.nulls().any())


@functions.builtin("hasNull", "X")
def has_null(x: Value) -> Scalar:
    return boolean(_holds_null(x))


@functions.builtin("nunique", "X, [ignoreNull=false]", kind=Kind.AGGREGATE)
@every_form
def nunique(x: Value, ignore_null: Value | None = None) -> Value:
    """Distinct elements; of a tuple of columns distinct rows."""
    ignored = boolean_argument(ignore_null, "ignoreNull", False)
    if isinstance(x, AnyVector):
        columns = columns_of(x.items)
        return integer(int(order.distinct_rows(whole(len(columns[0])), columns).sum()))
    if isinstance(x, ArrayVector):
        x = x.flat

    def reduce(column: Vector) -> Value:
        return order.distinct_count(whole(len(column)), column, ignored).scalar(0)

    return lifting.aggregate(reduce, [x])


@functions.grouped("nunique")
def _nunique_groups(groups: Groups, x: Value, ignore_null: Value | None = None) -> Vector:
    ignored = boolean_argument(ignore_null, "ignoreNull", False)
    if isinstance(x, AnyVector) and all(isinstance(item, Vector) and len(item) == groups.rows for item in x.items):
        return basic.ints(counts(groups, order.distinct_rows(groups, columns_of(x.items, groups.rows))))
    return order.distinct_count(groups, columns_of([x], groups.rows)[0], ignored)


def _declare_position(name: str, kernel: Kernel, *, last: bool) -> None:
    @functions.builtin(name, "X", kind=Kind.AGGREGATE)
    @every_form
    def position(x: Value) -> Value:
        """The position of the first or last element that is not NULL; in a tuple of columns, of such a row."""
        if isinstance(x, AnyVector) and not all(isinstance(item, Scalar) for item in x.items):
            columns = columns_of(x.items)
            valid = ~np.logical_or.reduce([column.nulls() for column in columns])
            rows = np.flatnonzero(valid)
            return integer(int(rows[-1 if last else 0]) if len(rows) else -1)
        return lifting.aggregate(lambda column: kernel(whole(len(column)), column).scalar(0), [x])

    @functions.grouped(name)
    def grouped(groups: Groups, x: Value) -> Vector:
        return kernel(groups, *columns_of([x], groups.rows))


_declare_position("ifirstNot", basic.first_not_position, last=False)
_declare_position("ilastNot", basic.last_not_position, last=True)


def _larger(x: Vector, y: Vector, largest: bool, ignore_null: bool) -> Vector:
    """The larger or smaller of two columns element by element; NULL is the smallest unless ignored."""
    from engine.cast import cast_vector, common_type

    type_ = common_type(x.type, y.type)
    if type_ is Type.ANY:
        raise CallError(f"{x.type.name} and {y.type.name} can't be compared.")
    if type_ is Type.SYMBOL:
        type_ = Type.STRING
    scale = max(x.scale, y.scale)
    left, right = cast_vector(x, type_, scale), cast_vector(y, type_, scale)
    left_null, right_null = left.nulls(), right.nulls()
    with np.errstate(invalid="ignore"):
        takes_left = left.data >= right.data if largest else left.data <= right.data
    smallest_first = right_null if largest else left_null
    smallest_last = left_null if largest else right_null
    takes_left = np.where(left_null | right_null, smallest_first & ~(smallest_last & ~smallest_first), takes_left)
    if ignore_null:
        takes_left = np.where(left_null, False, np.where(right_null, True, takes_left))
    return left.with_data(np.where(takes_left.astype(bool), left.data, right.data))


def _declare_extreme(name: str, kernel: Kernel, *, largest: bool) -> None:
    @functions.builtin(name, "X, [Y]", kind=Kind.AGGREGATE)
    @every_form
    def extreme(x: Value, y: Value | None = None) -> Value:
        """The extreme of X; with Y the larger or smaller of each pair."""
        if is_omitted(y) or y is None:
            return lifting.aggregate(lambda column: kernel(whole(len(column)), column).scalar(0), [x])
        return lifting.elementwise(lifting.spread(lambda a, b: _larger(a, b, largest, False)), [x, y])

    @functions.grouped(name)
    def grouped(groups: Groups, x: Value) -> Vector:
        return kernel(groups, *columns_of([x], groups.rows))

    @functions.elementwise(f"{name}IgnoreNull", "X, Y", vectors=2)
    def ignoring(x: Vector, y: Vector) -> Vector:
        return _larger(x, y, largest, True)


_declare_extreme("max", MAXIMUM.kernel, largest=True)
_declare_extreme("min", MINIMUM.kernel, largest=False)


@functions.builtin("quantileSeries", "X, q, [interpolation='linear']")
def quantile_series(x: Value, q: Value, interpolation: Value | None = None) -> Vector:
    values = SortedGroups.of(whole(len(as_vector(x))), numbers(as_vector(x)))
    method = choice(interpolation, "interpolation", INTERPOLATIONS, "linear")
    return basic.doubles(np.array([values.quantile(float(each), method)[0] for each in numbers(as_vector(q), "q")]))


@functions.builtin("isDuplicated", "X, [keep=FIRST]")
def is_duplicated(x: Value, keep: Value | None = None) -> Vector:
    """Which rows repeat another; `keep` names the one of them that does not count."""
    kept = "FIRST" if is_omitted(keep) else _keep_name(keep)
    columns = columns_of(x.items) if isinstance(x, AnyVector) else [as_vector(x)]
    keys, _ = order.combined_codes(whole(len(columns[0])), columns)
    _, first, inverse, number = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if kept == "NONE":
        repeated = number[inverse] > 1
    else:
        if kept == "LAST":
            first = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
        repeated = np.ones(len(keys), dtype=bool)
        repeated[first] = False
    return Vector(Type.BOOL, repeated.astype(np.int8))


def _keep_name(keep: Value | None) -> str:
    if isinstance(keep, Scalar) and keep.type in (Type.CHAR, Type.INT, Type.LONG) and keep.value in (0, 1, 2):
        return ("FIRST", "LAST", "NONE")[keep.value]
    return choice(keep, "keep", ("FIRST", "LAST", "NONE"))


@functions.builtin("wslr", "Y, X, W, [mse=false]", kind=Kind.AGGREGATE)
def wslr(y: Value, x: Value, w: Value, mse: Value | None = None) -> AnyVector:
    """Weighted regression on one variable: intercept, slope and, if asked for, the mean square error."""
    columns = columns_of([as_vector(y), as_vector(x), as_vector(w)])
    intercept, slope, error = weighted_regression(*columns)
    items: list[Value] = [double(intercept), double(slope)]
    if boolean_argument(mse, "mse", False):
        items.append(double(error))
    return AnyVector(items)


@functions.builtin("tupleSum", "X")
def tuple_sum(x: Value) -> Value:

    if not isinstance(x, AnyVector):
        raise CallError("X must be a tuple.")

    def add(items: list[Value]) -> Value:
        total = items[0]
        for item in items[1:]:
            total = binary("+", total, item)
        return total

    sums = [add(list(elements(part))) if isinstance(part, AnyVector | Vector) else part for part in elements(x)]
    return sums[0] if len(sums) == 1 else AnyVector(sums)


HITS: dict[str, Callable[..., np.ndarray]] = {
    "gt": np.greater, "ge": np.greater_equal, "lt": np.less, "le": np.less_equal, "ne": np.not_equal, "eq": np.equal,
}  # fmt: skip


def _hit(function: Function, x: Vector, target: Value) -> int:
    """The first row for which `x function target` holds, -1 if there is none."""
    compare = HITS.get(getattr(function, "name", "") or "")
    if compare is None:
        raise CallError("func must be one of >, >=, <, <=, !=, <>, ==.")
    valid = ~x.nulls()
    if x.data.dtype.kind in "if" and x.symbols is None:
        aimed = as_vector(target)
        goal = aimed.data[0] if aimed.type is x.type else float_argument(target, "target")
        found = np.flatnonzero(valid & compare(x.data, goal))
    else:
        goal = as_vector(target).strings()[0]
        found = np.flatnonzero(valid & compare(x.strings(), goal))
    return int(found[0]) if len(found) else -1


@functions.builtin("ifirstHit", "func, X, target")
def first_hit_position(function: Function, x: Value, target: Value) -> Value:
    return lifting.aggregate(lambda column: integer(_hit(function, column, target)), [x])


@functions.builtin("firstHit", "func, X, target")
def first_hit(function: Function, x: Value, target: Value) -> Value:
    def reduce(column: Vector) -> Scalar:
        row = _hit(function, column, target)
        return column.scalar(row) if row >= 0 else Scalar(column.type, None, column.scale)

    return lifting.aggregate(reduce, [x])


@functions.builtin("seuclidean", "X, Y, Z")
def standardized_distance(x: Value, y: Value, z: Value) -> Scalar:
    a, b, variance = (numbers(as_vector(value)) for value in (x, y, z))
    return double(float(np.sqrt(np.nansum((a - b) ** 2 / variance))))


@functions.builtin("minkowski", "X, Y, p, [weights]")
def minkowski(x: Value, y: Value, p: Value, weights: Value | None = None) -> Scalar:
    difference = np.abs(numbers(as_vector(x)) - numbers(as_vector(y), "Y"))
    mass = np.ones(len(difference)) if is_omitted(weights) else numbers(as_vector(weights), "weights")  # type: ignore[arg-type]
    if len(mass) != len(difference) or (mass < 0).any():
        raise CallError("weights must have one non-negative element for each of X.")
    if isinstance(p, Scalar) and p.is_null:
        return double(float(np.nanmax(difference[mass > 0], initial=0.0)))
    power = float_argument(p, "p")
    if power <= 0:
        raise CallError("p must be greater than 0.")
    return double(float(np.nansum(mass * difference**power) ** (1 / power)))
