"""What the model is shown stays within its window, and nothing is lost silently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agent.driver import conversation, done, run
from openai_server.server import RecordedRequest, ScriptedOpenAI
from openai_server.steps import Status, Text, ToolCalls

from core.tokens import TokenCounter
from graph.host import Host

SMALL = pytest.mark.host_settings(model={"context_tokens": 6000}, answer_tokens=500)
WORDS = "select the average price of every symbol and say which one moved most "


def tokens(request: RecordedRequest) -> int:
    return TokenCounter("scripted").count(json.dumps(request.body, ensure_ascii=False))


def system(request: RecordedRequest) -> str:
    return str(request.messages[0]["content"])


@SMALL
async def test_a_huge_result_is_cut_in_its_middle_with_a_note(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(ToolCalls(run('print(string(1..6000)); "end"')), done("seen"))
    talk = await (await conversation(host)).ask("print a lot")
    assert talk.answer is not None
    [result] = [m for m in scripted_openai.requests[-1].messages if m["role"] == "tool"]
    assert tokens(scripted_openai.requests[-1]) < 6000
    assert "SCALAR STRING: end" in result["content"]


@SMALL
async def test_a_question_of_a_megabyte_is_cut_in_its_middle_and_kept_whole_on_the_thread(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    scripted_openai.add(Text("That is long."))
    question = "BEGIN " + "x1 " * 350_000 + " END"
    talk = await (await conversation(host)).ask(question)
    assert talk.answer is not None
    assert talk.answer["text"] == "That is long."
    [sent] = [m["content"] for m in scripted_openai.requests[0].messages if m["role"] == "user"]
    assert sent.startswith("BEGIN")
    assert sent.endswith("END")
    assert "characters cut here" in sent
    assert tokens(scripted_openai.requests[0]) < 6000
    assert (await talk.messages())[0].text == question


def summary_or(reply: str) -> Any:
    """A step that summarises when it is asked to, and else gives `reply`."""

    def step(body: dict[str, Any]) -> Text:
        if "Summarise the conversation" in str(body["messages"][0]["content"]):
            return Text("SUMMARY: the user likes symbol number one.")
        return Text(reply)

    return step


@SMALL
async def test_old_rounds_are_summarised_not_dropped(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk = await conversation(host)
    for number in range(14):
        scripted_openai.steps[:] = [summary_or(f"answer {number}: {WORDS * 20}")] * 3
        await talk.ask(f"question {number}: {WORDS * 12}")
        assert talk.answer is not None
        assert talk.answer["status"] == "completed"
    last = scripted_openai.requests[-1]
    assert "SUMMARY: the user likes symbol number one." in system(last)
    assert "question 13" in str(last.messages)
    assert "question 0:" not in str(last.messages)
    assert all(tokens(request) < 6000 for request in scripted_openai.requests)
    assert len(await talk.messages()) == 28


@SMALL
async def test_without_a_summary_from_the_model_the_old_rounds_are_extracted(
    host: Host, scripted_openai: ScriptedOpenAI
) -> None:
    def step(body: dict[str, Any]) -> Any:
        if "Summarise the conversation" in str(body["messages"][0]["content"]):
            return Status(400, "no summaries here")
        return Text(f"answer {WORDS * 20}")

    talk = await conversation(host)
    for number in range(10):
        scripted_openai.steps[:] = [step] * 4
        await talk.ask(f"question {number}: {WORDS * 12}")
        assert talk.answer is not None
        assert talk.answer["status"] == "completed"
    shown = system(scripted_openai.requests[-1])
    assert "Earlier in this conversation" in shown
    assert "question 0" in shown


@SMALL
async def test_a_call_and_its_result_are_never_separated(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    talk = await conversation(host)
    for number in range(8):
        scripted_openai.steps[:] = [
            ToolCalls(run(f"1..60 + {number}"), run(f'"{WORDS * 6}"')),
            done(f"done {number}"),
            *[summary_or("spare")] * 2,
        ]
        await talk.ask(f"question {number}: {WORDS}")
    for request in scripted_openai.requests:
        assert request.status == 200
        called = {call["id"] for m in request.messages for call in m.get("tool_calls") or []}
        answered = {m["tool_call_id"] for m in request.messages if m["role"] == "tool"}
        assert called == answered


@SMALL
async def test_pinned_context_keeps_to_its_share(host: Host, scripted_openai: ScriptedOpenAI) -> None:
    scripted_openai.add(Text("ok"))
    pins = [
        {"kind": "table", "name": "small", "text": "table small: 3 rows\n- a INT"},
        {"kind": "file", "name": "big", "text": "file: /big.csv (CSV, columns a,b)\n" + "1,2\n" * 20_000},
    ]
    await (await conversation(host)).ask("what is pinned?", pins=pins)
    shown = system(scripted_openai.requests[0])
    assert "table small: 3 rows" in shown
    assert "file: /big.csv" in shown
    assert "characters cut here" in shown
    assert tokens(scripted_openai.requests[0]) < 6000
