"""Relative expressions of time into concrete days, by a thread's clock and trading calendar."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from rag.rewriting.clock import Clock, Days, period, units_back

_DAYS = tuple(name.lower() for name in calendar.day_name)
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_CHINESE_DAYS = "一二三四五六日"
_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "twenty": 20, "thirty": 30, "一": 1, "两": 2, "二": 2, "三": 3, "四": 4,
    "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10, "十一": 11, "十二": 12, "十五": 15, "二十": 20, "三十": 30,
    "六十": 60,
}  # fmt: skip
_WORDS = "|".join(sorted(_NUMBERS, key=len, reverse=True))
_NUMBER = rf"(?P<count>\d{{1,4}}|{_WORDS})"
_UNITS = {
    "trading day": "trading", "business day": "trading", "day": "day", "week": "week", "month": "month",
    "quarter": "quarter", "year": "year", "交易日": "trading", "工作日": "trading", "天": "day", "日": "day",
    "周": "week", "星期": "week", "礼拜": "week", "月": "month", "季度": "quarter", "季": "quarter", "年": "year",
}  # fmt: skip
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_YEARS = {"this": 0, "last": -1, "previous": -1, "今年": 0, "本年": 0, "去年": -1, "上年": -1, "前年": -2}
_WEEKS = {
    "上上": -2, "上上个": -2, "上": -1, "上个": -1, "本": 0, "这": 0, "这个": 0, "下": 1, "下个": 1,
    "last": -1, "previous": -1, "this": 0, "next": 1,
}  # fmt: skip
MAX_COUNT = 1_200
TRADING = re.compile(r"(?:trading|business) day|交易日|工作日", re.IGNORECASE)
# `the last week of March` and `of each month` are told from a time of their own, not from now.
_NOT_NOW = (
    r"(?!\s+(?:of|in)\s+(?:(?:the|each|every|a|any|data)\b|(?:19|20)\d\d\b|q[1-4]\b"
    rf"|(?:{'|'.join(name[:3] for name in _MONTHS)})[a-z]*\b))"
)
# Compared from one to the next, the period before is another one for each.
_EACH = {
    "week": r"\b(?:each|every|per|by) week\b|\bweekly\b|week[- ](?:over|on)[- ]week|每个?(?:周|星期)|各周|逐周|环比",
    "month": r"\b(?:each|every|per|by) month\b|\bmonthly\b|month[- ](?:over|on)[- ]month|每个?月|各个?月|逐月|环比",
    "quarter": r"\b(?:each|every|per|by) quarter\b|\bquarterly\b|quarter[- ](?:over|on)[- ]quarter|[每各逐]个?季|环比",
    "year": r"\b(?:each|every|per|by) year\b|\b(?:yearly|annual)\b|year[- ](?:over|on)[- ]year|每年|各年|逐年|同比",
}
_RANKED = re.compile(r"最|排名|排行|排序|\btop\b", re.IGNORECASE)
# Over so many days then means a window that moves, not a span of the calendar.
_WINDOW = re.compile(r"\b(?:moving|rolling|running|trailing)\b|移动|滚动|均线", re.IGNORECASE)


@dataclass(frozen=True)
class Resolved:
    """An expression found at `start` to `end` of a text, and the days it means, both included."""

    start: int
    end: int
    first: date
    last: date


Reader = Callable[[re.Match[str], Clock], Days | None]


def resolve(text: str, clock: Clock) -> list[Resolved]:
    """All relative expressions of a text, in order and without overlap; the longest wins."""
    found = [
        _in_context(text, Resolved(match.start(), match.end(), *days), clock)
        for pattern, read in _RULES
        for match in pattern.finditer(text)
        if (days := read(match, clock)) is not None
    ]
    found.sort(key=lambda item: (item.start, -item.end))
    kept: list[Resolved] = []
    for item in found:
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return kept


_SINCE = re.compile(r"(?:\b(?:since|from|between|before|prior to|starting)\s+(?:the\s+)?|自|从|早于)$", re.IGNORECASE)
_UNTIL = re.compile(r"(?:\b(?:until|till|through|up to|after)\s+(?:the\s+)?|截至|直到|晚于)$", re.IGNORECASE)
_SECOND = re.compile(r"\b(?:from|since|between)\b.*\b(?:to|and)\s+(?:the\s+)?$|[自从].*[到至]$", re.IGNORECASE)
_EDGE = re.compile(r"\b(?:the\s+)?(?P<edge>end|start|beginning) of\s+(?:the\s+)?$", re.IGNORECASE)
_CONTEXT = 80
_ABSORBED = re.compile(r"\b(?:in|over|during|for|within|across|of|throughout)\s+(?:the\s+)?$", re.IGNORECASE)


def _in_context(text: str, item: Resolved, clock: Clock) -> Resolved:
    """The words around an expression can mean one end of it: `since last month`, `上个月以来`."""
    start = max(item.start - _CONTEXT, 0)
    before, after = text[start : item.start], text[item.end : item.end + 2]
    if after in ("'s", "’s"):
        item = replace(item, end=item.end + 2)
    if item.first == item.last:
        return item
    if edge := _EDGE.search(before):
        day = item.last if edge["edge"].lower() == "end" else item.first
        return Resolved(start + edge.start(), item.end, day, day)
    if after.startswith(("以来", "至今")):
        return Resolved(item.start, item.end + 2, item.first, max(clock.today, item.first))
    if after.startswith(("之前", "以前")) or _SINCE.search(before):
        return replace(item, last=item.first)
    if after.startswith(("之后", "以后")) or _UNTIL.search(before) or _SECOND.search(before):
        return replace(item, first=item.last)
    absorbed = _ABSORBED.search(before)
    return replace(item, start=start + absorbed.start()) if absorbed else item


def _single(offset: int) -> Reader:
    def read(_match: re.Match[str], clock: Clock) -> Days:
        day = clock.today + timedelta(days=offset)
        return day, day

    return read


def _period(unit: str, offset: int) -> Reader:
    def read(match: re.Match[str], clock: Clock) -> Days | None:
        compared = offset < 0 and re.search(_EACH[unit], match.string, re.IGNORECASE)
        return None if compared else period(clock.today, unit, offset)

    return read


def _recent(match: re.Match[str], clock: Clock) -> Days | None:
    """The last so many units up to today; trading days are counted by the calendar."""
    count, unit = _number(match["count"]), _UNITS[match["unit"].lower()]
    first_ones = match[0].startswith("前") and _RANKED.search(match.string)
    if not 0 < count <= MAX_COUNT or first_ones or _WINDOW.search(match.string):
        return None
    if unit == "trading":
        days = list(clock.trading_days(count))
        return (days[-1], days[0]) if len(days) == count else None
    return units_back(clock.today, unit, count) + timedelta(days=1), clock.today


def _half_year(_match: re.Match[str], clock: Clock) -> Days:
    return units_back(clock.today, "month", 6) + timedelta(days=1), clock.today


def _ago(match: re.Match[str], clock: Clock) -> Days | None:
    count, unit = _number(match["count"]), _UNITS[match["unit"].lower()]
    if not 0 < count <= MAX_COUNT:
        return None
    if unit == "trading":
        days = [day for day in clock.trading_days(count + 1) if day < clock.today]
        return (days[count - 1], days[count - 1]) if len(days) >= count else None
    day = units_back(clock.today, unit, count)
    return day, day


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def _weekday(match: re.Match[str], clock: Clock) -> Days:
    """`last Friday` is the latest one before today, `this Friday` is of this week, `next Friday` the one to come."""
    number, which = _DAYS.index(match["day"].lower()), match["which"].lower()
    if which == "this":
        day = period(clock.today, "week")[0] + timedelta(days=number)
    elif which == "next":
        day = clock.today + timedelta(days=(number - clock.today.weekday() - 1) % 7 + 1)
    else:
        day = clock.today - timedelta(days=(clock.today.weekday() - number - 1) % 7 + 1)
    return day, day


def _day_of_week(match: re.Match[str], clock: Clock) -> Days:
    """A day of a named week: `上周五` and `Friday of last week` are the Friday of the week before this one."""
    name = match["day"].lower()
    number = _DAYS.index(name) if name in _DAYS else _CHINESE_DAYS.index(name.replace("天", "日"))
    day = period(clock.today, "week", _WEEKS[match["which"].lower()])[0] + timedelta(days=number)
    return day, day


def _weekend(match: re.Match[str], clock: Clock) -> Days:
    monday = period(clock.today, "week", _WEEKS[match["which"]])[0]
    return monday + timedelta(days=5), monday + timedelta(days=6)


def _part_of_year(match: re.Match[str], clock: Clock) -> Days | None:
    """A month, quarter or half of this year or an earlier one, or a day in it."""
    found = match.groupdict()
    year = clock.today.year + _YEARS[found["year"].lower()]
    if quarter := found.get("quarter"):
        number = _ORDINALS.get(quarter.lower()) or _number(quarter)
        return period(date(year, number * 3, 1), "quarter")
    if half := found.get("half"):
        return period(date(year, 1 if half.lower() in ("first", "1st", "上") else 7, 1), "half")
    name = found["month"].lower()
    month = _MONTHS.get(name) or _number(name)
    return _in_month(year, month, found.get("date"))


def _day_of_month(match: re.Match[str], clock: Clock) -> Days | None:
    first = period(clock.today, "month", _WEEKS[match["which"]])[0]
    return _in_month(first.year, first.month, match["date"])


def _month_end(match: re.Match[str], clock: Clock) -> Days:
    day = period(clock.today, "month", _WEEKS[match["which"]])[1]
    return day, day


def _in_month(year: int, month: int, day: str | None) -> Days | None:
    if not 1 <= month <= 12:
        return None
    if not day:
        return period(date(year, month, 1), "month")
    last = calendar.monthrange(year, month)[1]
    if not 1 <= int(day) <= last:
        return None
    return date(year, month, int(day)), date(year, month, int(day))


def _year_end(match: re.Match[str], clock: Clock) -> Days:
    day = date(clock.today.year + _YEARS[match["year"]], 12, 31)
    return day, day


def _to_date(unit: str) -> Reader:
    def read(_match: re.Match[str], clock: Clock) -> Days:
        return period(clock.today, unit)[0], clock.today

    return read


def _last_trading_day(_match: re.Match[str], clock: Clock) -> Days | None:
    day = next((day for day in clock.trading_days(2) if day < clock.today), None)
    return (day, day) if day is not None else None


def _rules() -> Iterator[tuple[str, Reader]]:
    yield r"\bthe day before yesterday\b|(?<!大)前天", _single(-2)
    yield r"\byesterday\b|昨天|昨日", _single(-1)
    yield r"\btoday\b(?!\()|今天|今日", _single(0)
    yield r"\btomorrow\b|明天|明日", _single(1)
    yield from _whole_periods()
    yield from _parts_of_periods()
    yield r"\b(?:year[ -]to[ -]date|ytd)\b|年初至今|今年以来", _to_date("year")
    yield r"\b(?:quarter[ -]to[ -]date|qtd)\b|季初至今|本季度?以来", _to_date("quarter")
    yield r"\b(?:month[ -]to[ -]date|mtd)\b|月初至今|本月以来", _to_date("month")
    yield r"\b(?:week[ -]to[ -]date|wtd)\b|本周以来", _to_date("week")
    yield (
        rf"\b(?:the\s+)?(?:last|previous) (?:trading|business) day\b{_NOT_NOW}|[上前]一?个?(?:交易|工作)日",
        _last_trading_day,
    )
    units = r"trading day|business day|day|week|month|quarter|year"
    yield rf"\b(?:the\s+)?(?:last|past|previous)\s+{_NUMBER}\s+(?P<unit>{units})s?\b(?!-){_NOT_NOW}", _recent
    yield rf"\b{_NUMBER}\s+(?P<unit>{units})s?\s+ago\b", _ago
    chinese = r"(?P<unit>交易日|工作日|星期|礼拜|季度|天|日|周|月|季|年)(?![均线kK])内?"
    yield rf"(?:最近|过去|近|前)的?\s*{_NUMBER}\s*个?{chinese}", _recent
    yield rf"{_NUMBER}\s*个?(?P<unit>交易日|工作日|星期|礼拜|季度|天|日|周|月|季|年)(?:之前|以前|前)", _ago
    yield r"(?:最近|过去|近)的?半年", _half_year
    names = "|".join(_DAYS)
    yield rf"\b(?P<which>last|this|next)\s+(?P<day>{names})\b(?!\s+(?:of\s+)?(?:last|this|next) week)", _weekday
    yield rf"\b(?P<day>{names})\s+(?:of\s+)?(?P<which>last|previous|this|next)\s+week\b", _day_of_week
    yield r"(?P<which>上上个?|上个?|本|这个?|下个?)(?:周|星期|礼拜)(?P<day>[一二三四五六日天])", _day_of_week
    yield r"(?P<which>上个?|本|这个?|下个?)周末", _weekend


def _whole_periods() -> Iterator[tuple[str, Reader]]:
    for unit, chinese in (("week", "周|星期|礼拜"), ("month", "月"), ("quarter", "季度?"), ("year", "")):
        after = r"(?!['’]s\s+(?:q[1-4]\b|(?:first|second|third|fourth)\b))" + _NOT_NOW
        for words, offset in ((("this", "current"), 0), (("last", "previous"), -1), (("next",), 1)):
            yield rf"\b(?:the\s+)?(?:{'|'.join(words)})\s+{unit}\b{after}", _period(unit, offset)
        if chinese:
            end = rf"(?:{chinese})(?!\s*\d|[一二三四五六日天末底初中])"
            yield rf"(?:本|这个?){end}", _period(unit, 0)
            yield rf"(?<!上)上个?{end}", _period(unit, -1)
            yield rf"上上个?{end}", _period(unit, -2)
            yield rf"下个?{end}", _period(unit, 1)
    for word, offset in (("今年", 0), ("去年", -1), ("前年", -2)):
        yield rf"{word}(?!\s*\d|[初末底中全同第上下Qq一二三四五六七八九十])(?:全年)?", _period("year", offset)


def _parts_of_periods() -> Iterator[tuple[str, Reader]]:
    year, english = r"(?P<year>今年|本年|去年|上年|前年)的?", r"(?P<year>this|last|previous)\s+year"
    numbers = r"\d{1,2}|十[一二]?|[一二三四五六七八九]"
    yield rf"{year}\s*(?P<month>{numbers})月份?(?:(?P<date>\d{{1,2}})[日号])?", _part_of_year
    yield rf"{year}\s*(?:第?(?P<quarter>[一二三四1-4])季度?|[Qq](?P<q>[1-4]))", _quarter_of_year
    yield rf"{year}(?P<half>[上下])半年", _part_of_year
    yield r"(?P<year>今年|去年|前年)年?[底末]", _year_end
    yield r"(?P<which>上个?|本|这个?)月\s*(?P<date>\d{1,2})[日号]", _day_of_month
    yield r"(?P<which>上个?|本|这个?)月[底末]", _month_end
    ordinals = "|".join(_ORDINALS)
    yield rf"\bq(?P<quarter>[1-4])\s+(?:of\s+)?{english}\b", _part_of_year
    yield rf"\b{english}['’]s\s+q(?P<quarter>[1-4])\b", _part_of_year
    yield rf"\b(?:the\s+)?(?P<quarter>{ordinals})\s+quarter\s+of\s+{english}\b", _part_of_year
    yield rf"\b(?:the\s+)?(?P<half>first|second|1st|2nd)\s+half\s+of\s+{english}\b", _part_of_year
    yield rf"\b(?P<month>{'|'.join(_MONTHS)})\s+(?:of\s+)?{english}\b", _part_of_year


def _quarter_of_year(match: re.Match[str], clock: Clock) -> Days:
    year = clock.today.year + _YEARS[match["year"]]
    number = match["q"] or match["quarter"]
    return period(date(year, _number(number) * 3, 1), "quarter")


_RULES = [(re.compile(pattern, re.IGNORECASE), reader) for pattern, reader in _rules()]
