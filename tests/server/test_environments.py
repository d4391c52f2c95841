"""Environments over HTTP: rented, used, extended and given back; whose they are; what of them is seen."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from eci_emulator import EciEmulator
from eci_emulator.settings import eci_settings
from eci_emulator.waiting import until
from openai_server import Call, Hang, ScriptedOpenAI, ToolCalls
from psycopg.sql import SQL, Identifier
from served.application import accounts, logged_in, serving
from yarl import URL

from core.postgres import Pool
from core.settings import Settings
from dolphin.environment import Environment
from provision.service import open_environments
from provision.specs import EnvironmentRequest
from server.app import create_app
from server.auth import Users
from server.config import ServerConfig
from server.identity import Role
from server.logs import JsonFormatter
from server.services import Services

ROOT = Path(__file__).parents[2]
SMALL = {"name": "box", "cpu": 1, "memory": 2, "hours": 1}


@dataclass
class Site:
    """A server with users, and what was logged and answered."""

    url: str
    services: Services
    users: dict[str, httpx.AsyncClient]
    seen: list[str] = field(default_factory=list)
    """Every answer's text, for searching secrets."""

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.users[name]

    async def made(self, user: str, **request: Any) -> dict[str, Any]:
        """A running environment of a user."""
        answer = await self[user].post("/environments", json={**SMALL, **request})
        assert answer.status_code == 202, answer.text
        return await self.state(user, answer.json()["environment_id"], "RUNNING")

    async def state(self, name: str, environment: str, *wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                found = (await self[name].get(f"/environments/{environment}")).json()
                if found["state"] in wanted:
                    return dict(found)
                assert found["state"] != "ERROR", found
                await asyncio.sleep(0.05)

    async def password(self, environment: str) -> list[str]:
        environments = await self.services.environments()
        [record] = [each for each in await environments.store.secrets() if each.id == environment]
        secrets = [record.secret, record.workspace_secret]
        return [environments.vault.decrypt(each).get_secret_value() for each in secrets if each is not None]


def variables(emulator: EciEmulator, **changes: Any) -> dict[str, str]:
    """The settings of the emulated cloud as a process is given them."""
    settings = eci_settings(emulator, **changes).model_dump(mode="json", exclude_unset=True)
    return {
        f"DDB_AGENT_{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
        for name, value in settings.items()
    }


@pytest.fixture
async def site(
    request: pytest.FixtureRequest, settings: Settings, pool: Pool, emulator: EciEmulator, no_environments: None,
    scripted_openai: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> AsyncIterator[Site]:  # fmt: skip
    changes = {"reaper_seconds": 60.0, **getattr(request, "param", {})}
    for name, value in variables(emulator, **changes).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    model = {"model": "scripted", "base_url": scripted_openai.url, "timeout": 5}
    own = settings.model_copy(update={"models": json.dumps({"models": {"scripted": model}})})
    roles: dict[str, Role] = {"ann": "user", "bob": "user", "root": "admin"}
    seen: list[str] = []

    async def note(answer: httpx.Response) -> None:
        await answer.aread()
        seen.append(answer.text)

    app = create_app(own, ServerConfig(ROOT, {"agent": "./graph/export.py:agent"}, {}), local=False)
    async with accounts(pool, settings, roles) as keys, serving(app) as url, AsyncExitStack() as stack:
        users = {}
        for name, key in keys.items():
            users[name] = await stack.enter_async_context(logged_in(url, key, event_hooks={"response": [note]}))
        yield Site(url, app.state.services, users, seen)


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def enter(site: Site, name: str, environment: str, browser: aiohttp.ClientSession) -> str:
    """The address of a workspace that the browser may look at from now on."""
    answer = await site[name].post(f"/environments/{environment}/workspace/ticket")
    assert answer.status_code == 201, answer.text
    async with browser.get(site.url + answer.json()["url"], allow_redirects=False) as admitted:
        assert admitted.status == 303
    return f"{site.url}/environments/{environment}/workspace"


async def rows_of_every_table(pool: Pool) -> dict[str, str]:
    async with pool.connection() as held:
        cursor = await held.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [row["tablename"] for row in await cursor.fetchall()]
        found = {}
        for table in tables:
            cursor = await held.execute(SQL("SELECT * FROM {}").format(Identifier(table)))
            values = [value for row in await cursor.fetchall() for value in row.values()]
            found[table] = "\n".join(
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else repr(value)
                for value in values
            )
    return found


async def test_from_creation_to_deletion(
    site: Site, browser: aiohttp.ClientSession, pool: Pool, emulator: EciEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    ann = site["ann"]
    told = await ann.post("/environments/estimate", json=SMALL)
    assert told.status_code == 200
    assert told.json()["estimate"] == {"amount": 0.492, "currency": "CNY", "text": "about 0.49 CNY (an estimate)"}
    assert emulator.groups == {}
    answer = await ann.post("/environments", json=SMALL)
    assert (answer.status_code, answer.json()["estimate"]["amount"]) == (202, 0.492)
    box = answer.json()["environment_id"]
    assert answer.headers["location"] == f"/environments/{box}"
    running = await site.state("ann", box, "RUNNING")
    events = [entry["event"] for entry in running["history"]]
    assert [each for each in events if each in ("requested", "secured", "workspace created", "running")] == [
        "requested", "secured", "workspace created", "running",
    ]  # fmt: skip
    assert running["host"] == next(group.address for group in emulator.alive() if group.role == "database")
    secrets = await site.password(box)
    assert len(secrets) == 2
    assert 'ddb_agent_environments{provider="eci",state="RUNNING"} 1.0' in (await ann.get("/metrics")).text

    deps = await site.services.deps()
    environment = await deps.environment("ann", box)
    script = """
    db = database("dfs://here", VALUE, 1..3)
    t = db.createPartitionedTable(table(1:0, `k`v, [INT, DOUBLE]), `t, `k)
    t.append!(table(1 2 3 as k, 1.0 2.0 3.0 as v))
    """
    await deps.sessions.run(environment, "test", script)
    found = await ann.get(f"/environments/{box}/connection")
    assert (found.status_code, found.json()["reachable"]) == (200, True)
    assert found.json()["version"].startswith("3")
    schema = (await ann.get("/environments/box/schema")).json()
    [database] = schema["databases"]
    assert database["name"] == "dfs://here"
    assert [table["columns"] for table in database["tables"]] == [["k INT", "v DOUBLE"]]
    assert (await ann.get("/databases", params={"environment": box})).json()["databases"] == ["dfs://here"]
    assert "dfs://here" not in (await ann.get("/databases")).json()["databases"]
    table = (await ann.get("/databases/here/tables/t", params={"environment": "box"})).json()
    assert [column["name"] for column in table["columns"]] == ["k", "v"]
    query = {"script": 'select * from loadTable("dfs://here", "t") where k = 2'}
    judged = (await ann.post("/script/check", params={"environment": box}, json=query)).json()
    assert (judged["level"], judged["partitions_read"]) == ("read", 1)
    assert "partitions_read" not in (await ann.post("/script/check", json=query)).json()

    place = await enter(site, "ann", box, browser)
    async with browser.put(f"{place}/a.txt", data=b"text", headers={"Content-Type": "text/plain"}) as shown:
        upstream = await shown.json()
    assert (upstream["path"], upstream["size"]) == ("/a.txt", 4)
    assert upstream["headers"]["content-type"] == "text/plain"
    assert shown.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Content-Security-Policy" not in shown.headers
    async with browser.put(f"{place}/big", data=BytesIO(bytes(11_000_000))) as shown:
        assert (await shown.json())["size"] == 11_000_000
    async with browser.ws_connect(f"{place}/ws", headers={"Origin": site.url}) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str(timeout=5) == "hello"

    later = (await ann.post(f"/environments/{box}/extend", json={"hours": 2})).json()
    assert later["expires_at"] > running["expires_at"]
    too_much = await ann.post(f"/environments/{box}/extend", json={"hours": 48})
    assert (too_much.status_code, "h more are possible" in too_much.text) == (409, True)
    gone = await ann.delete("/environments/box")
    assert (gone.status_code, gone.json()["state"]) == (200, "DELETED")
    assert emulator.alive() == []
    for path in ("connection", "schema"):
        after = await ann.get(f"/environments/{box}/{path}")
        assert (after.status_code, "Create another" in after.text) == (409, True)
    assert (await ann.post(f"/environments/{box}/workspace/ticket")).status_code == 409
    async with browser.get(f"{place}/") as shown:
        assert shown.status == 409
    assert (await ann.get("/environments")).json() == []
    assert [each["environment_id"] for each in (await ann.get("/environments?ended=true")).json()] == [box]

    lines = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    for secret in secrets:
        assert secret not in lines
        assert secret not in "\n".join(site.seen)
        assert not [name for name, rows in (await rows_of_every_table(pool)).items() if secret in rows]
    [ticket] = [json.loads(text)["ticket"] for text in site.seen if '"ticket":' in text]
    assert ticket not in lines


async def test_what_cannot_be_asked_for(site: Site, emulator: EciEmulator, environment: Environment) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"cpu": 3}, 422), ({"memory": 3}, 422), ({"hours": 49}, 422), ({"name": "../x"}, 422), ({"cpu": "many"}, 422),
        ({"colour": "red"}, 422), ({"thread_id": "x"}, 422), ({"thread_id": str(uuid4())}, 404),
    ]  # fmt: skip
    for changes, status in wrong:
        answer = await site["ann"].post("/environments", json={**SMALL, **changes})
        assert answer.status_code == status, answer.text
    for host in (environment.host, "localhost", "169.254.169.254", "10.0.0.1", "[::1]"):
        body = {"name": "mine", "host": host, "port": environment.port, "password": "x"}
        answer = await site["ann"].post("/environments/static", json=body)
        assert answer.status_code == 422, host
    assert emulator.groups == {}
    assert (await site["ann"].get("/environments?ended=true")).json() == []


