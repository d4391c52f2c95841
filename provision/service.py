"""Environments as the server, the tools and the command line use them: who asks comes first, always."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from core.cancellation import raise_if_cancelled
from core.checkpointer import checkpointer
from core.errors import ConfigurationError, ConflictError, DatabaseUnavailableError, DolphinDBError, InvalidInputError
from core.postgres import Pool, connection
from core.settings import Settings, read_settings
from dolphin.catalog import Catalog
from dolphin.environment import Environment
from provision import due
from provision.account import version
from provision.addresses import permitted
from provision.confirmation import description, place
from provision.graph import ProvisionContext, ProvisionInput, ProvisionState, build_provision_graph
from provision.local import open_local
from provision.provider import Provider, Providers
from provision.reaper import Reaper, Warn
from provision.records import STATIC, EnvironmentRecord, HistoryEntry
from provision.removal import Removal, run_thread
from provision.resolve import Resolver, usable
from provision.settings import ProvisionSettings
from provision.specs import MAX_HOURS, NAME, EnvironmentRequest, Price, validated
from provision.steps import Steps
from provision.store import EnvironmentStore, new_id
from provision.vault import Vault, open_vault

log = logging.getLogger(__name__)

RECURSION_LIMIT = 60
FOLLOW_SECONDS = 0.25
DATABASE_PAUSES = (1.0, 5.0, 20.0)
UNDER_WAY = ("PENDING", "PROVISIONING")
RECENT = timedelta(hours=1)


class StaticRequest(BaseModel):
    """An existing server to use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=8848, ge=1, le=65535)
    user: str = "admin"
    password: SecretStr


@dataclass(frozen=True)
class Notice:
    """`key` is the same however often, and at what time, it is given. `values` are the `name` of the environment, and
    for `ends` the `minutes` until then, for `gone` the `error`."""

    key: str
    kind: Literal["ends", "gone", "expired"]
    values: dict[str, Any]


