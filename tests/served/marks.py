"""What the graph `steps` leaves behind: a line in a file for each step that ran."""

from __future__ import annotations

import asyncio
from pathlib import Path

STEPS = ["one", "two", "three", "four"]


def done(marks: Path) -> list[str]:
    return marks.read_text().splitlines() if marks.exists() else []


async def until(marks: Path, lines: int) -> None:
    for _ in range(500):
        if len(done(marks)) >= lines:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(done(marks))
