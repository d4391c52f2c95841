"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Backoff:
    """Exponential waits with full jitter between half and all of the step; times in seconds."""

    base: float = 0.5
    limit: float = 20.0

    def seconds(self, attempt: int, retry_after: float | None = None) -> float:
        """The wait after the failed attempt number `attempt` (from 1); never less than the server asked for."""
        step: float = min(self.limit, self.base * 2 ** (attempt - 1))
        return max(step * random.uniform(0.5, 1.0), retry_after or 0.0)  # noqa: S311 - jitter, not a secret


def retry_after_seconds(error: Exception) -> float | None:
    """What the response's Retry-After header asks for, given in seconds or as a date."""
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None