@dataclass
class Environments:
    """Another owner's environment is answered like one that does not exist. Use it in one event loop.

    `when_deleted` and `when_extended` are told the id of an environment that somebody gives back or extends here,
    `when_chosen` the owner, the thread and what it works in from now on.
    """

    pool: Pool
    store: EnvironmentStore
    provider: Provider
    providers: Providers
    vault: Vault
    settings: ProvisionSettings
    installation: str
    when_deleted: set[Callable[[str], Awaitable[None]]] = field(default_factory=set)
    when_extended: set[Callable[[str], Awaitable[None]]] = field(default_factory=set)
    when_chosen: set[Callable[[str, str, str], Awaitable[None]]] = field(default_factory=set)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.steps = Steps(self.store, self.provider, self.vault, self.settings, self.installation)
        common = (self.pool, self.store, self.providers, self.settings, self.installation)
        self._removal = Removal(*common)
        self._own_removal = Removal(*common, worker=self.steps.worker)
        self._graph = self.build_graph().compile()
        self.resolve = Resolver(self.store, self.providers, self.vault, self.settings)

    @property
    def _place(self) -> tuple[str, str]:
        return self.provider.name, self.provider.region

    def build_graph(self) -> StateGraph[ProvisionState, ProvisionContext, ProvisionInput, ProvisionState]:
        """The graph that makes an environment, not compiled."""
        return build_provision_graph(self.steps, self._own_removal)

    def reaper(self, warn: Warn | None = None) -> Reaper:
        return Reaper(self.pool, self.store, self.providers, self._removal, self.settings, self.installation, warn)

    def price(self, request: EnvironmentRequest) -> Price:
        """An estimate for the whole time. Raises InvalidInputError for what is not sold."""
        return self.provider.price(validated(request))

    def describe(self, request: EnvironmentRequest) -> str:
        """What a person is to agree to: size, place, time and estimated price."""
        return description(request, self.price(request), place(*self._place))

    async def proposal(self, owner: str, request: EnvironmentRequest) -> str:
        """What the owner is to agree to, as `describe` says it. Raises what `start` would raise now."""
        text = self.describe(request)
        await self.store.check_room(owner, request.name, self.settings.environments_per_user)
        return text

    async def start(
        self,
        owner: str,
        request: EnvironmentRequest,
        *,
        thread_id: str | None = None,
        environment_id: str | None = None,
    ) -> EnvironmentRecord:
        """Begins to make an environment that a person has agreed to; it goes on in the background.

        With the `environment_id` of one that was begun before nothing new is made: that one is gone on with.
        Raises InvalidInputError for what is not sold, ConflictError over the quota or for a name in use.
        """
        record = await self.store.add(
            owner,
            environment_id or new_id(),
            validated(request),
            provider=self.provider.name,
            region=self.provider.region,
            thread_id=thread_id,
            quota=self.settings.environments_per_user,
        )
        if record.state in UNDER_WAY:
            self._go_on(record)
        return record

    async def resume(self, owner: str, reference: str) -> EnvironmentRecord:
        """Goes on with making an environment whose process ended; one that is PENDING is thereby agreed to."""
        record = await self.store.find(owner, reference)
        if record.state in UNDER_WAY:
            self._go_on(record)
        return record

    async def go_on(self) -> list[str]:
        """Goes on with what was being made by processes that have ended; the ids of it, of all owners."""
        async with connection(self.pool) as held:
            left = await due.left(held, *self._place)
        ours = []
        for record in left:
            lease = self.settings.provision_lease_seconds
            if record.id not in self._tasks and await self.store.claim(record, self.steps.worker, lease):
                self._go_on(record)
                ours.append(record.id)
        return ours

    async def wait(self, owner: str, environment_id: str) -> EnvironmentRecord:
        """The record once it is RUNNING or has come to its end."""
        task = self._tasks.get(environment_id)
        if task is not None:
            await asyncio.wait([task])
        async for _ in self.follow(owner, environment_id):
            pass
        return await self.store.get(owner, environment_id)

    async def follow(self, owner: str, environment_id: str) -> AsyncIterator[HistoryEntry]:
        """What happens to an environment, from its beginning until it is RUNNING or has come to its end."""
        seen = 0
        while True:
            record = await self.store.get(owner, environment_id)
            history = await self.store.history(owner, environment_id)
            raise_if_cancelled()
            for entry in history[seen:]:
                yield entry
            seen = len(history)
            task = self._tasks.get(environment_id)
            if record.state not in (*UNDER_WAY, "DELETING") or (record.state == "DELETING" and task is None):
                return
            await asyncio.sleep(FOLLOW_SECONDS) if task is None else await asyncio.wait([task], timeout=FOLLOW_SECONDS)

    async def get(self, owner: str, reference: str) -> EnvironmentRecord:
        """By id, or by the name of a live one."""
        return await self.store.find(owner, reference)

    async def history(self, owner: str, environment_id: str) -> list[HistoryEntry]:
        return await self.store.history(owner, environment_id)

    async def delete(self, owner: str, reference: str) -> EnvironmentRecord:
        """The record after the first attempt; while DELETING, the reaper goes on with it."""
        record = await self.store.find(owner, reference)
        await self.store.delete(record, "DELETED", "deletion requested", "")
        removed = await self._removal.remove(await self.store.get(owner, record.id))
        for tell in list(self.when_deleted):
            await tell(record.id)
        return removed

    async def extend(self, owner: str, reference: str, hours: int) -> EnvironmentRecord:
        """Later expiry. Raises ConflictError when it does not run, or would live too long."""
        if not 1 <= hours <= MAX_HOURS:
            raise InvalidInputError(f"{hours} more hours are not possible.", f"Choose 1 to {MAX_HOURS}.")
        record = usable(await self.store.find(owner, reference))
        if record.provider == STATIC:
            raise ConflictError(f"Environment {record.name!r} is your own server and does not expire.")
        extended = await self.store.extend(record, hours, self.settings.environment_extension_hours)
        if extended is None:
            raise ConflictError(
                f"Environment {record.name!r} cannot be extended by {hours} h.",
                f"{self._hours_left(record)} h more are possible, while it runs.",
            )
        for tell in list(self.when_extended):
            await tell(record.id)
        return extended

    def _hours_left(self, record: EnvironmentRecord) -> int:
        """How much later it may still end."""
        assert record.running_at is not None
        assert record.expires_at is not None
        latest = record.running_at + timedelta(hours=(record.hours or 0) + self.settings.environment_extension_hours)
        return max(int((latest - record.expires_at) / timedelta(hours=1)), 0)

    async def choose(self, owner: str, thread_id: str, reference: str) -> None:
        """A thread works in `reference`, an id or the default, from now on."""
        for tell in list(self.when_chosen):
            await tell(owner, thread_id, reference)

    async def register(self, owner: str, request: StaticRequest) -> EnvironmentRecord:
        """Enters an existing server after connecting to it. Raises InvalidInputError, DolphinDBUnavailableError."""
        if not NAME.match(request.name):
            raise InvalidInputError(
                f"{request.name!r} cannot name an environment.", "Use up to 63 letters, digits, and _ . -."
            )
        address = await permitted(request.host, request.port, allow_private=self.settings.allow_private_addresses)
        await version(Environment("new", address, request.port, request.user, request.password))
        secret = self.vault.encrypt(request.password)
        return await self.store.add_static(owner, request.name, request.host, request.port, request.user, secret)

    async def connection(self, owner: str, reference: str) -> dict[str, Any]:
        """`{"reachable", "version", "error"}`."""
        environment = await self.resolve(owner, reference)
        try:
            found = await version(await environment.current())
        except DolphinDBError as error:
            return {"reachable": False, "version": None, "error": str(error)}
        return {"reachable": True, "version": found, "error": None}

    async def schema(self, owner: str, reference: str, catalog: Catalog) -> dict[str, Any]:
        """`{"databases": [{"name", "tables": […]}], "tables": […]}`."""
        environment = await self.resolve(owner, reference)
        thread = f"schema:{owner}"
        databases = [
            {"name": name, "tables": [each.to_json() for each in await catalog.tables(environment, thread, name)]}
            for name in await catalog.databases(environment, thread)
        ]
        memory = [each.to_json() for each in await catalog.tables(environment, thread)]
        return {"databases": databases, "tables": memory}

    async def recent(self, owner: str, environment_id: str = "") -> Sequence[EnvironmentRecord]:
        """Those that live or have just ended, and the one of this id."""
        return await self.store.recent(owner, RECENT.total_seconds(), environment_id)

    def notices(self, records: Sequence[EnvironmentRecord], thread_id: str, environment_id: str = "") -> list[Notice]:
        """What a thread should be told of the environments that were made for it, and of the one it works in."""
        concerned = (each for each in records if each.thread_id == thread_id or each.id == environment_id)
        found = (_notice(record, self.settings.expiry_warning_seconds, environment_id) for record in concerned)
        return [notice for notice in found if notice is not None]

    async def renew_secrets(self) -> int:
        """Puts every stored password under the newest key; how many were. One that no key fits is left, and logged."""
        renewed = 0
        for record in await self.store.secrets():
            assert record.secret is not None
            try:
                secret = self.vault.renew(record.secret)
                workspace = self.vault.renew(record.workspace_secret) if record.workspace_secret is not None else None
            except ConfigurationError as error:
                log.warning("the password of environment %s: %s", record.id, error)
                continue
            await self.store.reencrypt(record, secret, workspace)
            renewed += 1
        return renewed

    async def aclose(self) -> None:
        """Stops what is being made; it can be gone on with, or is taken away after a while."""
        self.steps.draining = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.steps.aclose()
        for provider in self.providers:
            await provider.aclose()

    async def list(
        self, owner: str, *, ended: bool = False, limit: int = 100, offset: int = 0
    ) -> list[EnvironmentRecord]:
        return await self.store.list(owner, ended=ended, limit=limit, offset=offset)

    def _go_on(self, record: EnvironmentRecord) -> None:
        if record.id not in self._tasks and (record.provider, record.region) == self._place:
            # A context of its own: inside an agent's node the run would become a part of the agent's.
            task = asyncio.create_task(self._make(record), context=contextvars.Context())
            self._tasks[record.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(record.id, None))

    async def _make(self, record: EnvironmentRecord) -> None:
        saver = checkpointer(self.pool)
        graph = copy(self._graph)
        graph.checkpointer = saver
        thread = run_thread(record.id)
        config = RunnableConfig(configurable={"thread_id": thread}, recursion_limit=RECURSION_LIMIT)
        start: ProvisionInput | None = {"request": _request(record), "environment_id": record.id, "approved": True}
        if (await graph.aget_state(config)).tasks:
            start = None
        context = ProvisionContext(record.owner, record.thread_id)
        for pause in (*DATABASE_PAUSES, None):
            try:
                await graph.ainvoke(start, config, context=context, durability="sync")
                break
            except DatabaseUnavailableError as error:
                log.warning("making environment %s is interrupted: %s", record.id, error)
                if pause is None:
                    return
                await asyncio.sleep(pause)
                start = None if (await graph.aget_state(config)).tasks else start
            except Exception:
                log.exception("making environment %s failed", record.id)
                return
        await saver.adelete_thread(thread)


