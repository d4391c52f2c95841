"""Errors a script can cause. Their text is what the client sees, in one line."""

from __future__ import annotations

from collections.abc import Iterable

from dolphin.script.remedies import near_name


class ScriptError(Exception):
    """A script failed. `line` is filled in where the statement is known; texts follow DolphinDB's manner."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line

    def __str__(self) -> str:
        return f"[line #{self.line}] {self.message}" if self.line is not None else self.message


def refusal(error: OSError) -> str:
    """What the operating system refused, as a script sees it: `No space left on device.`"""
    return f"The operating system refused: {error.strerror or error}."


class UnknownNameError(ScriptError):
    """A name that means nothing where it stands."""

    def __init__(self, name: str, remedy: str = "") -> None:
        super().__init__(f"Cannot recognize the token {name}" + (f". {remedy}" if remedy else ""))
        self.name = name


def unknown_column(name: str, names: Iterable[str] = (), line: int | None = None) -> ScriptError:
    """The error for a column a table does not have; `names` are those it has."""
    near = near_name(name, names)
    return ScriptError(f"Unrecognized column name [{name}]." + (f" Did you mean {near}?" if near else ""), line)


INTERNAL = "Internal error: the embedded engine failed on this; its log has the details."


class CallError(ScriptError):
    """A function refused its arguments: shown as `Usage: name(signature). reason`."""


class UnsupportedError(ScriptError):
    """DolphinDB has it, this engine does not (yet)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by the embedded engine.")


class CancelledError(ScriptError):
    """The job was cancelled from another connection, ran out of time or went over a limit."""
