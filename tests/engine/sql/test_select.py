from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ScriptError, UnsupportedError
from engine.grouping import stable_order
from engine.interpreter import Interpreter
from engine.types import Type
from engine.values import Matrix, Vector
from tests.engine.sql.conftest import Run


def test_columns_keep_their_names_and_expressions_get_one(trades: Run) -> None:
    assert list(trades("select sym, PRICE, avg(price), price*qty, -qty, wavg(price, qty) from t")) == [
        "sym", "price", "avg_price", "price_mul", "qty_neg", "wavg_price",
    ]  # fmt: skip


def test_aggregates_alone_give_one_row_and_stretch_beside_columns(trades: Run) -> None:
    assert trades("select max(price), count(*) as n, 1 as one from t") == {"max_price": [175.23], "n": [9], "one": [1]}
    assert trades("select qty, max(qty) as m from t where sym=`IBM") == {"qty": [6800, 5400], "m": [6800, 6800]}
    assert trades("select count(*) from t where price > 1000") == {"count": [0]}


def test_conditions_after_a_comma_see_only_the_rows_left(trades: Run) -> None:
    assert trades("exec qty from t where sym=`C, qty=max(qty)") == [8800]
    assert trades("exec qty from t where sym=`C and qty=max(qty)") == [8800]
    assert trades("exec qty from t where sym=`MS, qty=max(qty)") == [3200]
    assert trades("exec qty from t where sym=`MS and qty=max(qty)") == []


def test_null_conditions_do_not_hold(run: Run) -> None:
    run("t = table(1 2 3 as id, [1, NULL, 3] as x)")
    assert run("exec id from t where x > 0") == [1, 3]
    assert run("exec id from t where isNull(x)") == [2]


def test_a_column_wins_over_a_variable_ignoring_case(trades: Run) -> None:
    trades("Price = 0")
    assert trades("exec max(Price) from t") == 175.23


def test_unknown_columns_are_named(trades: Run) -> None:
    with pytest.raises(ScriptError, match=r"Unrecognized column name \[nosuch\]"):
        trades("select nosuch from t")
    with pytest.raises(ScriptError, match="Duplicate column name"):
        trades("select sym, qty as sym from t")


def test_exec_gives_scalars_vectors_and_tables(trades: Run) -> None:
    assert trades("exec sum(qty) from t") == 34200
    assert trades("exec sym from t where qty > 6000") == ["IBM", "C"]
    assert trades("exec sym, qty from t limit 1") == {"sym": ["C"], "qty": [2200]}


def test_changing_what_exec_gave_leaves_the_table_alone(trades: Run) -> None:
    trades("v = exec qty from t\nv[0] = 1")
    assert trades("exec first(qty) from t") == 2200


def test_group_by_puts_keys_first_in_sorted_order(trades: Run) -> None:
    assert trades("select sum(qty), avg(price) as p from t group by sym") == {
        "sym": ["C", "IBM", "MS"],
        "sum_qty": [14800, 12200, 7200],
        "p": [50.4925, 175.1, 29.666667],
    }
    assert list(trades("select max(price), sym from t group by sym, minute(time)")) == [
        "minute_time", "max_price", "sym",
    ]  # fmt: skip


def test_group_by_null_is_a_group_of_its_own_and_comes_first(run: Run) -> None:
    run("t = table([2, NULL, 1, NULL] as k, 1 2 3 4 as x)")
    assert run("select sum(x) from t group by k") == {"k": [None, 1, 2], "sum_x": [6, 3, 1]}
    run("t = table([2.5, NULL, -1.0, NULL] as k, 1 2 3 4 as x)")
    assert run("select sum(x) from t group by k") == {"k": [None, -1.0, 2.5], "sum_x": [6, 3, 1]}


def test_expressions_over_aggregates(trades: Run) -> None:
    result = trades(
        "select sum(price*qty)/sum(qty) as vwap, max(price)-min(price) as spread, last(qty)+1 as q from t group by sym"
    )
    assert result["vwap"] == [50.828378, 175.085082, 29.726389]
    assert result["spread"] == [1.69, 0.26, 0.56]
    assert result["q"] == [8801, 5401, 3201]


def test_functions_of_the_script_and_partials_work_per_group(trades: Run) -> None:
    trades("defg spread(x) { return max(x) - min(x) }\ndef both(x, y) { return sum(x) + y }")
    assert trades("select spread(qty) as s from t group by sym") == {"sym": ["C", "IBM", "MS"], "s": [7500, 1400, 1300]}
    assert trades("exec both{, 1}(qty) as s from t group by sym") == [14801, 12201, 7201]


