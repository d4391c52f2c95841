from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dolphindb
import pytest

from engine import launcher


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Endpoint]:
    """An engine in a process of its own."""
    data = tmp_path_factory.mktemp("engine")
    yield launcher.start(data, idle_seconds=3600)
    launcher.stop(data)


@pytest.fixture
def connect(endpoint: launcher.Endpoint) -> Iterator[Callable[..., Any]]:
    """Opens sessions of the official client as the administrator."""
    opened: list[Any] = []

    def open_session(user: str | None = endpoint.user, password: str | None = None, **options: Any) -> Any:
        session = dolphindb.Session(**options)
        arguments = (user, password or endpoint.password) if user is not None else ()
        assert session.connect(endpoint.host, endpoint.port, *arguments)
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture
def session(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def root() -> Path:
    return Path(__file__).resolve().parents[3]
