"""Where warnings and the details of failures go: a file in the data folder, never the terminal."""

from __future__ import annotations

import io
import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

BYTES = 5 * 2**20


class _PrivateFile(RotatingFileHandler):
    """A log that only its owner can read."""

    def _open(self) -> io.TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, "a", encoding="utf-8", opener=opener)


def log_file(data_dir: Path) -> Path:
    return data_dir / "ddb-agent.log"


def log_to_file(data_dir: Path) -> None:
    """Sends all logging there. A log that cannot be written is left out: it must not get in the way of an answer."""
    logging.raiseExceptions = False
    handler = _PrivateFile(log_file(data_dir), maxBytes=BYTES, backupCount=1, delay=True)
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
