"""Queries with all their clauses."""

from __future__ import annotations

import pytest

from dolphin.script import ScriptSyntaxError, parse_expression, unparse
from dolphin.script import syntax as s


def query(text: str) -> s.Select:
    node = parse_expression(text)
    assert isinstance(node, s.Select)
    return node


def test_clauses() -> None:
    node = query(
        "select [HINT_EXPLAIN] top 5 sym, sum(qty*price) \\ sum(qty) as vwap, f(x) as `a`b from t as u "
        "where date = 2024.01.02, price > 1 context by sym as s, date csort ts desc having count(*) > 2 "
        "order by sym asc nulls first, date desc limit -1"
    )
    assert node.hints == ("HINT_EXPLAIN",)
    assert node.top == s.Literal("INT", 5, span=node.span)
    assert [item.aliases for item in node.items] == [(), ("vwap",), ("a", "b")]
    assert isinstance(node.source, s.Source)
    assert node.source.alias == "u"
    assert [unparse(condition) for condition in node.where] == ["date == 2024.01.02", "price > 1"]
    assert node.grouping is not None
    assert (node.grouping.kind, [unparse(key) for key in node.grouping.keys]) == ("context", ["sym as s", "date"])
    assert [item.descending for item in node.csort] == [True]
    assert node.having is not None
    assert [(item.descending, item.nulls_first) for item in node.order] == [(False, True), (True, None)]
    assert node.limit == s.Literal("INT", -1, span=node.span)


def test_upper_case_keywords_and_plain_aliases() -> None:
    node = query("SELECT DISTINCT price p FROM t u WHERE a IS NOT NULL ORDER BY p LIMIT 2, 3")
    assert node.distinct
    assert node.items[0].aliases == ("p",)
    assert isinstance(node.limit, s.TupleLiteral)


def test_columns_may_be_named_like_keywords_and_functions() -> None:
    node = query("select date, max, left, map, limit, `x as interval, top from t where type = 1 and order > 2")
    assert len(node.items) == 7


def test_pivot_and_map() -> None:
    node = query("exec sum(x) from t where a like 'b%' pivot by d, s map")
    assert (node.kind, node.map) == ("exec", True)
    assert node.pivot is not None
    assert node.grouping is None


def test_joins() -> None:
    node = query("select a.x, b.* from t1 a left join t2 b on a.id = b.id and a.d = b.d cross join t3 where a.x > 1")
    join = node.source
    assert isinstance(join, s.Join)
    assert join.kind == "cross"
    assert isinstance(join.left, s.Join)
    assert (join.left.kind, join.left.right.alias) == ("left", "b")
    assert isinstance(query("select * from ej(t1, t2, `id)").source, s.Source)


def test_standard_sql() -> None:
    node = parse_expression(
        "with a as (select * from t), b as (select * from a) "
        "select case when x > 1 then 'p' else 'q' end as c, rank() over (partition by s order by d rows between 2 "
        "preceding and current row) from b where exists (select * from u) and x not in (select y from v) "
        "union all select 1, 2"
    )
    assert isinstance(node, s.With)
    assert isinstance(node.body, s.SetOperation)
    kinds = {type(part) for part in s.walk(node)}
    assert {s.Case, s.Over, s.Quantifier} <= kinds


def test_between_ends_before_the_next_condition() -> None:
    node = query("select * from t where d between a and b and c = 1")
    assert unparse(node.where[0]) == "d between (a : b) and c == 1" or isinstance(node.where[0], s.Binary)
    assert isinstance(node.where[0], s.Binary)
    assert node.where[0].operator == "and"
    pair = query("select * from t where d between 1:5 and c = 1").where[0]
    assert isinstance(pair, s.Binary)
    assert pair.operator == "and"


def test_a_query_as_an_argument_ends_at_the_next_query() -> None:
    call = parse_expression("dict(exec a from t where b > 1, exec c from t)")
    assert isinstance(call, s.Call)
    assert len(call.arguments) == 2


def test_macro_columns_and_exact_names() -> None:
    node = query('select _"a b", _$name, _$$names from t')
    assert [type(item.value) for item in node.items] == [s.ColumnName, s.Macro, s.Macro]


def test_equals_in_a_function_of_a_query_compares() -> None:
    node = query('select iif(side="B", 1, -1) as sign, f(x, window=3) from t')
    first, second = (item.value for item in node.items)
    assert isinstance(first, s.Call)
    assert isinstance(first.arguments[0].value, s.Binary)
    assert isinstance(second, s.Call)
    assert second.arguments[1].name == "window"


def test_cgroup_by_within_group_by() -> None:
    node = query("select wavg(p, v) from t group by s cgroup by minute(time) as m order by m")
    assert node.grouping is not None
    assert node.grouping.kind == "cgroup"
    assert [unparse(key) for key in (*node.grouping.within, *node.grouping.keys)] == ["s", "minute(time) as m"]
    assert query(unparse(node)) == node
    with pytest.raises(ScriptSyntaxError, match="context by too"):
        query("select x from t group by s context by m")
