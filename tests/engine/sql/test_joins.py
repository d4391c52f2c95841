from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ScriptError
from engine.sql.matching import TimeIndex, equal_pairs, last_before
from tests.engine.sql.conftest import Run


@pytest.fixture
def tables(run: Run) -> Run:
    run("t1 = table(1 2 3 3 as id, 7.8 4.6 5.1 0.1 as value, 4 3 2 1 as x)")
    run("t2 = table(5 3 1 as id, 300 500 800 as qty, 44 66 88 as x)")
    return run


def test_equi_join_keeps_the_order_of_the_left_table(tables: Run) -> None:
    assert tables("select * from ej(t1, t2, `id)") == {
        "id": [1, 3, 3], "value": [7.8, 5.1, 0.1], "x": [4, 2, 1], "qty": [800, 500, 500], "t2_x": [88, 66, 66],
    }  # fmt: skip
    assert tables("select id, value from ej(t2, t1, `id)") == {"id": [3, 3, 1], "value": [5.1, 0.1, 7.8]}
    assert tables("ej(t1, t2, `id)") == tables("select * from t1 inner join t2 on t1.id = t2.id")


def test_columns_of_a_join_can_be_qualified(tables: Run) -> None:
    assert tables("select t1.x, t2.x as other, qty from ej(t1, t2, `id) where t2.x > 70") == {
        "x": [4], "other": [88], "qty": [800],
    }  # fmt: skip
    assert tables("select a.id, b.qty from t1 a join t2 b on a.id = b.id") == {"id": [1, 3, 3], "qty": [800, 500, 500]}


def test_left_joins(tables: Run) -> None:
    assert tables("exec qty from lj(t1, t2, `id)") == [800, None, 500, 500]
    assert tables("exec value from lj(t2, t1, `id)") == [None, 5.1, 0.1, 7.8]
    assert tables("exec value from lsj(t2, t1, `id)") == [None, 5.1, 7.8]
    assert tables("exec qty from t1 left join t2 on t1.id = t2.id and t2.qty > 600") == [800, None, None, None]


def test_full_and_right_join_keep_both_keys(tables: Run) -> None:
    assert tables("fj(t1, t2, `id)") == {
        "id": [1, 2, 3, 3, None], "value": [7.8, 4.6, 5.1, 0.1, None], "x": [4, 3, 2, 1, None],
        "t2_id": [1, None, 3, 3, 5], "qty": [800, None, 500, 500, 300], "t2_x": [88, None, 66, 66, 44],
    }  # fmt: skip
    assert tables("exec t2_id from t1 right join t2 on t1.id = t2.id") == [5, 3, 3, 1]


def test_sorted_equi_join_and_cross_join(tables: Run) -> None:
    assert tables("exec id from sej(t2, t1, `id)") == [1, 3, 3]
    assert tables("exec count(*) from cj(t1, t2)") == 12


def test_joins_on_equal_expressions(tables: Run) -> None:
    assert tables("select t1.id, qty from t1 left join t2 on t1.id + 2 = t2.id") == {
        "id": [1, 2, 3, 3], "qty": [500, None, 300, 300],
    }  # fmt: skip
    assert tables("exec qty from t1 join t2 on t2.x / 22 = t1.x and t1.id * 2 = t2.id - 1") == []
    assert tables("exec qty from t1 join t2 on t2.x / 22 = t1.x") == [800, 500, 300]


def test_join_columns_with_other_names_and_types(run: Run) -> None:
    run("a = table(`x`y`z as s, 1 2 3 as v)\nb = table(symbol(`z`x) as name, 1 2 as day, 10 20 as w)")
    assert run("select s, v, w from ej(a, b, `s, `name)") == {"s": ["x", "z"], "v": [1, 3], "w": [20, 10]}
    assert run("exec w from lj(a, b, `s`v, `name`day)") == [None, None, None]
    assert run("exec w from lj(table(1l 2l as k), table(2 1 as k, 5 6 as w), `k)") == [6, 5]
    run("a = table(decimal64(1.5 2.25 2, 2) as m, 1 2 3 as v)\nb = table(decimal32(1.5 2.3, 1) as m, 5 6 as w)")
    assert run("exec w from lj(a, b, `m)") == [5, None, None]
    assert run("exec w from lj(a, table(1 2 as m, 7 8 as w), `m)") == [None, None, 8]
    assert run("exec w from lj(a, table(2.25 1 as m, 7 8 as w), `m)") == [None, 7, None]
    assert run("exec v from a where m > any (select m from b), m = any (select m from a where v > 1)") == [2, 3]


def test_asof_join_takes_the_last_row_not_later(run: Run) -> None:
    run("a = table(2015.01.01+(0 31 59 90 120) as date, 1..5 as v)")
    run("b = table(2015.02.01+(0 15 89 89) as date, 1..4 as q)")
    assert run("select v, q from aj(a, b, `date)") == {"v": [1, 2, 3, 4, 5], "q": [None, 1, 2, 2, 4]}
    assert list(run("select * from aj(a, b, `date)")) == ["date", "v", "b_date", "q"]


def test_asof_join_within_keys_with_unsorted_left(run: Run) -> None:
    run("a = table(`x`y`x`x as s, 5 5 1 9 as t)\nb = table(`x`y`x`y as s, 2 4 6 8 as t, 10 20 30 40 as q)")
    assert run("exec q from aj(a, b, `s`t)") == [10, 20, None, 30]


