"""The queries of `engine_families`, each in the engine's script, pandas, polars and DuckDB."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from engine.interpreter import Interpreter

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
    order = np.lexsort((quotes["ts"].to_numpy(), _numbered(quotes["sym"])))
    code, at = _numbered(quotes["sym"]).astype(np.int64)[order], quotes["ts"].to_numpy().view(np.int64)[order]
    base, span = START.astype(np.int64), DAYS * DAY_MS * 4
    place = code * span + (at - base)
    total = np.concatenate(([0.0], np.cumsum(quotes["bid"].to_numpy()[order])))
    own = _numbered(trades["sym"]).astype(np.int64) * span + (trades["ts"].to_numpy().view(np.int64) - base)
    low, high = np.searchsorted(place, own - 600_000, "left"), np.searchsorted(place, own, "right")
    count = high - low
    mean = np.where(count > 0, (total[high] - total[low]) / np.maximum(count, 1), 0.0)
    return trades[["id"]].assign(n=count, x=mean)


def _numbered(symbols: Any) -> Any:
    return symbols.cat.codes.to_numpy() if hasattr(symbols, "cat") else symbols.str[1:].astype("int64").to_numpy()


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
        "filter by one symbol",
        "select count(*) as n, avg(price) as a from trades where sym = `S1100",
        lambda s: (lambda f: pd.DataFrame({"n": [len(f)], "a": [f["price"].mean()]}))(
            s.pandas["trades"][s.pandas["trades"]["sym"] == "S1100"]),
        lambda s: s.polars["trades"].filter(pl.col("sym") == "S1100").select(n=pl.len(), a=pl.col("price").mean()),
        "select count(*) n, avg(price) a from trades where sym = 'S1100'",
        "trades.sym trades.price",
    ),
    Query(
        "filter by ten symbols",
        "select count(*) as n, avg(price) as a from trades where sym in ('S' + string(1100..1109))",
        lambda s: (lambda f: pd.DataFrame({"n": [len(f)], "a": [f["price"].mean()]}))(
            s.pandas["trades"][s.pandas["trades"]["sym"].isin([f"S{i}" for i in range(1100, 1110)])]),
        lambda s: s.polars["trades"].filter(
            pl.col("sym").cast(pl.String).is_in([f"S{i}" for i in range(1100, 1110)])).select(
            n=pl.len(), a=pl.col("price").mean()),
        "select count(*) n, avg(price) a from trades where sym in (" + ", ".join(
            f"'S{i}'" for i in range(1100, 1110)) + ")",
        "trades.sym trades.price",
    ),
    Query(
        "symbols of each hour",
        "select nunique(sym) as n from trades group by hour(ts) as h",
        lambda s: s.pandas["trades"].groupby(s.pandas["trades"]["ts"].dt.hour.rename("h"))["sym"].nunique().rename("n")
        .reset_index(),
        lambda s: s.polars["trades"].group_by(h=pl.col("ts").dt.hour()).agg(n=pl.col("sym").n_unique()),
        "select hour(ts) h, count(distinct sym) n from trades group by 1",
        "trades.sym trades.ts",
        ("h",),
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
