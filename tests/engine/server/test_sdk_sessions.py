"""Sessions, pools, writers and jobs with the official client."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dolphindb
import numpy as np
import pandas as pd
import pytest

from engine import launcher

pytestmark = pytest.mark.e2e

Connect = Callable[..., Any]


def test_running_scripts_and_functions(session: Any) -> None:
    assert session.run("1+1") == 2
    assert session.run("add", 1, 2) == 3
    session.run("def twice(x) { return x * 2 }")
    np.testing.assert_array_equal(session.run("twice", np.array([1, 2])), [2, 4])
    assert session.run("x = 1") is None
    assert session.is_alive
    with pytest.raises(RuntimeError, match="nonsense"):
        session.run("nonsense(1)")
    assert session.run("1+1") == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("protocol", ["PROTOCOL_DDB", "PROTOCOL_PICKLE"])
def test_protocols(connect: Connect, protocol: str) -> None:
    import dolphindb.settings as settings

    session = connect(protocol=getattr(settings, protocol), compress=protocol == "PROTOCOL_DDB")
    session.upload({"frame": pd.DataFrame({"a": [1, 2], "s": ["x", "y"]})})
    assert session.run("select * from frame").to_dict("list") == {"a": [1, 2], "s": ["x", "y"]}


def test_failed_logins(endpoint: launcher.Endpoint) -> None:
    session = dolphindb.Session()
    assert not session.connect(endpoint.host, endpoint.port, "admin", "wrong")


def test_guests_only_read(connect: Connect) -> None:
    guest = connect(user=None)
    assert guest.run("getCurrentSessionAndUser()[1]") == "guest"
    with pytest.raises(RuntimeError, match="log in"):
        guest.run('database("dfs://guests", VALUE, 1..3)')
    with pytest.raises(RuntimeError, match="administrators"):
        guest.run('createUser("eve", "secret1")')


def test_users(connect: Connect) -> None:
    admin = connect()
    admin.run('createUser("ann", "secret1")')
    assert admin.run("getUserList()").tolist() == ["ann"]
    ann = connect("ann", "secret1")
    assert ann.run("getCurrentSessionAndUser()[1]") == "ann"
    ann.run('changePwd("secret1", "secret2")')
    with pytest.raises(RuntimeError, match="administrators"):
        ann.run('deleteUser("admin")')
    assert connect("ann", "secret2").run("1") == 1
    admin.run('resetPwd("ann", "secret3")')
    assert connect("ann", "secret3").run("1") == 1
    ann.run("logout()")
    assert ann.run("getCurrentSessionAndUser()[1]") == "guest"
    ann.login("ann", "secret3")
    assert ann.run("getCurrentSessionAndUser()[1]") == "ann"
    admin.run('deleteUser("ann")')
    assert not dolphindb.Session().connect(admin.host, admin.port, "ann", "secret3")


def test_variables_belong_to_the_session(connect: Connect) -> None:
    one, other = connect(), connect()
    one.run("mine = 1")
    with pytest.raises(RuntimeError):
        other.run("mine")
    one.run("share table(1 2 as a) as for_all")
    assert other.run("exec sum(a) from for_all") == 3
    one.close()
    assert other.run("exec sum(a) from for_all") == 3


def test_pools(endpoint: launcher.Endpoint) -> None:
    script = f"""
import asyncio, dolphindb
pool = dolphindb.DBConnectionPool({endpoint.host!r}, {endpoint.port}, 4, {endpoint.user!r}, {endpoint.password!r})
async def main():
    return await asyncio.gather(*(pool.run("sleep(200); x = %d; x * 2" % n) for n in range(8)))
print(asyncio.run(main()))
pool.shutDown()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith(str([n * 2 for n in range(8)])), done.stderr


