from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.values import Value

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('strlen("a\u4e2d")', "4"),
        ('strlenu("a\u4e2d")', "2"),
        ("upper(`ab`cd)", '["AB","CD"]'),
        ("upper(symbol(`ab`cd))", '["AB","CD"]'),
        ('trim("  a ")', "a"),
        ('substr("This is", 5)', "is"),
        ('left("hello", 2)', "he"),
        ('lpad("7", 3, "0")', "007"),
        ('split("a,b", ",")', '["a","b"]'),
        ('strReplace("abcbc", "bc", "X")', "aXX"),
        ('strpos("abc", "c")', "2"),
        ('startsWith("abc", "ab")', "1"),
        ('regexFind("ab12", "[0-9]+")', "2"),
        ('regexCount("1 22 333", "[0-9]+")', "3"),
        ('regexReplace("a1b2", "[0-9]", "#")', "a#b#"),
        ('regexReplace("john smith", "(\\\\w+) (\\\\w+)", "$2 $1")', "smith john"),
        ('ilike("ABC", "%b%")', "1"),
        ('notLike("ABC", "%b%")', "1"),
        ('concat(`a`b`c, "-")', "a-b-c"),
        ("repeat(`ab, 2)", "abab"),
        ('initcap("hello big-world")', "Hello Big-World"),
        ('isDigit("12a")', "0"),
        ('charAt("abc", 1)', "'b'"),
        ("hashBucket(`AAPL`TSLA`GS, 10)", "[9,4,1]"),
        ("objectChecksum(take(`A`B`C, 10))", "-268298654"),
        ("objectChecksum(6..15, objectChecksum(1..5)) == objectChecksum(1..15)", "1"),
        ("symbolCode(symbol(`b`a`b))", "[1,2,1]"),
        ("symbolCode(symbol(`b`a`b`c)$2:2)[1]", "[1,3]"),
        ('md5("a")', "0cc175b9c0f1b6a831c399e269772661"),
        ('crc32("a")', "-390611389"),
        ('base64Decode(base64Encode("hi"))', "hi"),
        ("hex(255)", "000000ff"),
        ('decimalFormat(123456789.166, "#,###.##")', "123,456,789.17"),
        ('decimalFormat(0.125, "0.00%")', "12.50%"),
        ('decimalFormat(1234567.89, "0.##E00")', "1.23E06"),
        ('stringFormat("%i is %.2f%%", 3, 1.5)', "3 is 1.50%"),
        ("toStdJson(1 2)", "[1, 2]"),
        ('fromStdJson("[1, 2]")', "[1,2]"),
        ('jsonExtract("{\\"a\\": [1, {\\"b\\": 7}]}", ["a", 2, "b"], "int")', "7"),
        ("replace(1 2 1, 1, 9)", "[9,2,9]"),
    ],
)
def test_text(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


@pytest.mark.parametrize("script", ['regexFind("a", "(")', "upper(1 2)", 'fromStdJson("{")', 'substr("a", -1)'])
def test_bad_arguments_are_refused(run: Run, script: str) -> None:
    with pytest.raises(ScriptError):
        run(script)


@pytest.mark.parametrize("size", [60, 400])
def test_a_pattern_that_would_work_for_years_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("engine.functions.text.search.SECONDS", 0.1)
    with pytest.raises(ScriptError, match=r"takes more than 0\.1 seconds"):
        run(f'regexFind(concat(take("a", {size}), "") + "!", "^(a|a)*$")')