@asynccontextmanager
async def open_environments(
    settings: Settings, pool: Pool, *, provision: ProvisionSettings | None = None, provider: Provider | None = None
) -> AsyncIterator[Environments]:
    """Environments over a migrated pool, with the configured provider unless one is given.

    With several keys the stored passwords are put under the first: the others may go once every process was started so.
    """
    chosen = provision or read_settings(ProvisionSettings)
    vault = await asyncio.to_thread(open_vault, chosen.secret_keys, settings.data_dir)
    store = EnvironmentStore(pool)
    here = await asyncio.to_thread(open_local, settings.data_dir / "environments")
    maker = provider
    if maker is None:
        maker = here if chosen.provider == "local" else await asyncio.to_thread(_open_eci, chosen)
    providers = Providers(here, maker)
    environments = Environments(pool, store, maker, providers, vault, chosen, await store.installation())
    try:
        if len(chosen.secret_keys) > 1:
            await environments.renew_secrets()
        yield environments
    finally:
        await environments.aclose()


def _open_eci(provision: ProvisionSettings) -> Provider:
    from provision.eci import EciProvider

    return EciProvider(provision)


def public(record: EnvironmentRecord) -> dict[str, Any]:
    """What the owner may see, as plain JSON: never a password."""
    return {
        "environment_id": record.id,
        "name": record.name,
        "state": record.state,
        "provider": record.provider,
        "region": record.region,
        "cpu": record.cpu,
        "memory": record.memory,
        "hours": record.hours,
        "spot": record.spot,
        "workspace": record.workspace,
        "host": record.host,
        "port": record.port,
        "user": record.user_name,
        "thread_id": record.thread_id,
        "error": record.error,
        "created_at": _stamp(record.created_at),
        "running_at": _stamp(record.running_at),
        "expires_at": _stamp(record.expires_at),
        "ended_at": _stamp(record.ended_at),
    }


def _notice(record: EnvironmentRecord, warning_seconds: float, bound: str) -> Notice | None:
    """That it ends soon, or that it is gone without having been given back."""
    now = datetime.now(UTC)
    if record.state == "RUNNING" and record.expires_at is not None and now < record.expires_at:
        if record.expires_at > now + timedelta(seconds=warning_seconds):
            return None
        minutes = int((record.expires_at - now).total_seconds() // 60)
        key = f"{record.id} ends {record.expires_at:%FT%TZ}"
        return Notice(key, "ends", {"name": record.name, "minutes": minutes})
    if record.ended_at is not None and now - record.ended_at > RECENT:
        return None
    if record.ending == "ERROR" and (record.running_at is not None or record.id == bound):
        return Notice(f"{record.id} gone", "gone", {"name": record.name, "error": record.error})
    if record.expires_at is not None and record.expires_at < (record.ended_at or now):
        return Notice(f"{record.id} gone", "expired", {"name": record.name})
    return None


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment is not None else None


def _request(record: EnvironmentRecord) -> dict[str, Any]:
    names = ("name", "cpu", "memory", "hours", "workspace", "spot")
    return {name: getattr(record, name) for name in names}
