from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import pytest
from eci_emulator import EciEmulator
from langgraph.graph import END, START, StateGraph

from core.errors import ConflictError, InvalidInputError, NotFoundError, UserError
from core.postgres import Pool
from dolphin.sessions import Sessions
from graph.tools.base import Tool, ToolScope
from graph.tools.environments import environment_tools
from graph.tools.workspace import workspace_tools
from provision.local import LocalProvider
from provision.service import Environments
from provision.specs import EnvironmentRequest
from provision.tickets import Tickets
from provision.workspace import Workspaces

REQUEST = EnvironmentRequest(name="test", cpu=1, memory=2, hours=1)


@pytest.fixture(params=["local", "cloud"])
async def environments(
    request: pytest.FixtureRequest, local: Environments, cloud: Environments, owner: str
) -> Environments:
    found = local if request.param == "local" else cloud
    record = await found.wait(owner, (await found.start(owner, REQUEST)).id)
    assert record.state == "RUNNING", record.error
    return found


@pytest.fixture
def files(environments: Environments) -> Workspaces:
    return Workspaces(environments)


async def folder(environments: Environments, emulator: EciEmulator) -> Path:
    if isinstance(environments.provider, LocalProvider):
        [group] = [each for each in await environments.provider.find({}) if each.host is None]
        return environments.provider.workspace(group.id)
    return next(group.folder for group in emulator.alive() if group.role == "workspace") / "project"


async def test_files(files: Workspaces, environments: Environments, emulator: EciEmulator, owner: str) -> None:
    data = bytes(range(256)) * 10_000
    await files.write(owner, "test", "a b/'q'/$HOME.bin", data)
    assert await files.read(owner, "test", "a b/'q'/$HOME.bin") == (data, len(data))
    await files.write(owner, "test", "a b/'q'/$HOME.bin", b"short")
    assert await files.read(owner, "test", "a b/'q'/$HOME.bin", limit=2) == (b"sh", 5)
    listed = await files.list(owner, "test")
    assert [(each.path, each.kind) for each in listed] == [
        ("a b", "folder"), ("a b/'q'", "folder"), ("a b/'q'/$HOME.bin", "file"),
    ]  # fmt: skip
    with pytest.raises(NotFoundError):
        await files.read(owner, "test", "missing")
    with pytest.raises(NotFoundError):
        await files.read("somebody else", "test", "a")

    root = await folder(environments, emulator)
    (root.parent / "secret").write_text("hush")
    (root / "link").symlink_to(root.parent)
    for path in ("../secret", "/etc/passwd", "link/secret", "a b/../../secret"):
        with pytest.raises(InvalidInputError, match="leads out"):
            await files.read(owner, "test", path)
        with pytest.raises(InvalidInputError, match="leads out"):
            await files.write(owner, "test", path, b"x")
    with pytest.raises(InvalidInputError, match="leads out"):
        await files.list(owner, "test", "link")
    for path in ("a\0b", "x" * 1001, "\ud800"):
        with pytest.raises(InvalidInputError, match="cannot name a file"):
            await files.write(owner, "test", path, b"x")
        with pytest.raises(InvalidInputError, match="cannot name a file"):
            await files.read(owner, "test", path)
    with pytest.raises(InvalidInputError, match="names no program"):
        await files.run(owner, "test", ["echo", "\ud800"])
    for path in ("-rf", "$(touch made)", "~root", "名前/ファイル.txt", "a\nb"):
        await files.write(owner, "test", path, b"x")
        assert await files.read(owner, "test", path) == (b"x", 1)
    assert not (root / "made").exists()
    assert (root.parent / "secret").read_text() == "hush"


async def test_commands(files: Workspaces, owner: str) -> None:
    await files.write(owner, "test", "numbers.txt", b"3\n1\n2\n")
    result = await files.run(owner, "test", ["sort", "numbers.txt"])
    assert (result.stdout, result.status) == (b"1\n2\n3\n", 0)
    result = await files.run(owner, "test", ["printf", "%s", "$(id); `id`"])
    assert result.stdout == b"$(id); `id`"
    assert (await files.run(owner, "test", ["no-such-program"])).status == 127
    with pytest.raises(UserError, match="took longer"):
        await files.run(owner, "test", ["sleep", "9"], seconds=0.3)


async def test_commands_on_this_machine_are_not_for_everybody(local: Environments, owner: str) -> None:
    files = Workspaces(local)
    for name in (owner, "local"):
        await local.wait(name, (await local.start(name, REQUEST)).id)
    for setting, allowed in ((None, {"local"}), (False, set()), (True, {"local", owner})):
        local.settings = local.settings.model_copy(update={"local_commands": setting})
        for name in (owner, "local"):
            if name in allowed:
                assert (await files.run(name, "test", ["true"])).status == 0
                continue
            with pytest.raises(ConflictError, match="may not be run"):
                await files.run(name, "test", ["true"])
    await files.write(owner, "test", "a", b"b")
    assert await files.read(owner, "test", "a") == (b"b", 1)


