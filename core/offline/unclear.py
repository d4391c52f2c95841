"""Reasons for which a question is not turned into a script."""

from __future__ import annotations

from collections.abc import Sequence

from core.offline.language import Language, say


class UnclearError(Exception):
    """Something only the user can tell. Options are what can be answered."""

    def __init__(self, en: str, zh: str, options: Sequence[str] = ()) -> None:
        super().__init__(en)
        self.en = en
        self.zh = zh
        self.options = list(options)

    def question(self, language: Language) -> str:
        return say(language, self.en, self.zh)


class UnableError(Exception):
    """The question is understood, but cannot be answered from this table."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en = en
        self.zh = zh

    def sentence(self, language: Language) -> str:
        return say(language, self.en, self.zh)


class NotUnderstoodError(Exception):
    """No rule fits the question."""
