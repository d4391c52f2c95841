"""What a model is sent stays within its window, and nothing in it is torn apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agent.driver import Conversation, conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Call, Status, Text, ToolCalls

from core.tokens import TokenCounter
from graph.host import Host
from graph.state import Pin

CONTEXT = 6_000
small_window = pytest.mark.host_settings(model={"context_tokens": CONTEXT}, answer_tokens=500)

# A script whose preview is as long as previews get.
LONG = "table(take([concat(take(`row, 60))], 12) as {0}, 1..12 as n)"
NOTE = "characters cut here"
COUNTER = TokenCounter("scripted")


def is_summary(body: dict[str, Any]) -> bool:
    return body["messages"][0]["content"].startswith("Summarise the conversation")


def tokens(body: dict[str, Any]) -> int:
    texts = [message["content"] or "" for message in body["messages"]]
    texts += [call["function"]["arguments"] for m in body["messages"] for call in m.get("tool_calls") or []]
    return sum(COUNTER.count(text) for text in texts) + COUNTER.count(json.dumps(body.get("tools", [])))


def check(server: ScriptedOpenAI) -> None:
    """Every request was well-formed (calls with their results among it) and within the window."""
    for request in server.requests:
        assert request.status == 200, request.body["messages"]
        assert tokens(request.body) <= CONTEXT


def turns(count: int, script: str = LONG) -> list[ToolCalls]:
    made = []
    for number in range(count):
        made += [ToolCalls(run(script.format(f"c{number}"))), done(f"answer {number}")]
    return made


async def talked(host: Host, server: ScriptedOpenAI, summaries: Any, count: int = 12) -> Conversation:
    """A conversation of `count` questions with long results; `summaries` answers requests for a summary."""
    steps = iter(turns(count))

    def reply(body: dict[str, Any]) -> Any:
        return summaries if is_summary(body) else next(steps)

    server.add(*[reply] * (count * 10))
    talk = await conversation(host)
    for number in range(count):
        await talk.ask(f"question {number}")
        assert talk.answer is not None
        assert talk.answer["text"] == f"answer {number}"
    return talk


@small_window
async def test_an_oversize_result_is_cut_in_its_middle(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    script = 'concat(string(1..1300), ",")'
    scripted_openai.add(ToolCalls(run(script)), done("long"))
    talk = await (await conversation(host)).ask("a long text")
    sent = scripted_openai.requests[-1].body["messages"][-1]["content"]
    stored = (await talk.tool_results())[0].text
    assert NOTE in sent
    assert len(sent) < len(stored)
    assert sent.startswith(stored[:20])
    assert sent.endswith(",1300")
    check(scripted_openai)


@small_window
async def test_many_long_results_of_one_reply_fit_together(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(*(run(LONG.format(f"c{number}")) for number in range(10))), done("ten"))
    talk = await (await conversation(host)).ask("ten tables")
    assert talk.answer is not None
    assert talk.answer["text"] == "ten"
    results = [message for message in scripted_openai.requests[-1].body["messages"] if message["role"] == "tool"]
    assert len(results) == 10
    assert all(message["content"] for message in results)
    check(scripted_openai)


@small_window
async def test_a_megabyte_of_question_is_cut(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("too long, but I have seen both ends"))
    talk = await (await conversation(host)).ask("BEGIN " + "word " * 200_000 + " END")
    assert talk.answer is not None
    assert talk.answer["status"] == "completed"
    sent = scripted_openai.requests[0].body["messages"][-1]["content"]
    assert sent.startswith("BEGIN")
    assert sent.endswith("END")
    assert NOTE in sent
    assert len((await talk.messages())[0].text) > 1_000_000
    check(scripted_openai)


@small_window
async def test_old_rounds_are_summarised(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk = await talked(host, scripted_openai, Text("SUMMARY: the user looked at tables."))
    check(scripted_openai)
    asked = [position for position, each in enumerate(scripted_openai.requests) if is_summary(each.body)]
    assert 1 < len(asked) < 12
    transcript = scripted_openai.requests[asked[0]].body["messages"][1]["content"]
    assert "question 0" in transcript
    assert "run_dolphindb_script" in transcript
    following = scripted_openai.requests[asked[0] + 1].body["messages"]
    assert "## Earlier in this conversation\nSUMMARY: the user looked at tables." in following[0]["content"]
    assert all(message["content"] != "question 0" for message in following)
    assert "Summary so far: SUMMARY" in scripted_openai.requests[asked[1]].body["messages"][1]["content"]
    assert len([message for message in await talk.messages() if message.type == "human"]) == 12


@small_window
async def test_without_a_summary_of_the_model_one_is_extracted(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    await talked(host, scripted_openai, Status(400, "no summaries today"))
    refused = [position for position, each in enumerate(scripted_openai.requests) if each.status == 400]
    assert refused
    assert all(is_summary(scripted_openai.requests[position].body) for position in refused)
    system = scripted_openai.requests[refused[0] + 1].body["messages"][0]["content"]
    assert "## Earlier in this conversation" in system
    assert "User: question 0" in system
    assert "Called run_dolphindb_script: table(take(" in system


@small_window
async def test_an_empty_summary_is_none(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    await talked(host, scripted_openai, Text(" "))
    assert "User: question 0" in str(scripted_openai.requests[-1].body) or any(
        "User: question 0" in str(each.body["messages"][0]) for each in scripted_openai.requests
    )


@small_window
async def test_the_question_stays_in_view_of_a_long_task(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    steps = iter([*(ToolCalls(run(LONG.format(f"c{number}"))) for number in range(10)), done("done")])
    reply = lambda body: Text("SUMMARY") if is_summary(body) else next(steps)  # noqa: E731
    scripted_openai.add(*[reply] * 40)
    talk = await (await conversation(host)).ask("THE QUESTION")
    assert talk.answer is not None
    assert talk.answer["text"] == "done"
    for request in scripted_openai.requests:
        if not is_summary(request.body):
            assert any(message["content"] == "THE QUESTION" for message in request.body["messages"])
    check(scripted_openai)


@small_window
@pytest.mark.parametrize(("mode", "share"), [("act", 0.3), ("plan", 0.45)])
async def test_pinned_context_stays_within_its_share(
    host: Host, scripted_openai: ScriptedOpenAI, mode: str, share: float
) -> None:
    pins = [Pin(kind="table", name=f"t{number}", text=f"t{number}: " + "column " * 3000) for number in range(3)]
    scripted_openai.add(Text("seen"))
    talk = await (await conversation(host)).ask("look", pins=pins, mode=mode)
    assert talk.answer is not None
    system = scripted_openai.requests[0].body["messages"][0]["content"]
    pinned = system.partition("## Pinned context\n")[2]
    assert all(f"t{number}: column" in pinned for number in range(3))
    assert pinned.count(NOTE) == 3
    assert COUNTER.count(pinned) <= share * CONTEXT
    check(scripted_openai)


@small_window
async def test_calls_with_long_arguments_keep_their_results(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    script = "x = 1 // " + "comment " * 400
    scripted_openai.add(ToolCalls(run(script), Call("validate_script", {"script": "1"})), done("ok"))
    talk = await (await conversation(host)).ask("long script")
    assert talk.answer is not None
    [_, _, reply, *results] = scripted_openai.requests[-1].body["messages"]
    assert [call["id"] for call in reply["tool_calls"]] == [message["tool_call_id"] for message in results]
    assert json.loads(reply["tool_calls"][0]["function"]["arguments"])["script"] == script
