"""Servers rented by the agent: asked for, used, left and given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest
from agent.driver import Conversation, conversation, done, run
from langchain_core.messages import AIMessageChunk
from langgraph.runtime import RunControl
from langgraph.types import Command
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Call, Text, ToolCalls

from core.postgres import Pool
from graph.host import Host, run_config
from graph.tools import environments as tools
from provision.specs import EnvironmentRequest
from terminal.console import TextConsole
from terminal.conversation import Display

pytestmark = pytest.mark.host_settings(script_timeout=60)

APPROVE = {"type": "approve"}
SIZE = {"name": "mine", "cpu": 1, "memory": 2, "hours": 1}
CREATE = Call("create_environment", SIZE)


@pytest.fixture(autouse=True)
async def no_environments(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDB_AGENT_ENVIRONMENT_PROVIDER", "local")
    monkeypatch.setenv("DDB_AGENT_PROVISION_POLL_SECONDS", "0.05")
    async with pool.connection() as held:
        await held.execute("TRUNCATE environments, orphans CASCADE")


@pytest.fixture
async def talk(host: Host) -> AsyncIterator[Conversation]:
    yield await conversation(host)
    for record in await host.deps.environments.list("local"):
        await host.deps.environments.delete("local", record.id)


async def rented(talk: Conversation, model: ScriptedOpenAI, **more: Any) -> str:
    """The id of an environment that the thread has rented and works in."""
    model.add(ToolCalls(Call("create_environment", {**SIZE, **more})), done("It is there."))
    await talk.ask("rent a server")
    await talk.decide(APPROVE)
    [record] = [each for each in await talk.host.deps.environments.list("local") if each.thread_id == talk.thread_id]
    assert record.state == "RUNNING", record.error
    return record.id


async def values(talk: Conversation) -> dict[str, Any]:
    return dict((await talk.host.state("local", talk.thread_id)).values)


async def test_an_environment_is_asked_for_with_its_price_and_worked_in(
    talk: Conversation, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(ToolCalls(CREATE), ToolCalls(run("x = 6; x * 7")), done("42"))
    await talk.ask("rent a server and multiply")
    assert talk.waiting is not None
    [action] = talk.waiting["action_requests"]
    assert action["description"] == (
        "Create a DolphinDB server with 1 vCPUs and 2 GiB on this machine with a workspace for 1 h: free of charge."
    )
    assert action["args"] == {**SIZE, "workspace": True, "spot": False}
    assert talk.waiting["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject"]
    events = await talk.events(APPROVE)
    steps = [event["step"] for event in events if event["event"] == "provisioning"]
    assert [step for step in steps if step in ("approved", "secured", "running")] == ["approved", "secured", "running"]
    [record] = await talk.host.deps.environments.list("local")
    assert (await values(talk))["environment"] == record.id
    assert talk.answer is not None
    assert talk.answer["text"] == f"42\n\nThis thread now works in the environment mine ({record.id})."
    assert "42" in (await talk.tool_results())[1].text
    seen = scripted_openai.requests[-1].messages[0]["content"]
    assert f"DolphinDB environment: 'mine' ({record.id}), rented, 1 vCPUs, 2 GiB, with a workspace" in seen
    server = await talk.host.deps.environment("local", record.id)
    assert server.password.get_secret_value() not in json.dumps([r.body for r in scripted_openai.requests])
    assert await talk.host.deps.sessions.evaluate(server, talk.thread_id, "x") == 6


async def test_a_rejected_environment_is_not_made(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(CREATE), Text("Then not."))
    await talk.ask("rent a server")
    await talk.decide({"type": "reject", "message": "too dear"})
    assert "too dear" in (await talk.tool_results())[0].text
    assert await talk.host.deps.environments.list("local", ended=True) == []
    assert talk.answer is not None
    assert talk.answer["text"] == "Then not."


async def test_an_edited_environment_is_made_as_edited(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(CREATE), done("made"))
    await talk.ask("rent a server")
    args = {**SIZE, "name": "smaller", "cpu": 0.5, "memory": 1, "workspace": False}
    await talk.decide({"type": "edit", "edited_action": {"name": "create_environment", "args": args}})
    [record] = await talk.host.deps.environments.list("local")
    assert (record.name, record.cpu, record.memory, record.workspace) == ("smaller", 0.5, 1, False)
    assert '"name":"smaller"' in (await talk.tool_results())[0].text


async def test_what_is_not_sold_is_not_asked_about(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(Call("create_environment", {**SIZE, "memory": 3})), Text("Not sold."))
    await talk.ask("rent a server")
    assert talk.waiting is None
    assert "Choose 2, 4, 8 GiB" in (await talk.tool_results())[0].text


async def test_what_would_be_refused_is_not_asked_about(
    talk: Conversation, scripted_openai: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rented(talk, scripted_openai)
    scripted_openai.add(ToolCalls(CREATE), Text("There is one."))
    await talk.ask("rent a server")
    assert talk.waiting is None
    assert "an environment named 'mine' already" in (await talk.tool_results())[-1].text
    environments = talk.host.deps.environments
    settings = environments.settings.model_copy(update={"environments_per_user": 1})
    monkeypatch.setattr(environments, "settings", settings)
    scripted_openai.add(ToolCalls(Call("create_environment", {**SIZE, "name": "second"})), Text("Too many."))
    await talk.ask("rent another server")
    assert talk.waiting is None
    assert "1 is the limit" in (await talk.tool_results())[-1].text


@pytest.mark.host_settings(script_timeout=60, allowed_effects=("read", "session", "admin", "destroy"))
async def test_a_policy_may_allow_renting(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(CREATE), ToolCalls(Call("delete_environment", {"environment": "mine"})), done("ok"))
    await talk.ask("rent a server and give it back")
    assert talk.answer is not None
    assert [message.status for message in await talk.tool_results()][:2] == ["success", "success"]
    [record] = await talk.host.deps.environments.list("local", ended=True)
    assert record.state == "DELETED"


async def test_tools_are_those_of_the_environment(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("hello"), Text("a plan"))
    await talk.ask("hello")
    await talk.ask("hello", mode="plan")
    first, planning = (set(request.tool_names) for request in scripted_openai.requests)
    assert {"create_environment", "list_environments"} <= first
    assert not {"use_environment", "delete_environment", "extend_environment", "write_file", "run_command"} & first
    assert "list_environments" in planning
    assert not {"create_environment", "delete_environment"} & planning
    await talk.ask("back", mode="act")
    await rented(talk, scripted_openai)
    assert {"use_environment", "delete_environment", "extend_environment", "write_file", "run_command"} <= set(
        scripted_openai.requests[-1].tool_names
    )
    scripted_openai.add(Text("a plan"))
    await talk.ask("look", mode="plan")
    planning = set(scripted_openai.requests[-1].tool_names)
    assert {"list_environments", "read_file", "list_files"} <= planning
    assert not {"write_file", "run_command", "use_environment", "extend_environment"} & planning


async def test_files_and_commands_of_the_workspace(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    await rented(talk, scripted_openai)
    write = Call("write_file", {"path": "scripts/a.dos", "content": "1 + 1\n"})
    command = Call("run_command", {"command": ["wc", "-c", "scripts/a.dos"]})
    scripted_openai.add(ToolCalls(write), ToolCalls(command), ToolCalls(Call("list_files")), done("there"))
    await talk.ask("write the script and count it")
    assert talk.waiting is not None
    [action] = talk.waiting["action_requests"]
    assert action["description"] == "Write scripts/a.dos (6 characters) in the workspace."
    assert action["args"]["content"] == "1 + 1\n"
    await talk.decide(APPROVE)
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["description"].startswith('Run in the workspace: ["wc", "-c"')
    await talk.decide(APPROVE)
    assert talk.answer is not None
    texts = [message.text for message in await talk.tool_results()]
    assert "exit status 0\n6 scripts/a.dos\n" in texts
    assert json.loads(texts[-2])[-1] == {"path": "scripts/a.dos", "kind": "file", "size": 6}
    entries = await talk.host.deps.ledger.open_entries("local", talk.thread_id)
    assert entries == []


async def test_variables_stay_behind_and_old_knowledge_counts_no_more(
    talk: Conversation, scripted_openai: ScriptedOpenAI
) -> None:
    """A table that was the session's own may be a shared one elsewhere: a write to it is asked about again."""
    scripted_openai.add(ToolCalls(run("t = table(1 2 3 as n); 1")), ToolCalls(run("delete from t; 1")), done("emptied"))
    await talk.ask("make a table and empty it")
    assert talk.answer is not None
    environment = await rented(talk, scripted_openai)
    scripted_openai.add(ToolCalls(run("delete from t; 1")), Text("no"))
    await talk.ask("empty it")
    assert talk.waiting is not None
    await talk.decide({"type": "reject"})
    scripted_openai.add(
        ToolCalls(Call("use_environment", {"environment": "default"})), ToolCalls(run("t")), Text("It is gone.")
    )
    await talk.ask("go back")
    assert talk.answer is not None
    assert talk.answer["text"].endswith("This thread now works in the environment default.")
    assert "The session was lost" in (await talk.tool_results())[-1].text
    scripted_openai.add(ToolCalls(Call("use_environment", {"environment": "mine"})), Text("Back."))
    await talk.ask("and back")
    assert (await values(talk))["environment"] == environment


