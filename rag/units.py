"""What is ranked: a function's page as a whole, of any other page each chunk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag.analysis import split_identifier
from rag.documents import Chunk, Kind, Language, Page
from rag.lexicon import paragraphs
from rag.store import StoredChunk, StoredPage
from rag.vocabulary import family_of, phrases_of

SUMMARY = 600
PASSAGE = 450

_CODE = re.compile(r"```.*?```", re.DOTALL)
_NOT_PROSE = re.compile(r"```.*?```|^\|.*$|<[^>]+>", re.DOTALL | re.MULTILINE)
_SYNTAX = ("syntax", "语法")
_EXAMPLES = ("example", "例")
_DETAILS = ("details", "详情")
_PAIRED = (("details", "详情"), ("parameters", "参数"), ("returns", "返回值"))


@dataclass(frozen=True)
class Unit:
    """`chunk` is 0 for a whole page. Units of one topic are one result."""

    topic: str
    page: int
    chunk: int
    language: Language
    kind: Kind


@dataclass(frozen=True)
class Passage:
    """A text for the encoder; `phrase` tells a way of asking from a piece of the page."""

    topic: str
    text: str
    phrase: bool
    language: Language


def units_of(pages: Iterable[StoredPage], chunks: Iterable[StoredChunk]) -> Iterator[tuple[Unit, Page, Chunk | None]]:
    by_page: dict[int, list[StoredChunk]] = {}
    for chunk in chunks:
        by_page.setdefault(chunk.page, []).append(chunk)
    for stored in pages:
        page = stored.page
        if page.kind == "function":
            yield Unit(page.topic, stored.id, 0, page.language, page.kind), page, None
            continue
        for place, item in enumerate(by_page.get(stored.id, ())):
            # Both languages of a guide have the same sections in the same order.
            guide = page.topic.removesuffix(f":{page.language}")
            topic = f"{guide}:{place}" if page.kind == "guide" else f"{stored.source}#{item.id}"
            yield Unit(topic, stored.id, item.id, page.language, page.kind), page, item.chunk


def fields(page: Page, chunk: Chunk | None) -> dict[str, str]:
    """A unit's text by the fields of the lexical index."""
    if chunk is not None:
        return {
            "phrases": chunk.headings[-1],
            "headings": " ".join(chunk.headings),
            "summary": chunk.text[:SUMMARY],
            "text": chunk.text[SUMMARY:],
        }
    own, family = phrases_of(page.function), family_of(page.function)
    asked = (*own.english, *family.english) if page.language == "en" else (*own.chinese, *family.chinese)
    summary, rest = _details(page)
    headings, examples = [], []
    for section in page.sections:
        heading = section.headings[-1].lower()
        if heading in _SYNTAX or heading in _DETAILS:
            continue
        if heading.startswith(_EXAMPLES):
            examples.append(section.text)
            continue
        if len(section.headings) > 2:
            headings.append(section.headings[-1])
        rest.append(_NOT_PROSE.sub("", section.text))
        examples.extend(_CODE.findall(section.text))
    return {
        "name": " ".join([page.function, page.function, *page.aliases]),
        "phrases": "; ".join([*asked, *own.foreign]),
        "signature": " ".join(page.signatures),
        "headings": " ".join(headings),
        "summary": summary,
        "text": "\n".join(rest),
        "examples": "\n".join(examples),
    }


def summary_of(page: Page) -> str:
    """The first sentences of what a function does."""
    return _details(page)[0]


def _details(page: Page) -> tuple[str, list[str]]:
    for section in page.sections:
        if section.headings[-1].lower() in _DETAILS:
            parts = _prose(section.text)
            return " ".join(parts[:2])[:SUMMARY], parts[1:]
    return "", []


def _prose(text: str) -> list[str]:
    return [part.strip() for part in _NOT_PROSE.sub("", text).split("\n\n") if part.strip()]


def passages(found: Sequence[tuple[Unit, Page, Chunk | None]], *, multilingual: bool) -> list[Passage]:
    """Texts for the encoder. One that knows English only gets nothing Chinese: questions are translated for it."""
    wanted: dict[Passage, None] = {}
    for unit, page, chunk in found:
        if page.language == "zh" and not multilingual and chunk is not None:
            continue
        if chunk is not None:
            text = f"{' > '.join(chunk.headings)}\n{chunk.text}"
            wanted[Passage(unit.topic, text, phrase=False, language=page.language)] = None
            if len(chunk.headings) > 1 or page.kind == "guide":
                wanted[Passage(unit.topic, chunk.headings[-1], phrase=True, language=page.language)] = None
            continue
        own = phrases_of(page.function)
        wanted.update((Passage(unit.topic, text, phrase=True, language="en"), None) for text in own.english)
        if multilingual:
            wanted.update((Passage(unit.topic, text, phrase=True, language="zh"), None) for text in own.chinese)
        if page.language == "en" or multilingual:
            name = " ".join(split_identifier(page.function))
            text = f"{name}: {summary_of(page)[:PASSAGE]}"
            wanted[Passage(unit.topic, text, phrase=False, language=page.language)] = None
    return list(wanted)


def parallel(pages: Iterable[Page]) -> Iterator[tuple[str, str]]:
    """Passages (English, Chinese) with the same meaning: paragraphs of a function's two pages, and its phrases."""
    by_function: dict[str, dict[Language, Page]] = {}
    guides: dict[str, dict[Language, Page]] = {}
    pages = list(pages)
    for page in pages:
        if page.kind == "guide":
            guides.setdefault(page.topic.removesuffix(f":{page.language}"), {})[page.language] = page
    for sides in guides.values():
        if len(sides) == 2:
            for left_section, right_section in zip(sides["en"].sections, sides["zh"].sections, strict=False):
                yield left_section.headings[-1], right_section.headings[-1]
                yield from paragraphs(_prose(left_section.text), _prose(right_section.text))
    for page in pages:
        if page.kind == "function":
            by_function.setdefault(page.function, {})[page.language] = page
    for function, sides in by_function.items():
        if len(sides) == 2:
            english = {section.headings[-1].lower(): section.text for section in sides["en"].sections}
            chinese = {section.headings[-1]: section.text for section in sides["zh"].sections}
            for left, right in _PAIRED:
                if left in english and right in chinese:
                    yield from paragraphs(_prose(english[left]), _prose(chinese[right]))
        for phrases, times in ((phrases_of(function), 2), (family_of(function), 1)):
            if phrases.english:
                yield from [("; ".join(phrases.english), "; ".join(phrases.chinese))] * times