async def test_another_user_sees_nothing(site: Site, emulator: EciEmulator) -> None:
    box = (await site.made("ann", workspace=False))["environment_id"]
    private = [box, emulator.alive()[0].address, *await site.password(box)]
    for name in ("bob", "root"):
        http, begun = site[name], len(site.seen)
        for method, path, body in (
            ("GET", "", None), ("DELETE", "", None), ("GET", "/connection", None), ("GET", "/schema", None),
            ("POST", "/extend", {"hours": 1}), ("POST", "/workspace/ticket", None), ("GET", "/workspace/", None),
        ):  # fmt: skip
            answer = await http.request(method, f"/environments/{box}{path}", json=body)
            assert answer.status_code == 404, (method, path, answer.text)
        for path in ("/databases", "/tables", "/databases/x/tables", "/databases/x/tables/t"):
            assert (await http.get(path, params={"environment": box})).status_code == 404, path
        checked = await http.post("/script/check", params={"environment": box}, json={"script": "1"})
        assert checked.status_code == 404
        assert (await http.get("/environments?ended=true")).json() == []
        for key in ("environment", "environment_id"):
            assert (await http.post("/threads", json={"metadata": {key: box}})).status_code == 404
        thread = (await http.post("/threads", json={})).json()["thread_id"]
        patched = await http.patch(f"/threads/{thread}", json={"metadata": {"environment_id": box}})
        assert patched.status_code == 404
        for key in ("environment", "environment_id"):
            body = {"assistant_id": "agent", "input": {"messages": [], key: box}}
            for place in (f"/threads/{thread}/runs/wait", "/runs/wait"):
                assert (await http.post(place, json=body)).status_code == 404, place
        told = "\n".join(site.seen[begun:]).replace(box, "", 10**6)
        assert not [each for each in private[1:] if each in told]
    assert (await site["ann"].get(f"/environments/{box}")).json()["state"] == "RUNNING"
    async with aiohttp.ClientSession() as nobody:
        for path in ("", f"/{box}", f"/{box}/connection"):
            async with nobody.get(f"{site.url}/environments{path}") as answer:
                assert answer.status == 401


