from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError
from engine.values import Value, boolean

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("year(2024.02.29)", "2024"),
        ("monthOfYear(2024.02M)", "2"),
        ("dayOfMonth(1969.12.31)", "31"),
        ("dayOfYear(2024.12.31)", "366"),
        ("weekOfYear(2021.01.03)", "53"),
        ("weekday(2024.01.01)", "1"),
        ("dayOfWeek(2024.01.01)", "0"),
        ("hourOfDay(1969.12.31T23:00:00)", "23"),
        ("millisecond(13:30:10.008)", "8"),
        ("daysInMonth(2023.02.10)", "28"),
        ("temporalAdd(2024.01.31, 1, `M)", "2024.02.29"),
        ("temporalAdd(2021.08.06, 4B)", "2021.08.12"),
        ("temporalDiff(2020.01.10, 2020.01.03, `B)", "5"),
        ("concatDateTime(2024.01.02, 03:04:05)", "2024.01.02T03:04:05"),
        ("bar(-7 0 7, 5)", "[-5,0,5]"),
        ("bar(7 10, 5, `right)", "[10,10]"),
        ("bar(2024.01.01T10:07:00, 5m)", "2024.01.01T10:05:00"),
        ("monthEnd(2024.02.10)", "2024.02.29"),
        ("businessMonthEnd(2010.10.12, 2000.03.31, 3)", "2010.12.31"),
        ("quarterBegin(2012.06.13, 5)", "2012.05.01"),
        ("yearEnd(2012.06.12, 3)", "2013.03.31"),
        ("weekBegin(2017.12.05, 4)", "2017.12.01"),
        ("weekEnd(2017.12.05, 4)", "2017.12.08"),
        ("businessDay(2019.01.06)", "2019.01.04"),
        ("semiMonthEnd(2020.11.08)", "2020.10.31"),
        ("lastWeekOfMonth(2019.11.24, 2)", "2019.10.30"),
        ("fy5253(2016.11.01, 0, 1, true)", "2016.02.01"),
        ("fy5253(1977.01.02, 0, 12, true)", "1975.12.29"),
        ("isMonthEnd(2024.02.29)", "1"),
        ("convertTZ(2016.04.25T08:25:45, 'US/Eastern', 'Asia/Shanghai')", "2016.04.25T20:25:45"),
        ("convertTZ(2006.03.26T01:30:00, 'Europe/London', 'Europe/Dublin')", "2006.03.26T02:30:00"),
        ("convertTZ(2024.03.31T00:59:59 2024.03.31T01:00:00, 'UTC', 'Europe/Paris').hour()", "[1,3]"),
        ("temporalParse('14-FEB-18', 'd-MMM-y')", "2018.02.14"),
        ("temporalParse('20180214', 'yyyyMMdd')", "2018.02.14"),
        ("temporalParse('035901PM', 'hhmmssaa')", "15:59:01"),
        ("temporalParse('nonsense', 'yyyyMMdd')", "00d"),
        ("temporalFormat(2018.02.06T13:30:10.001, 'y-M-d-H-m-s-SSS')", "2018-2-6-13-30-10-001"),
        ("temporalFormat([00:19:06, NULL, 14:19:06], 'h:mm aa')", '["0:19 AM","","2:19 PM"]'),
        ("temporalFormat(1969.12.31T23:59:59.999, 'dd-MMM-yy HHmmss.nnnnnn')", "31-DEC-69 235959.999000"),
        ("transFreq(2020.08.08 2020.11.18, '2Q')", "[2020.09.30,2021.03.31]"),
        ("transFreq(2020.01.31 2020.02.10, 'M', closed='left')", "[2020.02.29,2020.02.29]"),
        ("transFreq(2020.01.31 2020.02.10, 'M', label='left')", "[2019.12.31,2020.01.31]"),
        ("transFreq(2020.02.01 2020.02.10, 'MS', closed='right')", "[2020.01.01,2020.02.01]"),
        ("temporalSeq(2022.01.01 00:01:00, 2022.01.01 00:08:00, '3min')[1]", "2022.01.01T00:03:00"),
    ],
)
def test_temporal(show: Show, script: str, expected: str) -> None:
    assert show(script.replace("'", '"')) == expected


@pytest.mark.parametrize(
    "script",
    ["hourOfDay(2024.01M)", "bar(2024.01.01, 1M)", 'temporalParse("1", "S")', 'temporalParse("2018214", "yMd")'],
)
def test_what_makes_no_sense_is_refused(run: Run, script: str) -> None:
    with pytest.raises(ScriptError):
        run(script)


def test_null_stays_null(show: Show) -> None:
    assert show("monthEnd(2024.01.05 NULL)") == "[2024.01.31,]"


def test_periods_of_a_long_column_are_counted_from_its_first_time(run: Run) -> None:
    run("days = 2000.01.01 + (1..1100000) % 9000")
    for call in ("monthEnd(days, {}, 5)", "weekBegin(days, 2, {}, 3)", "businessDay(days, {}, 7)"):
        assert run(f"eqObj({call.format('')}, {call.format('min(days)')})") == boolean(True)
    counted = "(exec p from select monthEnd(days,,5) as p from table(days, days % 7 as g) context by g order by days)"
    assert run(f"eqObj({counted}, sort(monthEnd(days,,5)))") == boolean(True)


def test_resampled_aggregates_are_those_of_the_elements_of_each_interval(show: Show) -> None:
    show("s = indexedSeries(2024.01.01T00:00:00 + 0 10 20 100 3600, 1 2 NULL 4 5)")
    for function in ("sum", "count", "last", "avg", "max", "size"):
        assert show(f"s.resample(`min, {function})") == show(f"s.resample(`min, def(x) {{ return {function}(x) }})")
