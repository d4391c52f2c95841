from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("1 + 2.5", "3.5"),
        ("7 / 2", "3"),
        ("-7 / 5", "-2"),
        ("-1 2 6 / -5", "[0,-1,-2]"),
        ("-1 % 5", "4"),
        ("-1 2 3 % -5", "[-1,-3,-2]"),
        ("5 / 0", "00i"),
        (r"9 \ 2:5", "4.5 : 1.8"),
        (r"1 2 3 \ 0", "[,,]"),
        ("1 2 NULL + 1", "[2,3,]"),
        ("2147483647 + 1", "00i"),
        ("2147483647 + 2", "-2147483647"),
        ("[2147483647] + 2", "[-2147483647]"),
        ("2147483647 + 1l", "2147483648"),
        ("typestr(1h + 1)", "INT"),
        ("typestr(1l * 1.0)", "DOUBLE"),
        ("true + true", "2"),
        ('"a" + 1', "a1"),
        ("`a`b + `x", '["ax","bx"]'),
        ("1:2 + 3:4", "4 : 6"),
        ("2012.01.30 + 1M", "2012.02.29"),
        ("2012.01.30T00:00:00.000 + 09:30:00.000 + 1 2", "[2012.01.30T09:30:00.001,2012.01.30T09:30:00.002]"),
        ("2012.01.01 + 1 2", "[2012.01.02,2012.01.03]"),
        ("2012.03.01 - 2012.02.28", "2"),
        ("23:59:59 + 2", "00:00:01"),
        ("1.5 > NULL", "1"),
        ("NULL < -5", "1"),
        ("[-1, NULL, 2] > -float(`inf)", "[1,1,1]"),
        ("00i == NULL", "1"),
        ("1 2 3 == 2", "[0,1,0]"),
        ("2012.01.02 > 2012.01.01T10:00:00", "1"),
        ("symbol(`a`b`a) == `a", "[1,0,1]"),
        ("symbol(`a`b`c) > `a", "[0,1,1]"),
        ("true && 00b", "00b"),
        ("true || 00b", "00b"),
        ("or(1 0 NULL, NULL) join (NULL or true)", "[1,0,,1]"),
        ("1 0 2 and 1", "[1,0,1]"),
        ("!1 0", "[0,1]"),
        ("6 & 3", "2"),
        ("1 2 3 in 2 3", "[0,1,1]"),
        ("`a in `a`b", "1"),
        ("1 5.5 6 8 between 1:6", "[1,1,1,0]"),
        ('like(`ABC`XBC, "A%")', "[1,0]"),
        ("set(1 2) | set(2 3)", "set(3,2,1)"),
        ("set(4 6) < set(4 6 8)", "1"),
        ("3..1", "[3,2,1]"),
        ("2012.01M..2012.03M", "[2012.01M,2012.02M,2012.03M]"),
        ("1 <- 2 3", "[1,2,3]"),
        ("8.9 $ INT", "9"),
        ("1 2 3 ** 4 5 6", "32"),
        ("decimal32(142, 2) * decimal32(1.5, 1)", "213.000"),
        ("typestr(decimal32(1.5, 8) * decimal32(1.5, 8))", "DECIMAL64"),
        ("(1, 2 3) + 1", "(2,[3,4])"),
        ("dict(`a`b, 1 2) + 1", "a->2\nb->3"),
    ],
)
def test_results(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


def test_a_vector_goes_down_the_columns_of_a_matrix(shown: Shown) -> None:
    assert shown("matrix(1 2, 3 4) + 10 20").split("\n")[2:] == ["11 13", "22 24"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("1 2 3 + 1 2", "same length"),
        ("`a * 2", "can't be applied"),
        ("1 < `a", "can't be compared"),
        ("2012.01.01 == 10:00:00", "can't be compared"),
        ("decimal32(1000000, 2) * decimal32(1000000, 2)", "DECIMAL math overflow"),
        ("2012.01.01 + 1H", "finer"),
        ("1..10000000000000", "Out of memory"),
    ],
)
def test_refusals(interpreter: Interpreter, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        interpreter.run(script)
