from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from core.errors import ConfigurationError, DatabaseUnavailableError
from core.migrations import migrate
from core.postgres import connection, database_url, masked, open_pool, release_database
from core.private_postgres import PrivatePostgres
from core.settings import Settings

USER = """
import sys, time
from pathlib import Path
from core.private_postgres import PrivatePostgres
server = PrivatePostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not below pytest's own folder: another session of pytest would take its rights away from the Postgres account."""
    with TemporaryDirectory(prefix="ddb-agent-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the process did not end"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def start_user(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def url_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def end(user: subprocess.Popen[str]) -> None:
    user.communicate("\n", timeout=60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivatePostgres]:
    server = PrivatePostgres(tmp_path / "postgres")
    server.start()
    yield server
    server.start()
    server.release()


def test_several_processes_share_one_server_and_the_last_one_stops_it(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    users = [start_user(directory) for _ in range(3)]
    urls = {url_of(user) for user in users}
    assert len(urls) == 1
    pid = postmaster(directory)
    end(users[0])
    end(users[1])
    with psycopg.connect(urls.pop()) as held:
        assert held.execute("SELECT 1").fetchone() == (1,)
    end(users[2])
    wait_for_end(pid)


def test_a_killed_process_leaves_a_server_that_the_next_one_uses_and_stops(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    killed = start_user(directory)
    url_of(killed)
    pid = postmaster(directory)
    killed.kill()
    killed.communicate()
    assert alive(pid)
    user = start_user(directory)
    url_of(user)
    assert postmaster(directory) == pid
    end(user)
    wait_for_end(pid)


FORKING = """
import os, sys
from pathlib import Path
from core.private_postgres import PrivatePostgres
server = PrivatePostgres(Path(sys.argv[1]))
url = server.start()
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
import psycopg
with psycopg.connect(url) as held:
    print(held.execute("SELECT 1").fetchone())
"""


def test_the_end_of_a_forked_child_leaves_the_server_running(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "postgres")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert finished.stdout.strip() == "(1,)", finished.stderr
    assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()


def test_a_killed_server_is_started_again_with_its_data(server: PrivatePostgres) -> None:
    with psycopg.connect(server.start()) as held:
        held.execute("CREATE TABLE kept AS SELECT 42 AS x")
    pid = postmaster(server.directory)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    with psycopg.connect(server.start()) as held:
        assert held.execute("SELECT x FROM kept").fetchone() == (42,)
    assert postmaster(server.directory) != pid


def test_a_stale_pid_file_that_names_another_living_process_is_seen_through(tmp_path: Path) -> None:
    server = PrivatePostgres(tmp_path / "postgres")
    server.start()
    server.release()
    pid_file = server.cluster / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.cluster}\n1700000000\n5432\n{server.cluster}\n\n  1 1\nready\n")
    with psycopg.connect(server.start()) as held:
        assert held.execute("SELECT 1").fetchone() == (1,)
    server.release()


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    server = PrivatePostgres(tmp_path / ("long-" * 20) / "中文 with 'quote" / "postgres")
    url = server.start()
    try:
        with psycopg.connect(url) as held:
            assert held.execute("SELECT 1").fetchone() == (1,)
            row = held.execute("SHOW unix_socket_directories").fetchone()
            assert row is not None
            assert stat.S_IMODE(Path(row[0]).stat().st_mode) == 0o700
    finally:
        server.release()


def test_a_strict_umask_and_closed_directories_are_no_hindrance(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        server = PrivatePostgres(tmp_path / "closed" / "postgres")
        server.start()
        server.release()
        (tmp_path / "closed").chmod(0o700)
        (tmp_path / "closed" / "postgres").chmod(0o700)
        with psycopg.connect(server.start()) as held:
            assert held.execute("SELECT 1").fetchone() == (1,)
        server.release()
    finally:
        os.umask(before)


def test_only_its_own_account_may_enter_the_directory_and_nothing_listens_on_tcp(server: PrivatePostgres) -> None:
    assert stat.S_IMODE(server.cluster.stat().st_mode) == 0o700
    with psycopg.connect(server.start()) as held:
        assert held.execute("SHOW listen_addresses").fetchone() == ("",)


def test_data_of_another_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres" / "data"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match=r"made by Postgres 14.*DATABASE_URL"):
        PrivatePostgres(tmp_path / "postgres").start()


def test_broken_data_is_reported_with_the_servers_own_words(tmp_path: Path) -> None:
    server = PrivatePostgres(tmp_path / "postgres")
    server.start()
    server.release()
    (server.cluster / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(DatabaseUnavailableError, match=r"unrecognized configuration parameter .no_such_setting"):
        server.start()


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailableError, match="DDB_AGENT_DATA_DIR"):
        PrivatePostgres(tmp_path / "file" / "postgres").start()


def test_a_malformed_url_is_a_configuration_error_that_does_not_show_it(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url="not a url with hunter2")
    with pytest.raises(ConfigurationError) as caught:
        database_url(settings)
    assert "hunter2" not in str(caught.value)


async def test_an_unreachable_database_is_reported_without_the_password() -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        async with open_pool("postgresql://me:hunter2@127.0.0.1:1/db?password=hunter2", wait_seconds=1):
            pass
    assert "postgresql://127.0.0.1:1/db" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert masked("host=h password=hunter2") == "Postgres"


async def test_a_pool_survives_the_death_of_a_private_server(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=None)
    try:
        async with open_pool(partial(database_url, settings)) as pool:
            async with connection(pool) as held:
                await held.execute("CREATE TABLE kept AS SELECT 42 AS x")
            pid = postmaster(tmp_path / "postgres")
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(wait_for_end, pid)
            for _ in range(3):
                async with connection(pool) as held:
                    row = await (await held.execute("SELECT x FROM kept")).fetchone()
                    assert row == {"x": 42}
    finally:
        release_database(settings)


async def test_dead_connections_are_replaced_after_a_restart(settings: Settings) -> None:
    async with open_pool(database_url(settings), max_size=2) as pool:
        async with connection(pool) as held:
            row = await (await held.execute("SELECT pg_backend_pid() AS pid")).fetchone()
            assert row is not None
        async with connection(pool) as held:
            with psycopg.connect(database_url(settings), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (row["pid"],))
        for _ in range(3):
            async with connection(pool) as held:
                assert await (await held.execute("SELECT 1 AS x")).fetchone() == {"x": 1}


async def test_a_connection_lost_in_use_is_a_database_error_with_a_remedy(settings: Settings) -> None:
    async with open_pool(database_url(settings)) as pool:
        with pytest.raises(DatabaseUnavailableError, match="terminat"):
            async with connection(pool) as held:
                await held.execute("SELECT pg_terminate_backend(pg_backend_pid())")


MIGRATE = """
import asyncio, sys
from core.migrations import migrate
from core.postgres import open_pool
async def main():
    async with open_pool(sys.argv[1]) as pool:
        print(len(await migrate(pool)))
asyncio.run(main())
"""


def test_migrations_are_applied_once_by_processes_that_start_together(settings: Settings) -> None:
    url = database_url(settings)
    with psycopg.connect(url, autocommit=True) as held:
        held.execute("DROP DATABASE IF EXISTS fresh")
        held.execute("CREATE DATABASE fresh")
    fresh = url.replace("/postgres?", "/fresh?")
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, fresh], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(3)
    ]
    counts = [int(start.communicate(timeout=90)[0]) for start in starts]
    assert sum(count > 0 for count in counts) == 1
    with psycopg.connect(fresh) as held:
        names = {row[0] for row in held.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {"threads", "artifacts", "ledger", "checkpoints", "store"} <= names


async def test_migrating_again_changes_nothing(settings: Settings) -> None:
    async with open_pool(database_url(settings)) as pool:
        await migrate(pool)
        assert await migrate(pool) == []
