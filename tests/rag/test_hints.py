from __future__ import annotations

import time

import pytest

from rag.hints import documentation_hint
from rag.knowledge import KnowledgeBase

UNKNOWN = "Cannot recognize the token {}"

PLANTED = [
    (UNKNOWN.format("movingAvg"), "select movingAvg(price, 5) from t", "mavg"),
    (UNKNOWN.format("cumSum"), "select cumSum(qty) from t", "cumsum"),
    (UNKNOWN.format("fillna"), "fillna(x, 0)", "nullFill"),
    (UNKNOWN.format("shift"), "update t set p = price.shift(1)", "prev"),
    (UNKNOWN.format("ifelse"), "ifelse(x > 1, 1, 0)", "iif"),
    (UNKNOWN.format("to_csv"), 't.to_csv("a.csv")', "saveText"),
    (UNKNOWN.format("createPartionedTable"), "db.createPartionedTable(t, `t, `d)", "createPartitionedTable"),
    (UNKNOWN.format("rolling"), "price.rolling(5).mean()", "mavg"),
    (UNKNOWN.format("tz_convert"), "ts.tz_convert(`UTC)", "convertTZ"),
    ("The window must be an integer.", "mavg(5, price)", "mavg"),
    ("The weights must be a vector.", "select wavg(price) from t group by sym", "wavg"),
    ("Invalid argument.", "split(`,, 'a,b')", "split"),
]


@pytest.mark.parametrize(("error", "script", "function"), PLANTED)
def test_the_right_signature_is_in_the_hint(built: KnowledgeBase, error: str, script: str, function: str):
    searcher = built.searcher()
    found = searcher.page(function)
    assert found is not None
    hint = documentation_hint(searcher, error, script)
    assert found[0].signatures[0] in hint.text
    assert function in hint.functions


def test_what_the_script_defines_itself_is_not_called_unknown(built: KnowledgeBase):
    hint = documentation_hint(built.searcher(), "Division by zero", "def mavgg(x){ return 1\\x }\nmavgg(0)")
    assert "no function mavgg" not in hint.text


def test_names_in_strings_and_comments_do_not_count(built: KnowledgeBase):
    hint = documentation_hint(built.searcher(), "Division by zero", '1\\0 // mavg(x)\nx = "cumsum(x)"')
    assert hint.functions == ()


def test_an_error_the_guides_explain_leads_to_its_page(built: KnowledgeBase):
    hint = documentation_hint(built.searcher(), "Unrecognized column name [foo].", "select foo from t")
    assert "Unrecognized column name" in hint.text
    assert "guides/en/error-codes.md" in hint.text


def test_hints_are_short(built: KnowledgeBase):
    script = "\n".join(f"{name}(x)" for name in ("mavg", "msum", "cumsum", "prev", "split", "iif", "wavg", "saveText"))
    hint = documentation_hint(built.searcher(), "Invalid argument.", script)
    assert len(hint.functions) <= 5
    assert len(hint.text) < 1500


@pytest.mark.parametrize("script", ['x = "' + 'a\\"' * 200_000, "/*" * 200_000, "f(" * 200_000, "a." * 200_000])
def test_enormous_scripts_take_no_longer_than_others(built: KnowledgeBase, script: str):
    started = time.monotonic()
    documentation_hint(built.searcher(), "Syntax error" * 10_000, script)
    assert time.monotonic() - started < 5
