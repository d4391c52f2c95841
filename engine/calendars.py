"""Trading days: Monday to Friday without holidays, or listed one by one; calendars by name in files of the data folder.

Days are counted since 1970. Every calendar numbers its trading days in their order, so that moving by n of them is
adding n to a number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Protocol

import numpy as np

from engine.errors import ScriptError
from engine.parsing import parse_days
from engine.storage.files import removed_on_failure, sync_folder
from engine.values import Array

HOLIDAYS, TRADING_DATES = "holidayDate", "tradingDate"
DATE_TYPES = (HOLIDAYS, TRADING_DATES)
NAME = re.compile("[A-Z]{4}")

_MONDAY = 3  # 1970.01.01 was a Thursday
_LONG = 1 << 12


class TradingDays(Protocol):
    """The trading days of a calendar and their numbers."""

    def number(self, days: Array) -> Array:
        """The number of the last trading day up to and including each day."""

    def day(self, numbers: Array) -> Array:
        """The trading days with these numbers."""


@dataclass(frozen=True, eq=False)
class WeekdaysWithout:
    """Monday to Friday except `holidays`, for all times."""

    holidays: Array

    @cached_property
    def _skipped(self) -> Array:
        """The numbers of the holidays among all weekdays, ascending."""
        distinct = np.unique(self.holidays)
        return _weekday_number(distinct[(distinct + _MONDAY) % 7 < 5])

    @cached_property
    def _following(self) -> Array:
        """For every holiday the number of the next trading day."""
        return self._skipped - np.arange(len(self._skipped))

    def number(self, days: Array) -> Array:
        weekday = _weekday_number(days)
        if not len(self._skipped):
            return weekday
        return np.asarray(weekday - np.searchsorted(self._skipped, weekday, side="right"))

    def day(self, numbers: Array) -> Array:
        if len(self._skipped):
            numbers = numbers + np.searchsorted(self._following, numbers, side="right")
        return np.asarray(numbers // 5 * 7 + numbers % 5 - _MONDAY)


BUSINESS_DAYS = WeekdaysWithout(np.array([], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class ListedDays:
    """The trading days of a list, which knows nothing of what lies before or after it."""

    name: str
    dates: Array

    def number(self, days: Array) -> Array:
        if len(days) and (days.min() < self.dates[0] or days.max() > self.dates[-1]):
            raise ScriptError(f"The trading calendar [{self.name}] does not reach all of the dates.")
        return np.asarray(np.searchsorted(self.dates, days, side="right") - 1)

    def day(self, numbers: Array) -> Array:
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self.dates)):
            raise ScriptError(f"The returned date does not exist in trading calendar [{self.name}].")
        return np.asarray(self.dates[numbers])


def for_distinct(work: Callable[[Array], Array], days: Array) -> Array:
    """`work`, which sees to one day after the other, on days of which there are few different ones in a long column."""
    if len(days) < _LONG:
        return work(days)
    first, last = int(days.min()), int(days.max())
    if last - first > len(days) // 4:
        return work(days)
    return np.asarray(work(np.arange(first, last + 1))[days - first])


def move_days(calendar: TradingDays, days: Array, amount: int | Array) -> Array:
    """Days moved by `amount` trading days (one, or one for each); a day in between goes to the nearest one that way."""

    def moved(days: Array) -> Array:
        numbers = calendar.number(days)
        if np.any(np.asarray(amount) <= 0):
            numbers = numbers + ((calendar.day(numbers) != days) & (np.asarray(amount) <= 0))
        return calendar.day(numbers + amount)

    return for_distinct(moved, days) if np.ndim(amount) == 0 else moved(days)


def days_between(calendar: TradingDays, start: Array, end: Array) -> Array:
    """The trading days after `start` up to and including `end`; negative backwards."""
    return np.asarray(for_distinct(calendar.number, end) - for_distinct(calendar.number, start))


@dataclass(frozen=True, eq=False)
class TradingCalendar:
    """A calendar as its file has it: `dates` are holidays or trading days, ascending, each once."""

    name: str
    date_type: str
    dates: Array

    @cached_property
    def days(self) -> TradingDays:
        if self.date_type == TRADING_DATES:
            return ListedDays(self.name, self.dates)
        return WeekdaysWithout(self.dates)

    def span(self) -> tuple[int, int]:
        """The first day of its first year and the last day of its last year."""
        years = self.dates[[0, -1]].astype("datetime64[D]").astype("datetime64[Y]")
        first, after = (years + np.array([0, 1])).astype("datetime64[D]").astype(np.int64)
        return int(first), int(after) - 1

    def trading_days(self, first: int, last: int) -> Array:
        """All trading days from one day to another."""
        if self.date_type == TRADING_DATES:
            return self.dates[slice(*np.searchsorted(self.dates, [first, last + 1]))]
        low, high = self.days.number(np.array([first - 1, last], dtype=np.int64))
        return self.days.day(np.arange(low + 1, high + 1))


class TradingCalendars:
    """The calendars of one node: a file `NAME.csv` each, a header and one date a line.

    The folder is looked through at the first use. A change replaces the file at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = RLock()
        self._known: dict[str, TradingCalendar | None] | None = None

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._files())

    def get(self, name: str) -> TradingCalendar:
        """ScriptError if there is no such calendar, or if its file is no list of dates."""
        with self._lock:
            files = self._files()
            if name not in files:
                raise _unknown(name)
            calendar = files[name]
            if calendar is None:
                calendar = files[name] = _read(self._path(name))
            return calendar

    def add(self, name: str, date_type: str, dates: Array) -> None:
        with self._lock:
            if name in self._files():
                raise ScriptError(f"The added market '{name}' already exists.")
            self._put(TradingCalendar(name, date_type, np.unique(dates)))

    def update(self, name: str, dates: Array) -> None:
        """Other dates of the same kind for a calendar there is."""
        with self._lock:
            self._put(TradingCalendar(name, self.get(name).date_type, np.unique(dates)))

    def delete(self, name: str) -> None:
        with self._lock:
            files = self._files()
            if name not in files:
                raise _unknown(name)
            self._path(name).unlink(missing_ok=True)
            del files[name]

    def _files(self) -> dict[str, TradingCalendar | None]:
        """The calendars by name; None for a file not read yet."""
        if self._known is None:
            self._known = {path.stem: None for path in self._folder.glob("*.csv") if path.stem.isalnum()}
        return self._known

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.csv"

    def _put(self, calendar: TradingCalendar) -> None:
        lines = np.datetime_as_string(calendar.dates.astype("datetime64[D]"))
        text = "\n".join([calendar.date_type, *(line.replace("-", ".") for line in lines.tolist()), ""])
        _replace(self._path(calendar.name), text)
        self._files()[calendar.name] = calendar


