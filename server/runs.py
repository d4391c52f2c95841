"""Runs in Postgres, as those who ask for them see them: made, looked at, cancelled. Every statement says whose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import orjson
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL
from pydantic import ValidationError

from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.postgres import Connection, Pool
from core.thread_lock import UNLOCKED
from server.bodies import Checkpoint, RunCreate, TimeToLive
from server.identity import Principal
from server.ids import new_id
from server.insertion import CHANNEL, INSERT, INSERT_WHEN_FREE, insert
from server.json import dumps, storable
from server.settling import lock_threads, settle_threads
from server.together import Together

CancelAction: TypeAlias = Literal["interrupt", "rollback"]
COLUMNS = SQL(
    "run_id, thread_id, owner, assistant_id, graph_id, status, metadata, kwargs, assistant_config, assistant_context,"
    " principal, multitask_strategy, temporary, webhook, error, cancel, attempt, watched, available_at, created_at,"
    " updated_at"
)
SELECT_RUNS = SQL("SELECT {columns} FROM runs").format(columns=COLUMNS)
BUSY = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
ABSENT = "Thread or assistant not found."
TRIES = 10
TITLE_LENGTH = 60
THREAD_FIELDS = ("thread", "owner", "temporary", "metadata", "ttl_strategy", "ttl_minutes")


@dataclass(frozen=True)
class Run:
    run_id: str
    thread_id: str
    owner: str
    assistant_id: str
    graph_id: str
    status: str
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    assistant_config: dict[str, Any]
    assistant_context: dict[str, Any]
    principal: dict[str, Any]
    multitask_strategy: str
    temporary: bool
    webhook: str | None
    error: dict[str, Any] | None
    cancel: CancelAction | None
    attempt: int
    watched: bool
    available_at: datetime
    created_at: datetime
    updated_at: datetime
    blank: bool = False
    """Known to be the first on its thread: there is no checkpoint to look for."""

    @property
    def ended(self) -> bool:
        return self.status not in ("pending", "running")

    def as_json(self) -> dict[str, Any]:
        config = self.kwargs.get("config") or {}
        configurable = {
            **(config.get("configurable") or {}),
            "run_id": self.run_id,
            "thread_id": self.thread_id,
            "graph_id": self.graph_id,
            "assistant_id": self.assistant_id,
            "user_id": self.owner,
        }
        return {
            "run_id": self.run_id,
            "thread_id": self.thread_id,
            "assistant_id": self.assistant_id,
            "metadata": self.metadata,
            "status": self.status,
            "kwargs": {
                **self.kwargs,
                "config": {**config, "configurable": configurable, "metadata": self.metadata},
                "webhook": self.webhook,
                "temporary": self.temporary,
            },
            "multitask_strategy": self.multitask_strategy,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def _checkpoint(body: RunCreate) -> Checkpoint:
    """Where a run begins: as it is said, or as the config says it."""
    configurable = (body.config or {}).get("configurable")
    if body.checkpoint is not None or not isinstance(configurable, dict):
        return body.checkpoint or Checkpoint()
    try:
        return Checkpoint.model_validate(configurable)
    except ValidationError as error:
        place = error.errors()[0]["loc"][0]
        raise InvalidInputError(f"config.configurable.{place} does not name a checkpoint.") from None


def run_kwargs(body: RunCreate) -> dict[str, Any]:
    """What a run is executed with, as it is stored."""
    checkpoint = _checkpoint(body).model_dump(exclude_none=True, exclude={"thread_id"})
    if body.checkpoint_id:
        checkpoint["checkpoint_id"] = body.checkpoint_id
    return {
        "input": body.input,
        "command": body.command.given() if body.command is not None else None,
        "config": body.config or {},
        "context": body.context or {},
        "checkpoint": checkpoint or None,
        "stream_mode": body.stream_modes,
        "interrupt_before": body.interrupt_before,
        "interrupt_after": body.interrupt_after,
        "feedback_keys": body.feedback_keys,
        "subgraphs": body.stream_subgraphs,
        "resumable": body.stream_resumable,
        "durability": body.durability or ("exit" if body.checkpoint_during is False else "async"),
    }


class Runs:
    def __init__(self, pool: Pool, thread_ttl: TimeToLive | None = None) -> None:
        """`thread_ttl` is how long threads live that are made with a run."""
        self.pool = pool
        self._thread_ttl = thread_ttl
        self._making_thread = Together(self._make_threads)
        self._inserting = Together(self._insert, size=lambda values: len(values["kwargs"]))

    async def create(
        self,
        principal: Principal,
        thread_id: str,
        assistant_id: str,
        body: RunCreate,
        *,
        kwargs: dict[str, Any] | None = None,
        temporary: bool = False,
        new_thread: bool = False,
        worker: str | None = None,
        lease_seconds: float = 10.0,
        run_id: str | None = None,
        owner: str | None = None,
        assistant_owner: str | None = None,
    ) -> tuple[Run, list[tuple[str, CancelAction]]]:
        """A new run, and the runs it asks to be cancelled.

        With `worker` it begins as that worker's when its thread is free and it need not wait. `new_thread` makes the
        thread when there is none. `owner` and `assistant_owner` are whose thread and assistant it is when they are not
        the principal's. Raises NotFoundError without the thread or the assistant, ConflictError when the
        strategy is reject and the thread is busy, or when there is a run of the id given already.
        """
        values = {
            "run": run_id or new_id(),
            "thread": thread_id,
            "owner": principal.identity if owner is None else owner,
            "assistant_owner": principal.identity if assistant_owner is None else assistant_owner,
            "assistant": assistant_id,
            "metadata": body.metadata or {},
            "kwargs": dumps(kwargs or run_kwargs(body)),
            "principal": principal.as_dict(),
            "strategy": body.multitask_strategy,
            "temporary": temporary,
            "webhook": body.webhook,
            "worker": worker if not body.after_seconds else None,
            "lease": lease_seconds,
            "delay": body.after_seconds or 0.0,
            "config": {"configurable": {}, **(body.config or {})},
            "title": title_of(body.input),
            "ttl_strategy": self._thread_ttl and self._thread_ttl.strategy,
            "ttl_minutes": self._thread_ttl and self._thread_ttl.ttl,
        }
        for attempt in range(TRIES):
            try:
                if new_thread:
                    await self._making_thread(values)
                if (run := await self._inserting(values)) is not None:
                    return run, []
                async with self.pool.connection() as held:
                    return await self._create_on_busy(held, values)
            except (UniqueViolation, ForeignKeyViolation, DeadlockDetected) as error:
                if run_id is not None and error.diag.constraint_name == "runs_pkey":
                    raise ConflictError(f"There is a run {run_id} already.") from None
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(0.005 * attempt)
        raise AssertionError("not reached")

    async def _make_threads(self, several: Sequence[dict[str, Any]]) -> list[None]:
        """The threads of runs that have none yet."""
        threads = [{name: values[name] for name in THREAD_FIELDS} for values in several]
        async with self.pool.connection() as held:
            await held.execute(
                "INSERT INTO threads (thread_id, owner, temporary, metadata, ttl_strategy, ttl_minutes, expires_at)"
                " SELECT thread, owner, temporary, metadata - 'environment_id' - 'title', ttl_strategy, ttl_minutes,"
                " now() + make_interval(secs => ttl_minutes * 60) FROM json_to_recordset(%s::json) AS t (thread text,"
                " owner text, temporary boolean, metadata jsonb, ttl_strategy text, ttl_minutes float8)"
                " ON CONFLICT (thread_id) DO NOTHING",
                (storable(dumps(threads)),),
            )
        return [None] * len(several)

    async def _insert(self, several: Sequence[dict[str, Any]]) -> list[Run | None]:
        """The runs whose threads are free; None for others."""
        first = {values["thread"]: values for values in reversed(several)}
        async with self.pool.connection() as held:
            made = await insert(held, list(first.values()), INSERT_WHEN_FREE)
        return [_run(values, made[values["run"]]) if values["run"] in made else None for values in several]

    async def _create_on_busy(
        self, held: Connection, values: dict[str, Any]
    ) -> tuple[Run, list[tuple[str, CancelAction]]]:
        async with held.transaction():
            cursor = await held.execute(
                "SELECT t.thread_id FROM threads t, assistants a WHERE t.thread_id = %(thread)s AND t.owner = %(owner)s"
                " AND a.assistant_id = %(assistant)s AND a.owner IN ('', %(assistant_owner)s) FOR UPDATE OF t",
                values,
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(ABSENT)
            strategy = values["strategy"]
            cancelled: list[tuple[str, CancelAction]] = []
            cursor = await held.execute(
                "SELECT run_id, status, available_at > now() AS later FROM runs WHERE thread_id = %(thread)s"
                " AND owner = %(owner)s AND status IN ('pending', 'running') FOR UPDATE",
                values,
            )
            active = await cursor.fetchall()
            if strategy == "reject" and any(not row["later"] for row in active):
                raise ConflictError(BUSY)
            if strategy == "reject" and not values["delay"] and not await _unlocked(held, values["thread"]):
                raise ConflictError(BUSY)
            if strategy in ("interrupt", "rollback"):
                action: CancelAction = "rollback" if strategy == "rollback" else "interrupt"
                cancelled = await _cancel(held, values["owner"], [row["run_id"] for row in active], action)
            # An interrupted run must end first; until then its successor waits as pending.
            made = await insert(held, [{**values, "worker": None}], INSERT)
            if not made:
                raise NotFoundError(ABSENT)
            return _run(values, made[values["run"]]), cancelled

    async def get(self, owner: str, thread_id: str, run_id: str) -> Run:
        async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(
                SELECT_RUNS + SQL(" WHERE owner = %s AND thread_id = %s AND run_id = %s"),
                (owner, thread_id, run_id),
            )
            run = await cursor.fetchone()
        if run is None:
            raise NotFoundError("Run not found")
        return run

    async def thread_of(self, owner: str, run_id: str) -> str:
        async with self.pool.connection() as held:
            cursor = await held.execute("SELECT thread_id FROM runs WHERE owner = %s AND run_id = %s", (owner, run_id))
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError("Run not found")
        return str(row["thread_id"])

    async def of_thread(
        self, owner: str, thread_id: str, *, limit: int, offset: int, status: str | None = None
    ) -> list[Run]:
        async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(
                SELECT_RUNS
                + SQL(
                    " WHERE owner = %(owner)s AND thread_id = %(thread)s"
                    " AND (%(status)s::text IS NULL OR status = %(status)s)"
                    " ORDER BY created_at DESC, run_id DESC LIMIT %(limit)s OFFSET %(offset)s"
                ),
                {"owner": owner, "thread": thread_id, "status": status, "limit": limit, "offset": offset},
            )
            return await cursor.fetchall()

    async def nth(self, owner: str, thread_id: str, place: int) -> Run | None:
        """The run at a place in the order in which a thread's runs were made."""
        async with self.pool.connection() as held, held.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(
                SELECT_RUNS + SQL(" WHERE owner = %s AND thread_id = %s ORDER BY created_at, run_id OFFSET %s LIMIT 1"),
                (owner, thread_id, place),
            )
            return await cursor.fetchone()

    async def ended(self, owner: str, thread_id: str) -> int:
        """How many runs of a thread have ended."""
        async with self.pool.connection() as held:
            cursor = await held.execute(
                "SELECT count(*) AS n FROM runs WHERE owner = %s AND thread_id = %s"
                " AND status NOT IN ('pending', 'running')",
                (owner, thread_id),
            )
            row = await cursor.fetchone()
        assert row is not None
        return int(row["n"])

    async def status(self, owner: str, run_id: str) -> tuple[str, Any, Any] | None:
        """Status, error and output of a run; None when it is gone."""
        async with self.pool.connection() as held:
            cursor = await held.execute(
                "SELECT status, error, output::text AS output FROM runs WHERE owner = %s AND run_id = %s",
                (owner, run_id),
            )
            row = await cursor.fetchone()
        return None if row is None else (row["status"], row["error"], row["output"])

    async def watch(self, owner: str, run_id: str) -> None:
        """Ask the process that executes the run to tell this one of its events."""
        async with self.pool.connection() as held:
            await held.execute(
                "WITH r AS (UPDATE runs SET watched = true WHERE owner = %s AND run_id = %s"
                " AND status IN ('pending', 'running') RETURNING run_id)"
                " SELECT pg_notify(%s, 'watch ' || run_id) FROM r",
                (owner, run_id, CHANNEL),
            )

    async def cancel(
        self, owner: str, action: CancelAction, *, thread_id: str | None = None, run_ids: Sequence[str] | None = None,
        statuses: Sequence[str] = ("pending", "running"),
    ) -> list[tuple[str, CancelAction]]:  # fmt: skip
        """Asks for the end of the runs found; those that have not begun end at once. Returns what was found."""
        async with self.pool.connection() as held, held.transaction():
            cursor = await held.execute(
                "SELECT run_id, thread_id FROM runs WHERE owner = %(owner)s AND status = ANY(%(statuses)s)"
                " AND (%(thread)s::text IS NULL OR thread_id = %(thread)s)"
                " AND (%(runs)s::text[] IS NULL OR run_id = ANY(%(runs)s))",
                {
                    "owner": owner,
                    "statuses": list(statuses),
                    "thread": thread_id,
                    "runs": list(run_ids) if run_ids is not None else None,
                },
            )
            rows = await cursor.fetchall()
            await lock_threads(held, [row["thread_id"] for row in rows])
            cursor = await held.execute(
                "SELECT run_id FROM runs WHERE run_id = ANY(%s) AND owner = %s AND status = ANY(%s) FOR UPDATE",
                ([row["run_id"] for row in rows], owner, list(statuses)),
            )
            return await _cancel(held, owner, [row["run_id"] for row in await cursor.fetchall()], action)

    async def delete(self, owner: str, thread_id: str, run_id: str) -> bool:
        async with self.pool.connection() as held, held.transaction():
            await lock_threads(held, [thread_id])
            cursor = await held.execute(
                "DELETE FROM runs WHERE owner = %s AND thread_id = %s AND run_id = %s RETURNING status",
                (owner, thread_id, run_id),
            )
            row = await cursor.fetchone()
            if row is None:
                return False
            await held.execute("DELETE FROM run_events WHERE run_id = %s", (run_id,))
            await settle_threads(held, [thread_id])
            await held.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"deleted {run_id}"))
            return True


