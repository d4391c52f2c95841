"""The rules of a custom auth (`@auth.on`): what somebody may do, and which things of others they see.

A rule that says nothing, or yes, leaves everybody with what is their own. One that gives a filter decides alone: what
has matching metadata is seen, whoever made it. Everything on a thread is done in the name of its owner.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias
from uuid import UUID

from langgraph_sdk import Auth
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.types.json import Jsonb

from core.errors import NotFoundError, UserError
from core.postgres import Pool
from server.bodies import AssistantCount, CronCount, ThreadCount
from server.errors import ForbiddenError
from server.identity import Principal

Resource: TypeAlias = Literal["threads", "assistants", "crons", "store"]
Value: TypeAlias = dict[str, Any]

DEEPEST = 2
_KEYS = {"threads": "thread_id", "assistants": "assistant_id", "crons": "cron_id"}
_NAMES = {"threads": "Thread with ID", "assistants": "Assistant", "crons": "Cron"}


class RuleError(UserError):
    """A rule is written wrongly."""

    status = 500


class _RefusedError(UserError):
    """A rule refused with a status of its own."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]


@dataclass(frozen=True)
class Scope:
    """Which rows somebody sees: a condition of SQL on a table with `owner` and `metadata`, and its values."""

    where: Composable
    values: Mapping[str, Any] = field(default_factory=dict)

    def narrowed(self, condition: Composable, **values: Any) -> Scope:
        """The rows of these for which `condition` holds too."""
        return Scope(SQL("({}) AND ({})").format(self.where, condition), {**self.values, **values})


def own(owner: str) -> Scope:
    """What is their own."""
    return Scope(SQL("owner = %(owner)s"), {"owner": owner})


class Rules:
    """Asks the handlers of an `Auth` object; without one, or without a handler that fits, everybody has their own."""

    def __init__(self, pool: Pool, hook: Auth | None = None) -> None:
        self._pool = pool
        self._hook = hook if hook is not None and (hook._handlers or hook._global_handlers) else None

    @property
    def active(self) -> bool:
        """Whether there are any."""
        return self._hook is not None

    async def thread(self, asking: Principal, thread_id: str, action: str, value: Value | None = None) -> Principal:
        """In whose name `asking` may do this with the thread. `value` is what the rule is shown, and may change."""
        return await self._owner(asking, "threads", thread_id, action, value)

    async def assistant(
        self, asking: Principal, assistant_id: str, action: str, value: Value | None = None
    ) -> Principal:
        """As `thread`, for an assistant."""
        return await self._owner(asking, "assistants", assistant_id, action, value)

    async def cron(self, asking: Principal, cron_id: str, action: str, value: Value | None = None) -> Principal:
        """As `thread`, for a cron."""
        return await self._owner(asking, "crons", cron_id, action, value)

    async def scope(
        self, asking: Principal, resource: Resource, search: AssistantCount | ThreadCount | CronCount
    ) -> Scope | None:
        """What a search finds; None for one's own. The rule may change which metadata is searched for."""
        value = {**search.model_dump(), "metadata": search.metadata or {}}
        filters = await self._ask(asking, resource, "search", value)
        search.metadata = value.get("metadata")
        return None if filters is None else _scope(filters)

    async def create(self, asking: Principal, resource: Resource, value: Value) -> Scope | None:
        """Whether something may be made; its `metadata` then matches the filter of the rule."""
        filters = await self._ask(asking, resource, "create", value)
        if filters is None:
            return None
        value["metadata"] = marked(value.get("metadata") or {}, filters)
        return _scope(filters)

    async def run(self, asking: Principal, thread_id: str | None, value: Value) -> Principal:
        """In whose name `asking` may make a run on the thread; the metadata of the run is that of a thread it makes."""
        if self._hook is None:
            return asking
        filters = await self._ask(asking, "threads", "create_run", value)
        if filters is None:
            return asking
        value["metadata"] = marked(value.get("metadata") or {}, filters)
        if thread_id is None:
            return asking
        owner = await self._seen("threads", thread_id, _scope(filters))
        if owner is None and await self._exists(thread_id):
            raise NotFoundError(f"Thread with ID {thread_id} not found")
        return asking if owner is None else replace(asking, identity=owner)

    async def store(self, asking: Principal, action: str, value: Value) -> Value:
        """What is to be done with the store, as the rule changes it; a filter narrows a search."""
        filters = await self._ask(asking, "store", action, value)
        if filters is not None and action == "search":
            value["filter"] = {**(value.get("filter") or {}), **filters}
        return value

    async def maker(self, asking: Principal, resource: Resource, key: str, scope: Scope | None) -> Principal:
        """In whose name something is made that may be there already: its owner's, when the scope shows it."""
        owner = None if scope is None else await self._seen(resource, key, scope)
        return replace(asking, identity=owner or asking.identity)

    async def _owner(
        self, asking: Principal, resource: Resource, key: str, action: str, value: Value | None
    ) -> Principal:
        if self._hook is None:
            return asking
        value = {} if value is None else value
        value.setdefault(_KEYS[resource], UUID(key))
        filters = await self._ask(asking, resource, action, value)
        if filters is None:
            return asking
        owner = await self._seen(resource, key, _scope(filters))
        if owner is None:
            raise NotFoundError(f"{_NAMES[resource]} {key} not found")
        return replace(asking, identity=owner or asking.identity)

    async def _seen(self, resource: Resource, key: str, scope: Scope) -> str | None:
        async with self._pool.connection() as held:
            cursor = await held.execute(
                SQL("SELECT owner FROM {} WHERE {} = %(key)s AND ({})").format(
                    Identifier(resource), Identifier(_KEYS[resource]), scope.where
                ),
                {**scope.values, "key": key},
            )
            row = await cursor.fetchone()
        return None if row is None else str(row["owner"])

    async def _exists(self, thread_id: str) -> bool:
        async with self._pool.connection() as held:
            cursor = await held.execute("SELECT 1 FROM threads WHERE thread_id = %s", (thread_id,))
            return await cursor.fetchone() is not None

    async def _ask(self, asking: Principal, resource: Resource, action: str, value: Value) -> dict[str, Any] | None:
        """The filter of the handler that fits best; None without one. ForbiddenError when it says no."""
        handler = self._handler(resource, action)
        if handler is None:
            return None
        user: Any = Auth.types.StudioUser(asking.identity, is_authenticated=True) if asking.is_studio else asking
        context = Auth.types.AuthContext(
            user=user,
            permissions=asking.permissions,
            resource=resource,
            action=action,  # type: ignore[arg-type]
        )
        try:
            said: Any = await handler(ctx=context, value=value)
        except Auth.exceptions.HTTPException as error:
            raise _RefusedError(error.status_code, str(error.detail)) from error
        except AssertionError as error:
            raise ForbiddenError(str(error) or "Forbidden") from error
        if said is False:
            raise ForbiddenError("Forbidden")
        if said is None or said is True or said == {}:
            return None
        if not isinstance(said, dict):
            raise RuleError(
                f"The rule for {resource}.{action} returned a {type(said).__name__}.",
                "Return None, True, False, or a filter.",
            )
        return said

    def _handler(self, resource: str, action: str) -> Any:
        """The most specific handler, and of those the last one, as LangGraph's own server chooses."""
        if self._hook is None:
            return None
        for key in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if found := self._hook._handlers.get(key):
                return found[-1]
        return self._hook._global_handlers[-1] if self._hook._global_handlers else None


