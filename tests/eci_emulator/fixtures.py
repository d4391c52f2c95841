"""The emulated cloud, for whoever rents environments in a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alibabacloud_credentials.utils import auth_util

from core.postgres import Pool
from eci_emulator.groups import Engines
from eci_emulator.server import KEY_ID, KEY_SECRET, EciEmulator


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture
def emulator(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EciEmulator]:
    for name in list(os.environ):
        if name.startswith("ALIBABA_CLOUD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", KEY_SECRET)
    # The client's credential chain reads the environment when it is imported.
    monkeypatch.setattr(auth_util, "environment_access_key_id", KEY_ID)
    monkeypatch.setattr(auth_util, "environment_access_key_secret", KEY_SECRET)
    with EciEmulator(tmp_path / "eci", engines) as emulator:
        yield emulator


@pytest.fixture
async def no_environments(pool: Pool) -> None:
    """The database is the session's; other tests' environments are on emulators that are no more."""
    async with pool.connection() as held:
        await held.execute("TRUNCATE environments, orphans CASCADE")