def title_of(start: Any) -> str:
    """What a conversation is called: its first message, shortened."""
    messages = start.get("messages") if isinstance(start, dict) else None
    first = messages[0] if isinstance(messages, list) and messages else messages
    content = first.get("content") if isinstance(first, dict) else first
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    text = " ".join(content.split()) if isinstance(content, str) else ""
    return text if len(text) <= TITLE_LENGTH else f"{text[: TITLE_LENGTH - 1]}…"


def _run(values: dict[str, Any], row: dict[str, Any]) -> Run:
    return Run(
        run_id=values["run"],
        thread_id=values["thread"],
        owner=values["owner"],
        assistant_id=values["assistant"],
        kwargs=orjson.loads(values["kwargs"]),
        principal=values["principal"],
        multitask_strategy=values["strategy"],
        temporary=values["temporary"],
        webhook=values["webhook"],
        error=None,
        cancel=None,
        **row,
    )


async def call_webhooks(held: Connection, run_ids: list[str]) -> None:
    """For runs that ended without a worker."""
    await held.execute(
        "INSERT INTO webhook_calls (run_id, address) SELECT run_id, webhook FROM runs WHERE run_id = ANY(%s)"
        " AND webhook IS NOT NULL AND status NOT IN ('pending', 'running') ON CONFLICT DO NOTHING",
        (run_ids,),
    )


