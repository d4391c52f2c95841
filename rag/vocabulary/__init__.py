"""The field's own words for what functions do, in English and Chinese, and what other tools call them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILES = ("series.txt", "data.txt", "system.txt", "further.txt", "symptoms.txt")
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


def phrases_of(function: str) -> Phrases:
    """A function's own phrases; those of its family are in `family_of`."""
    return phrases().get(function, Phrases())


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
