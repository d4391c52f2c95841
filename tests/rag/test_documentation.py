"""Over the real function documentation. Says what is missing where it cannot be had."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from core.models import ModelRegistry
from core.settings import Settings
from core.tokens import TokenCounter
from rag.evaluation import Row, evaluate, read_questions
from rag.hints import documentation_hint
from rag.knowledge import KnowledgeBase
from rag.retrieval_graph import CONFIDENT, RetrievalDeps, build_retrieval_graph
from rag.units import summary_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "retrieval"
QUESTIONS = read_questions(BENCHMARK / "questions.jsonl")
OUTSIDE = read_questions(BENCHMARK / "outside.jsonl")


def test_the_right_function_is_among_the_first(documented: KnowledgeBase):
    searcher = documented.searcher()
    found = evaluate(
        QUESTIONS,
        lambda query: [result.function for result in searcher.search(query, 14) if result.function],
        searcher.canonical,
    )
    rows = {row.group: row for row in found.rows}
    for language in ("en", "zh"):
        row: Row = rows[language]
        assert row.recall_5 >= 0.85, row
        assert row.recall_10 >= 0.92, row
        assert row.mrr >= 0.65, row


def test_what_lies_outside_is_told_from_what_is_documented(documented: KnowledgeBase):
    searcher = documented.searcher()
    if documented.status().lexical_only:
        pytest.skip("without an encoder the two are told apart by words alone")
    let_through = [item.query for item in OUTSIDE if searcher.find(item.query).confidence >= CONFIDENT]
    refused = [item.query for item in QUESTIONS if searcher.find(item.query).confidence < CONFIDENT]
    assert len(let_through) <= 0.1 * len(OUTSIDE), let_through
    assert len(refused) <= 0.05 * len(QUESTIONS), refused


async def test_every_citation_resolves_and_the_context_is_small(documented: KnowledgeBase):
    models = ModelRegistry.load(Settings(_env_file=None), environ={})
    graph = build_retrieval_graph(RetrievalDeps(documented, models)).compile()
    searcher, counter, spent = documented.searcher(), TokenCounter(), []
    pages = {
        page.url
        for name in searcher.functions()
        for language in ("en", "zh")
        for page in _page(searcher, name, language)
    }
    for question in QUESTIONS[::4]:
        found = await graph.ainvoke({"question": question.query})
        spent.append(sum(passage["tokens"] for passage in found.get("passages", [])))
        assert found["found"] == bool(found["citations"])
        for citation in found["citations"]:
            assert f"[{citation['number']}]" in found["answer"]
            if citation["url"]:
                assert citation["url"] in pages
            else:
                guide = files("rag") / citation["source"]
                first, last = citation["lines"]
                cited = guide.read_text("utf-8").splitlines()[first - 1 : last]
                assert len(cited) == last - first + 1
                assert cited[0].strip()
                assert cited[-1].strip()
    index = sum(
        counter.count(f"{page.function} {' '.join(page.signatures)} {summary_of(page)}")
        for name in dict.fromkeys(map(searcher.canonical, searcher.functions()))
        for page in _page(searcher, name, "en")
    )
    assert max(spent) <= RetrievalDeps.budget
    assert np.mean(spent) * 50 < index


def test_planted_mistakes_lead_to_the_right_signature(documented: KnowledgeBase):
    searcher = documented.searcher()
    rows = [json.loads(line) for line in (BENCHMARK / "mistakes.jsonl").read_text("utf-8").splitlines()]
    wrong = []
    for row in rows:
        (page,) = _page(searcher, row["function"], "en")
        if page.signatures[0] not in documentation_hint(searcher, row["error"], row["script"]).text:
            wrong.append(row["script"])
    assert len(wrong) <= 0.1 * len(rows), wrong


def _page(searcher, name, language):
    found = searcher.page(name, language)
    return [found[0]] if found is not None else []
