from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.console import console_text
from engine.functions import builtin_functions
from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session


@pytest.fixture(scope="session")
def registry() -> Registry:
    return builtin_functions()


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def interpreter(registry: Registry, tmp_path: Path, printed: list[str]) -> Interpreter:
    return Interpreter(Session(1, Node(tmp_path), output=printed.append), registry)


@pytest.fixture
def shown(interpreter: Interpreter) -> Callable[[str], str]:
    """Run a script and show its value as the console does."""
    return lambda text: console_text(interpreter.run(text))
