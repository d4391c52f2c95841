"""Twenty-four typical queries by family: the engine's interpreter beside pandas, polars and DuckDB in the same run.

All four get the same arrays. Every result is compared once before it is timed, and stays on its side while it is. Aims:
at most twice the time of the faster of pandas and polars, and a peak of memory allocated by the query of at most three
times the bytes of the columns it touches (its result counts as allocated).

`DDB_AGENT_BENCH_ROWS=1000000` restricts the sizes, `DDB_AGENT_BENCH_QUERIES=join` the queries to those whose name has
the word (both comma-separated).
"""

from __future__ import annotations

import os
import pickle
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.report import milliseconds, ratio
from engine.functions import builtin_functions
from engine.interpreter import Interpreter
from engine.limits import keep_freed_memory
from engine.node import Node
from engine.session import Session
from engine.storage.databases import Databases
from engine.types import Type
from engine.values import SymbolBase, Table, Vector

SIZES = (1_000_000, 10_000_000)
REPEATS = {1_000_000: 5, 10_000_000: 2}
SYMBOLS = 500
DAYS = 10
DAY_MS = 86_400_000
START = np.datetime64("2024-03-01T00:00:00.000")


@dataclass
class Sides:
    """The same data in each of the four."""

    engine: Interpreter
    pandas: dict[str, pd.DataFrame]
    polars: dict[str, pl.DataFrame]
    duck: duckdb.DuckDBPyConnection
    folder: Path


@dataclass(frozen=True)
class Query:
    """`touched` are the columns read (`table.column`); `keys` order the rows to compare them (none: as they come)."""

    name: str
    script: str
    pandas: Callable[[Sides], pd.DataFrame]
    polars: Callable[[Sides], pl.DataFrame]
    duck: str
    touched: str
    keys: Sequence[str] = ()


