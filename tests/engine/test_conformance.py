"""The harness over the documentation: what it takes for an example, and when two texts say the same."""

from __future__ import annotations

import pytest

from benchmarks.conformance.comparison import same
from benchmarks.conformance.examples import examples

PAGE = """### f
#### Syntax
```
f(X, [Y])
```
#### Examples
```
x = 1 2 3
unused = 5
y = f(x)
// output: [2,3,4]
t = table(x, y)
t;
```
| x | y |
| - | - |
| 1 | 2 |
```
rand(10, 3)
// output: [1,2,3]
a = dict(`k`m, 1 2)
a
/* output:
k->1
m->2
*/
```
"""


def test_examples_of_a_page() -> None:
    found = examples("f", PAGE)
    assert [example.expected.split("\n")[0] for example in found] == ["[2,3,4]", "| x | y |", "[1,2,3]", "k->1"]
    assert found[0].script == "x = 1 2 3\ny = f(x)\ny"
    assert "unused" not in found[1].script
    assert found[2].needs == "random numbers"
    assert found[3].script.endswith("a = dict(`k`m, 1 2)\na")


def test_what_a_page_shows_to_fail_is_no_setup() -> None:
    page = """#### Examples
```
x = 1 2
x.append!(3)
x.append!(`a)
// Error: Incompatible type
x
// output: [1,2,3]
```
"""
    assert [example.script for example in examples("append!", page)] == ["x = 1 2\nx.append!(3)\nx"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ('loadTable("dfs://db", "t")', "a database of its author"),
        ("localtime(2020.01.01T00:00:00)", "the server's time zone"),
        ("t = table(10:0, `a`b, [INT, INT])\nselect * from t", "streaming"),
        ("getNodeAlias()", "the server's own state"),
        ("t = table(10:0, `a, [INT])\ninsert into t values(1)\nt", None),
    ],
)
def test_what_no_engine_can_answer_alike_is_left_out(code: str, reason: str | None) -> None:
    (example,) = examples("f", f"#### Examples\n```\n{code}\n// output: 1\n```\n")
    assert example.needs == reason


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        ("[1, 2.33333,]", "[1,2.333333333333333,]", True),
        ("[1,2.3,]", "[1,2.34,]", False),
        ("[1,NULL]", "[1,]", True),
        ("[1,2]", "[1,,2]", False),
        ("true", "1", True),
        ("| a | b |\n|---|---|\n| 1 |  |", "a b\n- -\n1  ", True),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a c\n- -\n1 2", False),
        ("| #0 | #1 |\n|---|---|\n| 1 | 2 |", "col1 col2\n---- ----\n1    2   ", True),
        ("b->2\na->1", "a->1\nb->2", True),
        ("a->1", "a->2", False),
        ("set(2,1)", "set(1,2)", True),
        ("hello", "hallo", False),
        ("1:3", "1 : 3", True),
        ("1:3", "1 : 4", False),
        ("NULL", "", True),
        ("2020.01.01 09:30:00", "2020.01.01T09:30:00", True),
        ("| label | A |\n|---|---|\n| x | 2 |", "  A\n  -\nx|2", True),
        ("col1\tcol2\n1,200\t2", "#0   #1\n---- --\n1200 2 ", True),
        ("a\tb\n1\t2", "a c\n- -\n1 2", False),
    ],
)
def test_same(expected: str, actual: str, equal: bool) -> None:
    assert same(expected, actual) is equal
