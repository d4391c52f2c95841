"""Day count conventions: the days and the fractions of years between two dates."""

from __future__ import annotations

import calendar
from datetime import date


def month_end(day: date) -> bool:
    return day.day == calendar.monthrange(day.year, day.month)[1]


def add_months(day: date, months: int, *, to_end: bool = False) -> date:
    """The same day of another month or its last if that is before; `to_end`: the last in any case."""
    number = day.year * 12 + day.month - 1 + months
    year, month = divmod(number, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, last if to_end else min(day.day, last))


def thirty_360_us(first: date, last: date) -> int:
    """Days with 30 in every month, by the rules of the NASD."""
    begin, end = first.day, last.day
    if first.month == 2 and month_end(first):
        if last.month == 2 and month_end(last):
            end = 30
        begin = 30
    if end == 31 and begin >= 30:
        end = 30
    return _thirty_360(first, last, min(begin, 30), end)


def thirty_360_eu(first: date, last: date) -> int:
    """Days with 30 in every month, by the European rules."""
    return _thirty_360(first, last, min(first.day, 30), min(last.day, 30))


def _thirty_360(first: date, last: date, begin: int, end: int) -> int:
    return (last.year - first.year) * 360 + (last.month - first.month) * 30 + end - begin


def actual_isda(first: date, last: date) -> float:
    """Years between two dates, the days of each calendar year as a part of its own length."""
    total = 0.0
    for year in range(first.year, last.year + 1):
        begin, following = date(year, 1, 1), date(year + 1, 1, 1)
        total += (min(last, following) - max(first, begin)).days / (following - begin).days
    return total


def actual_isma(first: date, last: date, period_start: date, period_end: date) -> float:
    """Years between two dates as a part of a period of interest, whose length is taken as whole months."""
    length = (period_end - period_start).days
    months = max(1, round(12 * length / 365))
    return months / 12 * (last - first).days / length


def whole_years(start: date, day: date) -> tuple[int, float]:
    """The anniversaries of `start` passed by a day, and the share of the current year of that count."""
    years = day.year - start.year
    if add_months(start, 12 * years) > day:
        years -= 1
    anniversary = add_months(start, 12 * years)
    return years, (day - anniversary).days / (add_months(start, 12 * (years + 1)) - anniversary).days
