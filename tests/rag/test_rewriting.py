from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from rag.rewriting import rewrite
from rag.rewriting.times import Clock, weekdays

# A Wednesday.
NOW = datetime(2024, 5, 15, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
CLOCK = Clock(NOW)


@pytest.mark.parametrize(
    ("question", "rewritten"),
    [
        ("volume today", "volume 2024.05.15"),
        ("volume yesterday", "volume 2024.05.14"),
        ("volume last week", "volume from 2024.05.06 to 2024.05.12"),
        ("volume last month", "volume from 2024.04.01 to 2024.04.30"),
        ("volume this quarter", "volume from 2024.04.01 to 2024.06.30"),
        ("volume last year", "volume from 2023.01.01 to 2023.12.31"),
        ("volume year to date", "volume from 2024.01.01 to 2024.05.15"),
        ("volume past 3 days", "volume from 2024.05.13 to 2024.05.15"),
        ("volume past 20 trading days", "volume from 2024.04.18 to 2024.05.15"),
        ("volume last two months", "volume from 2024.03.16 to 2024.05.15"),
        ("volume last Friday", "volume 2024.05.10"),
        ("volume 2 weeks ago", "volume 2024.05.01"),
        ("volume on the last trading day", "volume on 2024.05.14"),
        ("昨天的成交量", "2024.05.14的成交量"),
        ("前天的成交量", "2024.05.13的成交量"),
        ("上周五的成交量", "2024.05.10的成交量"),
        ("上周的成交量", "2024.05.06 至 2024.05.12的成交量"),
        ("上个月的成交量", "2024.04.01 至 2024.04.30的成交量"),
        ("过去20个交易日的成交量", "2024.04.18 至 2024.05.15的成交量"),
        ("最近三天的成交量", "2024.05.13 至 2024.05.15的成交量"),
        ("去年的成交量", "2023.01.01 至 2023.12.31的成交量"),
        ("年初至今的成交量", "2024.01.01 至 2024.05.15的成交量"),
        ("last price of each symbol", "last price of each symbol"),
        ("the last 20 rows", "the last 20 rows"),
        ("每天的最后一个价格", "每天的最后一个价格"),
    ],
)
def test_times_become_days(question: str, rewritten: str):
    assert rewrite(question, CLOCK).text == rewritten


def test_the_day_is_that_of_the_threads_time_zone():
    late = datetime(2024, 5, 15, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    assert rewrite("today", Clock(late)).text == "2024.05.15"
    assert rewrite("today", Clock(late.astimezone(ZoneInfo("Asia/Shanghai")))).text == "2024.05.16"


def test_holidays_are_no_trading_days():
    holidays = {date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 3)}
    clock = Clock(NOW, lambda day: weekdays(day) and day not in holidays)
    assert rewrite("past 10 trading days", clock).text == "from 2024.04.29 to 2024.05.15"


def test_month_ends_do_not_overflow():
    clock = Clock(datetime(2024, 3, 31, tzinfo=ZoneInfo("UTC")))
    assert rewrite("past 1 month", clock).text == "from 2024.03.01 to 2024.03.31"
    assert rewrite("1 month ago", clock).text == "2024.02.29"


def test_terms_and_values_are_put_in_and_can_be_taken_back():
    found = rewrite(
        "sales of aapl and Zurihc yesterday",
        CLOCK,
        terms={"sales": "net amount"},
        values={"sym": ["AAPL", "MSFT"], "city": ["Zurich", "Geneva"]},
    )
    assert found.text == "sales (net amount) of AAPL and Zurich 2024.05.14"
    assert [change.kind for change in found.changes] == ["term", "value", "value", "time"]
    undone = found.without(found.changes[0], found.changes[3])
    assert undone.text == "sales of AAPL and Zurich yesterday"
    assert found.without(*found.changes).text == found.original


def test_nothing_is_guessed_between_two_values_or_from_a_columns_name():
    values = {"city": ["Marina", "Karina"], "Price": ["PRICE"]}
    assert rewrite("price in Sarina", CLOCK, values=values).changes == ()


def test_whole_words_only_and_chinese_terms():
    assert rewrite("presales", CLOCK, terms={"sales": "net amount"}).changes == ()
    assert rewrite("本公司销售额是多少", CLOCK, terms={"销售额": "净额"}).text == "本公司销售额 (净额)是多少"


def test_switched_off():
    assert rewrite("sales yesterday", CLOCK, terms={"sales": "x"}, enabled=False).text == "sales yesterday"
