"""The servers that are compared, each a process of its own over a database of its own in one Postgres."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import platformdirs
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

ROOT = Path(__file__).parents[2]
GRAPHS = {
    "echo": str(Path(__file__).with_name("graphs.py")) + ":echo",
    "tokens": str(Path(__file__).with_name("graphs.py")) + ":tokens",
    "agent": str(ROOT / "graph" / "export.py") + ":agent",
}
START_SECONDS = 90.0
FOREIGN = ("DDB_AGENT_", "LANGSMITH", "LANGCHAIN", "LANGGRAPH", "DATABASE_URL", "OTEL_", "AEGRA_")


class NotAvailableError(Exception):
    """A competitor that cannot be installed or does not start; the message says why."""


@dataclass(frozen=True)
class Competitor:
    """`packages` are installed beside this project's dependencies in a virtual environment of its own."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    own_database: bool = False
    environment: dict[str, str] = field(default_factory=dict)


OURS = Competitor("ddb-agent", (), (sys.executable, "-m", "cli", "serve", "--port", "{port}", "--config", "{config}"))
LANGGRAPH_DEV = Competitor(
    "langgraph dev",
    ("langgraph-cli[inmem]",),
    ("{bin}/langgraph", "dev", "--config", "{config}", "--port", "{port}", "--no-browser", "--no-reload",
     "--allow-blocking"),
    environment={"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGSMITH_TRACING": "false"},
)  # fmt: skip
AEGRA = Competitor(
    "aegra-api",
    ("aegra-api==0.6.0", "greenlet"),  # SQLAlchemy leaves greenlet out on some platforms
    ("{bin}/uvicorn", "aegra_api.main:app", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
    own_database=True,
    environment={"AEGRA_CONFIG": "{config}", "LOG_LEVEL": "WARNING"},
)
COMPETITORS = (OURS, LANGGRAPH_DEV, AEGRA)


@dataclass(frozen=True)
class Served:
    """A server that answers at `url`."""

    url: str
    process: psutil.Process

    def resident_bytes(self) -> int:
        """Of the server's process and its children, without the embedded DolphinDB engine: whoever is measured first
        starts the one that all use."""
        children = [each for each in self.process.children(recursive=True) if "engine" not in each.cmdline()]
        return sum(each.memory_info().rss for each in [self.process, *children])


def virtual_environment(competitor: Competitor, *, alone: bool = False) -> Path:
    """The folder of the competitor's programs, installed from the package registry when it is not there yet.

    `alone` means without what this project depends on.
    """
    folder = Path(platformdirs.user_cache_dir("ddb-agent")) / "benchmarks" / competitor.name.replace(" ", "-")
    ready = folder / ".ready"
    wanted = " ".join(competitor.packages)
    if ready.exists() and ready.read_text() == wanted:
        return folder / "bin"
    print(f"installing {wanted} in {folder}", flush=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder.mkdir(parents=True, exist_ok=True)
    constraints = folder / "constraints.txt"
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    constraints.write_text("\n".join(line for line in lines if not line.startswith("-")))
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=120)
        subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "-c", str(constraints), *competitor.packages, *([] if alone else project["dependencies"])],
            check=True, capture_output=True, timeout=1200,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise NotAvailableError(f"{wanted} cannot be installed: {_last_line(error)}") from error
    ready.write_text(wanted)
    return folder / "bin"


@contextmanager
def serving(competitor: Competitor, folder: Path, postgres: str) -> Iterator[Served]:
    """Starts the competitor with empty databases and ends it."""
    programs = virtual_environment(competitor) if competitor.packages else Path(sys.executable).parent
    home = folder / competitor.name.replace(" ", "-")
    home.mkdir()
    config = home / "langgraph.json"
    config.write_text(json.dumps({"dependencies": [str(ROOT)], "graphs": GRAPHS}))
    port = str(_free_port())
    words = {"bin": str(programs), "config": str(config), "port": port}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        **{name: value.format(**words) for name, value in competitor.environment.items()},
        "PYTHONPATH": str(ROOT),
        "DDB_AGENT_DATA_DIR": str(folder / "data"),
        "DDB_AGENT_DATABASE_URL": _new_database(postgres, folder),
    }
    if competitor.own_database:
        environment["DATABASE_URL"] = _new_database(postgres, folder)
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [word.format(**words) for word in competitor.command],
            cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, url, log)
        yield Served(url, psutil.Process(process.pid))
    finally:
        _end(process)


def _new_database(postgres: str, folder: Path) -> str:
    """A database with the extension uuid-ossp, which aegra-api wants and the private Postgres comes without."""
    extensions = folder / "extensions" / "extension"
    if not extensions.exists():
        extensions.mkdir(parents=True)
        (extensions / "uuid-ossp.control").write_text("default_version = '1.1'\nrelocatable = true\n")
        (extensions / "uuid-ossp--1.1.sql").write_text(
            "CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';\n"
        )
        for path in (extensions.parent, extensions, *extensions.iterdir()):
            path.chmod(0o755)
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as held:
        held.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        held.execute(
            SQL("ALTER DATABASE {} SET extension_control_path = {}").format(
                Identifier(name), Literal(f"$system:{extensions.parent}")
            )
        )
    known = conninfo_to_dict(postgres)
    return f"postgresql://{known['user']}@/{name}?host={known['host']}"


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.post(f"{url}/assistants/search", json={}, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise NotAvailableError(f"it does not start: {lines[-1] if lines else 'it says nothing'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    for child in children:
        if child.is_running() and "engine" not in " ".join(child.cmdline()):
            child.kill()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _last_line(error: Exception) -> str:
    output = getattr(error, "stderr", None)
    lines: Sequence[str] = output.decode(errors="replace").strip().splitlines() if output else [str(error)]
    return lines[-1] if lines else type(error).__name__
