from __future__ import annotations

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.tools import tool

from core.offline import OfflineModel


@tool
def list_tables(database: str = "") -> str:
    """List tables."""
    return database


QUESTION = [SystemMessage("MODE: act"), HumanMessage("list tables")]


def test_tool_calls_are_real_with_fresh_ids_and_usage() -> None:
    model = OfflineModel().bind_tools([list_tables])
    answers = [model.invoke(QUESTION) for _ in range(2)]
    assert [call["name"] for call in answers[0].tool_calls] == ["list_tables"]
    assert answers[0].tool_calls[0]["id"] != answers[1].tool_calls[0]["id"]
    assert answers[0].tool_calls[0]["args"] == answers[1].tool_calls[0]["args"] == {"database": ""}
    usage = answers[0].usage_metadata
    assert usage is not None
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


@pytest.mark.parametrize("question", ["list tables", "hello", "你好"])
async def test_streams_add_up_to_the_answer(question: str) -> None:
    messages = [SystemMessage("MODE: act"), HumanMessage(question)]
    model = OfflineModel().bind_tools([list_tables])
    whole = await model.ainvoke(messages)
    chunks = [chunk async for chunk in model.astream(messages)]
    assert len(chunks) > 2
    total = AIMessageChunk(content="")
    for chunk in chunks:
        total = total + chunk
    assert total.text == whole.text
    assert [(c["name"], c["args"]) for c in total.tool_calls] == [(c["name"], c["args"]) for c in whole.tool_calls]
    assert total.usage_metadata == whole.usage_metadata


def test_without_a_question_it_introduces_itself() -> None:
    assert "offline model" in OfflineModel().invoke([SystemMessage("MODE: act")]).text


def test_it_is_deterministic() -> None:
    model = OfflineModel()
    texts = {model.invoke([HumanMessage("what can you do?")]).text for _ in range(3)}
    assert len(texts) == 1
