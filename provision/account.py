"""Closing the default account of a fresh database, and telling whether a server answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from core.errors import DolphinDBError, DolphinDBUnavailableError
from dolphin.blocking import connect, in_thread
from dolphin.connection import Connection
from dolphin.environment import Environment
from provision.provider import ProviderError


@asynccontextmanager
async def connected(environment: Environment) -> AsyncIterator[Connection]:
    """A connection of its own. Raises DolphinDBUnavailableError."""
    connection = await connect(environment)
    try:
        yield connection
    finally:
        await in_thread(connection.close)


async def close_default_account(server: Environment, default_password: SecretStr) -> None:
    """Gives the account that a fresh server has the password of `server`, and sees that the old one is refused.

    Can be repeated after any interruption. Raises DolphinDBUnavailableError while the server does not answer,
    ProviderError when neither password fits or the old one still does.
    """
    default = Environment(server.id, server.host, server.port, server.user, default_password)
    if not await _accepted(server):
        try:
            async with connected(default) as connection:
                arguments = (default_password.get_secret_value(), server.password.get_secret_value())
                await in_thread(lambda: connection.call("changePwd", arguments))
        except DolphinDBUnavailableError:
            raise
        except DolphinDBError as error:
            raise ProviderError(f"The password of the new database could not be set: {error.message}") from None
        if not await _accepted(server):
            raise DolphinDBUnavailableError("The database does not accept its new password yet.", "Try again.")
    if await _accepted(default):
        raise ProviderError("The default account of the new database is still open.", "Create another environment.")


async def version(server: Environment) -> str:
    """What the server says it is. Raises DolphinDBUnavailableError."""
    async with connected(server) as connection:
        return str(await in_thread(lambda: connection.call("version", ())))


async def _accepted(environment: Environment) -> bool:
    try:
        async with connected(environment) as connection:
            user = await in_thread(lambda: connection.evaluate("getCurrentSessionAndUser()[1]"))
    except DolphinDBUnavailableError as error:
        if "refused the connection" in error.message or "did not accept" in error.message:
            return False
        raise
    return str(user) == environment.user
