"""Dates, months, quarters and years in a text, and the ranges they make."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from core.offline.schema import Column

Grain = Literal["day", "month", "quarter", "year"]

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_MONTH = "(?P<name>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_YEAR = r"(?P<year>(?:19|20)\d{2})"
_QUARTERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": 4}
_QUARTERS |= {"一": 1, "二": 2, "三": 3, "四": 4}


@dataclass(frozen=True)
class Period:
    """From the first to the last day of what was named, both included."""

    first: date
    last: date
    grain: Grain


@dataclass(frozen=True)
class TimeRange:
    """A condition on time; an open end is None. `start` and `end` say where in the text it was found."""

    first: date | None
    last: date | None
    grain: Grain
    start: int
    end: int

    def condition(self, column: Column) -> str:
        """The range as a DolphinDB condition that keeps partitions prunable."""
        if column.base_type == "MONTH":
            name = column.script
            first, last = (_month(day) if day else None for day in (self.first, self.last))
        else:
            name = column.script if column.base_type == "DATE" else f"date({column.script})"
            first, last = (_day(day) if day else None for day in (self.first, self.last))
            if self.grain == "month" and self.first and self.last and _month(self.first) == _month(self.last):
                return f"month({column.script}) == {_month(self.first)}"
        if first == last:
            return f"{name} == {first}"
        if last is None:
            return f"{name} >= {first}"
        if first is None:
            return f"{name} <= {last}"
        return f"{name} between {first} : {last}"


def _day(day: date) -> str:
    return f"{day.year:04}.{day.month:02}.{day.day:02}"


def _month(day: date) -> str:
    return f"{day.year:04}.{day.month:02}M"


def find_time_ranges(text: str) -> list[TimeRange]:
    """Conditions on time in a text. Impossible dates, such as 30 February, are passed over."""
    places = _periods(text)
    ranges: list[TimeRange] = []
    index = 0
    while index < len(places):
        start, end, period = places[index]
        before = text[:start]
        lead = re.search(
            r"(?i)(\bbetween|\bfrom|从|自|介于)\s*$"
            r"|(\bsince|\bon or after|\bstarting(?: from| in)?|\bafter|晚于)\s*$"
            r"|(\bbefore|\bprior to|早于)\s*$|(\buntil|\btill|\bup to|截至|直到)\s*$"
            r"|(\bin|\bon|\bduring|\bfor|在|于)\s*$",
            before,
        )
        if index + 1 < len(places):
            next_start, next_end, following = places[index + 1]
            between = text[end:next_start].strip().lower()
            joined = between in {"to", "until", "till", "through", "-", "–", "~", "到", "至", "..", ":"}
            if joined or (between in {"and", "和", "与"} and lead is not None and lead[1]):
                begin = lead.start() if lead is not None and lead[1] else start
                low, high = min(period.first, following.first), max(period.last, following.last)
                ranges.append(TimeRange(low, high, period.grain, begin, next_end))
                index += 2
                continue
        begin = lead.start() if lead is not None else start
        tail = re.match(r"\s*(以来|之后|以后|起|后)|\s*(之前|以前|前(?!\d))", text[end:])
        stop = end + (tail.end() if tail else 0)
        after = (lead is not None and lead[2]) or (tail is not None and tail[1])
        earlier = (lead is not None and lead[3]) or (tail is not None and tail[2])
        if after:
            strictly = str(after).lower() in {"after", "晚于", "之后", "以后", "后"}
            first = _next_day(period.last) if strictly else period.first
            ranges.append(TimeRange(first, None, period.grain, begin, stop))
        elif earlier:
            ranges.append(TimeRange(None, _previous_day(period.first), period.grain, begin, stop))
        elif lead is not None and lead[4]:
            ranges.append(TimeRange(None, period.last, period.grain, begin, stop))
        else:
            ranges.append(TimeRange(period.first, period.last, period.grain, begin, stop))
        index += 1
    return ranges


def _next_day(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)


def _previous_day(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def _periods(text: str) -> list[tuple[int, int, Period]]:
    places: list[tuple[int, int, Period]] = []
    for pattern, read in _PATTERNS:
        for match in re.finditer(pattern, text, re.IGNORECASE | re.ASCII):
            begin = match.start("place") if "place" in match.re.groupindex else match.start()
            if any(begin < end and start < match.end() for start, end, _ in places):
                continue
            try:
                places.append((begin, match.end(), read(match)))
            except ValueError:
                continue
    return sorted(places, key=lambda place: place[0])


def _of_day(match: re.Match[str]) -> Period:
    groups = match.groupdict()
    month = _MONTHS[groups["name"].lower()] if groups.get("name") else int(groups["month"])
    day = date(int(groups["year"]), month, int(groups["day"]))
    return Period(day, day, "day")


def _of_month(match: re.Match[str]) -> Period:
    groups = match.groupdict()
    month = _MONTHS[groups["name"].lower()] if groups.get("name") else int(groups["month"])
    year = int(groups["year"])
    return Period(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]), "month")


def _of_quarter(match: re.Match[str]) -> Period:
    name = match["quarter"].lower()
    number = int(name) if name in "1234" else _QUARTERS[name]
    year = int(match["year"])
    last = number * 3
    return Period(date(year, last - 2, 1), date(year, last, calendar.monthrange(year, last)[1]), "quarter")


def _of_year(match: re.Match[str]) -> Period:
    year = int(match["year"])
    return Period(date(year, 1, 1), date(year, 12, 31), "year")


_ORDINALS = "first|second|third|fourth|last|1st|2nd|3rd|4th"
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], Period]], ...] = (
    (rf"(?<![\d.]){_YEAR}[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})(?!\d)", _of_day),
    (rf"{_YEAR}年(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}})[日号]?", _of_day),
    (rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}\b", _of_day),
    (rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH},? {_YEAR}\b", _of_day),
    (rf"{_YEAR}年第?(?P<quarter>[一二三四1-4])季度?", _of_quarter),
    (rf"\bQ(?P<quarter>[1-4])[ /-]?(?:of )?{_YEAR}\b", _of_quarter),
    (rf"\b{_YEAR}[ /-]?Q(?P<quarter>[1-4])\b", _of_quarter),
    (rf"\b(?P<quarter>{_ORDINALS}) quarter (?:of |in )?{_YEAR}\b", _of_quarter),
    (rf"{_YEAR}年(?P<month>\d{{1,2}})月份?", _of_month),
    (rf"\b{_MONTH},? (?:of )?{_YEAR}\b", _of_month),
    (rf"(?<![\d.]){_YEAR}[-/.](?P<month>0[1-9]|1[0-2])M?(?![\d.])", _of_month),
    (rf"{_YEAR}\s?年", _of_year),
    (
        r"\b(?:in|of|to|from|for|till|until|since|after|before|during|through|between|and|year)\s"
        rf"(?P<place>{_YEAR})\b(?!\s?(?:rows|records|trades|次|条|行|笔))",
        _of_year,
    ),
    (rf"(?<![\d.]){_YEAR}(?=\s?(?:到|至|~|-)\s?(?:19|20)\d{{2}}(?!\d))", _of_year),
)
