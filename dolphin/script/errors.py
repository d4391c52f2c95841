"""What can be wrong with a script's text."""

from __future__ import annotations

from dolphin.script.syntax import Span


class ScriptSyntaxError(ValueError):
    """The text is not DolphinDB script; `span` says where, `excerpt` shows it."""

    def __init__(self, message: str, span: Span, source: str = "") -> None:
        super().__init__(message, span)
        self.message = message
        self.span = span
        self.source = source

    def __str__(self) -> str:
        return f"Syntax Error: [line #{self.span.line}] {self.message}"

    @property
    def excerpt(self) -> str:
        """The offending line with a caret under the place; empty when the source is unknown."""
        if not self.source:
            return ""
        begin = self.source.rfind("\n", 0, self.span.start) + 1
        end = self.source.find("\n", self.span.start)
        line = self.source[begin : len(self.source) if end < 0 else end]
        column = self.span.start - begin
        left = max(0, column - 60)
        shown = line[left : left + 120].replace("\t", " ")
        width = max(1, min(self.span.end - self.span.start, len(shown) - (column - left)))
        return f"{shown}\n{' ' * (column - left)}{'^' * width}"
