"""Servers and workers as processes of their own: `python tests/served serve PORT` or `… work`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))


def shift_clock(seconds: float) -> None:
    """As on a machine whose clock is wrong."""
    import datetime
    import time

    right, right_nanoseconds, day = time.time, time.time_ns, datetime.datetime

    class AnyDay(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, day)

    class Shifted(day, metaclass=AnyDay):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return day.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_nanoseconds() + int(seconds * 1e9)
    datetime.datetime = Shifted  # type: ignore[misc]


if __name__ == "__main__":
    if shift := os.environ.get("SERVED_CLOCK_SHIFT"):
        shift_clock(float(shift))
    from core.settings import load_settings
    from terminal.serve import serve, work

    config = HERE.parents[1] / "langgraph.json" if "--agent" in sys.argv else HERE / "langgraph.json"
    if sys.argv[1] == "serve":
        without_worker = "--no-worker" in sys.argv
        sys.exit(
            serve(load_settings(), host="127.0.0.1", port=int(sys.argv[2]), config=config, worker=not without_worker)
        )
    sys.exit(work(load_settings(), config=config))
