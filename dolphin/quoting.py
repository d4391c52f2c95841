"""Names and texts made safe to stand in a script."""

from __future__ import annotations

import re

from core.errors import InvalidInputError

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
QUALIFIED_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*){0,2}\Z")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def identifier(text: str) -> str:
    """`text` if it can name a variable. Raises InvalidInputError otherwise."""
    if not IDENTIFIER.match(text):
        raise InvalidInputError(
            f"{text!r} is not a DolphinDB name.", "Use letters, digits and underscores, with a letter first."
        )
    return text


def quoted(text: str) -> str:
    """`text` as a DolphinDB string constant. Raises InvalidInputError for control characters it cannot hold."""
    if any(ord(character) < 32 and character not in ESCAPES for character in text):
        raise InvalidInputError(f"{text!r} contains control characters.", "Remove them.")
    return '"' + "".join(ESCAPES.get(character, character) for character in text) + '"'
