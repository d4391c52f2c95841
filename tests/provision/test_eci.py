from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from alibabacloud_credentials.utils import auth_util
from eci_emulator import EciEmulator, Fault
from eci_emulator.settings import eci_settings

from core.errors import ConfigurationError
from provision.eci import EciProvider
from provision.provider import (
    Group,
    GroupRequest,
    NoStockError,
    ProviderError,
    ProviderUnavailableError,
    TokenConflictError,
)


def wanted(token: str = "t1", role: Any = "database", **changes: Any) -> GroupRequest:
    values = {"name": f"ddb-agent-{token}", "cpu": 1, "memory": 2, "zone": "cn-test-a", "tags": {"a": token}, **changes}
    return GroupRequest(client_token=token, role=role, **values)


async def ready(eci: EciProvider, group_id: str) -> Group:
    async with asyncio.timeout(10):
        while True:
            group = (await eci.describe([group_id])).get(group_id)
            if group is not None and group.status == "running" and group.host:
                return group
            await asyncio.sleep(0.02)


async def test_create_describe_delete(eci: EciProvider, emulator: EciEmulator) -> None:
    emulator.timing = replace(emulator.timing, running=1.0)
    group_id = await eci.create(wanted(variables={"A": "1"}))
    assert (await eci.describe([group_id]))[group_id].status == "starting"
    group = await ready(eci, group_id)
    assert group.zone == "cn-test-a"
    assert group.tags == {"a": "t1"}
    assert [found.id for found in await eci.find({"a": "t1"})] == [group_id]
    assert await eci.find({"a": "other"}) == []
    sent = emulator.requests[0][1]
    assert sent["VSwitchId"] == "vsw-a"
    assert sent["EipBandwidth"] == "5"
    await eci.delete(group_id)
    await eci.delete(group_id)
    await asyncio.sleep(emulator.timing.gone)
    assert await eci.describe([group_id]) == {}


async def test_spot_capacity_and_private_images(emulator: EciEmulator) -> None:
    registry = {
        "eci_registry_server": "registry.example.com", "eci_registry_user": "puller", "eci_resource_group": "rg-1",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="incomplete"):
        EciProvider(eci_settings(emulator, **registry))
    eci = EciProvider(eci_settings(emulator, **registry, eci_registry_password="pull-secret", eci_image_cache=True))
    await eci.create(wanted(spot=True))
    await eci.create(wanted("t2"))
    spot, regular = (parameters for action, parameters in emulator.requests if action == "CreateContainerGroup")
    assert (spot["SpotStrategy"], "SpotStrategy" in regular) == ("SpotAsPriceGo", False)
    assert (spot["AutoMatchImageCache"], spot["ResourceGroupId"]) == ("True", "rg-1")
    [credential] = spot["ImageRegistryCredential"]
    assert credential == {"Server": "registry.example.com", "UserName": "puller", "Password": "pull-secret"}
    await eci.aclose()


async def test_the_same_token_makes_one_group(eci: EciProvider, emulator: EciEmulator) -> None:
    assert await eci.create(wanted()) == await eci.create(wanted())
    assert len(emulator.groups) == 1
    with pytest.raises(TokenConflictError):
        await eci.create(wanted(memory=4))


async def test_an_answer_that_is_lost_does_not_make_a_second_group(eci: EciProvider, emulator: EciEmulator) -> None:
    emulator.faults = [Fault("CreateContainerGroup", "lost_answer", times=2)]
    group_id = await eci.create(wanted())
    assert list(emulator.groups) == [group_id]
    assert emulator.calls["CreateContainerGroup"] == 3


@pytest.mark.parametrize("kind", ["throttle", "server_error", "refused_connection"])
async def test_passing_faults_are_tried_again(eci: EciProvider, emulator: EciEmulator, kind: Any) -> None:
    emulator.faults = [Fault("CreateContainerGroup", kind, times=3)]
    await eci.create(wanted())
    assert len(emulator.groups) == 1
    emulator.faults = [Fault("DeleteContainerGroup", kind, times=99)]
    with pytest.raises(ProviderUnavailableError):
        await eci.delete(next(iter(emulator.groups)))


async def test_refusals_carry_the_recommendation(eci: EciProvider, emulator: EciEmulator) -> None:
    emulator.faults = [Fault("CreateContainerGroup", "no_stock"), Fault("CreateContainerGroup", "quota")]
    with pytest.raises(NoStockError, match="troubleshoot"):
        await eci.create(wanted())
    with pytest.raises(ProviderError, match=r"QuotaExceeded.*raise the quota.*troubleshoot\?q=QuotaExceeded"):
        await eci.create(wanted())
    assert emulator.calls["CreateContainerGroup"] == 2


async def test_parameters_are_those_the_api_takes(eci: EciProvider) -> None:
    with pytest.raises(ProviderError, match="is not sold"):
        await eci.create(wanted(cpu=3))


async def test_a_wrong_secret_is_refused(emulator: EciEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_util, "environment_access_key_secret", "wrong")
    with pytest.raises(ProviderError, match=r"SignatureDoesNotMatch.*clock"):
        await EciProvider(eci_settings(emulator)).create(wanted())
    assert emulator.groups == {}


async def test_many_groups_are_described_together(eci: EciProvider, emulator: EciEmulator) -> None:
    ids = [await eci.create(wanted(f"t{number}")) for number in range(23)]
    found = await eci.describe(ids)
    assert set(found) == set(ids)
    assert emulator.calls["DescribeContainerGroups"] == 2
    assert len(await eci.find({})) == 23
    for group_id in ids:
        await eci.delete(group_id)


async def test_commands(eci: EciProvider) -> None:
    group_id = await eci.create(wanted(role="workspace"))
    await ready(eci, group_id)
    data = bytes(range(256)) * 12_000
    result = await eci.exec(group_id, ["cat"], stdin=data, timeout=20)
    assert (result.stdout, result.stderr, result.status) == (data, b"", 0)
    result = await eci.exec(
        group_id, ["sh", "-c", 'printf "%s" "$1"; echo bad >&2; exit 7', "x", "a'b $HOME\n"], timeout=20
    )
    assert (result.stdout, result.stderr, result.status) == (b"a'b $HOME\n", b"bad\n", 7)
    with pytest.raises(TimeoutError):
        await eci.exec(group_id, ["sleep", "5"], timeout=0.3)
