"""Takes away what nobody needs or knows any more. One at a time, over all processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.errors import UserError
from core.postgres import Connection, Pool, connection
from provision import due
from provision.provider import TAG_ENVIRONMENT, TAG_INSTALLATION, Provider, Providers
from provision.records import EnvironmentRecord
from provision.removal import Removal
from provision.settings import ProvisionSettings
from provision.store import EnvironmentStore

log = logging.getLogger(__name__)

LOCK_KEY = 0x6464625F72656170
SIDE_BY_SIDE = 8

Warn = Callable[[EnvironmentRecord], Awaitable[None]]


@dataclass(frozen=True)
class Swept:
    """Ids of what one sweep did something about."""

    expired: list[str]
    abandoned: list[str]
    vanished: list[str]
    removed: list[str]
    orphans: list[str]
    warned: list[str]


@dataclass(frozen=True)
class Reaper:
    """`warn` is told of each environment that will expire soon, once."""

    pool: Pool
    store: EnvironmentStore
    providers: Providers
    removal: Removal
    settings: ProvisionSettings
    installation: str
    warn: Warn | None = None

    async def run(self) -> None:
        """Sweeps for ever; what fails is logged and tried again with the next sweep."""
        while True:
            try:
                await self.sweep()
            except UserError as error:
                log.warning("the reaper could not finish: %s", error)
            except Exception:
                log.exception("the reaper failed")
            await asyncio.sleep(self.settings.reaper_seconds)

    async def sweep(self) -> Swept | None:
        """One round unless a process has begun one within the last `reaper_seconds`: then None."""
        return await self._sweep_unless(self.settings.reaper_seconds)

    async def sweep_now(self) -> Swept | None:
        """One round; None when another process is at it."""
        return await self._sweep_unless(0.0)

    async def _sweep_unless(self, since: float) -> Swept | None:
        async with connection(self.pool) as held:
            row = await (await held.execute("SELECT pg_try_advisory_lock(%s) AS got", (LOCK_KEY,))).fetchone()
            if row is None or not row["got"]:
                return None
            try:
                return await self._sweep(held) if await due.sweep_begins(held, since) else None
            finally:
                if not held.closed:
                    await held.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))

    async def _sweep(self, held: Connection) -> Swept:
        settings = self.settings
        expired = await self._begin(await due.expired(held), "expired", "")
        abandoned = await self._begin(
            await due.abandoned(held, settings.provision_abandoned_seconds),
            "abandoned",
            "The process that was making it ended.",
        )
        vanished: list[str] = []
        orphans: list[str] = []
        for provider in self.providers:
            try:
                records = await self._vanished(held, provider)
                vanished += await self._begin(records, "vanished", "It vanished in the cloud.")
                orphans += await self._orphans(held, provider)
            except UserError as error:
                log.warning("the environments of %s could not be looked at: %s", provider.name, error)
        limit = asyncio.Semaphore(SIDE_BY_SIDE)

        async def remove(record: EnvironmentRecord) -> EnvironmentRecord:
            async with limit:
                return await self.removal.remove(record)

        removed = await asyncio.gather(*(remove(record) for record in await due.deleting(held)))
        warned = await self._announce(await due.to_warn(held, settings.expiry_warning_seconds))
        ended = [record.id for record in removed if record.state in ("DELETED", "ERROR")]
        return Swept(expired, abandoned, vanished, ended, orphans, warned)

    async def _begin(self, records: list[EnvironmentRecord], event: str, reason: str) -> list[str]:
        moved = [await self.store.delete(record, "ERROR" if reason else "DELETED", event, reason) for record in records]
        return [record.id for record in moved if record is not None]

    async def _vanished(self, held: Connection, provider: Provider) -> list[EnvironmentRecord]:
        """Those of which a group is not there any more, or has ended."""
        records = await due.running(held, provider.name, provider.region)
        groups = {
            record.id: [row.group_id for row in await self.store.groups(record) if row.group_id and not row.deleted_at]
            for record in records
        }
        wanted = [group_id for ids in groups.values() for group_id in ids]
        found = await provider.describe(wanted) if wanted else {}
        alive = {group.id for group in found.values() if group.status != "ended"}
        suspects = [record for record in records if not alive.issuperset(groups[record.id])]
        gone = []
        for record in suspects:
            # Data is at stake: one answer in which a group is missing is not enough.
            again = await provider.find({TAG_INSTALLATION: self.installation, TAG_ENVIRONMENT: record.id})
            if not {group.id for group in again if group.status != "ended"}.issuperset(groups[record.id]):
                gone.append(record)
        return gone

    async def _announce(self, records: list[EnvironmentRecord]) -> list[str]:
        warned = []
        for record in records:
            if await self.store.warned(record) is not None:
                warned.append(record.id)
                if self.warn is not None:
                    await self.warn(record)
        return warned

    async def _orphans(self, held: Connection, provider: Provider) -> list[str]:
        """Deletes groups with our tag that no live environment has, once they were seen for the grace period."""
        groups = await provider.find({TAG_INSTALLATION: self.installation})
        wanted = await due.wanted_groups(held, [group.tags.get(TAG_ENVIRONMENT, "") for group in groups])
        unknown = [group.id for group in groups if group.tags.get(TAG_ENVIRONMENT) not in wanted]
        deleted = []
        for group_id in await due.orphans_past_grace(
            held, f"{provider.name} {provider.region}", unknown, self.settings.orphan_grace_seconds
        ):
            log.warning("deleting %s, which belongs to no environment", group_id)
            await provider.delete(group_id)
            deleted.append(group_id)
        return deleted
