"""Assistants: a graph with settings. Each graph has one of its own that everybody sees; users make others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.postgres import Pool
from server.bodies import AssistantCount, AssistantCreate, AssistantPatch, AssistantSearch
from server.errors import ForbiddenError
from server.identity import Principal
from server.ids import graph_assistant_id, new_id, uuid_or_none
from server.pages import Order, count, page
from server.rules import Scope

SYSTEM = ""
_COLUMNS = SQL("assistant_id, graph_id, config, context, metadata, name, created_at, updated_at, version, description")
_VISIBLE = SQL("owner IN ('', %(owner)s)")


class Assistants:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ensure(self, graphs: list[str], descriptions: Mapping[str, str]) -> None:
        """The assistants that stand for the graphs."""
        async with self._pool.connection() as held, held.transaction():
            for graph in graphs:
                cursor = await held.execute(
                    "INSERT INTO assistants (assistant_id, owner, graph_id, name, description, metadata)"
                    " VALUES (%s, '', %s, %s, %s, %s) ON CONFLICT (assistant_id) DO NOTHING RETURNING assistant_id",
                    (
                        graph_assistant_id(graph), graph, graph, descriptions.get(graph),
                        Jsonb({"created_by": "system"}),
                    ),
                )  # fmt: skip
                if await cursor.fetchone() is not None:
                    await held.execute(_KEEP_VERSION, {"id": graph_assistant_id(graph)})

    async def create(self, principal: Principal, body: AssistantCreate) -> dict[str, Any]:
        config, context = both_ways(body.config, body.context)
        assistant_id = body.assistant_id or new_id()
        try:
            async with self._pool.connection() as held, held.transaction():
                cursor = await held.execute(
                    SQL(
                        "INSERT INTO assistants (assistant_id, owner, graph_id, name, description, config, context,"
                        " metadata) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING {}"
                    ).format(_COLUMNS),
                    (
                        assistant_id, principal.identity, body.graph_id, body.name or "Untitled", body.description,
                        Jsonb(config), Jsonb(context), Jsonb(body.metadata),
                    ),
                )  # fmt: skip
                row = await cursor.fetchone()
                await held.execute(_KEEP_VERSION, {"id": assistant_id})
        except UniqueViolation:
            if body.if_exists == "do_nothing":
                try:
                    return await self.get(principal.identity, assistant_id)
                except NotFoundError:
                    pass
            raise ConflictError(f"Assistant {assistant_id} already exists") from None
        assert row is not None
        return row

    async def get(self, owner: str, assistant_id: str) -> dict[str, Any]:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL("SELECT {} FROM assistants WHERE assistant_id = %(id)s AND {}").format(_COLUMNS, _VISIBLE),
                {"id": assistant_id, "owner": owner},
            )
            row = await cursor.fetchone()
        if row is None:
            raise _absent(assistant_id)
        return row

    async def patch(self, principal: Principal, assistant_id: str, body: AssistantPatch) -> dict[str, Any]:
        """A new version with what is given changed; metadata is merged."""
        config, context = body.config, body.context
        if context is not None or (config or {}).get("configurable"):
            config, context = both_ways(config or {}, context or {})
        async with self._pool.connection() as held, held.transaction():
            await self._may_change(held, principal, assistant_id)
            cursor = await held.execute(
                SQL(
                    "UPDATE assistants SET graph_id = coalesce(%(graph)s, graph_id), name = coalesce(%(name)s, name),"
                    " description = coalesce(%(description)s, description),"
                    " config = coalesce(%(config)s::jsonb, config),"
                    " context = coalesce(%(context)s::jsonb, context),"
                    " metadata = metadata || coalesce(%(metadata)s::jsonb, '{{}}'),"
                    " version = (SELECT max(version) + 1 FROM assistant_versions WHERE assistant_id = %(id)s),"
                    " updated_at = clock_timestamp() WHERE assistant_id = %(id)s RETURNING {}"
                ).format(_COLUMNS),
                {
                    "id": assistant_id,
                    "graph": body.graph_id,
                    "name": body.name,
                    "description": body.description,
                    "config": Jsonb(config) if config is not None else None,
                    "context": Jsonb(context) if context is not None else None,
                    "metadata": Jsonb(body.metadata) if body.metadata is not None else None,
                },
            )
            row = await cursor.fetchone()
            await held.execute(_KEEP_VERSION, {"id": assistant_id})
        assert row is not None
        return row

    async def delete(self, principal: Principal, assistant_id: str) -> None:
        async with self._pool.connection() as held, held.transaction():
            await self._may_change(held, principal, assistant_id)
            cursor = await held.execute(
                "DELETE FROM assistants WHERE assistant_id = %s AND owner = %s RETURNING assistant_id",
                (assistant_id, principal.identity),
            )
            if await cursor.fetchone() is None:
                raise ConflictError("The assistant of a graph stays as long as the graph is served.")

    async def search(
        self, owner: str, search: AssistantSearch, scope: Scope | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        """A page of what the owner sees, or of what `scope` shows, and whether there are more."""
        order = Order(search.sort_by or "created_at", "assistant_id", descending=search.sort_order != "asc")
        seen = _narrowed(scope or Scope(_VISIBLE, {"owner": owner}), search)
        return await page(self._pool, "assistants", _COLUMNS, seen, order, search.limit, search.offset)

    async def count(self, owner: str, search: AssistantCount, scope: Scope | None = None) -> int:
        return await count(self._pool, "assistants", _narrowed(scope or Scope(_VISIBLE, {"owner": owner}), search))

    async def versions(
        self, owner: str, assistant_id: str, *, metadata: Mapping[str, Any] | None, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        await self.get(owner, assistant_id)
        async with self._pool.connection() as held:
            cursor = await held.execute(
                "SELECT assistant_id, version, graph_id, config, context, metadata, created_at, name, description"
                " FROM assistant_versions WHERE assistant_id = %s AND metadata @> %s"
                " ORDER BY version DESC LIMIT %s OFFSET %s",
                (assistant_id, Jsonb(dict(metadata or {})), limit, offset),
            )
            return await cursor.fetchall()

    async def set_latest(self, principal: Principal, assistant_id: str, version: int) -> dict[str, Any]:
        async with self._pool.connection() as held, held.transaction():
            await self._may_change(held, principal, assistant_id)
            cursor = await held.execute(
                SQL(
                    "UPDATE assistants a SET version = v.version, graph_id = v.graph_id, name = v.name,"
                    " description = v.description, config = v.config, context = v.context, metadata = v.metadata,"
                    " updated_at = clock_timestamp() FROM assistant_versions v WHERE a.assistant_id = %s"
                    " AND v.assistant_id = a.assistant_id AND v.version = %s RETURNING a.*"
                ),
                (assistant_id, version),
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"Version {version} not found for assistant {assistant_id}")
        return await self.get(principal.identity, assistant_id)

    async def _may_change(self, held: Any, principal: Principal, assistant_id: str) -> None:
        cursor = await held.execute(
            "SELECT owner FROM assistants WHERE assistant_id = %s AND owner IN ('', %s) FOR UPDATE",
            (assistant_id, principal.identity),
        )
        row = await cursor.fetchone()
        if row is None:
            raise _absent(assistant_id)
        if row["owner"] == SYSTEM and not principal.is_admin:
            raise ForbiddenError("The assistants of graphs are changed by administrators.", "Make one of your own.")


_KEEP_VERSION = (
    "INSERT INTO assistant_versions (assistant_id, version, graph_id, name, description, config, context, metadata)"
    " SELECT assistant_id, version, graph_id, name, description, config, context, metadata FROM assistants"
    " WHERE assistant_id = %(id)s"
)


def assistant_reference(reference: str, graphs: list[str]) -> str:
    """The id that a client means: an id, or the name of a graph."""
    if reference in graphs:
        return graph_assistant_id(reference)
    found = uuid_or_none(reference)
    if found is None:
        raise InvalidInputError(
            f"Invalid assistant: {reference!r}. Must be either:\n- A valid assistant UUID, or\n"
            f"- One of the registered graphs: {', '.join(graphs)}"
        )
    return found


def both_ways(config: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and context, each completed from the other: old clients send `configurable`, new ones `context`."""
    configurable = config.get("configurable") or {}
    if not isinstance(configurable, dict):
        raise InvalidInputError("config.configurable must be an object.")
    if configurable and context:
        raise _OneOnlyError("Cannot specify both configurable and context. Prefer setting context alone.")
    if context and not configurable:
        return {**config, "configurable": dict(context)}, dict(context)
    return dict(config), dict(configurable)


class _OneOnlyError(InvalidInputError):
    status = 400


def _narrowed(scope: Scope, search: AssistantCount) -> Scope:
    if search.metadata:
        scope = scope.narrowed(SQL("metadata @> %(metadata)s"), metadata=Jsonb(search.metadata))
    if search.graph_id:
        scope = scope.narrowed(SQL("graph_id = %(graph)s"), graph=search.graph_id)
    if search.name:
        scope = scope.narrowed(SQL("name ILIKE '%%' || %(name)s || '%%'"), name=search.name)
    return scope


def _absent(assistant_id: str) -> NotFoundError:
    return NotFoundError(f"Assistant {assistant_id} not found")
