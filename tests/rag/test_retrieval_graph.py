from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from openai_server.server import ScriptedOpenAI
from openai_server.steps import Status, Text

from core.errors import UserError
from core.models import ModelRegistry
from core.settings import Settings
from rag.knowledge import KnowledgeBase
from rag.retrieval_graph import RetrievalDeps, as_data, build_retrieval_graph, citations_in, cited_only

Ask = Callable[..., Any]


def registry(server: ScriptedOpenAI | None) -> ModelRegistry:
    models = None
    if server is not None:
        entry = {"model": "scripted", "base_url": server.url, "max_retries": 0, "total_timeout": 8.0}
        models = json.dumps({"models": {"scripted": entry}})
    return ModelRegistry.load(Settings(_env_file=None, models=models), environ={})


async def ask(
    base: KnowledgeBase, server: ScriptedOpenAI | None = None, *, deps: dict[str, Any] | None = None, **state
):
    graph = build_retrieval_graph(RetrievalDeps(base, registry(server), **(deps or {}))).compile()
    return await graph.ainvoke(state)


async def test_passages_with_sources_within_the_budget(built: KnowledgeBase):
    found = await ask(built, question="moving average", mode="passages", deps={"budget": 300})
    assert found["found"]
    assert not found["answer"]
    first = found["passages"][0]
    assert (first["number"], first["function"]) == (1, "mavg")
    assert first["signatures"] == ["mavg(X, window, [minPeriods])"]
    assert first["url"].endswith("mavg.html")
    assert "sliding window" in first["text"]
    assert sum(passage["tokens"] for passage in found["passages"]) <= 300
    texts = [passage["text"] for passage in found["passages"]]
    assert len(texts) == len(set(texts))


async def test_a_budget_too_small_for_anything_finds_nothing(built: KnowledgeBase):
    found = await ask(built, question="moving average", deps={"budget": 3})
    assert not found["found"]
    assert found["passages"] == []


async def test_answer_without_a_model_cites_what_it_quotes(built: KnowledgeBase):
    found = await ask(built, question="moving average")
    assert found["found"]
    assert "mavg(X, window, [minPeriods])" in found["answer"]
    assert "Average of a sliding window over X. [1]" in found["answer"]
    assert found["citations"][0]["url"].endswith("mavg.html")


async def test_answer_without_a_model_quotes_the_section_it_cites(built: KnowledgeBase):
    found = await ask(built, question="asof join: the latest quote before each trade")
    line = found["answer"].splitlines()[1]
    assert "aj, asof join" in line
    assert "joins each row of the left table with the last row of the right table" in line
    assert line.endswith("[1]")


async def test_answer_in_chinese_without_a_model(built: KnowledgeBase):
    found = await ask(built, question="怎么计算滑动平均")
    assert found["answer"].startswith("根据文档")
    assert found["language"] == "zh"


@pytest.mark.parametrize(
    ("question", "said"),
    [("spinach lasagne recipe", "Not found in the documentation."), ("菠菜千层面菜谱", "文档中未找到相关内容。")],
)
async def test_a_question_outside_is_not_found_and_costs_no_call(
    built: KnowledgeBase, scripted_openai: ScriptedOpenAI, question: str, said: str
):
    found = await ask(built, scripted_openai, question=question)
    assert (found["found"], found["answer"], found["citations"]) == (False, said, [])
    assert scripted_openai.requests == []


async def test_a_model_answers_and_every_citation_resolves(built: KnowledgeBase, scripted_openai: ScriptedOpenAI):
    scripted_openai.add(Text("Use `mavg(x, 5)[0]` [1]. It has a window [1, 42] [77]."))
    found = await ask(built, scripted_openai, question="moving average")
    assert found["answer"] == "Use `mavg(x, 5)[0]` [1]. It has a window [1]."
    assert [citation["number"] for citation in found["citations"]] == [1]
    assert len(scripted_openai.requests) == 1


@pytest.mark.parametrize("reply", ["NOT_FOUND", "It is done with frobnicate().", "See [55]."])
async def test_a_model_that_finds_or_cites_nothing_means_not_found(
    built: KnowledgeBase, scripted_openai: ScriptedOpenAI, reply: str
):
    scripted_openai.add(Text(reply))
    found = await ask(built, scripted_openai, question="moving average")
    assert found["answer"] == "Not found in the documentation."
    assert found["citations"] == []


async def test_orders_in_a_document_stay_inside_its_fence(built: KnowledgeBase, scripted_openai: ScriptedOpenAI):
    scripted_openai.add(Text("It has nine holidays [1]."))
    found = await ask(built, scripted_openai, question="zebrafish settlement calendar holidays")
    assert found["answer"] == "It has nine holidays [1]."
    system, human = scripted_openai.requests[0].messages
    assert "never follow it" in system["content"]
    assert "PWNED" not in system["content"]
    inside = human["content"].split('<passage number="1"')[1].split("</passage>")[0]
    assert "PWNED" in inside
    assert human["content"].count("</passage>") == human["content"].count("<passage number=")


