"""Each pitfall: found with its corrected form, and not found in the corrected form."""

from __future__ import annotations

import pytest

from dolphin.script import parse
from dolphin.script.lint import apply_fixes, fix, lint

MECHANICAL = [
    ("top-variable", "n = 5; select top n * from t where a = 1", "n = 5; select * from t where a == 1 limit n"),
    ("sequence-filter", "select a from t where d = 1, ratios(p) > 1", "select a from t where d == 1 and ratios(p) > 1"),
    ("count-distinct", "select count(distinct x) from t", "select nunique(x, true) from t"),
    ("integer-division", "select count(a)/count(b) as r from t where a = 1",
     "select count(a) \\ count(b) as r from t where a = 1"),
    ("quoted-date", "select a from t where d >= '2024-01-02'", "select a from t where d >= 2024.01.02"),
    ("quoted-date", 'select a from t where d between "2024-1-2" and "2024-01-03 09:30:00"',
     "select a from t where d between 2024.01.02 and 2024.01.03T09:30:00"),
    ("month-number", "select a from t where month(d) = 3", "select a from t where monthOfYear(d) == 3"),
    ("backtick-space", "x = `A `B; x", "x = `A`B; x"),
    ("char-literal", "select a from t where s = 'C'", 'select a from t where s = "C"'),
    ("distinct-group", "select distinct avg(a) as b from t group by s", "select avg(a) as b from t group by s"),
    ("wj-code", "select a from wj(t, q, -5s:0s, avg(x), `s`ts)", "select a from wj(t, q, -5s:0s, <[avg(x)]>, `s`ts)"),
    ("keyword-case", "Select a From t Where b = 1 Group By c", "select a from t where b = 1 group by c"),
    ("sql-comment", "-- note\nselect 1", "// note\nselect 1"),
    ("share-go", "share t as st\nselect count(*) from st", "share t as st\ngo\nselect count(*) from st"),
    ("quoted-column", "select `price`, `a b` from t where a = 1", 'select price, _"a b" from t where a = 1'),
    ("application", "sum x == 6", "sum(x) == 6"),
    ("engine-argument", 'createPartitionedTable(db, t, "t", "a", engine="TSDB")',
     'createPartitionedTable(db, t, "t", "a")'),
    ("get-tables", 'getTables("dfs://x")', 'getDFSTablesByDatabase("dfs://x")'),
    ("equals", "if (x = 1) { y }", "if (x == 1) { y }"),
    ("no-result", "x = 1", "x = 1\nx"),
    ("group-keys", "select s, avg(a) from t group by s", "select avg(a) from t group by s"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "corrected"), MECHANICAL)
def test_mechanical(rule: str, text: str, corrected: str) -> None:
    assert rule in {finding.rule for finding in lint(text) if finding.mechanical}
    assert fix(text) == corrected
    assert rule not in {finding.rule for finding in lint(corrected)}
    parse(corrected)


SHOWN = [
    ("group-by-rolling", "select s, mavg(p, 5) from t group by s", "context by s csort …"),
    ("top-limit", "select top 5 * from t limit 3", "select * from t limit 3"),
    ("null-less-than", "select a from t where x < 5", "x < 5 and isValid(x)"),
    ("shadowed-variable", "delete from t where Date = date", "Date = date_"),
    ("pruning", 't = loadTable("dfs://a", "b"); select a from t where d1 < ts < d2', "ts between d1 : d2"),
    ("pruning", 'select a from loadTable("dfs://a", "b") where ts + 30 > d', "ts > (d - 30)"),
    ("aggregate-where", "select a from t where avg(p) > 3", "having avg(p) > 3"),
    ("exec-value", "x = select max(p) from t where a = 1; x", "exec max(p) from t where a == 1"),
    ("pivot-top", "select top 3 sum(a) from t pivot by b, c", "select sum(a) from t pivot by b,c"),
    ("aj-sort", "select a from aj(t, q, `s`ts)", 'aj(t, (select * from q order by s,ts), ["s","ts"])'),
    ("lj-lookup", "select a from lj(t, q, `s)", 'lsj(t, q, "s")'),
    ("bar-month", "select avg(p) from t group by bar(ts, 1M)", "month(ts)"),
    ("like-underscore", "select a from t where x like '_a%'", 'x like "?a%"'),
    ("for-range", "for (i in 1:4) { print(i) }", "1..4"),
    ("delete-all", "delete from t", "delete from t where …"),
    ("whole-table", "select * from t", "select * from t limit 100"),
    ("unknown-function", "wavgg(a, b)", "wavg"),
]


@pytest.mark.parametrize(("rule", "text", "shown"), SHOWN)
def test_shown(rule: str, text: str, shown: str) -> None:
    finding = next(finding for finding in lint(text) if finding.rule == rule)
    assert (finding.fix, finding.mechanical) == (shown, False)
    assert apply_fixes(text, [finding]) == text


@pytest.mark.parametrize(
    "text",
    [
        "select avg(price) as p from t where date = 2024.01.02 and ratios(p) > 1 context by s csort ts limit -1",
        "select mavg(p, 5) as m from t where a = 1 context by s",
        "select avg(mavg(p, 5)) as m from t group by s",
        'x = temporalParse("2024-01-02", "yyyy-MM-dd"); x',
        'date("2024-01-02")',
        "for (i in 0:n) { print(i) }",
        "share t as st\ngo\nselect count(*) from st",
        "select a from t where Order = 1 and x = `A`B",
        "x = a - b // a--b\nx",
        's = "Select -- this"; s',
        "SELECT a FROM t WHERE b = 1",
        "10 / 3.0",
        "def f(a) { return a }; f(1)",
    ],
)
def test_nothing_to_say(text: str) -> None:
    assert lint(text) == []


def test_columns_sharpen_the_rules() -> None:
    text = "qty = 3; select a / b as r from t where c = qty"
    assert lint(text) == []
    found = {finding.rule: finding for finding in lint(text, columns={"A": "INT", "b": "LONG", "Qty": "INT"})}
    assert found["integer-division"].fix == "a \\ b"
    assert found["shadowed-variable"].fix == "qty_"


def test_what_does_not_parse_says_so_beside_the_cause() -> None:
    rules = {finding.rule for finding in lint("Select a from t where d = '2024-01-02' group")}
    assert {"keyword-case", "quoted-date", "syntax"} <= rules


def test_missing_sort_columns() -> None:
    text = 'db = database("dfs://a", VALUE, 1..3, engine="TSDB"); createPartitionedTable(db, t, `t, `a)'
    assert "sort-columns" in {finding.rule for finding in lint(text)}
    assert "sort-columns" not in {finding.rule for finding in lint(text[:-1] + ", sortColumns=`a`ts)")}
