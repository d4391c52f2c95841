from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from eci_emulator import EciEmulator
from eci_emulator.fixtures import emulator, engines, no_environments
from eci_emulator.settings import QUICK, eci_settings

from core.postgres import Pool
from core.settings import Settings
from provision.eci import EciProvider
from provision.local import LocalProvider
from provision.service import Environments, open_environments
from provision.settings import ProvisionSettings

__all__ = ["emulator", "engines", "no_environments"]


@pytest.fixture
async def eci(emulator: EciEmulator) -> AsyncIterator[EciProvider]:
    provider = EciProvider(eci_settings(emulator))
    yield provider
    await provider.aclose()


@pytest.fixture
def owner() -> str:
    return f"user-{uuid4().hex[:8]}"


@pytest.fixture
async def cloud(
    emulator: EciEmulator, settings: Settings, pool: Pool, no_environments: None
) -> AsyncIterator[Environments]:
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as environments:
        yield environments


@pytest.fixture
async def local(settings: Settings, pool: Pool, tmp_path: Path, no_environments: None) -> AsyncIterator[Environments]:
    provision = ProvisionSettings(_env_file=None, environment_provider="local", local_commands=True, **QUICK)
    provider = LocalProvider(tmp_path / "environments")
    async with open_environments(settings, pool, provision=provision, provider=provider) as environments:
        yield environments
    for group in await provider.find({}):
        await provider.delete(group.id)
