"""How scripts of indicator and factor libraries are written: what they lean on, with numbers worked out by pandas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from engine.errors import ScriptError, UnsupportedError
from engine.interpreter import Interpreter
from engine.types import Type
from engine.values import Matrix, null_mask

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("n = 3; b = 1; x = 1.0 2 3 4 5 6; x.fill!(n - 1 + 0:b, NULL)", "[1,2,,4,5,6]"),
        ("x = 1.0 2 3 4 5 6; x.fill!(:2, NULL)", "[,,3,4,5,6]"),
        ("iterate(1.0, 0.5, (1.0 2 3 4).subarray(2:))", "[3.5,5.75]"),
        ("def pick(x, k) { f = [mavg, def(x, n): x + n, mmax{, 3}][k]; return f(x, 2) }; pick(1 2 3, 1)",
         "[3,4,5]"),
        ("def f(S, N = 1) { return S[::size(S) - N] }; f(1 2 3)", "3"),
        ("@state\ndef f(x, y = 2) { return x * y, x - y }; f(5)", "(10,3)"),
        ("def f(v) { return (last(v) - first(v)) \\ 2 as r }; f(1 5)", "2"),
        ("::iif(::nullCompare(>, [1, NULL, 3], 2), 1, 0)", "[0,,1]"),
        ("计算 = def(甲, 乙) { return 甲 + 乙 }; 计算(1, 2)", "3"),
        ("[sum, avg](1 2 6)", "[9,3]"),
        ("x = 1; y = 2\nundef all\ndefined(`x`y)", "[0,0]"),
        ("accumulate(-, 2, 1 2 3)", "[1,-1,-4]"),
        ("take(add, 2)", "(add,add)"),
        ("form(1 2 3) == VECTOR", "1"),
        ("x = (1, `a); x.join!((2, `b)); x", '(1,"a",(2,"b"))'),
        ("2.5 in 1..3", "1"),
        ("pow(1.0 2 NULL, NULL 2 0)", "[,4,]"),
        ("trueRange(3 5 4.0, 1 2 3.0, 2 4 3.0)", "[,3,1]"),
        ("regexFindStr('a1b22', '[0-9]*', false)", '["1","22"]'),
        ("milastNot(NULL NULL 2 3, 3, 1)", "[-1,-1,2,2]"),
        ("m = matrix(1 2, 3 4, 5 6); m[:,1:]", "#0 #1\n-- --\n3  5 \n4  6 "),
        ("m = matrix(1 2, 3 4); m[:,1] = 0; m", "#0 #1\n-- --\n1  0 \n2  0 "),
        ("d = 2017.01.06..2017.01.09; d[x -> x.weekday() between 1:5]", "[2017.01.06,2017.01.09]"),
        ("sum @ 1 2 3", "6"),
        ("[1 2, 3 4, 5 6] @ [1 2, 0 1]", "(([3,4],[5,6]),([1,2],[3,4]))"),
        ('concat("beta" <- 1.5 2, ",")', "beta,1.5,2"),
        ('s = "TLSnapshot"; [s[2:], s[:2], s[8:99]]', '["Snapshot","TL","ot"]'),
        ("matrix(arrayVector(2 4, 1 2 3 4))", "#0 #1\n-- --\n1  2 \n3  4 "),
        ('dropna(loop(string, [1, NULL, 3]))', '("1","3")'),
        ("form(rand(5)) + size(rand(uuid(), 3))", "3"),
        ("timer { b = 2; def f(x) { return x + b }; c = f(1) }; c", "3"),
        ("t = table(1 2 as a, 3 4 as b); m = matrix(5 6, 7 8).rename!(`x`y); u = table(9 8 as c); "
         "table(u.c, t, m, 0 as z).columnNames()",
         '["c","a","b","x","y","z"]'),
        ('s = "abs"; "get" + s[0].upper() + s[1:]', "getAbs"),
        ('avg + "(" + `x`y + ")"', '["avg(x)","avg(y)"]'),
        ("median(1 2 4)", "2"),
        ("a = array(INT[], 0).append!([7 5, 6 5, 8]); prev(a)", "[,[7,5],[6,5]]"),
        ("a = array(INT[], 0).append!([7 5, 6 5]); a - prev(a)", "[[,],[-1,0]]"),
        ("a = array(INT[], 0).append!([7 5 4, 6]); [a[1:], a[0:2]]", "([[5,4],],[[7,5],[6,]])"),
        ("a = [7 5, 6 5 4].setColumnarTuple!(); [next(a), a[1:], a[0:2], a[[1]][0]]",
         "(([6,5,4],),([5],[5,4]),[[7,5],[6,5]],[6])"),
        ("rowWavg([1 3, 4 8].setColumnarTuple!(), 1 3)", "[2.5,7]"),
    ],
)  # fmt: skip
def test_what_libraries_write(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


def test_books_compared_with_those_before(shown: Shown) -> None:
    """What the orders within the best prices grew by: 5 * 10 + 4 * 1, then 5 * (30 - 10) + 4 * (0 - 1)."""
    shown("""
        def change(bid, size) {
            before = bid.prev()
            own, old = rowAlign(bid, before, "bid")
            grown = size.rowAt(own).nullFill(0) - size.prev().rowAt(old).nullFill(0)
            return rowSum(bid.rowAt(own).nullFill(before.rowAt(old)) * grown)
        }
        t = table(`p`q`p as s, fixedLengthArrayVector(5 3 5, 4 2 3) as bid,
            fixedLengthArrayVector(10 20 30, 1 2 3) as size)
    """)
    assert shown("exec change(bid, size) from t context by s") == "[54,96,64]"


def panel(interpreter: Interpreter) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prices and volumes of five shares with gaps, as matrices `price` and `volume`."""
    source = np.random.default_rng(7)
    price = pd.DataFrame(100 * np.exp(np.cumsum(source.normal(0, 0.02, (50, 5)), axis=0)))
    volume = pd.DataFrame(source.integers(1000, 5000, (50, 5)).astype(float))
    price.iloc[:7, 2] = np.nan
    price.iloc[30, 3] = volume.iloc[30, 3] = np.nan
    for name, frame in (("price", price), ("volume", volume)):
        interpreter.session.variables[name] = Matrix(Type.DOUBLE, np.asfortranarray(frame.to_numpy()))
    return price, volume


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rank(axis=1, method="min").div(frame.notna().sum(axis=1), axis=0)


def full(frame: pd.DataFrame, window: int) -> pd.DataFrame:
    """Only the rows whose window is whole."""
    return frame.where(np.tile(np.arange(len(frame))[:, None] >= window - 1, frame.shape[1]))


def decayed(window: np.ndarray) -> float:
    weights, known = np.arange(1.0, len(window) + 1), ~np.isnan(window)
    return float((window[known] * weights[known]).sum() / weights[known].sum()) if known.any() else np.nan


def test_factors_of_a_panel_as_pandas_has_them(interpreter: Interpreter) -> None:
    price, volume = panel(interpreter)
    known = price.notna() & volume.notna()
    change = price - price.shift(2)
    expected = {
        "rowRank(price - mfirst(price, 3), percent=true)": ranks(change),
        "-mcorr(price, volume, 6)": full(-price.where(known).rolling(6, min_periods=1).corr(volume.where(known)), 6),
        "mavg(price, 1..5)": full(price.rolling(5, min_periods=1).apply(
            lambda x: decayed(x) if len(x) == 5 else np.nan, raw=True), 5),
        "price / rowSum(abs(price))": price.div(price.abs().sum(axis=1), axis=0),
        "ewmMean(ratios(price), span=5, adjust=false)": (price / price.shift(1)).ewm(span=5, adjust=False).mean(),
        "msum(iif(price > volume, price, 0), 4)": full(
            price.where(price > volume, 0.0).rolling(4, min_periods=1).sum(), 4),
    }  # fmt: skip
    for script, frame in expected.items():
        value = interpreter.run(script)
        assert isinstance(value, Matrix)
        got = np.where(null_mask(value.type, value.data), np.nan, value.data.astype(float))
        np.testing.assert_allclose(got, frame.to_numpy(), rtol=1e-7, err_msg=script)


def test_weights_as_window_count_in_each_group(shown: Shown) -> None:
    table = "t = table(`a`b`a`a as s, 1 2 4.0 7 as v); "
    assert shown(f"{table}exec mavg(v, 1..2) from t context by s") == "[,3,6,]"
    script = f"{table}update t set w = mavg(v, 1..2), r = rank(v) context by s; exec w from t"
    assert shown(script) == "[,,3,6]"


def test_weights_of_their_own_go_with_each_group(shown: Shown) -> None:
    table = "t = table(`a`a`a`b`b`b as s, 1.0 2 3 4 5 6 as v); "
    assert shown(f"{table}exec wsum(v, 3 2 1) from t group by s") == "[10,28]"
    assert shown(f"{table}exec mcorr(v, 3 1 2, 2) from t context by s") == "[,-1,1,,-1,1]"
    with pytest.raises(ScriptError, match="same length"):
        shown(f"{table}select wsum(v, 3 2) from t group by s")


def test_an_indexed_series_in_a_query_is_its_values(shown: Shown) -> None:
    table = "t = table(`A`A`B`B as s, 1 3 1 2 as x, 1.0 2 3 4 as v); "
    script = "exec window(sum, indexedSeries(x, v), 0:1) from t context by s"
    assert shown(table + script) == "[1,2,7,4]"


def test_rolling_over_a_matrix(shown: Shown) -> None:
    labelled = "m = matrix(1 2 3 4, 5 6 7 8).rename!(`a`b`c`d, `x`y); "
    assert shown(f"{labelled}rolling(sum, m, 2, 2)") == "  x y \n  - --\na|3 11\nc|7 15"
    assert shown("rolling(cumsum, matrix(1 2 3 4, 5 6 7 8), 2, 2)") == "#0 #1\n-- --\n1  5 \n3  11\n3  7 \n7  15"
    assert shown(f"{labelled}each(prev, m)") == "  x y\n  - -\na|   \nb|1 5\nc|2 6\nd|3 7"


def test_rows_as_dictionaries_become_a_table(shown: Shown) -> None:
    script = """
    def record(x) {
        out = dict(STRING, ANY, true)
        out["v"] = x
        if (x != 2) out["w"] = x * 10
        return out
    }
    each(record, 1 2 3)
    """
    assert shown(script) == "v w \n- --\n1 10\n2   \n3 30"


def test_columns_of_rows(shown: Shown) -> None:
    rows = "a = array(INT[], 0, 10).append!([1 2 3, 4 5 4, 6 1 8]); "
    assert shown(f"{rows}sum:V(a)") == "[11,8,15]"
    assert shown(f"{rows}cummax:V(a)") == "[[1,2,3],[4,5,4],[6,5,8]]"
    assert shown("sum:V([1 2, 3 4 5])") == "(3,12)"


def test_contextby_a_table_by_types_of_columns(shown: Shown) -> None:
    table = "t = table(2024.01.01 2024.01.02 2024.01.03 as d, `x`y`x as s, 1 2 3 as v); "
    assert (
        shown(f"{table}contextby(max, t, t.s)")
        == "d          s v\n---------- - -\n2024.01.01 x 3\n2024.01.02 y 2\n2024.01.03 x 3"
    )
    shifted = shown(f"{table}contextby(temporalAdd{{, 1d}}, t, t.s, , 2)").split("\n")
    assert shifted[2] == "2024.01.02 x 1"
    with pytest.raises(ScriptError, match="semanticFilter"):
        shown(f"{table}contextby(max, t, t.s, , 9)")


