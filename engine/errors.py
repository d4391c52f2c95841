"""Errors a script can cause. Their text is what the client sees, in one line."""

from __future__ import annotations


class ScriptError(Exception):
    """A script failed. `line` is filled in where the statement is known; texts follow DolphinDB's manner."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line

    def __str__(self) -> str:
        return f"[line #{self.line}] {self.message}" if self.line is not None else self.message


class CallError(ScriptError):
    """A function refused its arguments: shown as `Usage: name(signature). reason`."""


class UnsupportedError(ScriptError):
    """DolphinDB has it, this engine does not (yet)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by the embedded engine.")


class CancelledError(ScriptError):
    """The job was cancelled from another connection, ran out of time or went over a limit."""
