"""One engine per data folder, started on demand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import dolphindb
import pytest

from engine import launcher

pytestmark = pytest.mark.e2e


def answers(endpoint: launcher.Endpoint) -> bool:
    session = dolphindb.Session()
    if not session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password):
        return False
    result: bool = session.run("1+1") == 2
    session.close()
    return result


def test_start_is_shared_and_stop_ends_it(tmp_path: Path) -> None:
    assert launcher.status(tmp_path / "none") is None
    first = launcher.start(tmp_path)
    assert launcher.start(tmp_path) == first
    assert launcher.status(tmp_path) == first
    assert answers(first)
    assert stat.S_IMODE((tmp_path / "engine.json").stat().st_mode) == 0o600
    assert first.password not in repr(first)
    assert first.password not in (tmp_path / "engine.log").read_text()
    assert launcher.stop(tmp_path)
    assert launcher.status(tmp_path) is None
    assert not launcher.stop(tmp_path)


def test_several_processes_start_one_engine(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from engine import launcher; print(launcher.start(Path({str(tmp_path)!r})).pid)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    pids = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(pids) == 1
    running = launcher.status(tmp_path)
    assert running is not None
    assert pids == {str(running.pid)}
    launcher.stop(tmp_path)


def test_a_killed_engine_is_replaced(tmp_path: Path) -> None:
    first = launcher.start(tmp_path)
    session = dolphindb.Session()
    session.connect(first.host, first.port, first.user, first.password)
    session.run('database("dfs://kept", VALUE, 1..3).createDimensionTable(table(1 2 as a), `t)')
    session.run('loadTable("dfs://kept", `t).append!(table(5 6 as a))')
    os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while launcher.status(tmp_path) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = launcher.start(tmp_path)
    assert second.pid != first.pid
    session = dolphindb.Session()
    assert session.connect(second.host, second.port, second.user, second.password)
    assert session.run('exec a from loadTable("dfs://kept", `t)').tolist() == [5, 6]
    session.close()
    launcher.stop(tmp_path)


def test_idle_engines_end(tmp_path: Path) -> None:
    endpoint = launcher.start(tmp_path, idle_seconds=1)
    session = dolphindb.Session()
    assert session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    time.sleep(1.6)
    assert launcher.status(tmp_path) is not None
    session.close()
    deadline = time.monotonic() + 5
    while launcher.status(tmp_path) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_engine_whose_folder_is_gone_ends(tmp_path: Path) -> None:
    endpoint = launcher.start(tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((endpoint.host, endpoint.port), timeout=1).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_failure_to_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("not json")
    with pytest.raises(launcher.LaunchError, match=r"engine\.log"):
        launcher.start(tmp_path)


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    launcher.start(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    second = subprocess.run(
        [sys.executable, "-m", "engine", "serve", "--data", str(tmp_path)],
        capture_output=True, text=True, env=environment, timeout=30,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already" in second.stderr
    launcher.stop(tmp_path)


def test_serve_says_where_it_listens(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("from-a-file\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command = [sys.executable, "-m", "engine", "serve", "--data", str(tmp_path / "data"), "--user", "boss"]
    process = subprocess.Popen(
        [*command, "--password-file", str(password)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    session = dolphindb.Session()
    assert session.connect(ready["host"], ready["port"], "boss", "from-a-file")
    session.close()
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
