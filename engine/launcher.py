"""Starting and stopping the engine process of a data folder. All processes of one user share it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from engine.data_folder import DataFolder, Endpoint

__all__ = ["Endpoint", "LaunchError", "start", "status", "stop"]

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_BYTES = 10 * 2**20


class LaunchError(RuntimeError):
    """The engine process did not come up, or did not go."""


def start(data: Path, *, idle_seconds: float = 600.0) -> Endpoint:
    """The endpoint of the engine that serves `data`, started if there is none.

    It ends by itself when nobody was connected for `idle_seconds`. Safe to call from several processes at once.
    """
    folder = DataFolder(Path(data).resolve())
    found = folder.endpoint()
    if found is not None:
        return found
    with _launching(folder):
        found = folder.endpoint()
        return found if found is not None else _spawn(folder, idle_seconds)


def status(data: Path) -> Endpoint | None:
    """The endpoint of the running engine, or None."""
    path = Path(data).resolve()
    return DataFolder(path).endpoint() if path.is_dir() else None


def stop(data: Path) -> bool:
    """End the engine of `data` after its running requests; False if none was running."""
    path = Path(data).resolve()
    if not path.is_dir():
        return False
    folder = DataFolder(path)
    running = folder.endpoint()
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while folder.is_served():
        if time.monotonic() > deadline:
            raise LaunchError(f"The engine (process {running.pid}) did not end within {_STOP_SECONDS:.0f} seconds.")
        time.sleep(0.02)
    return True


@contextmanager
def _launching(folder: DataFolder) -> Iterator[None]:
    descriptor = os.open(folder.path / "engine.launch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _spawn(folder: DataFolder, idle_seconds: float) -> Endpoint:
    log_path = folder.path / "engine.log"
    if log_path.exists() and log_path.stat().st_size > _LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    command = [sys.executable, "-m", "engine", "serve", "--data", str(folder.path)]
    command += ["--idle-seconds", str(idle_seconds)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    }
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = folder.endpoint()
        if found is not None:
            if found.pid == process.pid:
                Thread(target=process.wait, name="reap-engine", daemon=True).start()
            return found
        if process.poll() is not None and not folder.is_served():
            reason = _last_line(log_path)
            raise LaunchError(f"The engine ended at once (status {process.returncode}): {reason} See {log_path}.")
        time.sleep(0.02)
    process.terminate()
    raise LaunchError(f"The engine did not answer within {_START_SECONDS:.0f} seconds; see {log_path}.")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given."
