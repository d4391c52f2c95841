"""Rules on the text itself: other dialects' habits, most of which do not even parse."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolphin.script.lint.finding import Finding, span_at

_PIECES = re.compile(
    r"""(?P<line>//[^\n]*) | (?P<block>/\*[\s\S]*?\*/) | (?P<double>_?"(?:[^"\\]|\\[\s\S])*")
      | (?P<single>'(?:[^'\\\n]|\\.)*') | (?P<dashes>(?<![^\s;])--(?=[\s\w])[^\n]*)
      | (?P<quoted>`[A-Za-z_][\w ]*`(?!\w)) | (?P<spaced>(?:`\w+)+(?:[ ]+`\w+)+) | (?P<backtick>(?:`\w*)+)
      | (?P<test>\b(?:if|while)\s*\(\s*[\w.\[\]]+\s*(?P<sign>=)(?!=)) | (?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE,
)
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T](\d{1,2}:\d{2}:\d{2}(?:\.\d+)?))?")
_PARSERS = re.compile(
    r"(?:[pP]arse|date|time|timestamp|month|format|Format|string|symbol|like)\w*\s*\(\s*(?:[\w.]+\s*,\s*)?$"
)
_COMPARES = re.compile(r"(?:[=<>]|\bbetween|\band|\bin\s*\(|\bin|,|:)\s*$", re.IGNORECASE)
_QUERY_WORDS = frozenset({"select", "exec", "from", "where", "having", "csort"})
_BEFORE_BY = frozenset({"group", "order", "context", "pivot", "cgroup", "partition"})
_AFTER_FROM = re.compile(r"\b(?:select|exec|update|delete|insert)\b", re.IGNORECASE)


def text_findings(text: str) -> Iterator[Finding]:
    in_query = _AFTER_FROM.search(text) is not None
    for match in _PIECES.finditer(text):
        kind = match.lastgroup if match.lastgroup != "sign" else "test"
        start, end, piece = match.start(), match.end(), match[0]
        if kind == "dashes":
            message = "-- does not begin a comment; // does"
            yield Finding("sql-comment", message, span_at(text, start, end), f"//{piece[2:]}", True, "error")
        elif kind in ("single", "double"):
            finding = _quoted_date(text, start, end, piece)
            if finding:
                yield finding
        elif kind == "quoted" and in_query:
            name = piece[1:-1]
            fix = name if name.isidentifier() else f'_"{name}"'
            message = 'backticks make strings: a column is its plain name, or _"…" when that has other characters'
            yield Finding("quoted-column", message, span_at(text, start, end), fix, True, "error")
        elif kind == "spaced":
            message = "a vector of backtick strings is written without spaces"
            fix = re.sub(r" +", "", piece)
            yield Finding("backtick-space", message, span_at(text, start, end), fix, True, "warning")
        elif kind == "test":
            sign = match.start("sign")
            message = "= assigns; == compares outside of queries"
            yield Finding("equals", message, span_at(text, sign, sign + 1), "==", True, "error")
        elif kind == "word" and in_query and not piece.islower() and not piece.isupper():
            yield from _keyword_case(text, start, end, piece.lower())


def _quoted_date(text: str, start: int, end: int, piece: str) -> Finding | None:
    match = _DATE.fullmatch(piece[1:-1])
    before = text[max(0, start - 80) : start]
    if match is None or _PARSERS.search(before) or (piece[0] == '"' and not _COMPARES.search(before)):
        return None
    if piece[0] == '"' and before.rstrip().endswith(",") and "(" in before.rsplit("\n", 1)[-1]:
        return None
    year, month, day, clock = match.groups()
    fix = f"{year}.{int(month):02d}.{int(day):02d}" + (f"T{clock}" if clock else "")
    message = "a date is written without quotes, with dots"
    return Finding("quoted-date", message, span_at(text, start, end), fix, True, "error")


def _keyword_case(text: str, start: int, end: int, word: str) -> Iterator[Finding]:
    following = re.match(r"\s+([A-Za-z]+)", text[end : end + 40])
    next_word = following[1].lower() if following else ""
    previous = re.search(r"([A-Za-z]+)\s+$", text[max(0, start - 40) : start])
    previous_word = previous[1].lower() if previous else ""
    is_keyword = (
        (word in _QUERY_WORDS and following is not None)
        or (word in _QUERY_WORDS and re.match(r"\s+[*_\"(\[]", text[end : end + 3]) is not None)
        or (word in _BEFORE_BY and next_word == "by")
        or (word == "by" and previous_word in _BEFORE_BY)
        or (word in ("update", "delete", "insert") and next_word in ("from", "into"))
        or (word == "into" and previous_word == "insert")
        or (word in ("inner", "left", "right", "full", "cross") and next_word == "join")
        or (word == "join" and previous_word in ("inner", "left", "right", "full", "cross"))
    )
    if is_keyword:
        message = "keywords are written all in lower or all in upper case"
        yield Finding("keyword-case", message, span_at(text, start, end), word, True, "error")
