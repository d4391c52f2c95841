"""Making and deleting killed at any moment: nothing is left that costs money, and nothing is made twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from eci_emulator import KEY_ID, KEY_SECRET, EciEmulator
from eci_emulator.settings import eci_settings

from core.postgres import Pool
from core.settings import Settings
from provision.provider import TAG_ATTEMPT, TAG_ENVIRONMENT, TAG_ROLE
from provision.service import Environments, open_environments
from provision.settings import ProvisionSettings

ROOT = Path(__file__).resolve().parents[2]
ORDERS = int(os.environ.get("DDB_AGENT_TEST_KILLS", "6"))
EVENTS = 90
SHORT = {"provision_lease_seconds": 0.4, "provision_abandoned_seconds": 0.3}

Victim = Callable[[int, str, str, bool], Awaitable[int]]


@pytest.fixture
def provision(emulator: EciEmulator) -> ProvisionSettings:
    return eci_settings(emulator, environments_per_user=500, **SHORT)


@pytest.fixture
async def survivor(
    settings: Settings, pool: Pool, provision: ProvisionSettings, no_environments: None
) -> AsyncIterator[Environments]:
    async with open_environments(settings, pool, provision=provision) as environments:
        yield environments


@pytest.fixture
async def victim(settings: Settings, provision: ProvisionSettings, survivor: Environments) -> AsyncIterator[Victim]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("killed.py")), cwd=ROOT,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "DDB_AGENT_DATA_DIR": str(settings.data_dir),
            "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET,
        },
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    sent = provision.model_dump(mode="json", include=set(provision.model_fields_set))

    async def work(number: int, owner: str, name: str, workspace: bool) -> int:
        line = {"number": number, "owner": owner, "environment_id": name, "workspace": workspace, "settings": sent}
        process.stdin.write(json.dumps(line).encode() + b"\n")  # type: ignore[union-attr]
        return int(await asyncio.wait_for(process.stdout.readline(), 60))  # type: ignore[union-attr]

    yield work
    process.stdin.close()
    await asyncio.wait_for(process.wait(), 20)


def made_twice(emulator: EciEmulator) -> list[tuple[str, ...]]:
    counts = Counter(
        tuple(group.tags[name] for name in (TAG_ENVIRONMENT, TAG_ROLE, TAG_ATTEMPT))
        for group in emulator.groups.values()
    )
    return [key for key, count in counts.items() if count > 1]


async def settled(survivor: Environments, emulator: EciEmulator, owner: str, *, resume: bool) -> list[str]:
    """The states of the owner's environments once the reaper has nothing more to do."""
    if resume:
        for record in await survivor.list(owner):
            await survivor.resume(owner, record.id)
            if record.state in ("PENDING", "PROVISIONING"):
                await survivor.wait(owner, record.id)
    async with asyncio.timeout(20):
        while True:
            await survivor.reaper().sweep_now()
            records = await survivor.list(owner, ended=True)
            live = {record.id for record in records if record.state in ("PENDING", "RUNNING")}
            busy = any(record.state in ("PROVISIONING", "DELETING") for record in records)
            stray = [group for group in emulator.alive() if group.tags[TAG_ENVIRONMENT] not in live]
            if not busy and not stray:
                return [record.state for record in records]
            await asyncio.sleep(0.1)


@pytest.mark.timeout(900)
async def test_killed_in_random_orders(victim: Victim, survivor: Environments, emulator: EciEmulator) -> None:
    chance = random.Random(11)
    owner = f"user-{uuid4().hex[:8]}"
    assert await victim(-1, owner, "first", True) == 0
    before, began = set(emulator.groups), time.monotonic()
    assert await victim(-1, owner, "ideal", True) == 0
    ideal = sum(emulator.groups[group_id].billed for group_id in set(emulator.groups) - before)
    took, killed, seen, spent = time.monotonic() - began, 0, Counter[str](), 0.0
    for order in range(ORDERS):
        owner, before = f"user-{uuid4().hex[:8]}", set(emulator.groups)
        number, resume = chance.randrange(EVENTS), chance.random() < 0.5
        status = await victim(number, owner, f"order-{order}", True)
        assert status in (0, -signal.SIGKILL), f"event {number}"
        killed += status != 0
        states = await settled(survivor, emulator, owner, resume=resume)
        for record in await survivor.list(owner):
            if record.state == "RUNNING":
                roles = sorted(g.role for g in emulator.alive() if g.tags[TAG_ENVIRONMENT] == record.id)
                assert roles == ["database", "workspace"], f"event {number}"
                assert (await survivor.connection(owner, record.id))["reachable"], f"event {number}"
            await survivor.delete(owner, record.id)
        assert made_twice(emulator) == [], f"event {number}"
        assert emulator.alive() == [], f"event {number}"
        seen.update(states or ["nothing"])
        spent += sum(emulator.groups[group_id].billed for group_id in set(emulator.groups) - before)
    print(
        f"{killed} of {ORDERS} killed; states {dict(seen)};"
        f" group-seconds {spent:.1f}, ideal {ideal * ORDERS:.1f}; {took:.1f} s for one"
    )
    assert killed > ORDERS / 3
