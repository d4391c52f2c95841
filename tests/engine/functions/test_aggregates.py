from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.aggregation.catalogue import AGGREGATES, MAXIMUM, MINIMUM, Aggregate
from engine.aggregation.windows import Windows, count_windows, cumulative_windows, windowed
from engine.errors import ScriptError
from engine.grouping import Groups
from engine.types import Type
from engine.values import Scalar, Value, Vector

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("sum(1 2 NULL 4)", "7"),
        ("avg(1 2 NULL 6)", "3"),
        ("med(5 1 NULL 3 2)", "2.5"),
        ("mode(3 1 1 2 3 3)", "3"),
        ("std(take(0.1, 3)) join mad(take(0.1, 3)) join beta(1 2 4, take(0.7, 3))", "[0,0,]"),
        ("corr(1e-13 * (1 2 4), 1 2 4) join corr(take(0.3, 7), 1..7)", "[1,]"),
        ("kurtosis(1e-9 * (1 2 4)) join kurtosis(1 2 4)", "[1.5,1.5]"),
        ("std(2 4 4 4 5 5 7 9)", "2.138089935299395"),
        ("varp(2 4 4 4 5 5 7 9)", "4"),
        ("sum2(1 2 3)", "14"),
        ("prod(2 NULL 5)", "10"),
        ("min(4 NULL 2)", "2"),
        ("max(`pear`apple`zoo)", "zoo"),
        ("first(NULL 1)", "00i"),
        ("firstNot(NULL 0 3, 0)", "3"),
        ("lastNot(1 4 NULL)", "4"),
        ("imax(1 7 3 7)", "1"),
        ("imaxLast(1 7 3 7)", "3"),
        ("imax(take(int(NULL), 2))", "-1"),
        ("atImin(4 1 9, 10 20 30)", "20"),
        ("nunique(1 1 NULL NULL 2)", "3"),
        ("nunique(1 1 NULL NULL 2, true)", "2"),
        ("percentile(1 2 3 4, 50)", "2.5"),
        ("percentile(1 2 3 4, 50, `lower)", "2"),
        ("quantile(0 10, 0.25)", "2.5"),
        ("wavg(1 2 3, 1 1 2)", "2.25"),
        ("wsum(1 2 3, 4 5 6)", "32"),
        ("corr(1 2 3 4, 2 4 6 8)", "1"),
        ("corr(1 1 1, 1 2 3)", "00F"),
        ("covar(1 2 3, 2 4 6)", "2"),
        ("beta(2 4 6, 1 2 3)", "2"),
        ("mad(1 2 3 4 100, true)", "1"),
        ("maxDrawdown(10 20 5 8)", "0.75"),
        ("max(1 5 NULL, 3)", "[3,5,3]"),
        ("max(1 NULL, 0 2)", "[1,2]"),
        ("minIgnoreNull(1 NULL 3, 2 5 NULL)", "[1,5,3]"),
        ("isDuplicated(3 1 3 NULL NULL)", "[0,0,1,0,1]"),
    ],
)
def test_aggregate(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


@pytest.mark.parametrize(
    ("script", "type_"),
    [
        ("sum(1 2)", Type.LONG),
        ("sum(1.0 2.0)", Type.DOUBLE),
        ("avg(1 2)", Type.DOUBLE),
        ("max(1h 2h)", Type.SHORT),
        ("max(2024.01.01 2024.01.02)", Type.DATE),
        ("count(1 2)", Type.INT),
    ],
)
def test_types_of_results(run: Run, script: str, type_: Type) -> None:
    result = run(script)
    assert isinstance(result, Scalar)
    assert result.type is type_


@pytest.mark.parametrize("name", ["sum", "avg", "max", "med", "std", "prod"])
def test_nothing_but_nulls_gives_null(run: Run, name: str) -> None:
    result = run(f"{name}(take(int(NULL), 3))")
    assert isinstance(result, Scalar)
    assert result.is_null


def test_large_integers_are_summed_exactly(run: Run) -> None:
    result = run("sum(9007199254740993l 1l)")
    assert result == Scalar(Type.LONG, 9007199254740994)


def test_text_cannot_be_summed(run: Run) -> None:
    with pytest.raises(ScriptError):
        run("sum(`a`b)")


def test_groups_in_sql(show: Show) -> None:
    table = "t = table(`a`b`a`b`a as k, 1 2 3 NULL 5 as x, 5.0 4.0 3.0 2.0 1.0 as y);"
    rows = show(f"{table} exec sum(x), med(y), first(x), nunique(x), corr(x, y) from t group by k").splitlines()
    assert rows[2].split() == ["a", "9", "3", "1", "3", "-1"]
    assert rows[3].split() == ["b", "2", "3", "2", "2"]


@pytest.fixture(scope="module")
def columns() -> tuple[Groups, list[Vector]]:
    rng = np.random.default_rng(7)
    size = 3000
    groups = Groups(np.sort(rng.integers(0, 5, size)), 5)
    x = np.where(rng.random(size) < 0.1, np.nan, rng.normal(10_000.0, 50.0, size))
    x[200:260] = 10_000.0
    y = rng.normal(0.0, 1.0, size)
    return groups, [Vector(Type.DOUBLE, x), Vector(Type.DOUBLE, y)]


OPTIONS = {"percentile": {"percent": 30.0}, "quantile": {"q": 0.3}}


@pytest.mark.parametrize("kind", ["count", "cumulative"])
@pytest.mark.parametrize("name", [*(n for n, a in AGGREGATES.items() if a.fast is not None), "max", "min"])
def test_fast_windows_agree_with_each_window_alone(columns: tuple[Groups, list[Vector]], name: str, kind: str) -> None:
    groups, data = columns
    aggregate: Aggregate = {**AGGREGATES, "max": MAXIMUM, "min": MINIMUM}[name]
    options = OPTIONS.get(name, {})
    windows = count_windows(groups, 13) if kind == "count" else cumulative_windows(groups)
    windows = Windows(windows.start[:1500], windows.stop[:1500])
    own = [column.take(slice(0, 1500)) for column in data[: aggregate.vectors]]
    slow = windowed(lambda g, *c: aggregate.kernel(g, *c, **options), windows, *own)
    fast = aggregate.over(windows, *own, **options)
    assert fast.type is slow.type
    np.testing.assert_allclose(fast.data.astype(float), slow.data.astype(float), rtol=1e-7, atol=1e-9, equal_nan=True)
