"""The agent under the load of 50 users: 300 runs in 10 minutes, with the offline model and the embedded engine.

The public tool locust asks; it is installed in the cache folder. Aim: no error, flat memory. LOAD_MINUTES makes it
shorter or longer (the users ask at the same pace).
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.report import table
from benchmarks.server.servers import OURS, Competitor, NotAvailableError, Served, serving, virtual_environment
from core.postgres import database_url, release_database
from core.settings import load_settings
from dolphin.environment import stop_embedded

USERS = 50
RUNS_PER_MINUTE = 30
SAMPLE_SECONDS = 2.0
LOCUST = Competitor("locust", ("locust",), ())


def main() -> None:
    minutes = float(os.environ.get("LOAD_MINUTES", "10"))
    try:
        programs = virtual_environment(LOCUST, alone=True)
    except NotAvailableError as error:
        print(f"not measured: {error}")
        return
    with tempfile.TemporaryDirectory(prefix="ddb-agent-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = load_settings(_env_file=None, data_dir=folder / "data", database_url=None)
        try:
            with serving(OURS, folder, database_url(settings)) as served:
                memory = _ask(programs / "locust", served, folder, minutes)
        finally:
            stop_embedded(settings)
            release_database(settings)
        print(report(folder, memory))


def _ask(locust: Path, served: Served, folder: Path, minutes: float) -> list[float]:
    """Lets the users ask, and returns the server's memory in megabytes, every SAMPLE_SECONDS."""
    command = [
        str(locust), "-f", str(Path(__file__).parent / "server" / "locustfile.py"), "--headless", "--host", served.url,
        "--users", str(USERS), "--spawn-rate", str(USERS / 20), "--run-time", f"{minutes * 60:.0f}s",
        "--stop-timeout", "60", "--csv", str(folder / "load"), "--only-summary", "--exit-code-on-error", "0",
    ]  # fmt: skip
    environment = {**os.environ, "LOAD_SECONDS_BETWEEN": str(USERS / RUNS_PER_MINUTE * 60)}
    with (folder / "locust.log").open("wb") as output:
        asking = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    memory = []
    try:
        while asking.poll() is None:
            memory.append(served.resident_bytes() / 1e6)
            time.sleep(SAMPLE_SECONDS)
    finally:
        if asking.poll() is None:
            asking.terminate()
            asking.wait(30)
    return memory


def report(folder: Path, memory: list[float]) -> str:
    with (folder / "load_stats.csv").open() as file:
        rows = [
            (
                row["Name"] or row["Type"], row["Request Count"], row["Failure Count"],
                f"{float(row['50%'] or 0):.0f} ms", f"{float(row['99%'] or 0):.0f} ms",
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    with (folder / "load_failures.csv").open() as file:
        failures = [f"{row['Occurrences']} x {row['Name']}: {row['Error']}" for row in csv.DictReader(file)]
    third = max(1, len(memory) // 3)
    parts = [memory[start : start + third] for start in (0, third, 2 * third)]
    shown = ", ".join(f"{statistics.median(part):.0f}" for part in parts if part)
    memory_line = f"memory in MB, median of each third: {shown}; at most {max(memory):.0f}"
    return "\n".join(
        [table(f"{USERS} users", ["", "requests", "failed", "median", "99 %"], rows), memory_line, *failures]
    )
