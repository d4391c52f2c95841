"""A run killed at every step: nothing is lost, and no write runs twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from e2e.paths import ROOT
from openai_server import Call, ScriptedOpenAI, Step, ToolCalls
from rich.console import Console

from core.postgres import Pool
from core.settings import Settings
from core.threads import Threads
from graph.host import Host, open_deps
from provision.workspace import Workspaces
from terminal.ask import LOCAL_USER
from terminal.conversation import Display, Turn, turn
from terminal.review import answer_all, approve_all

QUESTION = "look, then write one row to"
RENTING = "rent a server, and leave a line in the workspace of"
EVENTS = 80
RENTING_EVENTS = 115
# How many of them are tried.
RENTALS = int(os.environ.get("DDB_AGENT_TEST_KILLS", "4"))


def reply(body: dict[str, Any]) -> Step:
    """A model that looks, or rents, then writes once and answers, whatever it was told before."""
    messages = body["messages"]
    asked = max(position for position, message in enumerate(messages) if message["role"] == "user")
    content = messages[asked]["content"]
    table = content.split()[-1]
    results = [message for message in messages[asked:] if message["role"] == "tool"]
    if content.startswith(RENTING) and len(results) < 2:
        size = {"name": table, "cpu": 1, "memory": 2, "hours": 1}
        line = {"command": ["sh", "-c", "echo line >> lines"]}
        return ToolCalls(Call("run_command", line) if results else Call("create_environment", size))
    if not results:
        return ToolCalls(Call("run_dolphindb_script", {"script": f"exec count(*) from {table}"}))
    if len(results) == 1:
        return ToolCalls(Call("run_dolphindb_script", {"script": f"insert into {table} values(1); 1"}))
    return ToolCalls(Call("attempt_completion", {"answer": "done"}))


@pytest.fixture
def model(scripted_openai: ScriptedOpenAI) -> str:
    scripted_openai.add(*([reply] * 5000))
    entry = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 20}
    return json.dumps({"models": {"scripted": entry}})


@pytest.fixture
async def host(settings: Settings, pool: Pool, model: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    for name, value in PROVISION.items():
        monkeypatch.setenv(name, value)
    own = settings.model_copy(update={"models": model})
    async with open_deps(own, pool) as deps:
        yield Host(own, deps, pool, Threads(pool, artifacts=deps.artifacts))


PROVISION = {
    "DDB_AGENT_ENVIRONMENT_PROVIDER": "local",
    "DDB_AGENT_ENVIRONMENTS_PER_USER": "50",
    "DDB_AGENT_PROVISION_LEASE_SECONDS": "0.5",
    "DDB_AGENT_PROVISION_POLL_SECONDS": "0.05",
    "DDB_AGENT_REAPER_SECONDS": "600",
}


@dataclass
class Victims:
    """A process that starts runs which kill themselves."""

    process: asyncio.subprocess.Process

    async def ask(self, number: int, thread: str, question: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = json.dumps({"number": number, "thread": thread, "question": question})
        self.process.stdin.write(line.encode() + b"\n")
        return int(await asyncio.wait_for(self.process.stdout.readline(), 60))


@pytest.fixture
async def victims(host: Host, child_environment: dict[str, str], model: str) -> AsyncIterator[Victims]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("killed.py")), cwd=ROOT,
        env={
            **child_environment, **PROVISION, "DDB_AGENT_DATA_DIR": str(host.settings.data_dir),
            "DDB_AGENT_MODELS": model,
        },
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield Victims(process)
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.wait_for(process.wait(), 20)


async def evaluate(host: Host, script: str) -> Any:
    environment = await host.deps.environment(LOCAL_USER, "default")
    return await host.deps.sessions.evaluate(environment, "test", script)


async def go_on(host: Host, thread: str, text: str | None) -> Turn:
    return await turn(
        host,
        LOCAL_USER,
        thread,
        text,
        display=Display(Console(), quiet=True),
        review=approve_all,
        answer_waiting=answer_all,
    )


async def killed_and_resumed(host: Host, victims: Victims, number: int) -> bool:
    """One run killed at event `number` and gone on with; False when it ended before that event."""
    table, thread = f"kill_{uuid4().hex[:10]}", str(uuid4())
    await evaluate(host, f"share table(100:0, [`n], [INT]) as {table}; 1")
    question = f"{QUESTION} {table}"
    count = f"exec count(*) from {table}"
    status = await victims.ask(number, thread, question)
    if status != -signal.SIGKILL:
        assert status == 0
        assert await evaluate(host, count) == 1
        return False
    written = await evaluate(host, count)
    ended = await go_on(host, thread, None)
    if ended.answer is None and ended.waiting is None:
        assert written == 0, f"killed at event {number}: the question was lost, yet something was written"
        ended = await go_on(host, thread, question)
    if ended.waiting is not None:
        assert [action["name"] for action in ended.waiting["action_requests"]] == ["unfinished_write"]
        ended = await go_on(host, thread, "I looked, leave it as it is")
        assert await evaluate(host, count) == written, f"killed at event {number}"
    else:
        assert await evaluate(host, count) == 1, f"killed at event {number}"
    assert ended.answer is not None, f"killed at event {number}"
    assert ended.answer["status"] == "completed"
    assert ended.answer["text"] == "done"
    return True


@pytest.mark.timeout(300)
async def test_a_run_killed_anywhere_goes_on_and_writes_once(host: Host, victims: Victims) -> None:
    await evaluate(host, "1")
    number = 0
    while await killed_and_resumed(host, victims, number):
        number += 1
        assert number < EVENTS, "a run has more events than that"
    assert number > 20


async def rented_and_killed(host: Host, victims: Victims, number: int) -> bool:
    """One run that rents, killed at event `number` and gone on with; False when it ended before that event."""
    name, thread = f"kill-{uuid4().hex[:10]}", str(uuid4())
    question = f"{RENTING} {name}"
    environments = host.deps.environments
    status = await victims.ask(number, thread, question)
    if status == -signal.SIGKILL:
        ended = await go_on(host, thread, None)
        if ended.answer is None and ended.waiting is None:
            ended = await go_on(host, thread, question)
        may_be_missing = ended.waiting is not None
        if ended.waiting is not None:
            assert [action["name"] for action in ended.waiting["action_requests"]] == ["unfinished_write"]
            ended = await go_on(host, thread, "leave it as it is")
        assert ended.answer is not None, f"killed at event {number}"
        assert ended.answer["status"] == "completed"
    else:
        assert status == 0
        may_be_missing = False
    records = [each for each in await environments.list(LOCAL_USER, ended=True, limit=1000) if each.name == name]
    assert [record.state for record in records] == ["RUNNING"], f"killed at event {number}"
    try:
        found = await Workspaces(environments).list(LOCAL_USER, records[0].id)
        lines = await Workspaces(environments).read(LOCAL_USER, records[0].id, "lines") if found else (b"", 0)
        assert lines[0] == b"line\n" or (may_be_missing and not found), f"killed at event {number}: {lines}"
    finally:
        await environments.delete(LOCAL_USER, records[0].id)
    return status == -signal.SIGKILL


@pytest.mark.timeout(900)
async def test_a_run_that_rents_killed_anywhere_makes_one_server(host: Host, victims: Victims, pool: Pool) -> None:
    async with pool.connection() as held:
        await held.execute("TRUNCATE environments, orphans CASCADE")
    chance = random.Random(5)
    numbers = chance.sample(range(RENTING_EVENTS), RENTALS)
    killed = [await rented_and_killed(host, victims, number) for number in numbers]
    assert any(killed)
