"""Conditions a question puts on rows: times, values of text columns, numbers."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.offline.columns import Mention, concepts_of
from core.offline.lexicon import number
from core.offline.scanner import Scanner
from core.offline.schema import Column, Table
from core.offline.scripts import quoted
from core.offline.times import find_time_ranges
from core.offline.unclear import UnableError

_NUMBER = r"(-?\d[\d,]*(?:\.\d+)?(?:\s?(?:k|million|万|千)(?![a-z]))?)"
_MEASURE = (
    r"(?:\s?(?:mm|cm|m/s|km/h|degrees?(?: celsius)?|°C?|dollars?|usd|yuan|shares|毫米|厘米|摄氏度|度|美元|元|股"
    r"|手))?"
)
_COMPARISONS = (
    (r">=|\bat least|\bno less than|\bnot less than|大于等于|不低于|不少于|不小于|至少", ">="),
    (r"<=|\bat most|\bno more than|\bnot more than|小于等于|不超过|不高于|不大于|至多|最多(?=\s?\d)", "<="),
    (r">|\b(?:above|over|exceed(?:s|ed|ing)?|(?:greater|more|higher|larger|bigger) than)|大于|高于|超过|多于", ">"),
    (r"<|\b(?:below|under|(?:less|lower|smaller|fewer) than)|小于|低于|少于|不到|不足", "<"),
    (r"!=|<>|\bnot equal to|\bis not|不等于|不是", "!="),
    (r"==|=|\bequals?(?: to)?|\bis(?: equal to)?|等于|为|是", "=="),
)
_NOT_VALUES = frozenset(
    [
        "VWAP",
        "OHLC",
        "CSV",
        "SQL",
        "DFS",
        "SMA",
        "MA",
        "MAX",
        "MIN",
        "AVG",
        "SUM",
        "STD",
        "AND",
        "OR",
        "NOT",
        "WHERE",
        "BY",
        "TOP",
        "USD",
        "CNY",
        "A",
        "I",
        "K",
        "OK",
        "NULL",
        "TSDB",
        "OLAP",
        "EMA",
        "ID",
        "ALL",
        "FROM",
        "SELECT",
        "GROUP",
        "ORDER",
        "LIMIT",
        "IN",
        "IS",
        "TO",
        "OF",
        "ON",
        "UTC",
        "AM",
        "PM",
        "Q1",
        "Q2",
        "Q3",
        "Q4",
        "API",
    ]
)
# Names people use for values that are stored otherwise, with the kind of column that holds them.
VALUE_WORDS = (
    (r"苹果|\bapple\b", "symbol", "AAPL"),
    (r"微软|\bmicrosoft\b", "symbol", "MSFT"),
    (r"谷歌|\bgoogle\b", "symbol", "GOOG"),
    (r"亚马逊|\bamazon\b", "symbol", "AMZN"),
    (r"西雅图", "location", "Seattle"),
    (r"纽约", "location", "New York"),
    (r"\b(?:rainy|rained|raining)\b|下雨|雨天|有雨", "weather", "rain"),
    (r"\bsunny\b|晴天|晴朗|天晴", "weather", "sun"),
    (r"\b(?:snowy|snowed|snowing)\b|下雪|雪天|有雪", "weather", "snow"),
    (r"\b(?:foggy)\b|有雾|雾天|大雾", "weather", "fog"),
    (r"毛毛雨", "weather", "drizzle"),
)
PROPER_NOUN = r"(?<=\b(?:in|at|of) )(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)*)|(?<=\bfor )(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)*)"
_TICKER = (
    r"(?<![A-Za-z0-9_/.])(?P<quote>[\"']?)(?P<value>(?-i:[A-Z][A-Z0-9]{0,9}(?:\.[A-Z]+)?))(?P=quote)(?![A-Za-z0-9_(])"
)
_AFTER_COLUMN = re.compile(
    r"\s*(?P<sign>!=|<>|==|=|is not|isn't|不等于|不是|is|equals?(?: to)?|等于|为|是|:)?\s*"
    r"(?P<quote>[\"'`]?)(?P<value>[A-Za-z][\w.-]*)(?P=quote)",
    re.IGNORECASE | re.ASCII,
)
_NO_VALUE = frozenset({"the", "a", "an", "in", "above", "below", "not", "what", "over", "with", "of"})
_CALENDAR = frozenset(name.lower() for name in (*calendar.month_name, *calendar.month_abbr, *calendar.day_name) if name)
_MEASURED = r"(?:average|mean|total|sum of|median|max(?:imum)?|min(?:imum)?|highest|lowest|of|平均|总|最大|最小)\s*$"
_EXCEPT = r"(?:\b(?:except(?: for)?|excluding|other than|without|not|but not)|除了|除|不包括|不含|排除)\s*$"


@dataclass(frozen=True)
class Values:
    """Values of one text column that the question names."""

    column: Column
    values: tuple[str, ...]
    excluded: bool

    @property
    def condition(self) -> str:
        name = self.column.name
        if len(self.values) == 1:
            return f"{name} {'!=' if self.excluded else '=='} {quoted(self.values[0])}"
        if self.excluded:
            return " and ".join(f"{name} != {quoted(value)}" for value in self.values)
        return f"{name} in [{', '.join(quoted(value) for value in self.values)}]"


def time_conditions(scanner: Scanner, table: Table) -> list[str]:
    """Conditions on the table's time column, taken from the scanner."""
    ranges = find_time_ranges(scanner.text)
    relative = _relative_time(scanner, table) + _times_of_day(scanner, table)
    if not ranges:
        return relative
    time = table.time
    if time is None or not time.has_date:
        raise UnableError(
            f"The question speaks of dates, but the table {table.name} has no column with dates.",
            f"问题涉及日期，但表 {table.name} 没有日期类型的列。",
        )
    for item in ranges:
        scanner.take(item.start, item.end)
    return [item.condition(time) for item in ranges] + relative