def test_windows_that_leave_out_a_break(shown: Shown) -> None:
    times = "t = timestamp(2023.11.01T11:29:57 + 0..2) join timestamp(2023.11.01T13:00:00 + 0..1); "
    script = "tmoving(func=sum, T=t, funcArgs=1..5, window=3s, excludedPeriod=(11:30:00:13:00:00))"
    assert shown(times + script) == "[1,3,6,9,12]"
    with pytest.raises(ScriptError, match="excludedPeriod"):
        shown("tmoving(sum, [2023.11.01T12:00:00.000], [1], 3s, 11:30:00:13:00:00)")
    assert shown("tmoving(sum, 00:00:01 00:00:02 00:00:10, 1 2 3, 5s)") == "[1,3,3]"


def test_means_whose_weights_halve_in_time(shown: Shown) -> None:
    times = "[2019.12.31, 2020.01.03, 2020.01.10, 2020.01.15, 2020.01.17]"
    got = shown(f"round(ewmMean([0,1,2,int(),4], halfLife=4d, times={times}), 6)")
    assert got == "[0,0.627115,1.558466,1.558466,3.256043]"
    with pytest.raises(ScriptError, match="strictly increasing"):
        shown("ewmMean(1 2, halfLife=4d, times=2020.01.02 2020.01.01)")
    with pytest.raises(ScriptError, match="needs times"):
        shown("ewmMean(1 2, halfLife=4d)")


