from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from dolphin.capture import RESULT, capture, description
from dolphin.quoting import identifier, quoted
from dolphin.script.parser import parse

KEPT = [
    "select * from t",
    "select * from t where a > 1 // the rest\n",
    "x = 1; x + 1",
    "def f(x) {\n    return x\n}\nf(3);",
    "t.append!(u)",
    "`a`b`c",
    'loadTable("dfs://db", "t")',
    "exec max(price) from trades",
    '"中文" + "a"',
    "1..10",
]
UNCHANGED = [
    "",
    "// nothing",
    "x = 1",
    "print(1)",
    'dropTable(db, "t")',
    "update t set a = 1",
    "delete from t",
    "for (i in 1..3) { print(i) }",
    "share t as s",
    "undef(`t)",
    "def f(x) { return x }",
    "this is ( not script",
    "t.dropColumns!(`a)",
    "a::b::f(1)",
    "unknownFunction(1)",
    "def f() { print(1) }\nf()",
    "def f(x) { if (x > 1) { return x } }\nf(1)",
]


@pytest.mark.parametrize("script", KEPT)
def test_the_last_value_is_kept_and_nothing_else_changes(script: str) -> None:
    captured = capture(script)
    assert captured.name == RESULT
    ending = "\n" + description(RESULT)
    assert captured.text.endswith(ending)
    body = captured.text.removesuffix(ending)
    assert body.count(f"{RESULT} = ") == 1
    restored = body.replace(f"{RESULT} = ", "")
    assert restored.replace(";", "") == script.replace(";", "")
    assert parse(captured.text)
    assert captured.text.count("\n") == script.count("\n") + 1


@pytest.mark.parametrize("script", UNCHANGED)
def test_a_script_without_a_last_value_is_sent_as_it_is(script: str) -> None:
    captured = capture(script)
    assert (captured.text, captured.name) == (script, None)


def test_a_variable_is_described_where_it_stands_not_copied() -> None:
    assert capture("t = table(1..3 as a)\nt // shown").text == (f"t = table(1..3 as a)\n{description('t')} // shown")


def test_a_query_does_not_run_on_into_the_description() -> None:
    assert capture("select * from t").text == f"{RESULT} = select * from t;\n{description(RESULT)}"


def test_functions_of_earlier_scripts_are_known() -> None:
    first = capture("def f(x) { if (x > 1) { return x } else { throw `no } }\ndef g() { print(1) }")
    assert first.functions == {"f": True, "g": False}
    assert capture("f(3)", first.functions).name == RESULT
    assert capture("g()", first.functions).name is None
    assert capture("f(3)").name is None


def test_texts_are_quoted() -> None:
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'
    with pytest.raises(InvalidInputError):
        quoted("a\x00b")


@pytest.mark.parametrize("text", ["", "1a", "a b", "a;drop", "a`b", "a.b", "名字"])
def test_odd_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        identifier(text)
