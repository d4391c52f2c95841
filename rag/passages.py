"""Results fitted into a token budget, numbered for citation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import TypedDict

from rag.documents import Chunk
from rag.searcher import Result, Searcher

NEIGHBOURS_OF = 3
_EXAMPLE_LINES = 12


class Passage(TypedDict):
    """One cited place. `text` is whole sections where the budget allows; `lines` are where the first of it stands."""

    number: int
    function: str
    signatures: list[str]
    title: str
    heading: str
    source: str
    url: str
    language: str
    lines: list[int]
    text: str
    tokens: int


def fit(
    results: Sequence[Result], searcher: Searcher, budget: int, count_tokens: Callable[[str], int]
) -> list[Passage]:
    """The best section of every result first, whole where possible; what is left goes to its neighbours on the page.

    No text is given twice. A result of which nothing fits is left out.
    """
    passages: list[Passage] = []
    taken: set[str] = set()
    left = budget
    chosen: list[tuple[Passage, Result, list[tuple[int, Chunk]], set[int]]] = []
    for result in results:
        chunks = searcher.chunks(result.page)
        best = next((chunk for number, chunk in chunks if number == result.chunk), None)
        if best is None or best.hash in taken:
            continue
        header = _header(result)
        whole = [(number, chunk) for number, chunk in chunks if chunk.headings == best.headings]
        cost = count_tokens(header) + sum(chunk.tokens for _, chunk in whole)
        if cost > left:
            whole = [(number, chunk) for number, chunk in whole if number == result.chunk]
            cost = count_tokens(header) + best.tokens
        if cost > left:
            continue
        left -= cost
        taken.update(chunk.hash for _, chunk in whole)
        passage = _passage(len(passages) + 1, result, whole[0][1], cost)
        passages.append(passage)
        chosen.append((passage, result, chunks, {number for number, _ in whole}))
    for passage, _result, chunks, used in chosen[:NEIGHBOURS_OF]:
        for number, chunk in chunks:
            if number not in used and chunk.hash not in taken and chunk.tokens <= left:
                left -= chunk.tokens
                passage["tokens"] += chunk.tokens
                taken.add(chunk.hash)
                used.add(number)
    for passage, _result, chunks, used in chosen:
        passage["text"] = _text(chunks, used)
    return passages


def _passage(number: int, result: Result, first: Chunk, tokens: int) -> Passage:
    return Passage(
        number=number,
        function=result.function,
        signatures=list(result.signatures) if result.function else [],
        title=result.title,
        heading=" > ".join(first.headings),
        source=result.source,
        url=result.url,
        language=result.language,
        lines=[first.first_line, first.last_line],
        text="",
        tokens=tokens,
    )


def _header(result: Result) -> str:
    return f"{' > '.join(result.headings)} {result.url} {' '.join(result.signatures)}"


def _text(chunks: Sequence[tuple[int, Chunk]], used: set[int]) -> str:
    """Chunks in reading order, each section under its heading as Markdown has it."""
    parts: list[str] = []
    heading = ""
    for number, chunk in chunks:
        if number in used:
            if chunk.headings[-1] != heading:
                heading = chunk.headings[-1]
                parts.append(f"## {heading}")
            parts.append(chunk.text)
    return "\n".join(parts)
