"""From a reference that a thread holds to the server it means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import SecretStr

from core.errors import ConflictError, DolphinDBUnavailableError
from dolphin.environment import Environment
from provision.account import close_default_account
from provision.addresses import permitted_address
from provision.local import LocalProvider
from provision.provider import Providers
from provision.records import STATIC, EnvironmentRecord
from provision.settings import ProvisionSettings
from provision.store import EnvironmentStore
from provision.vault import Vault

ANOTHER = "Create another environment, or go on with another one."


@dataclass(frozen=True)
class Resolver:
    """Looks environments up for their owner. The answers know by themselves how to come back after a restart."""

    store: EnvironmentStore
    providers: Providers
    vault: Vault
    settings: ProvisionSettings
    _secured: dict[str, str] = field(default_factory=dict)

    async def __call__(self, owner: str, reference: str) -> Environment:
        """By id or name. Raises NotFoundError; ConflictError with the reason when it cannot be used (any more)."""
        record = usable(await self.store.find(owner, reference))
        assert record.host is not None
        assert record.port is not None
        assert record.secret is not None
        server = Environment(record.id, record.host, record.port, record.user_name, self.vault.decrypt(record.secret))
        if record.provider == STATIC:
            return replace(server, resolve=lambda: self._pinned(server))
        provider = self.providers.get(record.provider, record.region)
        if isinstance(provider, LocalProvider):
            rows = await self.store.groups(record)
            group_id = next(row.group_id for row in rows if row.role == "database" and row.group_id)
            return replace(server, resolve=lambda: self._started(provider, group_id, server))
        return server

    def _pinned(self, server: Environment) -> Environment:
        allowed = self.settings.allow_private_addresses
        return replace(server, host=permitted_address(server.host, server.port, allow_private=allowed))

    def _started(self, provider: LocalProvider, group_id: str, server: Environment) -> Environment:
        """The engine, started again if it ended: then its default account is open again and is closed first."""
        group = provider.start(group_id)
        if group is None or group.host is None or group.port is None or group.password is None:
            raise DolphinDBUnavailableError(f"Environment {server.id} is gone.", ANOTHER)
        current = replace(server, host=group.host, port=group.port, user=group.user)
        opened: SecretStr = group.password
        if self._secured.get(group_id) != opened.get_secret_value():
            asyncio.run(close_default_account(current, opened))
            self._secured[group_id] = opened.get_secret_value()
        return current


def usable(record: EnvironmentRecord) -> EnvironmentRecord:
    """The record if its server can be used now; else raises ConflictError."""
    if record.state == "RUNNING" and (record.expires_at is None or record.expires_at > datetime.now(UTC)):
        return record
    reasons = {
        "PENDING": "waits for a decision",
        "PROVISIONING": "is still being made",
        "RUNNING": "has expired",
        "DELETING": "is being deleted",
        "DELETED": "was deleted",
        "ERROR": f"failed: {record.error}",
    }
    remedy = "Wait for it." if record.state in ("PENDING", "PROVISIONING") else ANOTHER
    raise ConflictError(
        f"Environment {record.name!r} ({record.id}) {reasons[record.state]}.".replace("..", "."), remedy
    )