def test_queries_put_together_print_as_written(shown: Shown) -> None:
    table = "t1 = table(1 2 as x, `a`b as s); "
    for script, text in (
        ('sql(sqlCol("*"), t1)', "< select * from t1 >"),
        ("sql(sqlColAlias(<avg(x)>), t1, groupby=sqlCol(`s))", "< select avg(x) as avg_x from t1 group by s >"),
        ('sql(select=sqlCol("*"), from=t1, limit=1)', "< select top 1 * from t1 >"),
        ('sql(select=sqlCol("*"), from=t1, limit=-1)', "< select * from t1 limit -1 >"),
        ('sql(select=sqlCol("*"), from=t1, hint=HINT_KEEPORDER)', "< select [128] * from t1 >"),
        ("sqlColAlias(sqlCol(`x`s), `p`q)", "(< x as p >,< s as q >)"),
        ("expr(1, <=, sqlCol(`x), <, 2)", "< 1 <= x && x < 2 >"),
    ):
        assert shown(table + script) == text, script
    chosen = "sql(sqlColAlias(sqlCol(`x`s), `p`q), t1, expr(1, <, sqlCol(`x), <=, 2)).eval()"
    assert shown(table + chosen) == "p q\n- -\n2 b"


def test_names_given_to_a_vector(shown: Shown) -> None:
    assert shown("k = 3 6; k.rename!(`rk); t = table(1 2 as a, k); t") == "a rk\n- --\n1 3 \n2 6 "
    assert shown("k = 3 6; k.rename!(`rk); stat(k).Name") == "rk"


