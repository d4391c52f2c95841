"""Telling another server that a run ended."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg_pool import PoolTimeout

from core.errors import InvalidInputError
from core.postgres import Pool
from server.database import DATABASE_ERRORS
from server.json import dumps
from server.logs import bound_to
from server.policies import WebhookPolicy
from server.runs import SELECT_RUNS, Run

logger = logging.getLogger(__name__)

TRIES = 6
TIMEOUT_SECONDS = 5.0
# After the first, second, … try. A process that dies during a call leaves it to be made again.
WAIT_SECONDS = (1, 2, 8, 30, 120)
LOOK_SECONDS = 1.0
AT_ONCE = 20


class Webhooks:
    """Posts the run, its values and its error to the address given with the run, until the other side takes it.

    Only hosts that are named in the settings, or public ones, are called: otherwise a client could make the server
    reach what only the server can.
    """

    def __init__(self, pool: Pool, allowed_hosts: tuple[str, ...] = (), policy: WebhookPolicy | None = None) -> None:
        self._pool = pool
        self._allowed = set(allowed_hosts)
        self._policy = policy or WebhookPolicy()
        self._wanted = asyncio.Event()

    async def check(self, address: str) -> None:
        """InvalidInputError for an address that will not be called."""
        policy = self._policy
        if not policy.enabled:
            raise InvalidInputError("This server calls no webhooks.", "Leave webhook out.")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise InvalidInputError(f"The webhook {address!r} is not an http(s) address.", "Give a full address.")
        if len(address) > policy.longest:
            raise InvalidInputError(f"The webhook's address is longer than {policy.longest} characters.")
        if policy.https_only and parts.scheme != "https":
            raise InvalidInputError("The webhook's address does not begin with https.", "Use https.")
        if policy.ports and port not in policy.ports:
            raise InvalidInputError(f"The webhook's port {port} is not allowed.")
        if policy.domains and not policy.names(host):
            raise InvalidInputError(f"The webhook's host {host} is not allowed.")
        if host in self._allowed or policy.names(host):
            return
        if not await asyncio.to_thread(_public, host):
            raise InvalidInputError(
                f"The webhook's host {host} is not a public one.", "Name it in DDB_AGENT_WEBHOOK_HOSTS to allow it."
            )

    def wake(self) -> None:
        """There is a call to make."""
        self._wanted.set()

    async def run(self) -> None:
        """Makes the calls that are due until cancelled."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
            while True:
                try:
                    while due := await self._due():
                        await asyncio.gather(*[self._call(client, *each) for each in due])
                except (*DATABASE_ERRORS, PoolTimeout) as error:
                    logger.warning("webhooks wait for the database: %s", error)
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wanted.wait()
                except TimeoutError:
                    continue
                self._wanted.clear()

    async def _due(self) -> list[tuple[Run, dict[str, Any]]]:
        """Takes calls; each is another process' again when it is not made in time."""
        async with self._pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "UPDATE webhook_calls w SET tries = tries + 1, due_at = now() + make_interval(secs => %s)"
                " WHERE run_id IN (SELECT run_id FROM webhook_calls WHERE due_at <= now() ORDER BY due_at"
                " LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING run_id, address, tries, state",
                (TIMEOUT_SECONDS * 2, AT_ONCE),
            )
            calls = {row["run_id"]: row for row in await cursor.fetchall()}
            if not calls:
                return []
            async with held.cursor(row_factory=class_row(Run)) as of_runs:
                await of_runs.execute(SELECT_RUNS + SQL(" WHERE run_id = ANY(%s)"), (list(calls),))
                return [(run, calls[run.run_id]) for run in await of_runs.fetchall()]

    async def _call(self, client: httpx.AsyncClient, run: Run, call: dict[str, Any]) -> None:
        with bound_to(run_id=run.run_id, thread_id=run.thread_id):
            taken = False
            try:
                await self.check(call["address"])
                headers = {**self._policy.headers, "content-type": "application/json"}
                answer = await client.post(call["address"], content=dumps(self._payload(run, call)), headers=headers)
                taken = answer.status_code < 500
                if not answer.is_success:
                    logger.warning("the webhook was answered with %s", answer.status_code)
            except InvalidInputError as error:
                logger.warning("the webhook is not called: %s", error)
                taken = True
            except httpx.HTTPError as error:
                logger.warning("the webhook failed: %s", error or type(error).__name__)
            if call["tries"] >= TRIES and not taken:
                logger.error("the webhook is given up after %s tries", TRIES)
                taken = True
            await self._made(run.run_id, call["tries"], taken=taken)

    def _payload(self, run: Run, call: dict[str, Any]) -> dict[str, Any]:
        whole = {
            **run.as_json(),
            "error": run.error,
            "values": call["state"],
            "run_ended_at": run.updated_at,
            "webhook_sent_at": datetime.now(UTC),
        }
        fields = self._policy.fields
        return {key: value for key, value in whole.items() if key in fields} if fields else whole

    async def _made(self, run_id: str, tries: int, *, taken: bool) -> None:
        async with self._pool.connection() as held:
            if taken:
                await held.execute("DELETE FROM webhook_calls WHERE run_id = %s", (run_id,))
            else:
                await held.execute(
                    "UPDATE webhook_calls SET due_at = now() + make_interval(secs => %s) WHERE run_id = %s",
                    (WAIT_SECONDS[tries - 1], run_id),
                )


def _public(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(item[4][0]).is_global for item in found)