def test_a_column_that_is_not_aggregated_is_refused(trades: Run) -> None:
    with pytest.raises(ScriptError, match="aggregate function"):
        trades("select price from t group by sym")


def test_having_filters_groups(trades: Run) -> None:
    assert trades("exec sym from (select count(*) as n from t group by sym having n > 2)") == ["C", "MS"]
    assert trades("exec sym from (select sum(qty) from t group by sym having max(price) < 100)") == ["C", "MS"]


def test_group_by_an_empty_table(trades: Run) -> None:
    assert trades("select sum(qty), first(price) from t where qty < 0 group by sym") == {
        "sym": [], "sum_qty": [], "first_price": [],
    }  # fmt: skip


def test_context_by_keeps_rows_grouped_in_key_order(trades: Run) -> None:
    result = trades("select sym, qty, cumsum(qty) as c, sum(qty) as s from t context by sym")
    assert result["sym"] == ["C"] * 4 + ["IBM"] * 2 + ["MS"] * 3
    assert result["c"] == [2200, 3500, 6000, 14800, 6800, 12200, 1900, 4000, 7200]
    assert result["s"] == [14800] * 4 + [12200] * 2 + [7200] * 3


def test_context_by_with_csort_limit_and_having(trades: Run) -> None:
    assert trades("exec qty from t context by sym csort qty desc") == [
        8800,
        2500,
        2200,
        1300,
        6800,
        5400,
        3200,
        2100,
        1900,
    ]
    assert trades("exec qty from t context by sym csort qty limit -1") == [8800, 6800, 3200]
    assert trades("select top 1 sym, qty from t context by sym order by qty")["sym"] == ["MS", "C", "IBM"]
    assert trades("exec distinct(sym) from (select sym from t context by sym having sum(qty) > 8000)") == ["C", "IBM"]


def test_context_by_keeps_the_order_of_rows_on_request(trades: Run) -> None:
    result = trades("select [HINT_KEEPORDER] sym, cumsum(qty) as c from t context by sym")
    assert result["sym"] == ["C", "MS", "MS", "MS", "IBM", "IBM", "C", "C", "C"]
    assert result["c"] == [2200, 1900, 4000, 7200, 6800, 12200, 3500, 6000, 14800]


def test_pivot_by_makes_a_table_or_a_matrix(trades: Run, interpreter: Interpreter) -> None:
    assert trades("select sum(qty) from t pivot by minute(time), sym") == {
        "minute_time": [572, 574, 575, 576, 578],
        "C": [None, 6000, None, None, 8800],
        "IBM": [6800, None, 5400, None, None],
        "MS": [None, None, None, 7200, None],
    }
    matrix = interpreter.run("exec last(price) from t pivot by minute(time), sym")
    assert isinstance(matrix, Matrix)
    assert isinstance(matrix.column_labels, Vector)
    assert matrix.type is Type.DOUBLE
    assert (matrix.rows, matrix.columns) == (5, 3)
    assert list(matrix.column_labels.strings()) == ["C", "IBM", "MS"]


def test_pivot_by_several_measures_prefixes_the_columns(trades: Run) -> None:
    assert list(trades("select sum(qty) as q, max(price) as p from t pivot by minute(time), sym")) == [
        "minute_time", "q_C", "q_IBM", "q_MS", "p_C", "p_IBM", "p_MS",
    ]  # fmt: skip


def test_interval_fills_empty_groups(run: Run) -> None:
    run("t = table(0 1 2 10 11 20 as x, 1 2 3 4 5 6 as y)")
    script = "select sum(y) from t group by interval(x, 5, {}) as x"
    assert run(script.format('"null"')) == {"x": [0, 5, 10, 15, 20], "sum_y": [6, None, 9, None, 6]}
    assert run(script.format('"prev"'))["sum_y"] == [6, 6, 9, 9, 6]
    assert run(script.format('"post"'))["sum_y"] == [6, 9, 9, 6, 6]
    assert run(script.format("0"))["sum_y"] == [6, 0, 9, 0, 6]
    assert run(script.format('"none"'))["x"] == [0, 10, 20]


def test_cgroup_by_accumulates(trades: Run) -> None:
    result = trades("select sum(qty) as q, max(price) as p from t where sym=`C cgroup by minute(time) as m order by m")
    assert result == {"m": [574, 578], "q": [6000, 14800], "p": [50.76, 51.29]}


