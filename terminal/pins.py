"""`/use`: what the user pins to a thread, described for the model."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from core.errors import UserError
from graph.binding import reference_of
from graph.host import Host
from graph.state import Pin

HEAD_LINES = 5
LINE_LENGTH = 200
TABULAR = {".csv", ".tsv", ".txt"}


async def pin(host: Host, owner: str, thread_id: str, target: str) -> Pin:
    """A pin for a file path or a table; raises UserError when it is neither."""
    if (found := await asyncio.to_thread(_file, target)) is not None:
        return await asyncio.to_thread(file_pin, found)
    if re.search(r"[/\\]", target) and not target.startswith(("loadTable", "dfs://")):
        raise UserError(f"There is no file {target}.", "Give the path of a file, or the name of a table.")
    state = await host.state(owner, thread_id)
    environment = await host.deps.environment(owner, reference_of(state.values))
    table = await host.deps.catalog.describe(environment, thread_id, target)
    return Pin(kind="table", name=target, text=table.text)


def _file(target: str) -> Path | None:
    path = Path(target).expanduser()
    return path.resolve() if path.is_file() else None


def file_pin(path: Path) -> Pin:
    """Describes a file by its first lines. Raises UserError when it cannot be read as text."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line.rstrip("\n")[:LINE_LENGTH] for line, _ in zip(file, range(HEAD_LINES), strict=False)]
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file.", "Pin a CSV or other text file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", "Check the path and its rights.") from None
    head = lines[0] if lines else ""
    kind = f"CSV, columns {head}" if path.suffix.lower() in TABULAR else "text"
    return Pin(kind="file", name=str(path), text="\n".join([f"file: {path} ({kind})", *lines[1:]]))
