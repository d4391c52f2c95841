"""Where Postgres is, and pools of connections to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.errors import ConfigurationError, DatabaseUnavailableError
from core.private_postgres import PrivatePostgres
from core.settings import Settings

Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

_private: dict[Path, PrivatePostgres] = {}
_private_lock = threading.Lock()


def database_url(settings: Settings) -> str:
    """The configured URL, or else that of the private Postgres in `data_dir/postgres`, started if need be.

    Blocking (about 0.6 s for a start, 0.01 s otherwise); may be called again to restart a server that died.
    The private server ends with the last process that uses it; see `core.private_postgres`.
    """
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "DATABASE_URL is not a Postgres URL.", "Write it like postgresql://user:password@host:5432/database."
            ) from None
        return url
    directory = (settings.data_dir / "postgres").absolute()
    with _private_lock:
        server = _private.setdefault(directory, PrivatePostgres(directory))
    return server.start()


def release_database(settings: Settings) -> None:
    """Ends this process's use of the private Postgres before the process ends. Does nothing for a configured one."""
    with _private_lock:
        server = _private.pop((settings.data_dir / "postgres").absolute(), None)
    if server is not None:
        server.release()


def masked(url: str) -> str:
    """`url` without its password and query, for messages."""
    parts = urlsplit(url)
    if not parts.scheme:
        return "Postgres"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


@asynccontextmanager
async def open_pool(
    url: str | Callable[[], str], *, max_size: int = 10, wait_seconds: float = 10.0, max_idle: float = 300.0
) -> AsyncIterator[Pool]:
    """A pool of autocommit connections with rows as dicts.

    A connection is checked before it is handed out, so those that a restart of the database killed are replaced.
    With a function for `url` (`functools.partial(database_url, settings)`) it is asked, in a thread, before each new
    connection: a private server that died is thereby started again. `wait_seconds` bounds the wait for a
    connection. Raises DatabaseUnavailableError when there is none in that time.
    """

    first = url if isinstance(url, str) else await asyncio.to_thread(url)

    async def current() -> str:
        return url if isinstance(url, str) else await asyncio.to_thread(url)

    pool: Pool = AsyncConnectionPool(
        current,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None, "connect_timeout": 5},
        min_size=1,
        max_size=max_size,
        timeout=wait_seconds,
        max_idle=max_idle,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=wait_seconds)
    except PoolTimeout:
        await pool.close()
        raise _unavailable(first, await _reason(first)) from None
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool; a database that cannot be reached or goes away raises DatabaseUnavailableError."""
    try:
        async with pool.connection() as held:
            yield held
    except psycopg.OperationalError as error:
        if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
            raise
        reason = "no connection became free in time" if isinstance(error, PoolTimeout) else _first_line(error)
        raise _unavailable("", reason) from error


async def _reason(url: str) -> str:
    try:
        async with await AsyncConnection.connect(url, connect_timeout=5):
            return "it answered too late"
    except psycopg.Error as error:
        return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _unavailable(url: str, reason: str) -> DatabaseUnavailableError:
    where = f"Postgres at {masked(url)}" if url else "Postgres"
    return DatabaseUnavailableError(
        f"{where} cannot be reached: {reason}.",
        "Check DATABASE_URL and that the server runs, or unset it to use the private Postgres.",
    )