def _times_of_day(scanner: Scanner, table: Table) -> list[str]:
    """`Between 10:00 and 11:00`, `after 14:30`: the end is not included."""
    clock = r"((?:[01]?\d|2[0-3]):[0-5]\d)(?!:?\d)"
    match = scanner.find(rf"(?:\bbetween|\bfrom|从|在)?\s*{clock}\s*(?:and|to|until|-|~|到|至)\s*{clock}")
    one = scanner.find(rf"(\bafter|\bsince|\bbefore|\buntil)\s+{clock}|{clock}\s*(之后|以后|之前|以前)")
    if match is None and one is None:
        return []
    time = table.time
    if time is None or time.base_type in ("DATE", "MONTH"):
        raise UnableError(
            f"The question speaks of times of day, but {table.name} has none.",
            f"问题涉及一天中的时刻，但表 {table.name} 没有时刻。",
        )
    moment = f"minute({time.name})"
    if match is not None:
        scanner.take(match.start(), match.end())
        return [f"{moment} >= {_minute(match[1])}", f"{moment} < {_minute(match[2])}"]
    assert one is not None
    scanner.take(one.start(), one.end())
    word = (one[1] or one[4]).lower()
    sign = ">=" if word in {"after", "since", "之后", "以后"} else "<"
    return [f"{moment} {sign} {_minute(one[2] or one[3])}"]


def _minute(clock: str) -> str:
    return f"{clock.zfill(5)}m"


def _relative_time(scanner: Scanner, table: Table) -> list[str]:
    time = table.time
    if time is None or not time.has_date or time.base_type == "MONTH":
        return []
    day = time.name if time.base_type == "DATE" else f"date({time.name})"
    if scanner.pop(r"\btoday(?:'s)?\b|今天|今日"):
        return [f"{day} == today()"]
    if scanner.pop(r"\byesterday(?:'s)?\b|昨天|昨日"):
        return [f"{day} == today() - 1"]
    match = scanner.pop(
        r"\b(?:in|over|for|during) the (?:last|past) (\d+) days\b|(?:最近|过去|近)\s?(\d+)\s?(?:天|日)(?!均)"
    )
    return [f"{day} > today() - {match[1] or match[2]}"] if match else []


