"""What those who run the server see of it: metrics, usage, logs, traces, limits."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiohttp import web
from openai_server import Call, ScriptedOpenAI, Text, ToolCalls
from served import free_port
from served.application import accounts, logged_in, serving

from core.artifacts import Artifacts
from core.errors import ConfigurationError
from core.postgres import Pool
from core.settings import Settings
from server.app import create_app
from server.config import ServerConfig
from server.logs import JsonFormatter, bound_to, masked
from server.rates import Rates
from server.services import open_services
from server.tables import parquet_of
from server.usage import Usage

ROOT = Path(__file__).parents[2]
SCRIPT = "select * from table(1..7 as n)"


@pytest.fixture
def names() -> tuple[str, str]:
    tail = uuid4().hex[:6]
    return f"ann-{tail}", f"root-{tail}"


@asynccontextmanager
async def site(
    settings: Settings, pool: Pool, scripted: ScriptedOpenAI, names: tuple[str, str], **changes: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """A server of the agent with a user and an administrator."""
    model = {"model": "scripted", "base_url": scripted.url, "timeout": 5}
    own = settings.model_copy(update={"models": json.dumps({"models": {"scripted": model}}), **changes})
    app = create_app(own, ServerConfig(ROOT, {"agent": "./graph/export.py:agent"}, {}), local=False)
    ann, root = names
    async with pool.connection() as held:
        await held.execute("TRUNCATE request_counts")
    async with (
        accounts(pool, settings, {ann: "user", root: "admin"}) as keys,
        serving(app) as url,
        logged_in(url, keys[ann]) as user,
        logged_in(url, keys[root]) as admin,
    ):
        yield user, admin


async def ask(http: httpx.AsyncClient, scripted: ScriptedOpenAI, script: str = SCRIPT) -> str:
    """A run of the agent that runs a script; the thread's id."""
    scripted.add(
        ToolCalls(Call("run_dolphindb_script", {"script": script})),
        ToolCalls(Call("attempt_completion", {"answer": "Seen."})),
    )
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    body = {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": "Show me, please"}]}}
    answer = await http.post(f"/threads/{thread}/runs/wait", json=body)
    assert answer.json()["answer"]["text"] == "Seen.", answer.text
    return str(thread)


def value(text: str, name: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    assert found, name
    return sum(map(float, found))


async def test_metrics_and_usage(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("DDB_AGENT_METRICS_ACCESS", "admin")
    async with site(settings, pool, scripted_openai, names) as (user, admin):
        thread = await ask(user, scripted_openai)
        await ask(user, scripted_openai, "select no_such_column from table(1..7 as n)")
        assert (await user.get("/metrics")).status_code == 403
        assert (await user.get("/metrics", headers={"x-api-key": ""})).status_code == 401
        text = (await admin.get("/metrics")).text
        assert value(text, "ddb_agent_model_seconds_count") == 4
        assert value(text, "ddb_agent_model_tokens_total") > 0
        assert value(text, "ddb_agent_dolphindb_rows_total") >= 7
        assert value(text, "ddb_agent_queue_seconds_count") == 2
        assert value(text, "ddb_agent_runs_active") == 0
        assert value(text, "ddb_agent_queue_length") == 0
        assert value(text, "ddb_agent_database_connections") > 0
        assert value(text, "process_resident_memory_bytes") > 0
        assert 'ddb_agent_errors_total{kind="DolphinDBError",source="dolphindb"} 1.0' in text
        assert 'ddb_agent_runs_ended_total{graph="agent",status="success"} 2.0' in text

        async def used(**params: Any) -> dict[str, Any]:
            answer = await admin.get("/usage", params={"owner": names[0], **params})
            return dict(answer.json())

        async with asyncio.timeout(10):
            while not (days := (await used())["days"]) or days[0]["scripts"] < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        [today] = days
        assert (today["runs"], today["scripts"], today["rows"]) == (2, 2, 7)
        assert today["input_tokens"] > 0
        assert (await user.delete(f"/threads/{thread}")).status_code == 204
        assert (await used())["days"] == days
        usage = Usage(pool)
        await usage.gather()
        assert (await used())["days"] == days
        assert (await user.get("/usage")).json() == {"owner": names[0], "days": days}
        everybody = (await admin.get("/usage?everybody=true")).json()["owners"]
        assert [each["runs"] for each in everybody if each["owner"] == names[0]] == [2]
        for query in (f"?owner={names[1]}", "?everybody=true"):
            assert (await user.get(f"/usage{query}")).status_code == 403


async def test_metrics_are_read_on_this_machine(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str]
) -> None:
    async with site(settings, pool, scripted_openai, names) as (user, _):
        nobody = {"x-api-key": ""}
        assert (await user.get("/metrics", headers=nobody)).status_code == 200
        for header in ("X-Forwarded-For", "Forwarded"):
            assert (await user.get("/metrics", headers={**nobody, header: "127.0.0.1"})).status_code == 401


async def test_a_worker_shows_its_metrics_on_a_port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("DDB_AGENT_WORKER_METRICS_PORT", str(port))
    config = ServerConfig(ROOT, {}, {})
    async with open_services(settings, config):
        async with httpx.AsyncClient() as http:
            assert "ddb_agent_runs_active 0.0" in (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        with pytest.raises(ConfigurationError, match="WORKER_METRICS_PORT"):
            async with open_services(settings, config):
                pass


async def test_traces_are_sent(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans: list[Any] = []

    async def collect(request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return web.Response()

    collector = web.Application()
    collector.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(collector)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    monkeypatch.setenv("DDB_AGENT_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}/")
    try:
        async with site(settings, pool, scripted_openai, names) as (user, _):
            thread = await ask(user, scripted_openai, "select hush_hush from table(1..7 as n)")
    finally:
        await runner.cleanup()
    counts = Counter(span.name for span in spans)
    assert counts["model"] == 2
    assert counts["run agent"] == 1
    [run] = [span for span in spans if span.name == "run agent"]
    attributes = {item.key: item.value.string_value or item.value.int_value for item in run.attributes}
    assert (attributes["thread_id"], attributes["graph"], attributes["owner"]) == (thread, "agent", names[0])
    for name in ("model", "dolphindb"):
        assert {span.trace_id for span in spans if span.name == name and span.parent_span_id} >= {run.trace_id}, name
    kinds = {item.value.string_value for span in spans for item in span.attributes if item.key == "error.type"}
    assert kinds == {"DolphinDBError"}
    requests = [span for span in spans if span.name == "POST request"]
    statuses = {item.value.int_value for span in requests for item in span.attributes if item.key.endswith("code")}
    assert statuses == {200}
    assert "hush_hush" not in str(spans)
    assert "Show me" not in str(spans)


async def test_limits_hold_over_processes(pool: Pool) -> None:
    client = uuid4().hex
    here, there = Rates(10), Rates(10)
    assert [here.admit(client) for _ in range(6)] == [True] * 6
    assert [there.admit(client) for _ in range(3)] == [True] * 3
    for each in (here, there, here):
        await each.share(pool)
    assert [here.admit(client) for _ in range(3)] == [True, False, False]
    await here.share(pool)
    await there.share(pool)
    assert not there.admit(client)
    assert there.admit(uuid4().hex)
    async with pool.connection() as held:
        cursor = await held.execute("SELECT client FROM request_counts")
        assert client.encode() not in [bytes(row["client"]) for row in await cursor.fetchall()]


async def test_too_many_requests(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str]
) -> None:
    async with site(settings, pool, scripted_openai, names, requests_per_minute=5) as (user, admin):
        statuses = [(await user.get("/auth/me")).status_code for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        assert (await admin.get("/auth/me")).status_code == 200


def test_lines_have_ids_and_no_secrets() -> None:
    record = logging.LogRecord("ddb_agent", logging.INFO, "x.py", 1, "password=%s for %s", ("hush", "ann"), None)
    with bound_to(run_id="r1", thread_id="t1"), bound_to(request_id="q1"):
        line = json.loads(JsonFormatter().format(record))
    assert (line["run_id"], line["thread_id"], line["request_id"]) == ("r1", "t1", "q1")
    assert line["message"] == "password=*** for ann"
    assert "run_id" not in json.loads(JsonFormatter().format(record))
    for secret, text in (
        ("abc123", "Authorization: Bearer abc123"), ("abc123", '{"token": "abc123"}'), ("abc123", "?ticket=abc123&x=1"),
        ("ddba_0123456789abcdef0123", "key ddba_0123456789abcdef0123"), ("hush", "postgresql://u:hush@h/db"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln back"),
        ("sk-0123456789abcdef0123", "Incorrect key sk-0123456789abcdef0123."), ("abc123", "Cookie: abc123"),
    ):  # fmt: skip
        assert secret not in masked(text), text
    assert masked("GET /threads 200") == "GET /threads 200"


async def test_feedback_is_exported_as_cases(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str]
) -> None:
    async with site(settings, pool, scripted_openai, names, requests_per_minute=1000) as (user, admin):
        thread = await ask(user, scripted_openai)
        [run] = (await user.get(f"/threads/{thread}/runs")).json()
        scripted_openai.add(Text("You are welcome."))
        body = {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": "Thanks"}]}}
        values = (await user.post(f"/threads/{thread}/runs/wait", json=body)).json()
        about = {"thread_id": thread, "score": "dislike", "comment": "Too short"}
        assert (await user.post("/feedback", json={**about, "run_id": run["run_id"]})).status_code == 200
        message = values["messages"][-1]["id"]
        assert (await user.post("/feedback", json={**about, "message_id": message})).status_code == 200
        exported = await user.get("/feedback/export")
        first, second = [json.loads(line) for line in exported.text.splitlines()]
        assert (first["question"], first["answer"]) == ("Show me, please", "Seen.")
        assert (first["scripts"], first["score"], first["comment"]) == ([SCRIPT], "dislike", "Too short")
        assert (second["question"], second["answer"], second["scripts"]) == ("Thanks", "You are welcome.", [])
        assert "owner" not in first
        assert (await user.get("/feedback/export?everybody=true")).status_code == 403
        everything = (await admin.get("/feedback/export?everybody=true")).text.splitlines()
        assert names[0] in [json.loads(line)["owner"] for line in everything]
        assert (await admin.get("/feedback/export")).text == ""


async def test_artifacts(
    settings: Settings, pool: Pool, scripted_openai: ScriptedOpenAI, names: tuple[str, str], tmp_path: Path
) -> None:
    import polars

    store = Artifacts(pool, settings.data_dir / "artifacts")
    async with site(settings, pool, scripted_openai, names) as (user, admin):
        thread = (await user.post("/threads", json={})).json()["thread_id"]
        table = b"sym,n,px,ok\nA,1,1.5,true\n,,,\n\xe4\xb8\xad,-3,2e3,false\n"
        kept = await store.save(names[0], thread, "result", "result.csv", "text/csv", table)
        image = await store.save(names[0], thread, "chart", "a.svg", "image/svg+xml", b"<svg/>")
        answer = await user.get(f"/artifacts/{kept.id}?format=parquet")
        assert answer.headers["content-disposition"] == 'attachment; filename="result.parquet"'
        (tmp_path / "t.parquet").write_bytes(answer.content)
        assert polars.read_parquet(tmp_path / "t.parquet").to_dict(as_series=False) == {
            "sym": ["A", None, "中"], "n": [1, None, -3], "px": [1.5, None, 2000.0], "ok": [True, None, False],
        }  # fmt: skip
        part = await user.get(f"/artifacts/{kept.id}?format=parquet", headers={"range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"PAR1")
        etag = (await user.get(f"/artifacts/{kept.id}")).headers["etag"]
        assert (await user.get(f"/artifacts/{kept.id}", headers={"if-none-match": etag})).status_code == 304
        stale = await user.get(f"/artifacts/{kept.id}", headers={"range": "bytes=0-3", "if-range": '"old"'})
        assert (stale.status_code, stale.content) == (200, table)
        shown = await user.get(f"/artifacts/{image.id}?format=svg")
        assert (shown.content, shown.headers["content-type"]) == (b"<svg/>", "image/svg+xml")
        assert shown.headers["content-disposition"].startswith("attachment")
        for path in (f"{image.id}?format=parquet", f"{image.id}?format=png", f"{kept.id}?format=svg"):
            assert (await user.get(f"/artifacts/{path}")).status_code == 422
        assert (await admin.get(f"/artifacts/{kept.id}?format=parquet")).status_code == 404


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 1000])
def test_parquet_is_read_by_others(rows: int, tmp_path: Path) -> None:
    import duckdb

    lines = ["sym,n,code,text", *(f'S{row % 3},{row if row % 4 else ""},0{row},"a,""{row}"""' for row in range(rows))]
    path = tmp_path / "t.parquet"
    path.write_bytes(parquet_of(("\n".join(lines) + "\n").encode()))
    query = f"SELECT count(*), sum(try_cast(n AS BIGINT)), max(length(code)), max(text) FROM '{path}'"
    [found] = duckdb.sql(query).fetchall()
    numbers = [row for row in range(rows) if row % 4]
    codes = [f"0{row}" for row in range(rows)]
    assert found == (
        rows, sum(numbers) if numbers else None, max(map(len, codes), default=None),
        max((f'a,"{row}"' for row in range(rows)), default=None),
    )  # fmt: skip
