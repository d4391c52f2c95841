"""The single steps of making an environment. Each can be repeated after a crash at any point of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from uuid import uuid4

import httpx

from core.errors import ConflictError, DolphinDBUnavailableError, UserError
from dolphin.environment import Environment
from provision.account import close_default_account, version
from provision.provider import (
    TAG_ATTEMPT,
    TAG_ENVIRONMENT,
    TAG_EXPIRES,
    TAG_INSTALLATION,
    TAG_OWNER,
    TAG_ROLE,
    Group,
    GroupRequest,
    NoStockError,
    Provider,
    ProviderError,
    ProviderUnavailableError,
    Role,
    TokenConflictError,
)
from provision.records import EnvironmentRecord, GroupRecord
from provision.settings import ProvisionSettings
from provision.specs import MAX_HOURS
from provision.store import EnvironmentStore
from provision.vault import Vault
from provision.watch import Watch

log = logging.getLogger(__name__)

UNSEEN_SECONDS = 60.0
PAUSE = 0.2
# The client holds the interpreter while it connects, and with it everything else in the process.
CONNECTING = 2
PLAIN = re.compile(r"[A-Za-z0-9_.@-]{1,100}\Z")


class HeldElsewhereError(ConflictError):
    """Another process is making the environment."""


def lost(record: EnvironmentRecord) -> ConflictError:
    """Why the environment is not ours to go on with."""
    if record.state == "PROVISIONING":
        return HeldElsewhereError(f"Environment {record.id} is being made by another process.", "Look at its state.")
    return ConflictError(f"Environment {record.id} is {record.state}.", "Create another environment.")


@dataclass
class Steps:
    """What making environments needs. `worker` marks the environments that this process is making."""

    store: EnvironmentStore
    provider: Provider
    vault: Vault
    settings: ProvisionSettings
    installation: str
    worker: str = field(default_factory=lambda: uuid4().hex)
    draining: bool = False

    def __post_init__(self) -> None:
        self.watch = Watch(self.provider, self.settings.provision_poll_seconds)
        self._connecting = asyncio.Semaphore(CONNECTING)

    @asynccontextmanager
    async def working(self, record: EnvironmentRecord) -> AsyncIterator[EnvironmentRecord]:
        """Holds the environment, after the lease of a holder that died.

        Raises ConflictError when the environment is not PROVISIONING, HeldElsewhereError when another holds on to it.
        """
        lease = self.settings.provision_lease_seconds
        deadline = asyncio.get_running_loop().time() + 2 * lease + 1
        while not await self.store.claim(record, self.worker, lease):
            current = await self.store.get(record.owner, record.id)
            if current.state != "PROVISIONING" or asyncio.get_running_loop().time() > deadline:
                raise lost(current)
            await asyncio.sleep(min(PAUSE, lease / 5))
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(record, lease, done))
        try:
            yield await self.store.get(record.owner, record.id)
        finally:
            done.set()
            await renewal

    async def _renew(self, record: EnvironmentRecord, lease: float, done: asyncio.Event) -> None:
        # Told to end, not cancelled: a statement that is cancelled may end with another error.
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), lease / 3)
                return
            try:
                await self.store.renew(record, self.worker, lease)
            except UserError as error:
                log.warning("the hold on environment %s could not be renewed: %s", record.id, error)

    async def create(self, record: EnvironmentRecord, role: Role) -> GroupRecord:
        """The group of the role, created in the first zone that has stock. Raises ProviderError."""
        refusal: ProviderError | None = None
        for attempt, zone in enumerate(self.provider.zones):
            group = await self._intend(record, role, attempt, zone)
            if group.refused_at is not None or group.deleted_at is not None:
                continue
            if group.group_id is not None:
                return group
            try:
                group_id = await self._create(record, group)
            except NoStockError as error:
                await self.store.group_refused(record, group)
                refusal = error
                continue
            await self.store.group_created(record, group, group_id)
            await self.store.move(record, ("PROVISIONING",), f"{role} created", group_id)
            return await self._intend(record, role, attempt, zone)
        raise refusal or NoStockError("No zone has stock.", "Try another size, or later.")

    async def _intend(self, record: EnvironmentRecord, role: Role, attempt: int, zone: str) -> GroupRecord:
        group = await self.store.intend(record, self.worker, role, attempt, zone)
        if group is None:
            raise lost(await self.store.get(record.owner, record.id))
        return group

    async def _create(self, record: EnvironmentRecord, group: GroupRecord) -> str:
        request = await self._request(record, group)
        try:
            return await self.provider.create(request)
        except TokenConflictError:
            # An attempt under other settings: its group is known by its tags.
            names = (TAG_INSTALLATION, TAG_ENVIRONMENT, TAG_ROLE, TAG_ATTEMPT)
            for found in await self.provider.find({name: request.tags[name] for name in names}):
                return found.id
            raise

    async def _request(self, record: EnvironmentRecord, group: GroupRecord) -> GroupRequest:
        assert record.expires_at is not None
        tags = {
            TAG_INSTALLATION: self.installation,
            TAG_ENVIRONMENT: record.id,
            TAG_OWNER: _tag(record.owner),
            TAG_EXPIRES: record.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            TAG_ROLE: group.role,
            TAG_ATTEMPT: str(group.attempt),
        }
        common = {
            "client_token": group.client_token,
            "role": group.role,
            "name": f"ddb-agent-{record.id}-{group.role}-{group.attempt}"[:128],
            "zone": group.zone,
            "spot": record.spot,
            "tags": tags,
            # A longest life that the cloud enforces itself, whatever becomes of us; extensions included.
            "lifetime": (record.hours or MAX_HOURS) * 3600.0
            + self.settings.environment_extension_hours * 3600.0
            + 3600.0,
        }
        if group.role == "database":
            assert record.cpu is not None
            assert record.memory is not None
            return GroupRequest(cpu=record.cpu, memory=record.memory, **common)  # type: ignore[arg-type]
        database = await self._group(record, "database")
        assert record.workspace_secret is not None
        return GroupRequest(
            cpu=self.settings.eci_workspace_cpu,
            memory=self.settings.eci_workspace_memory,
            variables={
                "DOLPHINDB_HOST": database.internal_host or record.host or "",
                "DOLPHINDB_PORT": str(record.port or ""),
            },
            secret_variables={"PASSWORD": self.vault.decrypt(record.workspace_secret)},
            **common,  # type: ignore[arg-type]
        )

    async def _group(self, record: EnvironmentRecord, role: Role) -> Group:
        group_id = next(
            (
                group.group_id
                for group in await self.store.groups(record)
                if group.role == role and group.group_id and group.deleted_at is None
            ),
            None,
        )
        found = None if group_id is None else await self.watch.known(group_id)
        if found is None:
            raise ProviderError(f"The {role} of environment {record.id} has vanished.", "Create another environment.")
        return found

    async def wait(self, record: EnvironmentRecord, role: Role) -> Group | None:
        """The group when it runs and has its address; None when it turned out that its zone has no stock.

        Raises ProviderError when it failed or vanished, ConflictError when the environment is being deleted.
        """
        row = next(
            group
            for group in await self.store.groups(record)
            if group.role == role and group.group_id and group.deleted_at is None
        )
        assert row.group_id is not None
        clock = asyncio.get_running_loop().time
        unseen_since = clock()
        async with self._limit(f"the {role}"):
            while True:
                found = await self.watch.look(row.group_id)
                await self._check_hold(record)
                if found is None:
                    if clock() - unseen_since > min(UNSEEN_SECONDS, self.settings.provision_timeout / 2):
                        raise ProviderError(f"The {role} has vanished.", "Create another environment.")
                    continue
                unseen_since = clock()
                if found.no_stock:
                    await self.provider.delete(found.id)
                    await self.store.group_deleted(record, row)
                    return None
                if found.status == "ended":
                    raise ProviderError(f"The {role} did not start: {found.detail}.", "Create another environment.")
                if found.status == "running" and (found.host or self._has_no_address(role)):
                    await self._note_address(record, role, found)
                    return found

    def _has_no_address(self, role: Role) -> bool:
        return role == "workspace" and self.provider.name == "local"

    async def _note_address(self, record: EnvironmentRecord, role: Role, group: Group) -> None:
        names = ("host", "port", "user_name") if role == "database" else ("workspace_host", "workspace_port")
        values = (group.host, group.port, group.user)[: len(names)]
        changes = dict(zip(names, values, strict=True))
        moved = await self.store.move(
            record, ("PROVISIONING",), f"{role} runs", group.detail, worker=self.worker, **changes
        )
        if moved is None:
            raise lost(await self.store.get(record.owner, record.id))

    async def secure(self, record: EnvironmentRecord) -> None:
        """The stored random password is the database's only one. Raises ProviderError."""
        server = self.server(record)
        group = await self._group(record, "database")
        if group.password is None:
            raise ProviderError("The new database has no account to begin with.", "Create another environment.")
        async with self._limit("the database"):
            while True:
                try:
                    async with self._connecting:
                        await close_default_account(server, group.password)
                    break
                except DolphinDBUnavailableError:
                    await self._pause(record)
        if await self.store.secured(record, self.worker) is None:
            raise lost(await self.store.get(record.owner, record.id))

    async def check(self, record: EnvironmentRecord) -> str:
        """Both really answer; gives the version of the database. Raises ProviderError."""
        async with self._limit("the environment"):
            while True:
                try:
                    async with self._connecting:
                        found = await version(self.server(record))
                    break
                except DolphinDBUnavailableError:
                    await self._pause(record)
            while record.workspace:
                if await self._workspace_answers(record):
                    break
                await self._pause(record)
        return found

    async def _pause(self, record: EnvironmentRecord) -> None:
        """Before a server that does not answer yet is tried again: it may have been given back."""
        await self._check_hold(record)
        await asyncio.sleep(PAUSE)

    async def _check_hold(self, record: EnvironmentRecord) -> None:
        current = await self.store.get(record.owner, record.id)
        if current.state != "PROVISIONING" or current.worker != self.worker:
            raise lost(current)

    async def _workspace_answers(self, record: EnvironmentRecord) -> bool:
        if record.workspace_host is None:
            group = await self._group(record, "workspace")
            return (await self.provider.exec(group.id, ["true"], timeout=10.0)).status == 0
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            try:
                answer = await client.get(f"http://{record.workspace_host}:{record.workspace_port}/healthz")
            except httpx.HTTPError:
                return False
        return answer.status_code == 200

    def server(self, record: EnvironmentRecord) -> Environment:
        assert record.host is not None
        assert record.port is not None
        assert record.secret is not None
        return Environment(record.id, record.host, record.port, record.user_name, self.vault.decrypt(record.secret))

    @asynccontextmanager
    async def _limit(self, what: str) -> AsyncIterator[None]:
        seconds = self.settings.provision_timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise ProviderUnavailableError(
                f"After {seconds:g} s {what} does not answer yet.", "Try again, or raise DDB_AGENT_PROVISION_TIMEOUT."
            ) from None

    async def aclose(self) -> None:
        self.draining = True
        await self.watch.aclose()


def _tag(owner: str) -> str:
    """The owner where a tag can hold it, else a digest."""
    return owner if PLAIN.match(owner) else "sha256-" + hashlib.sha256(owner.encode()).hexdigest()[:40]
