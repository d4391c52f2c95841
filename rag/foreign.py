"""Names of other tools (pandas, numpy, SQL, q, MATLAB, R, Excel) and the functions they lead to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.analysis import STOPWORDS

_TOOLS = """
pandas numpy np sql tsql mysql oracle postgres postgresql clickhouse hive duckdb sqlite kdb kx
matlab excel scipy sklearn statsmodels python talib polars spark pyspark flink kafka linux dplyr
influxdb timescaledb hadoop redis mongodb snowflake julia stata sas
"""
TOOLS = frozenset(_TOOLS.split())
_PREFIXES = TOOLS | frozenset(["q", "r", "pd", "df", "dataframe", "series", "str", "dt"])
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+")
# The languages q and R have one letter each; pd. and df. begin a call of pandas.
_LETTER = re.compile(r"(?<![\w.])(?:[qR](?![\w.])|(?:pd|df|np)\.\w)")
_COMMON = 2


@dataclass(frozen=True)
class ForeignName:
    words: tuple[str, ...]
    functions: tuple[str, ...]


class ForeignNames:
    """Looks for the names of other tools in a question."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        """`table` gives for each function the names it has elsewhere, perhaps with the tool's name: `pandas shift`."""
        functions: dict[tuple[str, ...], list[str]] = {}
        for function, names in table.items():
            for name in names:
                words = _words(name)
                if words and not all(len(word) < _COMMON for word in words):
                    functions.setdefault(words, []).append(function)
        self._by_first: dict[str, list[ForeignName]] = {}
        for words, found in functions.items():
            self._by_first.setdefault(words[0], []).append(ForeignName(words, tuple(dict.fromkeys(found))))

    def find(self, text: str) -> dict[str, float]:
        """Functions by how sure the match is, 0 to 1. Without the name of a tool only long or joined names count."""
        raw = _WORD.findall(text)
        words = [word.lower() for word in raw]
        with_tool = any(word in TOOLS for word in words) or bool(_LETTER.search(text))
        found: dict[str, float] = {}
        for start, word in enumerate(words):
            for name in self._by_first.get(word, ()):
                size = len(name.words)
                if tuple(words[start : start + size]) != name.words:
                    continue
                spelled = any("_" in part or part.isupper() for part in raw[start : start + size])
                if not with_tool and size == 1 and not spelled and word in STOPWORDS:
                    continue
                sure = 1.0 if with_tool else 0.6 if size > 1 or (spelled and len(word) > 2) else 0.15
                for function in name.functions:
                    found[function] = max(found.get(function, 0.0), sure * (1 + 0.2 * (size - 1)) / 1.2)
        return {function: min(sure, 1.0) for function, sure in found.items()}


def _words(name: str) -> tuple[str, ...]:
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[0] in _PREFIXES:
        words = words[1:]
    return tuple(words)
