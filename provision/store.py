"""Environments in Postgres: every change of state is one statement that also writes the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed

from core.errors import ConflictError, NotFoundError
from core.postgres import Connection, Pool, connection
from provision.provider import Role
from provision.records import (
    STATIC,
    Ending,
    EnvironmentRecord,
    GroupRecord,
    HistoryEntry,
    State,
    client_token,
)
from provision.specs import EnvironmentRequest

COLUMNS = SQL(
    "environment_id AS id, owner, name, thread_id, provider, region, state, ending, cpu, memory, hours, workspace,"
    " spot, host, port, user_name, secret, secured_at, workspace_host, workspace_port, workspace_secret, error,"
    " worker, worker_until, attempts, retry_at, created_at, updated_at, running_at, expires_at, warned_at, ended_at"
)
GROUP_COLUMNS = SQL(
    "environment_id, role, attempt, client_token, zone, group_id, intended_at, created_at, refused_at, deleted_at"
)
LIVE: tuple[State, ...] = ("PENDING", "PROVISIONING", "RUNNING")


def new_id() -> str:
    return f"env-{uuid4().hex[:20]}"


class EnvironmentStore:
    """Rows of environments, their groups and their history. Another owner's environment is like one that is not."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def installation(self) -> str:
        """The id that marks what this database knows, among others in the same cloud account."""
        async with connection(self._pool) as held:
            row = await (await held.execute("SELECT installation_id FROM installation")).fetchone()
        assert row is not None
        return str(row["installation_id"])

    async def add(
        self,
        owner: str,
        environment_id: str,
        request: EnvironmentRequest,
        *,
        provider: str,
        region: str,
        thread_id: str | None,
        quota: int,
    ) -> EnvironmentRecord:
        """A PENDING environment, or the one that has the id already.

        Raises ConflictError when the name is in use or the owner has `quota` environments.
        """
        async with connection(self._pool) as held, held.transaction():
            await _lock_owner(held, owner)
            known = await _one(held, SQL("environment_id = %s"), owner, environment_id)
            if known is not None:
                return known
            await _check_room(held, owner, request.name, quota)
            values = {
                "environment_id": environment_id,
                "owner": owner,
                "name": request.name,
                "thread_id": thread_id,
                "provider": provider,
                "region": region,
                "state": "PENDING",
                "cpu": request.cpu,
                "memory": request.memory,
                "hours": request.hours,
                "workspace": request.workspace,
                "spot": request.spot,
            }
            return await _insert(held, values, "requested", "")

    async def check_room(self, owner: str, name: str, quota: int) -> None:
        """Raises ConflictError where `add` would, unless something changes meanwhile."""
        async with connection(self._pool) as held:
            await _check_room(held, owner, name, quota)

    async def add_static(
        self, owner: str, name: str, host: str, port: int, user: str, secret: bytes
    ) -> EnvironmentRecord:
        """A RUNNING environment that is not ours to delete. Raises ConflictError when the name is in use."""
        values = {
            "environment_id": new_id(),
            "owner": owner,
            "name": name,
            "provider": STATIC,
            "state": "RUNNING",
            "host": host,
            "port": port,
            "user_name": user,
            "secret": secret,
        }
        try:
            async with connection(self._pool) as held, held.transaction():
                return await _insert(held, values, "registered", f"{host}:{port}", times=("secured_at", "running_at"))
        except UniqueViolation:
            raise ConflictError(
                f"You have an environment named {name!r} already.", "Delete it, or choose another name."
            ) from None

    async def get(self, owner: str, environment_id: str) -> EnvironmentRecord:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
            await cursor.execute(
                SQL("SELECT {} FROM environments WHERE owner = %s AND environment_id = %s").format(COLUMNS),
                (owner, environment_id),
            )
            record = await cursor.fetchone()
        if record is None:
            raise not_found(environment_id)
        return record

    async def find(self, owner: str, reference: str) -> EnvironmentRecord:
        """By id, or by the name of a live one."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
            await cursor.execute(
                SQL(
                    "SELECT {} FROM environments WHERE owner = %s AND (environment_id = %s OR (name = %s AND state ="
                    " ANY(%s))) ORDER BY environment_id = %s DESC LIMIT 1"
                ).format(COLUMNS),
                (owner, reference, reference, list(LIVE), reference),
            )
            record = await cursor.fetchone()
        if record is None:
            raise not_found(reference)
        return record

    async def history(self, owner: str, environment_id: str) -> list[HistoryEntry]:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(HistoryEntry)) as cursor:
            await cursor.execute(
                "SELECT at, state, event, detail FROM environment_history WHERE owner = %s AND environment_id = %s"
                " ORDER BY history_id",
                (owner, environment_id),
            )
            return await cursor.fetchall()

    async def groups(self, record: EnvironmentRecord) -> list[GroupRecord]:
        """Every attempt to create a group, in order."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(GroupRecord)) as cursor:
            await cursor.execute(
                SQL(
                    "SELECT {} FROM environment_groups WHERE owner = %s AND environment_id = %s ORDER BY role, attempt"
                ).format(GROUP_COLUMNS),
                (record.owner, record.id),
            )
            return await cursor.fetchall()

    async def move(
        self,
        record: EnvironmentRecord,
        sources: Sequence[State],
        event: str,
        detail: str = "",
        *,
        worker: str | None = None,
        **changes: Any,
    ) -> EnvironmentRecord | None:
        """Changes the row if it is in one of `sources` (and `worker` holds it), with a line of history; else None."""
        return await self._change(record, sources, changes, SQL(""), event=event, detail=detail, worker=worker)

    async def begin(
        self, record: EnvironmentRecord, worker: str, lease: float, secret: bytes, workspace_secret: bytes
    ) -> EnvironmentRecord | None:
        """PENDING to PROVISIONING: the clock starts."""
        extra = SQL(
            ", expires_at = now() + make_interval(hours => hours), worker_until = now() + make_interval(secs => {})"
        ).format(lease)
        changes = {
            "state": "PROVISIONING",
            "secret": secret,
            "workspace_secret": workspace_secret,
            "worker": worker,
        }
        return await self._change(record, ("PENDING",), changes, extra, event="approved", detail="")

    async def run(self, record: EnvironmentRecord, worker: str) -> EnvironmentRecord | None:
        """PROVISIONING to RUNNING."""
        extra = SQL(", running_at = now(), worker = NULL, worker_until = NULL, error = ''")
        return await self._change(
            record, ("PROVISIONING",), {"state": "RUNNING"}, extra, event="running", detail="", worker=worker
        )

    async def secured(self, record: EnvironmentRecord, worker: str) -> EnvironmentRecord | None:
        extra = SQL(", secured_at = now()")
        return await self._change(
            record, ("PROVISIONING",), {}, extra, event="secured", detail="the default account is closed", worker=worker
        )

    async def claim(self, record: EnvironmentRecord, worker: str, lease: float) -> bool:
        """Whether `worker` holds the environment for the next `lease` seconds: nobody else does."""
        async with connection(self._pool) as held:
            cursor = await held.execute(
                "UPDATE environments SET worker = %s, worker_until = clock_timestamp() + make_interval(secs => %s)"
                " WHERE owner = %s AND environment_id = %s AND state = 'PROVISIONING'"
                " AND (worker IS NULL OR worker = %s OR worker_until < clock_timestamp())",
                (worker, lease, record.owner, record.id, worker),
            )
            return cursor.rowcount == 1

    async def renew(self, record: EnvironmentRecord, worker: str, lease: float) -> None:
        """Prolongs what `worker` holds, also while it is being deleted: nobody may count on its calls being over."""
        async with connection(self._pool) as held:
            await held.execute(
                "UPDATE environments SET worker_until = clock_timestamp() + make_interval(secs => %s)"
                " WHERE owner = %s AND environment_id = %s AND worker = %s AND state IN ('PROVISIONING', 'DELETING')",
                (lease, record.owner, record.id, worker),
            )

    async def warned(self, record: EnvironmentRecord) -> EnvironmentRecord | None:
        """Notes that its end was announced; None if it was before."""
        extra = SQL(", warned_at = now()")
        if record.warned_at is not None:
            return None
        detail = f"{record.expires_at:%Y-%m-%d %H:%M:%S %Z}"
        return await self._change(record, ("RUNNING",), {}, extra, event="expires soon", detail=detail)

    async def secrets(self) -> list[EnvironmentRecord]:
        """Every environment, of all owners, that has a stored password."""
        return await self._select(SQL("WHERE secret IS NOT NULL"), ())

    async def reencrypt(self, record: EnvironmentRecord, secret: bytes, workspace_secret: bytes | None) -> None:
        """Replaces the stored passwords unless they have changed meanwhile."""
        async with connection(self._pool) as held:
            await held.execute(
                "UPDATE environments SET secret = %s, workspace_secret = %s WHERE owner = %s AND environment_id = %s"
                " AND secret = %s",
                (secret, workspace_secret, record.owner, record.id, record.secret),
            )

    async def is_held(self, record: EnvironmentRecord, *, besides: str) -> bool:
        """Whether a process other than `besides` may be working on the environment."""
        async with connection(self._pool) as held:
            cursor = await held.execute(
                "SELECT 1 FROM environments WHERE owner = %s AND environment_id = %s AND worker <> %s"
                " AND worker_until > clock_timestamp()",
                (record.owner, record.id, besides),
            )
            return await cursor.fetchone() is not None

    async def release(self, record: EnvironmentRecord, worker: str) -> None:
        """Lets others have the environment at once."""
        async with connection(self._pool) as held:
            await held.execute(
                "UPDATE environments SET worker_until = clock_timestamp() WHERE owner = %s AND environment_id = %s"
                " AND worker = %s",
                (record.owner, record.id, worker),
            )

    async def intend(
        self, record: EnvironmentRecord, worker: str, role: Role, attempt: int, zone: str
    ) -> GroupRecord | None:
        """Enters an attempt before its call is made; an attempt that was entered before is given back as it is.

        None when the environment is not being made by `worker` any more.
        """
        async with connection(self._pool) as held, held.transaction():
            cursor = await held.execute(
                "SELECT 1 FROM environments WHERE owner = %s AND environment_id = %s AND state = 'PROVISIONING'"
                " AND worker = %s FOR UPDATE",
                (record.owner, record.id, worker),
            )
            if await cursor.fetchone() is None:
                return None
            await held.execute(
                "INSERT INTO environment_groups (environment_id, owner, role, attempt, client_token, zone)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (record.id, record.owner, role, attempt, client_token(record.id, role, attempt), zone),
            )
            async with held.cursor(row_factory=class_row(GroupRecord)) as groups:
                await groups.execute(
                    SQL(
                        "SELECT {} FROM environment_groups WHERE environment_id = %s AND role = %s AND attempt = %s"
                    ).format(GROUP_COLUMNS),
                    (record.id, role, attempt),
                )
                return await groups.fetchone()

    async def group_created(self, record: EnvironmentRecord, group: GroupRecord, group_id: str) -> None:
        await self._mark(record, group, "group_id = %s, created_at = coalesce(created_at, now())", group_id)

    async def group_refused(self, record: EnvironmentRecord, group: GroupRecord) -> None:
        """Nothing was created by this attempt."""
        await self._mark(record, group, "refused_at = now()")

    async def group_deleted(self, record: EnvironmentRecord, group: GroupRecord) -> None:
        await self._mark(record, group, "deleted_at = now()")

    async def _mark(self, record: EnvironmentRecord, group: GroupRecord, changes: str, *values: Any) -> None:
        async with connection(self._pool) as held:
            await held.execute(
                SQL(
                    "UPDATE environment_groups SET {} WHERE owner = %s AND environment_id = %s AND role = %s"
                    " AND attempt = %s"
                ).format(SQL(changes)),
                (*values, record.owner, record.id, group.role, group.attempt),
            )

    async def delete(
        self, record: EnvironmentRecord, ending: Ending, event: str, reason: str
    ) -> EnvironmentRecord | None:
        """To DELETING, from any live state; None when it is ending or has ended already."""
        changes = {"state": "DELETING", "ending": ending, "error": reason if ending == "ERROR" else ""}
        return await self._change(record, LIVE, changes, SQL(", retry_at = now()"), event=event, detail=reason)

    async def end(self, record: EnvironmentRecord) -> EnvironmentRecord | None:
        """DELETING to where it leads. Its secrets are forgotten."""
        extra = SQL(
            ", state = ending, ended_at = now(), secret = NULL, workspace_secret = NULL, worker = NULL,"
            " worker_until = NULL, retry_at = NULL"
        )
        return await self._change(record, ("DELETING",), {}, extra, event="deleted", detail=record.error)

    async def deletion_failed(self, record: EnvironmentRecord, reason: str, seconds: float) -> None:
        extra = SQL(", attempts = attempts + 1, retry_at = now() + make_interval(secs => {})").format(seconds)
        await self._change(record, ("DELETING",), {}, extra, event="deletion failed", detail=reason)

    async def extend(self, record: EnvironmentRecord, hours: int, extension: int) -> EnvironmentRecord | None:
        """Later by `hours`, by no more than `extension` hours in all. None when it does not run or would be."""
        async with connection(self._pool) as held, held.transaction():
            cursor = await held.execute(
                "SELECT 1 FROM environments WHERE owner = %s AND environment_id = %s AND state = 'RUNNING'"
                " AND expires_at > now() AND expires_at + make_interval(hours => %s)"
                " <= running_at + make_interval(hours => environments.hours + %s) FOR UPDATE",
                (record.owner, record.id, hours, extension),
            )
            if await cursor.fetchone() is None:
                return None
            extra = SQL(", expires_at = expires_at + make_interval(hours => {}), warned_at = NULL").format(hours)
            return await _change(held, record, ("RUNNING",), {}, extra, "extended", f"by {hours} h", None)

    async def _change(
        self,
        record: EnvironmentRecord,
        sources: Sequence[State],
        changes: dict[str, Any],
        extra: SQL | Composed,
        *,
        event: str,
        detail: str,
        worker: str | None = None,
    ) -> EnvironmentRecord | None:
        async with connection(self._pool) as held:
            return await _change(held, record, sources, changes, extra, event, detail, worker)

    async def _select(self, where: SQL | Composed, values: Sequence[Any]) -> list[EnvironmentRecord]:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
            await cursor.execute(SQL("SELECT {} FROM environments {}").format(COLUMNS, where), values)
            return await cursor.fetchall()

    async def recent(self, owner: str, seconds: float, environment_id: str) -> Sequence[EnvironmentRecord]:
        """The owner's environments that live or ended within `seconds`, and the one of this id; oldest first."""
        where = SQL(
            "WHERE owner = %s AND (state NOT IN ('DELETED', 'ERROR') OR ended_at > now() - make_interval(secs => %s)"
            " OR environment_id = %s) ORDER BY created_at, environment_id"
        )
        return await self._select(where, (owner, seconds, environment_id))

    async def list(
        self, owner: str, *, ended: bool = False, limit: int = 100, offset: int = 0
    ) -> list[EnvironmentRecord]:
        """The owner's environments, newest first; with `ended` also those that are no more."""
        where = SQL("") if ended else SQL("AND state NOT IN ('DELETED', 'ERROR')")
        return await self._select(
            SQL("WHERE owner = %s {} ORDER BY created_at DESC, environment_id LIMIT %s OFFSET %s").format(where),
            (owner, limit, offset),
        )


