"""Which process serves a data folder: its lock and its published address."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

# Whoever asks `is_served` holds the lock for a moment.
_ATTEMPTS = 20
_PAUSE = 0.05


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens and how to log in."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    pid: int = 0


class DataFolder:
    """`engine.lock` is held by the serving process for as long as it lives, so that a killed one leaves no trace that
    misleads; `engine.json` (readable by its owner only) says where it listens."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.state_path = path / "engine.json"
        self._held: int | None = None

    def acquire(self) -> bool:
        """Become the folder's server; False if there is one."""
        descriptor = os.open(self.path / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
                continue
            self._held = descriptor
            self.withdraw()
            return True
        os.close(descriptor)
        return False

    def release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def is_served(self) -> bool:
        """Whether a process holds the folder (another one than this)."""
        if not (self.path / "engine.lock").exists():
            return False
        descriptor = os.open(self.path / "engine.lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def publish(self, endpoint: Endpoint) -> None:
        fresh = self.path / "engine.json.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(endpoint), file)
        fresh.replace(self.state_path)

    def withdraw(self) -> None:
        self.state_path.unlink(missing_ok=True)

    def endpoint(self) -> Endpoint | None:
        """The published address, if the process that published it still serves."""
        if not self.is_served():
            return None
        try:
            return Endpoint(**json.loads(self.state_path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
