"""Eight typical queries of the embedded engine, through the official SDK, beside pandas on the same data.

The data is made by the same integer arithmetic in the engine and here. Every result is fetched and compared once before
it is timed; the timed query keeps its result on its side, so that no side is charged for moving it. pandas
has its symbols as categories, which is its fastest form. Aim: at most twice the time of pandas.

`DDB_AGENT_BENCH_ROWS=1000000` restricts the sizes (comma-separated).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dolphindb
import numpy as np
import pandas as pd
import psutil

from benchmarks.report import milliseconds, ratio, table
from engine import launcher

SIZES = (1_000_000, 10_000_000)
REPEATS = {1_000_000: 7, 10_000_000: 3}
DAY = 23_400_000

DATA = """
i = long(til({rows}))
x = (i * 1103515245 + 12345) % 2147483648 / 65536
y = (i * 48271 + 7) % 2147483647 / 1024
step = {day} / {rows}
names = symbol("S" + string(100..199))
trades = table(i as id, names[x % 100] as sym, 2024.03.01T09:30:00.000 + i * step as ts,
    100 + (y % 20000) / 100.0 as price, 1 + x % 997 as qty)
fills = table({rows} - 1 - 2 * long(til({rows} / 2)) as id, (x[til({rows} / 2)] % 50) / 10.0 as fee)
quotes = table(names[y % 100] as sym, 2024.03.01T09:30:00.000 + i * step - 1 as ts, 100 + (x % 20000) / 100.0 as bid)
undef(`i`x`y)
size(trades)
"""


@dataclass(frozen=True)
class Data:
    trades: pd.DataFrame
    fills: pd.DataFrame
    quotes: pd.DataFrame


@dataclass(frozen=True)
class Query:
    name: str
    script: str
    pandas: Callable[[Data], pd.DataFrame]


def made(rows: int) -> Data:
    """What `DATA` makes in the engine."""
    i = np.arange(rows, dtype=np.int64)
    x = (i * 1103515245 + 12345) % 2147483648 // 65536
    y = (i * 48271 + 7) % 2147483647 // 1024
    ts = np.datetime64("2024-03-01T09:30:00.000") + (i * (DAY // rows)).astype("timedelta64[ms]")
    names = [f"S{number}" for number in range(100, 200)]
    trades = {
        "id": i,
        "sym": pd.Categorical.from_codes(x % 100, names),
        "ts": ts,
        "price": 100 + (y % 20000) / 100,
        "qty": 1 + x % 997,
    }
    half = rows // 2
    fills = {"id": rows - 1 - 2 * np.arange(half, dtype=np.int64), "fee": (x[:half] % 50) / 10}
    quotes = {
        "sym": pd.Categorical.from_codes(y % 100, names),
        "ts": ts - np.timedelta64(1, "ms"),
        "bid": 100 + (x % 20000) / 100,
    }
    return Data(pd.DataFrame(trades), pd.DataFrame(fills), pd.DataFrame(quotes))


def filtered(data: Data) -> pd.DataFrame:
    t = data.trades
    found = t[(t["price"] > 150) & (t["qty"] < 500)]
    return pd.DataFrame({"n": [len(found)], "avg": [found["price"].mean()], "sum": [found["qty"].sum()]})


def by_symbol(data: Data) -> pd.DataFrame:
    t = data.trades[["sym", "price", "qty"]].assign(turnover=data.trades["price"] * data.trades["qty"])
    found = t.groupby("sym", observed=True).agg(qty=("qty", "sum"), avg=("price", "mean"), turnover=("turnover", "sum"))
    found["vwap"] = found.pop("turnover") / found["qty"]
    return found.reset_index()


def bars(data: Data) -> pd.DataFrame:
    t = data.trades
    found = t.groupby(["sym", t["ts"].dt.floor("min").rename("minute")], observed=True)
    return found.agg(
        open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"),
        qty=("qty", "sum"),
    ).reset_index()  # fmt: skip


def moving_average(data: Data) -> pd.DataFrame:
    t = data.trades
    average = t.groupby("sym", observed=True)["price"].rolling(20).mean()
    return t[["sym", "ts"]].assign(average=average.droplevel(0))


def top(data: Data) -> pd.DataFrame:
    t = data.trades[["sym", "id", "price"]]
    return t.sort_values(["price", "id"], ascending=[False, True]).groupby("sym", observed=True).head(5)


def joined(data: Data) -> pd.DataFrame:
    return data.trades[["id", "sym", "price"]].merge(data.fills, on="id")


def asof_joined(data: Data) -> pd.DataFrame:
    return pd.merge_asof(data.trades[["sym", "ts", "price"]], data.quotes, on="ts", by="sym")


def ordered(data: Data) -> pd.DataFrame:
    t = data.trades[["id", "sym", "price", "qty"]]
    return t.sort_values(["price", "qty"], ascending=[False, True], kind="stable").head(100)


QUERIES = [
    Query(
        "filter, aggregate",
        "select count(*) as n, avg(price) as avg, sum(qty) as sum from trades where price > 150, qty < 500",
        filtered,
    ),
    Query(
        "sum, avg, vwap by symbol",
        "select sum(qty) as qty, avg(price) as avg, wavg(price, qty) as vwap from trades group by sym",
        by_symbol,
    ),
    Query(
        "OHLC by symbol, minute",
        "select first(price) as open, max(price) as high, min(price) as low, last(price) as close, sum(qty) as qty"
        " from trades group by sym, bar(ts, 60000) as minute",
        bars,
    ),
    Query(
        "moving average by symbol",
        "select sym, ts, mavg(price, 20) as average from trades context by sym",
        moving_average,
    ),
    Query("top 5 of each symbol", "select sym, id, price from trades context by sym csort price desc limit 5", top),
    Query("equi join", "select id, sym, price, fee from ej(trades, fills, `id)", joined),
    Query("asof join", "select sym, ts, price, bid from aj(trades, quotes, `sym`ts)", asof_joined),
    Query("order by two columns", "select top 100 id, sym, price, qty from trades order by price desc, qty", ordered),
]


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Raises AssertionError unless both have the same rows, in whatever order, up to rounding in the last digits."""
    keys = list(theirs.columns)
    frames = []
    for frame in (ours[keys], theirs):
        plain = frame.assign(
            **{name: frame[name].astype(str) for name in keys if name == "sym"},
            **{name: frame[name].astype("datetime64[ms]") for name in keys if name in ("ts", "minute")},
        )
        frames.append(plain.sort_values(keys, ignore_index=True))
    pd.testing.assert_frame_equal(*frames, check_dtype=False, rtol=1e-9)


@dataclass(frozen=True)
class Cost:
    """Seconds, and bytes at the peak beyond what was held before."""

    wall: float
    cpu: float
    peak: int


@contextmanager
def measured(pid: int, into: list[Cost]) -> Iterator[None]:
    """What a process spends while the block runs. The peak is known on Linux only, else 0."""
    process = psutil.Process(pid)
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    held, spent, started = process.memory_info().rss, sum(process.cpu_times()[:2]), time.perf_counter()
    yield
    wall = time.perf_counter() - started
    into.append(Cost(wall, sum(process.cpu_times()[:2]) - spent, max(_peak(pid) - held, 0)))


def _peak(pid: int) -> int:
    """The greatest resident size of a process since it was last reset."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def compare(session: dolphindb.Session, pid: int, rows: int) -> str:
    """One table: every query on so many rows, the two sides by turns."""
    assert session.run(DATA.format(rows=rows, day=DAY)) == rows
    data = made(rows)
    lines = []
    for query in QUERIES:
        same(session.run(query.script), query.pandas(data))
        ours: list[Cost] = []
        theirs: list[Cost] = []
        for _ in range(REPEATS.get(rows, 3)):
            with measured(pid, ours):
                session.run(f"result = {query.script}; size(result)")
            session.run("undef(`result); 1")
            with measured(os.getpid(), theirs):
                query.pandas(data)
        wall, other_wall = (statistics.median(cost.wall for cost in costs) for costs in (ours, theirs))
        cpu, other_cpu = (statistics.median(cost.cpu for cost in costs) for costs in (ours, theirs))
        peak, other_peak = (max(cost.peak for cost in costs) / 2**20 for costs in (ours, theirs))
        lines.append(
            (
                query.name,
                milliseconds(wall),
                milliseconds(other_wall),
                ratio(wall, other_wall),
                ratio(cpu, other_cpu) if min(cpu, other_cpu) >= 0.05 else "",
                f"{peak:.0f} MB",
                f"{other_peak:.0f} MB",
            )
        )
    head = ["query", "engine", "pandas", "ratio", "CPU ratio", "engine peak", "pandas peak"]
    return table(f"{rows:,} rows (median of {REPEATS.get(rows, 3)})", head, lines)


def sizes() -> tuple[int, ...]:
    chosen = os.environ.get("DDB_AGENT_BENCH_ROWS")
    return tuple(int(part) for part in chosen.split(",")) if chosen else SIZES


def main() -> None:
    with TemporaryDirectory(prefix="ddb-agent-bench-") as folder:
        endpoint = launcher.start(Path(folder), idle_seconds=600)
        session = dolphindb.Session()
        try:
            session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
            for rows in sizes():
                print(compare(session, endpoint.pid, rows), flush=True)
        finally:
            session.close()
            launcher.stop(Path(folder))
