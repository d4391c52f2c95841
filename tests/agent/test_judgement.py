"""What is known of a session decides which scripts need approval; what is not certain always does."""

from __future__ import annotations

import pytest

from dolphin.script.effects import Effect
from graph.judgement import Session, judge


def level(script: str, *earlier: str) -> Effect:
    """The level of a script after earlier ones; one that begins with ! has failed."""
    session = Session()
    for text in earlier:
        session.after(text.removeprefix("!"), succeeded=not text.startswith("!"))
    return judge(script, lambda: session).level


@pytest.mark.parametrize(
    ("script", "earlier"),
    [
        ("update t set a = 3", "t = table(1 2 as a)"),
        ("t.append!(t)", 't = select * from loadTable("dfs://a", "b")'),
        ("delete from t where a > 1", 't = loadText("/data/x.csv")'),
        ("f(3)", "def f(x) { return x + 1 }"),
        ("f(3)", "def g(x) { return x }\ndef f(x) { return g(x) }"),
    ],
)
def test_what_earlier_scripts_made_in_the_session_needs_no_approval(script: str, earlier: str) -> None:
    assert level(script) > Effect.session
    assert level(script, earlier) <= Effect.session


@pytest.mark.parametrize(
    ("script", "earlier"),
    [
        ("update t set a = 3", ["t = table(1 2 as a)", '!t = loadTable("dfs://x", "y")']),
        ("update t set a = 3", ["t = table(1 2 as a)", 't = loadTable("dfs://x", "y")']),
        ("update t set a = 3", ["t = table(1 2 as a)", "for (t in 1..3) { t = makeIt(t) }"]),
        ("delete from t", ["t = table(1 2 as a)", "share t as u"]),
        ("delete from t", ["t = table(1 2 as a); share t as u"]),
        ("delete from t", ["t = table(1 2 as a)", 'share(t, "u")']),
        ("f(3)", ['def f(x) { dropTable(database("dfs://x"), `t) }']),
        ("f(3)", ['def f(x) { dropTable(database("dfs://x"), `t) }', "1 + 1"]),
        ("f(3)", ['f = x -> dropTable(database("dfs://x"), `t)']),
        ("f(db, `t)", ["f = dropTable"]),
        ("f(3)", ["def f(x) { return x }", "!def f(x) { dropDatabase(x) }"]),
        ("f(3)", ["def f(x) { return x }", "f = dropDatabase"]),
        ("delete from t", ["t = table(1 2 as a)", "what our parser @@ cannot read ("]),
        ("eval(c)", ["c = <dropTable(db, `t)>"]),
        ("t.append!(t)", ["t = table(1 as a)", "def t(x) { return dropTable }"]),
    ],
)
def test_what_is_not_certain_needs_approval(script: str, earlier: list[str]) -> None:
    assert level(script, *earlier) > Effect.session


def test_findings_are_placed_in_the_script_itself() -> None:
    session = Session()
    session.after("t = table(1 2 as a)\ndef f(x) { return x }", succeeded=True)
    found = judge("update t set a = 1\nf(1)\ndropDatabase('dfs://x')", lambda: session)
    [dropped] = [finding for finding in found.findings if finding.effect is Effect.destroy]
    assert dropped.span.line == 3
