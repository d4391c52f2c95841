"""Queries over more rows than are worked on at a time, against the same in one piece and against pandas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine import grouping, lifting, parallel
from engine.aggregation import rows as aggregation_rows
from engine.errors import CancelledError, ScriptError
from engine.functions.registry import Registry
from engine.grouping import ContiguousGroups, Groups
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from engine.sql import arranging, batches, keys, matching, ordering, window_aggregates
from engine.types import Type, null
from engine.values import SymbolBase, Table, Vector
from tests.engine.sql.conftest import plain

ROWS = 6_000
PIECES = (
    (batches, "BATCH"), (arranging, "BATCH"), (lifting, "LONG"), (lifting, "PART"), (window_aggregates, "CHUNK"),
    (parallel, "LONG"), (parallel, "BLOCK"), (grouping, "BLOCK"), (keys, "BLOCK"), (aggregation_rows, "BLOCK"),
    (matching, "SEARCHES"), (ordering, "BLOCK"),
)  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(11)
    price = np.round(100 + random.normal(0, 1, ROWS).cumsum() / 100, 2)
    price[random.random(ROWS) < 0.05] = np.nan
    qty = random.integers(-50, 50, ROWS).astype(float)
    qty[random.random(ROWS) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "sym": random.choice(
                ["ZB", "A", "MM", "B", "QQ", "C", "XY"], ROWS, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.04, 0.01]
            ),
            "ts": np.sort(random.integers(0, 5 * ROWS, ROWS)),
            "price": price,
            "qty": qty,
        }
    )


@pytest.fixture
def interpreter(frame: pd.DataFrame, registry: Registry, tmp_path: Path) -> Interpreter:
    engine = Interpreter(Session(1, Node(tmp_path)), registry)
    base = SymbolBase(frame["sym"].unique())
    codes = np.array([base.find(text) for text in frame["sym"]], dtype=np.int32)
    qty = frame["qty"].fillna(null(Type.INT)).to_numpy().astype(np.int32)
    columns = [
        Vector(Type.LONG, frame["id"].to_numpy()),
        Vector(Type.SYMBOL, codes, base),
        Vector(Type.TIMESTAMP, frame["ts"].to_numpy()),
        Vector(Type.DOUBLE, frame["price"].to_numpy(copy=True)),
        Vector(Type.INT, qty),
    ]
    engine.session.variables["t"] = Table(["id", "sym", "ts", "price", "qty"], list(columns))
    engine.run("u = select sym, ts + 3 as ts, price as bid from t where id % 3 = 0; limitPrice = 100")
    return engine


@contextmanager
def pieces(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in PIECES:
            patch.setattr(module, name, size)
        yield


SCRIPTS = [
    "select id, sym, price - avg(price) as x, cumsum(qty) as c, price \\ prev(price) - 1 as r from t context by sym",
    "select id, mavg(price, 20) as a, mstd(price, 20) as s, mmax(qty, 7) as m, limitPrice as l from t context by sym",
    "select id, cumsum(price) as s, cummax(price) as a, cummin(price) as b, cummax(qty) as c from t context by sym",
    "select id, iif(price > limitPrice, `up, `down) as x, string(sym) + `x as y from t context by sym",
    "select id, price from t context by sym csort price desc, id limit 3",
    "select id, price from t context by sym csort price, id limit 2, 5",
    "select id, price from t context by sym csort qty desc limit -4",
    "select id, qty, price from t context by sym limit -2",
    "select id, mavg(price, 3) as m from t context by sym csort qty, id limit 4",
    "select id from t context by sym csort ts having price > avg(price)",
    "select sum(qty), avg(price), max(price), min(qty), count(price), count(*) from t group by sym",
    "select std(price), skew(price), kurtosis(qty), var(qty), med(price), sum2(qty) from t group by sym",
    "select corr(price, qty), covar(price, qty), beta(price, qty), wavg(price, qty), wsum(qty, id) from t group by sym",
    "select first(price), last(qty), firstNot(price), imax(price), nunique(qty), mad(qty) from t group by sym, ts % 5",
    "select sum(qty), avg(price), std(price), first(id), last(id), corr(price, qty) from t",
    "select id from t where price > 100, qty < 20, sym in `A`B`MM",
    "select id from t where price > 100, qty < avg(qty), price between 100:101",
    "select top 50 id, price from t order by price desc, id",
    "select top 50 id, qty from t order by qty, id desc",
    "select id from t order by sym, price, id",
    "select id, bar(ts, 1000) as b, hour(ts) as h, price * qty + 1 as x, qty \\ (qty - 3) as y, qty / 0 as z from t",
    "select id, s, n, a, r, d from wj(t, u, -60:30,"
    " <[sum(bid) as s, count(bid) as n, avg(bid) as a, max(bid) - min(bid) as r, std(bid) as d]>, `sym`ts)",
    "select id, last_bid, firsts from pwj(t, u, -5:-1, <[last(bid), first(bid) as firsts]>, `sym`ts)",
    "select id, bid from aj(t, u, `sym`ts)",
    "select id, rank(price) as k, denseRank(qty, false) as d, cumsum(qty) as c, med(qty) as m from t context by sym",
    "select sum(qty), first(id), last(id) from t group by long(ts) * 1000000007 as k",
    "select id, avg(price) over (partition by sym order by id rows between 5 preceding and 2 following) as x from t",
    "select id, sum(qty) over (partition by sym) as x, rank() over (partition by sym order by price) as k from t",
]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_size_of_the_pieces_does_not_show(interpreter: Interpreter, script: str) -> None:
    with pieces(1 << 20):
        whole = plain(interpreter.run(script))
    with pieces(256):
        parts = plain(interpreter.run(script))
    assert list(parts) == list(whole)
    for name, column in whole.items():
        if isinstance(next((item for item in column if item is not None), None), float):
            np.testing.assert_allclose(_floats(parts[name]), _floats(column), rtol=1e-7, atol=1e-7, err_msg=name)
        else:
            assert parts[name] == column, name


def _floats(column: list[float | None]) -> np.ndarray:
    return np.array([np.nan if item is None else item for item in column], dtype=float)


def test_moving_statistics_of_groups_are_those_of_pandas(interpreter: Interpreter, frame: pd.DataFrame) -> None:
    with pieces(256):
        found = plain(
            interpreter.run(
                "select id, mavg(price, 10, 1) as a, msum(qty, 5, 1) as s, price - avg(price) as d, prev(price) as p,"
                " cumsum(price) as c, cummax(price) as m from t context by sym"
            )
        )
    expected = frame.sort_values(["sym", "id"]).reset_index(drop=True)
    by = expected.groupby("sym")
    assert found["id"] == expected["id"].tolist()
    for name, column in {
        "a": by["price"].rolling(10, min_periods=1).mean(),
        "s": by["qty"].rolling(5, min_periods=1).sum(),
        "d": expected["price"] - by["price"].transform("mean"),
        "p": by["price"].shift(),
        "c": by["price"].cumsum().groupby(expected["sym"]).ffill(),
        "m": by["price"].cummax().groupby(expected["sym"]).ffill(),
    }.items():
        np.testing.assert_allclose(_floats(found[name]), column.to_numpy(), atol=1e-5, err_msg=name)


def test_the_first_of_each_group_are_those_of_pandas(interpreter: Interpreter, frame: pd.DataFrame) -> None:
    found = plain(
        interpreter.run("select sym, id from t where isValid(price) context by sym csort price desc, id limit 5")
    )
    ordered = frame.dropna(subset="price").sort_values(["sym", "price", "id"], ascending=[True, False, True])
    expected = ordered.groupby("sym").head(5)
    assert list(zip(found["sym"], found["id"], strict=True)) == list(zip(expected["sym"], expected["id"], strict=True))


def test_windows_of_a_join_are_those_of_a_loop(interpreter: Interpreter) -> None:
    found = plain(
        interpreter.run("select sym, ts, n, s from wj(t, u, -40:20, <[count(bid) as n, sum(bid) as s]>, `sym`ts)")
    )
    quotes = plain(interpreter.run("u"))
    table = pd.DataFrame({name: quotes[name] for name in quotes})
    for row in range(0, ROWS, 397):
        at = found["ts"][row]
        inside = table[(table["sym"] == found["sym"][row]) & (table["ts"] >= at - 40) & (table["ts"] <= at + 20)]["bid"]
        assert found["n"][row] == inside.count()
        assert found["s"][row] == (pytest.approx(inside.sum()) if inside.count() else None)


@pytest.mark.parametrize("count", [1, 3, 300, 20_000, 70_000])
def test_rows_are_brought_together_and_put_back(count: int) -> None:
    codes = np.random.default_rng(count).integers(0, count, 100_000)
    groups = Groups(codes, count)
    assert (groups.order == np.argsort(codes, kind="stable")).all()
    assert (groups.arrange(codes) == np.sort(codes)).all()
    assert (groups.restore(groups.arrange(np.arange(len(codes)))) == np.arange(len(codes))).all()


def test_batches_hold_whole_groups() -> None:
    groups = ContiguousGroups(np.array([5, 0, 3, 90, 1, 1, 0]))
    found = list(groups.batches(8))
    assert found[0][0] == 0
    assert found[-1][1] == groups.count
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert groups.codes.tolist() == [0] * 5 + [2] * 3 + [3] * 90 + [4, 5]


@pytest.mark.parametrize(
    "script",
    [
        "select * from cj(table(1..100000 as a), table(1..100000 as b))",
        "select qty from t pivot by id, id * 2",
        "cross(add, 1..1000000, 1..1000000)",
    ],
)
def test_a_result_that_cannot_fit_is_refused(interpreter: Interpreter, script: str) -> None:
    interpreter.session.node.memory_limit = 2**28  # type: ignore[attr-defined]
    with pytest.raises(ScriptError, match="Out of memory"):
        interpreter.run(script)


@pytest.mark.parametrize(
    "script",
    ["cross(add, 1..9000, 1..9000)", "each(x -> x + 1, 1..20000000)", f"x = 1..9; {' + '.join(['x'] * 150)}"],
)
def test_long_loops_over_elements_end_when_cancelled(interpreter: Interpreter, script: str) -> None:
    calls = 0

    class Ending(Session):
        def check(self) -> None:
            nonlocal calls
            calls += 1
            if calls > 100:
                raise CancelledError("The job was cancelled.")

    session = Ending(2, interpreter.session.node)
    with pytest.raises(ScriptError, match="cancelled"):
        Interpreter(session, interpreter.registry).run(script)
    assert calls < 200
