"""Backups of stored tables, by copying and by queries."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ScriptError

Engine = Any

SETUP = """
t = table(take(0..99, 200) as id, take(2024.01.01..2024.01.04, 200) as day, 1.0 * 1..200 as x,
    take(`a`b`, 200)$SYMBOL as s, take(decimal64([1.25, NULL], 2), 200) as d)
db = database("dfs://b", COMPO, [database(, VALUE, 2024.01.01..2024.01.04), database(, RANGE, 0 50 100)])
pt = db.createPartitionedTable(t, `pt, `day`id).append!(t)
dt = db.createDimensionTable(t, `dt).append!(t)
"""


@pytest.fixture
def filled(engine: Engine) -> Engine:
    engine.run(SETUP)
    return engine


def test_only_what_changed_is_saved_again(filled: Engine) -> None:
    run = filled.run
    assert run('backup("k", "dfs://b")') == "9"
    assert run('backupDB("k", "dfs://b")') == "0"
    run("update pt set x = 0.0 where day = 2024.01.02, id < 50")
    assert run('backupTable("k", "dfs://b", "pt")') == "1"
    assert run('backup("k", "dfs://b", true, false, true, `pt, 2024.01.03)') == "2"
    assert run('backup("k", "dfs://b", true, false, true, `pt, [2024.01.03, 50])') == "1"
    with pytest.raises(ScriptError, match="made by copying"):
        run('backup("k", <select * from pt>)')


def test_restoring_what_is_lost(filled: Engine) -> None:
    run = filled.run
    run('backup("k", "dfs://b"); db.dropPartition("/20240101/0_50", `pt); update pt set x = 0.0 where day = 2024.01.02')
    filled.reopen()
    assert run('restore("k", "dfs://b", "pt", "%20240101%")') == '["dfs://b/20240101/0_50"]'
    assert run('size(restore("k", "dfs://b", "pt", "%"))') == "3"
    run('t = select * from loadTable("dfs://b", `dt)')
    assert run('eqObj((select * from loadTable("dfs://b", `pt) order by x), (select * from t order by x))') == "1"
    run(
        'delete from loadTable("dfs://b", `dt); restoreTable("k", "dfs://b", `dt); restoreDB("k", "dfs://b", "dfs://c")'
    )
    assert run('eqObj((select * from loadTable("dfs://c", `dt)), select * from loadTable("dfs://b", `dt))') == "1"


def test_a_backup_by_query(filled: Engine) -> None:
    run = filled.run
    assert run('backup("q", <select * from pt where day > 2024.01.02, x > 3>)') == "4"
    assert run('exec count(*) from loadBackup("q", "dfs://b", "/20240103/0_50", `pt)') == "23"
    run('dropDatabase("dfs://b")')
    assert run('exec success from migrate("q")') == "[1]"
    assert run('exec success from migrate("q")') == "[0]"
    run('migrate("q", "dfs://b", "pt", "dfs://c", "p")')
    assert run('exec count(*) from loadTable("dfs://c", `p)') == run('exec count(*) from loadTable("dfs://b", `pt)')


def test_damaged_files_are_found_and_not_restored(filled: Engine) -> None:
    run = filled.run
    run('backup("k", "dfs://b")')
    assert run('rows(checkBackup("k", "dfs://b"))') == "0"
    file = next((filled.data / "files" / "k").glob("*/dt/*.partition"))
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    assert run('exec partitionPath from checkBackup("k", "dfs://b")') == '["/dt"]'
    with pytest.raises(ScriptError, match="damaged"):
        run('restore("k", "dfs://b", "dt", "%", true)')
    assert run('backup("k", "dfs://b")') == "1"
    assert run('exec rows from getBackupList("k", "dfs://b", "dt")') == "[200]"


def test_backups_are_read_with_the_rights_on_their_table(filled: Engine) -> None:
    filled.run('backup("q", <select * from pt>); createUser("bea", "secret1"); grant("bea", DB_MANAGE)')
    for script in (
        'loadBackup("q", "dfs://b", "/20240103/0_50", `pt)',
        'backupDB("mine", "dfs://b")',
        'restore("q", "dfs://b", "pt", "%")',
    ):
        with pytest.raises(ScriptError, match="Not granted to read"):
            filled.run(script, "bea")
    assert "Not granted to read" in filled.run(
        'exec errorMsg from migrate("q", "dfs://b", "pt", "dfs://c", "p")', "bea"
    )
