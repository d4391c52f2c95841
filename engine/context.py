"""What a built-in function may ask of the engine while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.functions.registry import Registry
    from engine.node import Node
    from engine.session import Session
    from engine.values import Function, Value


class Context(Protocol):
    """Handed to functions declared with `context=True`."""

    session: Session
    """The variables and the user of the running session."""
    node: Node
    """What all sessions share: shared tables, users, jobs, the data folder."""
    registry: Registry

    def call(self, function: Function, arguments: Sequence[Value]) -> Value:
        """Call any function value with positional arguments."""

    def evaluate(self, node: object) -> Value:
        """Evaluate a syntax tree node in the current scope (for meta-programming)."""

    def run(self, text: str) -> Value:
        """Run a script text in the current session."""

    def output(self, text: str) -> None:
        """Print a line to the client at once."""

    def check(self) -> None:
        """Raise CancelledError when the job was cancelled. Call it in every long Python loop."""
