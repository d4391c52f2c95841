"""Random small tables with NULLs: the engine beside DuckDB and pandas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from engine.types import Type
from engine.values import SymbolBase, Table, Vector, vector
from tests.engine.sql.conftest import plain

KEYS = ("", "a", "b", "c")
Row = tuple[str, int | None, float | None]

doubles = st.integers(-40, 40).map(lambda number: number / 4)
rows = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.integers(-3, 3), st.none() | doubles), min_size=1, max_size=24
)
keyed_rows = st.lists(st.tuples(st.sampled_from(KEYS[1:]), st.integers(0, 3), st.none() | doubles), max_size=12)
bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
few = settings(bounded, max_examples=30)


@pytest.fixture(scope="module")
def interpreter(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    return Interpreter(Session(1, Node(Path(tmp_path_factory.mktemp("properties")))), registry)


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield connection


def symbols(items: list[str]) -> Vector:
    base = SymbolBase()
    return Vector(Type.SYMBOL, vector(Type.INT, [base.code(item) for item in items]).data, base)


def set_table(interpreter: Interpreter, name: str, data: list[Row], columns: str = "k i x") -> None:
    key, whole, number = zip(*data, strict=True) if data else ((), (), ())
    interpreter.session.variables[name] = Table(
        columns.split(), [symbols(list(key)), vector(Type.INT, list(whole)), vector(Type.DOUBLE, list(number))]
    )


def set_duck(duck: duckdb.DuckDBPyConnection, name: str, data: list[Row], columns: str = "k i x") -> None:
    """`n` numbers the rows, so that results can be put in order."""
    key, whole, number = columns.split()
    duck.execute(f"create or replace table {name} (n int, {key} varchar, {whole} int, {number} double)")
    if data:
        duck.executemany(f"insert into {name} values (?, ?, ?, ?)", [(n, *row) for n, row in enumerate(data)])


def ours(interpreter: Interpreter, script: str) -> list[tuple[Any, ...]]:
    value = plain(interpreter.run(script))
    assert isinstance(value, dict)
    return [tuple("" if item is None and name == "k" else item for name, item in zip(value, row, strict=True))
            for row in zip(*value.values(), strict=True)]  # fmt: skip


def theirs(duck: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(round(item, 6) if isinstance(item, float) else item for item in row)
            for row in duck.execute(query).fetchall()]  # fmt: skip


def same(mine: list[tuple[Any, ...]], others: list[tuple[Any, ...]]) -> None:
    assert len(mine) == len(others)
    for own, other in zip(mine, others, strict=True):
        assert own == pytest.approx(other, abs=1e-5, nan_ok=True) if _numeric(own) else own == other, (mine, others)


def _numeric(row: tuple[Any, ...]) -> bool:
    return all(isinstance(item, int | float) for item in row)


def unordered(data: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(data, key=lambda row: [(item is not None, str(type(item)), item) for item in row])


# NULL is the smallest value in a comparison.
low = "coalesce({0}, -1e9)"
comparisons = st.one_of(
    st.builds(
        lambda column, operator, bound: (f"{column} {operator} {bound}", f"{low.format(column)} {operator} {bound}"),
        st.sampled_from(("i", "x")), st.sampled_from(("<", "<=", ">", ">=")), st.integers(-3, 3),
    ),
    st.sampled_from((
        ("i == 2", "coalesce(i = 2, false)"), ("i != 2", "i is distinct from 2"), ("k == `a", "k = 'a'"),
        ("k in `a`b", "k in ('a', 'b')"), ("isNull(x)", "x is null"), ("isValid(i)", "i is not null"),
        ("i between -1:2", "coalesce(i between -1 and 2, false)"), ("k like 'a%'", "k like 'a%'"),
        ("x > i or k == `b", "(coalesce(x, -1e9) > coalesce(i, -1e9) or k = 'b')"),
        ("not (i > 0)", "not (coalesce(i, -1e9) > 0)"),
    )),
)  # fmt: skip


@bounded
@given(data=rows, conditions=st.lists(comparisons, min_size=1, max_size=3))
def test_filters(
    interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, data: list[Row], conditions: list[tuple[str, str]]
) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    mine = ours(interpreter, f"select k, i, x from t where {', '.join(each for each, _ in conditions)}")
    same(mine, theirs(duck, f"select k, i, x from t where {' and '.join(each for _, each in conditions)} order by n"))


@bounded
@given(data=rows)
def test_group_by(interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, data: list[Row]) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    mine = ours(
        interpreter,
        "select count(*) as n, count(x) as c, sum(i) as s, avg(x) as a, min(x) as l, max(i) as h, first(i) as f,"
        " last(x) as e, med(x) as m, nunique(i, true) as u, std(x) as d, sum(x * i) as p from t group by k",
    )
    same(
        mine,
        theirs(
            duck,
            "select k, count(*), count(x), sum(i)::bigint, avg(x), min(x), max(i), arg_min_null(i, n),"
            " arg_max_null(x, n), median(x), count(distinct i), stddev_samp(x), sum(x * i) from t"
            " group by k order by k",
        ),
    )


@bounded
@given(data=rows)
def test_group_by_two_columns_with_having(
    interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, data: list[Row]
) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    mine = ours(interpreter, "select sum(x) as s from t group by k, i having count(*) > 1")
    same(
        mine,
        theirs(duck, "select k, i, sum(x) s from t group by k, i having count(*) > 1 order by k, i nulls first"),
    )


@bounded
@given(left=keyed_rows, right=keyed_rows, kind=st.sampled_from(("ej", "lj", "fj")))
def test_joins(
    interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, left: list[Row], right: list[Row], kind: str
) -> None:
    for name, data, columns in (("l", left, "k i x"), ("r", right, "k i y")):
        set_table(interpreter, name, data, columns)
        set_duck(duck, name, data, columns)
    word = {"ej": "inner", "lj": "left", "fj": "full"}[kind]
    keys = "l.k, l.i, x, r.k as rk, r.i as ri, y" if kind == "fj" else "l.k, l.i, x, y"
    mine = ours(interpreter, f"select {keys} from {kind}(l, r, `k`i)")
    found = theirs(duck, f"select {keys} from l {word} join r on l.k = r.k and l.i = r.i order by l.n, r.n")
    if kind == "fj":
        filled = [tuple("" if item is None and place in (0, 3) else item for place, item in enumerate(row))
                  for row in found]  # fmt: skip
        mine = [tuple("" if item is None and place in (0, 3) else item for place, item in enumerate(row))
                for row in mine]  # fmt: skip
        same(unordered(mine), unordered(filled))
    else:
        same(mine, found)


times = st.lists(st.tuples(st.sampled_from(("a", "b")), st.integers(0, 30), doubles), max_size=15).map(
    lambda data: sorted(data, key=lambda row: row[1])
)


@bounded
@given(left=times, right=times)
def test_asof_join(interpreter: Interpreter, left: list[Row], right: list[Row]) -> None:
    set_table(interpreter, "l", left, "k t x")
    set_table(interpreter, "r", right, "k t y")
    mine = ours(interpreter, "select k, t, x, y from aj(l, r, `k`t)")
    frames = [
        pd.DataFrame(data, columns=columns).astype({"k": object, "t": "int64", columns[2]: float})
        for data, columns in ((left, ["k", "t", "x"]), (right, ["k", "t", "y"]))
    ]
    joined = pd.merge_asof(*frames, on="t", by="k")[["k", "t", "x", "y"]]
    same(mine, [tuple(None if item != item else item for item in row) for row in joined.itertuples(index=False)])


@bounded
@given(left=times, right=times, before=st.integers(-4, 0), after=st.integers(1, 4))
def test_window_join(interpreter: Interpreter, left: list[Any], right: list[Any], before: int, after: int) -> None:
    # A window of 0:0 is not tried: it stands for the time since the row before.
    set_table(interpreter, "l", left, "k t x")
    set_table(interpreter, "r", right, "k t y")
    mine = ours(interpreter, f"select k, t, n, s, m from wj(l, r, {before}:{after}, <[count(y) as n, sum(y) as s,"
                             " max(y) as m]>, `k`t)")  # fmt: skip
    expected: list[tuple[Any, ...]] = []
    for key, time, _ in left:
        inside = [y for other, at, y in right if other == key and time + before <= at <= time + after]
        expected.append((key, time, len(inside), sum(inside) if inside else None, max(inside, default=None)))
    same([(*row[:2], row[2] or 0, *row[3:]) for row in mine], expected)


@bounded
@given(data=rows)
def test_pivot(interpreter: Interpreter, data: list[Row]) -> None:
    data = [row for row in data if row[0] and row[1] is not None] or [("a", 1, 1.0)]
    set_table(interpreter, "t", data)
    mine = plain(interpreter.run("select sum(x) from t pivot by i, k"))
    frame = pd.DataFrame(data, columns=["k", "i", "x"]).astype({"x": float})
    expected = frame.pivot_table(
        index="i", columns="k", values="x", aggfunc=lambda v: v.sum(min_count=1), dropna=False, observed=True
    )
    assert mine.pop("i") == list(expected.index)
    assert list(mine) == sorted({row[0] for row in data})
    for name, column in mine.items():
        cells = expected[name].tolist() if name in expected else [math.nan] * len(expected)
        assert [math.nan if item is None else item for item in column] == pytest.approx(cells, nan_ok=True)


@bounded
@given(
    data=rows,
    order=st.lists(st.tuples(st.sampled_from(("k", "i", "x")), st.booleans()), min_size=1, max_size=3),
    limit=st.none() | st.integers(0, 8),
)
def test_order_by(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    data: list[Row],
    order: list[tuple[str, bool]],
    limit: int | None,
) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    clause = ", ".join(f"{column}{' desc' if down else ''}" for column, down in order)
    nulls = ", ".join(f"{column} {'desc nulls last' if down else 'asc nulls first'}" for column, down in order)
    some = "" if limit is None else f" limit {limit}"
    mine = ours(interpreter, f"select k, i, x from t order by {clause}{some}")
    same(mine, theirs(duck, f"select k, i, x from t order by {nulls}, n{some}"))


@bounded
@given(data=rows)
def test_context_by(interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, data: list[Row]) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    mine = ours(
        interpreter,
        "select k, i, x, prev(i) as p, next(x) as q, cumsum(i) as c, sum(x) as s, x - avg(x) as d,"
        " msum(x, 3, 1) as m, mmax(i, 2, 1) as h, rank(i) as r from t context by k",
    )
    window = "over (partition by k order by n rows between {} preceding and current row)"
    same(
        mine,
        theirs(
            duck,
            "select k, i, x, lag(i) over w, lead(x) over w,"
            f" (sum(i) {window.format('unbounded')})::bigint, sum(x) over (partition by k),"
            " x - avg(x) over (partition by k),"
            f" sum(x) {window.format(2)}, max(i) {window.format(1)},"
            " case when i is not null then rank() over (partition by k, i is null order by i) - 1 end from t"
            " window w as (partition by k order by n) order by k, n",
        ),
    )


@bounded
@given(data=rows, limit=st.integers(-3, 3).filter(bool))
def test_rows_of_each_group(interpreter: Interpreter, data: list[Row], limit: int) -> None:
    set_table(interpreter, "t", data)
    mine = ours(interpreter, f"select k, i, x from t context by k csort i limit {limit}")
    expected: list[Row] = []
    for key in sorted({row[0] for row in data}):
        group = sorted((row for row in data if row[0] == key), key=lambda row: (row[1] is not None, row[1] or 0))
        expected += group[:limit] if limit > 0 else group[limit:]
    same(mine, expected)


@bounded
@given(left=keyed_rows, right=keyed_rows)
def test_set_operations(
    interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, left: list[Row], right: list[Row]
) -> None:
    for name, data in (("l", left), ("r", right)):
        set_table(interpreter, name, data)
        set_duck(duck, name, data)
    for word, other in (("union", "union"), ("intersect", "intersect"), ("minus", "except")):
        mine = ours(interpreter, f"select k, i from l {word} select k, i from r")
        same(unordered(mine), unordered(theirs(duck, f"select k, i from l {other} select k, i from r")))


# A query over each of these sources sees the columns k, i, x, y; n and m number the rows for DuckDB.
SOURCES = st.sampled_from(
    (
        ("ej(l, r, `k)", "join"),
        ("lj(l, r, `k)", "left join"),
        ("(select l.k as k, i, x, y from l left join r on l.k = r.k)", "left join"),
        ("(select k, i, x, y from l inner join r on l.k = r.k)", "join"),
    )
)
GROUPED = (
    ("sum(x)", "sum(x)"), ("count(y)", "count(y)"), ("max(i) - min(i)", "max(i) - min(i)"), ("avg(y)", "avg(y)"),
    ("sum(x * y)", "sum(x * y)"), ("first(y)", "first(y order by n, m)"), ("med(x)", "median(x)"),
    ("sum(iif(y > x, 1, 0))", "sum(case when coalesce(y, -1e9) > coalesce(x, -1e9) then 1.0 else 0.0 end)"),
)  # fmt: skip


def joined(interpreter: Interpreter, duck: duckdb.DuckDBPyConnection, left: list[Row], right: list[Row]) -> None:
    for name, data, columns in (("l", left, "k i x"), ("r", right, "k j y")):
        set_table(interpreter, name, data, columns)
        set_duck(duck, name, data, columns)


def source(word: str) -> str:
    return f"(select l.n, r.n as m, l.k, i, x, y from l {word} r on l.k = r.k)"


@bounded
@given(
    left=keyed_rows, right=keyed_rows, origin=SOURCES, condition=st.none() | comparisons,
    one=st.sampled_from(GROUPED), two=st.sampled_from(GROUPED), least=st.none() | st.integers(-2, 3),
    limit=st.none() | st.integers(0, 4), down=st.booleans(),
)  # fmt: skip
def test_analytic_functions_over_groups_of_joins(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    left: list[Row],
    right: list[Row],
    origin: tuple[str, str],
    condition: tuple[str, str] | None,
    one: tuple[str, str],
    two: tuple[str, str],
    least: int | None,
    limit: int | None,
    down: bool,
) -> None:
    joined(interpreter, duck, left, right)
    where = (f" where {condition[0]}", f" where {condition[1]}") if condition else ("", "")
    having = (
        ("", "") if least is None else (f" having {two[0]} > {least}", f" having coalesce({two[1]}, -1e9) > {least}")
    )
    some = "" if limit is None else f" limit {limit}"
    mine = ours(
        interpreter,
        f"select {one[0]} as a, rank() over (order by {one[0]}) as b, sum({two[0]}) over () as c,"
        f" count({one[0]}) over (partition by i) as d, {two[0]} - max({two[0]}) over (partition by k) as e"
        f" from {origin[0]}{where[0]} group by k, i{having[0]} order by a{' desc' if down else ''}, k, i{some}",
    )
    found = theirs(
        duck,
        f"select k, i, {one[1]} as a, rank() over (order by {one[1]} nulls first), sum({two[1]}) over (),"
        f" count({one[1]}) over (partition by i), {two[1]} - max({two[1]}) over (partition by k)"
        f" from {source(origin[1])}{where[1]} group by k, i{having[1]}"
        f" order by a {'desc nulls last' if down else 'asc nulls first'}, k, i nulls first{some}",
    )
    same([(*row[:2], *map(_float, row[2:])) for row in mine], [(*row[:2], *map(_float, row[2:])) for row in found])


def _float(item: Any) -> float | None:
    return None if item is None else round(float(item), 5)


@bounded
@given(
    left=keyed_rows, right=keyed_rows, origin=SOURCES, condition=st.none() | comparisons,
    order=st.none() | st.tuples(st.sampled_from("xi"), st.booleans()), limit=st.none() | st.integers(1, 3),
    having=st.booleans(),
)  # fmt: skip
def test_rows_of_groups_of_joins(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    left: list[Row],
    right: list[Row],
    origin: tuple[str, str],
    condition: tuple[str, str] | None,
    order: tuple[str, bool] | None,
    limit: int | None,
    having: bool,
) -> None:
    joined(interpreter, duck, left, right)
    where = (f" where {condition[0]}", f" where {condition[1]}") if condition else ("", "")
    rule = f"{order[0]} {'desc nulls last' if order[1] else 'nulls first'}, n, m" if order else "n, m"
    window = f"(partition by k order by {rule})"
    csort = f" csort {order[0]}{' desc' if order[1] else ''}" if order else ""
    kept = ["count(*) over (partition by k) > 2"] if having else []
    if limit is not None:
        kept.append(f"row_number() over {window} <= {limit}")
    mine = ours(
        interpreter,
        f"select k, i, x, y, prev(x) as p, cumsum(y) as c, msum(x, 2, 1) as s, y - avg(y) as d, rowNo(x) as r"
        f" from {origin[0]}{where[0]} context by k{csort}{' having count(*) > 2' if having else ''}"
        f"{'' if limit is None else f' limit {limit}'}",
    )
    running = f"(partition by k order by {rule} rows between {{}} preceding and current row)"
    found = theirs(
        duck,
        f"select k, i, x, y, lag(x) over {window}, sum(y) over {running.format('unbounded')},"
        f" sum(x) over {running.format(1)}, y - avg(y) over (partition by k), row_number() over {window} - 1"
        f" from {source(origin[1])}{where[1]}{' qualify ' + ' and '.join(kept) if kept else ''} order by k, {rule}",
    )
    same([(row[0], *map(_float, row[1:])) for row in mine], [(row[0], *map(_float, row[1:])) for row in found])


@bounded
@given(left=keyed_rows, right=keyed_rows, origin=SOURCES, cell=st.sampled_from(GROUPED))
def test_pivot_of_joins(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    left: list[Row],
    right: list[Row],
    origin: tuple[str, str],
    cell: tuple[str, str],
) -> None:
    joined(interpreter, duck, left, right)
    cells = {
        row[:2]: _float(row[2])
        for row in theirs(duck, f"select i, k, {cell[1]} from {source(origin[1])} where i > 0 group by i, k")
    }
    mine = ours(interpreter, f"select {cell[0]} from {origin[0]} where i > 0 pivot by i, k")
    rows, columns = (sorted({key[place] for key in cells}) for place in (0, 1))
    expected = [(row, *(cells.get((row, column)) for column in columns)) for row in rows]
    same([(row[0], *map(_float, row[1:])) for row in mine], expected)


@bounded
@given(
    data=times.filter(bool), width=st.sampled_from((3, 5)), fill=st.sampled_from(("null", "prev", "post", "none", 0)),
    closed=st.sampled_from(("left", "right")), label=st.sampled_from(("left", "right")), start=st.none() | st.just(-4),
)  # fmt: skip
def test_interval(
    interpreter: Interpreter,
    data: list[Any],
    width: int,
    fill: str | int,
    closed: str,
    label: str,
    start: int | None,
) -> None:
    set_table(interpreter, "t", data, "k t x")
    base = start or 0

    def step(time: int) -> int:
        return (
            (time - base) // width * width + base if closed == "left" else -((base - time) // width + 1) * width + base
        )

    sums: dict[int, float] = {}
    for _, time, x in data:
        sums[step(time)] = sums.get(step(time), 0.0) + x
    first = min([*sums, *([start] if start is not None else [])])
    expected: list[tuple[Any, ...]] = []
    for at in range(first, max(sums) + 1, width):
        value = sums.get(at)
        if value is None and fill == "none":
            continue
        if value is None and fill == "prev":
            value = next((sums[other] for other in sorted(sums, reverse=True) if other < at), None)
        elif value is None and fill == "post":
            value = next(sums[other] for other in sorted(sums) if other > at)
        elif value is None and fill == 0:
            value = 0.0
        expected.append((at + (width if label == "right" else 0), value))
    offset = "" if start is None else ", explicitOffset=true"
    mine = ours(
        interpreter,
        f"select sum(x) as s from t{'' if start is None else f' where t >= {start}'} group by"
        f" interval(X=t, duration={width}, fill={fill if fill == 0 else repr(fill)}, closed='{closed}',"
        f" label='{label}'{offset}) as b",
    )
    if fill == "none":
        expected = [row for row in expected if row[1] is not None]
    same(mine, expected)


INNER = (
    ("r.k = l.k", "r.k = l.k"), ("r.i < l.i", "coalesce(r.i, -9) < coalesce(l.i, -9)"),
    ("y > l.x", f"{low.format('y')} > {low.format('x')}"), ("r.i = l.i", "r.i is not distinct from l.i"),
    ("r.i > 0", "coalesce(r.i, -9) > 0"),
)  # fmt: skip
OUTER = (
    ("exists (select * from r where {0})", "exists (select * from r where {1})"),
    ("not exists (select * from r where {0})", "not exists (select * from r where {1})"),
    ("l.k in (select r.k from r where {0})", "l.k in (select r.k from r where {1})"),
    ("x > any (select y from r where {0})", "coalesce(x, -1e9) > any (select coalesce(y, -1e9) from r where {1})"),
    ("x <= all (select y from r where {0})", "coalesce(x, -1e9) <= all (select coalesce(y, -1e9) from r where {1})"),
    ("x >= (select max(y) from r where {0})",
     "coalesce(x, -1e9) >= coalesce((select max(y) from r where {1}), -1e9)"),
)  # fmt: skip


@few
@given(
    left=rows, right=rows, outer=st.sampled_from(OUTER), negated=st.booleans(), other=st.none() | comparisons,
    inner=st.lists(st.sampled_from(INNER), min_size=1, max_size=2),
)  # fmt: skip
def test_subqueries_about_the_rows_around_them(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    left: list[Row],
    right: list[Row],
    outer: tuple[str, str],
    negated: bool,
    other: tuple[str, str] | None,
    inner: list[tuple[str, str]],
) -> None:
    for name, data, columns in (("l", left, "k i x"), ("r", right, "k i y")):
        set_table(interpreter, name, data, columns)
        set_duck(duck, name, data, columns)
    conditions = [" and ".join(each[place] for each in inner) for place in (0, 1)]
    own, its = (text.format(*conditions) for text in outer)
    if negated:
        own, its = f"not ({own})", f"not ({its})"
    if other is not None:
        own, its = f"({own} or {other[0]})", f"({its} or {other[1]})"
    mine = ours(
        interpreter,
        f"select k, i, x, (select sum(y) from r where {conditions[0]}) as s,"
        f" (select count(*) from r where {conditions[0]}) as n from l where {own}",
    )
    found = theirs(
        duck,
        f"select k, i, x, (select sum(y) from r where {conditions[1]}), (select count(*) from r where {conditions[1]})"
        f" from l where {its} order by n",
    )
    same(mine, found)


JOINS = st.sampled_from(("inner join", "left join", "right join", "full join"))


@few
@given(
    tables=st.tuples(keyed_rows, keyed_rows, keyed_rows), kinds=st.tuples(JOINS, JOINS), shift=st.integers(-1, 1),
    condition=st.none() | st.integers(-2, 2),
)  # fmt: skip
def test_joins_in_a_row(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    tables: tuple[list[Row], list[Row], list[Row]],
    kinds: tuple[str, str],
    shift: int,
    condition: int | None,
) -> None:
    for name, data in zip(("u", "v", "w"), tables, strict=True):
        set_table(interpreter, name, data)
        set_duck(duck, name, data)
    some = "" if condition is None or kinds[0] in ("right join", "full join") else f" and b.x > {condition}"
    where = "" if condition is None else f" where c.i > {condition}"
    columns = "a.i as ai, a.x as ax, b.i as bi, b.x as bx, c.i as ci, c.x as cx"
    shape = "select {0} from u a {1} v b on a.k = b.k{2} {3} w c on {4} {5}"
    keys = f"b.i + {shift} = c.i"
    mine = ours(interpreter, shape.format(columns, kinds[0], some, kinds[1], keys, where))
    low_some = some.replace("b.x", low.format("b.x"))
    low_keys = f"b.i + {shift} is not distinct from c.i"
    low_where = where.replace("c.i", low.format("c.i"))
    found = theirs(duck, shape.format(columns, kinds[0], low_some, kinds[1], low_keys, low_where))
    same(unordered(mine), unordered(found))


BOUNDS = ("unbounded preceding", "2 preceding", "1 preceding", "current row", "1 following", "unbounded following")


@few
@given(
    data=rows, unit=st.sampled_from(("rows", "range")), first=st.integers(0, 4), last=st.integers(1, 5),
    down=st.booleans(), name=st.sampled_from(("sum", "count", "max", "avg", "std", "med")),
)  # fmt: skip
def test_frames_of_analytic_functions(
    interpreter: Interpreter,
    duck: duckdb.DuckDBPyConnection,
    data: list[Row],
    unit: str,
    first: int,
    last: int,
    down: bool,
    name: str,
) -> None:
    set_table(interpreter, "t", data)
    set_duck(duck, "t", data)
    frame = f"{unit} between {BOUNDS[min(first, last)]} and {BOUNDS[max(first, last)]}"
    mine = ours(interpreter, f"select {name}(x) over (partition by k order by i{' desc' if down else ''} {frame}) as r"
                             " from t")  # fmt: skip
    rule = f"i {'desc nulls last' if down else 'asc nulls first'}{', n' if unit == 'rows' else ''}"
    function = {"std": "stddev_samp", "med": "median"}.get(name, name)
    found = theirs(duck, f"select {function}(x) over (partition by k order by {rule} {frame}) from t order by n")
    same([(_float(row[0]),) for row in mine], [(_float(row[0]),) for row in found])
