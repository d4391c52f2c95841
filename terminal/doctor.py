"""`ddb-agent doctor`: what is configured, what is embedded, what fails, and the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from rich.console import Console

from core.errors import UserError
from core.migrations import migrate
from core.models import ModelRegistry
from core.postgres import connection, database_url, open_pool
from core.settings import Settings
from core.tokens import TokenCounter
from dolphin.environment import default_environment
from dolphin.sessions import Sessions

PACKAGES = ("langgraph", "langchain-core", "langchain-openai", "langgraph-checkpoint-postgres", "dolphindb")


@dataclass(frozen=True)
class Finding:
    """`kind` is embedded, configured or failed."""

    part: str
    kind: str
    text: str
    remedy: str = ""


async def doctor(settings: Settings) -> int:
    """Print one line a part; the exit code is 1 when something fails."""
    console = Console()
    checks: list[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]]] = [
        ("packages", _packages),
        ("data folder", _data),
        ("Postgres", _postgres),
        ("DolphinDB", _dolphindb),
        ("model", _models),
        ("token counting", _tokens),
    ]
    failed = False
    for part, check in checks:
        try:
            findings = await check(settings)
        except UserError as error:
            findings = [Finding(part, "failed", error.message, error.remedy)]
        for finding in findings:
            failed = failed or finding.kind == "failed"
            style = {"failed": "bold red", "embedded": "cyan"}.get(finding.kind, "green")
            console.print(f"[{style}]{finding.kind:>10}[/]  {finding.part}: {finding.text}", highlight=False)
            if finding.remedy:
                console.print(f"{'':>12}{finding.remedy}", style="dim", highlight=False)
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
    findings = []
    for record in ModelRegistry.load(settings).describe():
        if record["provider"] == "offline":
            text = "the rule-based offline model; it understands a small set of requests"
            findings.append(Finding(record["role"], "embedded", text, "Set DDB_AGENT_MODELS to use a language model."))
        elif not record["key_present"]:
            text = f"{record['model']}: the variable {record['key_variable']} is not set"
            findings.append(Finding(record["role"], "failed", text, f"Set {record['key_variable']}."))
        else:
            findings.append(Finding(record["role"], "configured", f"{record['model']} at {record['base_url']}"))
    return findings


async def _tokens(settings: Settings) -> list[Finding]:
    counter = TokenCounter(ModelRegistry.load(settings).entry("actor").model)
    if counter.is_estimate:
        return [Finding("token counting", "embedded", f"{counter.name}: a calibrated estimate, leaning high")]
    return [Finding("token counting", "configured", f"tiktoken {counter.name}")]
