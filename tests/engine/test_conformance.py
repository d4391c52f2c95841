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
    ],
)
def test_same(expected: str, actual: str, equal: bool) -> None:
    assert same(expected, actual) is equal
