"""Giving back what was rented."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from core.checkpointer import checkpointer
from core.errors import UserError
from core.postgres import Pool
from provision.provider import TAG_ENVIRONMENT, TAG_INSTALLATION, Providers
from provision.records import STATIC, EnvironmentRecord
from provision.settings import ProvisionSettings
from provision.store import EnvironmentStore

log = logging.getLogger(__name__)

LONGEST_PAUSE = 3600.0


def run_thread(environment_id: str) -> str:
    """The checkpoint thread of an environment's making."""
    return f"environment:{environment_id}"


@dataclass(frozen=True)
class Removal:
    """Deletes the groups of environments that are DELETING, known and found by tag."""

    pool: Pool
    store: EnvironmentStore
    providers: Providers
    settings: ProvisionSettings
    installation: str
    worker: str = ""

    async def remove(self, record: EnvironmentRecord, *, forget_run: bool = True) -> EnvironmentRecord:
        """The record as it is after the attempt: DELETED, ERROR, or DELETING still, to be tried again.

        `forget_run` also deletes the checkpoints of its making, which a run that is under way still needs.
        """
        if record.state != "DELETING":
            return record
        try:
            complete = record.provider == STATIC or await self._delete_groups(record)
        except UserError as error:
            log.warning("environment %s could not be deleted: %s", record.id, error)
            pause = min(self.settings.deletion_retry_seconds * 2 ** min(record.attempts, 20), LONGEST_PAUSE)
            await self.store.deletion_failed(record, str(error), pause)
            complete = False
        if not complete:
            return await self.store.get(record.owner, record.id)
        if forget_run:
            await checkpointer(self.pool).adelete_thread(run_thread(record.id))
        return await self.store.end(record) or await self.store.get(record.owner, record.id)

    async def _delete_groups(self, record: EnvironmentRecord) -> bool:
        """False while another process may still be creating one."""
        provider = self.providers.get(record.provider, record.region)
        rows = await self.store.groups(record)
        for row in rows:
            if row.group_id is not None and row.deleted_at is None:
                await provider.delete(row.group_id)
                await self.store.group_deleted(record, row)
        unresolved = [row for row in rows if row.unresolved]
        known = {row.group_id for row in rows}
        tags = {TAG_INSTALLATION: self.installation, TAG_ENVIRONMENT: record.id}
        for group in await provider.find(tags):
            if group.id not in known:
                await provider.delete(group.id)
        if unresolved and await self.store.is_held(record, besides=self.worker):
            return False
        for row in unresolved:
            await self.store.group_deleted(record, row)
        return True
