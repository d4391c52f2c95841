from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from eci_emulator import EciEmulator, Fault
from eci_emulator.settings import QUICK, eci_settings
from eci_emulator.waiting import until

from core.errors import ConflictError
from core.postgres import Pool
from core.settings import Settings
from provision.provider import TAG_ENVIRONMENT, TAG_INSTALLATION, GroupRequest
from provision.reaper import Swept
from provision.records import EnvironmentRecord
from provision.service import Environments, open_environments
from provision.settings import ProvisionSettings
from provision.specs import EnvironmentRequest

ALONE = EnvironmentRequest(name="test", cpu=1, memory=2, hours=1, workspace=False)


async def made(environments: Environments, owner: str, request: EnvironmentRequest = ALONE) -> EnvironmentRecord:
    record = await environments.wait(owner, (await environments.start(owner, request, thread_id="t-1")).id)
    assert record.state == "RUNNING", record.error
    return record


async def expire(pool: Pool, record: EnvironmentRecord, seconds: float = -1) -> None:
    async with pool.connection() as held:
        await held.execute(
            "UPDATE environments SET expires_at = now() + make_interval(secs => %s) WHERE environment_id = %s",
            (seconds, record.id),
        )


async def sweep(environments: Environments) -> Swept:
    swept = await environments.reaper().sweep_now()
    assert swept is not None
    return swept


async def test_the_expired_are_deleted(cloud: Environments, emulator: EciEmulator, owner: str, pool: Pool) -> None:
    record, other = await made(cloud, owner), await made(cloud, owner, ALONE.model_copy(update={"name": "other"}))
    await expire(pool, record)
    with pytest.raises(ConflictError, match=r"has expired.*Create another"):
        await cloud.resolve(owner, record.id)
    swept = await sweep(cloud)
    assert (swept.expired, swept.removed) == ([record.id], [record.id])
    assert (await cloud.get(owner, record.id)).state == "DELETED"
    assert (await cloud.get(owner, other.id)).state == "RUNNING"
    assert [group.tags[TAG_ENVIRONMENT] for group in emulator.alive()] == [other.id]


