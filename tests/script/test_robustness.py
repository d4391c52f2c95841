"""Nothing that can be typed crashes the parser, overflows the stack or takes long."""

from __future__ import annotations

import contextlib
import copy
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dolphin.script import ScriptSyntaxError, parse, unparse
from dolphin.script.effects import effects
from dolphin.script.lint import fix, lint
from dolphin.script.symbols import symbols

TOKENS = """
select exec from where group by context by order by limit 5 top 3 update set delete from insert into values def f
( ) [ ] { } < > , ; : . .. -> = == + - * / \\ % $ ! & | ^ ? @ # `a `b "s" 's' 'c' _"x" _$y 1 2.5 3d 2024.01.01
13:30m 00i NULL true x y sum avg if else for in while do try catch return throw share as go use case when then end
not and or between like is null with union all over partition timer transaction class :: +:E f:E // /* */
"""
PIECES = st.sampled_from([*TOKENS.split(), "\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map(" ".join))
@example("select * from t where a > ")
@example("x = <")
@example("{")
@example("f(,")
def test_any_sequence_of_tokens_parses_or_is_refused(text: str) -> None:
    effects(text)
    symbols(text)
    lint(text)
    with contextlib.suppress(ScriptSyntaxError):
        unparse(parse(text))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    effects(text)
    fix(text)
    symbols(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "[" * 20_000,
        "{" * 20_000,
        "f(" * 20_000,
        "-" * 20_000 + "1",
        "sum " * 20_000 + "x",
        "x->" * 20_000 + "1",
        "a?b:" * 10_000 + "c",
        "if(a){" * 10_000,
        "if(a){} else " * 20_000 + "{}",
        "(select * from " * 20_000,
        "not " * 20_000 + "x",
        "case when " * 10_000,
        "1+" * 20_000 + "1",
        "a" + ".b" * 20_000,
        "select 1 " + "union select 1 " * 5_000,
    ],
    ids=lambda text: text[:12],
)
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(ScriptSyntaxError, match=r"nested too deeply|too long"):
        parse(text)


@pytest.mark.parametrize("text", ["\x00\x01\x02", "\x7fELF\x02\x01", "，", "a = “b”"])
def test_what_is_not_text_is_named(text: str) -> None:
    with pytest.raises(ScriptSyntaxError, match="Cannot recognize"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["x = a + b * c\n" * 70_000, "1 " * 500_000, '"' * 1_000_001, "/*" * 500_000, "`" * 1_000_000, "1" * 1_000_000],
    ids=["lines", "vector", "quotes", "comments", "backticks", "digits"],
)
def test_a_megabyte_takes_seconds(text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(ScriptSyntaxError):
        parse(text)
    assert time.process_time() - started < 8


def test_the_deepest_accepted_trees_can_be_used() -> None:
    for text in ("1+" * 200 + "1", "[" * 80 + "]" * 80, "f(" * 80 + ")" * 80, "if(a){" * 40 + "}" * 40):
        tree = parse(text)
        assert parse(unparse(tree)) == tree
        assert copy.deepcopy(tree) == tree
        effects(tree)
        lint(text)
