"""Markdown and plain text."""

from __future__ import annotations

import re

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
        body = "\n".join(lines[start:end])
        if body.strip():
            headings = tuple(heading for _, heading in path) or (name,)
            sections.append(Section(headings, body.strip("\n"), start + 1, end))

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
    sections = (Section((name,), text.strip("\n"), 1, len(lines)),) if text.strip() else ()
    return Page(f"{kind}:{name}", name, language_of(text), kind, sections)
