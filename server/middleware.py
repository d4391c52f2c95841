"""What happens to every request before and after its route: id, limits, protection from foreign pages, headers, log."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.settings import Settings
from server.json import dumps
from server.logs import bound_to
from server.metrics import Metrics
from server.observation import Observation
from server.rates import Rates
from server.workspace import is_workspace

logger = logging.getLogger("ddb_agent.access")

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
]
# Pages of code-server show each other in frames, and say themselves what they may load.
WORKSPACE_HEADERS = [(name, b"SAMEORIGIN" if name == b"x-frame-options" else value) for name, value in SECURITY_HEADERS]
DOCUMENT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass
class RequestGate:
    """ASGI middleware. `local` admits only requests whose Host is loopback, against pages that rebind names."""

    app: ASGIApp
    settings: Settings
    metrics: Metrics
    local: bool
    rates: Rates | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        workspace = is_workspace(scope["path"])
        refusal = self._refusal(scope, headers, workspace)
        if scope["type"] == "websocket":
            if refusal is not None:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
                return
            with bound_to(request_id=request_id):
                await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                path = getattr(scope.get("route"), "path", "") or "other"
                self.metrics.request(scope["method"], path, status, time.perf_counter() - begun)
                present = {name for name, _ in message["headers"]}
                always = WORKSPACE_HEADERS if workspace else SECURITY_HEADERS
                extra = [(name, value) for name, value in always if name not in present]
                if scope["path"] not in ("/docs", "/redoc") and not workspace and DOCUMENT_POLICY[0] not in present:
                    extra.append(DOCUMENT_POLICY)
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", request_id.encode())]
            await send(message)

        if refusal is not None:
            await _refuse(answer, *refusal)
            return
        if headers.get(b"content-type", b"").startswith(b"text/plain") and not workspace:
            # Studio sends JSON under this type; foreign pages that try the same were refused by their origin.
            scope["headers"] = [
                (name, b"application/json" if name == b"content-type" else value) for name, value in scope["headers"]
            ]
        try:
            # The proxy has a limit of its own.
            received = receive if workspace else _limited(receive, self.settings.request_bytes)
            observation: Observation = scope["app"].state.services.observation
            with bound_to(request_id=request_id):
                if observation.tracer is None:
                    await self.app(scope, received, answer)
                else:
                    with observation.request(scope["method"], scope["path"]) as answered:
                        await self.app(scope, received, answer)
                        answered(status)
        finally:
            logger.info(
                "%s %s %s", scope["method"], scope["path"], status,
                extra={"request_id": request_id, "milliseconds": round((time.perf_counter() - begun) * 1000, 1)},
            )  # fmt: skip

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes], workspace: bool) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        name = urlsplit(f"//{host}").hostname if host else None
        if self.local and name not in LOOPBACK:
            return 421, "This server answers on loopback only."
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin not in self.settings.cors_origins and not _same_origin(origin, host):
            return 403, f"Pages of {origin} may not use this server. Name the origin in DDB_AGENT_CORS_ORIGINS."
        if b"\x00" in scope.get("path", "").encode() or b"%00" in scope.get("query_string", b""):
            return 422, "The NUL character is not allowed."
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.settings.request_bytes and not workspace:
            return 413, _too_large(self.settings.request_bytes)
        if not self._within_rate(scope, headers):
            return 429, "Too many requests. Wait a minute."
        return None

    def _within_rate(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        if self.rates is None:
            return True
        client = scope.get("client") or ("?", 0)
        who = headers.get(b"x-api-key") or headers.get(b"authorization") or str(client[0]).encode()
        return self.rates.admit(who.decode("latin-1"))


def _same_origin(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _limited(receive: Receive, limit: int) -> Receive:
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > limit:
                raise HTTPException(413, _too_large(limit))
        return message

    return limited


def _too_large(limit: int) -> str:
    return f"The request is larger than {limit} bytes."


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
