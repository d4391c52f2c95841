from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("typestr 1 2 3", "FAST INT VECTOR"),
        ("typestr `a`b", "STRING VECTOR"),
        ("typestr symbol(`a`b)", "FAST SYMBOL VECTOR"),
        ("typestr((1, `a))", "ANY VECTOR"),
        ("typestr [1, `a]", "ANY VECTOR"),
        ("typestr [1, 2.5]", "FAST DOUBLE VECTOR"),
        ("type(1.2)", "16"),
        ("form(1:2)", "2"),
        ("int(3.5)", "4"),
        ("int(-3.5)", "-4"),
        ("int(`10.9)", "10"),
        ("int(2147483648)", "00i"),
        ("short(32789)", "-32747"),
        ("int(`abc)", "00i"),
        ("char(99)", "'c'"),
        ("bool(`true`false)", "[1,0]"),
        ("double(`1.5)", "1.5"),
        ('date("2012-06-13")', "2012.06.13"),
        ("date(2012.06.13T13:30:10)", "2012.06.13"),
        ("month(2012.06.13)", "2012.06M"),
        ("second(2012.06.13T13:30:10.008)", "13:30:10"),
        ("nanotimestamp(2012.06.13)", "2012.06.13T00:00:00.000000000"),
        ("string(1.5 2)", '["1.5","2"]'),
        ("decimal32(1.23456, 3)", "1.234"),
        ('decimal32("1.2345", 2)', "1.23"),
        ('decimal128("123456789012345678901234567890.125", 2)', "123456789012345678901234567890.13"),
        ("array(INT, 3)", "[0,0,0]"),
        ("array(STRING, 2)", '["",""]'),
        ("array(DOUBLE, 2, 10, 1.5)", "[1.5,1.5]"),
        ("dict(1 2, `a`b)[2]", "b"),
        ("dict(1 2, 3 4)[5]", "00i"),
        ("arrayVector(2 3, 1 2 3)", "[[1,2],[3]]"),
        ("fixedLengthArrayVector(1 2, 3 4)", "[[1,3],[2,4]]"),
        ("isNull(1 NULL 3)", "[0,1,0]"),
        ("defined(`nosuch)", "0"),
        ("each(x -> x + 1, 1 2 3)", "[2,3,4]"),
        ("loop(x -> x + 1, 1 2)", "(2,3)"),
        ("each(add, 1 2, 3 4)", "[4,6]"),
        ("eachPre(sub, 1 3 6)", "[,2,3]"),
        ("0 -:P 1 3 6", "[1,2,3]"),
        ("eachPost(sub, 1 3 6)", "[-2,-3,]"),
        ("accumulate(add, 1 2 3)", "[1,3,6]"),
        ("accumulate(x -> x * 2, 3, 1)", "[1,2,4,8]"),
        ("reduce(mul, 1..5)", "120"),
        ("withNullFill(add, 1 NULL, 2 3, 0)", "[3,3]"),
        ("contextby(x -> x * 2, 1 2 3, `a`b`a)", "[2,4,6]"),
        ("segmentby(asis, 1 2 3, 1 1 2)", "[1,2,3]"),
        ("moving(size, 1 2 3, 2)", "[,2,2]"),
        ("rolling(size, 1..5, 2, 2)", "[2,2]"),
        ("window(size, 1..4, -1:1)", "[2,3,3,2]"),
        ("unifiedCall(add, (1, 2))", "3"),
        ("expr(<a>, +, <b>)", "< a + b >"),
        ('eval(parseExpr("1+2"))', "3"),
        ("makeCall(add, 1, <x>)", "< add(1, x) >"),
        ("sqlCol(`a, size, `n)", "< size(a) as n >"),
        ("sql(sqlCol(`a), `t, <a > 1>)", "< select a from t where a > 1 >"),
        (
            "sql((sqlCol(`a`b), sqlColAlias(makeUnifiedCall(rowSum, sqlCol(`a`b)), `c)), `t)",
            "< select a,b,rowSum(a, b) as c from t >",
        ),
        ("funcByName(`add)(1, 2)", "3"),
        ("at(1 0 1 == 1)", "[0,2]"),
        ("eqObj(1 2, 1 2)", "1"),
        ("eqObj(1 2, 1.0 2)", "0"),
    ],
)
def test_results(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("x = 5 7 9; x[1]", "7"),
        ("x = 5 7 9; x[5]", "00i"),
        ("x = 5 7 9; x[-1]", "00i"),
        ("x = 5 7 9; x[0 2]", "[5,9]"),
        ("x = 5 7 9; x[1:]", "[7,9]"),
        ("x = 5 7 9; x[0:2]", "[5,7]"),
        ("x = 5 7 9; x[x > 6]", "[7,9]"),
        ("x = 5 7 9; x(1)", "7"),
        ("m = (1..6).reshape(2:3); m[1, 2]", "6"),
        ("m = (1..6).reshape(2:3); m[0]", "[1,2]"),
        ("m = (1..6).reshape(2:3); m[0, ]", "#0 #1 #2\n-- -- --\n1  3  5 "),
        ("m = (1..6).reshape(2:3); flatten(m[, 2])", "[5,6]"),
        ("m = (1..6).reshape(2:3); m[1, ] += 10 20 30; m[1, ].flatten()", "[12,24,36]"),
        ("m = (1..6).reshape(2:3); m[c -> sum(c) > 4].shape()", "2 : 2"),
        ("2.5[0]", "2.5"),
        ("t = (4 5 6, (7, 8 9)); t[, 1]", "(5,[8,9])"),
        ("t = (4 5 6, (7, 8 9)); t[, 1, 0]", "[5,8]"),
        ("t = table(1 2 as a, 3 4 as b); t[, 1].columnNames()", '["b"]'),
        ("t = table(1 2 as a, 3 4 as b); t[`a, t[`b] > 3] = 9; t.a", "[1,9]"),
        ("d = dict(`x`y, (1 2 3, 4 5 6)); d[`x`y, 0 2]", "([1,3],[4,6])"),
        ("a = arrayVector(2 4, 1 2 3 4); a[, 0] = 7 8; a", "[[7,2],[8,4]]"),
        ("a = arrayVector(2 4, 1 2 3 4); a[0:2, 0:2] = (5 6, 7 8); a", "[[5,6],[7,8]]"),
        ("t = (1, `a, 2 3); t[2][1]", "3"),
        ("a = arrayVector(2 5, 1 2 3 4 5); a[1]", "[2,4]"),
        ("a = arrayVector(2 5, 1 2 3 4 5); a.row(1)", "[3,4,5]"),
        ("d = {a: 1, b: 2}; d[`a`b]", "[1,2]"),
    ],
)
def test_indexing(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("each(1, 2)", "a function is expected"),
        ("each(add, 1 2, 1 2 3)", "same length"),
        ("array(NOSUCH, 1)", "NOSUCH"),
        ("array(INT, 100000000000)", "Out of memory"),
        ("x = 1 2; x[5] = 1", "out of range"),
        ("dict(1 2 3, 1 2)", "same length"),
        ("duration(`xyz)", "DURATION"),
        ("pow()", r"Usage: pow\(X, Y\)"),
        ("reshape(1..6, 4:2)", "can't be reshaped"),
    ],
)
def test_refusals(interpreter: Interpreter, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        interpreter.run(script)
