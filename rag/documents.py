"""What a loader makes of a source: pages of sections, and the chunks that are cut from them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
Kind = Literal["function", "guide", "document", "script", "note"]
Progress = Callable[[str, int, int], None]
"""Called with a stage of the work, how much of it is done, and how much there is."""

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_LETTERS = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Section:
    """A run of text under one heading. Lines are 1-based and refer to the page's file, or to the page's own text."""

    headings: tuple[str, ...]
    text: str
    first_line: int
    last_line: int


@dataclass(frozen=True)
class Page:
    """One addressable text. Pages with the same `topic` say the same in two languages, or are aliases of each other."""

    topic: str
    title: str
    language: Language
    kind: Kind
    sections: tuple[Section, ...]
    url: str = ""
    function: str = ""
    signatures: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """A piece of a section, small enough to be quoted whole. `hash` is of its text."""

    headings: tuple[str, ...]
    text: str
    first_line: int
    last_line: int
    tokens: int
    hash: str


def language_of(text: str) -> Language:
    """zh when at least a tenth of the letters are Chinese."""
    sample = text[:4000]
    chinese = len(_CHINESE.findall(sample))
    return "zh" if chinese * 9 >= len(_LETTERS.findall(sample)) and chinese else "en"
