"""Now, as a thread means it, and the days around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

Days = tuple[date, date]
"""The first and the last day, both included."""

_MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}


def weekdays(day: date) -> bool:
    """The trading calendar of those who have none: Monday to Friday."""
    return day.weekday() < 5


@dataclass(frozen=True)
class Clock:
    """What a thread means by now. `now` carries the thread's time zone."""

    now: datetime
    is_trading_day: Callable[[date], bool] = weekdays

    @property
    def today(self) -> date:
        return self.now.date()

    def trading_days(self, count: int) -> Iterator[date]:
        """Trading days backwards from today, today included when it is one."""
        day = self.today
        for _ in range(count * 4 + 40):
            if count == 0:
                return
            if self.is_trading_day(day):
                count -= 1
                yield day
            day -= timedelta(days=1)


def period(day: date, unit: str, offset: int = 0) -> Days:
    """The whole week, month, quarter, half or year that lies `offset` units from the one that holds `day`."""
    if unit == "week":
        first = day - timedelta(days=day.weekday()) + timedelta(weeks=offset)
        return first, first + timedelta(days=6)
    size = _MONTHS[unit]
    index = (day.year * 12 + day.month - 1) // size * size + offset * size
    return _month_start(index), _month_start(index + size) - timedelta(days=1)


def units_back(day: date, unit: str, count: int) -> date:
    """So many days, weeks, months, quarters or years earlier; the 31st becomes the last day of a shorter month."""
    if unit in ("day", "week"):
        return day - timedelta(days=count * (7 if unit == "week" else 1))
    index = day.year * 12 + day.month - 1 - count * _MONTHS[unit]
    last = _month_start(index + 1) - timedelta(days=1)
    return last.replace(day=min(day.day, last.day))


def _month_start(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)
