"""The human in the loop: plans, scripts, questions, and writes whose outcome is not known."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from agent.driver import Conversation, conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Call, Text, ToolCalls
from pydantic import ValidationError

from core.errors import DolphinDBUnavailableError
from graph.host import Host

APPROVE = {"type": "approve"}


def counter() -> str:
    """A fresh name for a shared table that counts how often a write ran."""
    return f"runs_{uuid4().hex[:8]}"


def write(name: str, value: int = 1) -> str:
    return f"insert into {name} values({value}); exec count(*) from {name}"


async def shared_table(talk: Conversation, name: str) -> None:
    environment = await talk.host.deps.environment("local", "default")
    await talk.host.deps.sessions.run(environment, "setup", f"share table(100:0, [`n], [INT]) as {name}; 1", timeout=10)


async def count(talk: Conversation, name: str) -> int:
    environment = await talk.host.deps.environment("local", "default")
    outcome = await talk.host.deps.sessions.run(environment, "setup", f"exec count(*) from {name}", timeout=10)
    return int(outcome.value.data)


async def test_a_write_is_shown_before_it_runs_and_runs_once_when_approved(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), done("written"))
    await talk.ask("write it")
    assert talk.waiting is not None
    [action] = talk.waiting["action_requests"]
    assert action["name"] == "run_dolphindb_script"
    assert action["args"]["script"] == write(name)
    assert "write" in action["description"]
    assert talk.waiting["review_configs"] == [
        {"action_name": "run_dolphindb_script", "allowed_decisions": ["approve", "edit", "reject"]}
    ]
    assert await count(talk, name) == 0
    await talk.decide(APPROVE)
    assert talk.answer is not None
    assert talk.answer["text"] == "written"
    assert await count(talk, name) == 1


async def test_a_rejected_write_is_not_run_and_the_reason_reaches_the_model(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), Text("I leave it."))
    await talk.ask("write it")
    await talk.decide({"type": "reject", "message": "not on Fridays"})
    assert await count(talk, name) == 0
    assert "not on Fridays" in (await talk.tool_results())[0].text
    assert talk.answer is not None
    assert talk.answer["text"] == "I leave it."


async def test_an_edited_write_runs_as_edited(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), done("ok"))
    await talk.ask("write it")
    edited = f"insert into {name} values(1 2 3); exec sum(n) from {name}"
    await talk.decide({"type": "edit", "edited_action": {"name": "run_dolphindb_script", "args": {"script": edited}}})
    assert await count(talk, name) == 3
    assert "edited" in (await talk.tool_results())[0].text


@pytest.mark.parametrize(
    "bad",
    [
        {"decisions": []},
        {"decisions": [APPROVE, APPROVE]},
        {"decisions": [{"type": "respond", "message": "hm"}]},
        {"decisions": [{"type": "edit"}]},
        {"decisions": [{"type": "maybe"}]},
        {"nonsense": 1},
        42,
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_can_be_given_again(
    host: Host, scripted_openai: ScriptedOpenAI, bad: Any
) -> None:
    from langgraph.types import Command

    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), done("ok"))
    await talk.ask("write it")
    with pytest.raises(ValidationError):
        await talk._run(Command(resume=bad))
    await talk.look()
    assert talk.waiting is not None
    await talk.decide(APPROVE)
    assert await count(talk, name) == 1


async def test_only_the_calls_that_need_it_are_asked_about(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run("1 + 1"), run(write(name)), run(write(name, 2))), done("ok"))
    await talk.ask("mixed")
    assert talk.waiting is not None
    assert len(talk.waiting["action_requests"]) == 2
    await talk.decide(APPROVE, {"type": "reject"})
    assert await count(talk, name) == 1
    statuses = [message.status for message in await talk.tool_results()]
    assert sorted(statuses[:3]) == ["error", "success", "success"]


async def test_a_drop_hidden_in_a_function_value_is_shown(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run('f = dropDatabase; each(f, ["dfs://a"])')), Text("no"))
    talk = await (await conversation(host)).ask("clean up")
    assert talk.waiting is not None
    assert "dropDatabase" in talk.waiting["action_requests"][0]["description"]


async def test_a_policy_can_only_be_narrowed(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk, name = await conversation(host, allowed_effects=("read", "write", "admin")), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))))
    await talk.ask("write it")
    assert talk.waiting is not None


async def test_a_question_is_answered_by_the_human(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(
        ToolCalls(Call("ask_for_human_feedback", {"question": "Which table?", "options": ["a", "b"]})), done("b it is")
    )
    talk = await (await conversation(host)).ask("show it")
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["description"] == "Which table?"
    await talk.decide({"type": "respond", "message": "b"})
    assert (await talk.tool_results())[0].text == "b"
    assert talk.answer is not None
    assert talk.answer["text"] == "b it is"


PLAN = Call("plan_mode_response", {"plan": "Count.", "steps": [{"title": "count", "detail": "exec count(*)"}]})


async def test_a_plan_is_approved_and_carried_out(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(Call("list_tables")), ToolCalls(PLAN))
    talk = await (await conversation(host)).ask("count", mode="plan")
    assert talk.waiting is not None
    assert talk.waiting["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    offered = scripted_openai.requests[0].tool_names
    assert "run_dolphindb_script" not in offered
    assert "plan_mode_response" in offered
    scripted_openai.add(ToolCalls(run("3")), done("3"))
    await talk.decide(APPROVE)
    assert talk.answer is not None
    assert talk.answer["text"] == "3"
    acted = scripted_openai.requests[-1]
    assert "run_dolphindb_script" in acted.tool_names
    assert "The approved plan" in acted.messages[0]["content"]


async def test_a_rejected_plan_is_made_again_with_the_reason(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(PLAN), ToolCalls(PLAN))
    talk = await (await conversation(host)).ask("count", mode="plan")
    await talk.decide({"type": "reject", "message": "too short"})
    assert talk.waiting is not None
    assert "too short" in str(scripted_openai.requests[-1].messages)


async def test_an_edited_plan_is_the_one_carried_out(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(PLAN))
    talk = await (await conversation(host)).ask("count", mode="plan")
    scripted_openai.add(done("fine"))
    edited = {"plan": "Count twice.", "steps": []}
    await talk.decide({"type": "edit", "edited_action": {"name": "plan_mode_response", "args": edited}})
    assert "Count twice." in str(scripted_openai.requests[-1].messages)


async def test_plan_mode_runs_nothing_even_if_the_model_tries(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run("1")), Text("I may only plan."))
    talk = await (await conversation(host)).ask("count", mode="plan")
    assert (await talk.tool_results())[0].status == "error"


async def lose_the_connection(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run of a script happens, and then the connection breaks before its result arrives."""
    real = host.deps.sessions.run

    async def broken(environment: Any, thread_id: str, script: str, **more: Any) -> Any:
        outcome = await real(environment, thread_id, script, **more)
        if script.startswith("insert"):
            monkeypatch.undo()
            raise DolphinDBUnavailableError("The connection broke.", may_have_run=True, script=script)
        return outcome

    monkeypatch.setattr(type(host.deps.sessions), "run", staticmethod(broken))


