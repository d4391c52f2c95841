"""A browser's way to the code-server of a workspace.

An ASGI application to be mounted where the path parameter `environment_id` is known. A ticket in the query becomes a
cookie of the proxy's own; without the cookie nothing is let through. Where a request goes is read from the
environment's row, never from the request. What a browser sends to prove itself to us (cookies, Authorization) stays
here, and so do the cookies and the password of code-server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.errors import ConflictError, NotFoundError, UserError
from provision.provider import ProviderUnavailableError
from provision.records import EnvironmentRecord
from provision.resolve import usable
from provision.service import Environments
from provision.tickets import Tickets

COOKIE_SECONDS = 8 * 3600
BODY_BYTES = 256 * 2**20
MESSAGE_BYTES = 32 * 2**20
IDLE_SECONDS = 300.0
SOCKET_IDLE_SECONDS = 3600.0
CONNECT_SECONDS = 10.0

FORWARDED = {
    "accept", "accept-encoding", "accept-language", "cache-control", "content-type", "content-length",
    "if-match", "if-modified-since", "if-none-match", "range", "user-agent",
}  # fmt: skip
RETURNED = {
    "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-range", "content-security-policy", "content-type", "etag", "expires", "last-modified",
    "service-worker-allowed", "vary",
}  # fmt: skip
REDIRECTS = (301, 302, 303, 307, 308)
POLICY_VIOLATION, GOING_AWAY, TRY_LATER = 1008, 1001, 1013


class RequestTooLargeError(UserError):
    """The body is longer than the proxy forwards."""

    status = 413


@dataclass
class WorkspaceProxy:
    """Use it in one event loop, and `aclose` it. `admitted` tells whether an owner may still come in."""

    environments: Environments
    tickets: Tickets
    admitted: Callable[[str], Awaitable[bool]] | None = None
    _sessions: dict[str, dict[str, str]] = field(default_factory=dict)
    _http: httpx.AsyncClient | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except UserError as error:
            response = JSONResponse({"detail": str(error)}, status_code=error.status)
        await response(scope, receive, send)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _answer(self, request: Request) -> Response:
        environment_id = request.path_params["environment_id"]
        ticket = request.query_params.get("ticket")
        if ticket is not None:
            return await self._admit(request, environment_id, ticket)
        record = await self._record(request, environment_id)
        length = request.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) > BODY_BYTES:
            raise _too_large()
        has_body = length not in (None, "0") or "transfer-encoding" in request.headers
        answer = await self._send(record, request, _limited(request) if has_body else None)
        if _is_login(answer) and not has_body:
            await answer.aclose()
            self._sessions.pop(record.id, None)
            answer = await self._send(record, request, None)
        headers = [(name, value) for name, value in answer.headers.items() if name in RETURNED]
        location = answer.headers.get("location")
        if location is not None and answer.status_code in REDIRECTS:
            headers.append(("location", _own_location(location, record)))
        response = StreamingResponse(_streamed(answer), status_code=answer.status_code)
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return response

    async def _admit(self, request: Request, environment_id: str, ticket: str) -> Response:
        """The ticket for a cookie, and away with it from the address bar."""
        owner = await self.tickets.redeem(ticket, environment_id)
        base = request.scope.get("root_path", "")
        response = RedirectResponse(f"{base}/", status_code=303, headers={"Referrer-Policy": "no-referrer"})
        response.set_cookie(
            _cookie(environment_id),
            self.environments.vault.seal(json.dumps([owner, environment_id])),
            max_age=COOKIE_SECONDS,
            path=base or "/",
            httponly=True,
            secure=request.url.scheme == "https",
            samesite="strict",
        )
        return response

    async def _record(self, connection: HTTPConnection, environment_id: str) -> EnvironmentRecord:
        """The environment the cookie stands for, if its workspace can be reached."""
        token = connection.cookies.get(_cookie(environment_id), "")
        opened = self.environments.vault.unseal(token, COOKIE_SECONDS)
        if opened is None:
            raise NotFoundError("This workspace needs a ticket.", "Ask for a new one.")
        owner, place = json.loads(opened)
        if place != environment_id or (self.admitted is not None and not await self.admitted(owner)):
            raise NotFoundError("This workspace needs a ticket.", "Ask for a new one.")
        return workspace_of(usable(await self.environments.get(owner, environment_id)))

    async def _send(
        self, record: EnvironmentRecord, request: Request, body: AsyncIterator[bytes] | None
    ) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name in FORWARDED}
        cookies = await self._login(record)
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        path, query = _route_path(request.scope), request.scope["query_string"].decode("latin-1")
        url = httpx.URL(_base(record), raw_path=(_raw(path) + (f"?{query}" if query else "")).encode("ascii"))
        outgoing = self._client().build_request(request.method, url, headers=headers, content=body)
        try:
            return await self._client().send(outgoing, stream=True)
        except httpx.HTTPError as error:
            raise _unreachable(record, error) from error

    async def _login(self, record: EnvironmentRecord) -> dict[str, str]:
        """The cookies of a session on code-server."""
        if record.id not in self._sessions:
            assert record.workspace_secret is not None
            password = self.environments.vault.decrypt(record.workspace_secret).get_secret_value()
            try:
                answer = await self._client().post(f"{_base(record)}/login", data={"password": password})
            except httpx.HTTPError as error:
                raise _unreachable(record, error) from error
            self._client().cookies.clear()
            if answer.status_code not in REDIRECTS:
                raise ProviderUnavailableError("The workspace did not let us in.", "Create another environment.")
            self._sessions[record.id] = dict(answer.cookies)
        return self._sessions[record.id]

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS)
            self._http = httpx.AsyncClient(timeout=limits, trust_env=False, follow_redirects=False)
        return self._http

    async def _socket(self, socket: WebSocket) -> None:
        import aiohttp

        try:
            if not _same_origin(socket):
                raise NotFoundError("The request comes from another site.")
            record = await self._record(socket, socket.path_params["environment_id"])
            cookies = await self._login(record)
        except UserError:
            await socket.close(POLICY_VIOLATION)
            return
        query = socket.scope["query_string"].decode("latin-1")
        url = f"ws{_base(record)[4:]}{_raw(_route_path(socket.scope))}" + (f"?{query}" if query else "")
        try:
            async with self._upstream(url, cookies, socket.scope.get("subprotocols", ())) as upstream:
                await socket.accept(upstream.protocol)
                await _exchange(socket, upstream)
        except (aiohttp.ClientError, TimeoutError):
            self._sessions.pop(record.id, None)
            await socket.close(TRY_LATER)

    @asynccontextmanager
    async def _upstream(self, url: str, cookies: dict[str, str], protocols: Iterable[str]) -> AsyncIterator[Any]:
        import aiohttp
        from yarl import URL

        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.ws_connect(
                URL(url, encoded=True), headers=header, protocols=tuple(protocols), max_msg_size=MESSAGE_BYTES
            ) as upstream,
        ):
            yield upstream


def workspace_of(record: EnvironmentRecord) -> EnvironmentRecord:
    """The record if it has a code-server; else raises ConflictError."""
    if record.workspace_host is None or record.workspace_port is None:
        raise ConflictError(
            f"Environment {record.name!r} has no code-server.", "A local workspace is a folder on this machine."
        )
    return record


async def _exchange(socket: WebSocket, upstream: Any) -> None:
    """Carries messages both ways until one side closes or nothing has come for an hour."""
    import aiohttp

    async def up() -> None:
        while True:
            async with asyncio.timeout(SOCKET_IDLE_SECONDS):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await upstream.send_str(message["text"])
            else:
                await upstream.send_bytes(message["bytes"])

    async def down() -> None:
        async for message in upstream:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_text(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await upstream.close()
    if tasks[0] not in done or isinstance(results[0], TimeoutError):
        try:
            await socket.close(GOING_AWAY)
        except (RuntimeError, WebSocketDisconnect):
            return


async def _limited(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES:
            raise _too_large()
        yield chunk


async def _streamed(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _route_path(scope: Scope) -> str:
    """The path below the mount."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def _cookie(environment_id: str) -> str:
    return f"ddb_agent_workspace_{environment_id.removeprefix('env-')}"


