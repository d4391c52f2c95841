"""DolphinDB scripts: each function with its comment, from the syntax tree."""

from __future__ import annotations

from dolphin.script.symbols import symbols
from rag.documents import Page, Section, language_of


def read_script(text: str, name: str) -> Page:
    """One section for each function, and one for what stands outside of them."""
    found = symbols(text)
    module = found.module or name
    lines = text.split("\n")
    sections: list[Section] = []
    covered: set[int] = set()
    for symbol in found.functions:
        if any(line in covered for line in range(symbol.line, symbol.end_line + 1)):
            continue
        first = _first_line(lines, symbol.line) if symbol.comment else symbol.line
        covered.update(range(first, symbol.end_line + 1))
        code = "\n".join(lines[symbol.line - 1 : symbol.end_line])
        described = f"{symbol.comment}\n\n" if symbol.comment else ""
        body = f"{described}{symbol.signature}\n\n{code}"
        sections.append(Section((module, symbol.name), body, first, symbol.end_line))
    outside = [number for number, line in enumerate(lines, 1) if number not in covered and line.strip()]
    if outside:
        body = "\n".join(lines[number - 1] for number in outside)
        sections.insert(0, Section((module,), body, outside[0], outside[-1]))
    return Page(
        f"script:{name}",
        module,
        language_of(text),
        "script",
        tuple(sections),
        signatures=tuple(symbol.signature for symbol in found.functions),
    )


def _first_line(lines: list[str], line: int) -> int:
    """Where the comment above a definition begins."""
    while line > 1 and lines[line - 2].lstrip().startswith(("//", "/*", "*", "@")):
        line -= 1
    return line
