"""Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.documents import Kind, Page, Section, language_of

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_FENCE = re.compile(r"\s*(```|~~~)")


def read_markdown(text: str, name: str, kind: Kind = "document", *, url: str = "", topic: str = "") -> Page:
    """One page; its sections follow the headings. The first heading of level one is the title."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    lines = text.split("\n")
    start, fence, title = 0, "", ""

    def close(end: int) -> None:
        if section := _section(tuple(heading for _, heading in path) or (name,), lines, start, end):
            sections.append(section)

    for number, line in enumerate(lines):
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[1] else fence or mark[1]
        match = None if fence else _HEADING.match(line.rstrip())
        if match is None:
            continue
        close(number)
        level, heading = len(match[1]), match[2].rstrip("#").rstrip() or match[2]
        title = title or (heading if level == 1 else "")
        path = [*(item for item in path if item[0] < level), (level, heading)]
        start = number + 1
    close(len(lines))
    return Page(topic or f"{kind}:{name}", title or name, language_of(text), kind, tuple(sections), url=url)


def read_text(text: str, name: str, kind: Kind = "document") -> Page:
    """One page of one section."""
    lines = text.split("\n")
    section = _section((name,), lines, 0, len(lines))
    return Page(f"{kind}:{name}", name, language_of(text), kind, (section,) if section else ())


def _section(headings: tuple[str, ...], lines: Sequence[str], start: int, end: int) -> Section | None:
    """Lines `start` up to but not including `end`, counted from 0, without the blank ones around them."""
    filled = [number for number in range(start, end) if lines[number].strip()]
    if not filled:
        return None
    first, last = filled[0], filled[-1]
    return Section(headings, "\n".join(lines[first : last + 1]), first + 1, last + 1)
