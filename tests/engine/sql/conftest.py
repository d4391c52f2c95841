from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from engine.functions import builtin_functions
from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.node import Node
from engine.session import Session
from engine.values import AnyVector, ArrayVector, Matrix, Scalar, Table, Vector, elements

Run: TypeAlias = Callable[[str], Any]

TRADES = """
sym = `C`MS`MS`MS`IBM`IBM`C`C`C$SYMBOL
price = 49.6 29.46 29.52 30.02 174.97 175.23 50.76 50.32 51.29
qty = 2200 1900 2100 3200 6800 5400 1300 2500 8800
time = [09:34:07,09:36:42,09:36:51,09:36:59,09:32:47,09:35:26,09:34:16,09:34:26,09:38:12]
t = table(time, sym, qty, price)
"""


def plain(value: Any) -> Any:
    """A value of the engine as plain Python: tables as dictionaries of columns, NULL as None, floats rounded."""
    if isinstance(value, Scalar):
        if value.is_null:
            return None
        return round(value.value, 6) if isinstance(value.value, float) else value.value
    if isinstance(value, Table):
        return {name: plain(column) for name, column in zip(value.names, value.columns, strict=True)}
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return [plain(item) for item in elements(value)]
    if isinstance(value, Matrix):
        return [plain(value.column(index)) for index in range(value.columns)]
    return value


@pytest.fixture(scope="session")
def registry() -> Registry:
    return builtin_functions()


@pytest.fixture
def interpreter(registry: Registry, tmp_path: Path) -> Interpreter:
    return Interpreter(Session(1, Node(tmp_path)), registry)


@pytest.fixture
def run(interpreter: Interpreter) -> Run:
    """Runs a script in one session and gives its value as plain Python."""
    return lambda text: plain(interpreter.run(text))


@pytest.fixture
def trades(run: Run) -> Run:
    """`run` in a session that has a small table of trades `t`."""
    run(TRADES)
    return run