async def test_tickets_and_cookies(site: Site, browser: aiohttp.ClientSession, pool: Pool) -> None:
    box, other = [(await site.made("ann", name=name))["environment_id"] for name in ("one", "two")]
    place = f"{site.url}/environments/{box}/workspace"

    async def ticket() -> str:
        return str((await site["ann"].post(f"/environments/{box}/workspace/ticket")).json()["ticket"])

    async with aiohttp.ClientSession() as stranger:
        used = await ticket()
        elsewhere = f"{site.url}/environments/{other}/workspace/?ticket={await ticket()}"
        late = await ticket()
        for address, status in ((f"{place}/?ticket={used}", 303), (f"{place}/?ticket={used}", 404), (elsewhere, 404)):
            async with stranger.get(address, allow_redirects=False) as answer:
                assert answer.status == status
        async with pool.connection() as held:
            await held.execute("UPDATE workspace_tickets SET expires_at = now() - interval '1 s'")
        async with stranger.get(f"{place}/?ticket={late}", allow_redirects=False) as answer:
            assert answer.status == 404
    await enter(site, "ann", box, browser)
    [cookie] = browser.cookie_jar
    twin = {f"ddb_agent_workspace_{other.removeprefix('env-')}": cookie.value}
    async with aiohttp.ClientSession(cookies=twin) as forger:
        async with forger.get(f"{site.url}/environments/{other}/workspace/") as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await forger.ws_connect(
                f"{site.url}/environments/{other}/workspace/ws", headers={"Origin": site.url}
            )  # fmt: skip
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stranger.ws_connect(f"{place}/ws", headers={"Origin": site.url})
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stranger.ws_connect(f"{place}/ws?ticket={await ticket()}", headers={"Origin": site.url})
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await browser.ws_connect(f"{place}/ws", headers={"Origin": "http://evil.example"})
    # The cookie opens the workspace, not the API.
    async with browser.get(f"{site.url}/environments") as answer:
        assert answer.status == 401
    async with browser.get(f"{place}/") as answer:
        assert answer.status == 200
    await Users(pool).disable("ann")
    async with browser.get(f"{place}/") as answer:
        assert answer.status == 404


