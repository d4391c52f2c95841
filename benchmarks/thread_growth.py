"""How a thread of 200 turns grows: bytes in Postgres, time per step, time to load it for the next turn.

Storage and time of a step must not depend on how long the thread is already. Beside it, what the same turns take with
LangGraph's `add_messages`, which stores the whole conversation at every step.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pandas as pd

from benchmarks.graph_overhead import Start, agent, bare_loop
from benchmarks.report import milliseconds, ratio, table
from benchmarks.scripted import open_database, scripted_host
from core.postgres import Pool, connection
from dolphin.results import python_result
from dolphin.values import Result
from graph.host import Host

TURNS = 200
BIN = 20
# Those after the first update of a turn: tools, act, complete. The first step waits for the thread to be read.
STEPS = 3

BYTES = """
    SELECT (SELECT coalesce(sum(pg_column_size(c.*)), 0) FROM checkpoints c WHERE thread_id = %(thread)s)
         + (SELECT coalesce(sum(pg_column_size(b.*)), 0) FROM checkpoint_blobs b WHERE thread_id = %(thread)s)
         + (SELECT coalesce(sum(pg_column_size(w.*)), 0) FROM checkpoint_writes w WHERE thread_id = %(thread)s) AS bytes
"""


@dataclass(frozen=True)
class Turn:
    """`stored` is what the turn added, in bytes; `step` this process' CPU seconds per step, which leaves out Postgres;
    `load` the seconds to read the thread."""

    stored: int
    step: float
    load: float


async def stored_bytes(pool: Pool, thread_id: str) -> int:
    """What a thread takes in the checkpoint tables, indexes left out."""
    async with connection(pool) as held:
        row = await (await held.execute(BYTES, {"thread": thread_id})).fetchone()
    assert row is not None
    return int(row["bytes"])


def table_of_bars() -> Result:
    """A result of ordinary size: 15 rows, about 600 characters."""
    bars = pd.date_range("2024-03-01 09:30", periods=15, freq="min").to_numpy()
    return python_result(
        pd.DataFrame({"ts": bars, "avg_price": [190 + n / 7 for n in range(15)], "qty": range(1000, 1015)})
    )


async def grow(host: Host, start: Start, turns: int, thread_id: str) -> list[Turn]:
    """A new thread of so many turns, measured turn by turn."""
    before, grown = 0, []
    for number in range(turns):
        started = None
        async for part in start(thread_id, f"What is the average price of AAPL minute by minute on day {number}?"):
            if started is None and part["type"] == "updates":
                started = time.process_time()
        assert started is not None
        step = (time.process_time() - started) / STEPS
        load = await load_seconds(host, thread_id)
        stored = await stored_bytes(host.pool, thread_id)
        grown.append(Turn(stored - before, step, load))
        before = stored
    return grown


async def load_seconds(host: Host, thread_id: str) -> float:
    config: Any = {"configurable": {"thread_id": thread_id}}
    started = time.perf_counter()
    await host.graph().aget_state(config)
    return time.perf_counter() - started


def bins(turns: Sequence[Turn], size: int = BIN) -> list[tuple[str, Sequence[Turn]]]:
    return [(f"{first + 1}-{first + size}", turns[first : first + size]) for first in range(0, len(turns), size)]


async def measure() -> None:
    bars = table_of_bars()
    async with open_database() as (settings, pool), scripted_host(settings, pool, result=bars) as host:
        ours = await grow(host, agent(host), TURNS, str(uuid4()))
        loop = await grow(host, bare_loop(pool, bars), TURNS, str(uuid4()))
    rows = []
    for (name, turns), (_, others) in zip(bins(ours), bins(loop), strict=True):
        rows.append(
            (
                name,
                f"{statistics.mean(turn.stored for turn in turns) / 1024:.1f} KB",
                milliseconds(statistics.median(turn.step for turn in turns)),
                milliseconds(statistics.median(turn.load for turn in turns)),
                f"{statistics.mean(turn.stored for turn in others) / 1024:.1f} KB",
                milliseconds(statistics.median(turn.step for turn in others)),
            )
        )
    head = ["turns", "stored per turn", "CPU per step", "load", "add_messages: stored", "CPU per step"]
    print(table(f"A thread of {TURNS} turns", head, rows))
    total, theirs = (sum(turn.stored for turn in each) for each in (ours, loop))
    print(f"\nIn all {total / 2**20:.1f} MB; with add_messages {theirs / 2**20:.1f} MB ({ratio(theirs, total)} times).")


def main() -> None:
    asyncio.run(measure())