def test_an_unordered_dictionary_lists_its_newest_key_first(shown: Shown) -> None:
    assert shown("d = dict(`a`b, 1 2); d[`c] = 3; d.keys()") == '["c","b","a"]'
    assert shown("d = dict(`a`b, 1 2); d.values()") == "[2,1]"
    assert shown("d = dict(`a`b, 1 2, true); d.keys()") == '["a","b"]'
    assert shown("transpose(dict(`a`b, [1 2, 3 4]))") == "b a\n- -\n3 1\n4 2"
    assert shown("set(4 5 2).keys()") == "[2,5,4]"


def test_statistics_of_a_table(shown: Shown) -> None:
    lines = shown("summary(table(1 2 NULL 5 as a, 1.5 2 3 4 as b, `x`y`z`z as s), percentile=50 100)").split("\n")
    assert lines[0].split() == ["name", "min", "max", "nonNullCount", "count", "avg", "std", "percentile"]
    assert lines[2].split()[:5] == ["a", "1", "5", "3", "4"]
    assert [line.split()[-1] for line in lines[2:]] == ["[2,5]", "[2.5,4]"]
    with pytest.raises(ScriptError, match="percentile"):
        shown("summary(table(1 2 as a), percentile=[101])")


def test_events_close_in_time(shown: Shown) -> None:
    events = "`A`B`C`D`C`A`B, 0 2 4 5 6 9 10, 2"
    rows = [line.split() for line in shown(f"coevent({events})").split("\n")[2:]]
    assert rows == [["A", "B", "2"], ["B", "C", "1"], ["C", "C", "1"], ["C", "D", "2"]]
    ordered = [line.split() for line in shown(f"coevent({events}, true)").split("\n")[2:]]
    assert ["D", "C", "1"] in ordered
    assert ["C", "D", "1"] in ordered


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("1 $ `a`b", "pair of integers"),
        ('1 $ "DECIMAL32(x)"', "not a data type"),
        ("for (i in 0:1.5) { print i }", "pair of integers"),
        ("m = matrix(1 2, 3 4); m[0, 0, 0]", "at most two indices"),
        ("m = matrix(1 2, 3 4); m[0, 0, 0] = 1", "at most two indices"),
        ("tTest(1 1 1)", "must not be constant"),
        ("fTest([1], 1 2)", "at least two"),
        ("zTest(array(INT, 0))", "must not be empty"),
        ("chiSquareTest(0 1, 0 1)", "the expected ones positive"),
        ("substru(`abc, int(NULL))", "offset"),
        ("select x from table(1 2 as x, `a`b as s) context by s csort sum", "csort"),
    ],
)
def test_refused_without_an_internal_error(interpreter: Interpreter, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        interpreter.run(script)


def test_nan_is_not_told_from_null(interpreter: Interpreter) -> None:
    with pytest.raises(UnsupportedError, match="NaN"):
        interpreter.run("float(`nan)")
    assert interpreter.run("string(float(`inf))").value == "∞"  # type: ignore[union-attr]
