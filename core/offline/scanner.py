"""A text of which parts are taken as they are understood, so that nothing is read twice."""

from __future__ import annotations

import re
from collections.abc import Iterator


class Scanner:
    """`text` as it was given; patterns match in any case and never within what was taken.

    `\\b` and `\\w` mean ASCII, so that Chinese characters beside a word end it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.taken: list[tuple[int, int]] = []

    def is_free(self, start: int, end: int) -> bool:
        return all(end <= begin or stop <= start for begin, stop in self.taken)

    def find_all(self, pattern: str) -> Iterator[re.Match[str]]:
        for match in re.finditer(pattern, self.text, re.IGNORECASE | re.ASCII):
            if match.end() > match.start() and self.is_free(match.start(), match.end()):
                yield match

    def find(self, pattern: str) -> re.Match[str] | None:
        return next(self.find_all(pattern), None)

    def take(self, start: int, end: int) -> None:
        self.taken.append((start, end))

    def pop(self, pattern: str) -> re.Match[str] | None:
        """The first free match, taken."""
        match = self.find(pattern)
        if match is not None:
            self.take(match.start(), match.end())
        return match