def test_window_join_includes_both_ends(run: Run) -> None:
    run("a = table(`A`A`B as sym, 09:56:06 09:56:07 09:56:06 as time)")
    run("b = table(take(`A, 10) join take(`B, 10) as sym, take(09:56:00+1..10, 20) as time, 1..20 as v)")
    assert run("wj(a, b, -2s:0s, <[sum(v), count(v) as n]>, `sym`time)") == {
        "sym": ["A", "A", "B"], "time": [35766, 35767, 35766], "sum_v": [15, 18, 45], "n": [3, 3, 3],
    }  # fmt: skip
    assert run("exec max_v from wj(a, b, -2:-1, <max(v)>, `sym`time)") == [5, 6, 15]
    assert run("exec v from wj(a, b, -1:0, <v>, `sym`time)") == [[5, 6], [6, 7], [15, 16]]


def test_empty_windows_give_what_an_aggregate_of_nothing_gives(run: Run) -> None:
    run("a = table(1 100 as t)\nb = table(1 2 3 as t, 10 20 30 as v)")
    assert run("wj(a, b, 0:1, <[sum(v), count(v), first(v)]>, `t)") == {
        "t": [1, 100], "sum_v": [30, None], "count_v": [2, 0], "first_v": [10, None],
    }  # fmt: skip


def test_prevailing_window_join_reaches_back_to_the_last_row(run: Run) -> None:
    run("a = table(10 20 as t)\nb = table(1 5 5 12 18 as t, 1 2 3 4 5 as v)")
    assert run("exec sum_v from pwj(a, b, -3:0, <sum(v)>, `t)") == [3, 9]
    assert run("exec sum_v from pwj(a, b, -5:0, <sum(v)>, `t)") == [3, 9]
    assert run("exec sum_v from wj(a, b, -5:0, <sum(v)>, `t)") == [5, 5]


def test_nested_joins(tables: Run) -> None:
    tables("t3 = table(1 3 as id, `one`three as name)")
    assert tables("exec name from ej(ej(t1, t2, `id), t3, `id)") == ["one", "three", "three"]
    script = "select t1.id, qty, name from t1 left join t2 on t1.id = t2.id left join t3 on t1.id = t3.id"
    assert tables(script)["name"] == ["one", None, "three", "three"]


def test_joins_of_unknown_columns_or_conditions_are_refused(tables: Run) -> None:
    with pytest.raises(ScriptError, match=r"\[nosuch\]"):
        tables("ej(t1, t2, `nosuch)")
    with pytest.raises(ScriptError, match="two or more tables"):
        tables("select * from t1 join t2 on t1.id = t2.id and t1.x > t2.x")
    with pytest.raises(ScriptError, match=r"\[t1.nosuch\]"):
        tables("select * from t1 join t2 on t1.nosuch = t2.id")


def test_join_results_can_be_grouped(tables: Run) -> None:
    assert tables("select sum(value) as s from ej(t1, t2, `id) group by qty") == {"qty": [500, 800], "s": [5.2, 7.8]}


def test_pairs_of_equal_codes() -> None:
    left, right = np.array([0, 1, 2, 0]), np.array([0, 2, 0])
    rows = equal_pairs(left, right, 3)
    assert [row.tolist() for row in rows] == [[0, 0, 2, 3, 3], [0, 2, 1, 0, 2]]
    rows = equal_pairs(left, right, 3, keep_left=True)
    assert [row.tolist() for row in rows] == [[0, 0, 1, 2, 3, 3], [0, 2, -1, 1, 0, 2]]


def test_last_row_before_agrees_with_a_plain_search() -> None:
    random = np.random.default_rng(1)
    left_codes, right_codes = random.integers(0, 3, 200), random.integers(0, 3, 100)
    left_times, right_times = random.integers(0, 50, 200), random.integers(0, 50, 100)
    expected = []
    for code, time in zip(left_codes, left_times, strict=True):
        rows = [row for row in range(100) if right_codes[row] == code and right_times[row] <= time]
        expected.append(max(rows, key=lambda row: (right_times[row], row)) if rows else -1)
    assert last_before(left_codes, left_times, right_codes, right_times).tolist() == expected


def test_time_index_over_a_range_too_wide_for_arithmetic() -> None:
    times = np.array([0, 2**61, 2**62])
    index = TimeIndex(np.zeros(3, dtype=np.int64), times, 4)
    queries = np.array([-1, 0, 2**61 - 1, 2**61, 2**62 + 1])
    codes, order = np.zeros(5, dtype=np.int64), np.arange(5)
    assert index.before(codes, queries, True, order).tolist() == [0, 1, 1, 2, 3]
    assert index.before(codes, queries, False, order).tolist() == [0, 0, 1, 1, 3]


def test_the_same_column_of_both_tables_gets_a_prefix(tables: Run) -> None:
    assert tables("select a.id, b.id, a.x, b.x as other from t1 a left join t2 b on a.id = b.id limit 2") == {
        "id": [1, 2], "b_id": [1, None], "x": [4, 3], "other": [88, None],
    }  # fmt: skip
    assert list(tables("select a.*, b.* from t1 a join t2 b on a.id = b.id")) == [
        "id", "value", "x", "b_id", "qty", "b_x",
    ]  # fmt: skip


def test_tables_after_commas_are_joined_by_the_where_clause(tables: Run) -> None:
    assert tables("select a.id, qty from t1 a, t2 b where a.id = b.id and qty > 600") == {"id": [1], "qty": [800]}
    tables("t3 = table(1 3 as k, `one`three as name)")
    assert tables("exec name from t1, t2, t3 where t1.id = t2.id, t3.k = t2.id, t1.x < 4") == ["three", "three"]
    assert tables("exec count(*) from t1, t2") == 12
    tables("n = 3000000\nbig = table(1..n as id, 1..n as v)")
    assert tables("exec count(*) from big a, big b where a.id = b.id") == 3000000
    with pytest.raises(ScriptError, match="Out of memory"):
        tables("select * from big a, big b")
