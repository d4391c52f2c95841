"""What all sessions of one server see at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from engine.schedule import Schedule, ScheduledJob

Connect = Callable[..., Any]


@pytest.mark.e2e
def test_connections_and_running_queries(connect: Connect) -> None:
    first, second = connect(), connect()
    clients = first.run("getConnections()")
    assert len(clients) >= 2
    assert all(address.startswith("127.0.0.1:") for address in clients["client"])
    second.run('submitJob("napping", "", sleep, 0)')
    assert "sleep" not in first.run("exec jobDesc from getRunningQueries()").tolist()
    with pytest.raises(RuntimeError, match="no licence"):
        first.run("getLicenseExpiration()")


@pytest.mark.e2e
def test_views_and_catalogs_are_there_for_other_sessions_at_once(connect: Connect) -> None:
    first, second = connect(), connect()
    first.run("def shared_answer() { return 42 }\naddFunctionView(shared_answer)")
    first.run('createCatalog("seen"); use catalog seen')
    first.run("create database s partitioned by VALUE(1..3)")
    first.run("create table s.t (id INT) partitioned by id")
    try:
        assert second.run("shared_answer()") == 42
        assert second.run("size(seen.s.t)") == 0
        assert second.run("getCurrentCatalog()") in ("", None)
    finally:
        first.run('dropFunctionView("shared_answer"); drop database seen.s; drop catalog seen')


def job(name: str, minute: int) -> ScheduledJob:
    return ScheduledJob(name, "", "admin", {"builtin": "now"}, [minute], "2030-01-01", "2030-01-02", "D", [])


def test_the_schedule_wakes_up_for_jobs_that_are_due(tmp_path: Path) -> None:
    now = [datetime(2030, 1, 1, 8).timestamp()]
    schedule = Schedule(tmp_path / "schedule.json", lambda: now[0])
    schedule.add(job("early", 9 * 60))
    ran, done = list[str](), Event()

    def run(due: ScheduledJob) -> None:
        ran.append(due.id)
        done.set()
        raise ValueError("the schedule goes on")

    schedule.start(run)
    try:
        now[0] = datetime(2030, 1, 1, 9, 1).timestamp()
        schedule.add(job("late", 23 * 60))
        assert done.wait(5)
        done.clear()
        now[0] = datetime(2030, 1, 1, 23, 1).timestamp()
        schedule.delete("early")
        assert done.wait(5)
    finally:
        schedule.stop()
    assert ran == ["early", "late"]
