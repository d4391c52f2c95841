from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError, UnsupportedError
from engine.interpreter import Interpreter

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("x = [1 2 3, 4 5].setColumnarTuple!(); x[2]", "[3,]"),
        ("x = [1 2 3, 4 5]; isColumnarTuple(x)", "0"),
        ("t = table(1 2 as a, [`x`y, [`z]] as b); isColumnarTuple(t.b)", "1"),
        ("x = [1 2 3, 4 5].setColumnarTuple!(); rowSum(x)", "[6,9]"),
        ("x = [1 2 3, 4 5].setColumnarTuple!(); sum:H(x)", "[6,9]"),
        ("flatten([1, [2, 3]])", "[1,2,3]"),
        ("flatten((1, (2, (3, 4)), 5))", "(1,(2,[3,4]),5)"),
        ("reduce(flatten, init=(1, (2, (3, 4)), 5))", "[1,2,3,4,5]"),
        ('x = (1, "X"); x.appendTuple!(([2,3], "Y"), true)', '(1,"X",([2,3],"Y"))'),
        ('x = (1, "X"); x.appendTuple!(([2,3], "Y"))', '(1,"X",[2,3],"Y")'),
        ("v = 1..6; remove!(v, [0, 3]); v", "[2,3,5,6]"),
        ("v = (1, `a, 2.5); remove!(v, 1); v", "(1,2.5)"),
        ("a = (1 2, 3 4 5); memberModify!(a, append!, 0, 3 4); a", "([1,2,3,4],[3,4,5])"),
        ("d = dict(`A`B, (1 2, 3 4)); memberModify!(d, append!, `A`B, 8 9); d[`B]", "[3,4,9]"),
        ("x = 1 2 3; x.join!((8, 9)); x", "[1,2,3,8,9]"),
        ("a = [1, 2, 3, 4]; fill!(a, [0, 1], [10, 11]); a", "[10,11,3,4]"),
        ("t = table(1 2 as a); fill!(t, `b, 3 4); t.b", "[3,4]"),
        ("all(lt, 1 2 3, 4 5 6)", "1"),
        ("any(hasNull, [1 2, 3 NULL])", "1"),
        ("f = compose(add, neg); f(1, 2)", "-3"),
        ("notIn(3 5, 2 3)", "[0,1]"),
        ("nothrowCall(sqrt, 4)", "2"),
        ("x = dict(INT, DOUBLE); x[1, 2] = [4.5, 6]; x[2]", "6"),
        ("movingValid(avg, 1 2 NULL 3, 2)", "[,1.5,1.5,2.5]"),
        ("typestr string([])", "STRING VECTOR"),
        ("each(&sum, (1 2, 3 4))", "[3,7]"),
        ("def f(x) { return x + 1 }; ::f(2)", "3"),
        ("def f(x) { return x + 1 }; x = 1 2; f :E x", "[2,3]"),
        ("t = table(1 2 1 as a); exec sum(a=1) from t", "2"),
    ],
)
def test_shown_like_the_console(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


def test_a_documented_function_that_is_missing_is_named(interpreter: Interpreter) -> None:
    with pytest.raises(UnsupportedError, match="randomForestClassifier is not supported"):
        interpreter.run("randomForestClassifier(1)")
    with pytest.raises(ScriptError, match="Cannot recognize the token noSuchThing"):
        interpreter.run("noSuchThing(1)")


def test_refused_arguments_show_the_usage(interpreter: Interpreter) -> None:
    with pytest.raises(ScriptError, match=r"Usage: remove!\(obj, index\)\. index must be positions"):
        interpreter.run("remove!(1..3, 5)")