async def test_the_proxy_goes_nowhere_else(site: Site, browser: aiohttp.ClientSession, emulator: EciEmulator) -> None:
    box = (await site.made("ann"))["environment_id"]
    place = await enter(site, "ann", box, browser)
    workspace = next(group.address for group in emulator.alive() if group.role == "workspace")
    for path in ("//evil.example/x", "/@evil.example/", "/%2f%2fevil.example/", "/http://evil.example/",
                 "/%0d%0aHost:%20evil.example/", "/x%20HTTP/1.1%0d%0aHost:%20evil.example"):  # fmt: skip
        async with browser.get(URL(place + path, encoded=True)) as answer:
            assert answer.status in (200, 404), path
            if answer.status == 200:
                shown = await answer.json()
                assert shown["headers"]["host"] == f"{workspace}:8080", path
                assert "evil.example" not in json.dumps(shown["headers"])
    for path in (f"/environments/{box}/workspace/../../../environments", f"/environments/{box}/workspace/..%2f..%2f"):
        async with browser.get(URL(site.url + path, encoded=True)) as answer:
            assert answer.status in (200, 401, 404)
            if answer.status == 200:
                assert (await answer.json())["headers"]["host"] == f"{workspace}:8080"
    host, port = site.url.removeprefix("http://").split(":")
    [cookie] = browser.cookie_jar
    lines = [
        f"GET http://evil.example/environments/{box}/workspace/ HTTP/1.1", f"Host: {host}:{port}",
        f"Cookie: {cookie.key}={cookie.value}", "X-Forwarded-Host: evil.example", "Connection: close",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join([*lines, "", ""]).encode())
    raw = await reader.read()
    writer.close()
    assert b"200 OK" in raw.partition(b"\r\n")[0]
    assert b"evil" not in raw