def not_found(reference: str) -> NotFoundError:
    return NotFoundError(
        f"There is no environment {reference!r}.", "List your environments to see their ids, or create another one."
    )


async def _lock_owner(held: Connection, owner: str) -> None:
    await held.execute("SELECT pg_advisory_xact_lock(hashtextextended('environments of ' || %s, 0))", (owner,))


async def _check_room(held: Connection, owner: str, name: str, quota: int) -> None:
    found = await _one(held, SQL("name = %s AND state = ANY(%s)"), owner, name, list(LIVE))
    if found is not None:
        raise ConflictError(
            f"You have an environment named {name!r} already ({found.id}, {found.state}).",
            "Use it, delete it, or choose another name.",
        )
    cursor = await held.execute(
        "SELECT count(*) AS n FROM environments WHERE owner = %s AND provider <> %s"
        " AND state IN ('PENDING', 'PROVISIONING', 'RUNNING', 'DELETING')",
        (owner, STATIC),
    )
    row = await cursor.fetchone()
    if row is not None and row["n"] >= quota:
        raise ConflictError(f"You have {row['n']} environments, and {quota} is the limit.", "Delete one of them first.")


async def _one(held: Connection, where: SQL, owner: str, *values: Any) -> EnvironmentRecord | None:
    async with held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
        await cursor.execute(
            SQL("SELECT {} FROM environments WHERE owner = %s AND {}").format(COLUMNS, where), (owner, *values)
        )
        return await cursor.fetchone()