def _unknown(name: str) -> ScriptError:
    if not NAME.fullmatch(name):
        return ScriptError(f"[{name}] is neither a unit of time nor a trading calendar.")
    return ScriptError(
        f'There is no trading calendar [{name}]. An administrator can add it: addMarketHoliday("{name}", holidays).'
    )


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with removed_on_failure(fresh):
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    sync_folder(path.parent)


def _read(path: Path) -> TradingCalendar:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ScriptError(f"The file of trading calendar [{path.stem}] can't be read: {error}.") from error
    cells = [(number, line.strip().strip('"')) for number, line in enumerate(lines, 1) if line.strip()]
    date_type = HOLIDAYS
    if cells and parse_days(cells[0][1]) is None:
        date_type = TRADING_DATES if cells[0][1] == TRADING_DATES else HOLIDAYS
        cells = cells[1:]
    dates = []
    for number, cell in cells:
        day = parse_days(cell)
        if day is None:
            raise ScriptError(f"Line {number} of {path.name} is no date, so that there is no calendar [{path.stem}].")
        dates.append(day)
    if not dates:
        raise ScriptError(f"{path.name} has no dates, so that there is no calendar [{path.stem}].")
    return TradingCalendar(path.stem, date_type, np.unique(np.array(dates, dtype=np.int64)))


def _weekday_number(days: Array) -> Array:
    """The number of the last Monday to Friday up to each day."""
    week, day = np.divmod(days + _MONDAY, 7)
    return np.asarray(week * 5 + np.minimum(day, 4))


_CALENDARS: ContextVar[TradingCalendars | None] = ContextVar("trading calendars", default=None)


@contextmanager
def calendars_in_use(calendars: TradingCalendars) -> Iterator[None]:
    """Let `trading_days` look into these while a script runs: operators know nothing of the node they run on."""
    token = _CALENDARS.set(calendars)
    try:
        yield
    finally:
        _CALENDARS.reset(token)


def trading_days(name: str) -> TradingDays:
    """The calendar a script names; `B` are business days. ScriptError if there is none."""
    if name == "B":
        return BUSINESS_DAYS
    calendars = _CALENDARS.get()
    if calendars is None:
        raise _unknown(name)
    return calendars.get(name).days
