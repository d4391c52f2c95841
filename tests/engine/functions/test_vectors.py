from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.types import Type
from engine.values import SymbolBase, Value, Vector, vector
from engine.vectors import append_vector

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("prev(1 2 3)", "[,1,2]"),
        ("next(2024.01M 2024.02M)", "[2024.02M,]"),
        ("move(1 2 3, -2)", "[3,,]"),
        ("deltas(1 4 9)", "[,3,5]"),
        ("ratios(2 4)", "[,2]"),
        ("percentChange(2 3)", "[,0.5]"),
        ("ffill(NULL 1 NULL NULL, 1)", "[,1,1,]"),
        ("bfill(NULL 1 NULL)", "[1,1,]"),
        ("lfill(1 NULL 3)", "[1,2,3]"),
        ("lfill(decimal64([1.5, NULL, 2], 2))", "[1.50,1.75,2.00]"),
        ("nullFill(1 NULL, 9)", "[1,9]"),
        ("x = 1 NULL 3; x.ffill!(); x", "[1,1,3]"),
        ("sort(3 NULL 1)", "[,1,3]"),
        ("sort(3 NULL 1, false)", "[3,1,]"),
        ("isort(3 1 2)", "[1,2,0]"),
        ("isort([2 2 1, 1 2 3], [false, true])", "[0,1,2]"),
        ("x = 3 1 2; x.sort!(); x", "[1,2,3]"),
        ("rank(9 1 6 1)", "[3,0,2,0]"),
        ("rank(1 2 2 3, tiesMethod=`average)", "[0,1.5,1.5,3]"),
        ("rank(9 5 4 8 1 3 6 2 7, groupNum=3)", "[2,1,1,2,0,0,1,0,2]"),
        ("denseRank(1 5 5 9)", "[0,1,1,2]"),
        ("asof(1 3 5, 0 3 9)", "[-1,1,2]"),
        ("binsrch(1 3 5, 3 4)", "[1,-1]"),
        ("find(7 3 3, 3 9)", "[1,-1]"),
        ("lowerBound(1 3 5, 2)", "1"),
        ("searchK(5 NULL 1 3, 2)", "3"),
        ("take(1 2 3, 5)", "[1,2,3,1,2]"),
        ("take(1 2 3, -2)", "[2,3]"),
        ("take(1 2 3, 2 0 1)", "[1,1,3]"),
        ("stretch(1 2, 5)", "[1,1,1,2,2]"),
        ("1..5 cut 2", "([1,2],[3,4],[5])"),
        ("distinct(3 1 3 2)", "[3,1,2]"),
        ("reverse(1 2 3)", "[3,2,1]"),
        ("til(3)", "[0,1,2]"),
        ("x = 1 2 3; x.pop!(); x", "[1,2]"),
        ("head(1 2 3, 2)", "[1,2]"),
        ("tail(1 2 3)", "3"),
        ("drop(1 2 3, -1)", "[1,2]"),
        ("bucket(9 23 54 36, 12:54, 2)", "[,0,,1]"),
        ("digitize(0 2 9, 1 3)", "[0,1,2]"),
        ("cutPoints(1..4, 2)", "[1,3,5]"),
        ("qcut(1..10, 4)", "[0,0,0,1,1,2,2,3,3,3]"),
        ("qcut(1 1 1 1 2 3, 4, dropDuplicates=true)", "[0,0,0,0,2,2]"),
        ("winsorize(1..10, 0.1)", "[2,2,3,4,5,6,7,8,9,9]"),
        ("valueChanged(1 1 2)", "[0,0,1]"),
        ("segment(1 1 2 1)", "[0,0,2,3]"),
        ("sessionWindow(1 2 10 11, 5)", "[1,1,10,10]"),
        ("volumeBar(1 3 4 2 2, 4)", "[0,0,1,2,2]"),
        ("topRange(1 2 3 1)", "[0,1,2,0]"),
        ("zscore(1 2 3)", "[-1,0,1]"),
        ("sumbars(1 2 3.3 2 5, 3)", "[0,2,1,2,1]"),
        ("movingWindowData(1 2 3, 2)", "[[1],[1,2],[2,3]]"),
        ("movingWindowIndex(1 2 3, 2, true)[1]", "[0,1,2]"),
        ("rowGroupby(sum, arrayVector(3 5, 1 2 3 4 5), arrayVector(3 5, 7 8 7 1 1))[1]", "[[4,2],[9]]"),
        ("interpolate(1 NULL 3 NULL)", "[1,2,3,3]"),
        ("interpolate(1 NULL 3 NULL, `linear, limitArea=`inside)", "[1,2,3,]"),
    ],
)
def test_vectors(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


def test_random_numbers_repeat_after_a_seed(run: Run, show: Show) -> None:
    assert show("setRandomSeed(5); rand(100, 4)") == show("setRandomSeed(5); rand(100, 4)")
    drawn = run("rand(10, 1000)")
    assert isinstance(drawn, Vector)
    assert 0 <= drawn.data.min() <= drawn.data.max() < 10


def test_too_much_memory_is_refused(run: Run) -> None:
    with pytest.raises(ScriptError, match="Out of memory"):
        run("take(1, 100000000000)")


def test_append_converts_and_extends_symbols() -> None:
    numbers = vector(Type.LONG, [1])
    append_vector(numbers, vector(Type.INT, [2, None]))
    assert [numbers.scalar(row).value for row in range(3)] == [1, 2, None]
    symbols = vector(Type.SYMBOL, ["a"])
    append_vector(symbols, vector(Type.STRING, ["b", "a"]))
    assert isinstance(symbols.symbols, SymbolBase)
    assert list(symbols.strings()) == ["a", "b", "a"]
