"""`ddb-agent env`: rent DolphinDB servers, use them and give them back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from rich.console import Console
from rich.prompt import Confirm
from rich.table import Column, Table

from core.migrations import migrate
from core.postgres import database_url, open_pool
from core.settings import Settings
from provision.confirmation import place
from provision.records import EnvironmentRecord
from provision.service import Environments, StaticRequest, open_environments, public
from provision.specs import EnvironmentRequest
from provision.store import new_id
from terminal.ask import LOCAL_USER

DECLINED = 3
ID_WIDTH = len(new_id())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Environments]:
    """The environments; what is due is swept away on the way, since no server may be running that does it."""
    async with open_pool(partial(database_url, settings), max_size=settings.database_pool_size) as pool:
        await migrate(pool)
        async with open_environments(settings, pool) as environments:
            await environments.reaper().sweep()
            yield environments


async def create_environment(
    settings: Settings, request: EnvironmentRequest, *, yes: bool, as_json: bool = False
) -> int:
    """Asks, creates and shows how it goes. The exit status: 0 RUNNING, 1 failed, 3 declined."""
    console = Console(stderr=as_json)
    async with _opened(settings) as environments:
        console.print(await environments.proposal(LOCAL_USER, request), highlight=False)
        if not yes and not Confirm.ask("Go ahead?", console=console, default=False):
            return DECLINED
        record = await environments.start(LOCAL_USER, request)
        return await _follow(environments, record, console, as_json=as_json)


async def register_environment(settings: Settings, request: StaticRequest) -> None:
    """Enters a server of the user's own, after trying it."""
    async with _opened(settings) as environments:
        record = await environments.register(LOCAL_USER, request)
    Console().print(f"registered {record.name} ({record.id})", highlight=False)


async def list_environments(settings: Settings, *, ended: bool = False, as_json: bool = False) -> None:
    async with _opened(settings) as environments:
        records = await environments.list(LOCAL_USER, ended=ended)
    if as_json:
        print(json.dumps([public(record) for record in records], ensure_ascii=False))
        return
    table = Table(Column("id", no_wrap=True, min_width=ID_WIDTH), "name", "state", "where", "size", "ends in")
    for record in records:
        size = f"{record.cpu:g} vCPU, {record.memory:g} GiB" if record.cpu and record.memory else ""
        table.add_row(
            record.id, record.name, record.state, place(record.provider, record.region).strip(), size, _left(record)
        )
    Console().print(table)


async def show_environment(settings: Settings, reference: str, *, as_json: bool = False) -> None:
    async with _opened(settings) as environments:
        record = await environments.get(LOCAL_USER, reference)
        history = await environments.history(LOCAL_USER, record.id)
    described = public(record)
    if as_json:
        entries = [{"at": e.at.isoformat(), "state": e.state, "event": e.event, "detail": e.detail} for e in history]
        print(json.dumps({**described, "history": entries}, ensure_ascii=False))
        return
    console = Console()
    for name, value in described.items():
        if value not in (None, ""):
            console.print(f"{name}: {value}", highlight=False, markup=False)
    for entry in history:
        line = f"  {entry.at:%H:%M:%S} {entry.state} {entry.event} {entry.detail}".rstrip()
        console.print(line, style="dim", highlight=False, markup=False)


async def connect_environment(settings: Settings, reference: str, *, show_password: bool = False) -> int:
    """Tries the connection and tells how to make it. 0 when the server answers, else 1.

    The password is printed only when asked for.
    """
    console = Console()
    async with _opened(settings) as environments:
        record = await environments.get(LOCAL_USER, reference)
        if record.state in ("PENDING", "PROVISIONING"):
            await environments.resume(LOCAL_USER, record.id)
            if await _follow(environments, record, console, as_json=False):
                return 1
        found = await environments.connection(LOCAL_USER, reference)
        server = await (await environments.resolve(LOCAL_USER, reference)).current()
    console.print(f"{server.user}@{server.host}:{server.port}", highlight=False)
    if show_password:
        console.print(f"password: {server.password.get_secret_value()}", highlight=False, markup=False)
    console.print(
        f"DolphinDB {found['version']}" if found["reachable"] else found["error"], highlight=False, markup=False
    )
    return 0 if found["reachable"] else 1


async def extend_environment(settings: Settings, reference: str, hours: int) -> None:
    async with _opened(settings) as environments:
        record = await environments.extend(LOCAL_USER, reference, hours)
    Console().print(f"{record.name} ends in {_left(record)}", highlight=False)


async def delete_environment(settings: Settings, reference: str) -> int:
    """0 when it is gone, 1 when that must be tried again."""
    async with _opened(settings) as environments:
        record = await environments.delete(LOCAL_USER, reference)
    Console().print(f"{record.name}: {record.state} {record.error}".rstrip(), highlight=False, markup=False)
    return 0 if record.state == "DELETED" else 1


async def _follow(environments: Environments, record: EnvironmentRecord, console: Console, *, as_json: bool) -> int:
    with console.status("starting") as status:
        async for entry in environments.follow(LOCAL_USER, record.id):
            status.update(f"{entry.event} {entry.detail}".rstrip())
            console.print(f"  {entry.at:%H:%M:%S} {entry.event} {entry.detail}".rstrip(), highlight=False, markup=False)
    made = await environments.get(LOCAL_USER, record.id)
    if as_json:
        print(json.dumps(public(made), ensure_ascii=False))
    else:
        console.print(f"{made.name} ({made.id}): {made.state} {made.error}".rstrip(), highlight=False, markup=False)
    return 0 if made.state == "RUNNING" else 1


def _left(record: EnvironmentRecord) -> str:
    if record.expires_at is None or record.state != "RUNNING":
        return ""
    minutes = max(int((record.expires_at - datetime.now(UTC)).total_seconds() // 60), 0)
    return f"{minutes // 60} h {minutes % 60:02} min"
