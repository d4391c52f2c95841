"""Trees printed back as text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.script import parse, parse_expression, unparse
from dolphin.script import syntax as s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<6 < 8>", "< 6 < 8 >"),
        ("<sum [1,2,3]>", "< sum [1,2,3] >"),
        ("<(a+7)*8>", "< (a + 7) * 8 >"),
        ("<value*price>10>", "< (value * price) > 10 >"),
        ("<select avg(price) from t1 where symbol=`MSFT,volume>x group by date>",
         '< select avg(price) from t1 where symbol == "MSFT",volume > x group by date >'),
        ("<select top 1 * from t1 context by symbol>", "< select top 1 * from t1 context by symbol >"),
        ("<select symbol from t1 order by date desc>", "< select symbol from t1 order by date desc >"),
        ("<avg(PRC) as avg_PRC>", "< avg(PRC) as avg_PRC >"),
        ("2024.1.2T03:04:05.6", "2024.01.02T03:04:05.600"),
        ("`A`B", '["A","B"]'),
        ("x->x+1", "x->x + 1"),
    ],
)  # fmt: skip
def test_style_of_printed_code(text: str, expected: str) -> None:
    assert unparse(parse_expression(text)) == expected


SCRIPTS = [
    "x = 1 2 3\ny = -x[0] ** (1..3) $ INT",
    'def f(x, mutable y=3, z: INT) {\n  if (x > 1) { return y } else if (z) {throw "a"}\n  for (i in 0..3) {y += i}}',
    'select top 3 a, b as c, f(x) as `p`q from t where a > 1, b in (1,2) or not c like "x%" group by a '
    "having sum(b) > 1 order by a desc nulls last limit 1, 2",
    "with a as (select * from t) select case x when 1 then 2 else 3 end as k, "
    "sum(x) over (partition by s order by d rows between unbounded preceding and 1 following) from a",
    "with a(p, q) as (select x1...x3 as y1...y3 from t) select (p1...p2) * 2 as r1...r2 from a",
    "{x -> x - 1} 4 {a, b -> a * b} 3\nd.(3 4)\nx = `a 1`b 2\nv @ 1:3\n1 <= x == y",
    "t.f(1, g{2,}).h(x -> {\n  return x\n}, +:E, <select * from t where a > 1>)",
    'create table "dfs://a"."t" (id INT, v DOUBLE[], d DECIMAL32(2) [comment="x"]) '
    'partitioned by id, sortColumns=["id"]',
    "insert into t (a,b) values (1,2),(3,4)\nupdate t set a = b + 1 where c between 1 and 2\n"
    "delete from t where x is not null",
    "class A : B {\n  x :: INT\n  def A(y) { x = y }\n}",
    "a ? b : c ? 1 : 2\n(a ? (1:2) : 3)\n(x -> x)(1)\n-(-1)\n-(1 2 3)\n! (a and b)\n(a - b) - (c - d)",
    "try { f() } catch (ex) { print(ex) }\ndo { x += 1 } while (x < 3)\nshare t as st\ngo\nundef all",
    'x = {a: 1, "b c": [1,2]}\nx.a\n"dfs://a"."b"\n2 add 3 sub 5\nsum x == 6\nabs (x)',
    "select * from t1 a left join (select * from t2) b on a.id = b.id\n(select 1) union all (select 2)",
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_printed_text_parses_to_the_same_tree(text: str) -> None:
    tree = parse(text)
    printed = unparse(tree)
    assert parse(printed) == tree, printed


SPAN = s.Span(0, 0, 1, 1)
names = st.sampled_from(["a", "b", "price", "x1", "变量"]).map(lambda name: s.Name(name, span=SPAN))
literals = st.one_of(
    st.integers(-(2**31) + 1, 2**31 - 1).map(lambda value: s.Literal("INT", value, span=SPAN)),
    st.integers(0, 2**62).map(lambda value: s.Literal("LONG", value, span=SPAN)),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: s.Literal("DOUBLE", value, span=SPAN)),
    st.text(max_size=8).map(lambda value: s.Literal("STRING", value, span=SPAN)),
    st.booleans().map(lambda value: s.Literal("BOOL", value, span=SPAN)),
    st.integers(-200_000, 200_000).map(lambda value: s.Literal("DATE", value, span=SPAN)),
    st.integers(0, 86_399).map(lambda value: s.Literal("SECOND", value, span=SPAN)),
    st.integers(0, 10**12).map(lambda value: s.Literal("TIMESTAMP", value, span=SPAN)),
    st.sampled_from(["INT", "DOUBLE", "VOID", "DATE"]).map(lambda kind: s.Literal(kind, None, span=SPAN)),
    st.tuples(st.integers(-99, 99), st.sampled_from(["s", "m", "M", "ns"])).map(
        lambda value: s.Literal("DURATION", value, span=SPAN)
    ),
)
operators = st.sampled_from(
    ["+", "-", "*", "/", "\\", "%", "**", "$", ":", "..", "&", "|", "^", "==", "!=", "&&", "||", "<<", "<-"]
)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> s.Expression:
    if depth == 0:
        return draw(st.one_of(names, literals))

    def inner() -> s.Expression:
        return draw(expressions(depth - 1))

    def several(least: int) -> tuple[s.Expression, ...]:
        return tuple(inner() for _ in range(draw(st.integers(least, 3))))

    match draw(st.integers(0, 13)):
        case 0:
            return s.Binary(draw(operators), inner(), inner(), span=SPAN)
        case 1:
            return s.Ternary(inner(), inner(), inner(), span=SPAN)
        case 2:
            return s.Unary("!", inner(), span=SPAN)
        case 3:
            return s.Unary("-", draw(names), span=SPAN)
        case 4:
            return s.VectorLiteral(several(1), span=SPAN)
        case 5:
            return s.TupleLiteral(several(2), span=SPAN)
        case 6:
            arguments = tuple(s.Argument(item, span=SPAN) for item in several(0))
            return s.Call(draw(names), arguments, span=SPAN)
        case 7:
            arguments = tuple(s.Argument(item, span=SPAN) for item in several(1))
            return s.Call(draw(names), arguments, "partial", span=SPAN)
        case 8:
            return s.Index(draw(names), several(1), span=SPAN)
        case 9:
            return s.Member(draw(names), draw(st.sampled_from(["c", "d e"])), span=SPAN)
        case 10:
            return s.Lambda((s.Parameter(draw(names).id, span=SPAN),), inner(), span=SPAN)
        case 11:
            return s.Quote(draw(names), span=SPAN)
        case 12:
            words = draw(st.sampled_from(["and", "or", "in", "like"]))
            return s.Binary(words, inner(), inner(), span=SPAN)
    return draw(st.one_of(names, literals))


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_any_expression_survives_printing(tree: s.Expression) -> None:
    printed = unparse(tree)
    assert parse_expression(printed) == tree, printed


def test_an_edited_query_prints() -> None:
    node = parse_expression("select * from t")
    assert isinstance(node, s.Select)
    assert unparse(replace(node, limit=s.Literal("INT", 10, span=SPAN))) == "select * from t limit 10"
