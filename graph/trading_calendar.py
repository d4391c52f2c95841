"""Trading days as a market's calendar on the DolphinDB server has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np

from core.errors import DolphinDBError
from dolphin.environment import Environment
from dolphin.sessions import Sessions
from rag.rewriting import day
from rag.rewriting.clock import weekdays

log = logging.getLogger(__name__)

SECONDS = 2.0
BEFORE, AFTER = timedelta(days=6 * 366), timedelta(days=60)


class TradingCalendar:
    """Reads the calendar `market` with getMarketCalendar, once a day from each server."""

    def __init__(self, sessions: Sessions, market: str) -> None:
        self.market = market
        self._sessions = sessions
        self._kept: dict[str, tuple[date, frozenset[date]]] = {}

    async def of(self, environment: Environment, session: str, today: date) -> Callable[[date], bool] | None:
        """Tells trading days; outside what the calendar holds, Monday to Friday. None when the server has no such
        calendar."""
        kept = self._kept.get(environment.id)
        if kept is None or kept[0] != today:
            first, last = today - BEFORE, today + AFTER
            script = f'getMarketCalendar("{self.market}", {day(first)}, {day(last)})'
            try:
                async with asyncio.timeout(SECONDS):
                    found = _dates(await self._sessions.evaluate(environment, session, script, timeout=SECONDS))
            except (DolphinDBError, TimeoutError) as error:
                log.info("the trading calendar %s cannot be read: %s", self.market, error)
                return None
            kept = self._kept[environment.id] = (today, found)
        days = kept[1]
        if not days:
            return None
        first, last = min(days), max(days)
        return lambda asked: asked in days if first <= asked <= last else weekdays(asked)


def _dates(value: Any) -> frozenset[date]:
    return frozenset(np.asarray(value, "datetime64[D]").astype(object).tolist())
