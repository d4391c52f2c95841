"""Relative expressions of time into concrete days, by a thread's clock and trading calendar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CHINESE_DAYS = "一二三四五六日"
_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "twenty": 20, "thirty": 30, "一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5,
    "六": 6, "七": 7, "八": 8, "九": 9, "十": 10, "二十": 20, "三十": 30, "六十": 60,
}  # fmt: skip
_NUMBER = r"(?P<count>\d{1,4}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_UNITS = {
    "trading day": "trading", "business day": "trading", "day": "day", "week": "week", "month": "month",
    "quarter": "quarter", "year": "year", "交易日": "trading", "工作日": "trading", "天": "day", "日": "day",
    "周": "week", "星期": "week", "月": "month", "季度": "quarter", "季": "quarter", "年": "year",
}  # fmt: skip
_MAX_SPAN = 40_000


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


@dataclass(frozen=True)
class Resolved:
    """An expression found at `start` to `end` of a text, and the days it means, both included."""

    start: int
    end: int
    first: date
    last: date


def resolve(text: str, clock: Clock) -> list[Resolved]:
    """All relative expressions of a text, in order and without overlap; the longest wins."""
    found = [
        Resolved(match.start(), match.end(), *days)
        for pattern, read in _RULES
        for match in pattern.finditer(text)
        if (days := read(match, clock)) is not None
    ]
    found.sort(key=lambda item: (item.start, item.start - item.end))
    kept: list[Resolved] = []
    for item in found:
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return kept


Days = tuple[date, date]
Reader = Callable[[re.Match[str], Clock], Days | None]


def _single(offset: int) -> Reader:
    def read(_match: re.Match[str], clock: Clock) -> Days:
        day = clock.today + timedelta(days=offset)
        return day, day

    return read


def _period(unit: str, offset: int) -> Reader:
    def read(_match: re.Match[str], clock: Clock) -> Days:
        return period(clock.today, unit, offset)

    return read


def period(day: date, unit: str, offset: int) -> Days:
    """The whole week, month, quarter or year that lies `offset` units from the one that holds `day`."""
    if unit == "week":
        first = day - timedelta(days=day.weekday()) + timedelta(weeks=offset)
        return first, first + timedelta(days=6)
    size = {"month": 1, "quarter": 3, "year": 12}[unit]
    index = (day.year * 12 + day.month - 1) // size * size + offset * size
    return _month_start(index), _month_start(index + size) - timedelta(days=1)


def _month_start(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)


def _recent(match: re.Match[str], clock: Clock) -> Days | None:
    """The last so many units up to today; trading days are counted by the calendar."""
    count, unit = _count(match), _UNITS[match["unit"].lower()]
    today = clock.today
    if not 0 < count <= _MAX_SPAN // 31:
        return None
    if unit == "trading":
        days = list(_trading_days(clock, count))
        return (days[-1], days[0]) if days else None
    if unit in ("day", "week"):
        return today - timedelta(days=count * (7 if unit == "week" else 1) - 1), today
    return _months_back(today, count * {"month": 1, "quarter": 3, "year": 12}[unit]) + timedelta(days=1), today


def _ago(match: re.Match[str], clock: Clock) -> Days | None:
    count, unit = _count(match), _UNITS[match["unit"].lower()]
    if not 0 < count <= _MAX_SPAN // 31:
        return None
    if unit == "trading":
        days = list(_trading_days(clock, count + 1))
        day = days[-1] if days else clock.today
    elif unit in ("day", "week"):
        day = clock.today - timedelta(days=count * (7 if unit == "week" else 1))
    else:
        day = _months_back(clock.today, count * {"month": 1, "quarter": 3, "year": 12}[unit])
    return day, day


def _trading_days(clock: Clock, count: int) -> Iterator[date]:
    """Trading days backwards from today, today included when it is one."""
    day = clock.today
    for _ in range(count * 4 + 40):
        if count == 0:
            return
        if clock.is_trading_day(day):
            count -= 1
            yield day
        day -= timedelta(days=1)


def _months_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    last = _month_start(index + 1) - timedelta(days=1)
    return last.replace(day=min(day.day, last.day))


def _count(match: re.Match[str]) -> int:
    text = match["count"].lower()
    return int(text) if text.isdigit() else _NUMBERS[text]


def _weekday(match: re.Match[str], clock: Clock) -> Days:
    """`last Friday` is the latest one before today; `上周五` is the Friday of the week before this one."""
    chinese = match.groupdict().get("zh")
    if chinese is not None:
        offset = {"上上": -2, "上": -1, "本": 0, "这": 0, "这个": 0, "下": 1, "上个": -1, "下个": 1}[match["which"]]
        number = 6 if chinese == "天" else _CHINESE_DAYS.index(chinese)
        day = period(clock.today, "week", offset)[0] + timedelta(days=number)
        return day, day
    number = DAYS.index(match["en"].lower())
    which = match["which"].lower()
    if which == "this":
        day = period(clock.today, "week", 0)[0] + timedelta(days=number)
    elif which == "next":
        day = clock.today + timedelta(days=(number - clock.today.weekday() - 1) % 7 + 1)
    else:
        day = clock.today - timedelta(days=(clock.today.weekday() - number - 1) % 7 + 1)
    return day, day


def _to_date(unit: str) -> Reader:
    def read(_match: re.Match[str], clock: Clock) -> Days:
        return period(clock.today, unit, 0)[0], clock.today

    return read


def _last_trading_day(_match: re.Match[str], clock: Clock) -> Days | None:
    day = next((day for day in _trading_days(clock, 2) if day < clock.today), None)
    return (day, day) if day is not None else None


def _rules() -> Iterator[tuple[str, Reader]]:
    yield r"\bthe day before yesterday\b|(?<!大)前天", _single(-2)
    yield r"\byesterday\b|昨天|昨日", _single(-1)
    yield r"\btoday\b|今天|今日", _single(0)
    yield r"\btomorrow\b|明天|明日", _single(1)
    for unit, chinese in (("week", "周|星期"), ("month", "月"), ("quarter", "季度"), ("year", "")):
        for words, offset in ((("this", "current"), 0), (("last", "previous"), -1), (("next",), 1)):
            yield rf"\b(?:the\s+)?(?:{'|'.join(words)})\s+{unit}\b", _period(unit, offset)
        if chinese:
            end = r"(?![一二三四五六日天])" if unit == "week" else ""
            yield rf"(?:本|这个?)(?:{chinese}){end}", _period(unit, 0)
            yield rf"(?<!上)上个?(?:{chinese}){end}", _period(unit, -1)
            yield rf"上上个?(?:{chinese}){end}", _period(unit, -2)
            yield rf"下个?(?:{chinese}){end}", _period(unit, 1)
    yield r"今年", _period("year", 0)
    yield r"去年", _period("year", -1)
    yield r"前年", _period("year", -2)
    yield r"\b(?:year[ -]to[ -]date|ytd)\b|年初至今|今年以来", _to_date("year")
    yield r"\b(?:month[ -]to[ -]date|mtd)\b|月初至今|本月以来", _to_date("month")
    yield r"\b(?:quarter[ -]to[ -]date|qtd)\b|季初至今|本季度以来", _to_date("quarter")
    yield r"\b(?:the\s+)?(?:last|previous) trading day\b|上一?个?交易日", _last_trading_day
    units = "trading day|business day|day|week|month|quarter|year"
    yield rf"\b(?:the\s+)?(?:last|past|previous)\s+{_NUMBER}\s+(?P<unit>{units})s?\b", _recent
    yield rf"\b{_NUMBER}\s+(?P<unit>{units})s?\s+ago\b", _ago
    chinese_units = "交易日|工作日|星期|季度|天|日|周|月|季|年"
    yield rf"(?:最近|过去|近|前)的?{_NUMBER}个?(?P<unit>{chinese_units})", _recent
    yield rf"{_NUMBER}个?(?P<unit>{chinese_units})(?:之前|以前|前)", _ago
    yield rf"\b(?P<which>last|this|next)\s+(?P<en>{'|'.join(DAYS)})\b", _weekday
    yield r"(?P<which>上上|上个?|本|这个?|下个?)(?:周|星期|礼拜)(?P<zh>[一二三四五六日天])", _weekday


_RULES = [(re.compile(pattern, re.IGNORECASE), reader) for pattern, reader in _rules()]
