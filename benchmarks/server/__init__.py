"""Our HTTP server beside `langgraph dev` and aegra-api: the same graphs, the same client, the same kind of Postgres.

Each competitor is installed from the package registry in a virtual environment of its own (in the cache folder) and
served alone, with its defaults. Ratios are ours to theirs: below 1.00 is better, for runs per second above 1.00. Aim:
ahead everywhere, twice the best in runs per second and whole stream, the first token within 15 ms of the model's.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.report import milliseconds, ratio, table
from benchmarks.server.measure import CLIENTS, REJOINED_PAUSE, STREAMS, measured
from benchmarks.server.servers import COMPETITORS, OURS, NotAvailableError, serving
from core.postgres import database_url, release_database
from core.settings import load_settings
from dolphin.environment import stop_embedded

Figures = Mapping[str, float | str]


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _rate(value: float) -> str:
    return f"{value:.0f} /s"


FIGURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("wait", "threads.create + runs.wait", milliseconds),
    ("first", "first event", milliseconds),
    ("stream", "whole stream, 200 tokens", milliseconds),
    ("token", "first token after the model's", milliseconds),
    ("agent", "our agent, one question", milliseconds),
    ("rejoin", f"rejoin, next token ({REJOINED_PAUSE} ms apart)", milliseconds),
    ("rate", f"runs per second, {CLIENTS} clients", _rate),
    ("many", f"{STREAMS} threads streaming at once", _seconds),
    ("rss_start", "memory at the start", _megabytes),
    ("rss_peak", "memory after the streams", _megabytes),
    ("rss", "memory at rest, 5 s later", _megabytes),
)


def report(figures: Mapping[str, Figures | str]) -> str:
    """A table of all servers, with what went wrong below it."""
    notes = [f"{name}: {each}" for name, each in figures.items() if isinstance(each, str)]
    there = {name: each for name, each in figures.items() if not isinstance(each, str)}
    ours = there.get(OURS.name, {})
    rows = []
    for key, label, shown in FIGURES:
        row = [label]
        for name, each in there.items():
            value = each.get(key, "not measured")
            if isinstance(value, str):
                row.append("failed")
                notes.append(f"{name}, {label}: {value}")
            elif name == OURS.name or isinstance(own := ours.get(key, ""), str):
                row.append(shown(value))
            else:
                row.append(f"{shown(value)} ({ratio(own, value)})")
        rows.append(row)
    return "\n".join([table("In brackets: ours to theirs", ["", *there], rows), *notes])


def main() -> None:
    figures: dict[str, Figures | str] = {}
    with tempfile.TemporaryDirectory(prefix="ddb-agent-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = load_settings(_env_file=None, data_dir=folder / "data", database_url=None)
        try:
            postgres = database_url(settings)
            for competitor in COMPETITORS:
                try:
                    with serving(competitor, folder, postgres) as served:
                        figures[competitor.name] = asyncio.run(measured(served))
                except NotAvailableError as error:
                    figures[competitor.name] = f"not measured, {error}"
        finally:
            stop_embedded(settings)
            release_database(settings)
    print(report(figures))
