from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from eci_emulator.fixtures import emulator, engines, no_environments
from langgraph_sdk import get_client
from openai_server.fixtures import scripted_openai
from served import Process, Starter, starter
from served.people import people

from core.settings import Settings

__all__ = ["emulator", "engines", "no_environments", "people", "scripted_openai"]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Starter]:
    with starter(settings, tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for all tests that do it no harm."""
    with starter(settings, tmp_path_factory.mktemp("server")) as start:
        yield start.ready(start("serve"))


@pytest.fixture(scope="session")
def second(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Another server over the same database, on a machine whose clock is wrong."""
    with starter(settings, tmp_path_factory.mktemp("second")) as start:
        yield start.ready(start("serve", SERVED_CLOCK_SHIFT="5000"))


@pytest.fixture
async def other(second: Process) -> AsyncIterator[Any]:
    async with get_client(url=second.url, api_key=None) as client:
        yield client


@pytest.fixture
async def client(server: Process) -> AsyncIterator[Any]:
    async with get_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
async def http(server: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield http