def test_cgroup_by_accumulates_within_groups(run: Run) -> None:
    run("t = table(`a`b`a`b`a as s, 1 1 2 2 2 as m, 1 2 3 4 5 as v)")
    result = run("select sum(v) as q from t group by s cgroup by m order by m")
    assert result == {"s": ["a", "b", "a", "b"], "m": [1, 1, 2, 2], "q": [1, 2, 9, 6]}


def test_order_by_several_columns_is_stable(trades: Run) -> None:
    assert trades("exec qty from t order by sym desc, qty") == [1900, 2100, 3200, 5400, 6800, 1300, 2200, 2500, 8800]
    assert trades("exec qty from t order by minute(time), price desc") == [
        6800,
        1300,
        2500,
        2200,
        5400,
        3200,
        2100,
        1900,
        8800,
    ]
    assert trades("exec sym from (select sum(qty) as q from t group by sym order by q)") == ["MS", "IBM", "C"]
    assert trades("exec sym from (select max(price) from t group by sym order by sum(qty) desc)") == ["C", "IBM", "MS"]


def test_nulls_sort_first_unless_told_otherwise(run: Run) -> None:
    run("t = table([3, NULL, 1] as x, 1.5 NULL 0.5 as y)")
    assert run("exec x from t order by x") == [None, 1, 3]
    assert run("exec x from t order by x desc") == [3, 1, None]
    assert run("exec x from t order by x asc nulls last") == [1, 3, None]
    assert run("exec y from t order by y desc nulls first") == [None, 1.5, 0.5]


def test_top_and_limit(trades: Run) -> None:
    assert trades("select top 2 qty from t") == {"qty": [2200, 1900]}
    assert trades("select top 2:4 qty from t") == {"qty": [2100, 3200]}
    assert trades("select qty from t limit 2, 3") == {"qty": [2100, 3200, 6800]}
    assert trades("n = 1\nselect qty from t order by qty desc limit n") == {"qty": [8800]}


def test_the_first_rows_of_a_large_order_are_those_of_the_whole(run: Run) -> None:
    run("n = 100000\nt = table(rand(1000, n) as a, rand(1000, n) as b, 0..(n-1) as id)")
    assert run("exec id from t order by a desc, b limit 50") == run("(exec id from t order by a desc, b)[0:50]")


def test_distinct_rows(trades: Run) -> None:
    assert trades("select distinct sym from t") == {"sym": ["C", "MS", "IBM"]}
    assert trades("select distinct(sym) from t") == {"distinct_sym": ["C", "MS", "IBM"]}
    assert trades("select count(*) from (select distinct sym, minute(time) as m from t)") == {"count": [5]}


def test_case_when_works_on_columns_and_groups(trades: Run) -> None:
    words = 'exec case when price > 100 then "high" when price > 40 then "mid" else "low" end from t limit 3'
    assert trades(words) == ["mid", "low", "low"]
    assert trades("exec case when sum(qty) > 10000 then 1 else 0 end from t group by sym") == [1, 1, 0]


def test_subqueries_as_values(trades: Run) -> None:
    assert trades("exec distinct(sym) from t where price > (select avg(price) from t)") == ["IBM"]
    assert trades("exec count(*) from t where sym in (select sym from t where qty > 6000)") == 6
    assert trades("exec count(*) from t where exists (select * from t where qty > 9000)") == 0
    assert trades("exec count(*) from t where qty > all (select qty from t where sym=`MS)") == 3
    assert trades("exec qty from t where sym = any(`MS`IBM), qty > any(5000 3000)") == [3200, 6800, 5400]
    assert trades("exec sym from (select sum(qty) from t group by sym having sum(qty) > all(7200 8000))") == [
        "C",
        "IBM",
    ]


def test_with_and_union(trades: Run) -> None:
    assert trades("with a as (select sym, qty from t where qty > 5000) select max(qty) from a") == {"max_qty": [8800]}
    assert trades("(select sym from t where qty>6000) union all (select sym from t where qty>6000)") == {
        "sym": ["IBM", "C", "IBM", "C"],
    }  # fmt: skip
    assert trades("(select sym from t where qty>6000) union (select sym from t where qty>6000)") == {
        "sym": ["IBM", "C"]
    }


def test_window_functions(run: Run) -> None:
    run("t = table(`b`a`a`b`a as s, 3 1 2 5 2 as x)")
    result = run(
        "select s, x, sum(x) over (partition by s) as total, rank() over (partition by s order by x) as r,"
        " sum(x) over (partition by s order by x rows between 1 preceding and current row) as pair,"
        " lag(x) over (partition by s order by x) as before from t"
    )
    assert result["total"] == [8, 5, 5, 8, 5]
    assert result["r"] == [1, 1, 2, 2, 2]
    assert result["pair"] == [3, 1, 3, 8, 4]
    assert result["before"] == [None, None, 1, 3, 2]


