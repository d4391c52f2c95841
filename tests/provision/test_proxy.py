from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from uuid import uuid4

import aiohttp
import pytest
import uvicorn
from eci_emulator import EciEmulator
from eci_emulator.code_server import PORT, CodeServer
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from core.postgres import Pool
from provision.proxy import WorkspaceProxy
from provision.records import EnvironmentRecord
from provision.service import Environments
from provision.specs import EnvironmentRequest
from provision.tickets import Tickets

PASSWORD = "a-password-of-code-server"
REQUEST = EnvironmentRequest(name="test", cpu=1, memory=2, hours=1)


@asynccontextmanager
async def served(proxy: WorkspaceProxy) -> AsyncIterator[str]:
    app = Starlette(routes=[Mount("/environments/{environment_id}/workspace", app=proxy)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="websockets-sansio"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task
    await proxy.aclose()


@pytest.fixture
def code_server(emulator: EciEmulator) -> Iterator[str]:
    """The address of a workspace; its password is `PASSWORD`."""
    address = f"127.19.{os.getpid() % 250}.7"
    server = CodeServer(address, PASSWORD, emulator.loop)
    server.start()
    yield address
    server.stop()


@pytest.fixture
async def record(cloud: Environments, owner: str, code_server: str) -> EnvironmentRecord:
    """A running environment with that workspace."""
    store, worker = cloud.store, "test"
    record = await store.add(
        owner, f"env-{uuid4().hex[:20]}", REQUEST, provider="eci", region="cn-test", thread_id=None, quota=5
    )
    secret = cloud.vault.encrypt(SecretStr(PASSWORD))
    assert await store.begin(record, worker, 60, secret, secret) is not None
    places = {"host": code_server, "port": 8848, "workspace_host": code_server, "workspace_port": PORT}
    assert await store.move(record, ("PROVISIONING",), "placed", worker=worker, **places) is not None
    assert await store.secured(record, worker) is not None
    running = await store.run(record, worker)
    assert running is not None
    return running


@pytest.fixture
async def site(cloud: Environments, record: EnvironmentRecord, pool: Pool) -> AsyncIterator[str]:
    async with served(WorkspaceProxy(cloud, Tickets(pool))) as base:
        yield f"{base}/environments/{record.id}/workspace"


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def admitted(
    browser: aiohttp.ClientSession, site: str, record: EnvironmentRecord, pool: Pool
) -> aiohttp.ClientSession:
    ticket = await Tickets(pool).issue(record)
    async with browser.get(f"{site}/?ticket={ticket}", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"/environments/{record.id}/workspace/")
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert f"Path=/environments/{record.id}/workspace" in cookie
    return browser


async def test_only_with_a_ticket(
    browser: aiohttp.ClientSession, site: str, record: EnvironmentRecord, pool: Pool
) -> None:
    for query in ("", "?ticket=wrong", "?ticket="):
        async with browser.get(f"{site}/{query}", allow_redirects=False) as answer:
            assert answer.status == 404
    ticket = await Tickets(pool).issue(record)
    for status in (303, 404):
        async with browser.get(f"{site}/?ticket={ticket}", allow_redirects=False) as answer:
            assert answer.status == status
    forged = {f"ddb_agent_workspace_{record.id.removeprefix('env-')}": "forged"}
    async with aiohttp.ClientSession(cookies=forged) as other, other.get(f"{site}/") as answer:
        assert answer.status == 404


async def test_nothing_leaks_either_way(
    admitted: aiohttp.ClientSession, site: str, cloud: Environments, record: EnvironmentRecord
) -> None:
    headers = {"Authorization": "Bearer hush", "X-Forwarded-For": "1.2.3.4", "Proxy-Connection": "x", "Accept": "a/b"}
    async with admitted.post(f"{site}/a%20b/c?x=1%202", data=b"12345", headers=headers) as answer:
        shown = await answer.json()
        assert "Set-Cookie" not in answer.headers
        assert "X-Powered-By" not in answer.headers
    assert (shown["method"], shown["path"], shown["size"]) == ("POST", "/a%20b/c?x=1%202", 5)
    seen = shown["headers"]
    assert seen["accept"] == "a/b"
    assert seen["cookie"].startswith("code-server-session=")
    assert "ddb_agent" not in seen["cookie"]
    assert not {"authorization", "x-forwarded-for", "proxy-connection"} & set(seen)
    assert PASSWORD not in json.dumps(shown)


@pytest.mark.parametrize("path", ["//evil.example/x", "/@evil.example/", "/..//evil.example", "/http://evil.example/"])
async def test_it_goes_nowhere_else(
    admitted: aiohttp.ClientSession, site: str, record: EnvironmentRecord, path: str
) -> None:
    from yarl import URL

    async with admitted.get(URL(f"{site}{path}", encoded=True), headers={"Host": "127.0.0.1"}) as answer:
        if answer.status == 200:
            assert (await answer.json())["headers"]["host"] == f"{record.workspace_host}:8080"
        else:
            assert answer.status == 404


async def test_redirects_stay_inside(admitted: aiohttp.ClientSession, site: str) -> None:
    async with admitted.get(f"{site}/away", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "./")


async def test_answers_are_streamed(admitted: aiohttp.ClientSession, site: str) -> None:
    began = time.monotonic()
    async with admitted.get(f"{site}/stream") as answer:
        assert await answer.content.readline() == b"0\n"
        first = time.monotonic() - began
        await answer.read()
    assert time.monotonic() - began - first > 0.3


async def test_large_bodies(admitted: aiohttp.ClientSession, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"x" * 3_000_000
    async with admitted.put(f"{site}/file", data=BytesIO(data)) as answer:
        assert (await answer.json())["size"] == len(data)
    monkeypatch.setattr("provision.proxy.BODY_BYTES", 1000)
    async with admitted.put(f"{site}/file", data=BytesIO(data)) as answer:
        assert answer.status == 413


async def test_sockets(admitted: aiohttp.ClientSession, site: str) -> None:
    origin = site.partition("/environments")[0]
    async with admitted.ws_connect(f"{site}/ws", headers={"Origin": origin}) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str(timeout=5) == "hello"
        await socket.send_bytes(bytes(range(256)) * 1000)
        assert await socket.receive_bytes(timeout=5) == bytes(range(256)) * 1000
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await admitted.ws_connect(f"{site}/ws", headers={"Origin": "http://evil.example"})
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stranger.ws_connect(f"{site}/ws", headers={"Origin": origin})


async def test_a_deleted_environment_is_closed(
    admitted: aiohttp.ClientSession, site: str, cloud: Environments, record: EnvironmentRecord
) -> None:
    await cloud.delete(record.owner, record.id)
    async with admitted.get(f"{site}/") as answer:
        assert answer.status == 409
        assert "was deleted" in (await answer.json())["detail"]
