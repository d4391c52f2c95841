"""The parts of the server that need no client."""

from __future__ import annotations

import json
import stat
import threading
import time
from pathlib import Path

import pytest

from engine.data_folder import DataFolder, Endpoint
from engine.errors import CancelledError, ScriptError
from engine.jobs import BatchJob, ConsoleJob, Jobs
from engine.node import Node
from engine.server.resends import Resends
from engine.server.watch import Watch
from engine.session import Session
from engine.users import Users
from engine.values import NOTHING, Value, integer
from engine.wire import requests
from engine.wire.reader import ProtocolError, StreamReader
from engine.wire.requests import Login, read_request


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(1, Node(tmp_path), "ann")


def test_passwords_are_kept_as_hashes_and_survive(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    users = Users(path, "admin", "top-secret")
    users.create("ann", "secret1")
    assert "secret1" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Users(path)
    assert again.verify("ann", "secret1")
    assert again.verify("ann", "secret1")
    assert not again.verify("ann", "secret2")
    assert not again.verify("nobody", "secret1")
    assert again.is_admin("admin")
    assert not again.is_admin("ann")


def test_a_changed_password_ends_the_old_one(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json", "admin", "top-secret")
    users.create("ann", "secret1")
    assert users.verify("ann", "secret1")
    users.set_password("ann", "secret2")
    assert not users.verify("ann", "secret1")
    users.delete("ann")
    assert not users.verify("ann", "secret2")
    with pytest.raises(ScriptError, match="does not exist"):
        users.account("ann")


@pytest.mark.parametrize(
    ("name", "password"), [("guest", "secret1"), ("a b", "secret1"), ("ann", "x"), ("ann", "a b c d")]
)
def test_odd_names_and_passwords_are_refused(tmp_path: Path, name: str, password: str) -> None:
    users = Users(tmp_path / "users.json", "admin", "top-secret")
    with pytest.raises(ScriptError):
        users.create(name, password)


def test_the_administrator_stays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no password"):
        Users(tmp_path / "users.json")
    users = Users(tmp_path / "users.json", "admin", "top-secret")
    with pytest.raises(ScriptError, match="can't be deleted"):
        users.delete("admin")


def test_only_running_jobs_are_cancelled(session: Session) -> None:
    jobs = Jobs()
    with jobs.running(ConsoleJob(session, "x", "script")) as job:
        with pytest.raises(ScriptError, match="administrator"):
            jobs.cancel_console([job.id], "eve", is_admin=False)
        session.check()
        jobs.cancel_console(["unknown", job.id], "ann", is_admin=False)
        with pytest.raises(CancelledError):
            session.check()
    jobs.cancel_console([job.id], "ann", is_admin=False)
    with jobs.running(ConsoleJob(session, "y", "script")):
        session.check()


def test_batch_jobs_run_a_few_at_a_time(session: Session) -> None:
    jobs = Jobs()
    running = threading.Semaphore(0)
    go = threading.Event()

    def work() -> Value:
        running.release()
        go.wait(5)
        return integer(1)

    for _ in range(12):
        jobs.submit(BatchJob("j", "", session), work)
    for _ in range(8):
        assert running.acquire(timeout=5)
    assert not running.acquire(timeout=0.05)
    states = [job.state for job in jobs.batch_jobs()]
    assert states.count("running") == 8
    assert states.count("waiting") == 4
    assert len({job.id for job in jobs.batch_jobs()}) == 12
    go.set()
    for job in jobs.batch_jobs():
        assert job.done.wait(5)
        assert job.result == integer(1)
    assert not jobs.busy()


def test_failed_batch_jobs_keep_the_reason(session: Session) -> None:
    jobs = Jobs()

    def work() -> Value:
        raise ScriptError("no luck")

    job = BatchJob("j", "", session)
    jobs.submit(job, work)
    assert job.done.wait(5)
    assert (job.state, job.error, job.result) == ("failed", "no luck", NOTHING)


def test_the_watch_cancels_jobs_nobody_waits_for(session: Session) -> None:
    jobs = Jobs()
    watch = Watch(jobs, lambda: 2**62)
    with jobs.running(ConsoleJob(session, "x", "script", alive=lambda: False)):
        watch.look()
        assert session.cancelled.is_set()


def test_the_watch_cancels_the_job_that_grew_most(session: Session, tmp_path: Path) -> None:
    jobs = Jobs()
    other = Session(2, Node(tmp_path))
    watch = Watch(jobs, lambda: 1)
    small, large = ConsoleJob(session, "x", "script"), ConsoleJob(other, "y", "script")
    with jobs.running(small), jobs.running(large):
        large.memory = 2**40
        watch.look()
        assert other.cancelled.is_set()
        assert not session.cancelled.is_set()
        assert "Out of memory" in (large.cancel_reason or "")


def test_repetitions() -> None:
    resends = Resends()
    outcome, fresh = resends.enter("client", 1)
    assert fresh
    outcome.finish(b"result", None, True)
    again, fresh = resends.enter("client", -1)
    assert not fresh
    assert (again.body, again.has_object) == (b"result", True)
    assert resends.enter("client", -2)[1]
    assert resends.enter("other", -1)[1]


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    assert not second.is_served()
    assert first.acquire()
    assert second.is_served()
    assert second.endpoint() is None
    first.publish(Endpoint("127.0.0.1", 1, "admin", "secret", 2))
    assert second.endpoint() == Endpoint("127.0.0.1", 1, "admin", "secret", 2)
    assert stat.S_IMODE(first.state_path.stat().st_mode) == 0o600
    assert not second.acquire()
    first.release()
    assert second.endpoint() is None


def test_a_stale_address_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").touch()
    state = {"host": "127.0.0.1", "port": 1, "user": "admin", "password": "x", "pid": 1}
    (tmp_path / "engine.json").write_text(json.dumps(state))
    assert DataFolder(tmp_path).endpoint() is None


def test_requests_are_read() -> None:
    data = b"API 0 32 / 32_1_4_2\nconnect\nlogin\nadmin\n123456\nfalse"
    data += b"API2 7 10 / 32_1_4_64__8192\nscript\n1+1"
    data += b"API2 7 16 / 32_1_4_64__0__ab-c_-3\nvariable\na,b\n2\n1" + bytes.fromhex("0500010000000000000012007800")
    reader = StreamReader.over(data)
    connect, script, upload = (read_request(reader, 1000) for _ in range(3))
    assert connect.login == Login("admin", "123456")
    assert not connect.messages
    assert (script.text, script.options.fetch_size, script.session) == ("1+1", 8192, 7)
    assert upload.names == ("a", "b")
    assert (upload.options.client, upload.options.sequence) == ("ab-c", -3)
    assert len(upload.values) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"API 0 8 / x\nconnect\n",
        b"API 0 -8\nconnect\n",
        b"API 0 5000\n",
        b"API 0 12\nfunction\nf\n1",
        b"API 0 15\nfunction\nf\n0\n0",
        b"API 0 15\nfunction\nf\nx\n1",
    ],
)
def test_broken_requests_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_request(StreamReader.over(data), 1000)


def test_error_lines() -> None:
    assert requests.error(5, "a\r\n b\0c") == b"5 0 1\na b c\n"
    assert requests.error(5, "") == b"5 0 1\nUnknown error\n"
    assert b"\nOK" not in requests.error(5, "OK")
    assert not requests.error(5, "<NotLeader>x:1").startswith(b"5 0 1\n<")


def test_jobs_say_when_they_came(session: Session) -> None:
    assert abs(ConsoleJob(session, "x", "script").received - time.time()) < 5
