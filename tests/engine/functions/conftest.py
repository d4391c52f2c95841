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
from engine.values import Value

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.fixture(scope="session")
def registry() -> Registry:
    return builtin_functions()


@pytest.fixture
def run(registry: Registry, tmp_path: Path) -> Run:
    return Interpreter(Session(1, Node(tmp_path)), registry).run


@pytest.fixture
def show(run: Run) -> Show:
    """Run a script and show its value as the console does."""
    return lambda text: console_text(run(text))
