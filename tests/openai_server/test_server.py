from __future__ import annotations

import json

import httpx
import pytest

from openai_server import Call, Cut, Empty, ScriptedOpenAI, Status, Text, ToolCalls, history_problem

USER = {"role": "user", "content": "hi"}


def post(server: ScriptedOpenAI, *messages: dict, **body: object) -> httpx.Response:
    return httpx.post(
        f"{server.url}/chat/completions", json={"model": "m", "messages": list(messages) or [USER], **body}, timeout=5
    )


def assistant(*ids: str) -> dict:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str) -> dict:
    return {"role": "tool", "tool_call_id": call_id, "content": "ok"}


def test_answers_follow_the_script_and_requests_are_recorded() -> None:
    with ScriptedOpenAI(Text("hello"), lambda body: Text(body["messages"][0]["content"].upper())) as server:
        assert post(server).json()["choices"][0]["message"]["content"] == "hello"
        assert post(server).json()["choices"][0]["message"]["content"] == "HI"
        assert post(server).status_code == 400
        assert [request.status for request in server.requests] == [200, 200, 400]


def test_stream_is_server_sent_events_with_parallel_calls_and_usage() -> None:
    with ScriptedOpenAI(ToolCalls(Call("f", {"a": 1}), Call("g", '{"b": ', "x"))) as server:
        lines = post(server, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert lines[-2] == "data: [DONE]"
    assert chunks[-1]["usage"]["total_tokens"] > 0
    arguments = {0: "", 1: ""}
    for chunk in chunks[:-1]:
        for call in chunk["choices"][0]["delta"].get("tool_calls", []):
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == {0: '{"a": 1}', 1: '{"b": '}
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_status_carries_retry_after_and_keys_are_checked() -> None:
    with ScriptedOpenAI(Status(429, "slow down", retry_after=2), api_key="right") as server:
        assert post(server).status_code == 401
        response = httpx.post(
            f"{server.url}/chat/completions",
            json={"model": "m", "messages": [USER]},
            headers={"Authorization": "Bearer right"},
        )
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")


def test_cut_breaks_the_connection() -> None:
    with (
        ScriptedOpenAI(Cut(Text("hello there, stranger"), chunks=2)) as server,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        post(server, stream=True)


def test_empty_reply_is_complete() -> None:
    with ScriptedOpenAI(Empty()) as server:
        assert post(server).json()["choices"][0] == {
            "index": 0,
            "message": {"role": "assistant", "content": ""},
            "finish_reason": "stop",
        }


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([USER, assistant("a", "b"), result("b"), result("a"), USER], None),
        ([USER, assistant("a", "b"), result("a"), USER], "did not have response messages: b"),
        ([USER, assistant("a")], "did not have response messages: a"),
        ([USER, result("a")], "must be a response to a preceding"),
        ([USER, assistant("a"), result("a"), result("a")], "must be a response to a preceding"),
        ([{"role": "assistant", "content": None}], "got null"),
        ([{"role": "robot", "content": "x"}], "robot"),
    ],
)
def test_history_is_validated_like_the_real_endpoints_do(messages: list[dict], problem: str | None) -> None:
    found = history_problem(messages)
    assert found is None if problem is None else problem in (found or "")
    with ScriptedOpenAI(Text("fine")) as server:
        assert post(server, *messages).status_code == (400 if problem else 200)
        assert server.remaining == (1 if problem else 0)