async def _insert(
    held: Connection, values: dict[str, Any], event: str, detail: str, *, times: Sequence[str] = ()
) -> EnvironmentRecord:
    names = [SQL(name) for name in (*values, *times)]
    places = [SQL("%s")] * len(values) + [SQL("now()")] * len(times)
    async with held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
        await cursor.execute(
            SQL("INSERT INTO environments ({}) VALUES ({}) RETURNING {}").format(
                SQL(", ").join(names), SQL(", ").join(places), COLUMNS
            ),
            list(values.values()),
        )
        record = await cursor.fetchone()
    assert record is not None
    await held.execute(
        "INSERT INTO environment_history (environment_id, owner, state, event, detail) VALUES (%s, %s, %s, %s, %s)",
        (record.id, record.owner, record.state, event, detail),
    )
    return record


async def _change(
    held: Connection,
    record: EnvironmentRecord,
    sources: Sequence[State],
    changes: dict[str, Any],
    extra: SQL | Composed,
    event: str,
    detail: str,
    worker: str | None,
) -> EnvironmentRecord | None:
    sets = [SQL("{} = %s").format(SQL(name)) for name in changes]
    statement = SQL(
        "WITH changed AS (UPDATE environments SET {sets}{extra} WHERE owner = %s AND environment_id = %s"
        " AND state = ANY(%s) AND (%s::text IS NULL OR worker = %s) RETURNING *),"
        " noted AS (INSERT INTO environment_history (environment_id, owner, state, event, detail)"
        " SELECT environment_id, owner, state, %s, %s FROM changed)"
        " SELECT {columns} FROM changed"
    ).format(sets=SQL(", ").join([SQL("updated_at = now()"), *sets]), extra=extra, columns=COLUMNS)
    values = [*changes.values(), record.owner, record.id, list(sources), worker, worker, event, detail]
    async with held.cursor(row_factory=class_row(EnvironmentRecord)) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchone()
