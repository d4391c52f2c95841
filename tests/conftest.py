from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from core.migrations import migrate
from core.postgres import Pool, database_url, open_pool, release_database
from core.settings import Settings
from dolphin.environment import Environment, default_environment
from dolphin.sessions import Sessions
from engine import launcher


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """Not below pytest's own folder: another session of pytest would take its rights away from the Postgres account."""
    with TemporaryDirectory(prefix="ddb-agent-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def settings(data_dir: Path) -> Iterator[Settings]:
    """Settings of a session-wide data directory: a private Postgres and an embedded engine of the tests' own."""
    settings = Settings(
        _env_file=None, data_dir=data_dir, database_url=None, dolphindb_host=None, engine_idle_seconds=120
    )
    yield settings
    release_database(settings)
    launcher.stop(data_dir / "engine")


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool over the session's real, migrated Postgres."""
    async with open_pool(partial(database_url, settings)) as pool:
        await migrate(pool)
        yield pool


@pytest.fixture
async def environment(settings: Settings) -> Environment:
    """The session's embedded engine, in a process of its own."""
    return await default_environment(settings)


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    sessions = Sessions()
    yield sessions
    await sessions.aclose()


@pytest.fixture
def thread_id() -> str:
    return f"thread-{uuid4()}"
