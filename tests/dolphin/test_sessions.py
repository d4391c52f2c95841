"""Sessions on a real engine process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from core.errors import (
    DolphinDBError,
    DolphinDBTimeoutError,
    DolphinDBUnavailableError,
    InvalidInputError,
    TooManySessionsError,
)
from core.settings import Settings
from dolphin.environment import Environment, default_environment
from dolphin.results import Result, preview
from dolphin.sessions import LOST, Sessions
from engine import launcher

ENDLESS = "x = 0\nwhile (true) { x += 1 }"


@pytest.fixture
async def own_environment(tmp_path: Path) -> AsyncIterator[Environment]:
    """An engine that a test may kill."""
    yield await default_environment(
        Settings(_env_file=None, data_dir=tmp_path, dolphindb_host=None, engine_idle_seconds=120)
    )
    await asyncio.to_thread(launcher.stop, tmp_path / "engine")


def kill_engine(data_dir: Path) -> None:
    endpoint = launcher.status(data_dir / "engine")
    assert endpoint is not None
    os.kill(endpoint.pid, signal.SIGKILL)


async def value(sessions: Sessions, environment: Environment, thread_id: str, script: str, **options: int) -> Result:
    return (await sessions.run(environment, thread_id, script, **options)).value


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("1 + 1", "SCALAR INT: 2"),
        ("7 \\ 2", "SCALAR DOUBLE: 3.5"),
        ("2024.01.31", "SCALAR DATE: 2024.01.31"),
        ("2024.01M", "SCALAR MONTH: 2024.01M"),
        ("09:30:00.123", "SCALAR TIME: 09:30:00.123"),
        ("09:30m", "SCALAR MINUTE: 09:30"),
        ("2024.01.31T09:30:00", "SCALAR DATETIME: 2024.01.31T09:30:00"),
        ("2024.01.31T09:30:00.123456789", "SCALAR NANOTIMESTAMP: 2024.01.31T09:30:00.123456789"),
        ("true", "SCALAR BOOL: true"),
        ("00i", "SCALAR INT: NULL"),
        ("decimal64(1.25, 4)", "SCALAR DECIMAL64: 1.2500"),
        ("9007199254740993l", "SCALAR LONG: 9007199254740993"),
        ('"中文|x"', "SCALAR STRING: 中文|x"),
        ("1..5", "VECTOR INT 5 elements\n[1, 2, 3, 4, 5]"),
        ("1 NULL 3", "VECTOR INT 3 elements\n[1, NULL, 3]"),
        ("[9007199254740993l, NULL]", "VECTOR LONG 2 elements\n[9007199254740993, NULL]"),
        ("2024.01.01 NULL 9999.12.31", "VECTOR DATE 3 elements\n[2024.01.01, NULL, 9999.12.31]"),
        ("`a`b", "VECTOR STRING 2 elements\n[a, b]"),
        ('(1, "a", 2.5)', "VECTOR ANY 3 elements\n[1, a, 2.5]"),
        (
            "(09:30:00, 1970.01.01T09:30:00, 2024.01.01)",
            "VECTOR ANY 3 elements\n[09:30:00, 1970.01.01T09:30:00, 2024.01.01]",
        ),
        ("dict(`a`b, (09:30m, 2), true)", "DICTIONARY 2 entries\na: 09:30\nb: 2"),
        ("def f() { x = 1 }\nf()", "NOTHING"),
        ("1:3", "PAIR INT 2 elements\n[1, 3]"),
        ("x = 1", "NOTHING"),
        ("", "NOTHING"),
        ("def f(x) { return x + 1 }\nf(41)", "SCALAR INT: 42"),
    ],
)
async def test_values_come_with_their_types(
    sessions: Sessions, environment: Environment, thread_id: str, script: str, text: str
) -> None:
    assert preview(await value(sessions, environment, thread_id, script)).text == text


async def test_matrices_dictionaries_and_sets(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    matrix = await value(sessions, environment, thread_id, "matrix(1 2, 3 NULL)")
    assert preview(matrix).text == "MATRIX INT 2 x 2\n| #0 | #1 |\n|---|---|\n| 1 | 3 |\n| 2 | NULL |"
    dictionary = await value(sessions, environment, thread_id, "dict(2024.01.01 2024.01.02, 1.5 2.5, true)")
    assert preview(dictionary).text == "DICTIONARY 2 entries\n2024.01.01: 1.5\n2024.01.02: 2.5"
    numbers = await value(sessions, environment, thread_id, "set(3 1 2)")
    assert (numbers.form, numbers.type, sorted(numbers.to_python())) == ("SET", "INT", [1, 2, 3])
    flags = await value(sessions, environment, thread_id, "set([true, false])")
    assert sorted(flags.to_python()) == [False, True]


async def test_a_table_is_exact(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    script = """
        d = 2024.01.01 9999.12.31 NULL
        n = [1, NULL, 3]
        big = [9007199254740993l, NULL, -9007199254740993l]
        ts = 2024.01.01T09:30:00.123 2024.01.01T00:00:00.000 NULL
        m = decimal64([1.25, 2.5, NULL], 2)
        s = symbol(`a`b`a)
        p = [0.1, NULL, 1e300]
        t = table(d, n, big, ts, m, s, p)
        select * from t
    """
    table = await value(sessions, environment, thread_id, script)
    assert [(column.name, column.type) for column in table.data] == [
        ("d", "DATE"),
        ("n", "INT"),
        ("big", "LONG"),
        ("ts", "TIMESTAMP"),
        ("m", "DECIMAL64(2)"),
        ("s", "SYMBOL"),
        ("p", "DOUBLE"),
    ]
    assert table.to_python() == [
        {
            "d": "2024.01.01",
            "n": 1,
            "big": 9007199254740993,
            "ts": "2024.01.01T09:30:00.123",
            "m": "1.25",
            "s": "a",
            "p": 0.1,
        },
        {"d": "9999.12.31", "n": None, "big": None, "ts": "2024.01.01T00:00:00.000", "m": "2.50", "s": "b", "p": None},
        {"d": None, "n": 3, "big": -9007199254740993, "ts": None, "m": None, "s": "a", "p": 1e300},
    ]


@pytest.mark.parametrize("ending", ["t", "select * from t", "t // the table"])
async def test_no_more_rows_than_wanted_are_fetched(
    sessions: Sessions, environment: Environment, thread_id: str, ending: str
) -> None:
    script = f"t = table(1..500000 as id, take(1.5, 500000) as price)\n{ending}"
    table = await value(sessions, environment, thread_id, script, row_limit=100)
    assert (table.rows, table.fetched, table.truncated) == (500_000, 100, True)
    assert table.data[0].values.tolist() == list(range(1, 101))
    vector = await value(sessions, environment, thread_id, "1..500000", row_limit=10)
    assert (vector.rows, vector.fetched) == (500_000, 10)


async def test_a_stored_table_is_read_within_the_bound(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    path = f"dfs://bound{thread_id[-8:]}"
    script = f"""
        db = database("{path}", VALUE, 1..3)
        pt = db.createPartitionedTable(table(1..3 as k, 1.0 2 3 as v), `pt, `k)
        pt.append!(table(take(1..3, 3000) as k, rand(1.0, 3000) as v))
    """
    appended = await value(sessions, environment, thread_id, script, row_limit=5)
    assert (appended.form, appended.rows, appended.fetched) == ("TABLE", 3000, 5)
    loaded = await value(sessions, environment, thread_id, f'loadTable("{path}", "pt")', row_limit=7)
    assert (loaded.rows, loaded.fetched) == (3000, 7)
    await sessions.run(environment, thread_id, f'dropDatabase("{path}")')


async def test_nothing_of_ours_is_left_in_the_session(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, "t = table(1..3 as a)\nselect * from t")
    names = await sessions.evaluate(environment, thread_id, "exec name from objs()")
    assert list(names) == ["t"]


async def test_a_script_runs_once(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    await sessions.run(environment, thread_id, "t = table(1..3 as a)\nn = 0")
    await sessions.run(environment, thread_id, "def grow(mutable t) { t.append!(table(1 as a)); return t }\ngrow(t)")
    assert preview(await value(sessions, environment, thread_id, "exec count(*) from t")).text.endswith(": 4")


async def test_variables_stay_in_their_thread(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    first = await sessions.run(environment, thread_id, "x = 42")
    second = await sessions.run(environment, thread_id, "x")
    assert (first.new_session, second.new_session) == (True, False)
    assert second.value.data == 42
    assert second.notice is None
    with pytest.raises(DolphinDBError):
        await sessions.run(environment, f"{thread_id}-other", "x")


async def test_an_error_has_the_servers_text_without_the_script(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    script = "a = 1\nb = a + noSuchThing\nb"
    with pytest.raises(DolphinDBError) as caught:
        await sessions.run(environment, thread_id, script)
    assert "noSuchThing" in caught.value.message
    assert "Server Response" not in caught.value.message
    assert "ddbAgent" not in caught.value.message
    assert "script:" not in caught.value.message
    assert (caught.value.script, caught.value.line) == (script, 2)
    assert not isinstance(caught.value, DolphinDBUnavailableError)


async def test_an_error_with_quotes_is_kept_whole(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    with pytest.raises(DolphinDBError) as caught:
        await sessions.run(environment, thread_id, "throw \"it's ' script: 'odd'\"")
    assert "it's ' script: 'odd'" in caught.value.message


async def test_printed_text_is_collected_and_the_output_stays_clean(
    sessions: Sessions, environment: Environment, thread_id: str, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = await sessions.run(environment, thread_id, 'print("line 1")\nprint("第二行")\n1 + 1')
    assert outcome.printed.splitlines() == ["line 1", "第二行"]
    assert outcome.value.data == 2
    with pytest.raises(DolphinDBError) as caught:
        await sessions.run(environment, thread_id, 'print("before")\nthrow "stop"')
    assert caught.value.printed == "before"
    with pytest.raises(DolphinDBUnavailableError):
        await sessions.run(replace(environment, port=1, resolve=None, id="nowhere"), thread_id, "1")
    assert capfd.readouterr().out == ""


async def test_endless_printing_is_cut(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    outcome = await sessions.run(environment, thread_id, "for (i in 0..20000) { print(i) }")
    lines = outcome.printed.splitlines()
    assert (lines[0], lines[9_999], len(lines)) == ("0", "9999", 10_001)
    assert "left out" in lines[-1]


async def test_python_values_are_sent_as_values(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    hostile = '"; undef all; "'
    assert await sessions.run_args(environment, thread_id, "size", [hostile, hostile]) == 2
    frame = pd.DataFrame({"a": [1, 2], "s": ["x", hostile]})
    await sessions.upload(environment, thread_id, {"uploaded": frame})
    table = await value(sessions, environment, thread_id, "uploaded")
    assert table.to_python() == [{"a": 1, "s": "x"}, {"a": 2, "s": hostile}]
    with pytest.raises(InvalidInputError):
        await sessions.upload(environment, thread_id, {"a b": 1})


async def test_the_event_loop_is_never_blocked_and_threads_run_side_by_side(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    await asyncio.gather(*(sessions.run(environment, f"{thread_id}-{i}", "sleep(700)") for i in range(3)))
    elapsed = time.monotonic() - started
    ticking.cancel()
    assert elapsed < 2.0
    assert ticks > 15


async def test_calls_of_one_thread_run_one_after_the_other(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, "n = 0")
    await asyncio.gather(*(sessions.run(environment, thread_id, "m = n\nsleep(20)\nn = m + 1") for _ in range(5)))
    assert (await value(sessions, environment, thread_id, "n")).data == 5


async def test_a_time_out_cancels_the_job_on_the_server_and_keeps_the_session(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, "kept = 42")
    started = time.monotonic()
    with pytest.raises(DolphinDBTimeoutError) as caught:
        await sessions.run(environment, thread_id, ENDLESS, timeout=0.5)
    assert time.monotonic() - started < 5
    assert caught.value.stopped
    outcome = await sessions.run(environment, thread_id, "kept")
    assert (outcome.value.data, outcome.notice) == (42, None)
    assert await running(sessions, environment) == 0


async def test_cancelling_the_task_cancels_the_job_on_the_server(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    await sessions.run(environment, thread_id, "kept = 42")
    task = asyncio.create_task(sessions.run(environment, thread_id, ENDLESS))
    await asyncio.sleep(0.5)
    assert await running(sessions, environment) == 1
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await running(sessions, environment) == 0
    assert (await value(sessions, environment, thread_id, "kept")).data == 42


async def running(sessions: Sessions, environment: Environment) -> int:
    """Console jobs on the server besides the one that asks."""
    return int(await sessions.evaluate(environment, "observer", "size(getConsoleJobs())")) - 1


async def test_a_server_killed_between_calls_is_noticed_before_the_script_is_sent(
    sessions: Sessions, own_environment: Environment, tmp_path: Path
) -> None:
    await sessions.run(own_environment, "thread", "x = 1")
    await asyncio.to_thread(kill_engine, tmp_path)
    outcome = await sessions.run(own_environment, "thread", "1 + 1")
    assert outcome.value.data == 2
    assert outcome.notice == LOST
    assert outcome.new_session
    assert (await sessions.run(own_environment, "thread", "1 + 1")).notice is None


async def test_the_notice_waits_for_the_next_script_and_is_in_its_error_too(
    sessions: Sessions, own_environment: Environment, tmp_path: Path
) -> None:
    await sessions.run(own_environment, "thread", "x = 1")
    await asyncio.to_thread(kill_engine, tmp_path)
    await sessions.evaluate(own_environment, "thread", "1")
    await sessions.read(own_environment, "thread", "1")
    with pytest.raises(DolphinDBError, match=LOST):
        await sessions.run(own_environment, "thread", "x")


async def test_a_server_killed_during_a_script_leaves_it_unknown_and_is_not_sent_again(
    sessions: Sessions, own_environment: Environment, tmp_path: Path
) -> None:
    marker = tmp_path / "engine"
    task = asyncio.create_task(sessions.run(own_environment, "thread", "sleep(20000)\n1"))
    await asyncio.sleep(0.7)
    await asyncio.to_thread(kill_engine, tmp_path)
    with pytest.raises(DolphinDBUnavailableError) as caught:
        await task
    assert caught.value.may_have_run
    assert "not known whether" in str(caught.value)
    assert marker.exists()
    outcome = await sessions.run(own_environment, "thread", "1 + 1")
    assert (outcome.value.data, outcome.notice) == (2, LOST)


async def test_a_server_that_never_answers_holds_up_nobody(
    sessions: Sessions, own_environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolphin.sessions.STOP_SECONDS", 1.0)
    monkeypatch.setattr("dolphin.blocking.ANSWER_SECONDS", 1.0)
    await sessions.run(own_environment, "thread", "x = 1")
    endpoint = await asyncio.to_thread(launcher.status, tmp_path / "engine")
    assert endpoint is not None
    task = asyncio.create_task(sessions.run(own_environment, "thread", ENDLESS, timeout=1))
    await asyncio.sleep(0.5)
    os.kill(endpoint.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DolphinDBTimeoutError, match="has not confirmed") as caught:
            await task
        assert not caught.value.stopped
        with pytest.raises(DolphinDBUnavailableError, match="does not answer"):
            await sessions.run(own_environment, "thread", "1")
    finally:
        os.kill(endpoint.pid, signal.SIGCONT)
    outcome = await sessions.run(own_environment, "thread", "1 + 1")
    assert (outcome.value.data, outcome.notice) == (2, LOST)


async def test_a_server_that_cannot_be_reached_is_said_so(environment: Environment, sessions: Sessions) -> None:
    gone = replace(environment, port=1, resolve=None, id="gone")
    with pytest.raises(DolphinDBUnavailableError, match="cannot be reached") as caught:
        await sessions.run(gone, "thread", "1")
    assert not caught.value.may_have_run


async def test_a_wrong_password_is_said_so_and_not_shown(environment: Environment, sessions: Sessions) -> None:
    wrong = replace(environment, password=SecretStr("hunter2"), resolve=None, id="wrong")
    with pytest.raises(DolphinDBUnavailableError, match="password") as caught:
        await sessions.run(wrong, "thread", "1")
    assert "hunter2" not in f"{caught.value!r} {caught.value} {wrong!r}"


async def test_the_thread_idle_for_longest_gives_up_its_session(environment: Environment) -> None:
    sessions = Sessions(max_sessions=2)
    try:
        for thread in ("a", "b", "c"):
            await sessions.run(environment, thread, "x = 1")
        assert sessions.open_count == 2
        assert (await sessions.run(environment, "b", "x")).value.data == 1
        assert (await sessions.run(environment, "a", "1")).notice == LOST
    finally:
        await sessions.aclose()


async def test_a_thread_too_many_is_refused_while_all_are_busy(environment: Environment) -> None:
    sessions = Sessions(max_sessions=2)
    try:
        busy = [asyncio.create_task(sessions.run(environment, name, "sleep(800)")) for name in ("a", "b")]
        await asyncio.sleep(0.3)
        with pytest.raises(TooManySessionsError, match="All 2"):
            await sessions.run(environment, "c", "1")
        await asyncio.gather(*busy)
        assert (await sessions.run(environment, "c", "1")).value.data == 1
    finally:
        await sessions.aclose()


async def test_idle_sessions_are_closed(environment: Environment) -> None:
    sessions = Sessions(idle_seconds=0.2)
    try:
        await sessions.run(environment, "a", "x = 1")
        await asyncio.sleep(0.6)
        assert sessions.open_count == 0
        assert (await sessions.run(environment, "a", "1")).notice == LOST
    finally:
        await sessions.aclose()


async def test_closing_a_thread_forgets_it(sessions: Sessions, environment: Environment, thread_id: str) -> None:
    await sessions.run(environment, thread_id, "x = 1")
    await sessions.close_thread(thread_id)
    assert sessions.open_count == 0
    outcome = await sessions.run(environment, thread_id, "1")
    assert (outcome.notice, outcome.new_session) == (None, True)


async def test_closed_sessions_answer_no_more(environment: Environment) -> None:
    sessions = Sessions()
    await sessions.run(environment, "a", "1")
    await sessions.aclose()
    with pytest.raises(DolphinDBUnavailableError):
        await sessions.run(environment, "a", "1")


async def test_types_the_client_cannot_read_come_as_text(
    sessions: Sessions, environment: Environment, thread_id: str
) -> None:
    assert preview(await value(sessions, environment, thread_id, 'duration("3d")')).text == "SCALAR DURATION: 3d"
    decimals = await value(sessions, environment, thread_id, "decimal32([1.5, NULL], 1)")
    assert decimals.data.tolist() == [Decimal("1.5"), None]
    assert np.issubdtype((await value(sessions, environment, thread_id, "1..3")).data.dtype, np.integer)
