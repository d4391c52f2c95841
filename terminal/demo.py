"""`ddb-agent demo`: real questions about real data, on embedded parts in a folder that is thrown away."""

from __future__ import annotations

import asyncio
import csv
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from core.errors import ConfigurationError, UserError
from core.postgres import release_database
from core.settings import Settings
from dolphin.environment import stop_embedded
from graph.host import Host, open_host
from graph.review import ReviewRequest
from graph.state import Answer, RunContext
from rag.knowledge import KnowledgeBase
from rag.retrieval_graph import RetrievalDeps, build_retrieval_graph
from terminal.ask import LOCAL_USER
from terminal.console import TextConsole
from terminal.conversation import Display, Turn, thread_for, turn
from terminal.kb import build_with_progress, counts
from terminal.review import Decisions, approve_all, show


@dataclass(frozen=True)
class Question:
    """A question with `{stocks}` and `{weather}` for the files; `note` says what to watch for."""

    text: str
    note: str = ""


QUESTIONS = [
    Question("load {stocks} as stocks", "loading a CSV file"),
    Question("load {weather} as weather"),
    Question("how many rows are in stocks per symbol?", "counting by group"),
    Question("top 3 symbols by average price in stocks", "a ranking"),
    Question("weather 表中每种天气的平均最高气温是多少？", "a question in Chinese"),
    Question("average closing_price by symbol in stocks", "a column that does not exist: the agent repairs its script"),
    Question("3-row moving average of price by symbol in stocks", "a window per group"),
    Question("max drawdown of price by symbol in stocks", "a measure that looks back"),
    Question("save stocks to database dfs://market as prices", "a write: it needs approval"),
    Question("count the rows of prices in dfs://market", "what was stored"),
]


# What the guides answer is asked even where the function documentation is missing.
ABOUT_FUNCTIONS = [
    "which function gives the rolling correlation of two series?",
    "how do I read a CSV file in parallel?",
]
ABOUT_LANGUAGE = ["context by 和 group by 有什么区别？"]
OUTSIDE = "how long do I boil an egg?"


async def demo(settings: Settings) -> int:
    """Ask everything; exit code 0 when every question was answered.

    The knowledge base is the user's own, and stays; the rest is thrown away.
    """
    console = TextConsole()
    knowledge = KnowledgeBase(settings)
    documented = await _build(knowledge, console)
    with tempfile.TemporaryDirectory(prefix="ddb-agent-demo-") as folder:
        own = settings.model_copy(update={"data_dir": Path(folder), "database_url": None, "dolphindb_host": None})
        files = await asyncio.to_thread(sample_files, Path(folder))
        try:
            async with open_host(own) as opened:
                host = replace(opened, deps=replace(opened.deps, knowledge=knowledge))
                failed = await _ask_all(host, files, console)
                failed += await _look_up(host, console, documented=documented)
        finally:
            await asyncio.to_thread(stop_embedded, own)
            await asyncio.to_thread(release_database, own)
    if failed:
        console.print(f"\n[red]{len(failed)} questions were not answered:[/] {'; '.join(failed)}", highlight=False)
        return 1
    asked = len(QUESTIONS) + len(_about(documented=documented))
    console.print(f"\n[green]All {asked} questions were answered.[/] Your turn: ddb-agent chat")
    return 0


async def _build(knowledge: KnowledgeBase, console: Console) -> bool:
    """Bring the knowledge base up to date; whether DolphinDB's function documentation is in it."""
    console.print(f"Knowledge base: DolphinDB's documentation, indexed once into {knowledge.root}", highlight=False)
    try:
        report = await build_with_progress(knowledge)
    except UserError as error:
        console.print(f"{error.message} {error.remedy}", style="yellow", markup=False, highlight=False)
        return False
    console.print(f"{counts(report.counts)}; {report.seconds:.1f} s", highlight=False)
    for source, problem in report.problems.items():
        console.print(f"not read: {source}: {problem}", style="yellow", markup=False, highlight=False)
    return bool(report.counts.get("function"))


