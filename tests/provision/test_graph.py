from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from eci_emulator import EciEmulator
from eci_emulator.waiting import until
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from core.checkpointer import checkpointer
from core.errors import ConflictError, InvalidInputError
from provision.graph import ProvisionContext
from provision.service import Environments

MANY = int(os.environ.get("DDB_AGENT_TEST_MANY", "16"))
REQUEST = {"name": "asked", "cpu": 1, "memory": 2, "hours": 2, "workspace": True}


@pytest.fixture
async def run(cloud: Environments, owner: str) -> Any:
    """Runs the graph on one thread: `await run(input or Command)` gives what it returned and what it said."""
    graph = cloud.build_graph().compile(checkpointer=checkpointer(cloud.pool))
    config = RunnableConfig(configurable={"thread_id": str(uuid4())})

    async def start(given: Any) -> tuple[dict[str, Any], list[str]]:
        said, interrupts, values = [], [], {}
        async for part in graph.astream(
            given,
            config,
            context=ProvisionContext(owner),
            stream_mode=["values", "custom"],
            durability="sync",
            version="v2",
        ):
            if part["type"] == "custom":
                said.append(f"{part['data']['step']}: {part['data']['message']}")
            else:
                values = dict(part["data"])
                interrupts.extend(part.get("interrupts") or ())
        return {**values, "asked": [each.value for each in interrupts]}, said

    return start


async def test_a_person_is_asked_and_told(run: Any, cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    waiting, _ = await run({"request": REQUEST})
    [asked] = waiting["asked"]
    assert asked["action_requests"] == [
        {
            "name": "create_environment",
            "args": {**REQUEST, "spot": False},
            "description": "Create a DolphinDB server with 1 vCPUs and 2 GiB on eci cn-test with a workspace for 2 h:"
            " about 0.98 CNY (an estimate).",
        }
    ]
    assert asked["review_configs"] == [
        {"action_name": "create_environment", "allowed_decisions": ["approve", "edit", "reject"]}
    ]
    assert emulator.groups == {}
    assert [record.state for record in await cloud.list(owner)] == ["PENDING"]
    done, said = await run(Command(resume={"decisions": [{"type": "approve"}]}))
    assert (done["state"], done["error"]) == ("RUNNING", "")
    assert [line.partition(":")[0] for line in said if "begun" not in line] == [
        "confirm", "create_database", "wait_database", "secure", "create_workspace", "wait_workspace", "check",
    ]  # fmt: skip
    assert done["version"].startswith("3.")


async def test_what_the_person_changed_is_made(
    run: Any, emulator: EciEmulator, cloud: Environments, owner: str
) -> None:
    await run({"request": REQUEST})
    edited = {
        "type": "edit",
        "edited_action": {"name": "create_environment", "args": {**REQUEST, "cpu": 2, "memory": 8, "workspace": False}},
    }
    done, _ = await run(Command(resume={"decisions": [edited]}))
    assert done["state"] == "RUNNING"
    assert [(group.wanted["Cpu"], group.wanted["Memory"]) for group in emulator.alive()] == [("2.0", "8.0")]
    [record] = await cloud.list(owner)
    assert (record.cpu, record.memory, record.workspace) == (2, 8, False)


@pytest.mark.parametrize(
    "answer",
    [{"type": "reject", "message": "too dear"}, {"type": "edit", "edited_action": {"args": {**REQUEST, "cpu": 3}}}],
)
async def test_nothing_is_made_unless_agreed(
    run: Any, emulator: EciEmulator, cloud: Environments, owner: str, answer: Any
) -> None:
    await run({"request": REQUEST})
    done, _ = await run(Command(resume={"decisions": [answer]}))
    assert done["state"] in ("DELETED", "ERROR")
    assert done["error"]
    assert emulator.groups == {}
    assert await cloud.list(owner) == []


async def test_a_request_that_cannot_be_met(run: Any, cloud: Environments, owner: str) -> None:
    with pytest.raises(InvalidInputError, match="not sold"):
        await run({"request": {**REQUEST, "memory": 3}})
    assert await cloud.list(owner, ended=True) == []


async def test_cancelling_gives_everything_back(
    run: Any, emulator: EciEmulator, cloud: Environments, owner: str
) -> None:
    making = asyncio.create_task(run({"request": REQUEST, "approved": True}))
    await until(lambda: emulator.groups)
    await asyncio.sleep(0.2)  # into the waiting; between two steps a cancellation is left to the reaper
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await until(lambda: not emulator.alive())
    [record] = await cloud.list(owner, ended=True)
    assert (record.state, record.error) == ("ERROR", "It was cancelled.")


async def test_many_side_by_side(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    from provision.specs import EnvironmentRequest

    request = EnvironmentRequest(name="many", cpu=1, memory=2, hours=1, workspace=False)
    owners = [f"{owner}-{number}" for number in range(MANY)]
    began = time.monotonic()
    records = [await cloud.start(each, request) for each in owners]
    made = await asyncio.gather(*(cloud.wait(each, record.id) for each, record in zip(owners, records, strict=True)))
    took = time.monotonic() - began
    assert {record.state for record in made} == {"RUNNING"}, {record.error for record in made}
    assert len(emulator.alive()) == MANY
    pages = -(-MANY // 20)
    polls, described = cloud.steps.watch.polls, emulator.calls["DescribeContainerGroups"]
    assert described <= polls * pages
    assert polls <= took / cloud.settings.provision_poll_seconds + 1
    await asyncio.gather(*(cloud.delete(each, record.id) for each, record in zip(owners, records, strict=True)))
    assert emulator.alive() == []
    spent = sum(group.billed for group in emulator.groups.values())
    print(f"{MANY} environments in {took:.1f} s; {polls} polls, {described} requests; {spent / 60:.2f} group-minutes")


async def test_one_that_takes_long_holds_nobody_up(cloud: Environments, emulator: EciEmulator, owner: str) -> None:
    from provision.specs import EnvironmentRequest

    request = EnvironmentRequest(name="slow", cpu=1, memory=2, hours=1, workspace=False)
    quick, emulator.timing = emulator.timing, replace(emulator.timing, running=60)
    slow = await cloud.start(owner, request)
    await until(lambda: emulator.groups)
    emulator.timing = quick
    for name in ("one", "two"):
        record = await cloud.start(owner, request.model_copy(update={"name": name}))
        assert (await cloud.wait(owner, record.id)).state == "RUNNING"
    assert (await cloud.get(owner, slow.id)).state == "PROVISIONING"
    await cloud.delete(owner, slow.id)
    assert len(emulator.alive()) == 2


async def test_names_of_another_are_free(cloud: Environments, owner: str) -> None:
    from provision.specs import EnvironmentRequest

    request = EnvironmentRequest(name="same", cpu=1, memory=2, hours=1, workspace=False)
    await cloud.start(owner, request)
    await cloud.start("another", request)
    with pytest.raises(ConflictError):
        await cloud.start(owner, request)
