"""What a workspace container serves: enough of code-server to be proxied."""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus

from aiohttp import WSMsgType, web

PORT = 8080
COOKIE = "code-server-session"


class CodeServer:
    """Runs in `loop`, which is another thread's; `start` and `stop` block."""

    def __init__(self, address: str, password: str, loop: asyncio.AbstractEventLoop) -> None:
        self._address = address
        self._password = password
        self._loop = loop
        self._session = secrets.token_hex(16)
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/healthz", self._health)
        app.router.add_post("/login", self._login)
        app.router.add_get("/ws", self._socket)
        app.router.add_route("*", "/{path:.*}", self._page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, PORT).start()

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _login(self, request: web.Request) -> web.Response:
        if (await request.post()).get("password") != self._password:
            return web.Response(status=HTTPStatus.OK, text="wrong password")
        answer = web.Response(status=HTTPStatus.FOUND, headers={"Location": "./"})
        answer.set_cookie(COOKIE, self._session)
        return answer

    def _let_in(self, request: web.Request) -> None:
        if request.cookies.get(COOKIE) != self._session:
            raise web.HTTPFound("./login")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        self._let_in(request)
        if request.path == "/stream":
            answer = web.StreamResponse()
            await answer.prepare(request)
            for number in range(5):
                await answer.write(f"{number}\n".encode())
                await asyncio.sleep(0.1)
            return answer
        if request.path == "/away":
            raise web.HTTPFound("http://evil.example/")
        body = await request.read()
        shown = {
            "method": request.method, "path": request.rel_url.raw_path_qs, "size": len(body),
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }  # fmt: skip
        answer = web.json_response(shown, headers={"X-Powered-By": "code-server"})
        answer.set_cookie("upstream", "1")
        return answer

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        self._let_in(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket
