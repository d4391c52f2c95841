from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.calendars import ListedDays, WeekdaysWithout, days_between, move_days
from engine.console import console_text
from engine.errors import ScriptError
from engine.functions.registry import Registry
from engine.interpreter import Interpreter
from engine.server_node import ServerNode, assemble
from engine.session import Session

Run = Callable[[str], str]
HOLIDAYS = "2019.12.25 2020.01.01 2022.12.26 2023.01.02"


def session_of(node: ServerNode, registry: Registry, user: str = "admin") -> Run:
    """What a script's value looks like, in one session."""
    interpreter = Interpreter(Session(1, node, user=user), registry)
    return lambda text: console_text(interpreter.run(text.replace("'", '"')))


@pytest.fixture
def node(registry: Registry, tmp_path: Path) -> ServerNode:
    """A node with a calendar XNYS."""
    node = assemble(tmp_path, registry, admin_password="a" * 12, memory_limit=2**30)
    session_of(node, registry)(f"addMarketHoliday('XNYS', {HOLIDAYS})")
    return node


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A session of a node, with a calendar XNYS, that no test changes."""
    run = session_of(
        assemble(tmp_path_factory.mktemp("node"), registry, admin_password="a" * 12, memory_limit=2**30), registry
    )
    run(f"addMarketHoliday('XNYS', {HOLIDAYS})")
    return run


def test_moving_by_trading_days_agrees_with_pandas() -> None:
    random = np.random.default_rng(5)
    days = random.integers(-3000, 3000, 400)
    amounts = random.integers(-30, 30, 400)
    holidays = np.unique(random.integers(-3200, 3200, 300))
    offset = pd.offsets.CustomBusinessDay(holidays=holidays.astype("datetime64[D]").tolist())
    starts = pd.to_datetime(days.astype("datetime64[D]"))
    expected = [start + amount * offset for start, amount in zip(starts, amounts.tolist(), strict=True)]
    expected = [
        offset.rollforward(start) if amount == 0 else moved
        for start, amount, moved in zip(starts, amounts.tolist(), expected, strict=True)
    ]
    calendar = WeekdaysWithout(holidays)
    found = move_days(calendar, days, amounts)
    assert pd.to_datetime(found.astype("datetime64[D]")).tolist() == expected
    assert (days_between(calendar, days, found)[amounts > 0] == amounts[amounts > 0]).all()
    listed = ListedDays("ABCD", np.unique(found))
    assert (listed.day(listed.number(found)) == found).all()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("temporalAdd(2023.01.01 2023.01.02 2023.01.03, 2, `XNYS)", "[2023.01.04,2023.01.04,2023.01.05]"),
        ("2023.01.01 2023.01.06 + 2XNYS", "[2023.01.04,2023.01.10]"),
        ("temporalAdd(2022.12.30T10:00:00, -1XNYS)", "2022.12.29T10:00:00"),
        ("temporalAdd([2022.12.30, NULL], 1, `XNYS)", "[2023.01.03,]"),
        ("temporalAdd(2022.12.31 2022.12.31, 1 -1, `B)", "[2023.01.02,2022.12.30]"),
        ("temporalDiff(2019.12.31 2020.01.03, 2019.12.30, `XNYS)", "[1,3]"),
        ("temporalDeltas(2019.12.31 2020.01.03 2020.01.10, `XNYS)", "[,2,5]"),
        ("transFreq(2023.01.01 2023.01.03 2023.01.05, '2XNYS')", "[2022.12.30,2022.12.30,2023.01.04]"),
        ("transFreq(2023.01.03, 'XNYS', closed='right', label='right')", "2023.01.03"),
        ("temporalSeq(2022.12.30, 2023.01.05, 'XNYS')", "[2022.12.30,2023.01.03,2023.01.04,2023.01.05]"),
        ("getMarketCalendar('XNYS', 2022.12.24, 2022.12.28)", "[2022.12.27,2022.12.28]"),
        ("getMarketCalendar('XNYS')[0]", "2019.01.01"),
        ("getTradingCalendarType('XNYS')", "holidayDate"),
        ("duration('3XNYS')", "3XNYS"),
        ("tmsum(2022.12.30 2023.01.03 2023.01.04, 1 2 3, 2XNYS)", "[1,3,5]"),
        ("size(msum(indexedSeries(2022.12.30 2023.01.03, 1 2), 2XNYS))", "2"),
    ],
)
def test_a_calendar_by_its_name(run: Run, script: str, expected: str) -> None:
    assert run(script) == expected


def test_days_without_trade_go_with_the_trading_day_before(run: Run) -> None:
    run("times = [2022.12.30T23:00:00, 2023.01.01T00:00:00, 2023.01.03T00:10:00, 2023.01.03T00:20:00]")
    run("times.append!(2023.01.05T10:00:00)")
    run("s = indexedSeries(times, 1..5)")
    days = "2022.12.30|{} \n2023.01.03|{} \n2023.01.04|{} \n2023.01.05|{} "
    assert run("s.resample('XNYS', last)").endswith(days.format(2, 4, " ", 5))
    assert run("s.asFreq('XNYS')").endswith(days.format(1, 3, " ", 5))


def test_groups_of_trading_days(run: Run) -> None:
    run("d = 2022.12.30 2023.01.03 2023.01.05 2023.01.09")
    run("t = table(d, 1 2 3 4 as x)")
    query = "(select {} from t group by interval(d, {}, 'null'))"
    assert run(f"exec interval_d from {query.format('sum(x)', '2XNYS')}") == "[2022.12.30,2023.01.04,2023.01.06]"
    assert run(f"exec sum_x from {query.format('sum(x)', '1XNYS')}") == "[1,2,,3,,4]"
    assert run("exec w from select sum(x) from t group by transFreq(d, '2XNYS') as w") == (
        "[2022.12.30,2023.01.04,2023.01.06]"
    )


def test_a_list_of_trading_dates_ends_with_its_last_one(run: Run) -> None:
    run("addMarketHoliday('AAAA', 2024.02.21 2024.02.09 2024.02.18, 'tradingDate')")
    assert run("temporalAdd(2024.02.09 2024.02.10, 1, `AAAA)") == "[2024.02.18,2024.02.18]"
    assert run("getMarketCalendar('AAAA')") == "[2024.02.09,2024.02.18,2024.02.21]"
    with pytest.raises(ScriptError, match="does not exist in trading calendar \\[AAAA\\]"):
        run("temporalAdd(2024.02.21, 1, `AAAA)")
    with pytest.raises(ScriptError, match="does not reach"):
        run("transFreq(2024.02.22, 'AAAA')")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("addMarketHoliday('XNYS', 2022.01.03)", "The added market 'XNYS' already exists."),
        ("addMarketHoliday('nyse', 2022.01.03)", "four capital letters"),
        ("addMarketHoliday('../A', 2022.01.03)", "four capital letters"),
        ("addMarketHoliday('ABCD', 1 2)", "of type DATE"),
        ("addMarketHoliday('ABCD', array(DATE, 0))", "at least one date"),
        ("addMarketHoliday('ABCD', [2022.01.03, NULL])", "no NULLs"),
        ("addMarketHoliday('ABCD', 2022.01.03, 'weekend')", "dateType must be one of holidayDate, tradingDate"),
        ("updateMarketHoliday('ABCD', 2022.01.03)", 'addMarketHoliday("ABCD", holidays)'),
        ("deleteMarketHoliday('ABCD')", "no trading calendar [ABCD]"),
        ("temporalAdd(2022.01.03, 1, 'XSHG')", 'An administrator can add it: addMarketHoliday("XSHG", holidays)'),
        ("temporalAdd(13:00:00, 1, 'XNYS')", "can't be added to SECOND"),
        ("temporalDiff(2022.01.03, 2022.01.03, 'furlong')", "neither a unit of time nor a trading calendar"),
        ("getMarketCalendar('XNYS', 2022.01.03, 2022.01.01)", "endDate"),
    ],
)
def test_what_is_refused(run: Run, script: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(reason)):
        run(script)


def test_other_sessions_see_a_change_and_only_administrators_make_one(node: ServerNode, registry: Registry) -> None:
    admin, guest = session_of(node, registry), session_of(node, registry, "guest")
    assert guest("temporalAdd(2022.01.01, 1XNYS)") == "2022.01.03"
    admin("updateMarketHoliday('XNYS', 2022.01.03)")
    assert guest("temporalAdd(2022.01.01, 1XNYS)") == "2022.01.04"
    for script in ("updateMarketHoliday('XNYS', {})", "addMarketHoliday('ABCD', {})", "deleteMarketHoliday('XNYS')"):
        with pytest.raises(ScriptError, match="Only administrators"):
            guest(script.format("2022.01.03"))
    admin("deleteMarketHoliday('XNYS')")
    with pytest.raises(ScriptError, match="no trading calendar"):
        guest("temporalAdd(2022.01.01, 1XNYS)")


def test_calendars_outlive_the_node(node: ServerNode, registry: Registry) -> None:
    folder = node.data / "marketHoliday"
    assert (folder / "XNYS.csv").read_text().splitlines() == ["holidayDate", *HOLIDAYS.split()]
    (folder / "LISA.csv").write_bytes(b'\xef\xbb\xbftradingDate\r\n"2024-02-09"\r\n2024/02/18\r\n')
    (folder / "EVIL.csv").write_text("holidayDate\n2024.13.01\n")
    again = session_of(assemble(node.data, registry, memory_limit=2**30), registry, "guest")
    assert again("listAllMarkets()") == '["EVIL","LISA","XNYS"]'
    assert again("temporalAdd(2023.01.01, 1XNYS)") == "2023.01.03"
    assert again("temporalAdd(2024.02.09, 1LISA)") == "2024.02.18"
    with pytest.raises(ScriptError, match=r"Line 2 of EVIL\.csv is no date"):
        again("temporalAdd(2024.02.09, 1EVIL)")


def test_a_change_that_cannot_be_written_changes_nothing(
    node: ServerNode, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    file = node.data / "marketHoliday" / "XNYS.csv"
    before, run = file.read_text(), session_of(node, registry)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ScriptError, match="No space left"):
            run("updateMarketHoliday('XNYS', 2022.01.03)")
    assert [path.name for path in file.parent.iterdir()] == ["XNYS.csv"]
    assert file.read_text() == before
    assert run("temporalAdd(2022.01.01, 1XNYS)") == "2022.01.03"
