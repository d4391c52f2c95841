"""Functions declared from kernels that serve many groups at once: the plain form is the case of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine import lifting
from engine.aggregation.order import INTERPOLATIONS
from engine.aggregation.rows import whole
from engine.arguments import (
    boolean_argument,
    choice_argument,
    first_of,
    float_argument,
    integer_argument,
    is_omitted,
    positive_argument,
)
from engine.errors import CallError
from engine.functions.registry import Implementation, Parameter, Registry, parse_parameters
from engine.grouping import Groups
from engine.values import AnyVector, IndexedSeries, Matrix, Scalar, Table, Value, Vector, repeat

TIES = ("min", "max", "average", "first", "dense")


def _scalar(value: Value, name: str) -> Scalar:
    value = first_of(value) or value
    if not isinstance(value, Scalar):
        raise CallError(f"{name} must be a scalar.")
    return value


def _percent(value: Value, name: str) -> float:
    percent = float_argument(value, name)
    if not 0 <= percent <= 100:
        raise CallError(f"{name} must be between 0 and 100.")
    return percent


def _fraction(value: Value, name: str) -> float:
    q = float_argument(value, name)
    if not 0 <= q <= 1:
        raise CallError(f"{name} must be between 0 and 1.")
    return q


OptionParser = Callable[[Value, str], Any]

OPTIONS: Mapping[str, tuple[str, OptionParser]] = {
    "percent": ("percent", _percent),
    "q": ("q", _fraction),
    "interpolation": ("interpolation", lambda value, name: choice_argument(value, name, INTERPOLATIONS)),
    "biased": ("biased", boolean_argument),
    "ignoreNull": ("ignore_null", boolean_argument),
    "ignoreNA": ("ignore_null", boolean_argument),
    "useMedian": ("use_median", boolean_argument),
    "ratio": ("ratio", boolean_argument),
    "ascending": ("ascending", boolean_argument),
    "k": ("k", _scalar),
    "includeNull": ("include_null", boolean_argument),
    "warmup": ("warmup", boolean_argument),
    "window": ("window", positive_argument),
    "tiesMethod": ("ties", lambda value, name: choice_argument(value, name, TIES)),
    "top": ("top", positive_argument),
    "steps": ("steps", integer_argument),
}
RANK_OPTIONS = {
    **OPTIONS,
    "percent": ("percent", boolean_argument),
    "tiesMethod": ("ties", lambda value, name: choice_argument(value, name, ("min", "max", "average"))),
}


def options_of(
    parameters: Sequence[Parameter],
    values: Sequence[Value],
    parsers: Mapping[str, tuple[str, OptionParser]] = OPTIONS,
) -> dict[str, Any]:
    """The options that were given, as keyword arguments of a kernel."""
    options = {}
    for parameter, value in zip(parameters, values, strict=False):
        if not is_omitted(value):
            keyword, parse = parsers[parameter.name]
            options[keyword] = parse(value, parameter.name)
    return options


def columns_of(values: Sequence[Value], rows: int | None = None) -> list[Vector]:
    """Data arguments as columns of equal length; scalars are repeated."""
    if rows is None:
        rows = next((len(value) for value in values if isinstance(value, Vector)), 1)
    columns = []
    for value in values:
        if isinstance(value, Scalar):
            value = repeat(value, rows)
        if not isinstance(value, Vector):
            raise CallError("The arguments must be vectors.")
        if len(value) != rows:
            raise CallError("The vectors must have the same length.")
        columns.append(value)
    return columns


def every_form(implementation: Implementation) -> Implementation:
    """Mark an implementation that takes values of every form apart itself."""
    implementation.__dict__["every_form"] = True
    return implementation


def over_columns(kernel: Callable[..., Any], values: Sequence[Value]) -> Value:
    """A sequence kernel on values of any form; of a table all columns count, not only numbers."""
    first = values[0]
    if isinstance(first, Table) and len(values) == 1:
        columns: list[Any] = [over_columns(kernel, [column]) for column in first.columns]
        return Table(list(first.names), columns)
    return lifting.sequence(kernel, values)


def aligned(values: Sequence[Value]) -> Sequence[Value]:
    """Several indexed series or indexed matrices with their labels made the same."""
    series = [value for value in values if isinstance(value, IndexedSeries)]
    matrices = [value for value in values if isinstance(value, Matrix) and value.indexed]
    if len(values) > 1 and len(series) == len(values):
        return lifting.align_series(series)
    if len(values) > 1 and len(matrices) == len(values):
        return lifting.align_matrices(matrices)
    return values


def declare_aggregate(
    family: Registry,
    name: str,
    signature: str,
    kernel: Callable[..., Vector],
    *,
    vectors: int = 1,
    aliases: tuple[str, ...] = (),
    parsers: Mapping[str, tuple[str, OptionParser]] = OPTIONS,
) -> None:
    """An aggregate and its many-groups form; parameters after the first `vectors` are options of the kernel."""
    parameters = parse_parameters(signature)[vectors:]

    @every_form
    def plain(*values: Value) -> Value:
        options = options_of(parameters, values[vectors:], parsers)

        def reduce(*columns: Value) -> Value:
            data = columns_of(columns)
            return kernel(whole(len(data[0])), *data, **options).scalar(0)

        return lifting.aggregate(reduce, aligned(values[:vectors]))

    def grouped(groups: Groups, *values: Value) -> Vector:
        columns = columns_of(values[:vectors], groups.rows)
        return kernel(groups, *columns, **options_of(parameters, values[vectors:], parsers))

    family.aggregate(name, signature, vectors=vectors, aliases=aliases)(plain)
    family.grouped(name, *aliases)(grouped)


def declare_sequence(
    family: Registry,
    name: str,
    signature: str,
    kernel: Callable[..., Vector | AnyVector],
    *,
    vectors: int = 1,
    aliases: tuple[str, ...] = (),
    parsers: Mapping[str, tuple[str, OptionParser]] = OPTIONS,
    raw: bool = False,
    literal: bool = True,
) -> None:
    """A sequence function and its many-groups form.

    `raw` kernels get the options as values, in order. Without `literal` the text columns of a table stay as they are.
    """
    parameters = parse_parameters(signature)[vectors:]

    def grouped(groups: Groups, *values: Value) -> Vector | AnyVector:
        columns = columns_of(values[:vectors], groups.rows)
        if raw:
            return kernel(groups, *columns, *values[vectors:])
        return kernel(groups, *columns, **options_of(parameters, values[vectors:], parsers))

    @every_form
    def plain(*values: Value) -> Value:
        def kernel_of_columns(*columns: Vector) -> Any:
            return grouped(whole(len(columns[0])), *columns, *values[vectors:])

        lift = over_columns if literal else lifting.sequence
        return lift(kernel_of_columns, values[:vectors])

    family.sequence(name, signature, vectors=vectors, aliases=aliases)(plain)
    family.grouped(name, *aliases)(grouped)
