"""From a question about a known table to a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from core.offline.columns import Mention, concepts_of, find_mentions, name_parts
from core.offline.conditions import Values, number_conditions, time_conditions, value_conditions
from core.offline.grouping import bucket, by_column, entity_at, find_bar, find_entity, find_groups
from core.offline.language import normalise
from core.offline.leftovers import leftover_words
from core.offline.lexicon import ADJECTIVES, AGGREGATES, NUMBER, QUALIFIERS, UNIT_ADVERBS, UNITS, integer
from core.offline.query import Aggregate, Group, Kind, Query
from core.offline.scanner import Scanner
from core.offline.schema import Column, Table
from core.offline.unclear import NotUnderstoodError, UnclearError

_KINDS: tuple[tuple[Kind, str], ...] = (
    ("vwap", r"\bvwap\b|\bvolume[- ]weighted(?: average)?(?: price)?|成交量加权(?:平均)?(?:价格?)?|加权均价"),
    ("ohlc", r"\bohlc[v]?\b|\bcandle(?:stick)?s?\b|\bbars?\b|[Kk]\s?线|蜡烛图?"),
    (
        "moving",
        r"\b(?:moving|rolling|running)\b(?:[ -]window)?|\bSMA\b|\bMA(?=\s?\d)|移动|滚动|日?均线",
    ),
    ("drawdown", r"\b(?:max(?:imum)?\s+)?drawdowns?\b|最大回撤|回撤"),
    ("correlation", r"\bcorrelat\w*\b|相关(?:系数|性|关系)?"),
    (
        "total_return",
        r"\b(?:percent(?:age)?|pct)[ -]?changes?\b|\b(?:total |overall |cumulative |price )?returns?\b"
        r"|\b(?:gain(?:ed|s)?|rose|risen|fell|fallen|dropped|los[te]|perform(?:ed|ance|er|ers)?|grew|grown|growth)\b"
        r"|收益率?|回报率?|涨跌幅?|涨幅|跌幅|变化率|增长率?|上涨|下跌|[涨跌](?=得?最|了)",
    ),
)
_FALLING = r"\b(?:bottom|worst|lowest|smallest|least|fewest|fell|fallen|dropped|los[te]|cheapest|coldest)\b|最低|最小|最少|最差|跌|最冷"
_SUPERLATIVE = (
    r"\b(?:highest|largest|biggest|greatest|most|best|top|lowest|smallest|least|fewest|worst|max(?:imum)?|min(?:imum)?)\b"
    r"|最高|最大|最多|最低|最小|最少|最好|最差|最(?=[涨跌])"
)
_TOP = (
    rf"\b(?:top|best|bottom|worst|highest|largest|biggest|lowest|smallest|most)\s+({NUMBER})\b(?!\s*%)"
    rf"|\b({NUMBER})\s+(?=(?:most|best|worst|highest|largest|biggest|lowest|smallest|hottest|coldest|wettest|cheapest)\b)"
    rf"|(?:排名)?前\s?({NUMBER})\s?(?:大|名|位)?(?:的)?(?:个|只|支|天|种|台|家)?(?!\s?(?:行|条|笔))"
    rf"|(?<=[高低大小多少热冷贵好差])的?前?\s?({NUMBER})\s?(?:个|只|支|天|条|笔|行|种|台|位|家|大|次)"
)
_ROWS = (
    rf"\b(first|last|latest|newest|most recent|top|head|tail|show(?: me)?|sample|preview)\s+(?:the\s+)?(?:of\s+)?({NUMBER})?\s*"
    r"(?:rows?|records?|lines?|entries|observations)\b"
    rf"|\b(first|last|latest|newest|most recent)\s+({NUMBER})\b"
    rf"|(前|后|最后|最近|最新|末尾|开头)的?\s?({NUMBER})\s?(?:行|条|笔|个记录|条记录)"
)
_SHOW = r"\b(?:show|display|preview|head|peek|sample|look at|see)\b|显示|查看|看看|看一下|预览|展示|列出"
_COUNT = (
    r"\bhow many(?!\s+(?:percent))\b|\bcount(?:s|ing)?(?: of)?\b|\bnumber of\b|\brow ?counts?\b"
    r"|多少(?=行|条|笔|只|个|天|次|支|种|台|家)|[几](?=行|条|笔|只|个|天|次|支|种|台|家)|行数|条数|笔数|记录数|个数|天数|计数|总数"
)
_DISTINCT = r"\b(?:distinct|unique|different)\b|去重|(?:哪些|多少(?:只|个|种|支)?)不同的?|种类"
_ROW_NOUN = re.compile(r"\s*(?:of\s+)?(?:the\s+)?(?:rows?|records?|entries|行|条|笔)", re.IGNORECASE)
_RAW_NAME = (
    r"(?:\bcolumn\s+|\bfield\s+|列\s*|字段\s*)[\"'`]?([A-Za-z]\w*)[\"'`]?|[\"'`]?([A-Za-z]\w*)[\"'`]?\s*(?:\bcolumn\b|这?一?列|字段)"
    r"|(?<![\w/.:])([A-Za-z][A-Za-z0-9]*_\w+)\b"
)


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


class _Parse:
    def __init__(self, text: str, table: Table, chosen: Sequence[str]) -> None:
        self.scanner = Scanner(text)
        self.table = table
        self.chosen = [column for name in chosen if (column := table.column(name))]
        self.mentions = [self._resolved(mention) for mention in find_mentions(text, table)]
        self.notes: list[tuple[str, str]] = []

    # -- the whole

    def query(self) -> Query:
        scanner, table = self.scanner, self.table
        self._raw_names()
        kind = next((kind for kind, pattern in _KINDS if scanner.find(pattern)), None)
        query = Query(table, conditions=tuple(time_conditions(scanner, table)))
        if kind == "moving":
            query = self._window(query)
        values = value_conditions(scanner, table, self.mentions)
        if kind is None and (listing := self._listing(query, values)):
            return self._noted(listing)
        rows = scanner.find(_ROWS)
        top = None if rows else scanner.find(_TOP)
        groups, entity = self._groups(top)
        if kind == "ohlc" and not any(group.is_time for group in groups) and (bar := find_bar(scanner, table)):
            groups.append(bar)
        default = self._default_measure(required=False)
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
        top = scanner.find(_TOP)
        groups, _ = self._groups(top)
        default = self._default_measure(required=False)
        if base.aggregates and base.aggregates[0].column is not None:
            default = base.aggregates[0].column
        numbers = number_conditions(scanner, self.mentions, default)
        functions = [(start, function) for start, _, function in self._functions()]
        columns = [m.column for m in self._numeric_mentions()]
        aggregates: list[Aggregate] = []
        if functions:
            aggregates = [Aggregate(function, columns[0] if columns else default) for _, function in functions]
        elif columns and base.aggregates:
            aggregates = [Aggregate(base.aggregates[0].function, column) for column in columns]
        limit = self._limit(top)
        return Query(
            table,
            window=integer(window[1]) if window else base.window,
            conditions=(*conditions, *(value.condition for value in values), *numbers),
            groups=tuple(groups),
            aggregates=tuple(aggregates),
            limit=limit,
        )

    def _noted(self, query: Query) -> Query:
        used = [*self.scanner.taken, *((mention.start, mention.end) for mention in self.mentions)]
        patterns = [
            *(pattern for _, pattern in _KINDS), *AGGREGATES.values(), *(item[0] for item in ADJECTIVES), *UNITS.values(),
            *UNIT_ADVERBS.values(), _TOP, _ROWS, _SHOW, _COUNT, _DISTINCT, _SUPERLATIVE, _FALLING, NUMBER,
            rf"(?<!\w){re.escape(self.table.name)}(?!\w)", rf"\b{re.escape(self.table.name.removesuffix('s'))}\b",
        ]  # fmt: skip
        words = leftover_words(self.scanner.text, used, patterns)
        if words:
            shown = ", ".join(f'"{word}"' for word in words)
            self.notes.append((f"I made no use of {shown}", f"未能理解、因此没有使用：{shown}"))
        return replace(query, notes=tuple(self.notes))

    # -- columns

    def _resolved(self, mention: Mention) -> Mention:
        picked = [column for column in self.chosen if column in mention.columns]
        return replace(mention, columns=(picked[0],)) if picked else mention

    def _raw_names(self) -> None:
        """Names written like columns that the table does not have: used as written, for the server to judge."""
        known = {column.name.lower() for column in self.table.columns} | {self.table.name.lower()}
        for match in self.scanner.find_all(_RAW_NAME):
            group = next(index for index in (1, 2, 3) if match[index])
            name = match[group]
            if (
                name.lower() in known
                or f"dfs://{name}" in self.scanner.text
                or name.lower() in {"the", "a", "which", "each", "this"}
            ):
                continue
            start, end = match.span(group)
            self.mentions = [m for m in self.mentions if m.end <= start or end <= m.start]
            self.mentions.append(Mention(start, end, (Column(name, "DOUBLE"),)))
        self.mentions.sort(key=lambda mention: mention.start)

    def _numeric_mentions(self) -> list[Mention]:
        return [
            self._unambiguous(mention)
            for mention in self.mentions
            if mention.column.is_numeric and self.scanner.is_free(mention.start, mention.end)
        ]

    def _unambiguous(self, mention: Mention) -> Mention:
        if not mention.is_ambiguous:
            return mention
        names = [column.name for column in mention.columns]
        word = self.scanner.text[mention.start : mention.end]
        raise UnclearError(
            f'Which column do you mean by "{word}" in {self.table.name}?',
            f"“{word}”指的是表 {self.table.name} 的哪一列？",
            names,
        )

    def _by_concept(self, *names: str) -> Column | None:
        for name in names:
            for column in self.table.measures:
                if any(concept.name == name for concept in concepts_of(column)):
                    return column
        return None

    def _default_measure(self, *, required: bool = True) -> Column | None:
        """The numeric column that is meant when none is named: the only one, or the price."""
        measures = self.table.measures
        chosen = [column for column in self.chosen if column.is_numeric]
        column = chosen[0] if chosen else measures[0] if len(measures) == 1 else self._by_concept("price")
        if column is None and required:
            raise UnclearError(
                f"Which column of {self.table.name} do you mean?",
                f"您指的是表 {self.table.name} 的哪一列？",
                [measure.name for measure in measures],
            )
        return column

    def _measure(self) -> Column:
        mentions = self._numeric_mentions()
        if mentions:
            return mentions[0].column
        column = self._default_measure()
        assert column is not None
        return column

    # -- groups, order, limit

    def _groups(self, top: re.Match[str] | None) -> tuple[list[Group], Group | None]:
        entity = find_entity(self.scanner, self.table, self.mentions)
        if entity is None and top is not None:
            position = re.compile(r"\s*(?:\w+est\s+|most\s+\w+\s+)?").match(self.scanner.text, top.end())
            entity = entity_at(self.scanner, position.end() if position else top.end(), self.table, self.mentions)
        groups = find_groups(self.scanner, self.table, self.mentions)
        if entity is not None and entity not in groups:
            groups.insert(0, entity)
        return groups, entity

    @staticmethod
    def _limit(top: re.Match[str] | None) -> int | None:
        return integer(next(group for group in top.groups() if group)) if top else None

    def _functions(self) -> list[tuple[int, int, str]]:
        """Aggregate words by place, without those that are part of a column's name."""
        taken = [(m.start, m.end) for m in self.mentions if self._is_qualified(m)]
        found = [
            (match.start(), match.end(), function)
            for function, pattern in AGGREGATES.items()
            for match in self.scanner.find_all(pattern)
            if not any(match.start() < end and start < match.end() for start, end in taken)
        ]
        return sorted(found)

    def _is_qualified(self, mention: Mention) -> bool:
        return not mention.is_ambiguous and any(part in QUALIFIERS for part in name_parts(mention.column.name))

    def _aggregates(self) -> list[tuple[int, Aggregate]]:
        """Aggregates by place, each over the column named after it, else before it, else the default one."""
        functions = self._functions()
        mentions = self._numeric_mentions()
        result = []
        for index, (start, end, function) in enumerate(functions):
            until = functions[index + 1][0] if index + 1 < len(functions) else len(self.scanner.text)
            after = [m for m in mentions if m.start >= start and m.start < until]
            if after and self._near(self.scanner.text[end : after[0].start]):
                columns = [after[0].column]
                for earlier, later in zip(after, after[1:], strict=False):
                    if not re.fullmatch(
                        r"\s*(?:,|，|、|and|和|与|及)\s*(?:the\s+)?", self.scanner.text[earlier.end : later.start]
                    ):
                        break
                    columns.append(later.column)
            else:
                before = [m for m in mentions if m.end <= start]
                following = [m for m in mentions if m.start >= end]
                if before or following:
                    columns = [(before or following)[-1 if before else 0].column]
                else:
                    default = self._default_measure()
                    assert default is not None
                    columns = [default]
            result += [(start, Aggregate(function, column)) for column in columns]
        return result

    @staticmethod
    def _near(between: str) -> bool:
        return len(between) <= 24 and not re.search(r"\b(?:by|per|where|with|above|below)\b|[,，;；]", between)

    # -- kinds with a form of their own

    def _special(self, kind: Kind, query: Query, values: Sequence[Values]) -> Query:
        table = self.table
        key = by_column(table.key) if table.key is not None else None
        by_time = [group for group in query.groups if group.is_time]
        by_key = [group for group in query.groups if not group.is_time] or ([key] if key else [])
        if kind == "vwap":
            price, volume = self._by_concept("price"), self._by_concept("volume")
            if price is None or volume is None:
                missing = [word for word, column in (("price", price), ("volume", volume)) if column is None]
                raise UnclearError(
                    f"VWAP needs a price and a volume column; {table.name} has no {' and no '.join(missing)} column. "
                    "Which table should I use?",
                    f"计算 VWAP 需要价格列和成交量列，表 {table.name} 没有。应该用哪张表？",
                )
            return self._ranked(replace(query, kind="vwap", columns=(price, volume)), "vwap")
        if kind == "ohlc":
            volume = self._by_concept("volume")
            price = self._measure()
            columns = (price,) if volume is None or volume == price else (price, volume)
            if not by_time:
                assumed = (
                    "minute" if table.time is not None and table.time.base_type not in ("DATE", "MONTH") else "month"
                )
                by_time = [bucket(table, assumed)]
                self.notes.append((f"no bar length was given, so one {assumed} was used", "未指定周期，采用默认周期"))
            return replace(query, kind="ohlc", columns=columns, groups=(*by_key, *by_time))
        if kind == "moving":
            return replace(query, kind="moving", columns=(self._measure(),), groups=tuple(by_key), limit=None)
        if kind == "drawdown":
            return replace(query, kind="drawdown", columns=(self._measure(),), groups=tuple(by_key))
        if kind == "correlation":
            return self._correlation(query, values)
        price = self._measure()
        superlative = self.scanner.find(_SUPERLATIVE) is not None
        if by_time and not superlative:
            return replace(query, kind="returns", columns=(price,), groups=(*by_key, *by_time))
        if by_time:
            raise UnclearError(
                "Ranking the returns of periods is beyond the offline rules. Shall I list the returns of every period?",
                "离线规则不支持对各周期收益率排名。要列出每个周期的收益率吗？",
            )
        query = replace(query, kind="total_return", columns=(price,), groups=tuple(by_key), order="return_rate")
        return replace(query, descending=not self.scanner.find(_FALLING), limit=self._limit(self.scanner.find(_TOP)))

    def _window(self, query: Query) -> Query:
        scanner = self.scanner
        unit = r"[- ]?(?:rows?|records?|days?|periods?|points?|ticks?|minutes?|hours?|months?|weeks?|observations?|行|日|天|条|个周期|期|个点|个月|周|月)?"
        match = scanner.pop(
            rf"({NUMBER}){unit}[- ]?(?=(?:simple\s+)?(?:moving|rolling|running)|移动|滚动|均线)|\bMA\s?(\d+)\b"
            rf"|\b(?:window(?:\s+size)?|over|last|past|previous)(?:\s+(?:of|the|is|=|last|past))*\s+({NUMBER}){unit}"
            rf"|(?:窗口|过去|最近|长度)(?:大小|为|是)*\s?({NUMBER}){unit}|({NUMBER}){unit}(?:的)?窗口"
        )
        if match is None:
            self.notes.append(("no window was given, so 20 rows were used", "未指定窗口，采用 20 行"))
            window = 20
        else:
            window = integer(next(group for group in match.groups() if group))
            if re.search(r"day|minute|hour|month|week|日|天|周|月", match[0], re.IGNORECASE):
                self.notes.append(
                    (f"the window counts {window} rows, not time", f"窗口按 {window} 行计算，而不是按时间")
                )
        functions = [function for _, _, function in self._functions() if function not in ("first", "last")]
        return replace(query, window=max(window, 1), function=functions[0] if functions else "avg")

    def _correlation(self, query: Query, values: Sequence[Values]) -> Query:
        table = self.table
        columns = list(dict.fromkeys(mention.column for mention in self._numeric_mentions()))
        pair = next((value for value in values if len(value.values) == 2 and not value.excluded), None)
        if pair is not None and table.time is not None:
            price = columns[0] if columns else self._measure()
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
        top = self.scanner.find(_TOP)
        if query.groups and (top or self.scanner.find(_SUPERLATIVE)):
            falling = self.scanner.find(_FALLING) is not None
            return replace(query, order=alias, descending=not falling, limit=self._limit(top))
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
        count = scanner.find(_COUNT)
        adjective = next((item for item in ADJECTIVES if scanner.find(item[0])), None)
        superlative = scanner.find(_SUPERLATIVE)
        falling = scanner.find(_FALLING) is not None
        limit = self._limit(top)
        if rows is not None and not scanner.find(AGGREGATES["avg"]):
            word = next(group for group in (rows[1], rows[3], rows[5]) if group).lower()
            amount = rows[2] or rows[4] or rows[6]
            from_end = word in {"last", "latest", "newest", "most recent", "tail", "后", "最后", "最近", "最新", "末尾"}
            return replace(query, kind="rows", limit=integer(amount) if amount else 10, from_end=from_end, groups=())
        distinct = scanner.find(_DISTINCT)
        if (distinct or entity is not None) and not top and not superlative and not adjective and not query.aggregates:
            column = self._text_mention() or (self.table.column(entity.alias) if entity else None)
            if column is not None and not self._functions():
                return replace(
                    query, kind="distinct", columns=(column,), groups=(), function="count" if count else "list"
                )
        if count is not None:
            return self._counted(query, count, entity, limit, falling=falling, ranked=bool(top or superlative))
        if adjective is not None:
            return self._by_adjective(query, adjective, entity, limit)
        aggregates = self._aggregates() if self._functions() else []
        if top is not None and entity is None and not query.groups:
            plain = [a for _, a in aggregates if a.function not in ("max", "min")]
            if plain and self.table.key is not None:
                entity = by_column(self.table.key)
                query = replace(query, groups=(entity,))
        if entity is not None and (superlative or top):
            return self._entity_ranked(query, [a for _, a in aggregates], limit, falling=falling)
        if top is not None and not query.groups:
            column = self._measure()
            return replace(query, kind="rows", order=column.name, descending=not falling, limit=limit)
        if aggregates:
            found = tuple(dict.fromkeys(aggregate for _, aggregate in aggregates))
            query = replace(query, kind="aggregate", aggregates=found)
            if top is not None:
                query = replace(query, order=found[0].alias, descending=not falling, limit=limit)
            return query
        return self._without_aggregate(query, values, limit, falling=falling)

    def _listing(self, query: Query, values: Sequence[Values]) -> Query | None:
        """`Distinct symbols`, `有哪些不同的股票`: what values a column has, or how many."""
        column = self._text_mention()
        if (
            column is None
            or not self.scanner.find(_DISTINCT)
            or self._functions()
            or self.scanner.find(r"\b(?:by|per)\b")
        ):
            return None
        conditions = (*query.conditions, *(value.condition for value in values))
        function = "count" if self.scanner.find(_COUNT) else "list"
        return replace(query, kind="distinct", columns=(column,), conditions=conditions, function=function)

    def _text_mention(self) -> Column | None:
        for mention in self.mentions:
            if not mention.column.is_numeric and not mention.is_ambiguous and not mention.column.is_time:
                return mention.column
        return None

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
        if re.compile(r"\s*days?\b|.{0,2}天", re.IGNORECASE).match(text, count.end()) and self.table.time is not None:
            time = self.table.time
            if time.base_type == "DATE" and not query.groups:
                return replace(query, kind="distinct", columns=(time,), function="count")
        if noun is not None and noun.column.is_text and not _ROW_NOUN.match(text, count.end()):
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
        if match is not None and entity is None:
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
        """`Which stock has the highest average price`: with another aggregate, a superlative gives the direction only."""
        measured = [a for a in aggregates if a.function not in ("max", "min")] or aggregates[:1]
        if not measured:
            mentions = self._numeric_mentions()
            column = mentions[0].column if mentions else self._measure()
            additive = any(concept.name in ("volume", "precipitation") for concept in concepts_of(column))
            measured = [
                Aggregate("sum" if additive or column.name == "turnover" else "min" if falling else "max", column)
            ]
        order = measured[0].alias
        chosen = tuple(dict.fromkeys(measured))
        return replace(
            query, kind="aggregate", aggregates=chosen, order=order, descending=not falling, limit=limit or 10
        )

    def _without_aggregate(self, query: Query, values: Sequence[Values], limit: int | None, *, falling: bool) -> Query:
        mentions = self._numeric_mentions()
        if query.groups:
            column = mentions[0].column if mentions else self._measure()
            additive = column.name == "turnover" or any(
                c.name in ("volume", "precipitation") for c in concepts_of(column)
            )
            function = "sum" if additive else "avg"
            words = ("the total", "总和") if additive else ("the average", "平均值")
            self.notes.append((f"{words[0]} of {column.name} was taken", f"按 {column.name} 的{words[1]}统计"))
            return replace(query, kind="aggregate", aggregates=(Aggregate(function, column),), limit=limit)
        for mention in mentions:
            word = self.scanner.text[mention.start : mention.end].lower()
            function = next((name for name, words in QUALIFIERS.items() if word.startswith(words)), None)
            if function is not None and self._is_qualified(mention) and word != mention.column.name.lower():
                return replace(query, kind="aggregate", aggregates=(Aggregate(function, mention.column),))
        free = [m for m in self.mentions if self.scanner.is_free(m.start, m.end) and not m.is_ambiguous]
        tested = " ".join(query.conditions)
        wanted = tuple(dict.fromkeys(m.column for m in free if not re.search(rf"\b{m.column.name}\b", tested)))
        shown = self.scanner.find(_SHOW) is not None
        if values or query.conditions or shown or wanted:
            numeric = [column for column in wanted if column.is_numeric]
            columns: tuple[Column, ...] = ()
            if numeric:
                keys = [c for c in (self.table.key, self.table.time) if c is not None]
                columns = tuple(dict.fromkeys([*keys, *wanted]))
            return replace(query, kind="rows", columns=columns, limit=limit or 10)
        if re.search(rf"(?<!\w){re.escape(self.table.name)}(?!\w)", self.scanner.text, re.IGNORECASE):
            words = re.findall(r"[A-Za-z]\w*|[\u4e00-\u9fff]+", self.scanner.text)
            if len(words) <= 3:
                return replace(query, kind="rows", limit=10)
        raise NotUnderstoodError(self.scanner.text)
