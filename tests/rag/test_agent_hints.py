"""A model that makes known mistakes, in the running agent on the embedded engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from agent.driver import conversation, done, run
from openai_server.server import ScriptedOpenAI
from openai_server.steps import ToolCalls

from core.postgres import Pool
from core.settings import Settings
from core.threads import Threads
from graph.host import Host, open_deps
from rag.knowledge import KnowledgeBase

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TABLE = "t = table(take(`A`B, 20) as sym, 2024.01.01 + til(20) as day, rand(10.0, 20) as price, 1..20 as qty)"

# What the model writes, and the function whose signature it needs.
MISTAKES = [
    ("select movingAvg(price, 5) from t", "mavg"),
    ("select cumSum(qty) from t", "cumsum"),
    ("select mavg(5, price) from t", "mavg"),
    ("select wavg(price) from t group by sym", "wavg"),
    ("t.price.pct_change()", "percentChange"),
    ("update t set price = fillna(price, 0)", "nullFill"),
    ("t.price.rolling(5).mean()", "mavg"),
    ("select ifelse(price > 5, 1, 0) from t", "iif"),
    ('strftime(2024.01.01, "%Y")', "temporalFormat"),
    ("select iif(price > 5, 1) from t", "iif"),
    ("select shift(price, 1) from t", "prev"),
    ('temporalParse("yyyy.MM.dd", "2024.01.01")', "temporalParse"),
    ("melt(t, `sym, `price)", "unpivot"),
    ('regexp_replace("abc", "b", "x")', "regexReplace"),
]


@pytest.fixture
async def host(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, documented: KnowledgeBase, model_file: str
) -> AsyncIterator[Host]:
    own = settings.model_copy(update={"models": model_file, "script_timeout": 20.0})
    async with open_deps(own, pool) as deps:
        yield Host(own, replace(deps, knowledge=documented), pool, Threads(pool, artifacts=deps.artifacts))


@pytest.fixture
def model_file(scripted_openai: ScriptedOpenAI) -> str:
    entry = {"model": "scripted", "base_url": scripted_openai.url, "total_timeout": 8.0, "max_retries": 1}
    return json.dumps({"models": {"scripted": entry}})


async def test_the_hint_carries_the_right_signature(
    host: Host, scripted_openai: ScriptedOpenAI, documented: KnowledgeBase
):
    # What succeeds in between keeps the agent from giving up.
    scripts = [script for mistake, _ in MISTAKES for script in (TABLE, mistake)]
    scripted_openai.add(*(ToolCalls(run(script)) for script in scripts), done("Gave up."))
    talk = await conversation(host)
    await talk.ask("Make the mistakes.")
    results = [result for result in await talk.tool_results() if result.name == "run_dolphindb_script"]
    assert len(results) == len(scripts)
    searcher = documented.searcher()
    wrong = []
    for (script, function), result in zip(MISTAKES, results[1::2], strict=True):
        page = searcher.page(function)
        assert page is not None
        if result.status != "error" or page[0].signatures[0] not in result.text:
            wrong.append((script, result.status, result.text))
    assert len(wrong) <= 0.1 * len(MISTAKES), wrong
