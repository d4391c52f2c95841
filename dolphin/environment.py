"""Where a DolphinDB server is and how to log in to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from core.errors import ConfigurationError, DolphinDBUnavailableError
from core.settings import Settings

Kind = Literal["embedded", "server"]

DEFAULT_ENVIRONMENT = "default"
"""The id of the server that is configured, or embedded."""


@dataclass(frozen=True)
class Environment:
    """A server. `resolve`, where given, is asked (in a thread) for the address before each new connection."""

    id: str
    host: str
    port: int
    user: str
    password: SecretStr
    kind: Kind = "server"
    resolve: Callable[[], Environment] | None = field(default=None, repr=False, compare=False)

    async def current(self) -> Environment:
        """The environment as it is now: an embedded engine that ended is started again, maybe on another port."""
        return self if self.resolve is None else await asyncio.to_thread(self.resolve)


async def default_environment(settings: Settings) -> Environment:
    """The configured server, or else the embedded engine in `data_dir/engine`, started if need be."""
    if settings.dolphindb_host is not None:
        return Environment(
            id=DEFAULT_ENVIRONMENT,
            host=settings.dolphindb_host,
            port=settings.dolphindb_port,
            user=settings.dolphindb_user,
            password=settings.dolphindb_password,
        )
    return await asyncio.to_thread(_embedded, settings)


def _embedded(settings: Settings) -> Environment:
    from engine.launcher import LaunchError, start

    directory = settings.data_dir / "engine"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        endpoint = start(directory, idle_seconds=settings.engine_idle_seconds)
    except LaunchError as error:
        raise DolphinDBUnavailableError(
            f"The embedded engine did not start: {error}",
            "Or set DDB_AGENT_DOLPHINDB_HOST to a DolphinDB server of your own.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The directory {directory} of the embedded engine cannot be used: {error.strerror}.",
            "Set DDB_AGENT_DATA_DIR to a directory you can write to.",
        ) from error
    return Environment(
        id=DEFAULT_ENVIRONMENT,
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=SecretStr(endpoint.password),
        kind="embedded",
        resolve=lambda: _embedded(settings),
    )


def stop_embedded(settings: Settings) -> None:
    """Ends the embedded engine of `data_dir`, if one runs. Blocking."""
    from engine.launcher import stop

    stop(settings.data_dir / "engine")
