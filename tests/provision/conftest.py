from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alibabacloud_credentials.utils import auth_util
from eci_emulator import KEY_ID, KEY_SECRET, EciEmulator
from eci_emulator.settings import eci_settings

from provision.eci import EciProvider

@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EciEmulator]:
    for name in list(os.environ):
        if name.startswith("ALIBABA_CLOUD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", KEY_SECRET)
    # The client's credential chain reads the environment when it is imported.
    monkeypatch.setattr(auth_util, "environment_access_key_id", KEY_ID)
    monkeypatch.setattr(auth_util, "environment_access_key_secret", KEY_SECRET)
    with EciEmulator(tmp_path / "eci") as emulator:
        yield emulator


@pytest.fixture
async def eci(emulator: EciEmulator) -> AsyncIterator[EciProvider]:
    provider = EciProvider(eci_settings(emulator))
    yield provider
    await provider.aclose()
