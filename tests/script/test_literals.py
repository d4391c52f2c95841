"""Constants: every kind of number, text and time, as DolphinDB stores them."""

from __future__ import annotations

import pytest

from dolphin.script import ScriptSyntaxError, parse_expression
from dolphin.script.syntax import Literal, VectorLiteral


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12", "INT", 12),
        ("-12", "INT", -12),
        ("2147483648", "LONG", 2147483648),
        ("22l", "LONG", 22),
        ("5h", "SHORT", 5),
        ("97c", "CHAR", 97),
        ("'a'", "CHAR", 97),
        ("'abc'", "STRING", "abc"),
        ('"a\\"b\\n"', "STRING", 'a"b\n'),
        ('"C:\\Data"', "STRING", "C:\\Data"),
        ("`AAPL", "STRING", "AAPL"),
        ("true", "BOOL", True),
        ("1b", "BOOL", True),
        ("1.5", "DOUBLE", 1.5),
        ("1e5", "DOUBLE", 1e5),
        ("1.5f", "FLOAT", 1.5),
        (".5", "DOUBLE", 0.5),
        ("NULL", "VOID", None),
        ("00i", "INT", None),
        ("00b", "BOOL", None),
        ("00F", "DOUBLE", None),
        ("00T", "TIMESTAMP", None),
        ("1970.01.02", "DATE", 1),
        ("1969.12.31", "DATE", -1),
        ("2024.03M", "MONTH", 2024 * 12 + 2),
        ("13:30m", "MINUTE", 810),
        ("13:30:10", "SECOND", 48610),
        ("13:30:10.008", "TIME", 48610008),
        ("13:30:10.5", "TIME", 48610500),
        ("13:30:10.008007006", "NANOTIME", 48610008007006),
        ("1970.01.02T00:00:01", "DATETIME", 86401),
        ("1970.01.02 00:00:01", "DATETIME", 86401),
        ("1970.01.01T00:00:01.002", "TIMESTAMP", 1002),
        ("1970.01.01T00:00:00.000000007", "NANOTIMESTAMP", 7),
        ("1970.01.02T05", "DATEHOUR", 29),
        ("3d", "DURATION", (3, "d")),
        ("-5s", "DURATION", (-5, "s")),
        ("10H", "DURATION", (10, "H")),
        ("1M", "DURATION", (1, "M")),
        ("4XNYS", "DURATION", (4, "XNYS")),
    ],
)
def test_constant(text: str, kind: str, value: object) -> None:
    assert parse_expression(text) == Literal(kind, value, span=None)


@pytest.mark.parametrize("text", ["2024.13.01", "2024.02.30", "25:00m", "10:61:00", "300c", "3q", "1.5h", '"abc', "5b"])
def test_what_is_no_constant_is_refused(text: str) -> None:
    with pytest.raises(ScriptSyntaxError):
        parse_expression(text)


def values(text: str) -> list[object]:
    vector = parse_expression(text)
    assert isinstance(vector, VectorLiteral)
    return [item.value for item in vector.items]


def test_constants_separated_by_spaces_make_a_vector() -> None:
    assert values("1 2 3") == [1, 2, 3]
    assert values("1 -2 NULL 3.5") == [1, -2, None, 3.5]
    assert values("-1 2 -3") == [-1, 2, -3]
    assert values("`A`B`C") == ["A", "B", "C"]
    assert values('"a" "b"') == ["a", "b"]
    assert values("[1,,3]") == [1, None, 3]


def test_an_error_shows_the_line_and_the_place() -> None:
    with pytest.raises(ScriptSyntaxError) as caught:
        parse_expression("1 +\n2 3 20abc")
    error = caught.value
    assert str(error) == "Syntax Error: [line #2] Cannot recognize the token 20abc"
    assert error.excerpt == "2 3 20abc\n    ^^^^^"
    assert (error.span.line, error.span.column) == (2, 5)
