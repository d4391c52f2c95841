from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from eci_emulator import EciEmulator, Fault
from eci_emulator.waiting import until
from pydantic import SecretStr

from core.errors import ConflictError, DolphinDBUnavailableError, InvalidInputError, NotFoundError
from core.postgres import Pool
from dolphin.catalog import Catalog
from dolphin.environment import Environment
from dolphin.sessions import Sessions
from engine import launcher
from provision.local import LocalProvider
from provision.records import EnvironmentRecord
from provision.service import Environments, public
from provision.specs import EnvironmentRequest

REQUEST = EnvironmentRequest(name="test", cpu=1, memory=2, hours=1)
ALONE = REQUEST.model_copy(update={"workspace": False})


async def made(environments: Environments, owner: str, request: EnvironmentRequest = REQUEST) -> EnvironmentRecord:
    record = await environments.start(owner, request)
    return await environments.wait(owner, record.id)


async def count(pool: Pool, sql: str, *values: object) -> int:
    async with pool.connection() as held:
        row = await (await held.execute(sql, values)).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row["n"])


async def test_local_from_creation_to_deletion(local: Environments, sessions: Sessions, owner: str) -> None:
    record = await made(local, owner)
    assert (record.state, record.error) == ("RUNNING", "")
    assert record.expires_at is not None
    assert timedelta(minutes=58) < record.expires_at - datetime.now(UTC) < timedelta(minutes=61)
    environment = await local.resolve(owner, "test")
    assert await sessions.evaluate(environment, "t", "1 + 1") == 2
    assert (await local.connection(owner, record.id))["reachable"] is True
    schema = await local.schema(owner, record.id, Catalog(sessions))
    assert schema["databases"] == []
    deleted = await local.delete(owner, record.id)
    assert (deleted.state, deleted.secret) == ("DELETED", None)
    assert await local.provider.find({}) == []
    with pytest.raises(ConflictError, match=r"was deleted.*Create another"):
        await local.resolve(owner, record.id)
    events = [entry.event for entry in await local.history(owner, record.id)]
    assert events[0] == "requested"
    assert [event for event in events if event in ("approved", "secured", "running", "deleted")] == [
        "approved", "secured", "running", "deleted",
    ]  # fmt: skip


async def test_an_engine_that_was_killed_comes_back_secured(
    local: Environments, sessions: Sessions, owner: str
) -> None:
    record = await made(local, owner, ALONE)
    assert isinstance(local.provider, LocalProvider)
    environment = await local.resolve(owner, record.id)
    assert await sessions.evaluate(environment, "t", "1 + 1") == 2
    [group] = await local.provider.find({})
    endpoint = launcher.status(local.provider.directory / group.id / "engine")
    assert endpoint is not None
    os.kill(endpoint.pid, signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert await sessions.evaluate(environment, "t", "1 + 2") == 3
    current = await environment.current()
    again = launcher.status(local.provider.directory / group.id / "engine")
    assert again is not None
    assert current.password.get_secret_value() != again.password
    default = Environment("default", current.host, current.port, again.user, SecretStr(again.password))
    with pytest.raises(DolphinDBUnavailableError, match=r"did not accept|refused"):
        await sessions.run(default, "u", "1")


async def test_cloud_from_creation_to_deletion(
    cloud: Environments, emulator: EciEmulator, sessions: Sessions, owner: str
) -> None:
    record = await made(cloud, owner)
    assert (record.state, record.error) == ("RUNNING", "")
    roles = sorted(group.role for group in emulator.alive())
    assert roles == ["database", "workspace"]
    database, workspace = sorted(emulator.alive(), key=lambda group: group.role)
    variables = {each["Key"]: each["Value"] for each in workspace.wanted["Container"][0]["EnvironmentVar"]}
    assert (variables["DOLPHINDB_HOST"], variables["DOLPHINDB_PORT"]) == (database.address, "8848")
    assert database.tags["ddb-agent-environment"] == record.id
    assert database.tags["ddb-agent-owner"] == owner
    environment = await cloud.resolve(owner, record.id)
    assert await sessions.evaluate(environment, "t", "share table(1..3 as n) as s; exec sum(n) from s") == 6
    default = Environment("default", environment.host, environment.port, "admin", SecretStr("123456"))
    with pytest.raises(DolphinDBUnavailableError, match=r"did not accept|refused"):
        await sessions.run(default, "u", "1")
    await cloud.delete(owner, "test")
    assert emulator.alive() == []


async def test_another_owner_sees_nothing(local: Environments, owner: str) -> None:
    record = await local.start(owner, ALONE)
    for attempt in (local.get, local.delete, local.resolve, local.connection):
        with pytest.raises(NotFoundError):
            await attempt("somebody else", record.id)
    with pytest.raises(NotFoundError):
        await local.extend("somebody else", record.id, 1)
    assert await local.list("somebody else") == []
    assert await local.history("somebody else", record.id) == []
    await local.wait(owner, record.id)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu": 3}, "3 vCPUs are not sold. Choose one of 0.25, 0.5, 1, 2"),
        ({"cpu": 1, "memory": 3}, "3 GiB are not sold with 1 vCPUs. Choose 2, 4, 8 GiB"),
        ({"hours": 49}, "Choose 1 to 48 hours"),
        ({"hours": 0}, "Choose 1 to 48 hours"),
        ({"name": "a/../b"}, "cannot name an environment"),
    ],
)
async def test_what_is_not_sold_is_refused(
    local: Environments, owner: str, changes: dict[str, object], text: str
) -> None:
    with pytest.raises(InvalidInputError, match=text):
        await local.start(owner, REQUEST.model_copy(update=changes))
    assert await local.list(owner, ended=True) == []


