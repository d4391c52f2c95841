"""Where names get their values while a script runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.session import Session
    from engine.values import Value


class Scope:
    """Variables by name, and the scope around them.

    `lookup` is all that evaluation needs: a scope of one's own (the columns of a table while a query
    runs) subclasses Scope, overrides `lookup` and asks `self.parent` for the rest. Functions of the
    language are no variables: they are found after every scope has answered None.
    """

    __slots__ = ("parent", "variables")

    def __init__(self, variables: dict[str, Value], parent: Scope | None = None) -> None:
        self.variables = variables
        self.parent = parent

    def lookup(self, name: str) -> Value | None:
        """The value of a variable, or None."""
        value = self.variables.get(name)
        if value is None and self.parent is not None:
            return self.parent.lookup(name)
        return value

    def names(self) -> list[str]:
        """The variables that can be looked up."""
        return [*self.variables, *(self.parent.names() if self.parent is not None else ())]

    def assign(self, name: str, value: Value) -> None:
        self.variables[name] = value

    def remove(self, name: str) -> bool:
        """Forget a variable of this scope; False if there is none."""
        return self.variables.pop(name, None) is not None

    def child(self, variables: Mapping[str, Value] | None = None) -> Scope:
        """A scope inside this one: its variables hide those outside, what is assigned in it stays in it."""
        return Scope(dict(variables or {}), self)


def shared_scope(session: Session) -> Scope:
    """The variables all sessions see."""
    return Scope(session.node.shared)


def session_scope(session: Session) -> Scope:
    """The variables of a session, then the shared ones."""
    return Scope(session.variables, shared_scope(session))


def function_scope(session: Session, variables: dict[str, Value]) -> Scope:
    """The body of a function: its own variables and the shared ones; those of the session are not seen."""
    return Scope(variables, shared_scope(session))