@pytest.mark.parametrize("site", [{"reaper_seconds": 0.1}], indirect=True)
async def test_the_end_of_an_environment_is_announced_and_comes(site: Site, pool: Pool, emulator: EciEmulator) -> None:
    ann = site["ann"]
    threads = [(await ann.post("/threads", json={})).json()["thread_id"] for _ in range(2)]
    box = (await site.made("ann", workspace=False, thread_id=threads[0]))["environment_id"]
    bound = await ann.patch(f"/threads/{threads[1]}", json={"metadata": {"environment_id": "box"}})
    assert bound.json()["metadata"]["environment_id"] == box

    async def ends_in(minutes: int) -> None:
        async with pool.connection() as held:
            await held.execute(
                "UPDATE environments SET expires_at = now() + make_interval(mins => %s) WHERE environment_id = %s",
                (minutes, box),
            )

    async def warnings() -> list[Any]:
        rows = [(await ann.get(f"/threads/{thread}")).json()["metadata"] for thread in threads]
        return [row.get("environment_warning") for row in rows]

    await ends_in(5)
    async with asyncio.timeout(10):
        while not all(await warnings()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    warning = (await warnings())[0]
    assert warning["environment_id"] == box
    assert re.search(r"Environment 'box' ends at [-\d]+ \d\d:\d\d UTC\. Extend it", warning["message"])
    assert (await ann.post("/environments/box/extend", json={"hours": 1})).status_code == 200
    assert await warnings() == [None, None]
    await ends_in(5)
    async with asyncio.timeout(10):
        while not all(await warnings()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await ends_in(0)
    assert (await site.state("ann", box, "DELETED"))["history"][-1]["event"] == "deleted"
    async with asyncio.timeout(10):
        while any(await warnings()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert emulator.alive() == []


@pytest.mark.parametrize("site", [{"allow_private_addresses": True}], indirect=True)
async def test_a_server_of_ones_own(site: Site, environment: Environment) -> None:
    secret = environment.password.get_secret_value()
    body = {"name": "mine", "host": environment.host, "port": environment.port, "user": environment.user}
    wrong = await site["ann"].post("/environments/static", json={**body, "password": "not-the-password"})
    assert (wrong.status_code, "not-the-password" in wrong.text) == (422, False)
    assert (await site["ann"].post("/environments/static", json=body)).status_code == 422
    made = await site["ann"].post("/environments/static", json={**body, "password": secret})
    assert (made.status_code, made.json()["state"]) == (201, "RUNNING")
    again = await site["ann"].post("/environments/static", json={**body, "password": secret})
    assert again.status_code == 409
    assert (await site["ann"].get("/environments/mine/connection")).json()["reachable"]
    assert (await site["bob"].get("/environments/mine")).status_code == 404
    assert (await site["ann"].post("/environments/mine/extend", json={"hours": 1})).status_code == 409
    assert (await site["ann"].delete("/environments/mine")).status_code == 200
    assert secret not in "\n".join(site.seen)


async def test_a_thread_works_in_its_environment(
    site: Site, scripted_openai: ScriptedOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    ann = site["ann"]
    one, two = [(await site.made("ann", name=name, workspace=False))["environment_id"] for name in ("one", "two")]
    deps = await site.services.deps()
    for reference in (one, two):
        script = f'database("dfs://{"first" if reference == one else "second"}", VALUE, 1..3)'
        await deps.sessions.run(await deps.environment("ann", reference), "test", script)
    thread = (await ann.post("/threads", json={"metadata": {"environment_id": "one"}})).json()
    assert thread["metadata"] == {"environment_id": one}
    for metadata, bound in (({"environment": one}, one), ({"environment": "staging"}, None)):
        found = (await ann.post("/threads", json={"metadata": metadata})).json()["metadata"]
        assert found == {**metadata, **({"environment_id": bound} if bound else {})}

    async def ran(**given: str) -> dict[str, Any]:
        look = Call("run_dolphindb_script", {"script": "getClusterDFSDatabases()"})
        scripted_openai.add(ToolCalls(look), ToolCalls(Call("attempt_completion", {"answer": "Seen."})))
        messages = [{"role": "user", "content": "Which databases are there?"}]
        body = {"assistant_id": "agent", "input": {"messages": messages, **given}}
        answer = await ann.post(f"/threads/{thread['thread_id']}/runs/wait", json=body)
        assert answer.status_code == 200, answer.text
        values: dict[str, Any] = answer.json()
        results = [message["content"] for message in values["messages"] if message["type"] == "tool"]
        return {"environment": values.get("environment"), "result": results[-2]}

    async def named() -> str:
        return str((await ann.get(f"/threads/{thread['thread_id']}")).json()["metadata"]["environment_id"])

    first = await ran()
    assert ("dfs://first" in first["result"], first["environment"]) == (True, one)
    assert "dfs://second" in (await ran(environment="two"))["result"]
    assert await named() == two
    assert "dfs://second" in (await ran())["result"]
    await ann.patch(f"/threads/{thread['thread_id']}", json={"metadata": {"environment_id": one}})
    assert "dfs://first" in (await ran())["result"]
    await ann.delete(f"/environments/{two}")
    for reference in (two, "two"):
        body = {"assistant_id": "agent", "input": {"messages": [], "environment": reference}}
        refused = await ann.post(f"/threads/{thread['thread_id']}/runs/wait", json=body)
        assert refused.status_code == (409 if reference == two else 404), refused.text
        refused = await ann.post("/threads", json={"metadata": {"environment_id": reference}})
        assert refused.status_code == (409 if reference == two else 404)
    assert "Create another environment" in (await ann.post("/threads", json={"metadata": {"environment_id": two}})).text


async def test_the_metadata_of_a_thread_names_what_it_works_in(site: Site, scripted_openai: ScriptedOpenAI) -> None:
    ann = site["ann"]
    one, two = [(await site.made("ann", name=name, workspace=False))["environment_id"] for name in ("one", "two")]
    place = f"/threads/{(await ann.post('/threads', json={'metadata': {'environment_id': one}})).json()['thread_id']}"
    finished = ToolCalls(Call("attempt_completion", {"answer": "Done."}))

    async def ask(**more: Any) -> httpx.Response:
        given = {"messages": [{"role": "user", "content": "go on"}]}
        body = {"assistant_id": "agent", "input": {**given, **more.pop("input", {})}, **more}
        return await ann.post(f"{place}/runs/wait", json=body)

    async def named() -> Any:
        return (await ann.get(place)).json()["metadata"].get("environment_id")

    scripted_openai.add(ToolCalls(Call("use_environment", {"environment": "two"})), finished)
    assert (await ask()).json()["environment"] == two
    assert await named() == two
    await ann.patch(place, json={"metadata": {"environment_id": "one"}})
    scripted_openai.add(finished)
    assert (await ask()).json()["environment"] == one
    scripted_openai.add(ToolCalls(Call("use_environment", {"environment": "default"})), finished)
    assert (await ask()).json()["environment"] == "default"
    assert await named() == "default"


async def test_a_run_that_is_refused_leaves_its_thread_where_it_is(site: Site, scripted_openai: ScriptedOpenAI) -> None:
    ann = site["ann"]
    one, two = [(await site.made("ann", name=name, workspace=False))["environment_id"] for name in ("one", "two")]
    place = f"/threads/{(await ann.post('/threads', json={'metadata': {'environment_id': one}})).json()['thread_id']}"
    scripted_openai.add(Hang())
    body = {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": "go on"}]}}
    run = (await ann.post(f"{place}/runs", json=body)).json()
    elsewhere = {**body, "input": {**body["input"], "environment": two}, "multitask_strategy": "reject"}
    assert (await ann.post(f"{place}/runs", json=elsewhere)).status_code == 409
    assert (await ann.get(place)).json()["metadata"]["environment_id"] == one
    assert (await ann.post(f"{place}/runs/{run['run_id']}/cancel?wait=true")).status_code in (200, 202, 204)


@pytest.mark.parametrize("site", [{"reaper_seconds": 0.1, "provision_abandoned_seconds": 60.0}], indirect=True)
async def test_what_a_server_that_ended_was_making_is_gone_on_with(
    site: Site, settings: Settings, pool: Pool, emulator: EciEmulator
) -> None:
    quick, emulator.timing = emulator.timing, replace(emulator.timing, running=3.0)
    request = EnvironmentRequest(**SMALL, workspace=False)
    async with open_environments(settings, pool, provision=eci_settings(emulator)) as ended:
        record = await ended.start("ann", request)
        await until(lambda: emulator.groups)
    emulator.timing = quick
    await site.state("ann", record.id, "RUNNING")
    assert (await site["ann"].get(f"/environments/{record.id}/connection")).json()["reachable"]
    assert len(emulator.groups) == 1
