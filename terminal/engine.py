"""`ddb-agent engine serve`: the embedded engine as a standalone server."""

from __future__ import annotations

import sys
from pathlib import Path

from core.settings import Settings


def serve(*, host: str, port: int, data: Path | None, user: str, password: str | None, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then exit with the server's status."""
    from engine.server import serve as run

    folder = (data or settings.data_dir / "standalone").expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"error: the data folder {folder} cannot be made: {error.strerror}. Choose another with --data.")
    sys.exit(run(folder, host=host, port=port, user=user, password=password))
