"""Texts that can be kept."""

from __future__ import annotations

import re

from core.errors import InvalidInputError

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def checked(name: str, text: str, limit: int) -> str:
    """The text without space around it. Raises InvalidInputError when it is too long or no Unicode."""
    stripped = text.strip()
    if len(stripped) > limit:
        raise InvalidInputError(f"The {name} has {len(stripped)} characters, more than {limit}.", "Shorten it.")
    if _UNSTORABLE.search(stripped):
        raise InvalidInputError(f"The {name} holds characters that cannot be kept, such as NUL.", "Remove them.")
    return stripped
