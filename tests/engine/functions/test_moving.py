from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from engine.errors import ScriptError
from engine.values import Value, Vector

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("msum(2 1 3 NULL 6, 3)", "[,,6,4,9]"),
        ("msum(2 1 3 NULL 6, 3, 1)", "[2,3,6,4,9]"),
        ("msum(2 1 3 NULL 6, 3, 3)", "[,,6,,]"),
        ("mcount(1 NULL 3, 2)", "[1,1,1]"),
        ("mavg(7 4 6 NULL, 2 3 5)", "[,,5.6,5.2]"),
        ("mTopRange(1 2 3 0, 2, 1)", "[0,1,1,0]"),
        ("mmax(3 1 2 9, 2)", "[,3,2,9]"),
        ("mfirst(3 1 2 9, 2)", "[,3,1,2]"),
        ("mimin(3 1 2 9, 3)", "[,,1,0]"),
        ("mprod(2 3 4, 2)", "[,6,12]"),
        ("mmed(5 1 3 2, 3)", "[,,3,2]"),
        ("mrank(3 2 4 4, true, 3)", "[,,2,1]"),
        ("mrank(3 2 4 4, true, 3, percent=true)", "[,,1,0.666666666666667]"),
        ("mcorr(1 2 3 1, 2 4 6 9, 3)[2]", "1"),
        ("mbeta(2 4 6, 1 2 3, 3)", "[,,2]"),
        ("mwavg(1 2 3, 1 1 2, 2)", "[,1.5,2.666666666666667]"),
        ("mpercentile(2 1 3 7, 50, 3)", "[,,2,3]"),
        ("cumsum(1 NULL 3)", "[1,1,4]"),
        ("cummax(1 3 2)", "[1,3,3]"),
        ("cumprod(2 NULL 4)", "[2,2,8]"),
        ("cumcount(NULL 1 2)", "[0,1,2]"),
        ("cumrank(3 1 2)", "[0,0,1]"),
        ("cumnunique(1 1 2)", "[1,1,2]"),
        ("cumPositiveStreak(1 2 0 3)", "[1,3,0,3]"),
        ("tmsum(1 1 3 5, 5 2 4 1, 3)", "[5,7,11,5]"),
        ("tmavg(00:00m 00:02m 00:10m, 2 4 6, 5m)", "[2,3,6]"),
        ("tmcount(2024.01.31 2024.02.29 2024.03.31, 1 1 1, 1M)", "[1,2,1]"),
        ("msumTopN(1 2 3 4, 4 1 3 2, 3, 2)", "[1,3,5,6]"),
        ("cumsumTopN(1 2 3, 3 1 2, 2, false)", "[1,3,4]"),
        ("ema(1 2 3 4, 2)", "[,1.5,2.5,3.5]"),
        ("wma(1 2 3, 2)", "[,1.666666666666667,2.666666666666667]"),
        ("sma(NULL 1 3 5, 2)", "[,,2,4]"),
        ("ewmMean(1 2 3, com=1)", "[1,1.666666666666667,2.428571428571428]"),
    ],
)
def test_windows(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


def test_windows_start_anew_in_each_group(show: Show) -> None:
    script = """
    t = table(`a`b`a`b`a as k, 1 10 2 20 3 as x);
    exec msum(x, 2, 1) + cumsum(x) * 1000 + prev(x) from t context by k
    """
    assert show(script) == "[,3004,6007,,30040]"


def test_time_windows_in_groups(show: Show) -> None:
    script = """
    t = table(`a`b`a`b as k, 1 1 2 9 as ts, 1 10 2 20 as x);
    exec tmsum(ts, x, 5) from t context by k
    """
    assert show(script) == "[1,3,10,20]"


@pytest.mark.parametrize(
    "script",
    [
        "msum(1 2 3, 0)",
        "msum(1 2 3, 2, 5)",
        "tmsum(3 1 2, 1 2 3, 2)",
        "mcorr(1 2 3, 1 2, 2)",
        "ema(1 2, 1)",
        "mrank(1 2, true, 2, tiesMethod='first')",
    ],
)
def test_bad_windows_are_refused(run: Run, script: str) -> None:
    with pytest.raises(ScriptError):
        run(script)


def test_nulls_inside_talib_windows(run: Run, show: Show) -> None:
    assert show("sma(NULL 1 NULL 3 5, 2)") == "[,,1,3,4]"
    assert show("wma(1 NULL 4 7, 2)") == "[,1,4,6]"
    with pytest.raises(ScriptError, match="not supported"):
        run("ema(1 NULL 3, 2)")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("talib(mcount, NULL 1 2 NULL 4, 2)", "[,,2,1,1]"),
        ("talib(mcount, NULL 1 2, 2, 1)", "[,1,2]"),
        ("talib(mavg, NULL 1 4 7, 1 3)", "[,,3.25,6.25]"),
        ("talib(mcorr, NULL 1 2 4, 1 2 4 8, 2)", "[,,1,1]"),
        ("flatten(talib(msum, matrix(NULL 1 2, 3 4 5), 2))", "[,,3,,7,9]"),
        ("each(flatten, talibNull(matrix(1 2, 3 4), matrix(NULL 5, 6 7)))[0]", "[,2,3,4]"),
        ("trueRange(NULL 5 6 7, NULL 4 4 5, NULL 4 5 6)", "[,,2,2]"),
        (
            "x = sin(1..5000) * 9; x[4000:5000] = take(0.1 0.7 1.3 0.9 7.7 2.3 4.4, 1000);"
            "y = cos(1..5000) * 7; y[4000:5000] = take(0.2 0.3 5.1 3 9.25 1.1 2.3, 1000);"
            "size(distinct(mcovar(x, y, 5)[4010:5000]))",
            "7",
        ),
        (
            "m = matrix(3 1 2, 6 5 4).rename!(1 2 3, `a`b); flatten(msum(m, 2)) join size(msum(m, 2).colNames())",
            "[,4,3,,11,9,2]",
        ),
        ("mcorr(1e-8 * (1 2 4), 1 2 4, 3)", "[,,1]"),
        ("moving(def(x) { return size(x) - last(x) + avg(x.reverse()) }, 1..18, 3)[2:4]", "[2,2]"),
        ("moving(def(x, y): wavg(x, y), (1..20, 20..1), 2, 1)[0:2]", "[1,1.487179487179487]"),
    ],
)
def test_functions_of_windows(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("m = matrix(1 2, 3 NULL); rowSum(m)", "[4,2]"),
        ("rowAvg(1 2, 3 4)", "[2,3]"),
        ("rowMax(matrix(1 9, 5 2))", "[5,9]"),
        ("rowCorr(matrix(1 1, 2 2, 3 3), matrix(2 3, 4 2, 6 1))", "[1,-1]"),
        ("rowCumsum(matrix(1 2, 3 4))[1]", "[4,6]"),
        ("rowRank(matrix(3 1, 2 2, 1 3))[0]", "[2,0]"),
        ("rowPrev(matrix(1 2, 3 4))[1]", "[1,2]"),
        ("rowSum(arrayVector(2 5, 1 2 3 4 5))", "[3,12]"),
        ("rowAnd(matrix(true false, true true))", "[1,0]"),
    ],
)
def test_rows(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


INDEXED = "s = indexedSeries(2024.01.01 2024.01.02 2024.01.05, 1 2 4);"


def test_the_index_of_a_series_measures_its_windows(show: Show) -> None:
    assert [line.split("|")[1].strip() for line in show(f"{INDEXED} msum(s, 2)").splitlines()[2:]] == ["1", "3", "4"]
    assert [line.split("|")[1].strip() for line in show(f"{INDEXED} msum(s, 1w)").splitlines()[2:]] == ["1", "3", "7"]


def test_tables_keep_their_text_columns_in_step(show: Show) -> None:
    assert show("next(table(1 2 as a, `x`y as b)).b") == show("next(`x`y)")


def _column(rng: random.Random, kind: str, rows: int) -> tuple[str, list[float | None]]:
    """A column as script and as numbers: NULLs at the start and between, ties, constant stretches, a far origin."""
    draw: Callable[[], float] = {
        "ties": lambda: float(rng.randint(-2, 2)),
        "steps": lambda: rng.choice([0.1, 0.7, 1.3]),
        "far": lambda: 1e9 + rng.randint(0, 99) / 8,
        "tiny": lambda: rng.gauss(0, 1) * 1e-9,
        "whole": lambda: rng.randint(-(2**31) + 1, 2**31 - 1),
        "decimal": lambda: rng.randint(-9999, 9999) / 8,
    }[kind]
    values: list[float | None] = [None if rng.random() < 0.15 else draw() for _ in range(rows)]
    values[0] = None
    if kind == "steps":
        values = [values[row // 9 * 9 + 1] for row in range(rows)]
    text = f"[{','.join('NULL' if value is None else repr(value) for value in values)}]"
    return (f"decimal64({text}, 3)" if kind == "decimal" else text), values


def _moment(values: list[Fraction], power: int) -> Fraction:
    mean = sum(values, Fraction()) / len(values)
    return sum(((value - mean) ** power for value in values), Fraction()) / len(values)


def _shape(values: list[Fraction], power: int) -> float | None:
    spread = _moment(values, 2) if len(values) > power - 2 else 0
    return float(_moment(values, power) / spread**2) / float(spread) ** (power / 2 - 2) if spread else None


DEFINED: dict[str, Callable[[list[Fraction]], float | Fraction | None]] = {
    "sum": sum,
    "avg": lambda x: sum(x) / len(x),
    "max": max,
    "min": min,
    "med": lambda x: Fraction(statistics.median(x)),
    "varp": lambda x: _moment(x, 2),
    "std": lambda x: math.sqrt(_moment(x, 2) * len(x) / (len(x) - 1)) if len(x) > 1 else None,
    "skew": lambda x: _shape(x, 3),
    "kurtosis": lambda x: _shape(x, 4),
}


@pytest.mark.parametrize("kind", ["ties", "steps", "far", "tiny", "whole", "decimal"])
def test_windows_have_the_values_of_their_rows(run: Run, kind: str) -> None:
    """Windows of 3 and of 45 rows are computed in different ways; so are groups and functions of scripts."""
    rows, rng = 120, random.Random(kind)
    text, values = _column(rng, kind, rows)
    exact = [None if value is None else Fraction(value) for value in values]
    groups = [rng.choice("aab") for _ in range(rows)]
    members = [[row for row in range(rows) if groups[row] == group] for group in "ab"]
    run(f"x = {text}; k = {json.dumps(groups)}; i = til({rows}); t = table(i, k, x); m = matrix(x, reverse(x))")

    for name, defined in DEFINED.items():

        def of(places: list[int], defined: Any = defined) -> float:
            known = [each for place in places if (each := exact[place]) is not None]
            found = defined(known) if known else None
            return math.nan if found is None else float(found)

        def check(script: str, expected: list[float]) -> None:
            near, largest = 2e-6 if kind == "far" else 1e-9, float(np.nanmax(np.abs(expected)))
            np.testing.assert_allclose(_numbers(run(script)), expected, near, 1e-3 * near * largest, err_msg=script)

        check(f"exec {name}(x) from t group by k order by k", [of(places) for places in members])
        for width in (3, 45):
            timed = [of(list(range(max(0, row - width + 1), row + 1))) for row in range(rows)]
            check(f"tm{name}(i, x, {width})", timed)
            full = [math.nan] * (width - 1) + timed[width - 1 :]
            for form in (f"m{name}(x, {width})", f"m{name}(m, {width})[0]", f"moving({name}, x, {width})"):
                check(form, full)
            inside = [math.nan] * rows
            for places in members:
                for at in range(width - 1, len(places)):
                    inside[places[at]] = of(places[at - width + 1 : at + 1])
            run(f"def f(v) {{ w = v; return m{name}(w, {width}) }}")
            for form in (f"m{name}(x, {width})", "f(x)"):
                check(f"exec r from (select i, {form} as r from t context by k) order by i", inside)


def _numbers(value: Value) -> list[float]:
    assert isinstance(value, Vector)
    return [
        math.nan if missing else raw / 10**value.scale for raw, missing in zip(value.data, value.nulls(), strict=True)
    ]