def marked(metadata: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` with what a filter asks for, so that who made a thing sees it."""
    found = dict(metadata)
    for key, wanted in filters.items():
        if key == "$and":
            for group in wanted:
                found = marked(found, group)
        elif key == "$or":
            continue
        elif isinstance(wanted, dict) and "$contains" in wanted:
            given, more = found.get(key), wanted["$contains"]
            known: list[Any] = given if isinstance(given, list) else []
            found[key] = known + [item for item in (more if isinstance(more, list) else [more]) if item not in known]
        else:
            found[key] = wanted["$eq"] if isinstance(wanted, dict) and "$eq" in wanted else wanted
    return found


def _scope(filters: Mapping[str, Any]) -> Scope:
    values: dict[str, Any] = {}
    return Scope(_condition(filters, values, 0), values)


def _condition(filters: Mapping[str, Any], values: MutableMapping[str, Any], depth: int) -> Composed:
    if depth > DEEPEST:
        raise RuleError(f"A rule returned a filter of more than {DEEPEST} levels.", "Simplify it.")
    parts: list[Composable] = []
    for key, wanted in filters.items():
        if key in ("$or", "$and"):
            if not isinstance(wanted, list) or len(wanted) < 2 or not all(isinstance(each, dict) for each in wanted):
                raise RuleError(f"A rule returned {key} without a list of at least 2 filters.", "Correct the rule.")
            joiner = SQL(" OR ") if key == "$or" else SQL(" AND ")
            parts.append(SQL("({})").format(joiner.join(_condition(each, values, depth + 1) for each in wanted)))
        else:
            parts.append(_term(key, wanted, values))
    return SQL("({})").format(SQL(" AND ").join(parts) if parts else SQL("true"))


def _term(key: str, wanted: Any, values: MutableMapping[str, Any]) -> Composed:
    operator, operand = next(iter(wanted.items())) if isinstance(wanted, dict) and wanted else ("$eq", wanted)
    if operator not in ("$eq", "$contains") or (isinstance(wanted, dict) and len(wanted) > 1):
        raise RuleError(f"A rule returned a filter on {key!r} that is not known.", "Use a value, $eq or $contains.")
    name = f"rule_{len(values)}"
    if operator == "$contains":
        operand = operand if isinstance(operand, list) else [operand]
    values[name] = Jsonb({key: operand})
    holds = SQL("metadata @> {}").format(SQL(f"%({name})s"))
    if operator == "$contains" or not isinstance(operand, dict | list):
        return holds
    # What contains a list or an object need not be the same.
    values[f"{name}_key"], values[f"{name}_value"] = key, Jsonb(operand)
    return SQL("({} AND metadata -> {}::text = {})").format(holds, SQL(f"%({name}_key)s"), SQL(f"%({name}_value)s"))