async def test_tickets(local: Environments, owner: str, pool: Pool) -> None:
    record = await local.start(owner, REQUEST)
    tickets = Tickets(pool)
    ticket = await tickets.issue(record)
    with pytest.raises(NotFoundError):
        await tickets.redeem(ticket, "env-other")
    assert await tickets.redeem(ticket, record.id) == owner
    with pytest.raises(NotFoundError):
        await tickets.redeem(ticket, record.id)
    late = await tickets.issue(record)
    async with pool.connection() as held:
        await held.execute("UPDATE workspace_tickets SET expires_at = now() - interval '1 second'")
    with pytest.raises(NotFoundError):
        await tickets.redeem(late, record.id)
    await local.wait(owner, record.id)


class Called(TypedDict):
    content: str


class Caller:
    """Calls tools inside a graph, as the agent does."""

    def __init__(self, environments: Environments, owner: str) -> None:
        self.sessions = Sessions()
        tools = [
            *environment_tools(environments, self.sessions),
            *workspace_tools(Workspaces(environments), self.sessions),
        ]
        self.tools: dict[str, Tool] = {tool.name: tool for tool in tools}
        self.environments = environments
        self.owner = owner
        self.said: list[Any] = []
        self.used: str | None = None

    async def __call__(self, name: str, /, **arguments: Any) -> str:
        tool = self.tools[name]
        assert tool.run is not None
        reference = self.used or "default"
        resolve = partial(self.environments.resolve, self.owner, reference)
        scope = ToolScope(self.owner, "thread-1", reference, resolve, 60, "reply:call")

        async def node(_state: Called) -> Called:
            assert tool.run is not None
            return {"content": (await tool.run(tool.parse(arguments), scope)).content}

        graph = StateGraph(Called)
        graph.add_node("tools", node)
        graph.add_edge(START, "tools")
        graph.add_edge("tools", END)
        content = ""
        async for kind, part in graph.compile().astream({"content": ""}, stream_mode=["custom", "values"]):
            if kind == "custom":
                self.said.append(part)
            else:
                content = part["content"]
        return content


@pytest.fixture
def call(cloud: Environments, owner: str) -> Caller:
    return Caller(cloud, owner)


async def check_loading(call: Caller) -> None:
    lines = [f"2024.01.{day:02},A{day},{day / 2},城\n" for day in range(1, 32)] * 100
    await call("write_file", path="in/days.csv", content="day,code,value,place\n" + "".join(lines))
    loaded = await call("load_file", path="in/days.csv", table="days")
    assert loaded == "Loaded in/days.csv as the in-memory table days, 3100 rows."
    assert call.used is not None
    server = await call.environments.resolve(call.owner, call.used)
    types = "concat(schema(days).colDefs.typeString, ' ')"
    assert await call.sessions.evaluate(server, "thread-1", types) == "DATE SYMBOL DOUBLE SYMBOL"
    assert await call.sessions.evaluate(server, "thread-1", "exec count(*) from days where place = '城'") == 3100
    left = "exec count(*) from files(getHomeDir()) where filename like '%.csv'"
    assert await call.sessions.evaluate(server, "thread-1", left) == 0
    await call("write_file", path="empty.csv", content="")
    with pytest.raises(InvalidInputError, match="not a UTF-8 text file"):
        await call("load_file", path="empty.csv", table="t")
    with pytest.raises(InvalidInputError, match="leads out"):
        await call("load_file", path="../secret.csv", table="t")
    assert await call("run_command", command=["rm", "-r", "in", "empty.csv"]) == "exit status 0\n"
    await call.sessions.aclose()


async def test_tools(call: Caller, emulator: EciEmulator) -> None:
    size = {"name": "mine", "cpu": 1, "memory": 2, "hours": 1}
    create = call.tools["create_environment"]
    assert create.review is not None
    assert "about 0.49 CNY (an estimate)" in await create.review.describe(create.parse(size), call.owner)
    made = json.loads(await call("create_environment", **size))["environment"]
    assert made["state"] == "RUNNING"
    assert "host" not in made
    assert [each["step"] for each in call.said if each["step"] in ("approved", "secured", "running")] == [
        "approved", "secured", "running",
    ]  # fmt: skip
    again = json.loads(await call("create_environment", **size))["environment"]
    assert again["environment_id"] == made["environment_id"]
    assert len(emulator.alive()) == 2
    call.used = made["environment_id"]
    assert await call("write_file", path="a.dos", content="1 + 1\n") == "Wrote a.dos, 6 bytes."
    assert await call("read_file", path="a.dos") == "1 + 1\n"
    assert json.loads(await call("list_files")) == [{"path": "a.dos", "kind": "file", "size": 6}]
    assert await call("run_command", command=["wc", "-l", "a.dos"]) == "exit status 0\n1 a.dos\n"
    await check_loading(call)
    listed = json.loads(await call("list_environments"))
    assert [each["name"] for each in listed["environments"]] == ["mine"]
    extended = json.loads(await call("extend_environment", environment="mine", hours=2))["environment"]
    assert extended["expires_at"] > made["expires_at"]
    assert json.loads(await call("delete_environment", environment="mine"))["environment"]["state"] == "DELETED"
    assert emulator.alive() == []