def test_reading_in_blocks(endpoint: launcher.Endpoint) -> None:
    script = f"""
import dolphindb
session = dolphindb.Session()
assert session.connect({endpoint.host!r}, {endpoint.port}, {endpoint.user!r}, {endpoint.password!r})
reader = session.run("table(1..20000 as a, string(1..20000) as s)", fetchSize=8192)
sizes = []
while reader.has_next:
    sizes.append(len(reader.read()))
print(sizes, session.run("1+1"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[8192, 8192, 3616] 2", done.stderr


def test_printing(endpoint: launcher.Endpoint, capfd: pytest.CaptureFixture[str], session: Any) -> None:
    assert session.run('print("first"); print(1 2 3); 7') == 7
    assert "first" in capfd.readouterr().out


def test_asynchronous_sessions(connect: Connect) -> None:
    owner = connect()
    owner.run("share table(100:0, [`n], [INT]) as from_async")
    background = connect(enableASYNC=True)
    assert background.run("tableInsert(from_async, 5)") is None
    deadline = time.monotonic() + 5
    while owner.run("exec count(*) from from_async") == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert owner.run("exec n from from_async").tolist() == [5]


def test_table_helpers(session: Any) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "v": [1.5, 2.5, 3.5]})
    table = session.table(data=frame, tableAliasName="helped")
    assert table.rows == 3
    assert table.toDF().to_dict("list") == frame.to_dict("list")
    assert table.where("id > 1").select("v").toDF()["v"].tolist() == [2.5, 3.5]


def test_appenders(session: Any) -> None:
    session.run("appended = table(100:0, `sym`day`v, [SYMBOL, DATE, DOUBLE])")
    appender = dolphindb.TableAppender(table_name="appended", conn=session)
    frame = pd.DataFrame({"sym": ["a", "b"], "day": pd.to_datetime(["2024-01-01", "2024-01-02"]), "v": [1.0, 2.0]})
    assert appender.append(frame) == 2
    assert session.run("exec day from appended").tolist() == [d.date() for d in frame["day"]]
    session.run("upserted = keyedTable(`sym, 100:0, `sym`day`v, [SYMBOL, DATE, DOUBLE])")
    upserter = dolphindb.TableUpserter(table_name="upserted", conn=session)
    upserter.upsert(frame)
    frame["v"] = [9.0, 8.0]
    upserter.upsert(frame)
    assert session.run("exec v from upserted").tolist() == [9.0, 8.0]


def test_partitioned_tables(session: Any, endpoint: launcher.Endpoint) -> None:
    session.run(
        """
        if(existsDatabase("dfs://sdk")) dropDatabase("dfs://sdk")
        db = database("dfs://sdk", COMPO, [database(, VALUE, 2024.01.01..2024.01.03), database(, HASH, [SYMBOL, 2])])
        t = table(100:0, `day`sym`v, [DATE, SYMBOL, DOUBLE])
        db.createPartitionedTable(t, `trades, `day`sym)
        """
    )
    assert session.existsDatabase("dfs://sdk")
    assert session.existsTable("dfs://sdk", "trades")
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-02"])
    frame = pd.DataFrame({"day": days, "sym": ["a", "b", "a", "c"], "v": [1.0, 2.0, 3.0, 4.0]})
    script = f"""
import dolphindb, pandas as pd
pool = dolphindb.DBConnectionPool({endpoint.host!r}, {endpoint.port}, 2, {endpoint.user!r}, {endpoint.password!r})
appender = dolphindb.PartitionedTableAppender("dfs://sdk", "trades", "sym", pool)
frame = pd.DataFrame({{"day": pd.to_datetime({[str(day.date()) for day in days]}), "sym": {frame["sym"].tolist()},
    "v": {frame["v"].tolist()}}})