def _base(record: EnvironmentRecord) -> str:
    return f"http://{record.workspace_host}:{record.workspace_port}"


def _raw(path: str) -> str:
    """The path for the wire: it cannot name another host, nor end the line it stands in."""
    quoted: str = httpx.URL("http://x/").copy_with(path=f"/{path.lstrip('/')}").raw_path.decode("ascii")
    return quoted.partition("?")[0]


def _is_login(answer: httpx.Response) -> bool:
    location = answer.headers.get("location", "")
    return answer.status_code in REDIRECTS and urlsplit(location).path.rstrip("/").endswith("login")


def _own_location(location: str, record: EnvironmentRecord) -> str:
    """Redirects stay in the workspace."""
    parts = urlsplit(location)
    if parts.netloc and f"{parts.scheme}://{parts.netloc}" != _base(record):
        return "./"
    path = f"./{parts.path.lstrip('/')}" if parts.netloc or parts.path.startswith("/") else parts.path
    return path + (f"?{parts.query}" if parts.query else "")


def _same_origin(connection: HTTPConnection) -> bool:
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == connection.headers.get("host")


def _too_large() -> RequestTooLargeError:
    return RequestTooLargeError(f"A request has at most {BODY_BYTES // 2**20} MiB.", "Upload it in parts.")


def _unreachable(record: EnvironmentRecord, error: Exception) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"The workspace of environment {record.name!r} does not answer: {type(error).__name__}.", "Try again."
    )
