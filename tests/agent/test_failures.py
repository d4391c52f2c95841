"""Models that fail, tools that fail, runs that are cut: an honest end each time, and the thread stays usable."""

from __future__ import annotations

import asyncio

import pytest
from agent.driver import conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Call, Cut, Hang, Slow, Status, Text, ToolCalls

from core.errors import UserError
from graph.host import Host


async def test_a_busy_model_is_asked_again(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Status(429, retry_after=0), Text("now"))
    talk = await (await conversation(host)).ask("hello")
    assert talk.answer is not None
    assert talk.answer["text"] == "now"


@pytest.mark.parametrize("step", [Status(500), Hang(), Cut(Text("half an answer"), 1)])
async def test_a_model_that_stays_broken_ends_in_a_failure_and_the_thread_lives_on(
    host: Host, scripted_openai: ScriptedOpenAI, step: Status | Hang | Cut
) -> None:
    scripted_openai.add(step, step, Text("better"))
    talk = await (await conversation(host)).ask("hello")
    assert talk.answer is not None
    assert talk.answer["status"] == "failed"
    assert "scripted" in talk.answer["text"]
    await talk.ask("again")
    assert talk.answer["text"] == "better"


async def test_a_cut_stream_is_taken_again(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Cut(ToolCalls(run("1 + 1")), 2), ToolCalls(run("1 + 2")), done("3"))
    talk = await (await conversation(host)).ask("add")
    results = await talk.tool_results()
    assert [message.name for message in results] == ["run_dolphindb_script", "attempt_completion"]
    assert "SCALAR INT: 3" in results[0].text


async def test_five_failures_in_a_row_ask_the_human_who_can_help(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(*(ToolCalls(run(f"noSuchFunction{n}(1)")) for n in range(5)))
    talk = await (await conversation(host)).ask("do it")
    assert talk.waiting is not None
    assert talk.waiting["action_requests"][0]["name"] == "guidance"
    assert talk.waiting["review_configs"][0]["allowed_decisions"] == ["respond", "reject"]
    scripted_openai.add(ToolCalls(run("6 * 7")), done("42"))
    await talk.decide({"type": "respond", "message": "use multiplication"})
    assert talk.answer is not None
    assert talk.answer["text"] == "42"
    assert "use multiplication" in str(scripted_openai.requests[-1].messages)


async def test_five_failures_end_the_task_when_nobody_can_be_asked(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(*(ToolCalls(run(f"noSuchFunction{n}(1)")) for n in range(5)))
    talk = await (await conversation(host, interactive=False)).ask("do it")
    assert talk.answer is not None
    assert talk.answer["status"] == "failed"
    assert "noSuchFunction4" in talk.answer["text"]
    assert len(talk.answer["scripts"]) == 5


async def test_the_human_can_stop_a_stuck_agent(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(*(ToolCalls(run(f"noSuchFunction{n}(1)")) for n in range(5)))
    talk = await (await conversation(host)).ask("do it")
    await talk.decide({"type": "reject"})
    assert talk.answer is not None
    assert talk.answer["status"] == "stopped"


@pytest.mark.host_settings(max_steps=4)
async def test_an_endless_loop_ends_at_the_limit_of_steps(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(*(ToolCalls(run("1")) for _ in range(10)))
    talk = await (await conversation(host)).ask("loop")
    assert talk.answer is not None
    assert talk.answer["status"] == "failed"
    assert len(scripted_openai.requests) == 4
    scripted_openai.steps[:] = [Text("fresh")]
    await talk.ask("next question")
    assert talk.answer["text"] == "fresh"


@pytest.mark.host_settings(script_timeout=1.0)
async def test_an_endless_script_is_stopped_and_said_so(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run("do { x = 1 } while(true)")), ToolCalls(run("5")), done("5"))
    talk = await (await conversation(host)).ask("loop")
    first, second, _ = await talk.tool_results()
    assert first.status == "error"
    assert "1" in first.text
    assert "SCALAR INT: 5" in second.text


async def test_a_cancelled_run_leaves_a_thread_that_can_be_used(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run("sleep(30000); 1"), Call("list_tables")))
    talk = await conversation(host)
    running = asyncio.create_task(talk.ask("sleep"))
    await asyncio.sleep(2.0)
    assert scripted_openai.requests[-1].status == 200
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    scripted_openai.add(Text("still here"))
    await talk.ask("are you there?")
    assert talk.answer is not None
    assert talk.answer["text"] == "still here"
    assert scripted_openai.requests[-1].status == 200


async def test_slow_tokens_are_no_failure(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Slow(Text("a slow but steady answer in several pieces"), 0.4))
    talk = await (await conversation(host)).ask("hello")
    assert talk.answer is not None
    assert talk.answer["text"] == "a slow but steady answer in several pieces"


@pytest.mark.host_settings(dolphindb_host="127.0.0.1", dolphindb_port=1)
async def test_a_database_that_is_away_is_an_error_for_the_model_not_the_end(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(ToolCalls(run("1")), Text("The database cannot be reached."))
    talk = await (await conversation(host)).ask("one")
    assert (await talk.tool_results())[0].status == "error"
    assert talk.answer is not None
    assert talk.answer["status"] == "completed"


async def test_an_unknown_effect_in_the_policy_is_refused(host: Host) -> None:
    from graph.approval import Policy

    with pytest.raises(UserError, match="teleport"):
        Policy.of(["read", "teleport"])