async def test_quota_and_names(local: Environments, owner: str) -> None:
    for number in range(5):
        await local.store.add(
            owner, f"{owner}-{number}", ALONE.model_copy(update={"name": f"e{number}"}),
            provider="local", region="local", thread_id=None, quota=5,
        )  # fmt: skip
    with pytest.raises(ConflictError, match="5 is the limit"):
        await local.start(owner, REQUEST)
    with pytest.raises(ConflictError, match="named 'e1' already"):
        await local.start(owner, REQUEST.model_copy(update={"name": "e1"}))
    await local.delete(owner, "e1")
    record = await local.store.add(
        owner, f"{owner}-x", ALONE, provider="local", region="local", thread_id=None, quota=5
    )
    assert record.state == "PENDING"


async def test_zones_are_tried_in_order(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    emulator.faults = [Fault("CreateContainerGroup", "no_stock", times=9, zone="cn-test-a")]
    emulator.fates = ["ScheduleFailed"]
    record = await made(cloud, owner, ALONE)
    assert record.state == "ERROR"
    assert "troubleshoot" in record.error or "stock" in record.error
    emulator.fates = []
    record = await made(cloud, owner, ALONE)
    assert record.state == "RUNNING"
    assert [group.wanted["ZoneId"] for group in emulator.alive()] == ["cn-test-b"]


async def test_a_zone_that_turns_out_to_be_sold_out_is_left(
    cloud: Environments, emulator: EciEmulator, owner: str
) -> None:
    emulator.fates = ["ScheduleFailed"]
    record = await made(cloud, owner, ALONE)
    assert record.state == "RUNNING"
    assert [group.wanted["ZoneId"] for group in emulator.alive()] == ["cn-test-b"]
    assert len(emulator.groups) == 2


@pytest.mark.parametrize("fate", ["Failed", "Expired"])
async def test_failure_gives_everything_back(
    cloud: Environments, emulator: EciEmulator, owner: str, fate: str, pool: Pool
) -> None:
    emulator.fates = ["", fate]
    record = await made(cloud, owner)
    assert record.state == "ERROR"
    assert fate in record.error
    assert emulator.alive() == []
    thread = f"environment:{record.id}"
    await asyncio.sleep(0.3)
    assert await count(pool, "SELECT count(*) AS n FROM checkpoints WHERE thread_id = %s", thread) == 0


async def test_a_deletion_that_fails_is_tried_again(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    record = await made(cloud, owner, ALONE)
    emulator.faults = [Fault("DeleteContainerGroup", "server_error", times=5)]
    deleting = await cloud.delete(owner, record.id)
    assert deleting.state == "DELETING"
    assert deleting.attempts == 1
    assert len(emulator.alive()) == 1
    await asyncio.sleep(0.1)
    swept = await cloud.reaper().sweep_now()
    assert swept is not None
    assert swept.removed == [record.id]
    assert (await cloud.get(owner, record.id)).state == "DELETED"
    assert emulator.alive() == []


async def test_deleted_while_it_is_being_made(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    record = await cloud.start(owner, REQUEST)
    await until(lambda: emulator.groups)
    await cloud.delete(owner, record.id)
    async with asyncio.timeout(15):
        assert (await cloud.wait(owner, record.id)).state == "DELETED"
    assert emulator.alive() == []


async def test_extension(local: Environments, owner: str) -> None:
    record = await made(local, owner, ALONE)
    extended = await local.extend(owner, record.id, 3)
    assert extended.expires_at is not None
    assert record.expires_at is not None
    assert extended.expires_at - record.expires_at == timedelta(hours=3)
    with pytest.raises(ConflictError, match="45 h more are possible"):
        await local.extend(owner, record.id, 46)
    with pytest.raises(InvalidInputError):
        await local.extend(owner, record.id, 0)


async def test_passwords_are_nowhere(
    cloud: Environments, emulator: EciEmulator, owner: str, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    record = await made(cloud, owner)
    assert record.secret is not None
    assert record.workspace_secret is not None
    for stored in (record.secret, record.workspace_secret):
        password = cloud.vault.decrypt(stored).get_secret_value()
        assert len(password) == 20
        assert password not in caplog.text
        assert password not in repr(record) + repr(public(record)) + repr(await cloud.history(owner, record.id))
        async with pool.connection() as held:
            for table in ("environments", "environment_history", "environment_groups", "checkpoints",
                          "checkpoint_blobs", "checkpoint_writes"):  # fmt: skip
                rows = await (await held.execute(f"SELECT * FROM {table}")).fetchall()
                assert password not in repr(rows), table
                assert not any(
                    password.encode() in value for row in rows for value in row.values() if isinstance(value, bytes)
                )


async def test_an_address_that_comes_late_is_waited_for(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    emulator.timing = replace(emulator.timing, address=0.6)
    record = await made(cloud, owner, ALONE)
    assert (record.state, record.host) == ("RUNNING", emulator.alive()[0].address)


async def test_in_a_storm_nothing_is_lost_or_made_twice(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    emulator.chance = {"throttle": 0.15, "server_error": 0.1, "lost_answer": 0.1, "refused_connection": 0.05}
    requests = [REQUEST.model_copy(update={"name": f"e{number}"}) for number in range(5)]
    records = [await cloud.start(owner, request) for request in requests]
    made = [await cloud.wait(owner, record.id) for record in records]
    running = {record.id for record in made if record.state == "RUNNING"}
    assert len(emulator.groups) <= 2 * len(records)
    for record in made:
        await cloud.delete(owner, record.id)
    async with asyncio.timeout(20):
        while emulator.alive():
            await cloud.reaper().sweep_now()
            await asyncio.sleep(0.1)
    states = {record.id: record.state for record in await cloud.list(owner, ended=True)}
    assert {states[name] for name in running} <= {"DELETED", "DELETING"}
