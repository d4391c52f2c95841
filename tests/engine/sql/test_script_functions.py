from __future__ import annotations

import pytest

from engine.errors import ScriptError
from engine.grouping import Groups
from engine.interpreter import Interpreter
from engine.values import Value

FUNCTIONS = {
    "locals": "def f(x, y) { a = deltas(x); b = iif(nullCompare(>, a, 0), a, 0); return mavg(b, 2) + y }",
    "rebound": "def f(x, y) { a = x; a = a + 1; a = prev(a) * 2; return a - y }",
    "one value of a group": "def f(x, y) { m = avg(x); s = std(x); return (x - m) \\ s + size(y) }",
    "aggregate": "def f(x, y) { total = sum(y); return wavg(x, y) * total }",
    "branch": "def f(x, y, up = true) { if (up) { a = cumsum(x) } else { a = x }; return a + ratios(y) }",
    "branch of a group": "def f(x, y) { if (avg(x) > 2) return x; return y }",
    "branch on rows": "def f(x, y) { if (size(x) > 3) { return x[0] + y } else return -y }",
    "unpacked": "def f(x, y) { a, b = talibNull(x, y); return talib(msum, a, 2) + talib(mcount, b, 2) }",
    "member": "def f(x, y) { return linearTimeTrend(x, 2)[1] + talib(::sma, y, 2) }",
    "inside": "def g(x, n = 2) { return wma(x, n) }; def f(x, y) { return g(x) - g(y, n = 3) }",
    "loop": "def f(x, y) { s = 0; for (each in y) { s += each }; return x * s }",
    "in place": "def f(x, y) { a = x + 1; a[0] = 100; a.fill!(1:2, 7); return a + y }",
    "case": "def f(x, y) { X = x + 1; return X * y - x }",
    "reversed": "def f(x, y) { return reverse(x) - trueRange(x, x - 1, y) }",
    "nested": "def g(x) { return cumsum(x) }; def h(x) { return g(prev(g(x))) }; def f(x, y) { return h(h(y)) + g(x) }",
    "without return": "def f(x, y) { a = x - y; a * 2 }",
    "constant": "def f(x, y) { return 3 }",
    "lambda": "def f(x, y) { k = 2; return moving(a -> last(a) * k, x, 2) + each(a -> a + k, y) }",
    "column of a query": "def f(x, y) { t = table(x, y); return exec x * y from t }",
}
TABLE = "t = table(`a`b`a`c`b`a`a`b`b`c as k, 1 5 NULL 2 3 4 6 1 NULL 7.0 as x, 3 1 2 9 NULL 5 7 2 8 4.0 as y);"


@pytest.mark.parametrize("definition", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_a_function_sees_one_group_at_a_time(interpreter: Interpreter, definition: str) -> None:
    interpreter.run(f"{definition}; {TABLE}")
    of_all = interpreter.run("exec double(f(x, y)) from t context by k")
    each = interpreter.run(
        """
        together = array(DOUBLE, 0)
        for (name in `a`b`c) {
            part = select x, y from t where k = name
            together.append!(take(double(f(part.x, part.y)), part.rows()))
        }
        together
        """
    )
    interpreter.session.variables.update(of_all=of_all, each=each)
    assert interpreter.run("eqObj(of_all, each, 9)").value is True  # type: ignore[union-attr]


def test_one_call_serves_all_groups(interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    average = interpreter.registry.functions["mavg"]
    kernel = average.grouped
    assert kernel is not None

    def counted(groups: Groups, *arguments: Value) -> Value:
        calls.append(groups.count)
        return kernel(groups, *arguments)  # type: ignore[no-any-return]

    monkeypatch.setattr(average, "grouped", counted)
    interpreter.run(TABLE + "def g(close, n) { return mavg(close, n) }; def f(close) { a = g(close, 2); return a + 1 }")
    interpreter.run("select f(x) from t context by k")
    assert calls == [3]


def test_several_results_of_a_function(interpreter: Interpreter) -> None:
    interpreter.run(TABLE + "def bands(x, w) { m = mavg(x, w); s = mstd(x, w); return m - s, m, m + s }")
    same = interpreter.run(
        """
        found = select k, bands(x, 2) as `low`middle`high from t context by k
        expected = select k, mavg(x, 2) - mstd(x, 2) as low, mavg(x, 2) as middle, mavg(x, 2) + mstd(x, 2) as high
            from t context by k
        each(eqObj, found.values(), expected.values())
        """
    )
    assert same.data.tolist() == [1, 1, 1, 1]  # type: ignore[union-attr]


def test_an_expression_over_a_function_in_groups(interpreter: Interpreter) -> None:
    interpreter.run(TABLE + "def change(x) { return x - prev(x) }")
    same = interpreter.run(
        """
        a = select sum(change(x)) as s, max(change(y) * 2) as m from t group by k
        b = select sum(x - prev(x)) as s, max((y - prev(y)) * 2) as m from t group by k
        each(eqObj, a.values(), b.values())
        """
    )
    assert same.data.tolist() == [1, 1, 1]  # type: ignore[union-attr]
    rows = interpreter.run("exec change(x) + 1 from t group by k")
    assert rows.offsets.tolist() == [0, 4, 8, 10]  # type: ignore[union-attr]


def test_an_aggregate_function_gets_what_its_group_has_one_of(interpreter: Interpreter) -> None:
    interpreter.run(
        """
        t = table(`a`a`b as k, 1.0 3 5 as x, 2.0 4 6 as y)
        defg form_of(d, m, c) { return string(m.rows()) + "x" + string(m.columns()) + "/" + string(c) }
        defg total(m) { return matrix([sum(m[0]), sum(m[1])]).transpose() }
        """
    )
    shapes = interpreter.run("exec form_of(x, matrix(x, y), avg(y)) from t group by k")
    assert list(shapes.data) == ["2x2/3", "1x2/6"]  # type: ignore[union-attr]
    columns = interpreter.run("(select total(matrix(x, y)) as `x`y from t group by k).values()")
    assert [column.data.tolist() for column in columns.items[1:]] == [[4, 5], [6, 6]]  # type: ignore[union-attr]


def test_what_a_function_does_happens_once_for_each_group(interpreter: Interpreter) -> None:
    printed: list[str] = []
    interpreter.session.output = printed.append
    interpreter.run(TABLE + "def g(x) { print(size(x)); return x[0] }; def f(x) { a = x + 1; b = g(a); return a + b }")
    interpreter.run("select f(x) from t context by k")
    assert printed == ["4", "4", "2"]
    with pytest.raises(ScriptError, match="too small"):
        interpreter.run("def h(x) { if (size(x) < 3) throw 'too small'; return x }; select h(x) from t context by k")
