from __future__ import annotations

from collections.abc import Callable

import pytest

Shown = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("1.5", "1.5"),
        ("10.0", "10"),
        (r"1\3", "0.333333333333333"),
        ("0.1 + 0.2", "0.3"),
        ("9.2", "9.2"),
        ("0.0000001", "1E-7"),
        ("1e20", "1E20"),
        ("-0.0", "0"),
        ("true", "1"),
        ("'a'", "'a'"),
        ('"text"', "text"),
        ("2012.06.13T13:30:10.008", "2012.06.13T13:30:10.008"),
        ("13:30:10.008007006", "13:30:10.008007006"),
        ("2012.06M", "2012.06M"),
        ("13:30m", "13:30m"),
        ("00d", "00d"),
        ("[1, NULL, 3]", "[1,,3]"),
        ("`a`b", '["a","b"]'),
        ("['a', 'b']", "['a','b']"),
        ("1:2", "1 : 2"),
        ("(1, `a, 1 2)", '(1,"a",[1,2])'),
        ("{a: 1, b: 1 2}", "a->1\nb->[1,2]"),
        ("dict(1 2 3, 4 5 6)", "3->6\n1->4\n2->5"),
        ("dict(1 2 3 1, 4 5 6 7)", "3->6\n2->5\n1->7"),
        ("dict(1..6, 1..6).keys()", "[6,5,4,3,2,1]"),
        ("dict(1..6, 1..6, true).keys()", "[1,2,3,4,5,6]"),
        ("{m: matrix(1 2), n: 3}", "m->#0\n--\n1 \n2 \n\nn->3"),
        ("(table(1 2 as x), 3)", "(x\n-\n1\n2\n,3)"),
        ("set(1 2)", "set(2,1)"),
        ("<a + 1 * b>", "< a + 1 * b >"),
        ("<(a + 1) * b>", "< (a + 1) * b >"),
        ("<select a from t where b > 1>", "< select a from t where b > 1 >"),
        ("x -> x + 1", "{x->x + 1}"),
        ("3d", "3d"),
        ('uuid("5d212a78-cc48-e3b1-4235-b4d91473ee87")', "5d212a78-cc48-e3b1-4235-b4d91473ee87"),
        ('ipaddr("192.168.1.13")', "192.168.1.13"),
        ("complex(2, 5)", "2.0+5.0i"),
        ("decimal32(3, 2)", "3.00"),
        ("float([9.2, 0.1, 16777217, 1e-20])", "[9.2,0.1,16777216,1E-20]"),
        ("16777217f + [0f, 2f]", "[16777216,16777218]"),
        ("[1e-20, 1e23, 1e-7 \\ 3]", "[1E-20,1E23,3.333333333333333E-8]"),
        ("decimal64(-0.05, 2)", "-0.05"),
    ],
)
def test_texts(shown: Shown, script: str, text: str) -> None:
    assert shown(script) == text


def test_matrices_are_aligned_under_their_columns(shown: Shown) -> None:
    assert shown("matrix(1 20, 300 4)") == "#0 #1 \n-- ---\n1  300\n20 4  "


def test_row_labels_stand_before_a_bar(shown: Shown) -> None:
    assert shown("cross(add, 1 2, 3 5)").split("\n")[2] == "1|4 6"


def test_long_vectors_are_cut(shown: Shown) -> None:
    assert shown("1..1000").endswith(",100...]")
