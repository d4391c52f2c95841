from __future__ import annotations

import pytest

from engine.errors import ScriptError
from engine.interpreter import Interpreter
from engine.types import Type
from engine.values import Table, Vector
from tests.engine.sql.conftest import Run


def test_update_changes_rows_in_place_and_keeps_the_type(run: Run, interpreter: Interpreter) -> None:
    run("t = table(1 2 3 as x, `a`b`a as s)\nupdate t set x = x * 2.0 where s = `a")
    assert run("t") == {"x": [2, 2, 6], "s": ["a", "b", "a"]}
    table = interpreter.run("t")
    assert isinstance(table, Table)
    assert isinstance(table.columns[0], Vector)
    assert table.columns[0].type is Type.INT


def test_update_adds_columns(run: Run) -> None:
    run("t = table(1 2 3 as x)\nupdate t set y = x + 0.5, z = `new where x > 1")
    assert run("t") == {"x": [1, 2, 3], "y": [None, 2.5, 3.5], "z": [None, "new", "new"]}


def test_rows_met_by_the_last_change(run: Run) -> None:
    assert run("matchedRowCount()") == 0
    run("t = keyedTable(`s, `a`b`c as s, 1 2 3 as x)\ninsert into t values(`a`z, 6 3)")
    assert run("matchedRowCount()") == 1
    run("update t set x = 0 where x > 2")
    assert run("matchedRowCount()") == 3
    run("delete from t where s = `a")
    assert run("matchedRowCount()") == 1


def test_update_by_groups(run: Run) -> None:
    run("t = table(`b`a`b`a as s, 1 2 3 4 as x)")
    run("update t set total = sum(x), run = cumsum(x) context by s")
    assert run("t") == {"s": ["b", "a", "b", "a"], "x": [1, 2, 3, 4], "total": [4, 6, 4, 6], "run": [1, 2, 4, 6]}
    run("update t set run = cumsum(x) context by s csort x desc")
    assert run("exec run from t") == [4, 6, 3, 4]


def test_update_from_a_join(run: Run) -> None:
    run("t = table(1 2 3 as id, 10 20 30 as v)\nw = table(3 1 as id, 0.5 2.0 as factor)")
    run("update t set v = v * factor from ej(t, w, `id)")
    assert run("t") == {"id": [1, 2, 3], "v": [20, 20, 15]}


def test_a_new_symbol_in_an_update_does_not_disturb_the_others(run: Run) -> None:
    run("t = table(symbol(`a`b`c) as s, 1 2 3 as x)\nupdate t set s = `z where x = 2")
    assert run("exec s from t") == ["a", "z", "c"]


def test_delete(run: Run) -> None:
    run("t = table(1 2 3 4 as x)\ndelete from t where x > 1, x < 4")
    assert run("t") == {"x": [1, 4]}
    run("delete from t")
    assert run("t") == {"x": []}


def test_insert_values_rows_columns_and_queries(run: Run) -> None:
    run("t = table(10:0, `sym`x`y, [SYMBOL, INT, DOUBLE])")
    run("insert into t values(`a, 1, 2)\ninsert into t values(`b`c, 2 3, 4.5 5.5)")
    run("insert into t (y, sym) values (7, `d)\ninsert into t values(`e, 5, NULL), (`f, 6, 1)")
    run("insert into t select sym, x + 10, y from t where x = 1")
    assert run("t") == {
        "sym": ["a", "b", "c", "d", "e", "f", "a"],
        "x": [1, 2, 3, None, 5, 6, 11],
        "y": [2.0, 4.5, 5.5, 7.0, None, 1.0, 2.0],
    }


def test_insert_refuses_what_does_not_fit(run: Run) -> None:
    run("t = table(10:0, `a`b, [INT, DATE])")
    with pytest.raises(ScriptError, match="number of values"):
        run("insert into t values(1)")
    with pytest.raises(ScriptError, match="same length"):
        run("insert into t values(1 2 3, 2024.01.01 2024.01.02)")
    with pytest.raises(ScriptError, match=r"\[c\]"):
        run("insert into t (c) values (1)")
    with pytest.raises(ScriptError, match=r"\[a\] expects type of INT, but the actual type is STRING"):
        run('insert into t values("1", 2024.01.01)')
    with pytest.raises(ScriptError, match=r'\[b\] expects type of DATE, which "tomorrow" is not'):
        run('insert into t values(1, "tomorrow")')
    assert run("t") == {"a": [], "b": []}
    run('insert into t values(1.6, "2024.01.02")')
    assert run("t") == {"a": [2], "b": [19724]}
    with pytest.raises(ScriptError, match=r"\[b\] expects type of DATE, but the actual type is INT"):
        run("update t set a = 5, b = a")
    assert run("t") == {"a": [2], "b": [19724]}


