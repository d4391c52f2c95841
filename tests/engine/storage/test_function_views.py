"""Functions for all sessions that run with the rights of who added them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ScriptError

Engine = Any

SETUP = """
db = database("dfs://v", VALUE, 1..3)
db.createPartitionedTable(table(1..3 as id, 1.5 2.5 3.5 as x), `pt, `id).append!(table(1..3 as id, 1.5 2.5 3.5 as x))
createUser("bea", "secret1")
def twice(x) { return x * 2 }
def meanFrom(k=1) {
    // the comment stays with it
    f = y -> twice(y) + 1
    return exec f(avg(x)) from loadTable("dfs://v", "pt") where id >= k
}
addFunctionView(meanFrom)
"""


@pytest.fixture
def views(engine: Engine) -> Callable[..., str]:
    engine.run(SETUP)
    run: Callable[..., str] = engine.run
    return run


def test_a_view_reads_what_its_caller_may_not(views: Callable[..., str], engine: Engine) -> None:
    with pytest.raises(ScriptError, match="Not granted to execute the function view"):
        views("meanFrom()", "bea")
    views('grant("bea", VIEW_EXEC, "meanFrom")')
    assert views("meanFrom(2)", "bea") == "7"
    with pytest.raises(ScriptError, match="Not granted to read"):
        views('select * from loadTable("dfs://v", `pt)', "bea")
    views('deny("bea", VIEW_EXEC, meanFrom)')
    with pytest.raises(ScriptError, match="Not granted to execute"):
        views("meanFrom()", "bea")


def test_views_outlive_the_process_with_what_they_call(views: Callable[..., str], engine: Engine) -> None:
    views('grant("bea", VIEW_EXEC, "meanFrom")')
    engine.reopen()
    assert views("meanFrom()", "bea") == "6"
    assert "meanFrom" in views("getFunctionViews()")
    views('dropFunctionView("meanFrom")')
    engine.reopen()
    with pytest.raises(ScriptError, match="meanFrom"):
        views("meanFrom()")


def test_the_rights_of_the_owner_are_not_lent_to_the_caller(views: Callable[..., str]) -> None:
    views("def apply(f) { return f() }\naddFunctionView(apply)")
    views('grant("bea", VIEW_EXEC, "apply"); grant("bea", VIEW_EXEC, "meanFrom")')
    with pytest.raises(ScriptError, match="Not granted to read"):
        views('apply(def () { return exec sum(x) from loadTable("dfs://v", `pt) })', "bea")
    assert views("def twice(x) { return 1000 }\nmeanFrom()", "bea") == "6"
    with pytest.raises(ScriptError, match="already exists"):
        views("addFunctionView(meanFrom)")


def test_who_may_add_and_drop(views: Callable[..., str]) -> None:
    with pytest.raises(ScriptError, match="VIEW_OWNER"):
        views("def own() { return 1 }\naddFunctionView(own)", "bea")
    views('grant("bea", VIEW_OWNER)')
    assert "bea" in views("addFunctionView(own); getFunctionViews()", "bea")
    assert "meanFrom" not in views("getFunctionViews()", "bea")
    with pytest.raises(ScriptError, match="belongs to somebody else"):
        views('dropFunctionView("meanFrom")', "bea")
    with pytest.raises(ScriptError, match="function with a name"):
        views("addFunctionView(x -> x)")


def test_modules_as_views(engine: Engine) -> None:
    folder = engine.data / "modules" / "lib"
    folder.mkdir(parents=True)
    (folder / "calc.dos").write_text("module lib::calc\ndef one(){ return 1 }\ndef two(){ return one() + 1 }\n")
    engine.run('createUser("bea", "secret1"); addFunctionView("lib::calc"); grant("bea", VIEW_EXEC, "lib::calc::*")')
    engine.reopen()
    assert engine.run("lib::calc::two()", "bea") == "2"
    engine.run('dropFunctionView("lib::calc", true)')
    assert engine.run('getUserAccess("bea")[`VIEW_EXEC_allowed]') == '[""]'
    with pytest.raises(ScriptError, match="no function views in the namespace"):
        engine.run('grant("bea", VIEW_EXEC, "lib::calc::*")')
