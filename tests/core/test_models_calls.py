from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool
from openai_server import Call, Cut, Empty, Hang, ScriptedOpenAI, Slow, Status, Step, Text, ToolCalls

from core.models import ModelCallError, ModelRegistry
from core.models.backoff import Backoff
from core.settings import Settings

KEY = "sk-very-secret-key"
LONG = "The average price of AAPL is 187.25 dollars over all trades."


@tool
def run_script(script: str) -> str:
    """Run a script."""
    return script


class Tokens(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.replaced: list[str] = []

    async def on_llm_new_token(self, token: str, *, chunk: Any = None, **_: Any) -> None:
        assert isinstance(chunk, ChatGenerationChunk)
        self.messages[chunk.message.id] = self.messages.get(chunk.message.id, "") + chunk.text
        if "replaces" in chunk.message.response_metadata:
            self.replaced.append(chunk.message.response_metadata["replaces"])


class Endpoints:
    """Servers `a` (with fallback `b`) and `b`, and the model over them."""

    def __init__(self, stack: ExitStack) -> None:
        self.a = stack.enter_context(ScriptedOpenAI(api_key=KEY))
        self.b = stack.enter_context(ScriptedOpenAI(api_key=KEY))

    def model(self, *, fallback: bool = False, **entry: Any) -> BaseChatModel:
        common = {"api_key_env": "KEY", "timeout": 5, "max_retries": 2, **entry}
        models = {
            "a": {"model": "model-a", "base_url": self.a.url, **common, "fallbacks": ["b"] if fallback else []},
            "b": {"model": "model-b", "base_url": self.b.url, **common},
        }
        settings = Settings(_env_file=None, models=json.dumps({"models": models}))
        model = ModelRegistry.load(settings, {"KEY": KEY}).chat_model("actor")
        return model.model_copy(update={"backoff": Backoff(base=0.01)})


@pytest.fixture
def endpoints() -> Iterator[Endpoints]:
    with ExitStack() as stack:
        yield Endpoints(stack)


async def test_text_answer_with_usage_and_the_name_of_the_model(endpoints: Endpoints) -> None:
    endpoints.a.add(Text(LONG))
    answer = await endpoints.model(temperature=0.5).ainvoke("hi")
    assert answer.content == LONG
    assert answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["model_entry"] == "a"
    assert type(answer) is AIMessage
    (request,) = endpoints.a.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["stream"] is True
    assert (request.body["model"], request.body["temperature"]) == ("model-a", 0.5)


async def test_tokens_are_reported_as_they_come(endpoints: Endpoints) -> None:
    endpoints.a.add(Text(LONG), Text(LONG))
    tokens = Tokens()
    answer = await endpoints.model().ainvoke("hi", config={"callbacks": [tokens]})
    assert tokens.messages == {answer.id: LONG}
    pieces = [chunk.content async for chunk in endpoints.model().astream("hi")]
    assert "".join(pieces) == LONG
    assert len(pieces) > 3


@pytest.mark.parametrize("fallback", [False, True])
async def test_tool_calls_through_bind_tools(endpoints: Endpoints, fallback: bool) -> None:
    calls = ToolCalls(Call("run_script", {"script": "1+1"}), Call("run_script", {"script": "2"}), text="Running.")
    if fallback:
        endpoints.a.add(*[Status(500)] * 3)
    (endpoints.b if fallback else endpoints.a).add(calls, Text("done"))
    model = endpoints.model(fallback=fallback).bind_tools([run_script])
    answer = await model.ainvoke("hi")
    assert [call["args"]["script"] for call in answer.tool_calls] == ["1+1", "2"]
    assert len({call["id"] for call in answer.tool_calls}) == 2
    server = endpoints.b if fallback else endpoints.a
    assert server.requests[0].tool_names == ["run_script"]
    if fallback:
        endpoints.a.add(*[Status(500)] * 3)
    results = [ToolMessage("2", tool_call_id=call["id"]) for call in answer.tool_calls]
    assert (await model.ainvoke([HumanMessage("hi"), answer, *results])).content == "done"


async def test_cut_off_arguments_are_invalid_and_not_completed(endpoints: Endpoints) -> None:
    endpoints.a.add(ToolCalls(Call("run_script", '{"script": "delete from t where x =')), ToolCalls(Call("f", "[1]")))
    model = endpoints.model().bind_tools([run_script])
    for _ in range(2):
        answer = await model.ainvoke("hi")
        assert answer.tool_calls == []
        assert "arguments are not" in answer.invalid_tool_calls[0]["error"]


async def test_calls_without_or_with_equal_ids_get_their_own(endpoints: Endpoints) -> None:
    endpoints.a.add(ToolCalls(Call("run_script", {"script": "1"}, "x"), Call("run_script", {"script": "2"}, "x")))
    answer = await endpoints.model().bind_tools([run_script]).ainvoke("hi")
    assert len({call["id"] for call in answer.tool_calls}) == 2


@pytest.mark.parametrize(
    "failure",
    [
        Status(429, "slow down"),
        Status(500),
        Status(503),
        Cut(Text(LONG), chunks=0),
        Cut(Text(LONG), chunks=0, silently=True),
    ],
)
async def test_passing_failures_are_retried(endpoints: Endpoints, failure: Step) -> None:
    endpoints.a.add(failure, failure, Text(LONG))
    assert (await endpoints.model().ainvoke("hi")).content == LONG
    assert len(endpoints.a.requests) == 3


async def test_retry_after_is_honoured(endpoints: Endpoints) -> None:
    endpoints.a.add(Status(429, retry_after=0.4), Text(LONG))
    await endpoints.model().ainvoke("hi")
    first, second = endpoints.a.requests
    assert 0.4 <= second.time - first.time < 2


async def test_retry_after_beyond_the_total_time_is_not_waited_for(endpoints: Endpoints) -> None:
    endpoints.a.add(Status(429, retry_after=3600))
    endpoints.b.add(Text(LONG))
    answer = await endpoints.model(fallback=True).ainvoke("hi")
    assert answer.response_metadata["model_entry"] == "b"
    assert len(endpoints.a.requests) == 1


@pytest.mark.parametrize("silently", [False, True])
@pytest.mark.parametrize("fallback", [False, True])
async def test_an_answer_that_breaks_off_is_restarted_under_a_new_id(
    endpoints: Endpoints, silently: bool, fallback: bool
) -> None:
    cut = Cut(Text("AAPL costs 1 dollar, MSFT costs 2"), chunks=3, silently=silently)
    endpoints.a.add(cut)
    (endpoints.b if fallback else endpoints.a).add(Text(LONG))
    tokens = Tokens()
    model = endpoints.model(fallback=fallback, max_retries=0 if fallback else 2)
    answer = await model.ainvoke("hi", config={"callbacks": [tokens]})
    assert answer.content == LONG
    void, final = tokens.messages
    assert "AAPL costs" in tokens.messages[void]
    assert (final, tokens.messages[final]) == (answer.id, LONG)
    assert tokens.replaced == [void]


async def test_iteration_cannot_restart_after_the_first_token(endpoints: Endpoints) -> None:
    endpoints.a.add(Cut(Text(LONG), chunks=0), Cut(Text(LONG), chunks=3), Text(LONG))

    async def read() -> list[str]:
        return [chunk.text async for chunk in endpoints.model().astream("hi")]

    with pytest.raises(ModelCallError) as caught:
        await read()
    assert caught.value.kind in ("cut", "connection")
    assert endpoints.a.remaining == 1


async def test_a_hanging_endpoint_times_out_and_the_connection_is_dropped(endpoints: Endpoints) -> None:
    endpoints.a.add(Hang(), Text(LONG))
    start = time.monotonic()
    assert (await endpoints.model(timeout=0.3).ainvoke("hi")).content == LONG
    assert time.monotonic() - start < 3


async def test_a_stream_that_stalls_times_out(endpoints: Endpoints) -> None:
    endpoints.a.add(Slow(Text(LONG), delay=2))
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model(timeout=0.3, max_retries=0).ainvoke("hi")
    assert caught.value.kind == "timeout"


async def test_total_time_is_bounded_even_if_chunks_keep_coming(endpoints: Endpoints) -> None:
    endpoints.a.add(Slow(Text(LONG * 20), delay=0.05))
    start = time.monotonic()
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model(total_timeout=0.5).ainvoke("hi")
    assert caught.value.kind == "timeout"
    assert time.monotonic() - start < 2


async def test_slow_answers_are_answers(endpoints: Endpoints) -> None:
    endpoints.a.add(Slow(Text("one two three four"), delay=0.05))
    assert (await endpoints.model().ainvoke("hi")).content == "one two three four"


async def test_exhausted_attempts_name_model_and_remedy(endpoints: Endpoints) -> None:
    endpoints.a.add(*[Status(500, f"boom with {KEY}")] * 3)
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model().ainvoke("hi")
    assert caught.value.kind == "server"
    assert "model a (model-a" in caught.value.message
    assert "3 attempts" in caught.value.message
    assert caught.value.remedy
    assert KEY not in str(caught.value)


async def test_wrong_key_is_not_retried_nor_shown(endpoints: Endpoints) -> None:
    endpoints.a.api_key = "sk-another-key-entirely"
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model().ainvoke("hi")
    assert caught.value.kind == "authentication"
    assert "environment variable KEY" in caught.value.remedy
    assert "sk-" not in str(caught.value)
    assert len(endpoints.a.requests) == 1


async def test_wrong_key_falls_back(endpoints: Endpoints) -> None:
    endpoints.a.api_key = "sk-another-key-entirely"
    endpoints.b.add(Text(LONG))
    assert (await endpoints.model(fallback=True).ainvoke("hi")).response_metadata["model_entry"] == "b"


async def test_unreachable_endpoint_and_failing_fallback_are_both_told(endpoints: Endpoints) -> None:
    endpoints.a.add(Status(400, "no such option"))
    with pytest.raises(ModelCallError, match="no such option") as caught:
        await endpoints.model(fallback=True).ainvoke("hi")
    assert caught.value.kind == "invalid_request"
    assert endpoints.b.requests == []
    endpoints.a.add(*[Status(502)] * 3)
    endpoints.b.add(*[Status(429)] * 3)
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model(fallback=True).ainvoke("hi")
    assert "model a " in caught.value.message
    assert "model b " in caught.value.message


async def test_connection_refused() -> None:
    with ScriptedOpenAI() as server:
        url = server.url
    models = {"a": {"model": "m", "base_url": url, "max_retries": 1}}
    model = ModelRegistry.load(Settings(_env_file=None, models=json.dumps({"models": models})), {}).chat_model("actor")
    with pytest.raises(ModelCallError) as caught:
        await model.model_copy(update={"backoff": Backoff(base=0.01)}).ainvoke("hi")
    assert caught.value.kind == "connection"


async def test_context_overflow_goes_only_to_a_larger_model(endpoints: Endpoints) -> None:
    overflow = Status(400, "context_length_exceeded: prompt is too long")
    endpoints.a.add(overflow)
    with pytest.raises(ModelCallError) as caught:
        await endpoints.model(fallback=True).ainvoke("hi")
    assert caught.value.kind == "context"
    assert endpoints.b.requests == []


async def test_empty_answer_is_an_answer(endpoints: Endpoints) -> None:
    endpoints.a.add(Empty())
    answer = await endpoints.model().ainvoke("hi")
    assert (answer.content, answer.tool_calls) == ("", [])


async def test_offline_fallback_answers_when_the_network_is_gone() -> None:
    with ScriptedOpenAI() as server:
        url = server.url
    models = {"a": {"model": "m", "base_url": url, "max_retries": 0, "fallbacks": ["offline"]}}
    model = ModelRegistry.load(Settings(_env_file=None, models=json.dumps({"models": models})), {}).chat_model("actor")
    answer = await model.bind_tools([run_script]).ainvoke("hello")
    assert answer.response_metadata["model_entry"] == "offline"
    assert "offline" in answer.content


def test_synchronous_use_is_refused(endpoints: Endpoints) -> None:
    with pytest.raises(NotImplementedError, match="ainvoke"):
        endpoints.model().invoke("hi")
