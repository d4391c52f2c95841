"""The field's own words for what functions do, in English and Chinese, and what other tools call them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILES = ("series.txt", "data.txt", "system.txt", "further.txt", "symptoms.txt")
_DERIVED_FROM = 2
_SEPARATOR = re.compile(r"\s\|(?:\s+|$)")


@dataclass(frozen=True)
class Phrases:
    """How one function is asked for. `foreign` are names in pandas, numpy, SQL, q, MATLAB, R and the like."""

    english: tuple[str, ...] = ()
    chinese: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@cache
def phrases() -> dict[str, Phrases]:
    """Phrases by function; a line for several functions counts for each."""
    found: dict[str, Phrases] = {}
    for name in FILES:
        for line in _lines(name):
            functions, english, chinese, *foreign = (*_SEPARATOR.split(line), "", "")
            entry = Phrases(_items(english), _items(chinese), _items(foreign[0]))
            for function in functions.split(","):
                old = found.get(function.strip(), Phrases())
                found[function.strip()] = Phrases(
                    old.english + entry.english, old.chinese + entry.chinese, old.foreign + entry.foreign
                )
    for line in _lines("elsewhere.txt"):
        functions, names = _SEPARATOR.split(line)
        for function in functions.split(","):
            old = found.get(function, Phrases())
            found[function] = Phrases(old.english, old.chinese, (*old.foreign, *_items(names)))
    return found


@cache
def families() -> tuple[tuple[re.Pattern[str], Phrases], ...]:
    """Phrases by pattern of the name, for functions whose names follow a rule."""
    rows = []
    for line in _lines("families.txt"):
        pattern, english, chinese = _SEPARATOR.split(line)
        rows.append((re.compile(pattern), Phrases(_items(english), _items(chinese))))
    return tuple(rows)


@cache
def outside() -> Phrases:
    """What is asked of a chat program and has nothing to do with DolphinDB."""
    rows = [_SEPARATOR.split(line) for line in _lines("outside.txt")]
    return Phrases(
        tuple(item for english, _ in rows for item in _items(english)),
        tuple(item for _, chinese in rows for item in _items(chinese)),
    )


@cache
def phrases_of(function: str) -> Phrases:
    """A function's own phrases, else those made from the function it is built on; its family's are in `family_of`."""
    return phrases().get(function) or _derived(function)


def _derived(function: str) -> Phrases:
    for pattern, english, chinese in _derivations():
        match = pattern.fullmatch(function)
        if match is None:
            continue
        base = match["base"]
        for name in (base, base[0].lower() + base[1:], f"create{base[0].upper()}{base[1:]}"):
            if name != function and (found := phrases_of(name)) != Phrases():
                return Phrases(
                    tuple(form.format(text) for text in found.english[:_DERIVED_FROM] for form in english),
                    tuple(form.format(text) for text in found.chinese[:_DERIVED_FROM] for form in chinese),
                )
    return Phrases()


@cache
def _derivations() -> tuple[tuple[re.Pattern[str], tuple[str, ...], tuple[str, ...]], ...]:
    rows = (_SEPARATOR.split(line) for line in _lines("derived.txt"))
    return tuple((re.compile(pattern), _items(english), _items(chinese)) for pattern, english, chinese in rows)


def family_of(function: str) -> Phrases:
    english: tuple[str, ...] = ()
    chinese: tuple[str, ...] = ()
    for pattern, entry in families():
        if pattern.fullmatch(function):
            english += entry.english
            chinese += entry.chinese
    return Phrases(english, chinese)


def _lines(name: str) -> list[str]:
    text = files(__name__).joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(";") if item.strip())