def test_explain_is_refused(trades: Run) -> None:
    with pytest.raises(UnsupportedError, match="HINT_EXPLAIN"):
        trades("select [HINT_EXPLAIN] * from t")


def test_a_select_inside_a_function_sees_its_parameters(run: Run) -> None:
    run("def biggest(data, least) { return exec max(x) from data where x > least }")
    assert run("biggest(table(1 2 3 as x), 1)") == 3


def test_fast_and_slow_ways_of_grouping_agree(trades: Run) -> None:
    trades("def mine(x) { return sum(x) }")
    assert trades("exec mine(qty) from t group by sym") == trades("exec sum(qty) from t group by sym")
    assert trades("exec mine(qty) from t context by sym") == trades("exec sum(qty) from t context by sym")


def test_a_subquery_finds_a_table_named_like_a_column(run: Run) -> None:
    run("t = table(1 2 3 as t, 5 6 7 as x)")
    assert run("exec x from t where x = (select max(x) from t)") == [7]


def test_having_may_use_the_names_of_the_result(trades: Run) -> None:
    assert trades(
        "exec distinct(sym) from (select sym, sum(qty) as total from t context by sym having total > 13000)"
    ) == ["C"]
    assert trades("exec sym from (select sum(qty) as total from t group by sym having total < 13000)") == ["IBM", "MS"]


@pytest.mark.parametrize(
    ("clauses", "shown"),
    [
        ("count(*) from t group by sym having count(*) > 2", ["C", "MS"]),
        ("count(*) from t group by sym having count < 3", ["IBM"]),
        (
            "count(*) as n from t group by sym having n > count(*) - 1 and sum(qty) > 7200 order by sum(qty)",
            ["IBM", "C"],
        ),
        ("sum(qty) as qty from t group by sym having qty < 13000", ["IBM", "MS"]),
        ("sum(qty) as max from t group by sym having max(qty) > 6000 order by max(qty)", ["IBM", "C"]),
        ("last(qty) as qty from t group by sym order by sum(qty)", ["MS", "IBM", "C"]),
        ("sum(qty) as n from t group by sym order by n * 0 + max(price) desc", ["IBM", "C", "MS"]),
    ],
)
def test_names_of_the_result_beside_functions_of_the_same_name(trades: Run, clauses: str, shown: list[str]) -> None:
    assert trades(f"exec sym from (select {clauses})") == shown


def test_a_result_is_not_aggregated_again(trades: Run) -> None:
    with pytest.raises(ScriptError, match=r"\[n\] has one value for every group"):
        trades("select count(*) as n from t group by sym having n > avg(n)")


def test_all_values_of_a_group_as_one_element(trades: Run) -> None:
    assert trades("exec p from (select toArray(qty) as p from t group by sym)") == [
        [2200, 1300, 2500, 8800], [6800, 5400], [1900, 2100, 3200],
    ]  # fmt: skip
    assert (
        trades("ungroup(select toArray(qty) as q from t group by sym)")["sym"] == ["C"] * 4 + ["IBM"] * 2 + ["MS"] * 3
    )
    assert trades("exec n from (select distinct(minute(time)) as n from t group by sym)") == [
        [574, 578],
        [572, 575],
        [576],
    ]


def test_running_windows_include_equal_rows(run: Run) -> None:
    run("t = table(`a`a`a`b`a as s, 1 2 2 1 3 as d, 10 20 30 5 40 as x)")
    result = run(
        "select sum(x) over (partition by s order by d) as r, count(x) over (order by d) as n,"
        " sum(x) over (partition by s order by d rows between unbounded preceding and current row) as q,"
        " first(x) over (partition by s order by d) as f, last(x) over (partition by s order by d) as l,"
        " max(x) over (partition by s order by d rows between current row and unbounded following) as m,"
        " sum(x) over (partition by s order by d range between 1 preceding and current row) as near from t"
    )
    assert result["r"] == [10, 60, 60, 5, 100]
    assert result["n"] == [2, 4, 4, 2, 5]
    assert result["q"] == [10, 30, 60, 5, 100]
    assert result["f"] == [10, 10, 10, 5, 10]
    assert result["l"] == [10, 30, 30, 5, 40]
    assert result["m"] == [40, 40, 40, 5, 40]
    assert result["near"] == [10, 60, 60, 5, 90]


