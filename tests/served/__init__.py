"""Servers and workers as processes of their own, over the tests' Postgres."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.settings import Settings

HERE = Path(__file__).parent
LEASE_SECONDS = "2"
FOREIGN = ("DDB_AGENT_", "LANGSMITH", "LANGCHAIN", "DATABASE_URL")


@dataclass
class Process:
    """A server or worker in a process of its own."""

    popen: subprocess.Popen[bytes]
    url: str
    log: Path

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(10)

    def terminate(self) -> int:
        self.popen.terminate()
        return self.popen.wait(30)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Starter:
    """Starts processes over the tests' Postgres and ends them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)},
            "DDB_AGENT_DATA_DIR": str(settings.data_dir),
            "DDB_AGENT_RUN_LEASE_SECONDS": LEASE_SECONDS,
            "DDB_AGENT_DRAIN_SECONDS": "5",
            "DDB_AGENT_WEBHOOK_HOSTS": "127.0.0.1",
            # Not to meddle with the environments of other tests.
            "DDB_AGENT_REAPER_SECONDS": "3600",
        }  # fmt: skip
        self.started: list[Process] = []

    def __call__(self, *arguments: str, port: str = "", **environment: str) -> Process:
        port = port or str(free_port())
        log = self._folder / f"{len(self.started)}-{port}.log"
        command = [sys.executable, str(HERE / "__main__.py"), *arguments]
        if arguments[0] == "serve":
            command.insert(3, port)
        if arguments[0] == "worker":
            command = [sys.executable, "-m", "cli", "worker", "--config", str(HERE / "langgraph.json")]
        with log.open("wb") as file:
            popen = subprocess.Popen(
                command, env={**self._environment, **environment}, cwd=HERE.parents[1], stdout=file, stderr=file
            )
        process = Process(popen, f"http://127.0.0.1:{port}", log)
        self.started.append(process)
        return process

    def ready(self, process: Process) -> Process:
        for _ in range(400):
            assert process.popen.poll() is None, process.log.read_text()
            try:
                if "worker is ready" in process.log.read_text() or httpx.get(f"{process.url}/ok").status_code == 200:
                    return process
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(process.log.read_text())

    def end(self) -> None:
        for process in self.started:
            if process.popen.poll() is None:
                process.popen.terminate()
        for process in self.started:
            try:
                process.popen.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def starter(settings: Settings, folder: Path) -> Iterator[Starter]:
    start = Starter(settings, folder)
    try:
        yield start
    finally:
        start.end()