def value_conditions(scanner: Scanner, table: Table, mentions: Sequence[Mention]) -> list[Values]:
    """Values of text columns: after the column's name, as a sample value, in quotes, or written like a name."""
    found: list[tuple[int, Column, str, bool]] = []

    def add(column: Column, value: str, start: int, end: int, *, excluded: bool = False) -> None:
        scanner.take(start, end)
        excluded = excluded or re.search(_EXCEPT, scanner.text[:start], re.IGNORECASE | re.ASCII) is not None
        found.append((start, column, value, excluded))

    for mention in mentions:
        if mention.is_ambiguous or not mention.column.is_text:
            continue
        match = _AFTER_COLUMN.match(scanner.text, mention.end)
        if match is None or not scanner.is_free(match.start("value"), match.end("value")):
            continue
        value = match["value"]
        known = _known_value(value, mention.column, table)
        if known or match["quote"] or value.isupper() or (match["sign"] and value.lower() not in _NO_VALUE):
            negative = (match["sign"] or "").lower() in {"!=", "<>", "is not", "isn't", "不等于", "不是"}
            add(mention.column, known or value, mention.start, match.end(), excluded=negative)
    texts = [column for column in table.columns if column.is_text]
    for column in texts:
        for sample in table.samples.get(column.name, ()):
            for match in list(scanner.find_all(rf"(?<![A-Za-z0-9_]){re.escape(sample)}(?![A-Za-z0-9_])")):
                measured = re.search(_MEASURED, scanner.text[: match.start()], re.IGNORECASE | re.ASCII)
                named = any(m.start == match.start() and m.column.is_numeric for m in mentions) and measured
                if len(sample) > 1 and not named and table.column(match[0]) is None:
                    add(column, sample, match.start(), match.end())
    for pattern, concept, value in VALUE_WORDS:
        for column in texts:
            if any(kind.name == concept for kind in concepts_of(column)):
                for match in list(scanner.find_all(pattern)):
                    add(column, value, match.start(), match.end())
    key = table.key
    if key is not None:
        names = {table.name.upper(), *(column.name.upper() for column in table.columns)}
        for match in list(scanner.find_all(_TICKER)):
            value = match["value"]
            if match["quote"] or (value not in _NOT_VALUES and value not in names):
                add(key, value, match.start(), match.end())
        for match in list(scanner.find_all(PROPER_NOUN)):
            if match[0].split()[0].lower() not in _CALENDAR and match[0].upper() not in names:
                add(key, match[0], match.start(), match.end())
    return _merged(sorted(found, key=lambda item: item[0]))


def _merged(found: Sequence[tuple[int, Column, str, bool]]) -> list[Values]:
    values: dict[tuple[Column, bool], list[str]] = {}
    for _, column, value, excluded in found:
        of_column = values.setdefault((column, excluded), [])
        if value not in of_column:
            of_column.append(value)
    return [Values(column, tuple(items), excluded) for (column, excluded), items in values.items()]


def _known_value(value: str, column: Column, table: Table) -> str | None:
    samples = table.samples.get(column.name, ())
    return next((sample for sample in samples if sample.lower() == value.lower()), None)


def number_conditions(scanner: Scanner, mentions: Sequence[Mention], default: Column | None) -> list[str]:
    """Comparisons of a numeric column with a number; the column is the one named last before, else `default`."""
    conditions = []
    between = r"(?:\bbetween|介于|在)\s*" + _NUMBER + r"\s*(?:and|to|到|至|和|-)\s*" + _NUMBER
    for match in list(scanner.find_all(between)):
        column = _subject(match.start(), match.end(), mentions, default, scanner.text)
        if column is not None:
            scanner.take(match.start(), match.end())
            conditions.append(f"{_operand(column)} between {_text(match[1])} : {_text(match[2])}")
    for words, sign in _COMPARISONS:
        for match in list(scanner.find_all(rf"(?:{words})\s*{_NUMBER}{_MEASURE}")):
            fallback = None if sign in ("==", "!=") else default
            column = _subject(match.start(), match.end(), mentions, fallback, scanner.text)
            if column is not None:
                scanner.take(match.start(), match.end())
                conditions.append(_comparison(column, sign, match[1]))
    for match in list(scanner.find_all(rf"{_NUMBER}{_MEASURE}(以上|以下)")):
        column = _subject(match.start(), match.end(), mentions, default, scanner.text)
        if column is not None:
            scanner.take(match.start(), match.end())
            conditions.append(_comparison(column, ">" if match[2] == "以上" else "<", match[1]))
    return conditions


def _comparison(column: Column, sign: str, value: str) -> str:
    operand = _operand(column)
    condition = f"{operand} {sign} {_text(value)}"
    # NULL is the smallest value of all and would pass every upper bound.
    return f"{condition} and isValid({operand})" if sign in ("<", "<=") else condition


def _subject(start: int, end: int, mentions: Sequence[Mention], default: Column | None, text: str) -> Column | None:
    before = [m for m in mentions if m.end <= start and m.column.is_numeric and start - m.end <= 12]
    if before and not re.search(r"[,，;；]|\b(?:by|per|of)\b", text[before[-1].end : start]):
        return before[-1].column
    after = re.match(r"\s*(?:of\s+|in\s+|的)?", text[end:])
    offset = end + (after.end() if after else 0)
    following = [m for m in mentions if offset <= m.start <= offset + 1 and m.column.is_numeric]
    return following[0].column if following else default


def _operand(column: Column) -> str:
    return f"({column.script})" if column.expression else column.name


def _text(value: str) -> str:
    amount = number(value.lstrip("-"))
    shown = str(int(amount)) if amount == int(amount) and "." not in value else repr(amount)
    return f"-{shown}" if value.startswith("-") else shown
