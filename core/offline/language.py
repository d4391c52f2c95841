"""Telling Chinese from English, and saying a thing in either."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = Literal["en", "zh"]

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_FULL_WIDTH_KEPT = "，。；：？！（）“”‘’、"


def detect(text: str) -> Language:
    return "zh" if _CHINESE.search(text) else "en"


def say(language: Language, en: str, zh: str) -> str:
    return zh if language == "zh" else en


def normalise(text: str) -> str:
    """Full-width letters and digits as ordinary ones, of the same length; quotation marks as straight ones."""
    characters = []
    for character in text:
        folded = unicodedata.normalize("NFKC", character)
        keep = character in _FULL_WIDTH_KEPT or len(folded) != 1
        characters.append(character if keep else folded)
    return "".join(characters).translate(str.maketrans("“”‘’", "\"\"''"))
