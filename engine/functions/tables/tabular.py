"""Tables out of plain Python columns, for functions that list things."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.types import Type
from engine.values import Column, Table, vector


def listing(*columns: tuple[str, Type, Sequence[Any]]) -> Table:
    """A table of `(name, type, raw items)` columns."""
    made: list[Column] = [vector(type_, list(items)) for _, type_, items in columns]
    return Table([name for name, _, _ in columns], made)


def timestamp(seconds: float | None) -> int | None:
    """Seconds since 1970 as a raw TIMESTAMP in local time, which is what `now()` shows."""
    if seconds is None:
        return None
    import time

    return math.floor((seconds + time.localtime(seconds).tm_gmtoff) * 1000)
