from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.values import Value

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
    "script", ["msum(1 2 3, 0)", "msum(1 2 3, 2, 5)", "tmsum(3 1 2, 1 2 3, 2)", "mcorr(1 2 3, 1 2, 2)", "ema(1 2, 1)"]
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
