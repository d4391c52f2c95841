"""Sections into chunks: a section that fits stays whole, a longer one is cut where its structure allows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from rag.documents import Chunk, Page, Section

MAX_TOKENS = 480
_CHARACTERS = 1_400


def chunks_of(page: Page, count_tokens: Callable[[str], int]) -> list[Chunk]:
    """Chunks in reading order; together they are the page's text, nothing twice."""
    chunks = []
    for section in page.sections:
        tokens = count_tokens(section.text)
        if tokens <= MAX_TOKENS:
            chunks.append(_chunk(section.headings, section.text, section.first_line, section.last_line, tokens))
        else:
            chunks.extend(_cut(section, count_tokens))
    return chunks


def _cut(section: Section, count_tokens: Callable[[str], int]) -> list[Chunk]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    dense = sum(1 for character in section.text if character >= "\u3400") * 2 > len(section.text)
    splitter = RecursiveCharacterTextSplitter(
        separators=["\n\n", "```\n", "\n", "。", "；", ". ", "; ", "，", ", ", " ", ""],
        keep_separator="end",
        chunk_size=_CHARACTERS // 3 if dense else _CHARACTERS,
        chunk_overlap=0,
        add_start_index=True,
        strip_whitespace=False,
    )
    chunks = []
    for document in splitter.create_documents([section.text]):
        text, start = document.page_content, int(document.metadata["start_index"])
        if text.strip():
            first = section.first_line + section.text.count("\n", 0, max(start, 0))
            last = min(section.last_line, first + text.rstrip("\n").count("\n"))
            chunks.append(_chunk(section.headings, text.strip("\n"), first, last, count_tokens(text)))
    return chunks


def _chunk(headings: tuple[str, ...], text: str, first: int, last: int, tokens: int) -> Chunk:
    return Chunk(headings, text, first, last, tokens, hashlib.sha256(text.encode()).hexdigest()[:32])