async def test_a_call_behind_a_move_is_not_run(talk: Conversation, scripted_openai: ScriptedOpenAI) -> None:
    await rented(talk, scripted_openai)
    back = Call("use_environment", {"environment": "default"})
    scripted_openai.add(ToolCalls(run("1 + 1"), back, run("2 + 2")), done("ok"))
    await talk.ask("move in the middle")
    first, moved, behind = (await talk.tool_results())[-4:-1]
    assert (first.status, moved.status, behind.status) == ("success", "success", "error")
    assert "changes the environment" in behind.text


async def test_an_environment_is_not_given_back_when_saving_failed(
    talk: Conversation, scripted_openai: ScriptedOpenAI
) -> None:
    environment = await rented(talk, scripted_openai)
    lost = Call("read_file", {"path": "missing"})
    scripted_openai.add(ToolCalls(lost, Call("delete_environment", {"environment": "mine"})), Text("Stopped."))
    await talk.ask("read and delete")
    await talk.decide(APPROVE)
    assert "a call before it failed" in (await talk.tool_results())[-1].text
    assert (await talk.host.deps.environments.get("local", environment)).state == "RUNNING"


async def test_after_its_deletion_the_thread_is_told_what_to_do(
    talk: Conversation, scripted_openai: ScriptedOpenAI
) -> None:
    environment = await rented(talk, scripted_openai)
    scripted_openai.add(ToolCalls(run("x = 1")), ToolCalls(Call("delete_environment", {"environment": "mine"})))
    scripted_openai.add(ToolCalls(run("x")), Text("Shall I rent another one?"))
    await talk.ask("set x, give the server back and look at x")
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["description"] == (
        f"Delete environment mine ({environment}, 1 vCPUs, 2 GiB) with all its data."
    )
    assert talk.host.deps.sessions.has_session(talk.thread_id, environment)
    await talk.decide(APPROVE)
    assert not talk.host.deps.sessions.has_session(talk.thread_id, environment)
    error = (await talk.tool_results())[-1]
    assert error.status == "error"
    assert "was deleted" in error.text
    assert "create_environment" in error.text
    assert 'use_environment "default"' in error.text
    assert (await values(talk))["environment"] == environment
    assert "was deleted" in scripted_openai.requests[-1].messages[0]["content"]


