"""A browser, on a page of another origin, that reloads in the middle of a stream."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import served
from served import Starter, free_port
from served.application import serving
from served.marks import STEPS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PAGE = Path(served.__file__).parent / "javascript" / "page.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


@asynccontextmanager
async def browsing(address: str) -> AsyncIterator[None]:
    """A browser that shows the page at `address`."""
    command = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if command is None:
        pytest.skip("no Chromium is installed")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        child = await asyncio.create_subprocess_exec(
            command, *QUIET, f"--user-data-dir={profile}", address,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


async def test_a_page_reloads_and_goes_on(start: Starter, tmp_path: Path) -> None:
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def page(_request: Request) -> Response:
        return FileResponse(PAGE)

    async def keep(request: Request) -> Response:
        result.set_result(orjson.loads(await request.body()))
        return Response(status_code=204)

    site = Starlette(routes=[Route("/", page), Route("/result", keep, methods=["POST"])])
    async with serving(site) as origin:
        server = start("serve", port=str(free_port()), DDB_AGENT_CORS_ORIGINS=origin)
        await asyncio.to_thread(start.ready, server)
        query = urlencode({"api": server.url, "file": str(tmp_path / "steps")})
        async with browsing(f"{origin}/?{query}"), asyncio.timeout(60):
            found = await result
    assert "error" not in found, found
    assert [list(data) for _, data in found["seen"]] == [[name] for name in STEPS[:2]]
    events = re.findall(r"event: (\S+)\r\ndata: (.*)\r\nid: (\d+)", found["rest"])
    assert [list(orjson.loads(data)) for name, data, _ in events if name == "updates"] == [[name] for name in STEPS[2:]]
    assert min(int(number) for *_, number in events) > int(found["seen"][-1][0])
    assert re.fullmatch(r"/threads/[0-9a-f-]+/runs/[0-9a-f-]+", found["place"])
