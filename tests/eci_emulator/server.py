"""The API's HTTP server, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets as random_secrets
import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from eci_emulator import parameters
from eci_emulator.faults import ERRORS, ApiError, Fault
from eci_emulator.groups import ContainerGroup, Engines, Timing
from eci_emulator.signature import check

KEY_ID = "LTAI5tEmulatorKeyId"
KEY_SECRET = "emulator-key-secret"
STDIN, STDOUT, STDERR = 0, 1, 2


class EciEmulator:
    """Use as a context manager; `endpoint` is `127.0.0.1:port`. Times are real, and short by default."""

    def __init__(
        self,
        folder: Path,
        engines: Engines,
        *,
        region: str = "cn-test",
        zones: tuple[str, ...] = ("cn-test-a", "cn-test-b"),
    ) -> None:
        self.folder = folder
        self.region = region
        self.zones = list(zones)
        self.timing = Timing()
        self.groups: dict[str, ContainerGroup] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.faults: list[Fault] = []
        self.fates: list[str] = []
        self.quota = 500
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.chance: dict[str, float] = {}
        self.random = random.Random(7)
        self._nonces: set[str] = set()
        self._execs: dict[str, tuple[ContainerGroup, list[str]]] = {}
        self._engines = engines
        self._network = f"127.{random_secrets.randbelow(200) + 20}.{random_secrets.randbelow(250)}"
        self._next = 1
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="eci-emulator", daemon=True)
        self.endpoint = ""

    def __enter__(self) -> EciEmulator:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        for group in self.groups.values():
            group.end()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def alive(self) -> list[ContainerGroup]:
        """The groups that cost money."""
        return [group for group in list(self.groups.values()) if group.deleted is None]

    def vanish(self, group_id: str) -> None:
        """Takes a group away as an operator would, at once and without a trace."""
        self.groups.pop(group_id).end()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/exec/", self._exec_socket)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self.loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self.loop.run_until_complete(site.start())
        self.endpoint = "{}:{}".format(*runner.addresses[0][:2])
        self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
        self.loop.run_until_complete(_rest())
        self.loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        request_id = random_secrets.token_hex(8).upper()
        body = await request.read()
        action = request.headers.get("x-acs-action", "")
        self.calls[action] += 1
        try:
            check(
                request.method, request.path, request.rel_url.raw_query_string, request.headers, body,
                {KEY_ID: KEY_SECRET}, self._nonces,
            )  # fmt: skip
            if request.headers["x-acs-version"] != "2018-08-08":
                raise ApiError(400, "InvalidVersion", "Specified parameter Version is not valid.")
            wanted = parameters.decoded(dict(request.query))
            self.requests.append((action, wanted))
            fault = self._fault(action, wanted.get("ZoneId", ""))
            if fault == "refused_connection":
                return self._break(request)
            if fault in ERRORS:
                raise ApiError(*ERRORS[fault])
            answer = await asyncio.to_thread(self._answer, action, wanted)
            if fault == "lost_answer":
                return self._break(request)
        except ApiError as error:
            recommend = f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Eci"
            return web.json_response(
                {"Code": error.code, "Message": str(error), "RequestId": request_id, "Recommend": recommend},
                status=error.status,
            )
        return web.json_response({"RequestId": request_id, **answer})

    def _break(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _fault(self, action: str, zone: str) -> str | None:
        for fault in self.faults:
            if fault.fits(action, zone):
                fault.times -= 1
                return fault.kind
        for kind, chance in self.chance.items():
            if self.random.random() < chance:
                return kind
        return None

    def _answer(self, action: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if action == "CreateContainerGroup":
            return self._create(wanted)
        if wanted.get("RegionId") != self.region:
            raise ApiError(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
        if action == "DescribeContainerGroups":
            return self._describe(wanted)
        if action == "DeleteContainerGroup":
            self._existing(wanted.get("ContainerGroupId", "")).end()
            return {}
        if action == "ExecContainerCommand":
            return self._exec(wanted)
        raise ApiError(404, "InvalidAction.NotFound", f"The action {action!r} is not known.")

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        parameters.check_create(wanted, self.region, self.zones)
        token = wanted.get("ClientToken")
        fingerprint = json.dumps(wanted, sort_keys=True)
        if token in self.tokens:
            known, group_id = self.tokens[token]
            if known != fingerprint:
                raise ApiError(400, "IdempotentParameterMismatch", "The ClientToken was used with other parameters.")
            return {"ContainerGroupId": group_id}
        if len(self.alive()) >= self.quota:
            raise ApiError(*ERRORS["quota"])
        group_id = f"eci-{random_secrets.token_hex(10)}"
        number, self._next = self._next, self._next + 1
        folder = self.folder / group_id
        folder.mkdir(parents=True)
        network, _, third = self._network.rpartition(".")
        address = f"{network}.{(int(third) + number // 250) % 256}.{number % 250 + 1}"
        fate = self.fates.pop(0) if self.fates else None
        if token:
            self.tokens[token] = (fingerprint, group_id)
        self.groups[group_id] = ContainerGroup(
            group_id, wanted, folder, address, replace(self.timing), self._engines, self.loop, fate
        )
        return {"ContainerGroupId": group_id}

    def _describe(self, wanted: dict[str, Any]) -> dict[str, Any]:
        limit, start = int(wanted.get("Limit", 20)), int(wanted.get("NextToken") or 0)
        if not 1 <= limit <= 20:
            raise ApiError(400, "InvalidParameter", "Limit is 1 to 20.")
        tags = {tag["Key"]: tag.get("Value", "") for tag in wanted.get("Tag") or []}
        ids = parameters.group_ids(wanted["ContainerGroupIds"]) if wanted.get("ContainerGroupIds") else None
        found = [
            group
            for group in list(self.groups.values())
            if group.visible() and (ids is None or group.id in ids) and tags.items() <= group.tags.items()
        ]
        page = found[start : start + limit]
        more = start + limit < len(found)
        return {
            "ContainerGroups": [group.described() for group in page],
            "TotalCount": len(found),
            "NextToken": str(start + limit) if more else "",
        }

    def _existing(self, group_id: str) -> ContainerGroup:
        group = self.groups.get(group_id)
        if group is None or group.deleted is not None:
            raise ApiError(404, "ContainerGroup.NotFound", "The specified container group does not exist.")
        return group

    def _exec(self, wanted: dict[str, Any]) -> dict[str, Any]:
        group = self._existing(wanted.get("ContainerGroupId", ""))
        if group.status() != "Running":
            raise ApiError(400, "IncorrectStatus", "The container group is not running.")
        if wanted.get("ContainerName") != group.role:
            raise ApiError(404, "Container.NotFound", "The specified container does not exist.")
        ticket = random_secrets.token_urlsafe(24)
        self._execs[ticket] = (group, parameters.command(wanted.get("Command", "")))
        return {"WebSocketUri": f"ws://{self.endpoint}/exec/?s={ticket}", "HttpUrl": ""}

    async def _exec_socket(self, request: web.Request) -> web.StreamResponse:
        found = self._execs.pop(request.query.get("s", ""), None)
        if found is None:
            raise web.HTTPForbidden
        group, words = found
        socket = web.WebSocketResponse(max_msg_size=2**20)
        await socket.prepare(request)
        process = await asyncio.create_subprocess_exec(
            *words, cwd=group.folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None

        async def forward(stream: asyncio.StreamReader | None, number: int) -> None:
            assert stream is not None
            while data := await stream.read(8192):
                await socket.send_bytes(bytes([number]) + data)

        async def receive() -> None:
            assert process.stdin is not None
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == bytes([STDIN]):
                    process.stdin.write(message.data[1:])
                    with contextlib.suppress(ConnectionError):
                        await process.stdin.drain()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        receiving = asyncio.create_task(receive())
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(forward(process.stdout, STDOUT), forward(process.stderr, STDERR))
        await process.wait()
        await socket.close()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        return socket


async def _rest() -> None:
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