def test_what_stands_for_rows_before_the_first(run: Run) -> None:
    run("t = table(1 2 as x, symbol(`a`b) as s, decimal64(1.5 2.5, 2) as m)")
    script = "select lag(x, 1, 0) {0} as x, lag(s, 1, `z) {0} as s, lead(m, 1, 0.5) {0} as m from t"
    assert run(script.format("over (order by x)")) == {"x": [0, 1], "s": ["z", "a"], "m": [250, 50]}


def test_windows_over_a_range_of_time(run: Run) -> None:
    run("d = [2022.10.02, 2022.12.06, 2022.12.10, 2022.10.02, 2022.10.02]")
    run("d = d join [2023.02.02, 2022.10.01, 2023.02.02, 2022.10.03, 2022.12.04]")
    run("t = table(d, `C`C`C`A`MS`C`C`MS`A`MS as s, 2200 1900 2000 2200 6800 2100 1300 6600 8800 5300 as q)")
    window = "over (partition by s order by d range between 1M preceding and 1M following)"
    assert run(f"select max(q) {window} from t") == {
        "max": [2200, 2000, 2000, 8800, 6800, 2100, 2200, 6600, 8800, 5300],
    }  # fmt: skip
    assert list(run(f"select max(q) {window}, max(s) {window} from t")) == ["max", "max_s"]
    with pytest.raises(ScriptError, match="finer than DATE"):
        run("select sum(q) over (order by d range 1H preceding) from t")
    with pytest.raises(ScriptError, match="must be integers"):
        run("select sum(q) over (order by d rows 1d preceding) from t")


def test_running_windows_are_not_quadratic(run: Run) -> None:
    run("n = 200000\nt = table(take(`a`b, n) as s, 1..n as d, take(1, n) as x)")
    assert run("exec max(r) from (select sum(x) over (partition by s order by d) as r from t)") == 100000


def test_subqueries_inside_expressions(trades: Run) -> None:
    assert trades("exec qty - (select min(qty) from t) as d from t where sym=`MS") == [600, 800, 1900]
    assert trades("select (select max(qty) from t) as m, sym from t limit 2") == {"m": [8800, 8800], "sym": ["C", "MS"]}
    assert trades("exec sym from t where qty = (select qty from t where sym=`C limit 1)") == ["C"]
    with pytest.raises(UnsupportedError, match=r"subquery that refers to the column \[t.sym\]"):
        trades("select (select max(qty) from t b where b.sym = t.sym) from t group by sym")
    trades("u = table(1 2 as k)\nupdate u set k = (select max(qty) from t) where k = 2")
    assert trades("exec k from u") == [1, 8800]


def test_arguments_of_a_source_may_be_named(run: Run) -> None:
    run("def made(a, b) { return table(a as x, b as y) }")
    assert run("select x from made(a=1..3, b=4..6) where y > 4") == {"x": [2, 3]}


def test_max_of_two_works_row_by_row(trades: Run) -> None:
    assert trades("select sum(max(qty, 3000)) as s from t where sym = `MS group by sym") == {"sym": ["MS"], "s": [9200]}
    assert trades("exec max(qty, 2000) from t where sym = `C context by sym") == [2200, 2000, 2500, 8800]


def test_a_column_named_like_a_function_before_a_window_frame(run: Run) -> None:
    run("w = table(3 1 2 as timestamp, 1 2 3 as x)")
    frame = "(order by timestamp rows between 1 preceding and current row)"
    assert run(f"select sum(x) over {frame} as s from w") == {"s": [4, 2, 5]}


def test_set_operations_in_parentheses(trades: Run) -> None:
    assert trades("(select sym from t) intersect (select `MS as sym)") == {"sym": ["MS"]}
    assert trades("select sym from t minus select `MS as sym") == {"sym": ["C", "IBM"]}


def test_a_grouped_function_that_refuses_shows_its_usage(trades: Run) -> None:
    with pytest.raises(ScriptError, match=r"Usage: mavg\(X, window.* window must be a positive integer"):
        trades("select mavg(price, 0) from t context by sym")


def test_scales_of_column_types_survive_a_variable(run: Run) -> None:
    definitions = run("types = [DECIMAL64(2), INT, DECIMAL32(3)]; schema(table(1:0, `a`b`c, types)).colDefs")
    assert definitions["typeString"] == ["DECIMAL64(2)", "INT", "DECIMAL32(3)"]


@pytest.mark.parametrize("count", [3, 500, 70_000])
def test_very_many_rows_are_ordered_as_few_are(count: int) -> None:
    codes = np.random.default_rng(1).integers(0, count, 1_200_000)
    assert (stable_order(codes, count) == np.argsort(codes, kind="stable")).all()