print(appender.append(frame))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("4"), done.stdout + done.stderr
    table = session.loadTable("trades", "dfs://sdk")
    assert table.rows == 4
    assert session.run('exec sum(v) from loadTable("dfs://sdk", "trades") where day = 2024.01.02') == 6.0
    assert session.run('getTables(database("dfs://sdk"))').tolist() == ["trades"]
    session.run('delete from loadTable("dfs://sdk", "trades") where sym = `c')
    assert session.run('exec count(*) from loadTable("dfs://sdk", "trades")') == 3
    session.run('update loadTable("dfs://sdk", "trades") set v = v * 10 where day = 2024.01.01')
    assert session.run('exec v from loadTable("dfs://sdk", "trades") where day = 2024.01.01').tolist() == [10.0]
    session.dropTable("dfs://sdk", "trades")
    assert not session.existsTable("dfs://sdk", "trades")
    session.dropDatabase("dfs://sdk")
    assert not session.existsDatabase("dfs://sdk")


def test_multithreaded_writers(session: Any, endpoint: launcher.Endpoint) -> None:
    session.run("share table(1000:0, `id`sym`v, [INT, SYMBOL, DOUBLE]) as written")
    writer = dolphindb.MultithreadedTableWriter(
        endpoint.host, endpoint.port, endpoint.user, endpoint.password, "", "written",
        batchSize=100, throttle=0.1, threadCount=2, partitionCol="sym",
    )  # fmt: skip
    for number in range(1000):
        assert not writer.insert(number, f"s{number % 7}", number * 0.5).hasError()
    writer.waitForThreadCompletion()
    assert writer.getStatus().sentRows == 1000
    assert session.run("exec sum(id) from written") == sum(range(1000))