async def test_an_environment_that_takes_long_is_waited_for(
    talk: Conversation, scripted_openai: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, gate = talk.host.deps.environments.steps, asyncio.Event()
    check = steps.check

    async def held(record: Any) -> str:
        await gate.wait()
        return await check(record)

    monkeypatch.setattr(steps, "check", held)
    monkeypatch.setattr(tools, "MARGIN_SECONDS", 58.5)
    scripted_openai.add(ToolCalls(CREATE), ToolCalls(run("1")), done("later"))
    await talk.ask("rent")
    await talk.decide(APPROVE)
    made, early = (await talk.tool_results())[:2]
    assert "list_environments with wait_for 'mine'" in made.text
    assert json.loads(made.text)["environment"]["state"] == "PROVISIONING"
    assert "is still being made" in early.text
    assert "wait_for 'mine'" in early.text
    gate.set()
    monkeypatch.setattr(tools, "MARGIN_SECONDS", 10)
    wait = Call("list_environments", {"wait_for": "mine"})
    scripted_openai.add(ToolCalls(wait), ToolCalls(run("1 + 1")), done("2"))
    await talk.ask("go on")
    waited, ran = (await talk.tool_results())[3:5]
    assert json.loads(waited.text)["environments"][0]["state"] == "RUNNING"
    assert "2" in ran.text


async def test_the_end_is_announced_once_to_the_model_and_the_user(
    talk: Conversation, scripted_openai: ScriptedOpenAI, pool: Pool
) -> None:
    await rented(talk, scripted_openai)
    async with pool.connection() as held:
        await held.execute("UPDATE environments SET expires_at = now() + interval '10 minutes'")
    scripted_openai.add(Text("Hello."), Text("Hello again."))
    events = await talk.events(text="hello")
    notice = "Environment 'mine' ends in 9 min. Extend it, or save what you need."
    assert [event["message"] for event in events if event["event"] == "notice"] == [notice]
    assert notice in scripted_openai.requests[-1].messages[0]["content"]
    assert talk.answer is not None
    assert talk.answer["text"] == f"Hello.\n\n{notice}"
    assert [m.text for m in await talk.messages()][-2:] == ["Hello.", notice]
    events = await talk.events(text="hello again")
    assert [event for event in events if event["event"] == "notice"] == []
    assert talk.answer["text"] == "Hello again."
    async with pool.connection() as held:
        await held.execute("UPDATE environments SET expires_at = now() + interval '8 minutes'")
    scripted_openai.add(Text("好。"))
    await talk.ask("现在呢？")
    assert talk.answer["text"] == "好。\n\n环境 'mine' 将在 7 分钟后到期。请延长使用时间，或保存需要的内容。"
    async with pool.connection() as held:
        await held.execute("UPDATE environments SET expires_at = now() - interval '1 minute'")
    scripted_openai.add(Text("I see."))
    await talk.ask("and now?")
    assert talk.answer["text"] == "I see.\n\nThe time of environment 'mine' is up; it is gone."
    assert "has expired" in scripted_openai.requests[-1].messages[0]["content"]


async def test_an_environment_given_with_a_question_is_looked_up_first(
    talk: Conversation, scripted_openai: ScriptedOpenAI
) -> None:
    environments = talk.host.deps.environments
    request = EnvironmentRequest(name="theirs", cpu=1, memory=2, hours=1, workspace=False)
    theirs = await environments.start("somebody", request)
    await environments.wait("somebody", theirs.id)
    for wrong in (theirs.id, "theirs", "nonsense"):
        await talk.ask("hello", environment=wrong)
        assert talk.answer is not None
        assert talk.answer["status"] == "failed"
        assert f"There is no environment {wrong!r} of yours" in talk.answer["text"]
    assert scripted_openai.requests == []
    assert (await values(talk))["environment"] == "default"
    await environments.delete("somebody", theirs.id)
    mine = await environments.start("local", request.model_copy(update={"name": "own"}))
    await environments.wait("local", mine.id)
    scripted_openai.add(ToolCalls(run("1 + 1")), done("2"))
    await talk.ask("add", environment="own")
    assert talk.answer is not None
    assert talk.answer["text"] == "2"
    assert (await values(talk))["environment"] == mine.id


async def test_extending_is_asked_and_entered_in_the_ledger(
    talk: Conversation, scripted_openai: ScriptedOpenAI, pool: Pool
) -> None:
    environment = await rented(talk, scripted_openai)
    before = (await talk.host.deps.environments.get("local", environment)).expires_at
    scripted_openai.add(ToolCalls(Call("extend_environment", {"environment": "mine", "hours": 2})), done("longer"))
    await talk.ask("two hours more")
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["description"] == (
        f"Extend environment mine ({environment}, 1 vCPUs, 2 GiB) by 2 h: free of charge."
    )
    await talk.decide(APPROVE)
    after = (await talk.host.deps.environments.get("local", environment)).expires_at
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() == 7200
    async with pool.connection() as held:
        cursor = await held.execute("SELECT effect, outcome FROM ledger WHERE thread_id = %s", (talk.thread_id,))
        assert await cursor.fetchall() == [{"effect": "admin", "outcome": "done"}]


@pytest.mark.parametrize(("drained", "state"), [(False, "DELETED"), (True, "RUNNING")])
async def test_a_cancelled_creation_is_taken_back_unless_the_process_ends(
    talk: Conversation, scripted_openai: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch, drained: bool, state: str
) -> None:
    environments, gate = talk.host.deps.environments, asyncio.Event()
    check = environments.steps.check

    async def held(record: Any) -> str:
        await gate.wait()
        return await check(record)

    monkeypatch.setattr(environments.steps, "check", held)
    scripted_openai.add(ToolCalls(CREATE))
    await talk.ask("rent")
    control = RunControl()
    working = asyncio.create_task(
        talk.host.graph().ainvoke(
            Command(resume={"decisions": [APPROVE]}), run_config(talk.thread_id), context=talk.context, control=control
        )
    )
    async with asyncio.timeout(20):
        while not [each for each in await environments.list("local") if each.secured_at is not None]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    if drained:
        control.request_drain()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    gate.set()
    [record] = await environments.list("local", ended=True)
    assert (await environments.wait("local", record.id)).state == state
    if drained:
        scripted_openai.add(done("There it is."))
        await talk.go_on()
        assert [each.id for each in await environments.list("local", ended=True)] == [record.id]
        assert (await values(talk))["environment"] == record.id


def test_the_terminal_shows_each_thing_once() -> None:
    shown = StringIO()
    display = Display(TextConsole(file=shown, width=100))
    step = {"event": "provisioning", "step": "secured", "message": "the default account is closed"}
    for data in (step, {"event": "notice", "message": "It ends in 9 min."}, {"event": "tool_started", "name": "x"}):
        display.part({"type": "custom", "data": data})
    display.part({"type": "messages", "data": (AIMessageChunk("Hello."), {"langgraph_node": "act"})})
    text = "Hello.\n\nIt ends in 9 min.\nThis thread now works in the environment default."
    answer = {"text": text, "citations": ["https://docs.example.com/wavg"]}
    display.part({"type": "updates", "data": {"complete": {"answer": answer}}})
    assert shown.getvalue().splitlines() == [
        "  … secured the default account is closed",
        "It ends in 9 min.",
        "Hello.",
        "",
        "This thread now works in the environment default.",
        "source: https://docs.example.com/wavg",
    ]