async def test_what_vanished_is_noticed(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    record = await made(cloud, owner, ALONE.model_copy(update={"workspace": True}))
    database = next(group for group in emulator.alive() if group.role == "database")
    emulator.vanish(database.id)
    swept = await sweep(cloud)
    assert swept.vanished == [record.id]
    ended = await cloud.get(owner, record.id)
    assert (ended.state, ended.error) == ("ERROR", "It vanished in the cloud.")
    assert emulator.alive() == []
    [notice] = cloud.notices(await cloud.recent(owner), "t-1")
    assert (notice.kind, notice.values) == ("gone", {"name": "test", "error": "It vanished in the cloud."})


async def test_a_cloud_that_does_not_answer_is_not_one_where_all_vanished(
    cloud: Environments, emulator: EciEmulator, owner: str
) -> None:
    record = await made(cloud, owner)
    emulator.faults = [Fault("DescribeContainerGroups", "server_error", times=5)]
    assert (await sweep(cloud)).vanished == []
    assert (await cloud.get(owner, record.id)).state == "RUNNING"


async def test_orphans_are_deleted_after_their_grace(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    record = await made(cloud, owner)
    tags = {TAG_INSTALLATION: cloud.installation, TAG_ENVIRONMENT: "env-unknown"}
    base = GroupRequest("o1", "database", "orphan-1", 1, 2, "cn-test-a", tags=tags)
    orphan = await cloud.provider.create(base)
    foreign = await cloud.provider.create(
        replace(base, client_token="o2", tags={**tags, TAG_INSTALLATION: "another installation"})
    )
    assert (await sweep(cloud)).orphans == []
    await asyncio.sleep(cloud.settings.orphan_grace_seconds)
    assert (await sweep(cloud)).orphans == [orphan]
    alive = {group.id for group in emulator.alive()}
    assert orphan not in alive
    assert foreign in alive
    assert (await cloud.get(owner, record.id)).state == "RUNNING"


async def test_abandoned_making_is_taken_back(
    cloud: Environments, emulator: EciEmulator, owner: str, settings: Settings, pool: Pool
) -> None:
    emulator.timing = replace(emulator.timing, running=60)
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as other:
        record = await other.start(owner, ALONE)
        await until(lambda: emulator.groups and emulator.calls["DescribeContainerGroups"])  # it waits for the group
    assert len(emulator.alive()) == 1
    assert (await sweep(cloud)).abandoned == []
    await asyncio.sleep(2.1)
    assert (await sweep(cloud)).abandoned == [record.id]
    assert emulator.alive() == []
    assert (await cloud.get(owner, record.id)).state == "ERROR"


async def test_making_goes_on_in_another_process(
    cloud: Environments, emulator: EciEmulator, owner: str, settings: Settings, pool: Pool
) -> None:
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as other:
        record = await other.start(owner, ALONE)
        await until(lambda: emulator.groups and emulator.calls["DescribeContainerGroups"])  # it waits for the group
    await cloud.resume(owner, record.id)
    assert (await cloud.wait(owner, record.id)).state == "RUNNING"
    assert len(emulator.groups) == 1


async def test_what_an_ended_process_was_making_is_gone_on_with_once(
    cloud: Environments, emulator: EciEmulator, owner: str, settings: Settings, pool: Pool
) -> None:
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as ended:
        record = await ended.start(owner, ALONE)
        await until(lambda: emulator.groups)

    async def held_for(seconds: float) -> None:
        async with pool.connection() as held:
            await held.execute(
                "UPDATE environments SET worker = 'another', worker_until = now() + make_interval(secs => %s)"
                " WHERE environment_id = %s",
                (seconds, record.id),
            )

    await held_for(60)
    assert await cloud.go_on() == []
    await held_for(-1)
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as other:
        found = await asyncio.gather(cloud.go_on(), other.go_on())
        assert sorted(found) == [[], [record.id]]
        assert (await cloud.wait(owner, record.id)).state == "RUNNING"
    assert len(emulator.groups) == 1
    assert await cloud.go_on() == []


async def test_what_another_machine_made_has_not_vanished(
    settings: Settings, pool: Pool, owner: str, tmp_path: Path, no_environments: None
) -> None:
    provision = ProvisionSettings(_env_file=None, environment_provider="local", **QUICK)
    there = settings.model_copy(update={"data_dir": tmp_path / "there"})
    async with (
        open_environments(settings, pool, provision=provision) as here,
        open_environments(there, pool, provision=provision) as other,
    ):
        record = await here.wait(owner, (await here.start(owner, ALONE)).id)
        swept = await sweep(other)
        assert (swept.vanished, swept.orphans) == ([], [])
        assert (await here.connection(owner, record.id))["reachable"]
        assert (await here.delete(owner, record.id)).state == "DELETED"


async def test_threads_are_warned_once(cloud: Environments, owner: str, pool: Pool) -> None:
    record = await made(cloud, owner)
    await expire(pool, record, 600)
    told: list[str] = []

    async def warn(about: EnvironmentRecord) -> None:
        told.append(f"{about.thread_id}: {about.name}")

    reaper = cloud.reaper(warn)
    await reaper.sweep_now()
    await reaper.sweep_now()
    assert told == ["t-1: test"]
    [notice] = cloud.notices(await cloud.recent(owner), "t-1")
    assert (notice.kind, notice.values) == ("ends", {"name": "test", "minutes": 9})
    await cloud.extend(owner, record.id, 1)
    assert cloud.notices(await cloud.recent(owner), "t-1") == []


async def test_one_reaper_at_a_time(cloud: Environments, emulator: EciEmulator, owner: str, pool: Pool) -> None:
    record = await made(cloud, owner)
    await expire(pool, record)
    first, second = await asyncio.gather(cloud.reaper().sweep_now(), cloud.reaper().sweep_now())
    assert (first is None) != (second is None)
    assert emulator.calls["DeleteContainerGroup"] == 1


async def test_processes_share_the_interval(
    emulator: EciEmulator, settings: Settings, pool: Pool, no_environments: None
) -> None:
    often = eci_settings(emulator).model_copy(update={"reaper_seconds": 60.0})
    async with pool.connection() as held:
        await held.execute("UPDATE installation SET swept_at = NULL")
    async with (
        open_environments(settings, pool, provision=often) as one,
        open_environments(settings, pool, provision=often) as other,
    ):
        swept = [await each.reaper().sweep() for each in (one, other, one, other)]
        assert [each is not None for each in swept] == [True, False, False, False]
        assert emulator.calls["DescribeContainerGroups"] == 1
        async with pool.connection() as held:
            await held.execute("UPDATE installation SET swept_at = now() - interval '61 seconds'")
        assert await other.reaper().sweep() is not None


async def test_what_another_provider_made_is_kept_in_mind(
    cloud: Environments, emulator: EciEmulator, owner: str, settings: Settings, pool: Pool
) -> None:
    record = await made(cloud, owner)
    await expire(pool, record)
    elsewhere = eci_settings(emulator, eci_region="cn-other")
    async with open_environments(settings, pool, provision=elsewhere) as other:
        swept = await sweep(other)
        assert (swept.vanished, swept.removed) == ([], [])
        waiting = await other.get(owner, record.id)
    assert waiting.state == "DELETING"
    assert "is not configured" in (await cloud.history(owner, record.id))[-1].detail
    await asyncio.sleep(0.1)
    assert (await sweep(cloud)).removed == [record.id]
    assert emulator.alive() == []
