"""Data sources and the functions over them; points, formulas, long texts and compressed vectors."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ScriptError

SOURCES = """
t = table(1..100 as id, double(100..1) as x)
ds = repartitionDS(<select * from t>, `id, RANGE, 1 11 51 101)
"""


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("mr(ds, size)", "(10,40,50)"),
        ("ds[1]", "DataSource< select * from t where id >= 11,id < 51 >"),
        ("mr(repartitionDS(<select * from t>, `id, VALUE, 3 4), t -> t.x[0], +)", "195"),
        ("s = ds; s.transDS!(t -> select top 2 * from t); mr(s, size, +)", "6"),
        ("s = ds; n = cacheDSNow(s); t[`x] = 0.0; (n, mr(s, t -> sum(t.x), +))", "(100,5050)"),
        ("s = ds; cacheDS!(s); mr(s, size); clearDSCache!(s); mr(s, size); delete from t; mr(s, size)", "(0,0,0)"),
        ("imr(ds, 0.0, def(d, s) { return sum(d.x) + s }, +, , 2)", "20200"),
        ("imr(ds, 100, def(d, s) { return s }, max, def(p, c) { return c / 2 }, def(p, c) { return c < 9 })", "6"),
        ("imr(ds, 0, def(d, s, c) { return (s + iif(isNull(c), 1, c), 5) }, +, , 2, true)", "24"),
        ("round(olsEx(ds, `x, `id), 6)", "[101,-1]"),
        ("olsEx(ds, `x, `id, true, 1).factor", '["intercept","id"]'),
    ],
)
def test_data_sources(run: Any, show: Any, script: str, shown: str) -> None:
    run(SOURCES)
    assert show(script) == shown


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ('convertExcelFormula("=AND(A1>0, C2<>3)*IF(B1,2", "A", "D", 1, 10)', "(col0>0 && col2!=3)*iif(col1,2)"),
        ('convertExcelFormula("AVERAGE(B3:B6)/MAX(B1:D1)", "B", "D", 1, 4)', "avg(col0)\\rowMax(col0, col1, col2)"),
        ("geoWithin([point(1,1),point(3,1),point(0,1),point(1,2)], [point(0,0),point(0,2),point(2,0)])", "[1,0,1,0]"),
        ("geoWithin(point(1,1), [point(0,0),point(0,2),point(2,0)], false)", "0"),
        (
            'recursiveSplitText("aa bb|cc dddddd ee", 5, 3, ["|", " ", ""])',
            '["aa bb","|cc"," dddd","ddddd"," ee"]',
        ),
        ("x = 2024.01.01..2024.03.01; eqObj(x, decompress(compress(x, `delta)))", "1"),
        ("x = rand(1.0, 10); x[3] = NULL; eqObj(x, decompress(compress(x, `zstd)))", "1"),
        ("typestr(compress(1..9))", "HUGE COMPRESSED VECTOR"),
        (
            '("aXbXc" like "a%b%c", "abab" like "%b%b%b", "ab" like "a?%", "" like "%", "cab" like "%ab%%")',
            "(1,0,1,1,1)",
        ),
    ],
)
def test_values(show: Any, script: str, shown: str) -> None:
    assert show(script) == shown


def test_a_pattern_of_many_parts_is_quick(run: Any) -> None:
    assert run('like(repeat("a", 60000) + "b", "%a%a%a%a%a%a%a%a%a%a%c")').value is False


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("mr(1..3, sum)", "data sources"),
        ("repartitionDS(<select * from t>, `id)", "partitioning column"),
        ("imr(ds, 0, def(d, s, c) { return 1 }, +, , 2, true)", "carryover"),
        ("olsEx(ds, `x, `nothing)", "no column nothing"),
        ('convertExcelFormula("VLOOKUP(A1)", "A", "D", 1, 10)', "VLOOKUP of a formula is not supported"),
        ("compress(1.5 2.5, `delta)", "integers and temporal"),
    ],
)
def test_refusals(run: Any, script: str, message: str) -> None:
    run(SOURCES)
    with pytest.raises(ScriptError, match=message):
        run(script)