def test_rows_are_changed_by_subqueries_about_them(run: Run) -> None:
    run("t = table(1 2 3 as k, 10 20 30 as v)\nu = table(3 1 3 as k, 5 6 7 as w)")
    run("update t set v = (select max(w) from u where u.k = t.k) where exists (select * from u where u.k = t.k)")
    assert run("exec v from t") == [6, 20, 7]
    run("delete from t where not exists (select * from u where u.k = t.k)")
    assert run("exec k from t") == [1, 3]


def test_keyed_tables_replace_rows_with_equal_keys(run: Run) -> None:
    run("t = keyedTable(`s`d, 10:0, `s`d`x, [SYMBOL, INT, DOUBLE])")
    run("insert into t values(`a`b`a, 1 1 2, 1 2 3)\ninsert into t values(`a`c`c, 1 1 1, 10 20 30)")
    assert run("t") == {"s": ["a", "b", "a", "c"], "d": [1, 1, 2, 1], "x": [10.0, 2.0, 3.0, 30.0]}


def test_latest_keyed_tables_ignore_older_rows(run: Run) -> None:
    run("t = latestKeyedTable(`s, `time, `a`b as s, 5 5 as time, 1 2 as x)")
    run("insert into t values(`a`b`a, 4 6 7, 10 20 30)")
    assert run("t") == {"s": ["a", "b"], "time": [7, 6], "x": [30, 20]}


def test_upsert_can_leave_values_alone_where_new_ones_are_null(run: Run) -> None:
    run("t = keyedTable(`s, `a`b`c as s, 1 2 3 as x, 5 6 7 as y)")
    run("n = table(`a`b`c`d as s, NULL NULL 300 400 as x, NULL 600 700 800 as y)")
    assert run("tableUpsert(t, n, ignoreNull=true)") == [1, 2]
    assert run("t") == {"s": ["a", "b", "c", "d"], "x": [1, 2, 300, 400], "y": [5, 600, 700, 800]}
    run("upsert!(t, n)")
    assert run("exec x from t") == [None, None, 300, 400]


def test_create_alter_and_drop_in_memory_tables(run: Run) -> None:
    run("create table t(a INT, b SYMBOL, c DECIMAL32(2))\ninsert into t values(1, `x, 2.5)\nalter table t add d DOUBLE")
    assert run("t") == {"a": [1], "b": ["x"], "c": [250], "d": [None]}
    run("drop table t")
    with pytest.raises(ScriptError, match="does not exist"):
        run("drop table t")
    run("drop table if exists t")


def test_a_reader_keeps_what_it_selected(run: Run) -> None:
    run("t = table(1 2 3 as x)\nbefore = select * from t\nupdate t set x = 0\ninsert into t values(9)")
    assert run("before") == {"x": [1, 2, 3]}


def test_tables_that_share_columns_grow_apart(run: Run) -> None:
    run("t = table(1..100 as x)\ninsert into t values(101)\nu = select * from t")
    run("insert into u values(1000)\ninsert into t values(102)\ninsert into u values(1001)")
    assert run("exec x from t where x > 100") == [101, 102]
    assert run("exec x from u where x > 100") == [101, 1000, 1001]


def test_metacode_updates_a_table_through_a_join(run: Run) -> None:
    run("t = table(`a`b as s, 1 2 as x)\nw = table(`b`a as s, 10 20 as y)")
    run("sqlUpdate(t, <x * y as z>, from=<lj(t, w, `s)>).eval()")
    assert run("exec z from t") == [20, 20]
    with pytest.raises(ScriptError, match="must join the table"):
        run("update t set x = 1 from ej(w, w, `s)")