def arrays(rows: int) -> dict[str, dict[str, Any]]:
    """Trades in order of time over ten days; quotes a little off; two small tables to join."""
    random = np.random.default_rng(7)
    step = DAYS * DAY_MS // rows
    ts = START + (np.arange(rows) * step).astype("timedelta64[ms]")
    names = np.array([f"S{number}" for number in range(1000, 1000 + SYMBOLS)], dtype=object)
    steps = random.normal(0, 0.001, rows).cumsum()
    # No two quotes at the same time: which of them an asof join finds is not said.
    quoted = np.sort(random.integers(0, DAYS * DAY_MS - rows, rows)) + np.arange(rows)
    return {
        "trades": {
            "id": np.arange(rows),
            "sym": (random.integers(0, SYMBOLS, rows).astype(np.int32), names),
            "ts": ts,
            "price": np.round(100 + steps, 3),
            "qty": random.integers(1, 1000, rows).astype(np.int32),
        },
        "quotes": {
            "sym": (random.integers(0, SYMBOLS, rows).astype(np.int32), names),
            "ts": START + quoted.astype("timedelta64[ms]"),
            "bid": np.round(100 + random.normal(0, 1, rows), 3),
        },
        "sectors": {
            "sym": (np.arange(SYMBOLS, dtype=np.int32), names),
            "sector": (np.arange(SYMBOLS, dtype=np.int32) % 11, np.array([f"sector {i}" for i in range(11)], object)),
        },
        "fees": {"id": random.permutation(rows)[: rows // 2], "fee": random.random(rows // 2)},
    }


def made(rows: int, folder: Path) -> Sides:
    data = arrays(rows)
    frames = {name: pd.DataFrame({c: _pandas(v) for c, v in columns.items()}) for name, columns in data.items()}
    polar = {name: pl.DataFrame({c: _polars(v) for c, v in columns.items()}) for name, columns in data.items()}
    node = Node(folder)
    node.databases = Databases(folder / "databases")
    engine = Interpreter(Session(1, node, user="admin"), builtin_functions())
    for name, columns in data.items():
        engine.session.variables[name] = Table(list(columns), [_vector(value) for value in columns.values()])
    duck = duckdb.connect()
    duck.execute("set enable_progress_bar = false")
    for name, frame in frames.items():
        duck.register("source", frame)
        duck.execute(f"create table {name} as select * from source")
        duck.unregister("source")
    engine.run(
        'db = database("dfs://bench", VALUE, 2024.03.01..2024.03.10);'
        "stored = db.createPartitionedTable(trades, `stored, `ts); stored.append!(trades)"
    )
    for day, part in frames["trades"].groupby(frames["trades"]["ts"].dt.floor("D")):
        (folder / f"{day:%Y%m%d}.pickle").write_bytes(pickle.dumps(part, protocol=5))
        polar["trades"].filter(pl.col("ts").dt.date() == day.date()).write_parquet(folder / f"{day:%Y%m%d}.parquet")
    return Sides(engine, frames, polar, duck, folder)


def _pandas(value: Any) -> Any:
    return pd.Categorical.from_codes(value[0], list(value[1])) if isinstance(value, tuple) else value


def _polars(value: Any) -> Any:
    if isinstance(value, tuple):
        return pl.Series(value[1][value[0]], dtype=pl.Enum(list(value[1])))
    return pl.Series(value)


def _vector(value: Any) -> Vector:
    if isinstance(value, tuple):
        return Vector(Type.SYMBOL, value[0] + np.int32(1), SymbolBase(value[1]))
    kinds = {"i8": Type.LONG, "i4": Type.INT, "f8": Type.DOUBLE, "M8": Type.TIMESTAMP}
    type_ = kinds[value.dtype.str[1:3]]
    return Vector(type_, value.view(np.int64) if type_ is Type.TIMESTAMP else value)


def _moving(function: str) -> Callable[[Sides], pd.DataFrame]:
    def run(sides: Sides) -> pd.DataFrame:
        t = sides.pandas["trades"]
        rolled = getattr(t.groupby("sym", observed=True)["price"].rolling(20), function)()
        return t[["id", "sym"]].assign(x=rolled.droplevel(0).fillna(0.0))

    return run


def _polars_context(expression: pl.Expr) -> Callable[[Sides], pl.DataFrame]:
    return lambda s: s.polars["trades"].select("id", "sym", expression.over("sym").fill_null(0.0).alias("x"))


def _context(script: str) -> str:
    return f"select id, sym, nullFill({script}, 0.0) as x from trades context by sym"


def _duck_context(expression: str) -> str:
    return f"select id, sym, coalesce({expression}, 0) as x from trades"


def _duck_moving(call: str) -> str:
    window = "(partition by sym order by id rows 19 preceding)"
    return _duck_context(f"case when count(*) over {window} = 20 then {call} over {window} end")


def _window_join(sides: Sides) -> pd.DataFrame:
    """pandas has no window join: prefix sums of the quotes by symbol, looked up at both ends of every window."""
    trades, quotes = sides.pandas["trades"], sides.pandas["quotes"]
    order = np.lexsort((quotes["ts"].to_numpy(), quotes["sym"].cat.codes.to_numpy()))
    code, at = quotes["sym"].cat.codes.to_numpy().astype(np.int64)[order], quotes["ts"].to_numpy().view(np.int64)[order]
    base, span = START.astype(np.int64), DAYS * DAY_MS * 4
    place = code * span + (at - base)
    total = np.concatenate(([0.0], np.cumsum(quotes["bid"].to_numpy()[order])))
    own = trades["sym"].cat.codes.to_numpy().astype(np.int64) * span + (trades["ts"].to_numpy().view(np.int64) - base)
    low, high = np.searchsorted(place, own - 600_000, "left"), np.searchsorted(place, own, "right")
    count = high - low
    mean = np.where(count > 0, (total[high] - total[low]) / np.maximum(count, 1), 0.0)
    return trades[["id"]].assign(n=count, x=mean)


def _window_join_polars(sides: Sides) -> pl.DataFrame:
    trades, quotes = sides.polars["trades"], sides.polars["quotes"]
    ends = quotes.select("sym", "ts", "bid").with_columns(
        total=pl.col("bid").cum_sum().over("sym"), n=pl.int_range(1, pl.len() + 1).over("sym")
    )
    after = trades.join_asof(ends, on="ts", by="sym", check_sortedness=False)
    early = trades.select("sym", ts=pl.col("ts") - pl.duration(milliseconds=600_001))
    before = early.join_asof(ends, on="ts", by="sym", check_sortedness=False)
    count = after["n"].fill_null(0) - before["n"].fill_null(0)
    sums = after["total"].fill_null(0.0) - before["total"].fill_null(0.0)
    return pl.DataFrame({"id": trades["id"], "n": count, "x": pl.select(
        pl.when(count > 0).then(sums / count).otherwise(0.0))[:, 0]})  # fmt: skip


QUERIES = [
    Query(
        "filter and aggregate",
        "select count(*) as n, avg(price) as a, sum(qty) as q from trades where price > 100, qty < 500",
        lambda s: (lambda f: pd.DataFrame({"n": [len(f)], "a": [f["price"].mean()], "q": [f["qty"].sum()]}))(
            s.pandas["trades"].query("price > 100 and qty < 500")
        ),
        lambda s: s.polars["trades"]
        .filter((pl.col("price") > 100) & (pl.col("qty") < 500))
        .select(n=pl.len(), a=pl.col("price").mean(), q=pl.col("qty").sum()),
        "select count(*) n, avg(price) a, sum(qty) q from trades where price > 100 and qty < 500",
        "trades.price trades.qty",
    ),
    Query(
        "sum, avg, max by symbol",
        "select sum(qty) as q, avg(price) as a, max(price) as m from trades group by sym",
        lambda s: s.pandas["trades"].groupby("sym", observed=True).agg(
            q=("qty", "sum"), a=("price", "mean"), m=("price", "max")).reset_index(),
        lambda s: s.polars["trades"].group_by("sym").agg(
            q=pl.col("qty").sum(), a=pl.col("price").mean(), m=pl.col("price").max()),
        "select sym, sum(qty) q, avg(price) a, max(price) m from trades group by sym",
        "trades.sym trades.qty trades.price",
        ("sym",),
    ),
    Query(
        "vwap by symbol",
        "select wavg(price, qty) as v from trades group by sym",
        lambda s: (lambda g: (g["pq"].sum() / g["qty"].sum()).rename("v").reset_index())(
            s.pandas["trades"].assign(pq=s.pandas["trades"]["price"] * s.pandas["trades"]["qty"]).groupby(
                "sym", observed=True)),
        lambda s: s.polars["trades"].group_by("sym").agg(
            v=(pl.col("price") * pl.col("qty")).sum() / pl.col("qty").sum()),
        "select sym, sum(price * qty) / sum(qty) v from trades group by sym",
        "trades.sym trades.qty trades.price",
        ("sym",),
    ),
    Query(
        "OHLC bars of an hour",
        "select first(price) as o, max(price) as h, min(price) as l, last(price) as c, sum(qty) as q from trades"
        " group by sym, bar(ts, 3600000) as t",
        lambda s: s.pandas["trades"].groupby(
            ["sym", s.pandas["trades"]["ts"].dt.floor("h").rename("t")], observed=True).agg(
            o=("price", "first"), h=("price", "max"), l=("price", "min"), c=("price", "last"), q=("qty", "sum")
            ).reset_index(),
        lambda s: s.polars["trades"].group_by("sym", pl.col("ts").dt.truncate("1h").alias("t")).agg(
            o=pl.col("price").first(), h=pl.col("price").max(), l=pl.col("price").min(), c=pl.col("price").last(),
            q=pl.col("qty").sum()),
        "select sym, date_trunc('hour', ts) t, arg_min(price, id) o, max(price) h, min(price) l, arg_max(price, id) c,"
        " sum(qty) q from trades group by 1, 2",
        "trades.sym trades.ts trades.qty trades.price",
        ("sym", "t"),
    ),
    Query(
        "median by symbol",
        "select med(price) as m from trades group by sym",
        lambda s: s.pandas["trades"].groupby("sym", observed=True)["price"].median().rename("m").reset_index(),
        lambda s: s.polars["trades"].group_by("sym").agg(m=pl.col("price").median()),
        "select sym, median(price) m from trades group by sym",
        "trades.sym trades.price",
        ("sym",),
    ),
    Query(
        "distinct count by symbol",
        "select nunique(qty) as n from trades group by sym",
        lambda s: s.pandas["trades"].groupby("sym", observed=True)["qty"].nunique().rename("n").reset_index(),
        lambda s: s.polars["trades"].group_by("sym").agg(n=pl.col("qty").n_unique()),
        "select sym, count(distinct qty) n from trades group by sym",
        "trades.sym trades.qty",
        ("sym",),
    ),
    Query(
        "correlation by symbol",
        "select corr(price, qty) as c from trades group by sym",
        lambda s: (lambda t: t.groupby("sym", observed=True).apply(
            lambda g: g["price"].corr(g["qty"]), include_groups=False).rename("c").reset_index())(
            s.pandas["trades"][["sym", "price", "qty"]]),
        lambda s: s.polars["trades"].group_by("sym").agg(c=pl.corr("price", "qty")),
        "select sym, corr(price, qty) c from trades group by sym",
        "trades.sym trades.qty trades.price",
        ("sym",),
    ),
    Query(
        "distinct pairs",
        "select distinct sym, hour(ts) as h from trades",
        lambda s: pd.DataFrame(
            {"sym": s.pandas["trades"]["sym"], "h": s.pandas["trades"]["ts"].dt.hour}).drop_duplicates(),
        lambda s: s.polars["trades"].select("sym", h=pl.col("ts").dt.hour()).unique(),
        "select distinct sym, hour(ts) h from trades",
        "trades.sym trades.ts",
        ("sym", "h"),
    ),
    Query(
        "string filter",
        "select sym, count(*) as n from trades where sym like 'S11%' group by sym",
        lambda s: s.pandas["trades"][s.pandas["trades"]["sym"].str.startswith("S11")].groupby(
            "sym", observed=True).size().rename("n").reset_index(),
        lambda s: s.polars["trades"].filter(pl.col("sym").cast(pl.String).str.starts_with("S11")).group_by("sym").agg(
            n=pl.len()),
        "select sym, count(*) n from trades where sym::varchar like 'S11%' group by sym",
        "trades.sym",
        ("sym",),
    ),
    Query(
        "context by moving average",
        _context("mavg(price, 20)"),
        _moving("mean"),
        _polars_context(pl.col("price").rolling_mean(20)),
        _duck_moving("avg(price)"),
        "trades.id trades.sym trades.price",
        ("id",),
    ),
    Query(
        "context by moving deviation",
        _context("mstd(price, 20)"),
        _moving("std"),
        _polars_context(pl.col("price").rolling_std(20)),
        _duck_moving("stddev_samp(price)"),
        "trades.id trades.sym trades.price",
        ("id",),
    ),
    Query(
        "context by moving maximum",
        _context("mmax(price, 20)"),
        _moving("max"),
        _polars_context(pl.col("price").rolling_max(20)),
        _duck_moving("max(price)"),
        "trades.id trades.sym trades.price",
        ("id",),
    ),
    Query(
        "context by deviation from mean",
        _context("price - avg(price)"),
        lambda s: s.pandas["trades"][["id", "sym"]].assign(
            x=s.pandas["trades"]["price"]
            - s.pandas["trades"].groupby("sym", observed=True)["price"].transform("mean")),
        lambda s: s.polars["trades"].select("id", "sym", x=pl.col("price") - pl.col("price").mean().over("sym")),
        _duck_context("price - avg(price) over (partition by sym)"),
        "trades.id trades.sym trades.price",
        ("id",),
    ),
    Query(
        "context by return",
        _context("price \\ prev(price) - 1"),
        lambda s: s.pandas["trades"][["id", "sym"]].assign(
            x=(s.pandas["trades"]["price"] / s.pandas["trades"].groupby("sym", observed=True)["price"].shift()
               - 1).fillna(0.0)),
        _polars_context(pl.col("price") / pl.col("price").shift() - 1),
        _duck_context("price / lag(price) over (partition by sym order by id) - 1"),
        "trades.id trades.sym trades.price",
        ("id",),
    ),
    Query(
        "context by cumulative sum",
        "select id, sym, cumsum(qty) as x from trades context by sym",
        lambda s: s.pandas["trades"][["id", "sym"]].assign(
            x=s.pandas["trades"].groupby("sym", observed=True)["qty"].cumsum()),
        lambda s: s.polars["trades"].select("id", "sym", x=pl.col("qty").cum_sum().over("sym")),
        "select id, sym, sum(qty) over (partition by sym order by id) x from trades",
        "trades.id trades.sym trades.qty",
        ("id",),
    ),
    Query(
        "top 3 of each symbol",
        "select sym, id, price from trades context by sym csort price desc, id limit 3",
        lambda s: s.pandas["trades"][["sym", "id", "price"]].sort_values(
            ["price", "id"], ascending=[False, True]).groupby("sym", observed=True).head(3),
        lambda s: s.polars["trades"].select("sym", "id", "price").sort(
            ["price", "id"], descending=[True, False]).group_by("sym").head(3),
        "select sym, id, price from trades qualify row_number() over (partition by sym order by price desc, id) <= 3",
        "trades.sym trades.id trades.price",
        ("sym", "id"),
    ),
    Query(
        "pivot hour by symbol",
        "select avg(price) from trades pivot by hour(ts) as h, sym",
        lambda s: s.pandas["trades"].groupby(
            [s.pandas["trades"]["ts"].dt.hour.rename("h"), "sym"], observed=True)["price"].mean().unstack()
            .reset_index(),
        lambda s: s.polars["trades"].select("sym", "price", h=pl.col("ts").dt.hour()).group_by("h", "sym").agg(
            pl.col("price").mean()).sort("sym").pivot("sym", index="h", values="price"),
        "pivot (select hour(ts) h, sym::varchar sym, price from trades) on sym using avg(price) group by h",
        "trades.sym trades.ts trades.price",
        ("h",),
    ),
    Query(
        "largest 100",
        "select top 100 id, sym, price from trades order by price desc, id",
        lambda s: s.pandas["trades"][["id", "sym", "price"]].sort_values(
            ["price", "id"], ascending=[False, True]).head(100),
        lambda s: s.polars["trades"].lazy().select("id", "sym", "price").sort(
            ["price", "id"], descending=[True, False]).head(100).collect(),
        "select id, sym, price from trades order by price desc, id limit 100",
        "trades.id trades.price trades.sym",
    ),
    Query(
        "order by two columns",
        "select sym, id, price from trades order by sym, price, id",
        lambda s: s.pandas["trades"][["sym", "id", "price"]].sort_values(["sym", "price", "id"]),
        lambda s: s.polars["trades"].select("sym", "id", "price").sort(["sym", "price", "id"]),
        "select sym, id, price from trades order by sym, price, id",
        "trades.sym trades.id trades.price",
    ),
    Query(
        "asof join",
        "select id, price, nullFill(bid, 0.0) as bid from aj(trades, quotes, `sym`ts)",
        lambda s: pd.merge_asof(s.pandas["trades"][["id", "sym", "ts", "price"]], s.pandas["quotes"], on="ts", by="sym")
        [["id", "price", "bid"]].fillna({"bid": 0.0}),
        lambda s: s.polars["trades"].select("id", "sym", "ts", "price").join_asof(
            s.polars["quotes"], on="ts", by="sym", check_sortedness=False)
            .select("id", "price", pl.col("bid").fill_null(0.0)),
        "select id, price, coalesce(bid, 0) bid from trades t asof left join quotes q on t.sym = q.sym and"
        " t.ts >= q.ts",
        "trades.id trades.sym trades.ts trades.price quotes.sym quotes.ts quotes.bid",
        ("id",),
    ),
    Query(
        "window join of 10 minutes",
        "select id, n, nullFill(x, 0.0) as x from wj(trades, quotes, -600000:0, <[count(bid) as n, avg(bid) as x]>,"
        " `sym`ts)",
        _window_join,
        _window_join_polars,
        "",
        "trades.id trades.sym trades.ts quotes.sym quotes.ts quotes.bid",
        ("id",),
    ),
    Query(
        "equi join and aggregate",
        "select sum(qty) as q from ej(trades, sectors, `sym) group by sector",
        lambda s: s.pandas["trades"][["sym", "qty"]].merge(s.pandas["sectors"], on="sym").groupby(
            "sector", observed=True)["qty"].sum().rename("q").reset_index(),
        lambda s: s.polars["trades"].select("sym", "qty").join(s.polars["sectors"], on="sym").group_by("sector").agg(
            q=pl.col("qty").sum()),
        "select sector, sum(qty) q from trades join sectors using (sym) group by sector",
        "trades.sym trades.qty",
        ("sector",),
    ),
    Query(
        "left join of two large tables",
        "select id, qty, nullFill(fee, 0.0) as fee from lj(trades, fees, `id)",
        lambda s: s.pandas["trades"][["id", "qty"]].merge(s.pandas["fees"], on="id", how="left").fillna({"fee": 0.0}),
        lambda s: s.polars["trades"].select("id", "qty").join(s.polars["fees"], on="id", how="left").with_columns(
            pl.col("fee").fill_null(0.0)),
        "select id, qty, coalesce(fee, 0) fee from trades left join fees using (id)",
        "trades.id trades.qty fees.id fees.fee",
        ("id",),
    ),
    Query(
        "one partition from disk",
        "select sum(qty) as q, avg(price) as a from stored where date(ts) = 2024.03.04 group by sym",
        lambda s: pickle.loads((s.folder / "20240304.pickle").read_bytes()).groupby(
            "sym", observed=True).agg(q=("qty", "sum"), a=("price", "mean")).reset_index(),
        lambda s: pl.scan_parquet(s.folder / "20240304.parquet").group_by("sym").agg(
            q=pl.col("qty").sum(), a=pl.col("price").mean()).collect(),
        "select sym, sum(qty) q, avg(price) a from '{folder}/20240304.parquet' group by sym",
        "trades.sym trades.qty trades.price",
        ("sym",),
    ),
]  # fmt: skip


def plain(columns: dict[str, Any], keys: Sequence[str]) -> list[np.ndarray[Any, Any]]:
    """Columns by name as strings and doubles, the rows in the order of the keys."""
    parts = {name.lower(): _comparable(column) for name, column in columns.items()}
    order = np.lexsort([parts[key] for key in reversed(keys)]) if keys else slice(None)
    return [part[order] for part in parts.values()]


def _comparable(column: Any) -> np.ndarray[Any, Any]:
    if isinstance(column, Vector):
        if column.symbols is not None:
            return np.asarray(column.symbols.array()[column.data], dtype="U12")
        column = np.where(column.nulls(), np.nan, column.data.astype(np.float64))
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(np.asarray(column.cat.categories, dtype="U12")[column.cat.codes])
    values = np.asarray(column)
    if values.dtype.kind == "M":
        return values.astype("datetime64[ms]").astype(np.int64).astype(np.float64)
    return values.astype("U12" if values.dtype.kind in "OU" else np.float64)


def check(query: Query, sides: Sides) -> None:
    """Raises AssertionError unless all sides give the same rows."""
    ours = sides.engine.run(query.script)
    assert isinstance(ours, Table)
    expected = plain(dict(zip(ours.names, ours.columns, strict=True)), query.keys)
    frames: dict[str, Any] = {"pandas": query.pandas(sides), "polars": query.polars(sides)}
    if query.duck:
        frames["DuckDB"] = sides.duck.execute(query.duck.format(folder=sides.folder)).df()
    for side, frame in frames.items():
        found = plain({str(name): frame[name] for name in frame.columns}, query.keys)
        for mine, other in zip(expected, found, strict=True):
            if mine.dtype.kind == "U":
                assert (mine == other).all(), f"{query.name}: {side} gives other strings"
            else:
                np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6, err_msg=f"{query.name}: {side}")


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The median of several runs after one to warm up."""
    run()
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def peak(run: Callable[[], object]) -> int:
    """The most bytes allocated at one time while it runs."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def touched_bytes(query: Query, sides: Sides) -> int:
    total = 0
    for name in query.touched.split():
        owner, column = name.split(".")
        held = sides.engine.session.variables[owner]
        assert isinstance(held, Table)
        found = held.column(column)
        assert isinstance(found, Vector)
        total += found.data.nbytes
    return total // DAYS if query.name.startswith("one partition") else total


def measure(rows: int, folder: Path) -> Iterator[str]:
    """A line for the head, then one for each query as soon as it is measured."""
    sides = made(rows, folder)
    repeats = REPEATS.get(rows, 3)
    head = ("engine", "pandas", "polars", "DuckDB", "to the faster", "peak / data")
    yield _line(f"{rows:,} rows (median of {repeats})", head)
    for query in QUERIES:
        if not any(word in query.name for word in os.environ.get("DDB_AGENT_BENCH_QUERIES", "").split(",")):
            continue
        check(query, sides)
        script, duck = query.script, query.duck.format(folder=sides.folder)
        ours = seconds(lambda script=script: sides.engine.run(script), repeats)  # type: ignore[misc]
        pandas = seconds(lambda query=query: query.pandas(sides), repeats)  # type: ignore[misc]
        polars = seconds(lambda query=query: query.polars(sides), repeats)  # type: ignore[misc]
        create = f"create or replace temp table result as {duck}"
        ducks = seconds(lambda create=create: sides.duck.execute(create), repeats) if duck else None  # type: ignore[misc]
        memory = peak(lambda script=script: sides.engine.run(script)) / touched_bytes(query, sides)  # type: ignore[misc]
        spent = [milliseconds(each) if each is not None else "" for each in (ours, pandas, polars, ducks)]
        yield _line(query.name, (*spent, ratio(ours, min(pandas, polars)), f"{memory:.1f}"))
    sides.duck.close()


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:32}" + "".join(f"{cell:>14}" for cell in cells)


def sizes() -> tuple[int, ...]:
    chosen = os.environ.get("DDB_AGENT_BENCH_ROWS")
    return tuple(int(part) for part in chosen.split(",")) if chosen else SIZES


def main() -> None:
    keep_freed_memory()  # as the engine's own process does
    for rows in sizes():
        with TemporaryDirectory(prefix="ddb-agent-bench-") as folder:
            for line in measure(rows, Path(folder)):
                print(line, flush=True)
