"""Secrets stay where they were put, and what is one owner's is nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dolphindb
import pytest
from e2e.command import Command, Finished
from openai_server import Call, ScriptedOpenAI, Text, ToolCalls
from psycopg.sql import SQL, Identifier

from core.artifacts import Artifacts
from core.errors import NotFoundError
from core.ledger import Ledger
from core.postgres import Pool, connection, database_url
from core.settings import Settings
from core.threads import Threads
from engine import launcher
from graph.host import Host, open_deps

DATABASE_SECRET, DOLPHINDB_SECRET, MODEL_SECRET = (f"{name}Secret{uuid4().hex[:8]}" for name in ("pg", "ddb", "model"))
SECRETS = (DATABASE_SECRET, DOLPHINDB_SECRET, MODEL_SECRET)


@pytest.fixture
def configured(settings: Settings, tmp_path: Path, scripted_openai: ScriptedOpenAI) -> Iterator[dict[str, str]]:
    """Everything configured with a secret: a database URL, a DolphinDB server and a model that checks its key."""
    endpoint = launcher.start(tmp_path, idle_seconds=60)
    admin = launcher_session(endpoint)
    admin.run(f'createUser("agent", "{DOLPHINDB_SECRET}", NULL, true)')
    admin.close()
    scripted_openai.api_key = MODEL_SECRET
    model = {"model": "scripted", "base_url": scripted_openai.url, "api_key_env": "MODEL_KEY", "max_retries": 0}
    yield {
        "DATABASE_URL": database_url(settings).replace("postgres@", f"postgres:{DATABASE_SECRET}@"),
        "DDB_AGENT_DOLPHINDB_HOST": endpoint.host,
        "DDB_AGENT_DOLPHINDB_PORT": str(endpoint.port),
        "DDB_AGENT_DOLPHINDB_USER": "agent",
        "DDB_AGENT_DOLPHINDB_PASSWORD": DOLPHINDB_SECRET,
        "DDB_AGENT_MODELS": json.dumps({"models": {"scripted": model}}),
        "MODEL_KEY": MODEL_SECRET,
    }
    launcher.stop(tmp_path)


def launcher_session(endpoint: launcher.Endpoint) -> Any:
    session = dolphindb.Session()
    assert session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    return session


async def test_secrets_are_in_no_output_log_prompt_or_table(
    command: Command, configured: dict[str, str], pool: Pool, settings: Settings, tmp_path: Path,
    scripted_openai: ScriptedOpenAI,
) -> None:  # fmt: skip
    scripted_openai.add(ToolCalls(Call("run_dolphindb_script", {"script": "6 * 7"})), Text("42"))
    good = command("ask", "what is 6 * 7?", "--json", **configured)
    assert good.json["answer"] == "42"
    told: list[Finished] = [good, command("doctor", **configured)]
    assert told[1].code == 0, told[1].out
    scripted_openai.add(ToolCalls(Call("run_dolphindb_script", {"script": "select from nothing"})), Text("no"))
    told.append(command("ask", "fail", **configured))
    scripted_openai.api_key = "another"
    told.append(command("ask", "with a key that is refused", **configured))
    assert "refused the key" in told[-1].out
    scripted_openai.api_key = MODEL_SECRET
    for wrong in (
        {"DDB_AGENT_DOLPHINDB_PASSWORD": f"{DOLPHINDB_SECRET}x"},
        {"DDB_AGENT_DOLPHINDB_PORT": "1"},
        {"DATABASE_URL": f"postgresql://u:{DATABASE_SECRET}@127.0.0.1:1/x"},
        {"DATABASE_URL": f"u:{DATABASE_SECRET}@nonsense"},
        {"DDB_AGENT_MODELS": json.dumps({"models": {"m": {"model": 1, "key": MODEL_SECRET}}})},
    ):
        scripted_openai.steps[:] = [ToolCalls(Call("list_tables")), Text("no")]
        told.append(command("ask", "list the tables", **{**configured, **wrong}))
        told.append(command("doctor", **{**configured, **wrong}))
    for finished in told:
        assert not [secret for secret in SECRETS if secret in finished.out + finished.err], finished
    logs = [path for folder in (settings.data_dir, tmp_path) for path in folder.rglob("*log*") if path.is_file()]
    assert logs
    for path in logs:
        assert not [secret for secret in SECRETS if secret.encode() in path.read_bytes()], path
    for request in scripted_openai.requests:
        assert not [secret for secret in SECRETS if secret in json.dumps(request.body)]
    async with connection(pool) as held:
        names = await (await held.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).fetchall()
        assert {"threads", "ledger", "checkpoints"} <= {row["tablename"] for row in names}
        for row in names:
            rows = await (await held.execute(SQL("SELECT * FROM {}").format(Identifier(row["tablename"])))).fetchall()
            stored = repr(rows)
            assert not [secret for secret in SECRETS if secret in stored], row["tablename"]


async def test_owners_do_not_meet(pool: Pool, settings: Settings) -> None:
    artifacts = Artifacts(pool, settings.data_dir / "artifacts")
    threads, ledger = Threads(pool, artifacts=artifacts), Ledger(pool)
    anna, ben = f"anna-{uuid4().hex}", f"ben-{uuid4().hex}"
    thread = (await threads.create(anna, title="mine")).thread_id
    kept = await artifacts.save(anna, thread, "result", "r.csv", "text/csv", b"a\n1\n")
    entry = await ledger.open(anna, thread, None, "call", "drop", "destroy")
    for attempt in (
        threads.get(ben, thread),
        threads.update(ben, thread, title="stolen"),
        threads.delete(ben, thread),
        artifacts.get(ben, kept.id),
        artifacts.read(ben, kept.id),
        artifacts.delete(ben, kept.id),
        ledger.close(entry.id, "done", owner=ben),
        ledger.reopen(ben, entry.id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await threads.list(ben) == []
    assert await artifacts.list(ben, thread) == []
    assert await ledger.find(ben, thread, "call") is None
    assert await ledger.open_entries(ben, thread) == []
    async with open_deps(settings, pool) as deps:
        with pytest.raises(NotFoundError):
            await Host(settings, deps, pool, threads).state(ben, thread)
    assert (await threads.get(anna, thread)).title == "mine"
    assert await artifacts.read(anna, kept.id) == b"a\n1\n"
    assert [found.id for found in await ledger.open_entries(anna, thread)] == [entry.id]
