"""Each route by who asks: nobody, the owner of the things in it, another user, an administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
from served.people import CONFIG, People
from served.rights import RIGHTS, Right
from starlette.routing import BaseRoute, Mount
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from core.settings import Settings
from server.app import create_app
from server.config import load_config

PATIENCE = 20.0


def routes_of(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes_of(included.routes)
        elif isinstance(route, Mount):
            yield f"MOUNT {route.path}"
        else:
            path = getattr(route, "path", "")
            for method in getattr(route, "methods", None) or ["WS"]:
                if method != "HEAD":
                    yield f"{method} {path}"


def test_the_table_has_every_route(settings: Settings) -> None:
    app = create_app(settings, load_config(CONFIG))
    assert sorted(routes_of(app.routes)) == sorted(RIGHTS)


async def test_each_route_by_who_asks(people: People) -> None:
    wrong: list[str] = []

    async def expect(who: str, http: httpx.AsyncClient, route: str, right: Right, status: int) -> None:
        found, text = await ask(people, http, route, right)
        if found != status:
            wrong.append(f"{route} by {who}: {found} instead of {status}: {text[:200]}")
        if who != "owner" and people.secret in text:
            wrong.append(f"{route} by {who}: shows what is the owner's: {text[:200]}")

    for route, right in RIGHTS.items():
        if not route.startswith("MOUNT"):
            await expect("nobody", people.nobody, route, right, right.nobody)
        if right.own is not None:
            await expect("other", people.other, route, right, right.other)
            await expect("admin", people.admin, route, right, right.other if right.admin is None else right.admin)
    for route, right in RIGHTS.items():
        if right.own is not None:
            await expect("owner", people.owner, route, right, right.own)
    assert not wrong, "\n".join(wrong)


async def test_assistants_of_graphs_are_changed_by_administrators_only(people: People) -> None:
    [system] = (await people.other.post("/assistants/search", json={"graph_id": "who", "name": "who"})).json()
    path = f"/assistants/{system['assistant_id']}"
    assert (await people.other.patch(path, json={"description": "x"})).status_code == 403
    assert (await people.admin.patch(path, json={"description": "x"})).status_code == 200
    assert (await people.other.delete(path)).status_code == 403
    assert (await people.admin.delete(path)).status_code == 409


async def ask(people: People, http: httpx.AsyncClient, route: str, right: Right) -> tuple[int, str]:
    method, _, path = route.partition(" ")
    path = path.replace(":path}", "}").format_map(people.things)
    if method == "WS":
        return await upgrade(people.url.replace("http", "ws", 1) + path, http)
    arguments: dict[str, Any] = {} if right.body is None else {"json": filled(right.body, people.things)}
    async with (
        asyncio.timeout(PATIENCE),
        http.stream(method, path, params=filled(right.params, people.things), **arguments) as answer,
    ):
        if right.endless and answer.status_code == 200:
            return 200, ""
        return answer.status_code, (await answer.aread()).decode()


async def upgrade(url: str, http: httpx.AsyncClient) -> tuple[int, str]:
    headers = {"X-Api-Key": found} if (found := http.headers.get("x-api-key")) else {}
    try:
        async with connect(url, additional_headers=headers):
            return 101, ""
    except InvalidStatus as error:
        return error.response.status_code, (error.response.body or b"").decode()


def filled(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(things)
    if isinstance(value, list):
        return [filled(item, things) for item in value]
    return {key: filled(item, things) for key, item in value.items()} if isinstance(value, dict) else value
