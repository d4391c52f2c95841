"""Script files, modules given as texts, and the limits of a running server."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ScriptError

Engine = Any

MODULES = r"""
loadModuleFromScript(["test2", "test1"], [
    "module test2\nuse test1\ndef both(x, y) { return fst(x) + scd(y) }",
    "module test1\ndef fst(x) { return x + 1 }\ndef scd(x) { return x + 2 }"
])
"""


def test_modules_from_scripts(engine: Engine) -> None:
    engine.run(MODULES)
    assert engine.run("test2::both(2, 3)") == "8"
    assert engine.run("exec moduleName from getLoadedModules()") == '["test1","test2"]'
    with pytest.raises(ScriptError, match="fst"):
        engine.run("fst(1)")
    engine.run('loadModuleFromScript("test1", "module test1\\ndef scd(x) { return 0 }")')
    assert engine.run("use test1; scd(5)") == "7"
    engine.run('loadModuleFromScript("test1", "module test1\\ndef scd(x) { return 0 }", true)')
    assert engine.run("test1::scd(5)") == "0"
    with pytest.raises(ScriptError, match="start script"):
        engine.run('loadModule("test1")')


def test_script_files(engine: Engine) -> None:
    (engine.data / "files" / "x.dos").write_text("y = 5\ndef inc(x) { return x + 1 }\n")
    engine.run('z = 1; run("x.dos", clean=false)')
    assert engine.run("inc(y) + z") == "7"
    engine.run('y = 1; run("x.dos", true, false)')
    assert engine.run("y") == "1"
    engine.run('run "x.dos"')
    with pytest.raises(ScriptError):
        engine.run("z")
    engine.run('createUser("bea", "secret1")')
    with pytest.raises(ScriptError, match="Not granted to run script files"):
        engine.run('run("x.dos")', "bea")
    engine.run('grant("bea", SCRIPT_EXEC)')
    engine.run('run("x.dos")', "bea")


def test_tasks_in_steps(engine: Engine) -> None:
    engine.run("def load(m) { return m * 10 }\ndef save(t) { print t }")
    assert engine.run("pipeline(each(partial{load}, 1..3), (x -> x + 1, x -> x * 2))") == "(22,42,62)"
    engine.run("pipeline(each(partial{load}, 1..2), save)")
    assert engine.printed == ["10", "20"]


def test_what_queries_and_variables_are(engine: Engine) -> None:
    engine.run("parts = objectComponent(<exec top 5 max(a) as m from t where a > 1 context by c>)")
    assert engine.run("(parts[`exec], parts[`groupFlag], parts[`rowCount])") == "(1,0,< 5 >)"
    assert engine.run('h = database("", VALUE, 1 2); g = h; refCount(`h)') == "2"


def test_limits_are_changed_for_good_reasons_only(engine: Engine) -> None:
    engine.run('setDynamicConfig("maxMemSize", 0.5); setMaxConnections(300)')
    assert engine.run("exec maxMemSize from getClusterPerf()") == "[0.5]"
    assert engine.node.connection_limit == 300
    for script in ("setMaxConnections(10)", "setMaxMemSize(1000000)", 'setDynamicConfig("other", 1)'):
        with pytest.raises(ScriptError, match="must be"):
            engine.run(script)
    engine.run('createUser("bea", "secret1"); lockUser("bea")')
    engine.reopen()
    assert engine.run("exec user from getUserLockedStatus()") == '["bea"]'
    with pytest.raises(ScriptError, match="incorrect"):
        engine.run('login("bea", "secret1")')
    engine.run('unlockUser("bea"); login("bea", "secret1")')
    with pytest.raises(ScriptError, match="Only administrators"):
        engine.run('setDynamicConfig("maxMemSize", 1)')
