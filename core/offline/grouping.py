"""What results are broken down by: columns and units of time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.offline.columns import Mention
from core.offline.lexicon import NUMBER, UNIT_ADVERBS, UNITS, integer
from core.offline.query import Group
from core.offline.scanner import Scanner
from core.offline.schema import Column, Table
from core.offline.unclear import UnableError

_UNIT = "(?:" + "|".join(f"(?P<{unit}>{pattern})" for unit, pattern in UNITS.items()) + r")(?!(?<=[a-z])[a-z])"
_BY = (
    r"(?:\b(?:grouped?\s+by|for\s+each|for\s+every|broken\s+down\s+by|by|per|each|every"
    r"|across)\s+(?:the\s+)?(?:each\s+)?"
    r"|按照?每?(?:一)?(?:个|只|支)?|每一?(?:个|只|支|种|台|家|座|笔)?|各个?(?:只|支)?|不同的?|逐|分(?=[^钟布析]))\s?"
)
_WHICH = r"(?:\b(?:which|what)\s+|哪一?(?:个|只|支|些|家|台|种|座)?\s?)"
_AND = re.compile(
    r"\s*(?:,|，|、|\band\b|和|与|以及|及)\s*(?:(?:by|per|each|按|每个?|各个?)\s?)?", re.IGNORECASE | re.ASCII
)
_SHORT = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}


def bucket(table: Table, unit: str, count: int = 1) -> Group:
    """Grouping by `count` units of the table's time column."""
    time = table.time
    if time is None or not time.has_date:
        raise UnableError(
            f"The table {table.name} has no column with dates to group by {unit}.",
            f"表 {table.name} 没有日期类型的列，无法按时间分组。",
        )
    name, type_ = time.name, time.base_type
    if unit in ("second", "minute", "hour"):
        if type_ in ("DATE", "MONTH") or (type_ == "DATEHOUR" and unit != "hour"):
            raise UnableError(
                f"The column {name} of {table.name} has the type {type_}: it cannot be split by {unit}.",
                f"表 {table.name} 的列 {name} 是 {type_} 类型，无法按更细的时间单位分组。",
            )
        letter = {"second": "s", "minute": "m", "hour": "H"}[unit]
        return Group(f"bar({name}, {count}{letter})", unit, True)
    if type_ == "MONTH" and unit in ("day", "week"):
        raise UnableError(f"The column {name} knows months only.", f"列 {name} 只有月份。")
    if unit == "day" and count == 1:
        return Group(name, name, True) if type_ == "DATE" else Group(f"date({name})", "date", True)
    day = name if type_ in ("DATE", "MONTH") else f"date({name})"
    if unit == "day":
        return Group(f"bar({day}, {count}d)", "day", True)
    if unit == "week" and count == 1:
        return Group(f"weekBegin({name})", "week", True)
    if unit == "week":
        return Group(f"bar({day}, {7 * count}d)", "week", True)
    if count > 1:
        raise UnableError(f"Groups of {count} {unit}s are not supported.", "不支持按多个月、季度或年合并分组。")
    if unit == "month":
        return Group(name, name, True) if type_ == "MONTH" else Group(f"month({name})", "month", True)
    if unit == "quarter":
        return Group(f"quarterBegin({name})", "quarter", True)
    return Group(f"year({name})", "year", True)


def by_column(column: Column) -> Group:
    return Group(column.name, column.name, column.is_time)


def find_groups(scanner: Scanner, table: Table, mentions: Sequence[Mention]) -> list[Group]:
    """Groups named by `by`, `per`, `每` and the like, or by an adverb such as `daily`; taken from the scanner."""
    groups: list[Group] = []
    for match in list(scanner.find_all(_BY)):
        position = match.end()
        while True:
            found = _group_at(scanner, position, table, mentions)
            if found is None:
                break
            group, end = found
            groups.append(group)
            scanner.take(match.start(), end)
            following = _AND.match(scanner.text, end)
            if following is None or following.end() == following.start():
                break
            position = following.end()
    for unit, pattern in UNIT_ADVERBS.items():
        if scanner.pop(pattern):
            groups.append(bucket(table, unit))
    return list(dict.fromkeys(groups))


def find_entity(scanner: Scanner, table: Table, mentions: Sequence[Mention]) -> Group | None:
    """What `which …` or `哪…` asks for, if it is something rows can be grouped by."""
    for match in scanner.find_all(_WHICH):
        found = _group_at(scanner, match.end(), table, mentions)
        if found is not None:
            scanner.take(match.start(), found[1])
            return found[0]
    for match in scanner.find_all(r"最(?:[高低大小多少热冷贵好差]|活跃|便宜)的(?!\d)"):
        found = _group_at(scanner, match.end(), table, mentions)
        if found is not None:
            scanner.take(match.end(), found[1])
            return found[0]
    return None


def entity_at(scanner: Scanner, position: int, table: Table, mentions: Sequence[Mention]) -> Group | None:
    """The group named by the noun at `position`."""
    found = _group_at(scanner, position, table, mentions)
    if found is None:
        return None
    scanner.take(position, found[1])
    return found[0]


def find_bar(scanner: Scanner, table: Table, *, adjective: bool = False) -> Group | None:
    """A bar length such as `5-minute`, `1h` or `5分钟`; as an `adjective` only what stands before a noun."""
    if adjective:
        match = scanner.pop(rf"({NUMBER})-{_UNIT}") or scanner.pop(rf"({NUMBER})个?{_UNIT}(?=的?(?:平均|总|最|成交))")
    else:
        match = scanner.pop(rf"({NUMBER})[- ]?(?:个)?{_UNIT}") or scanner.pop(r"\b(\d+)\s?(?P<short>s|m|min|h|d|w)\b")
    if match is None:
        return None
    return bucket(table, _unit_of(match), integer(match[1]))


def _group_at(scanner: Scanner, position: int, table: Table, mentions: Sequence[Mention]) -> tuple[Group, int] | None:
    unit = re.compile(rf"\s?(?P<count>{NUMBER})?[- ]?个?{_UNIT}", re.IGNORECASE | re.ASCII).match(
        scanner.text, position
    )
    for mention in mentions:
        if position <= mention.start <= position + 1 and scanner.is_free(mention.start, mention.end):
            if unit is not None and mention.column.is_time:
                break
            if not mention.column.is_numeric and not mention.is_ambiguous:
                return by_column(mention.column), mention.end
    if unit is not None:
        return bucket(table, _unit_of(unit), integer(unit["count"]) if unit["count"] else 1), unit.end()
    return None


def _unit_of(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups.get("short"):
        return _SHORT[groups["short"].lower()]
    return next(unit for unit in UNITS if groups.get(unit))
