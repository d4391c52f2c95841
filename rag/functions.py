"""Functions by name: exact documentation, signatures, and suggestions for names that are not DolphinDB's."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from rag.analysis import split_identifier
from rag.documents import Language, Page
from rag.searcher import Searcher
from rag.units import summary_of

SUGGESTIONS = 5
_TOOLS = ("pandas", "SQL", "q", "MATLAB", "Excel", "R", "通达信")
# Below, what has a like meaning is no better than a guess.
CONFIDENT = 0.5


@dataclass(frozen=True)
class Lookup:
    """`page` is None when there is no such function; then `suggestions` are functions it may stand for."""

    name: str
    page: Page | None
    source: str = ""
    suggestions: tuple[str, ...] = ()


def lookup(searcher: Searcher, name: str, language: Language = "en") -> Lookup:
    """The page of a function: exactly by name or alias, else in letters of another case."""
    cleaned = name.strip().strip("`").removesuffix("()").strip()
    found = searcher.page(cleaned, language)
    if found is not None:
        return Lookup(cleaned, found[0], found[1])
    return Lookup(cleaned, None, suggestions=tuple(suggest(searcher, cleaned)))


def suggest(searcher: Searcher, name: str) -> list[str]:
    """Functions for a misspelt or foreign name, likeliest first: other tools' names, like names, like meanings."""
    last = name.split(".")[-1]
    found: dict[str, None] = {}
    for text in (*(f"{tool} {last}" for tool in _TOOLS), name):
        ranked = sorted(searcher.foreign(text).items(), key=lambda item: -item[1])
        found.update((searcher.canonical(function), None) for function, sure in ranked if sure >= 0.5)
    elsewhere = bool(found)
    if (meant := searcher.misspelt(last)) is not None:
        found[searcher.canonical(meant)] = None
    by_lower = {known.lower(): known for known in searcher.functions()}
    near = get_close_matches(last.lower(), by_lower, n=3, cutoff=0.78)
    found.update((searcher.canonical(by_lower[match]), None) for match in near)
    # A name of another tool is known for what it is: what merely looks or sounds like it adds nothing.
    if not elsewhere and len(found) < SUGGESTIONS:
        words = " ".join(split_identifier(last)) or last
        alike = searcher.find(words, SUGGESTIONS, kinds=("function",))
        if not found or alike.confidence >= CONFIDENT:
            found.update((result.function, None) for result in alike.results)
    return list(found)[:SUGGESTIONS]


def signature_line(page: Page) -> str:
    """The signature and, in a few words, what the function does."""
    summary = summary_of(page).replace("\n", " ")
    first = summary.split("。")[0] if page.language == "zh" else summary.split(". ")[0]
    return f"{'; '.join(page.signatures)} - {first.strip().rstrip('.')[:160]}"
