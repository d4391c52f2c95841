from __future__ import annotations

from pathlib import Path

import pytest

from engine.console import console_text
from engine.functions import builtin_functions
from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.server_node import ServerNode, assemble
from engine.session import Session


class Engine:
    """A node in this process. `reopen` is what a restart does; a session lasts as long as its name is used."""

    def __init__(self, data: Path, registry: Registry) -> None:
        self.data = data
        self.registry = registry
        self.reopen("secret12")

    def reopen(self, password: str | None = None) -> None:
        self.node: ServerNode = assemble(self.data, self.registry, admin_password=password, memory_limit=2**30)
        self.interpreters: dict[str, Interpreter] = {}
        self.printed: list[str] = []

    def run(self, script: str, user: str = "admin", session: str = "") -> str:
        """What the console shows for the last value."""
        name = session or user
        if name not in self.interpreters:
            made = Session(len(self.interpreters) + 1, self.node, user, output=self.printed.append)
            self.node.sessions[made.id] = made
            self.interpreters[name] = Interpreter(made, self.registry)
        return console_text(self.interpreters[name].run(script)).strip()


@pytest.fixture(scope="session")
def registry() -> Registry:
    return builtin_functions()


@pytest.fixture
def engine(tmp_path: Path, registry: Registry) -> Engine:
    return Engine(tmp_path, registry)
