from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from core.migrations import migrate
from core.postgres import Pool, database_url, open_pool, release_database
from core.settings import Settings


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def settings(data_dir: Path) -> Iterator[Settings]:
    """Settings of a session-wide data directory: a private Postgres and an embedded engine of the tests' own."""
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=None, dolphindb_host=None)
    yield settings
    release_database(settings)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool over the session's real, migrated Postgres."""
    async with open_pool(partial(database_url, settings)) as pool:
        await migrate(pool)
        yield pool
