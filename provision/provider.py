"""What rents and gives back groups of containers: the protocol that the cloud and this machine both speak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from pydantic import SecretStr

from core.errors import ConfigurationError, UserError
from provision.specs import EnvironmentRequest, Price

Role: TypeAlias = Literal["database", "workspace"]
Status: TypeAlias = Literal["starting", "running", "ended"]

TAG_INSTALLATION = "ddb-agent-installation"
TAG_ENVIRONMENT = "ddb-agent-environment"
TAG_OWNER = "ddb-agent-owner"
TAG_EXPIRES = "ddb-agent-expires"
TAG_ROLE = "ddb-agent-role"
TAG_ATTEMPT = "ddb-agent-attempt"


class ProviderError(UserError):
    """The provider refused, or failed. `recommend` is what it recommends itself."""

    status = 502

    def __init__(self, message: str, remedy: str = "", *, code: str = "", recommend: str = "") -> None:
        super().__init__(message, " ".join(filter(None, (remedy, recommend))))
        self.code = code
        self.recommend = recommend


class ProviderUnavailableError(ProviderError):
    """It was not reached, throttled us or failed inside, several times over. What was asked may have happened."""

    status = 503


class NoStockError(ProviderError):
    """Sold out in this zone: nothing was created."""

    status = 503


class TokenConflictError(ProviderError):
    """The client token was used before with other parameters, so its group exists or existed."""


@dataclass(frozen=True)
class GroupRequest:
    """One group to create. The same `client_token` never makes a second one."""

    client_token: str
    role: Role
    name: str
    cpu: float
    memory: float
    zone: str = ""
    spot: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    secret_variables: dict[str, SecretStr] = field(default_factory=dict)
    lifetime: float = 3600.0


@dataclass(frozen=True)
class Group:
    """A group as the provider describes it. `host` is None while it has no address that we can reach.

    `no_stock` tells that it ended because nothing could be scheduled. `user` and `password` are those of the account
    that a fresh database has.
    """

    id: str
    status: Status
    detail: str = ""
    zone: str = ""
    host: str | None = None
    port: int | None = None
    internal_host: str | None = None
    no_stock: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    user: str = "admin"
    password: SecretStr | None = None


@dataclass(frozen=True)
class ExecResult:
    stdout: bytes
    stderr: bytes
    status: int


class Provider(Protocol):
    """Raises ProviderError and its kinds. `name` is stored with every environment."""

    @property
    def name(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def zones(self) -> Sequence[str]:
        """Where to try, in order; at least one, which may be empty for the provider's own choice."""
        ...

    async def create(self, request: GroupRequest) -> str:
        """The id of the new group, or of the one that `client_token` made before."""
        ...

    async def describe(self, group_ids: Sequence[str]) -> dict[str, Group]:
        """Those of the groups that exist, in as few calls as possible."""
        ...

    async def find(self, tags: dict[str, str]) -> list[Group]:
        """All groups that carry these tags."""
        ...

    async def delete(self, group_id: str) -> None:
        """Ends a group; one that is gone already is not an error."""
        ...

    async def exec(self, group_id: str, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> ExecResult:  # noqa: ASYNC109
        """Runs a command in the group's container, in the folder of the workspace."""
        ...

    def price(self, request: EnvironmentRequest) -> Price: ...

    async def aclose(self) -> None: ...


class Providers:
    """Those that are configured now. What another one made cannot be reached until it is configured again."""

    def __init__(self, *providers: Provider) -> None:
        self._providers = {(provider.name, provider.region): provider for provider in providers}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())

    def get(self, name: str, region: str) -> Provider:
        """Raises ConfigurationError."""
        found = self._providers.get((name, region))
        if found is None:
            remedy = "Set DDB_AGENT_ECI_REGION to it, or delete by hand what it made."
            if name == "local":
                remedy = "It is of another machine, or of another data directory (DDB_AGENT_DATA_DIR): use it there."
            raise ConfigurationError(f"The provider {name} of region {region} is not configured.", remedy)
        return found
