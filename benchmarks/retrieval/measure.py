"""Measures retrieval over the real documentation.

Uses the knowledge base of the settings (DDB_AGENT_DATA_DIR) and builds it when it is not there. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil

from core.settings import load_settings
from core.tokens import TokenCounter
from rag.evaluation import Asked, evaluate, read_questions
from rag.hints import documentation_hint
from rag.knowledge import KnowledgeBase
from rag.passages import fit
from rag.retrieval_graph import CONFIDENT, RetrievalDeps
from rag.searcher import Searcher
from rag.units import summary_of

ROUNDS = 3
MISTAKES = Path(__file__).with_name("mistakes.jsonl")
# Written before their results were seen: by what users ask, and by functions drawn at random.
QUESTIONS = [Path(__file__).with_name("questions.jsonl"), Path(__file__).with_name("sampled.jsonl")]
# The confidence was fitted to some of these; the others are held out.
OUTSIDE = Path(__file__).with_name("outside.jsonl")


def main(arguments: list[str]) -> None:
    print(json.dumps(asyncio.run(measure(arguments)), ensure_ascii=False, indent=1))


async def measure(arguments: list[str]) -> dict[str, object]:
    base = KnowledgeBase(load_settings())
    report = await base.build()
    unchanged = time.perf_counter()
    await base.build()
    found: dict[str, object] = {
        "build_seconds": report.seconds,
        "build_changed": report.changed,
        "unchanged_build_seconds": round(time.perf_counter() - unchanged, 3),
        "counts": report.counts,
        "encoder": report.encoder,
    }
    started = time.perf_counter()
    searcher = base.searcher()
    searcher.search("warm up", 1)
    found["load_seconds"] = round(time.perf_counter() - started, 2)
    found["hints_with_the_right_signature"] = hints(searcher)
    files = [Path(argument) for argument in arguments] or QUESTIONS
    asked = {path.name: read_questions(path) for path in files}
    found["quality"] = {name: quality(searcher, questions) for name, questions in asked.items()}
    queries = [question.query for questions in asked.values() for question in questions]
    found["not_found"] = not_found(searcher, queries)
    found["latency_ms"] = latency(searcher, queries)
    found["context_tokens"] = context(searcher, queries)
    found["resident_mb"] = round(psutil.Process().memory_info().rss / 1e6)
    return found


def quality(searcher: Searcher, questions: Sequence[Asked]) -> list[dict[str, object]]:
    evaluation = evaluate(
        questions, lambda query: [r.function for r in searcher.search(query, 14) if r.function], searcher.canonical
    )
    return [asdict(row) for row in evaluation.rows]


def not_found(searcher: Searcher, inside: Sequence[str]) -> dict[str, str]:
    """How many questions about other things are let through, and how many about DolphinDB refused."""
    passed: dict[str, list[bool]] = {}
    for question in read_questions(OUTSIDE):
        passed.setdefault(question.style, []).append(searcher.find(question.query).confidence >= CONFIDENT)
    refused = sum(searcher.find(query).confidence < CONFIDENT for query in inside)
    return {
        **{f"let_through_{style.replace(' ', '_')}": f"{sum(of)} of {len(of)}" for style, of in passed.items()},
        "refused": f"{refused} of {len(inside)}",
    }


def latency(searcher: Searcher, queries: list[str]) -> dict[str, float]:
    seconds = []
    for query in queries * ROUNDS:
        started = time.perf_counter()
        searcher.search(query, 10)
        seconds.append(time.perf_counter() - started)
    times = np.array(seconds) * 1000
    return {"median": round(float(np.median(times)), 2), "p95": round(float(np.percentile(times, 95)), 2)}


def context(searcher: Searcher, queries: list[str]) -> dict[str, float]:
    """Tokens of the passages for a question, against a list of all functions with their summaries sent to a model."""
    counter = TokenCounter()
    deps_budget, deps_count = RetrievalDeps.budget, RetrievalDeps.count
    spent = [
        sum(item["tokens"] for item in fit(searcher.search(query, deps_count), searcher, deps_budget, counter.count))
        for query in queries
    ]
    pages = (searcher.page(name) for name in dict.fromkeys(map(searcher.canonical, searcher.functions())))
    index = sum(
        counter.count(f"{page[0].function} {' '.join(page[0].signatures)} {summary_of(page[0])}")
        for page in pages
        if page
    )
    mean = float(np.mean(spent))
    return {"mean_per_question": round(mean), "whole_index": index, "ratio": round(index / mean, 1)}


def hints(searcher: Searcher) -> str:
    """How many planted mistakes lead to the right signature."""
    rows = [json.loads(line) for line in MISTAKES.read_text("utf-8").splitlines() if line]
    right = 0
    for row in rows:
        page = searcher.page(row["function"])
        text = documentation_hint(searcher, row["error"], row["script"]).text
        right += page is not None and page[0].signatures[0] in text
    return f"{right} of {len(rows)}"