async def test_orders_in_a_document_change_nothing_without_a_model(built: KnowledgeBase):
    found = await ask(built, question="zebrafish settlement calendar holidays")
    assert found["found"]
    assert {citation["number"] for citation in found["citations"]} <= {item["number"] for item in found["passages"]}
    assert "[99]" not in found["answer"]


async def test_follow_up_is_made_standalone_by_a_model(built: KnowledgeBase, scripted_openai: ScriptedOpenAI):
    scripted_openai.add(Text("How does cumsum treat NULL?"), Text("It adds up [1]."))
    messages = [
        HumanMessage("What is cumsum?"),
        AIMessage("A running total."),
        HumanMessage("And how does it treat NULL?"),
    ]
    found = await ask(built, scripted_openai, messages=messages)
    assert found["standalone"] == "How does cumsum treat NULL?"
    assert found["passages"][0]["function"] == "cumsum"


async def test_follow_up_without_a_model_keeps_the_subject(built: KnowledgeBase):
    messages = [HumanMessage("What is cumsum?"), AIMessage("A running total."), HumanMessage("它怎么处理空值？")]
    found = await ask(built, messages=messages, mode="passages")
    assert found["standalone"].startswith("What is cumsum?")
    assert "cumsum" in [passage["function"] for passage in found["passages"]]


async def test_a_thread_takes_one_question_after_another(built: KnowledgeBase):
    graph = build_retrieval_graph(RetrievalDeps(built, registry(None))).compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "t"}}

    async def asked(text: str, **more: Any) -> dict[str, Any]:
        return await graph.ainvoke({"messages": [HumanMessage(text)], **more}, thread)

    first = await asked("What does mavg do?")
    assert first["messages"][-1].text == first["answer"]
    assert "[1]" in first["answer"]
    follow_up = await asked("what about msum?")
    assert follow_up["standalone"] == "What does mavg do? what about msum?"
    assert any(item["title"] == "msum" for item in follow_up["citations"])
    passages = await asked("running total", mode="passages", limit=1)
    assert len(passages["passages"]) == 1
    assert passages["answer"] == ""
    assert passages["citations"] == []
    last = await asked("spinach lasagne recipe")
    assert (last["standalone"], last["found"], last["passages"]) == ("spinach lasagne recipe", False, [])
    assert [message.type for message in last["messages"]] == ["human", "ai", "human", "ai", "human", "human", "ai"]
    named = await graph.ainvoke({"question": "What does wavg do?"}, thread)
    assert named["citations"][0]["title"] == "wavg"
    again = await graph.ainvoke({"question": "and for cumsum?"}, thread)
    assert any(item["title"] == "cumsum" for item in again["citations"])


async def test_a_question_that_stands_alone_costs_one_call(built: KnowledgeBase, scripted_openai: ScriptedOpenAI):
    scripted_openai.add(Text("Use split [1]."))
    messages = [HumanMessage("What is cumsum?"), AIMessage("A total."), HumanMessage("split a string at a comma")]
    found = await ask(built, scripted_openai, messages=messages)
    assert found["standalone"] == "split a string at a comma"
    assert len(scripted_openai.requests) == 1


async def test_model_reranks_when_configured_and_its_failure_is_survived(
    built: KnowledgeBase, scripted_openai: ScriptedOpenAI
):
    state = {"question": "moving average", "mode": "passages"}
    local = await ask(built, **state)
    names = [passage["function"] or passage["title"] for passage in local["passages"]]
    scripted_openai.add(Text("2, 99, 1"))
    by_model = await ask(built, scripted_openai, deps={"rerank_with_model": True}, **state)
    assert [item["function"] or item["title"] for item in by_model["passages"]][:2] == [names[1], names[0]]
    scripted_openai.add(Status(400))
    failed = await ask(built, scripted_openai, deps={"rerank_with_model": True}, **state)
    assert [item["function"] or item["title"] for item in failed["passages"]] == names


def test_reranking_is_a_setting(open_knowledge: Callable[..., KnowledgeBase]):
    assert not RetrievalDeps.configured(open_knowledge(), registry(None)).rerank_with_model
    assert RetrievalDeps.configured(open_knowledge(rerank="model"), registry(None)).rerank_with_model


async def test_progress_of_every_step(built: KnowledgeBase):
    graph = build_retrieval_graph(RetrievalDeps(built, registry(None))).compile()
    steps = [event["step"] async for event in graph.astream({"question": "moving average"}, stream_mode="custom")]
    assert steps == ["understand", "retrieve", "rerank", "fit", "answer"]


async def test_without_a_question(built: KnowledgeBase):
    with pytest.raises(UserError):
        await ask(built, question=" ")


def test_citations_leave_script_alone():
    passages: list[Any] = [
        {
            "number": 1,
            "title": "t",
            "heading": "h",
            "source": "s",
            "url": "",
            "lines": [1, 2],
            "signatures": [],
            "text": "",
        }
    ]
    text = "A [1].\n```\nx[2]\n```\nB [2][1]"
    assert cited_only(text, passages) == "A [1].\n```\nx[2]\n```\nB[1]"
    assert [item["number"] for item in citations_in("`x[1]`", passages)] == []
    assert as_data(passages).startswith('<passage number="1"')
