from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alibabacloud_credentials.utils import auth_util
from eci_emulator import KEY_ID, KEY_SECRET, EciEmulator, Engines
from eci_emulator.settings import QUICK, eci_settings

from core.postgres import Pool
from core.settings import Settings
from provision.eci import EciProvider
from provision.local import LocalProvider
from provision.service import Environments, open_environments
from provision.settings import ProvisionSettings


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
async def eci(emulator: EciEmulator) -> AsyncIterator[EciProvider]:
    provider = EciProvider(eci_settings(emulator))
    yield provider
    await provider.aclose()


@pytest.fixture
def owner() -> str:
    return f"user-{uuid4().hex[:8]}"


@pytest.fixture
async def no_environments(pool: Pool) -> None:
    """The database is the session's; other tests' environments are on emulators that are no more."""
    async with pool.connection() as held:
        await held.execute("TRUNCATE environments, orphans CASCADE")


@pytest.fixture
async def cloud(
    emulator: EciEmulator, settings: Settings, pool: Pool, no_environments: None
) -> AsyncIterator[Environments]:
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as environments:
        yield environments


@pytest.fixture
async def local(settings: Settings, pool: Pool, tmp_path: Path, no_environments: None) -> AsyncIterator[Environments]:
    provision = ProvisionSettings(_env_file=None, environment_provider="local", **QUICK)
    provider = LocalProvider(tmp_path / "environments")
    async with open_environments(settings, pool, provision=provision, provider=provider) as environments:
        yield environments
    for group in await provider.find({}):
        await provider.delete(group.id)
