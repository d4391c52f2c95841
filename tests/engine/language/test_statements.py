from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import CancelledError, ScriptError
from engine.interpreter import Interpreter
from engine.values import NOTHING

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("y = 1 2 3; z = y; z[0] = 5; y", "[1,2,3]"),
        ("y = 1 2 3; &z = y; z[0] = 5; y", "[5,2,3]"),
        ("x = 1; y = 2; x, y = y, x; [x, y]", "[2,1]"),
        ("x = 1..6; x[x > 3] = 0; x", "[1,2,3,0,0,0]"),
        ("x = 1 2 3; x[1] += 5; x", "[1,7,3]"),
        ("m = matrix(1 2, 3 4); m[0, ] = 9; m[0, 1]", "9"),
        ("d = {a: 1}; d.b = 2 3; d.b", "[2,3]"),
        ("d = dict(STRING, ANY); d[`k] = (1, `x); d[`k]", '(1,"x")'),
        ("s = 0; for (i in 1:4) { if (i == 2) continue; s += i }; s", "4"),
        ("s = 0; for (x in 1..10) { if (x > 3) break; s += x }; s", "6"),
        ("i = 0; do { i += 1 } while (i < 5); i", "5"),
        ("i = 10; while (i > 3) i -= 2; i", "2"),
        ("def f(a, b = 2) { return a * b }; f(3)", "6"),
        ("def f(a, b = 2) { return a * b }; f(b = 5, a = 3)", "15"),
        ("def f(mutable a) { a += 1; return a }; x = 1; f(x); f(x); x", "3"),
        ("def f(mutable v) { v[0] = 9 }; x = 1 2; f(x); x", "[9,2]"),
        ("def g(a) { return def(b) { return a + b } }; h = g(3); h(4)", "7"),
        ("def fact(n) { if (n < 2) return 1; return n * fact(n - 1) }; fact(6)", "720"),
        ("f = x -> x * 2; f(4)", "8"),
        ("f = def(x, y) { return x - y }; f{, 2}(5)", "3"),
        ("try { throw `oops } catch (ex) { r = ex[1] }; r", "oops"),
        ("try { nosuch(1) } catch (ex) { r = ex[1] }; r", "Cannot recognize the token nosuch"),
        ("case 2 when 1 then `a when 2 then `b else `c end", "b"),
        ("x = 1 5; iif(x > 2, `big, `small)", '["small","big"]'),
        ("true ? 1 : foo()", "1"),
        ("x = 3; eval(<x * 2>)", "6"),
        ("name = `price; <_$name * 2>", "< price * 2 >"),
    ],
)
def test_results(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("x = 1\ny = 2\nfoo(x)", r"\[line #3\] Cannot recognize the token foo"),
        ("def f(a) { a += 1; return a }; f(1)", r"Constant variable \[a\] can't be modified"),
        ("a = 1; def f(x) { return x + a }; f(1)", "Cannot recognize the token a"),
        ("def sum(x) { return x }", "built-in function"),
        ("def f(n) { return f(n + 1) }; f(1)", "recursion is too deep"),
        ("def f(n) { return each(f, [n]) }; f(1)", "recursion is too deep"),
        ("if (1 2 > 0) 1", "The vector can't be converted to bool scalar"),
        ("assert 1, 1 == 2", "Testing 1 failed"),
        ("def f(a) { return a }; f(1, 2)", "expects 1 argument"),
        ("x = (1 +", "Syntax Error"),
        ("1 2 3[5] = 1", "."),
    ],
)
def test_errors(interpreter: Interpreter, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message) as caught:
        interpreter.run(script)
    assert "\n" not in caught.value.message


def test_assignment_has_no_value(interpreter: Interpreter) -> None:
    assert interpreter.run("x = 1") is NOTHING


def test_variables_survive_between_runs_and_errors(interpreter: Interpreter, shown: Shown) -> None:
    with pytest.raises(ScriptError):
        interpreter.run("x = 5; nosuch(x)")
    assert shown("x") == "5"


def test_print_reaches_the_session(interpreter: Interpreter, printed: list[str]) -> None:
    interpreter.run('print(1 2 3); print("a", 2)')
    assert printed == ["[1,2,3]", "a", "2"]


def test_shared_objects_are_seen_by_functions(shown: Shown) -> None:
    assert shown("d = {k: 7}; share d as shared1; def f() { return shared1.k }; f()") == "7"


def test_undef_forgets(interpreter: Interpreter) -> None:
    interpreter.run("x = 1; undef(`x)")
    with pytest.raises(ScriptError, match="Cannot recognize the token x"):
        interpreter.run("x")


def test_modules_define_functions(interpreter: Interpreter, shown: Shown, tmp_path: Path) -> None:
    folder = tmp_path / "modules" / "shop"
    folder.mkdir(parents=True)
    (folder / "prices.dos").write_text("module shop::prices\ndef double1(x) { return x * 2 }\n")
    assert shown("use shop::prices\ndouble1(4) + shop::prices::double1(1)") == "10"
    with pytest.raises(ScriptError, match="Can't find the module"):
        interpreter.run("use shop::nosuch")


def test_a_loop_can_be_cancelled(interpreter: Interpreter) -> None:
    threading.Timer(0.2, interpreter.session.cancelled.set).start()
    with pytest.raises(CancelledError):
        interpreter.run("while (true) { try { i = 1 } catch (ex) { } }")


def test_the_deadline_stops_recursion(interpreter: Interpreter) -> None:
    interpreter.session.deadline = time.monotonic() + 0.2
    with pytest.raises(CancelledError, match="ran out of time"):
        interpreter.run("def f(n) { if (n > 0) { f(n - 1); f(n - 1) } }; f(60)")