def test_high_availability(endpoint: launcher.Endpoint) -> None:
    session = dolphindb.Session()
    arguments = (endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    assert session.connect(
        *arguments, highAvailability=True, highAvailabilitySites=[f"{endpoint.host}:{endpoint.port}"]
    )
    assert session.run("1+1") == 2
    session.close()


def test_reconnecting_clients(tmp_path: Path) -> None:
    """A session survives a restart of the server, without its variables."""
    first = launcher.start(tmp_path)
    session = dolphindb.Session()
    assert session.connect(first.host, first.port, first.user, first.password, reconnect=True)
    session.run("kept = 1")
    launcher.stop(tmp_path)
    command = [sys.executable, "-m", "engine", "serve", "--data", str(tmp_path), "--port", str(first.port)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    again = subprocess.Popen(
        [*command, "--password", first.password],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert again.stdout is not None
    again.stdout.readline()
    assert session.run("1+1") == 2
    with pytest.raises(RuntimeError, match="kept"):
        session.run("kept")
    session.close()
    again.terminate()
    assert again.wait(10) == 0
    again.stdout.close()


def test_fifty_sessions_at_once(connect: Connect) -> None:
    sessions = [connect() for _ in range(50)]
    results: list[int] = []

    def work(number: int) -> None:
        session = sessions[number]
        session.run(f"own = {number}")
        for _ in range(5):
            results.append(int(session.run("own + sum(1..100)")) - 5050)  # noqa: PERF401

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(list(range(50)) * 5)
    assert time.monotonic() - started < 20


LOOP = "total = 0; do { total += 1 } while (true); total"


def cancel_all(session: Any) -> int:
    own = session.run("getCurrentSessionAndUser()[0]")
    ids = session.run(f"exec rootJobId from getConsoleJobs() where sessionId != {own}")
    session.run("cancelConsoleJob", ids)
    return len(ids)


def test_a_running_job_is_cancelled_from_another_connection(connect: Connect) -> None:
    busy, other = connect(), connect()
    failed: list[tuple[float, str]] = []

    def work() -> None:
        try:
            busy.run(LOOP)
        except RuntimeError as error:
            failed.append((time.monotonic(), str(error)))

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    asked = time.monotonic()
    assert cancel_all(other) == 1
    thread.join(5)
    assert "cancelled" in failed[0][1]
    assert failed[0][0] - asked < 1.0
    assert busy.run("1+1") == 2


def test_a_job_of_a_killed_client_ends(endpoint: launcher.Endpoint, connect: Connect) -> None:
    script = f"""
import dolphindb
session = dolphindb.Session()
assert session.connect({endpoint.host!r}, {endpoint.port}, {endpoint.user!r}, {endpoint.password!r})
print("ready", flush=True)
session.run({LOOP!r})
"""
    other = connect()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        time.sleep(0.3)
        assert other.run("exec count(*) from getConsoleJobs()") == 2
        process.kill()
    deadline = time.monotonic() + 3
    while other.run("exec count(*) from getConsoleJobs()") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert other.run("1+1") == 2


def test_batch_jobs(connect: Connect) -> None:
    session = connect()
    session.run('def work(n) { print("at work"); sleep(300); return n * 2 }')
    job = session.run('submitJob("job_a", "a job", work, 21)')
    with pytest.raises(RuntimeError, match="not complete"):
        session.run(f'getJobReturn("{job}")')
    assert session.run(f'getJobReturn("{job}", true)') == 42
    status = session.run(f'getJobStatus("{job}")')
    assert status["jobDesc"].tolist() == ["a job"]
    assert not status["endTime"].isna().any()
    assert "at work" in session.run(f'getJobMessage("{job}")')
    ranked = session.run('submitJobEx("job_b", "", 8, 3, work, 1)')
    assert session.run(f'getJobReturn("{ranked}", true)') == 2
    assert session.run(f'getJobStatus("{ranked}")')[["priority", "parallelism"]].values.tolist() == [[8, 3]]
    endless = session.run(f'def endless() {{ {LOOP} }}; submitJob("endless", "", endless)')
    session.run(f'cancelJob("{endless}")')
    with pytest.raises(RuntimeError, match="cancelled"):
        session.run(f'getJobReturn("{endless}", true)')


def test_five_million_rows_arrive(connect: Connect) -> None:
    session = connect()
    count = 5_000_000
    session.run(f"big = table(1..{count} as id, take(`a`b`c$SYMBOL, {count}) as sym, take(1.5 2.5, {count}) as v)")
    started = time.monotonic()
    frame = session.run("big")
    seconds = time.monotonic() - started
    assert len(frame) == count
    assert int(frame["id"].sum()) == count * (count + 1) // 2
    assert seconds < 30
    session.run("undef(`big)")


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """A server with tight limits; gives its process and a function that connects."""
    import json

    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "engine", "serve", "--data", str(tmp_path), "--password", "secret1"]
    command += ["--memory-gb", "0.6", "--max-result-gb", "0.01", "--max-connections", "5"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())

    def open_session() -> Any:
        session = dolphindb.Session()
        assert session.connect(ready["host"], ready["port"], "admin", "secret1")
        return session

    yield process, open_session
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_limits(small: Any) -> None:
    process, open_session = small
    session = open_session()
    with pytest.raises(RuntimeError, match="maxResultBytes"):
        session.run("1..5000000")
    session.run("setMemLimitOfQueryResult(0.1)")
    assert len(session.run("1..5000000")) == 5_000_000
    with pytest.raises(RuntimeError, match=r"[Mm]emory"):
        session.run("x = take(1.5, 100000000000)")
    with pytest.raises(RuntimeError, match=r"[Mm]emory"):
        session.run("v = array(DOUBLE, 0); do { v = v.append!(rand(1.0, 1000000)) } while (true)")
    session.run("undef all")
    assert session.run("1+1") == 2
    others = [open_session() for _ in range(4)]
    assert not dolphindb.Session().connect(session.host, session.port, "admin", "secret1")
    for other in others:
        other.close()
    assert process.poll() is None


def test_termination_lets_a_request_finish(small: Any) -> None:
    process, open_session = small
    session = open_session()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(session.run("sleep(800); 5")))
    thread.start()
    time.sleep(0.3)
    process.terminate()
    thread.join(5)
    assert results == [5]
    assert process.wait(5) == 0
