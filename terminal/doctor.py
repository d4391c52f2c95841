"""`ddb-agent doctor`: what is configured, what is embedded, what fails, and the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from rich.text import Text

from core.errors import UserError
from core.migrations import migrate
from core.models import ModelRegistry
from core.models.probe import probe
from core.postgres import connection, database_url, open_pool
from core.settings import Settings
from core.tokens import TokenCounter
from dolphin.environment import default_environment
from dolphin.sessions import Sessions
from rag.knowledge import KnowledgeBase
from terminal.console import TextConsole, visible
from terminal.kb import LEXICAL_ONLY, NOT_DOCUMENTED, counts

PACKAGES = ("langgraph", "langchain-core", "langchain-openai", "langgraph-checkpoint-postgres", "dolphindb")


@dataclass(frozen=True)
class Finding:
    """`kind` is embedded, configured, missing or failed; what is missing is optional."""

    part: str
    kind: str
    text: str
    remedy: str = ""


async def doctor(settings: Settings) -> int:
    """Print one line a part; the exit code is 1 when something fails."""
    console = TextConsole()
    checks: list[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]]] = [
        ("packages", _packages),
        ("data folder", _data),
        ("Postgres", _postgres),
        ("DolphinDB", _dolphindb),
        ("model", _models),
        ("knowledge", knowledge),
    ]
    failed = False
    for part, check in checks:
        try:
            findings = await check(settings)
        except UserError as error:
            findings = [Finding(part, "failed", error.message, error.remedy)]
        except OSError as error:
            findings = [Finding(part, "failed", f"{error.filename}: {error.strerror}", "Give this user access to it.")]
        for finding in findings:
            failed = failed or finding.kind == "failed"
            style = {"failed": "bold red", "embedded": "cyan", "missing": "yellow"}.get(finding.kind, "green")
            kind = Text.assemble((f"{finding.kind:>10}", style), f"  {finding.part}: {visible(finding.text)}")
            console.print(kind, soft_wrap=True)
            if finding.remedy:
                remedy = f"{'':>12}{finding.remedy}"
                console.print(remedy, style="dim", markup=False, highlight=False, soft_wrap=True)
    return 1 if failed else 0


async def _packages(_settings: Settings) -> list[Finding]:
    return [Finding("packages", "configured", ", ".join(f"{name} {version(name)}" for name in PACKAGES))]


async def _data(settings: Settings) -> list[Finding]:
    def probe() -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        marker = settings.data_dir / ".writable"
        marker.write_bytes(b"")
        marker.unlink()

    try:
        await asyncio.to_thread(probe)
    except OSError as error:
        remedy = "Set DDB_AGENT_DATA_DIR to a folder you can write to."
        return [Finding("data folder", "failed", f"{settings.data_dir}: {error.strerror}", remedy)]
    return [Finding("data folder", "configured", str(settings.data_dir))]


async def _postgres(settings: Settings) -> list[Finding]:
    async with open_pool(partial(database_url, settings)) as pool:
        await migrate(pool)
        async with connection(pool) as held:
            row = await (await held.execute("SHOW server_version")).fetchone()
    kind = "embedded" if settings.database_url is None else "configured"
    remedy = "Set DATABASE_URL to use your own." if kind == "embedded" else ""
    return [Finding("Postgres", kind, f"version {row['server_version'] if row else '?'}", remedy)]


async def _dolphindb(settings: Settings) -> list[Finding]:
    environment = await default_environment(settings)
    sessions = Sessions(max_sessions=1)
    try:
        outcome = await sessions.run(environment, "doctor", "version()", timeout=15)
    finally:
        await sessions.aclose()
    embedded = environment.kind == "embedded"
    remedy = "Set DDB_AGENT_DOLPHINDB_HOST, _PORT, _USER and _PASSWORD to use your own." if embedded else ""
    kind = "embedded" if embedded else "configured"
    return [Finding("DolphinDB", kind, f"{outcome.value.data} at {environment.host}:{environment.port}", remedy)]


async def _models(settings: Settings) -> list[Finding]:
    registry = ModelRegistry.load(settings)
    findings = []
    for record in registry.describe():
        role = record["role"]
        if record["provider"] == "offline":
            text = "the rule-based offline model; it understands a small set of requests"
            findings.append(Finding(role, "embedded", text, "Set DDB_AGENT_MODELS to use a language model."))
            continue
        try:
            listed = await probe(registry, role)
        except UserError as error:
            findings.append(Finding(role, "failed", error.message, error.remedy))
            continue
        remedy = "" if listed else f"The endpoint does not list {record['model']}: check its name."
        findings.append(Finding(role, "configured", f"{record['model']} at {record['base_url']}", remedy))
    return [*findings, _tokens(registry)]


async def knowledge(settings: Settings) -> list[Finding]:
    """What the knowledge base holds, and what it lacks."""
    found = await asyncio.to_thread(KnowledgeBase(settings).status)
    if found.manifest is None:
        text = "there is no knowledge base: the agent does without documentation"
        return [Finding("knowledge", "missing", text, "Build it: ddb-agent kb build")]
    searched = "by words alone" if found.lexical_only else f"by words and by meaning ({found.encoder})"
    text = f"{counts(found.manifest['counts'])}, searched {searched}"
    if not found.documented:
        return [Finding("knowledge", "missing", text, NOT_DOCUMENTED)]
    return [Finding("knowledge", "embedded", text, LEXICAL_ONLY if found.lexical_only else "")]


def _tokens(registry: ModelRegistry) -> Finding:
    counter = TokenCounter(registry.entry("actor").model)
    if counter.is_estimate:
        return Finding("token counting", "embedded", "a calibrated estimate, leaning high")
    return Finding("token counting", "configured", f"tiktoken {counter.name}")
