"""Telling another server that a run ended."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from urllib.parse import urlsplit

import httpx
import orjson

from core.errors import InvalidInputError
from server.json import dumps
from server.runs import End, Run

logger = logging.getLogger(__name__)

TRIES = 3
TIMEOUT_SECONDS = 5.0


class Webhooks:
    """Posts the run, its values and its error to the address given with the run.

    Only hosts that are named in the settings, or public ones, are called: otherwise a client could make the server
    reach what only the server can.
    """

    def __init__(self, allowed_hosts: tuple[str, ...] = ()) -> None:
        self._allowed = set(allowed_hosts)
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, address: str) -> None:
        """InvalidInputError for an address that will not be called."""
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise InvalidInputError(f"The webhook {address!r} is not an http(s) address.", "Give a full address.")
        if host in self._allowed:
            return
        if not await asyncio.to_thread(_public, host):
            raise InvalidInputError(
                f"The webhook's host {host} is not a public one.", "Name it in DDB_AGENT_WEBHOOK_HOSTS to allow it."
            )

    def send(self, run: Run, end: End) -> None:
        if run.webhook:
            task = asyncio.create_task(self._send(run, end))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, run: Run, end: End) -> None:
        assert run.webhook is not None
        body = dumps(
            {
                **run.as_json(),
                "status": end.status,
                "error": end.error,
                "values": orjson.loads(end.values) if end.values else None,
            }
        )
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
            for attempt in range(TRIES):
                try:
                    await self.check(run.webhook)
                    answer = await client.post(run.webhook, content=body, headers={"content-type": "application/json"})
                    if answer.status_code < 500:
                        return
                except (httpx.HTTPError, InvalidInputError) as error:
                    logger.warning("webhook failed: %s", error, extra={"run_id": run.run_id})
                await asyncio.sleep(2**attempt)

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()


def _public(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(item[4][0]).is_global for item in found)
