"""Jobs at given times, on a clock that is set by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from engine.errors import ScriptError
from engine.functions.server.scheduled_jobs import run_scheduled_job
from engine.schedule import Schedule

Engine = Any

JOBS = """
def plus(x) { return x + 1 }
def work(items, day) { return plus(sum(items)) + year(day) }
def told(id, description, success, result) { print(description + " " + string(success) + " " + string(result)) }
def broken() { throw "out of order" }
scheduleJob(`daily, "every day", work{1 2 3, 2012.01.01}, [09:25m, 17:00m], 2030.01.01, 2030.01.03, 'D', , told)
scheduleJob(`weekly, "tuesdays", broken, 09:30m, 2030.01.01, 2030.12.31, 'W', 2, told)
scheduleJob(`monthly, "on the 2nd", plus{1}, 10:00m, 2030.01.01, 2030.12.31, 'M', 2 31)
"""


class Clock:
    def __init__(self, engine: Engine) -> None:
        self.now = datetime(2030, 1, 1, 8).timestamp()
        self.engine = engine
        self.restart()

    def restart(self) -> None:
        self.engine.reopen()
        self.engine.node.schedule = Schedule(self.engine.data / "schedule.json", lambda: self.now)

    def passes(self, month: int, day: int, hour: int, minute: int = 0) -> list[str]:
        """The last lines of what the jobs said that became due."""
        self.now = datetime(2030, month, day, hour, minute).timestamp()
        node = self.engine.node
        ids = [run_scheduled_job(node, self.engine.registry, job) for job in node.schedule.due()]
        jobs = [node.jobs.batch_job(each) for each in ids]
        assert all(job.done.wait(5) for job in jobs)
        return [job.output[-1].split(" ", 2)[2] for job in jobs]


@pytest.fixture
def clock(engine: Engine) -> Clock:
    engine.run('createUser("bea", "secret1")')
    made = Clock(engine)
    engine.run(JOBS, "bea")
    return made


def test_jobs_run_at_their_times(clock: Clock) -> None:
    assert clock.passes(1, 1, 9, 24) == []
    assert clock.passes(1, 1, 9, 25) == ["every day 1 2019"]
    assert clock.passes(1, 1, 9, 25) == []
    assert [line.endswith("out of order") for line in clock.passes(1, 1, 12)] == [True]
    assert clock.passes(1, 2, 12) == ["every day 1 2019", "The job is done."]
    assert clock.passes(1, 3, 23) == ["every day 1 2019"]
    assert clock.passes(1, 4, 23) == []


def test_jobs_outlive_the_process(clock: Clock, engine: Engine) -> None:
    clock.restart()
    assert clock.passes(1, 1, 9, 26) == ["every day 1 2019"]
    assert engine.run("exec userID from getRecentJobs()") == '["bea"]'
    clock.restart()
    assert engine.run("getJobReturn(`daily)", "bea") == "2019"
    assert "every day 1 2019" in engine.run("getJobMessage(`daily)")
    assert clock.passes(1, 1, 9, 27) == []
    assert engine.node.schedule.next_time() == datetime(2030, 1, 1, 9, 30)
    engine.run('deleteUser("bea")')
    assert "does not exist" in clock.passes(1, 1, 9, 31)[0]


def test_a_view_on_schedule(clock: Clock, engine: Engine) -> None:
    engine.run('database("dfs://v", VALUE, 1..3).createPartitionedTable(table(1..3 as id), `pt, `id)')
    engine.run('def seen() { return size(loadTable("dfs://v", `pt)) }\naddFunctionView(seen)')
    engine.run('grant("bea", VIEW_EXEC, "seen")')
    engine.run("scheduleJob(`viewed, '', seen, 08:30m, 2030.01.01, 2030.01.03, 'D')", "bea")
    clock.restart()
    assert clock.passes(1, 1, 8, 31) == ["The job is done."]
    assert engine.run("getJobReturn(`viewed)") == "0"


def test_whose_jobs(clock: Clock, engine: Engine) -> None:
    assert engine.run('exec distinct jobId from getScheduledJobs("%ly")', "bea") == '["daily","weekly","monthly"]'
    engine.run('createUser("cid", "secret1")')
    assert engine.run("rows(getScheduledJobs())", "cid") == "0"
    with pytest.raises(ScriptError, match="Only administrators"):
        engine.run("deleteScheduledJob(`daily)", "cid")
    engine.run("deleteScheduledJob(`daily)")
    clock.restart()
    assert engine.run("exec jobId from getScheduledJobs()") == '["weekly","monthly"]'
    with pytest.raises(ScriptError, match="does not exist"):
        engine.run("deleteScheduledJob(`daily)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("09:00m 09:02m, 2030.01.01, 2030.02.01, 'D'", "at least 5 minutes"),
        ("09:00m, 2030.01.01, 2030.02.01, 'W'", "days of the week"),
        ("09:00m, 2030.01.01, 2030.02.01, 'M', 0", "days of the month"),
        ("9, 2030.01.01, 2030.02.01, 'D'", "MINUTE"),
        ("09:00m, 2030.03.01, 2030.02.01, 'D'", "endDate"),
    ],
)
def test_refused_times(engine: Engine, arguments: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        engine.run(f"scheduleJob(`x, '', now, {arguments})")


def test_the_callback_of_a_batch_job(engine: Engine) -> None:
    engine.run(
        """
        def told(id, description, success, result) { print(id + " " + string(success) + " " + string(result)) }
        def work(n) { return n + 1 }
        submitJobEx2(`j1, "", 8, 2, told, work, 100)
        getJobReturn(`j1, true)
        """
    )
    assert engine.run("getJobMessage(`j1)").splitlines()[-1].endswith("j1 1 101")
    assert "runningJobs->" in engine.run("getJobStat()")
