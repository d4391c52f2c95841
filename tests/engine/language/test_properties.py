"""Nulls, promotion and shapes against numpy and plain Python, for values of all kinds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cast import cast_vector
from engine.functions import builtin_functions
from engine.interpreter import Interpreter
from engine.node import Node
from engine.operators import binary
from engine.session import Session
from engine.types import Type
from engine.values import Dictionary, Scalar, Set, Value, Vector, vector

INTEGERS = {Type.SHORT: 16, Type.INT: 32, Type.LONG: 64}
PLAIN = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    folder: Path = tmp_path_factory.mktemp("node")
    return Interpreter(Session(1, Node(folder)), builtin_functions())


def call(interpreter: Interpreter, name: str, *arguments: Value) -> Value:
    function = interpreter.registry.find(name)
    assert function is not None
    return interpreter.call(function, list(arguments))


def integers(type_: Type) -> st.SearchStrategy[list[int | None]]:
    bound = 2 ** (INTEGERS[type_] - 1) - 1
    return st.lists(st.none() | st.integers(-bound, bound) | st.integers(-3, 3), min_size=1, max_size=8)


def plain(value: Value) -> list[Any]:
    assert isinstance(value, Vector)
    return [value.scalar(index).value for index in range(len(value))]


columns = st.sampled_from(list(INTEGERS)).flatmap(lambda t: st.tuples(st.just(t), integers(t)))
numbers = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=20)


@given(columns, columns)
@PLAIN
def test_integer_arithmetic_wraps_and_keeps_nulls(left: tuple[Type, list[Any]], right: tuple[Type, list[Any]]) -> None:
    count = min(len(left[1]), len(right[1]))
    one, other = vector(left[0], left[1][:count]), vector(right[0], right[1][:count])
    wide = max(left[0], right[0])
    bits = INTEGERS[wide]
    for operator, compute in (("+", int.__add__), ("-", int.__sub__), ("*", int.__mul__)):
        result = binary(operator, one, other)
        assert isinstance(result, Vector)
        assert result.type is wide
        for x, y, found in zip(left[1], right[1], plain(result), strict=False):
            if x is None or y is None:
                assert found is None
            else:
                wrapped = (compute(x, y) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
                assert found == (None if wrapped == -(2 ** (bits - 1)) else wrapped)


@given(columns, columns)
@PLAIN
def test_division_floors_and_by_zero_is_null(left: tuple[Type, list[Any]], right: tuple[Type, list[Any]]) -> None:
    count = min(len(left[1]), len(right[1]))
    one, other = vector(left[0], left[1][:count]), vector(right[0], right[1][:count])
    quotients, ratios = plain(binary("/", one, other)), plain(binary("\\", one, other))
    for x, y, quotient, ratio in zip(left[1], right[1], quotients, ratios, strict=False):
        if x is None or y is None or y == 0:
            assert quotient is None
            assert ratio is None
        else:
            assert quotient == x // y
            assert ratio == pytest.approx(x / y)


@given(columns)
@PLAIN
def test_null_is_the_smallest_in_comparisons_and_sorting(
    interpreter: Interpreter, column: tuple[Type, list[Any]]
) -> None:
    own = vector(*column)
    key = [(-math.inf if item is None else item) for item in column[1]]
    below = plain(binary("<", own, Scalar(column[0], 1)))
    assert below == [item < 1 for item in key]
    ordered = plain(call(interpreter, "sort", own))
    assert [(-math.inf if item is None else item) for item in ordered] == sorted(key)
    assert plain(call(interpreter, "isNull", own)) == [item is None for item in column[1]]


@given(columns, st.sampled_from([*INTEGERS, Type.DOUBLE, Type.FLOAT, Type.STRING]))
@PLAIN
def test_null_stays_null_in_every_type(column: tuple[Type, list[Any]], type_: Type) -> None:
    converted = cast_vector(vector(*column), type_)
    for item, missing in zip(column[1], converted.nulls(), strict=True):
        assert bool(missing) >= (item is None)


@given(numbers)
@PLAIN
def test_aggregates_skip_nulls(interpreter: Interpreter, items: list[float | None]) -> None:
    column = vector(Type.DOUBLE, items)
    valid = [item for item in items if item is not None]
    expected = {
        "sum": math.fsum(valid) if valid else None,
        "avg": math.fsum(valid) / len(valid) if valid else None,
        "max": max(valid, default=None),
        "min": min(valid, default=None),
        "count": len(valid),
        "var": float(np.var(valid, ddof=1)) if len(valid) > 1 else None,
        "med": float(np.median(valid)) if valid else None,
    }
    for name, wanted in expected.items():
        result = call(interpreter, name, column)
        assert isinstance(result, Scalar)
        if wanted is None:
            assert result.value is None, name
        else:
            assert result.value == pytest.approx(wanted, rel=1e-9, abs=1e-6), name


@given(numbers, st.integers(1, 5))
@PLAIN
def test_moving_average_against_a_loop(interpreter: Interpreter, items: list[float | None], window: int) -> None:
    found = plain(call(interpreter, "mavg", vector(Type.DOUBLE, items), Scalar(Type.INT, window)))
    for row, value in enumerate(found):
        valid = [item for item in items[max(0, row + 1 - window) : row + 1] if item is not None]
        if row + 1 < window or not valid:
            assert value is None
        else:
            assert value == pytest.approx(sum(valid) / len(valid), rel=1e-9, abs=1e-5)


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5)))
@PLAIN
def test_sets_and_dictionaries_as_in_python(interpreter: Interpreter, left: list[int], right: list[int]) -> None:
    one, other = Set(Type.INT, dict.fromkeys(left)), Set(Type.INT, dict.fromkeys(right))
    union = binary("|", one, other)
    assert isinstance(union, Set)
    assert set(union.members) == set(left) | set(right)
    if right:
        contained = plain(binary("in", vector(Type.INT, right), vector(Type.INT, left or [99])))
        assert contained == [item in set(left) for item in right]
        counts = Dictionary(Type.INT, Type.INT, {item: Scalar(Type.INT, right.count(item)) for item in right})
        keys = call(interpreter, "keys", counts)
        assert sorted(plain(keys)) == sorted(set(right))
