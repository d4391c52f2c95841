"""Typical queries by family: the engine's interpreter beside pandas, polars and DuckDB in the same run.

All four get the same arrays; the symbols once as SYMBOL, categories and enumerations, once as plain strings, as a
client uploads them. Every result is compared once before it is timed, and stays on its side while it is. Aims: at most
twice the time of the faster of pandas and polars, and a peak of memory allocated by the query of at most three times
the bytes of the columns it touches (its result counts as allocated; a string as the eight bytes that refer to it).

`DDB_AGENT_BENCH_ROWS=1000000` restricts the sizes, `DDB_AGENT_BENCH_QUERIES=join` the queries to those whose name has
the word (both comma-separated), `DDB_AGENT_BENCH_TEXT=strings` or `symbols` to one way of holding symbols.
"""

from __future__ import annotations

import os
import pickle
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.engine_families_queries import DAY_MS, DAYS, QUERIES, START, Query, Sides
from benchmarks.report import milliseconds, ratio
from engine.functions import builtin_functions
from engine.interpreter import Interpreter
from engine.limits import keep_freed_memory
from engine.node import Node
from engine.session import Session
from engine.storage.databases import Databases
from engine.types import LITERAL, Type
from engine.values import Column, SymbolBase, Table, Vector
from engine.wire.decode import decode
from engine.wire.encode import encode
from engine.wire.reader import StreamReader

SIZES = (1_000_000, 10_000_000)
REPEATS = {1_000_000: 5, 10_000_000: 2}
SYMBOLS = 500
TEXTS = ("symbols", "strings")


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


def made(rows: int, folder: Path, as_strings: bool) -> Sides:
    data = arrays(rows)
    frames = {
        name: pd.DataFrame({c: _pandas(v, as_strings) for c, v in columns.items()}) for name, columns in data.items()
    }
    polar = {
        name: pl.DataFrame({c: _polars(v, as_strings) for c, v in columns.items()}) for name, columns in data.items()
    }
    node = Node(folder)
    node.databases = Databases(folder / "databases")
    engine = Interpreter(Session(1, node, user="admin"), builtin_functions())
    for name, columns in data.items():
        held: list[Column] = [_vector(value, as_strings) for value in columns.values()]
        engine.session.variables[name] = Table(list(columns), held)
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


def _pandas(value: Any, as_strings: bool) -> Any:
    if isinstance(value, tuple):
        return value[1][value[0]] if as_strings else pd.Categorical.from_codes(value[0], list(value[1]))
    return value


def _polars(value: Any, as_strings: bool) -> Any:
    if isinstance(value, tuple):
        return pl.Series(value[1][value[0]], dtype=pl.String if as_strings else pl.Enum(list(value[1])))
    return pl.Series(value)


def _vector(value: Any, as_strings: bool) -> Vector:
    if isinstance(value, tuple) and as_strings:
        received = decode(StreamReader.over(b"".join(encode(Vector(Type.STRING, value[1][value[0]])))))
        assert isinstance(received, Vector)
        return received
    if isinstance(value, tuple):
        return Vector(Type.SYMBOL, value[0] + np.int32(1), SymbolBase(value[1]))
    kinds = {"i8": Type.LONG, "i4": Type.INT, "f8": Type.DOUBLE, "M8": Type.TIMESTAMP}
    type_ = kinds[value.dtype.str[1:3]]
    return Vector(type_, value.view(np.int64) if type_ is Type.TIMESTAMP else value)


def plain(columns: dict[str, Any], keys: Sequence[str]) -> list[np.ndarray[Any, Any]]:
    """Columns by name as strings and doubles, the rows in the order of the keys."""
    parts = {name.lower(): _comparable(column) for name, column in columns.items()}
    order = np.lexsort([parts[key] for key in reversed(keys)]) if keys else slice(None)
    return [part[order] for part in parts.values()]


def _comparable(column: Any) -> np.ndarray[Any, Any]:
    if isinstance(column, Vector):
        if column.type in LITERAL:
            return np.asarray(column.strings(), dtype="U12")
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
        total += 8 * len(found) if found.type is Type.STRING else found.data.nbytes
    return total // DAYS if query.name.startswith("one partition") else total


def measure(rows: int, folder: Path, as_strings: bool) -> Iterator[str]:
    """A line for the head, then one for each query as soon as it is measured."""
    sides = made(rows, folder, as_strings)
    repeats = REPEATS.get(rows, 3)
    head = ("engine", "pandas", "polars", "DuckDB", "to the faster", "peak / data")
    held = "strings" if as_strings else "symbols"
    yield _line(f"{rows:,} rows, {held} (of {repeats})", head)
    for query in QUERIES:
        if as_strings and ".sym" not in query.touched:
            continue
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


def texts() -> tuple[str, ...]:
    chosen = os.environ.get("DDB_AGENT_BENCH_TEXT")
    return tuple(chosen.split(",")) if chosen else TEXTS


def main() -> None:
    keep_freed_memory()  # as the engine's own process does
    for rows in sizes():
        for text in texts():
            with TemporaryDirectory(prefix="ddb-agent-bench-") as folder:
                for line in measure(rows, Path(folder), as_strings=text == "strings"):
                    print(line, flush=True)
