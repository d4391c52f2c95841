"""Forms of the language that scripts use in passing: functions in braces, sequences of names, macros, assignments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("{x -> x - 1} 4 {a, b -> a * b} 3", "11"),
        ("{x -> x + 1}{x -> x * 10} 2", "21"),
        ("{defg(v): max(v) - min(v)}(3 9 5)", "6"),
        ("v = 1 2 3; v.{x -> x * x}()", "[1,4,9]"),
        ("m = matrix(1 2, 5 7); m.{x -> x - first(x)}:H()", "#0 #1\n-- --\n0  4 \n0  5 "),
        ("def(a, b) { return a - b } (7, 5)", "2"),
        ("sum = 4; f = &sum; f(1 2 3) + sum", "10"),
        ("x = `a 2 2024.01.01; typestr(x)", "ANY VECTOR"),
        ("x = 4 5 6 7; x @ 1:3", "[5,6]"),
        ("eachAt((4 5, 6 7 8), (0, 1))", "([4,5],[6,7,8])"),
        ("0 1 2 <= 1 == 1 1 0", "[1,1,0]"),
        ("def f() { x = 1 }; y = f(); isVoid(y)", "1"),
        ("a, b = 7; a + b", "14"),
        ("a, b = table(1 2 as x, `p`q as y); b[`y]", "q"),
        ("coalesce(1 NULL NULL, NULL 5 NULL, 9)", "[1,5,9]"),
        ('"week" == 3', "0"),
        ("x = `a`b; x.append!(5); x", '["a","b","5"]'),
        ("a = array(INT[]).append!([[1, 2], [], [3]]); a.row(1).size()", "1"),
        ("d = dict(`p`q, 1.5 2.5, true); (d + 10 20)[`q]", "22.5"),
        ("t = table(1 2 as k, [5 6, 7 8].setColumnarTuple!() as v); t.columns()", "2"),
    ],
)
def test_forms(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("exec p1...p2 from t", "p1 p2\n-- --\n1  3 \n2  4 "),
        ("select (p1...p2) * 10 as q1...q2 from t", "q1 q2\n-- --\n10 30\n20 40"),
        ("exec rowSum(fixedLengthArrayVector(p2...p1)) from t", "[4,6]"),
        ("names = `p1`p2; news = `x`y; <select sum:V(_$$names) as _$$news from t>.eval()", "x y\n- -\n3 7"),
        ("names = `p1`p2; news = `x`y; <select _$$names as _$$news from t>.eval()", "x y\n- -\n1 3\n2 4"),
        ("select linearTimeTrend(p1, 2) as ``slope from t", "slope\n-----\n     \n1    "),
        ("with u(a, b, c) as (select * from t) select a, c from u", "a c\n- -\n1 x\n2 y"),
        ("select p1 from t limit 1 offset 1", "p1\n--\n2 "),
        ("select * from table(`b`a`b as k, 1 2 3 as n) context by k limit -1", "k n\n- -\na 2\nb 3"),
        (
            "select max(v) as m from table(0 1 4 9 as k, [3, NULL, NULL, 5] as v) group by interval(k, 3, `prev) as k",
            "k m\n- -\n0 3\n3 3\n6 3\n9 5",
        ),
        (
            "(t[, 0:2] * table(2 3 as a, 4 5 as b)).values()",
            "([2,6],[12,20])",
        ),
        (
            "sql(select=sqlCol(`p1), from=t, orderBy=[sqlCol(`p1)], ascOrder=0).eval()",
            "p1\n--\n2 \n1 ",
        ),
    ],
)
def test_queries(shown: Shown, query: str, text: str) -> None:
    assert shown("t = table(1 2 as p1, 3 4 as p2, `x`y as s); " + query) == text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("select pirce from t", r"Unrecognized column name \[pirce\]\. Did you mean price\?"),
        ("select price as cost from t where cost > 1", r"\[cost\]\. It names a result, which where does not know"),
        ("total = 3; totl + 1", r"Cannot recognize the token totl\. Did you mean total\?"),
        ("len(1 2)", r"Cannot recognize the token len\. size\(x\)"),
        ("select top 1:2 * from t context by price", "range in the top clause"),
        ("x = table(1 2 as a); x[`b]", r"Unrecognized column name \[b\]\.$"),
    ],
)
def test_errors_say_what_was_meant(interpreter: Interpreter, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        interpreter.run("t = table(1 2 as price)\n" + script)