def _about(*, documented: bool) -> list[str]:
    return [*(ABOUT_FUNCTIONS if documented else []), *ABOUT_LANGUAGE]


async def _look_up(host: Host, console: Console, *, documented: bool) -> list[str]:
    """Ask about DolphinDB itself, and something that its documentation does not know; what was answered wrongly."""
    graph = build_retrieval_graph(RetrievalDeps.configured(host.deps.knowledge, host.deps.models)).compile()
    failed = []
    for question in [*_about(documented=documented), OUTSIDE]:
        console.rule("from the documentation" if question != OUTSIDE else "not in the documentation", align="left")
        console.print(f"[bold]> {question}[/]", highlight=False)
        try:
            found = await graph.ainvoke({"question": question})
        except UserError as error:
            console.print(f"{error.message} {error.remedy}", style="red", markup=False, highlight=False)
            failed.append(question)
            continue
        console.print(found["answer"], markup=False, highlight=False, soft_wrap=True)
        for item in found["citations"]:
            place = f"  [{item['number']}] {item['heading']}: {item['url'] or item['source']}"
            console.print(place, style="blue", markup=False, highlight=False, soft_wrap=True)
        if found["found"] == (question == OUTSIDE):
            failed.append(question)
    return failed


async def _ask_all(host: Host, files: dict[str, Path], console: Console) -> list[str]:
    model = host.deps.models.entry("actor")
    console.print("[bold]ddb-agent demo[/]")
    console.print(
        "Embedded for this demo: the DolphinDB-compatible engine, a private Postgres"
        + (", and the rule-based offline model" if model.provider == "offline" else "")
        + f". Model: {model.name}.\nData: monthly prices of five stocks and daily weather of Seattle"
        " (vega_datasets; dates rewritten as yyyy.MM.dd).",
        highlight=False,
    )
    thread = (await thread_for(host, LOCAL_USER, None, "demo")).thread_id
    failed = []
    for number, question in enumerate(QUESTIONS, 1):
        text = question.text.format(**files)
        console.rule(f"{number}/{len(QUESTIONS)} {question.note}".strip(), align="left")
        console.print(f"[bold]> {text}[/]", highlight=False)
        ended = await turn(
            host,
            LOCAL_USER,
            thread,
            text,
            display=Display(console),
            review=lambda request: _approve(request, console),
            context=RunContext(owner=LOCAL_USER, interactive=False),
        )
        if not _answered(ended):
            failed.append(text)
    return failed


def _approve(request: ReviewRequest, console: Console) -> Decisions | None:
    show(request, console)
    decisions = approve_all(request)
    console.print("[bold yellow]approved by the demo[/]" if decisions else "[red]the demo cannot answer this[/]")
    return decisions


def _answered(ended: Turn) -> bool:
    answer: Answer | None = ended.answer
    return answer is not None and answer["status"] == "completed"


def sample_files(folder: Path) -> dict[str, Path]:
    """The two data sets as CSV files with dates that `loadText` reads as DATE."""
    if find_spec("vega_datasets") is None:
        raise ConfigurationError(
            "The demo's data is not installed.", "Run it by: make demo (or pip install vega_datasets)."
        )
    from vega_datasets import local_data

    stocks, weather = folder / "stocks.csv", folder / "weather.csv"
    _rewrite(Path(local_data.stocks.filepath), stocks, "%b %d %Y")
    _rewrite(Path(local_data.seattle_weather.filepath), weather, "%Y/%m/%d")
    return {"stocks": stocks, "weather": weather}


def _rewrite(source: Path, target: Path, date_format: str) -> None:
    with source.open(newline="", encoding="utf-8") as read, target.open("w", newline="", encoding="utf-8") as write:
        rows = csv.DictReader(read)
        writer = csv.DictWriter(write, rows.fieldnames or [])
        writer.writeheader()
        for row in rows:
            day = datetime.strptime(row["date"], date_format)
            writer.writerow({**row, "date": f"{day:%Y.%m.%d}"})
