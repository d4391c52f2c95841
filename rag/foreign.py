"""Names of other tools (pandas, numpy, SQL, q, MATLAB, R, Excel, TA-Lib) and the functions they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.analysis import STOPWORDS

# Tools of one family have much the same names.
_FAMILIES: Mapping[str, str] = {
    "python": "pandas numpy np pd df dataframe series scipy sklearn statsmodels python polars spark pyspark julia",
    "sql": (
        "sql tsql mysql oracle postgres postgresql clickhouse hive duckdb sqlite influxdb timescaledb snowflake hadoop "
        "redis mongodb flink kafka"
    ),
    "q": "q kdb kx",
    "matlab": "matlab",
    "excel": "excel",
    "r": "r dplyr",
    "charts": "talib",
    "other": "linux stata sas",
}
_FAMILY = {tool: family for family, tools in _FAMILIES.items() for tool in tools.split()}
_CHINESE_TOOLS = {"通达信": "charts", "同花顺": "charts", "东方财富": "charts", "文华财经": "charts"}
# The language of one letter is recognised by how it stands in the sentence; a Series or a DataFrame may be anybody's.
TOOLS = frozenset(_FAMILY) - {"q", "r", "pd", "df", "dataframe", "series"}
_PREFIXES = frozenset([*_FAMILY, "str", "dt"])
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+")
# The languages q and R have one letter each; pd. and df. begin a call of pandas.
_LETTER = re.compile(r"(?<![\w.])(?:([qR])(?![\w.])|(?:pd|df|np)\.\w)")
_COMMON = 2
_OTHER_FAMILY = 0.3


@dataclass(frozen=True)
class ForeignName:
    """`families` are those that the table gives the name to; any, when it does not say."""

    words: tuple[str, ...]
    functions: tuple[str, ...]
    families: frozenset[str]


@dataclass(frozen=True)
class _Match:
    name: ForeignName
    start: int
    end: int
    written: tuple[str, ...]

    def inside(self, other: _Match) -> bool:
        return other.start <= self.start and self.end <= other.end and other.end - other.start > self.end - self.start


class ForeignNames:
    """Looks for the names of other tools in a question."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        """`table` gives for each function the names it has elsewhere, perhaps with the tool's name: `pandas shift`."""
        found: dict[tuple[tuple[str, ...], frozenset[str]], list[str]] = {}
        for function, names in table.items():
            for name in names:
                words, families = _words(name)
                if words and not all(len(word) < _COMMON for word in words):
                    found.setdefault((words, families), []).append(function)
        self._by_first: dict[str, list[ForeignName]] = {}
        for (words, families), functions in found.items():
            entry = ForeignName(words, tuple(dict.fromkeys(functions)), families)
            self._by_first.setdefault(words[0], []).append(entry)

    def find(self, text: str) -> dict[str, float]:
        """Functions by how sure the match is, 0 to 1. Without the name of a tool only long or joined names count."""
        raw = _WORD.findall(text)
        families = _families(text, raw)
        matches = list(self._matches(raw, range(len(raw))))
        # rolling(20).mean() is also a name without its number.
        places = [place for place, word in enumerate(raw) if not word.isdigit()]
        if len(places) < len(raw):
            matches += [
                match for match in self._matches(raw, places) if match.end - match.start > len(match.name.words)
            ]
        found: dict[str, float] = {}
        for match in matches:
            if any(match.inside(other) for other in matches):
                continue
            sure = _sure(match, families)
            for function in match.name.functions:
                found[function] = max(found.get(function, 0.0), sure)
        return {function: min(sure, 1.0) for function, sure in found.items() if sure}

    def _matches(self, raw: Sequence[str], places: Sequence[int]) -> Iterator[_Match]:
        words = [raw[place].lower() for place in places]
        for start, word in enumerate(words):
            for name in self._by_first.get(word, ()):
                size = len(name.words)
                if tuple(words[start : start + size]) == name.words:
                    span = places[start : start + size]
                    yield _Match(name, span[0], span[-1] + 1, tuple(raw[place] for place in span))


def _sure(match: _Match, families: frozenset[str]) -> float:
    size = len(match.name.words)
    spelled = any("_" in part or part.isupper() for part in match.written)
    if not families and size == 1 and not spelled and match.name.words[0] in STOPWORDS:
        return 0.0
    if families:
        sure = 1.0 if not match.name.families or match.name.families & families else _OTHER_FAMILY
    else:
        sure = 0.6 if size > 1 or (spelled and len(match.name.words[0]) > 2) else 0.15
    return sure * (1 + 0.2 * (size - 1)) / 1.2


def _families(text: str, words: Sequence[str]) -> frozenset[str]:
    """Families of the tools that a text names."""
    found = {_FAMILY[word.lower()] for word in words if word.lower() in TOOLS}
    found.update(family for tool, family in _CHINESE_TOOLS.items() if tool in text)
    for match in _LETTER.finditer(text):
        found.add(_FAMILY[match[1].lower()] if match[1] else "python")
    return frozenset(found)


def _words(name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    words = [word.lower() for word in _WORD.findall(name)]
    families = {family for tool, family in _CHINESE_TOOLS.items() if tool in name}
    while len(words) > 1 and words[0] in _PREFIXES:
        if words[0] in _FAMILY:
            families.add(_FAMILY[words[0]])
        words = words[1:]
    return tuple(words), frozenset(families)
