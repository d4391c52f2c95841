"""DolphinDB's function documentation as the npm package `dolphindb` carries it: docs.en.json and docs.zh.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInputError
from rag.documents import Language, Page, Section

_HEADING = re.compile(r"(#{3,6})\s+(.*)")
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_ALIAS_PAGE = re.compile(r"Alias for \\?\[([\w!:]+)|是 \\?\[([\w!:]+)\\?\][^\n]{0,120}的别名")
_ALIASES = re.compile(r"(?im)^.{0,20}?(?:alias(?:es)?\s*:|别名\s*[:：]|别名\s)\s*([^\n]+)")
_NAME = re.compile(r"[A-Za-z][\w!]*")


def is_function_docs(text: str) -> bool:
    return text.lstrip().startswith("{") and '"signatures"' in text[:4000] and '"markdown"' in text[:8000]


def read_function_docs(text: str, language: Language) -> list[Page]:
    """One page for each function. Lines count from the top of the function's own text.

    Raises InvalidInputError for text that is not of this form.
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"The function documentation is no JSON: {error}.", "Fetch it again.") from None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise InvalidInputError("The function documentation is not a table of functions.", "Fetch it again.")
    topics = _topics(entries)
    return [
        _page(name, entry, language, topics)
        for name, entry in entries.items()
        if isinstance(entry.get("markdown"), str)
    ]


def topic_of(function: str) -> str:
    return f"function:{function.lower()}"


def _topics(entries: Mapping[str, Any]) -> dict[str, str]:
    """The function under which each name is found: an alias leads to its function, `f!` to `f`."""
    targets: dict[str, str] = {}
    for name, entry in entries.items():
        head = str(entry.get("markdown", "")).split("####")[0]
        if (match := _ALIAS_PAGE.search(head)) and (match[1] or match[2]) in entries:
            targets[name] = match[1] or match[2]
    topics = {}
    for name in entries:
        target = targets.get(name, name)
        if target.endswith("!") and target[:-1] in entries:
            target = target[:-1]
        topics[name] = topic_of(targets.get(target, target))
    return topics


def _page(name: str, entry: Mapping[str, Any], language: Language, topics: Mapping[str, str]) -> Page:
    text = str(entry["markdown"])
    sections = _sections(name, text)
    signatures = tuple(
        str(signature["full"]) for signature in entry.get("signatures") or () if signature.get("full")
    ) or (name,)
    aliases = {other for other, topic in topics.items() if topic == topics[name] and other != name}
    for section in sections[:2]:
        if match := _ALIASES.search(section.text):
            aliases.update(found for found in _NAME.findall(_LINK.sub(r"\1", match[1]))[:3] if found != "X")
    aliases.discard(name)
    return Page(
        topic=topics[name],
        title=name,
        language=language,
        kind="function",
        sections=tuple(sections),
        url=str(entry.get("url") or ""),
        function=name,
        signatures=tuple(dict.fromkeys(signatures)),
        aliases=tuple(sorted(aliases)),
    )


def _sections(name: str, text: str) -> list[Section]:
    """Sections by heading, headings inside code fences left alone; links reduced to their text."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    lines = text.split("\n")
    start, fenced = 0, False

    def close(end: int) -> None:
        body = "\n".join(lines[start:end])
        if body.strip():
            headings = (name, *(heading for _, heading in path))
            sections.append(Section(headings, plain(_tables(body)).strip("\n"), start + 1, end))

    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            continue
        close(number)
        level, heading = len(match[1]), plain(match[2]).strip()
        path = [] if level == 3 else [*(item for item in path if item[0] < level), (level, heading)]
        start = number + 1
    close(len(lines))
    return sections


def _tables(text: str) -> str:
    """Tables of HTML in the text as tables of Markdown."""
    if "<table" not in text:
        return text
    from bs4 import BeautifulSoup

    def converted(match: re.Match[str]) -> str:
        rows = [
            [" ".join(cell.get_text(" ").split()).replace("|", "\\|") for cell in row.find_all(("th", "td"))]
            for row in BeautifulSoup(match[0], "lxml").find_all("tr")
        ]
        lines = [f"| {' | '.join(row)} |" for row in rows if row]
        lines[1:1] = [f"|{' --- |' * len(rows[0])}"] if lines else []
        return "\n".join(["", *lines, "", ""])

    return _TABLE.sub(converted, text)


def plain(text: str) -> str:
    """Links as their text, escaped brackets as brackets."""
    return re.sub(r"\\([\[\]()_*])", r"\1", _LINK.sub(r"\1", text))
