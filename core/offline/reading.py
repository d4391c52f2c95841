"""The parts of a question: columns, aggregates, groups, limits, and the words that are left."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from core.offline.columns import Mention, concepts_of, find_mentions, name_parts
from core.offline.grouping import entity_at, find_entity, find_groups
from core.offline.leftovers import leftover_words
from core.offline.lexicon import ADJECTIVES, AGGREGATES, QUALIFIERS, UNIT_ADVERBS, UNITS, integer
from core.offline.patterns import (
    COUNT,
    DISTINCT,
    FALLING,
    JOINED,
    KINDS,
    NO_NAMES,
    RANGE,
    RAW_GROUP,
    RAW_NAME,
    ROWS,
    SHOW,
    SORTED,
    SPAN,
    SUPERLATIVE,
    TOP,
)
from core.offline.query import Aggregate, Group
from core.offline.scanner import Scanner
from core.offline.schema import Column, Table
from core.offline.unclear import UnclearError

_TERMS = "|".join(
    (*UNITS.values(), *UNIT_ADVERBS.values(), *AGGREGATES.values(), *(pattern for _, pattern in KINDS), SUPERLATIVE)
)


def _is_term(word: str) -> bool:
    """Whether a word has a meaning of its own to the rules."""
    return re.fullmatch(f"(?:{_TERMS})", word, re.IGNORECASE | re.ASCII) is not None


class Reading:
    """A text read against a table. What was understood is taken from the scanner."""

    def __init__(self, text: str, table: Table, chosen: Sequence[str]) -> None:
        self.scanner = Scanner(text)
        self.table = table
        self.chosen = [column for name in chosen if (column := table.column(name))]
        self.mentions = [self.resolved(mention) for mention in find_mentions(text, table)]
        self.notes: list[tuple[str, str]] = []

    def unused_words(self) -> list[str]:
        used = [*self.scanner.taken, *((mention.start, mention.end) for mention in self.mentions)]
        name = re.escape(self.table.name)
        patterns = [
            *(pattern for _, pattern in KINDS), *AGGREGATES.values(), *(item[0] for item in ADJECTIVES),
            *UNITS.values(), *UNIT_ADVERBS.values(), SPAN, RANGE, SORTED, TOP, ROWS, SHOW, COUNT, DISTINCT,
            SUPERLATIVE, FALLING, rf"(?<!\w){name}(?!\w)", rf"\b{name.removesuffix('s')}\b",
        ]  # fmt: skip
        if database := re.search(r"dfs://[^\"']+", self.table.reference):
            patterns += [re.escape(database[0]), r"\bloadTable\b"]
        return leftover_words(self.scanner.text, used, patterns)

    def resolved(self, mention: Mention) -> Mention:
        picked = [column for column in self.chosen if column in mention.columns]
        return replace(mention, columns=(picked[0],)) if picked else mention

    def raw_names(self) -> None:
        """Names written like columns that the table does not have: used as written, for the server to judge."""
        text = self.scanner.text
        known = {column.name.lower() for column in self.table.columns} | {self.table.name.lower()}
        for match in self.scanner.find_all(RAW_NAME):
            group = next(index for index in (1, 2, 3) if match[index])
            name = match[group]
            start, end = match.span(group)
            is_value = re.search(r"(?:\bis|\bin|=|为|是)\s*[\"'(\[]*$|[\"']$", text[:start], re.IGNORECASE | re.ASCII)
            if name.lower() in {*known, *NO_NAMES} or is_value or f"dfs://{name}" in text:
                continue
            self.mentions = [m for m in self.mentions if m.end <= start or end <= m.start]
            self.mentions.append(Mention(start, end, (Column(name, "DOUBLE"),)))
        for match in self.scanner.find_all(RAW_GROUP):
            start, end = match.span(1)
            is_known = any(m.start < end and start < m.end for m in self.mentions)
            if is_known or match[1].lower() in {*known, *NO_NAMES} or _is_term(match[1]):
                continue
            self.mentions.append(Mention(start, end, (Column(match[1], "SYMBOL"),)))
        self.mentions.sort(key=lambda mention: mention.start)

    def numeric_mentions(self) -> list[Mention]:
        return [
            self.unambiguous(mention)
            for mention in self.mentions
            if mention.column.is_numeric and self.scanner.is_free(mention.start, mention.end)
        ]

    def unambiguous(self, mention: Mention) -> Mention:
        if not mention.is_ambiguous:
            return mention
        names = [column.name for column in mention.columns]
        word = self.scanner.text[mention.start : mention.end]
        raise UnclearError(
            f'Which column do you mean by "{word}" in {self.table.name}?',
            f"“{word}”指的是表 {self.table.name} 的哪一列？",
            names,
        )

    def by_concept(self, *names: str) -> Column | None:
        for name in names:
            for column in self.table.measures:
                if any(concept.name == name for concept in concepts_of(column)):
                    return column
        return None

    def default_measure(self, *, required: bool = True) -> Column | None:
        """The numeric column that is meant when none is named: the only one, or the price."""
        measures = self.table.measures
        chosen = [column for column in self.chosen if column.is_numeric]
        column = chosen[0] if chosen else measures[0] if len(measures) == 1 else self.by_concept("price")
        if column is None and required:
            raise UnclearError(
                f"Which column of {self.table.name} do you mean?",
                f"您指的是表 {self.table.name} 的哪一列？",
                [measure.name for measure in measures],
            )
        return column

    def measure(self) -> Column:
        mentions = self.numeric_mentions()
        if mentions:
            return mentions[0].column
        column = self.default_measure()
        assert column is not None
        return column

    def text_mention(self) -> Column | None:
        for mention in self.mentions:
            if not mention.column.is_numeric and not mention.is_ambiguous and not mention.column.is_time:
                return mention.column
        return None

    def groups(self, top: re.Match[str] | None) -> tuple[list[Group], Group | None]:
        entity = find_entity(self.scanner, self.table, self.mentions)
        if entity is None and top is not None:
            position = re.compile(r"\s*(?:\w+est\s+|most\s+\w+\s+)?").match(self.scanner.text, top.end())
            entity = entity_at(self.scanner, position.end() if position else top.end(), self.table, self.mentions)
        groups = find_groups(self.scanner, self.table, self.mentions)
        if entity is not None and entity not in groups:
            groups.insert(0, entity)
        return groups, entity

    @staticmethod
    def limit(top: re.Match[str] | None) -> int | None:
        return integer(next(group for group in top.groups() if group)) if top else None

    def functions(self) -> list[tuple[int, int, str]]:
        """Aggregate words by place, without those that are part of a column's name."""
        taken = [(m.start, m.end) for m in self.mentions if self.is_qualified(m)]
        found = [
            (match.start(), match.end(), function)
            for function, pattern in AGGREGATES.items()
            for match in self.scanner.find_all(pattern)
            if not any(match.start() < end and start < match.end() for start, end in taken)
        ]
        return sorted(found)

    def is_qualified(self, mention: Mention) -> bool:
        return not mention.is_ambiguous and any(part in QUALIFIERS for part in name_parts(mention.column.name))

    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """Aggregates by place, each over the column named after it, else before it, else the default one."""
        functions = self.functions()
        mentions = self.numeric_mentions()
        result = []
        for index, (start, end, function) in enumerate(functions):
            until = functions[index + 1][0] if index + 1 < len(functions) else len(self.scanner.text)
            after = [m for m in mentions if m.start >= start and m.start < until]
            if after and self.near(self.scanner.text[end : after[0].start]):
                columns = [after[0].column]
                for earlier, later in itertools.pairwise(after):
                    if not re.fullmatch(JOINED, self.scanner.text[earlier.end : later.start]):
                        break
                    columns.append(later.column)
            else:
                before = [m for m in mentions if m.end <= start]
                following = [m for m in mentions if m.start >= end]
                if before or following:
                    columns = self._joined_before(before) if before else [following[0].column]
                else:
                    default = self.default_measure()
                    assert default is not None
                    columns = [default]
            result += [(start, Aggregate(function, column)) for column in columns]
        return result

    def _joined_before(self, mentions: Sequence[Mention]) -> list[Column]:
        """The last mention and those that `and` or `和` joins to it."""
        columns = [mentions[-1].column]
        for earlier, later in itertools.pairwise(reversed(mentions)):
            if not re.fullmatch(JOINED, self.scanner.text[later.end : earlier.start], re.IGNORECASE):
                break
            columns.insert(0, later.column)
        return columns

    @staticmethod
    def near(between: str) -> bool:
        return len(between) <= 24 and not re.search(r"\b(?:by|per|where|with|above|below)\b|[,，;；]", between)

    @staticmethod
    def is_additive(column: Column | None) -> bool:
        """Whether a group's amount of it is the sum over its rows."""
        if column is None:
            return False
        return column.name == "turnover" or any(c.name in ("volume", "precipitation") for c in concepts_of(column))