async def _unlocked(held: Connection, thread_id: str) -> bool:
    cursor = await held.execute(SQL("SELECT {} AS found").format(SQL(UNLOCKED).format(thread=SQL("%s"))), (thread_id,))
    row = await cursor.fetchone()
    return bool(row and row["found"])


async def _cancel(
    held: Connection, owner: str, run_ids: list[str], action: CancelAction
) -> list[tuple[str, CancelAction]]:
    if not run_ids:
        return []
    cursor = await held.execute(
        "UPDATE runs SET cancel = %s WHERE owner = %s AND run_id = ANY(%s) AND status = 'running' RETURNING run_id",
        (action, owner, run_ids),
    )
    running = [row["run_id"] for row in await cursor.fetchall()]
    waiting = [run_id for run_id in run_ids if run_id not in running]
    if action == "rollback":
        cursor = await held.execute(
            "DELETE FROM runs WHERE owner = %s AND run_id = ANY(%s) AND status = 'pending' RETURNING thread_id",
            (owner, waiting),
        )
    else:
        cursor = await held.execute(
            "UPDATE runs SET status = 'interrupted', updated_at = clock_timestamp()"
            " WHERE owner = %s AND run_id = ANY(%s) AND status = 'pending' RETURNING thread_id",
            (owner, waiting),
        )
        await call_webhooks(held, waiting)
    await settle_threads(held, [row["thread_id"] for row in await cursor.fetchall()])
    for run_id in run_ids:
        await held.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"cancel {run_id} {action}"))
    return [(run_id, action) for run_id in run_ids]