@pytest.mark.parametrize(
    ("decision", "runs"),
    [({"type": "reject"}, 1), ({"type": "respond", "message": "it is there"}, 1), (APPROVE, 2)],
)
async def test_a_write_that_may_have_run_is_put_to_the_human(
    host: Host,
    scripted_openai: ScriptedOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    decision: dict[str, Any],
    runs: int,
) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), done("settled"))
    await talk.ask("write it")
    await lose_the_connection(host, monkeypatch)
    await talk.decide(APPROVE)
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["name"] == "unfinished_write"
    await talk.decide(decision)
    assert talk.answer is not None
    assert talk.answer["text"] == "settled"
    assert await count(talk, name) == runs
    assert await host.deps.ledger.open_entries("local", talk.thread_id) == []


async def test_a_new_question_on_a_thread_with_an_unfinished_write_asks_first(
    host: Host, scripted_openai: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, name = await conversation(host), counter()
    await shared_table(talk, name)
    scripted_openai.add(ToolCalls(run(write(name))), Text("fine"))
    await talk.ask("write it")
    await lose_the_connection(host, monkeypatch)
    await talk.decide(APPROVE)
    await talk.ask("something else")
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["name"] == "unfinished_write"
    assert talk.waiting["review_configs"][0]["allowed_decisions"] == ["reject", "respond"]
    await talk.decide({"type": "reject"})
    assert talk.answer is not None
    assert talk.answer["text"] == "fine"
    assert await count(talk, name) == 1
