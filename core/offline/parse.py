"""From a question about a known table to a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from core.offline.columns import concepts_of, find_mentions, name_parts
from core.offline.conditions import Values, number_conditions, time_conditions, value_conditions
from core.offline.grouping import bucket, by_column, entity_at, find_bar
from core.offline.language import normalise
from core.offline.lexicon import ADJECTIVES, AGGREGATES, NUMBER, QUALIFIERS, integer
from core.offline.patterns import (
    COMPARED,
    COUNT,
    DISTINCT,
    FALLING,
    KINDS,
    RANGE,
    ROW_NOUN,
    ROWS,
    SHOW,
    SORTED,
    SPAN,
    SUPERLATIVE,
    TOP,
)
from core.offline.query import Aggregate, Group, Kind, Query
from core.offline.reading import Reading
from core.offline.schema import Column, Table
from core.offline.unclear import NotUnderstoodError, UnclearError


def parse_query(text: str, table: Table, *, chosen: Sequence[str] = ()) -> Query:
    """What the text asks of `table`; `chosen` are column names the user picked when asked.

    Raises UnclearError, UnableError or NotUnderstoodError.
    """
    return _Parse(normalise(text), table, chosen).query()


def parse_remark(text: str, table: Table, base: Query) -> Query:
    """What a remark on `base`, such as "use the median" or "only AAPL", changes; empty where it says nothing."""
    parse = _Parse(normalise(text), table, ())
    try:
        return parse.parts(base)
    except (NotUnderstoodError, UnclearError):
        return Query(table)


# Periods that only a calendar resolves: questions come with their dates unless the user does not want that.
RELATIVE = (
    r"\b(?:last|previous|this|next) (?:week|month|quarter|year)\b|(?:上|本|这|下)个?(?:周|星期|月|季度)|去年|今年|前年"
)


class _Parse(Reading):
    # -- the whole

    def query(self) -> Query:
        scanner, table = self.scanner, self.table
        self.raw_names()
        kind = next((kind for kind, pattern in KINDS if scanner.find(pattern)), None)
        query = Query(table, conditions=tuple(time_conditions(scanner, table)))
        if kind == "moving":
            query = self._window(query)
        values = value_conditions(scanner, table, self.mentions)
        if kind is None and (whole := self._span(query, values) or self._listing(query, values)):
            return self._noted(whole)
        rows = scanner.find(ROWS)
        top = None if rows else scanner.find(TOP)
        groups, entity = self.groups(top)
        if kind != "moving" and not any(group.is_time for group in groups):
            bar = find_bar(scanner, table, adjective=kind not in ("ohlc", "vwap"))
            groups += [bar] if bar is not None else []
        default = self.default_measure(required=False)
        numbers = number_conditions(scanner, self.mentions, default)
        conditions = (*query.conditions, *(value.condition for value in values), *numbers)
        query = replace(query, conditions=conditions, groups=tuple(groups))
        if kind is not None:
            query = self._special(kind, query, values)
        else:
            query = self._plain(query, values, entity, rows, top)
        return self._noted(query)

    def parts(self, base: Query) -> Query:
        """The parts of a query that the text mentions, whatever the kind of `base` is."""
        scanner, table = self.scanner, self.table
        window = (
            scanner.find(rf"({NUMBER})\s*[- ]?(?:rows?|points?|periods?|days?|行|日|天|个)")
            if base.kind == "moving"
            else None
        )
        conditions = time_conditions(scanner, table)
        values = value_conditions(scanner, table, self.mentions)
        top = scanner.find(TOP)
        groups, _ = self.groups(top)
        default = self.default_measure(required=False)
        if base.aggregates and base.aggregates[0].column is not None:
            default = base.aggregates[0].column
        numbers = number_conditions(scanner, self.mentions, default)
        functions = [(start, function) for start, _, function in self.functions()]
        columns = [m.column for m in self.numeric_mentions()]
        aggregates: list[Aggregate] = []
        if functions:
            aggregates = [Aggregate(function, columns[0] if columns else default) for _, function in functions]
        elif columns and base.aggregates:
            aggregates = [Aggregate(base.aggregates[0].function, column) for column in columns]
        limit = self.limit(top)
        return Query(
            table,
            window=integer(window[1]) if window else base.window,
            conditions=(*conditions, *(value.condition for value in values), *numbers),
            groups=tuple(groups),
            aggregates=tuple(aggregates),
            limit=limit,
        )

    def _noted(self, query: Query) -> Query:
        query = self._sorted(query)
        words = self.unused_words()
        if words:
            shown = ", ".join(f'"{word}"' for word in words)
            named = any(not word[0].isdigit() for word in words)
            unclear = named and not self.chosen and not self.numeric_mentions()
            if unclear and query.aggregates and query.aggregates[0].column:
                raise UnclearError(
                    f"Which column of {self.table.name} do you mean by {shown}?",
                    f"{shown} 指的是表 {self.table.name} 的哪一列？",
                    [measure.name for measure in self.table.measures],
                )
            self.notes.append((f"I made no use of {shown}", f"未能理解、因此没有使用：{shown}"))
        if relative := [match[0] for match in self.scanner.find_all(RELATIVE)]:
            shown = ", ".join(f'"{phrase}"' for phrase in relative)
            self.notes.append((f"I cannot tell which days {shown} means", f"无法确定 {shown} 指哪些日期，因此没有使用"))
        return replace(query, notes=tuple(self.notes))

    def _sorted(self, query: Query) -> Query:
        """With the order the text asks for in so many words, over a column of the result."""
        match = re.search(SORTED, self.scanner.text, re.IGNORECASE | re.ASCII)
        if match is None or query.kind not in ("rows", "aggregate", "vwap"):
            return query
        names = [group.alias for group in query.groups]
        found = find_mentions(match[1], self.table)
        columns = {mention.column.name for mention in found}
        names = [a.alias for a in query.aggregates if a.column and a.column.name in columns] or [
            name for name in [*names, *(c.name for c in self.table.columns if query.kind == "rows")] if name in columns
        ]
        if not names:
            return query
        ascending = (match[2] or "asc").lower() == "asc"
        return replace(query, order=names[0], descending=not ascending)

    # -- kinds with a form of their own

    def _special(self, kind: Kind, query: Query, values: Sequence[Values]) -> Query:
        table = self.table
        key = by_column(table.key) if table.key is not None else None
        by_time = [group for group in query.groups if group.is_time]
        by_key = [group for group in query.groups if not group.is_time] or ([key] if key else [])
        if kind == "vwap":
            price, volume = self.by_concept("price"), self.by_concept("volume")
            if price is None or volume is None:
                missing = [word for word, column in (("price", price), ("volume", volume)) if column is None]
                raise UnclearError(
                    f"VWAP needs a price and a volume column; {table.name} has no {' and no '.join(missing)} column. "
                    "Which table should I use?",
                    f"计算 VWAP 需要价格列和成交量列，表 {table.name} 没有。应该用哪张表？",
                )
            return self._ranked(replace(query, kind="vwap", columns=(price, volume)), "vwap")
        if kind == "ohlc":
            volume = self.by_concept("volume")
            price = self.measure()
            columns = (price,) if volume is None or volume == price else (price, volume)
            if not by_time:
                assumed = (
                    "minute" if table.time is not None and table.time.base_type not in ("DATE", "MONTH") else "month"
                )
                by_time = [bucket(table, assumed)]
                self.notes.append((f"no bar length was given, so one {assumed} was used", "未指定周期，采用默认周期"))
            return replace(query, kind="ohlc", columns=columns, groups=(*by_key, *by_time))
        if kind == "moving":
            return replace(query, kind="moving", columns=(self.measure(),), groups=tuple(by_key), limit=None)
        if kind == "drawdown":
            return replace(query, kind="drawdown", columns=(self.measure(),), groups=tuple(by_key))
        if kind == "correlation":
            return self._correlation(query, values)
        price = self.measure()
        superlative = self.scanner.find(SUPERLATIVE) is not None
        if by_time:
            query = replace(query, kind="returns", columns=(price,), groups=(*by_key, *by_time[:1]))
            if not superlative:
                return query
            limit = self.limit(self.scanner.find(TOP)) or 10
            return replace(query, order="return_rate", descending=not self.scanner.find(FALLING), limit=limit)
        query = replace(query, kind="total_return", columns=(price,), groups=tuple(by_key), order="return_rate")
        return replace(query, descending=not self.scanner.find(FALLING), limit=self.limit(self.scanner.find(TOP)))

    def _window(self, query: Query) -> Query:
        scanner = self.scanner
        unit = (
            r"[- ]?(?:rows?|records?|days?|periods?|points?|ticks?|minutes?|hours?|months?|weeks?|observations?|行"
            r"|日|天|条|个周期|期|个点|个月|周|月)?"
        )
        match = scanner.pop(
            rf"(?<=rolling )({NUMBER}){unit}|(?<=moving )({NUMBER}){unit}|"
            rf"({NUMBER}){unit}[- ]?(?=(?:simple\s+)?(?:moving|rolling|running)|移动|滚动|均线)|\bMA\s?(\d+)\b"
            rf"|\b(?:window(?:\s+size)?|over|last|past|previous)(?:\s+(?:of|the|is|=|last|past))*\s+({NUMBER}){unit}"
            rf"|(?:窗口|过去|最近|长度)(?:大小|为|是)*\s?({NUMBER}){unit}|({NUMBER}){unit}(?:的)?窗口"
        )
        if match is None:
            self.notes.append(("no window was given, so 20 rows were used", "未指定窗口，采用 20 行"))
            window = 20
        else:
            window = integer(next(group for group in match.groups() if group))
            if re.search(r"day|minute|hour|month|week|日|天|周|月", match[0], re.IGNORECASE | re.ASCII):
                self.notes.append(
                    (f"the window counts {window} rows, not time", f"窗口按 {window} 行计算，而不是按时间")
                )
        functions = [function for _, _, function in self.functions() if function not in ("first", "last")]
        return replace(query, window=max(window, 1), function=functions[0] if functions else "avg")

    def _correlation(self, query: Query, values: Sequence[Values]) -> Query:
        table = self.table
        columns = list(dict.fromkeys(mention.column for mention in self.numeric_mentions()))
        pair = next((value for value in values if len(value.values) == 2 and not value.excluded), None)
        if pair is not None and table.time is not None:
            price = columns[0] if columns else self.measure()
            rest = tuple(condition for condition in query.conditions if condition != pair.condition)
            return replace(
                query, kind="pair_correlation", columns=(price, pair.column, table.time), symbols=pair.values,
                conditions=rest, groups=(),
            )  # fmt: skip
        if len(columns) < 2:
            columns = columns + [column for column in self.chosen if column.is_numeric and column not in columns]
        if len(columns) < 2 and len(table.measures) == 2:
            columns = table.measures
        if len(columns) < 2:
            raise UnclearError(
                f"Between which two columns of {table.name} do you want the correlation?",
                f"要计算表 {table.name} 中哪两列的相关系数？",
                [measure.name for measure in table.measures],
            )
        return replace(query, kind="correlation", columns=tuple(columns[:2]))

    def _ranked(self, query: Query, alias: str) -> Query:
        top = self.scanner.find(TOP)
        if query.groups and (top or self.scanner.find(SUPERLATIVE)):
            falling = self.scanner.find(FALLING) is not None
            return replace(query, order=alias, descending=not falling, limit=self.limit(top))
        return query

    # -- rows, counts, aggregates

    def _plain(
        self,
        query: Query,
        values: Sequence[Values],
        entity: Group | None,
        rows: re.Match[str] | None,
        top: re.Match[str] | None,
    ) -> Query:
        scanner = self.scanner
        count = scanner.find(COUNT)
        adjective = next((item for item in ADJECTIVES if scanner.find(item[0])), None)
        superlative = scanner.find(SUPERLATIVE)
        falling = scanner.find(FALLING) is not None
        limit = self.limit(top)
        if rows is not None and not scanner.find(AGGREGATES["avg"]):
            word = next(group for group in (rows[1], rows[3], rows[5]) if group).lower()
            amount = rows[2] or rows[4] or rows[6]
            from_end = word in {"last", "latest", "newest", "most recent", "tail", "后", "最后", "最近", "最新", "末尾"}
            return replace(query, kind="rows", limit=integer(amount) if amount else 10, from_end=from_end, groups=())
        if entity is not None and not (top or superlative or adjective or count or self.functions()):
            column = self.table.column(entity.alias)
            if column is not None and column.is_text:
                return replace(query, kind="distinct", columns=(column,), groups=(), function="list")
        if scanner.find(RANGE) and not self.functions():
            column = self.measure()
            ends = (Aggregate("min", column), Aggregate("max", column))
            return replace(query, kind="aggregate", aggregates=ends)
        if count is not None:
            return self._counted(query, count, entity, limit, falling=falling, ranked=bool(top or superlative))
        if adjective is not None:
            return self._by_adjective(query, adjective, entity, limit)
        aggregates = self.aggregates() if self.functions() else []
        if top is not None and entity is None and not query.groups:
            plain = [a for _, a in aggregates if a.function not in ("max", "min")]
            if plain and self.table.key is not None:
                entity = by_column(self.table.key)
                query = replace(query, groups=(entity,))
        if entity is not None and (superlative or top):
            return self._entity_ranked(query, [a for _, a in aggregates], limit, falling=falling)
        if top is not None and not query.groups:
            column = self.measure()
            return replace(query, kind="rows", order=column.name, descending=not falling, limit=limit)
        if aggregates:
            return self._aggregated(query, values, [a for _, a in aggregates], limit, falling=falling)
        return self._without_aggregate(query, values, limit)

    def _span(self, query: Query, values: Sequence[Values]) -> Query | None:
        """`Date range`, `时间范围`: the first and the last moment."""
        time = self.table.time
        if time is None or not self.scanner.find(SPAN):
            return None
        conditions = (*query.conditions, *(value.condition for value in values))
        ends = (Aggregate("min", time), Aggregate("max", time))
        return replace(query, kind="aggregate", aggregates=ends, conditions=conditions)

    def _listing(self, query: Query, values: Sequence[Values]) -> Query | None:
        """`Distinct symbols`, `有哪些不同的股票`: what values a column has, or how many."""
        column = self.text_mention()
        if (
            column is None
            or not self.scanner.find(DISTINCT)
            or self.functions()
            or self.scanner.find(r"\b(?:by|per)\b")
        ):
            return None
        conditions = (*query.conditions, *(value.condition for value in values))
        function = "count" if self.scanner.find(COUNT) else "list"
        return replace(query, kind="distinct", columns=(column,), conditions=conditions, function=function)

    def _aggregated(
        self, query: Query, values: Sequence[Values], aggregates: list[Aggregate], limit: int | None, *, falling: bool
    ) -> Query:
        found = tuple(dict.fromkeys(aggregates))
        extremes = all(aggregate.function in ("max", "min") for aggregate in found)
        asked_when = re.match(
            r"\s*(?:when|on (?:which|what) da(?:y|te))\b|.*(?:什么时候|何时)", self.scanner.text, re.IGNORECASE
        )
        if asked_when and extremes and not query.groups and found[0].column is not None:
            descending = found[0].function == "max"
            return replace(query, kind="rows", order=found[0].column.name, descending=descending, limit=limit or 5)
        query = replace(query, kind="aggregate", aggregates=found)
        if limit is not None:
            return replace(query, order=found[0].alias, descending=not falling, limit=limit)
        # Several values side by side are a comparison.
        compared = [value.column for value in values if len(value.values) > 1 and not value.excluded]
        new = [by_column(column) for column in compared if column.name not in {group.alias for group in query.groups}]
        return replace(query, groups=(*new, *query.groups))

    def _counted(
        self,
        query: Query,
        count: re.Match[str],
        entity: Group | None,
        limit: int | None,
        *,
        falling: bool,
        ranked: bool,
    ) -> Query:
        text = self.scanner.text
        after = re.compile(
            r"\s*(?:of\s+)?(?:the\s+)?(?:distinct|different|unique|不同的?)?\s*[只个支种台家笔条行天次]?\s*"
        ).match(text, count.end())
        position = after.end() if after else count.end()
        noun = next((m for m in self.mentions if position <= m.start <= position + 1), None)
        days = re.compile(r"\s*days?\b|.{0,2}天", re.IGNORECASE | re.ASCII).match(text, count.end())
        if (days or count[0] == "天数") and self.table.time is not None:
            time = self.table.time
            if time.base_type == "DATE" and not query.groups:
                return replace(query, kind="distinct", columns=(time,), function="count")
        if noun is not None and noun.column.is_text and not ROW_NOUN.match(text, count.end()):
            groups = tuple(group for group in query.groups if group.alias != noun.column.name)
            if not groups and self.scanner.is_free(noun.start, noun.end):
                return replace(query, kind="distinct", columns=(noun.column,), function="count", groups=())
        if query.groups:
            query = replace(query, kind="aggregate", aggregates=(Aggregate("count"),))
            if ranked or entity is not None:
                query = replace(query, order="rows", descending=not falling, limit=limit)
            return query
        return replace(query, kind="count")

    def _by_adjective(
        self, query: Query, adjective: tuple[str, str, str, str], entity: Group | None, limit: int | None
    ) -> Query:
        _, concept, qualifier, function = adjective
        candidates = [c for c in self.table.measures if any(k.name == concept for k in concepts_of(c))]
        qualified = [c for c in candidates if qualifier in name_parts(c.name)] or candidates
        if not qualified:
            raise NotUnderstoodError(adjective[0])
        column = qualified[0]
        descending = qualifier == "max"
        match = self.scanner.find(adjective[0])
        if match is not None and entity is None and limit is None:
            gap = re.compile(r"\s*(?:的)?").match(self.scanner.text, match.end())
            position = gap.end() if gap else match.end()
            entity = entity_at(self.scanner, position, self.table, self.mentions)
            if entity is not None:
                query = replace(query, groups=(entity, *query.groups))
        if (
            entity is not None
            and entity.is_time
            and entity.alias not in (self.table.time.name if self.table.time else "", "date")
        ):
            function = "sum" if concept in ("precipitation", "volume") else "avg"
        if query.groups:
            if limit is None and entity is None:
                return replace(query, kind="aggregate", aggregates=(Aggregate(function, column),))
            aggregate = Aggregate(function, column)
            order = aggregate.alias
            return replace(
                query, kind="aggregate", aggregates=(aggregate,), order=order, descending=descending, limit=limit or 10
            )
        return replace(query, kind="rows", order=column.name, descending=descending, limit=limit or 5)

    def _entity_ranked(self, query: Query, aggregates: list[Aggregate], limit: int | None, *, falling: bool) -> Query:
        """`Which stock has the highest average price`: beside another aggregate, a superlative is the order."""
        measured = [a for a in aggregates if a.function not in ("max", "min")]
        if not measured and aggregates and not self.is_additive(aggregates[0].column):
            measured = aggregates[:1]
        if not measured:
            mentions = self.numeric_mentions()
            column = mentions[0].column if mentions else self.measure()
            function = "sum" if self.is_additive(column) else "min" if falling else "max"
            measured = [Aggregate(function, column)]
        order = measured[0].alias
        chosen = tuple(dict.fromkeys(measured))
        return replace(
            query, kind="aggregate", aggregates=chosen, order=order, descending=not falling, limit=limit or 10
        )

    def _without_aggregate(self, query: Query, values: Sequence[Values], limit: int | None) -> Query:
        mentions = self.numeric_mentions()
        if query.groups:
            if not mentions:
                if self.unused_words():
                    raise NotUnderstoodError(self.scanner.text)
                self.notes.append(("rows were counted, since no column was named", "没有指定列，因此统计行数"))
                return replace(query, kind="aggregate", aggregates=(Aggregate("count"),), limit=limit)
            column = mentions[0].column
            additive = self.is_additive(column)
            function = "sum" if additive else "avg"
            taken = ("the total", "总和") if additive else ("the average", "平均值")
            self.notes.append((f"{taken[0]} of {column.name} was taken", f"按 {column.name} 的{taken[1]}统计"))
            return replace(query, kind="aggregate", aggregates=(Aggregate(function, column),), limit=limit)
        for mention in mentions:
            word = self.scanner.text[mention.start : mention.end].lower()
            qualifier = next((name for name, words in QUALIFIERS.items() if word.startswith(words)), None)
            if qualifier is not None and self.is_qualified(mention) and word != mention.column.name.lower():
                return replace(query, kind="aggregate", aggregates=(Aggregate(qualifier, mention.column),))
        free = [m for m in self.mentions if self.scanner.is_free(m.start, m.end) and not m.is_ambiguous]
        tested = " ".join(query.conditions)
        wanted = tuple(dict.fromkeys(m.column for m in free if not re.search(rf"\b{m.column.name}\b", tested)))
        shown = self.scanner.find(SHOW) is not None
        compared = [value.column for value in values if len(value.values) > 1 and not value.excluded]
        if compared and not shown and self.scanner.find(COMPARED):
            column = self.measure()
            self.notes.append((f"the average of {column.name} was compared", f"比较的是 {column.name} 的平均值"))
            groups = tuple(by_column(item) for item in compared)
            return replace(query, kind="aggregate", aggregates=(Aggregate("avg", column),), groups=groups)
        if values or query.conditions or shown or wanted:
            numeric = [column for column in wanted if column.is_numeric]
            columns: tuple[Column, ...] = ()
            if numeric:
                keys = [c for c in (self.table.key, self.table.time) if c is not None]
                columns = tuple(dict.fromkeys([*keys, *wanted]))
            return replace(query, kind="rows", columns=columns, limit=limit or 10)
        if re.search(rf"(?<!\w){re.escape(self.table.name)}(?!\w)", self.scanner.text, re.IGNORECASE | re.ASCII):
            words = re.findall(r"[A-Za-z]\w*|[\u4e00-\u9fff]+", self.scanner.text)
            if len(words) <= 3:
                return replace(query, kind="rows", limit=10)
        raise NotUnderstoodError(self.scanner.text)
