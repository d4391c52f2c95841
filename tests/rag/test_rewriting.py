from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from rag.rewriting import Clock, Values, rewrite
from rag.rewriting.clock import weekdays

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
        ("volume in the past 3 days", "volume from 2024.05.13 to 2024.05.15"),
        ("last month's volume", "from 2024.04.01 to 2024.04.30 volume"),
        ("yesterday's volume", "2024.05.14 volume"),
        ("volume since last month", "volume since 2024.04.01"),
        ("volume before last month", "volume before 2024.04.01"),
        ("volume until last month", "volume until 2024.04.30"),
        ("volume between last month and this month", "volume between 2024.04.01 and 2024.05.31"),
        ("price at the end of last month", "price at 2024.04.30"),
        ("volume on Friday of last week", "volume on 2024.05.10"),
        ("volume in Q3 last year", "volume from 2023.07.01 to 2023.09.30"),
        ("the second quarter of last year", "from 2023.04.01 to 2023.06.30"),
        ("volume in last year's Q1", "volume from 2023.01.01 to 2023.03.31"),
        ("volume in March last year", "volume from 2023.03.01 to 2023.03.31"),
        ("first half of last year", "from 2023.01.01 to 2023.06.30"),
        ("volume 2 trading days ago", "volume 2024.05.13"),
        ("volume week to date", "volume from 2024.05.13 to 2024.05.15"),
        ("近20个交易日成交量", "2024.04.18 至 2024.05.15成交量"),
        ("前一交易日成交量", "2024.05.14成交量"),
        ("本季度成交量", "2024.04.01 至 2024.06.30成交量"),
        ("上季度成交量", "2024.01.01 至 2024.03.31成交量"),
        ("上个月以来的成交量", "2024.04.01 至 2024.05.15的成交量"),
        ("上个月之前的成交量", "2024.04.01之前的成交量"),
        ("去年3月的成交量", "2023.03.01 至 2023.03.31的成交量"),
        ("去年12月25日的成交量", "2023.12.25的成交量"),
        ("去年第三季度的成交量", "2023.07.01 至 2023.09.30的成交量"),
        ("去年下半年的成交量", "2023.07.01 至 2023.12.31的成交量"),
        ("去年底的价格", "2023.12.31的价格"),
        ("上月底的价格", "2024.04.30的价格"),
        ("上个月5号的价格", "2024.04.05的价格"),
        ("上周末的温度", "2024.05.11 至 2024.05.12的温度"),
        ("近半年的成交量", "2023.11.16 至 2024.05.15的成交量"),
        ("the last trading day of each month", "the last trading day of each month"),
        ("volume in the last week of March", "volume in the last week of March"),
        ("volume in the last quarter of 2023", "volume in the last quarter of 2023"),
        ("last 3 days of every month", "last 3 days of every month"),
        ("volume last month of AAPL", "volume from 2024.04.01 to 2024.04.30 of AAPL"),
        ("each month against the previous month", "each month against the previous month"),
        ("每个月与上月相比", "每个月与上月相比"),
        ("每只股票上个月的成交量", "每只股票2024.04.01 至 2024.04.30的成交量"),
        ("涨幅最大的前5天", "涨幅最大的前5天"),
        ("去年同期的成交量", "去年同期的成交量"),
        ("近20日均线", "近20日均线"),
        ("20日均线", "20日均线"),
        ("moving average over the past 20 days", "moving average over the past 20 days"),
        ("run: select * from t where date = today()", "run: select * from t where date = today()"),
        ("what does `last month` mean", "what does `last month` mean"),
        ("the previous day's close of each day", "the previous day's close of each day"),
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


def test_a_weekend_counts_back_to_friday():
    sunday = Clock(datetime(2024, 5, 12, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    assert rewrite("last trading day", sunday).text == "2024.05.10"
    assert rewrite("past 2 trading days", sunday).text == "from 2024.05.09 to 2024.05.10"
    assert rewrite("上周五", sunday).text == "2024.05.03"
    assert rewrite("last Friday", sunday).text == "2024.05.10"


def test_month_ends_do_not_overflow():
    clock = Clock(datetime(2024, 3, 31, tzinfo=ZoneInfo("UTC")))
    assert rewrite("past 1 month", clock).text == "from 2024.03.01 to 2024.03.31"
    assert rewrite("1 month ago", clock).text == "2024.02.29"


def test_terms_and_values_are_put_in_and_can_be_taken_back():
    found = rewrite(
        "sales of aapl and Zurihc yesterday",
        CLOCK,
        terms={"sales": "net amount"},
        values=[Values("sym", frozenset(["AAPL", "MSFT"])), Values("city", frozenset(["Zurich", "Geneva"]))],
    )
    assert found.text == "sales (net amount) of AAPL and Zurich 2024.05.14"
    assert [change.kind for change in found.changes] == ["term", "value", "value", "time"]
    undone = found.without(found.changes[0].original, found.changes[3].original.upper())
    assert undone.text == "sales of AAPL and Zurich yesterday"
    assert found.without(*(change.original for change in found.changes)).text == found.original


def test_nothing_is_guessed_between_two_values_or_from_a_columns_name():
    values = [Values("city", frozenset(["Marina", "Karina"])), Values("Price", frozenset(["PRICE"]))]
    assert rewrite("price in Sarina", CLOCK, values=values).changes == ()


@pytest.mark.parametrize(
    ("question", "rewritten"),
    [
        ("price of aapl", "price of AAPL"),
        ("aapl的均价", "AAPL的均价"),
        ("rain in Shangai and new york", "rain in Shanghai and New York"),
        ("在new york的降雨", "在New York的降雨"),
        ("600519.sh closes", "600519.SH closes"),
        ("the low price of all cities", "the low price of all cities"),
        ("trades in Shanghai", "trades in Shanghai"),
        ("correlate pairs by city", "correlate pairs by city"),
        ("pumps in shangai", "pumps in Shanghai"),
    ],
)
def test_words_become_the_values_that_are_meant(question: str, rewritten: str):
    values = [
        Values("sym", frozenset(["AAPL", "LOW", "ALL", "600519.SH", "trade"])),
        Values("city", frozenset(["Shanghai", "New York", "Paris", "pump1"])),
    ]
    assert rewrite(question, CLOCK, values=values).text == rewritten


def test_names_of_tables_and_columns_are_no_values():
    values = [Values("kind", frozenset(["Trader", "Venue"]), names=frozenset(["traders", "venues"]))]
    assert rewrite("venues of Traders", CLOCK, values=values).changes == ()


def test_spelling_is_corrected_only_where_all_values_are_known():
    values = [Values("city", frozenset(["Marina"]), complete=False)]
    assert rewrite("price in Sarina and marina", CLOCK, values=values).text == "price in Sarina and Marina"


def test_whole_words_only_and_chinese_terms():
    assert rewrite("presales", CLOCK, terms={"sales": "net amount"}).changes == ()
    assert rewrite("本公司销售额是多少", CLOCK, terms={"销售额": "净额"}).text == "本公司销售额 (净额)是多少"
    assert rewrite("本月GMV是多少", CLOCK, terms={"gmv": "net"}).changes[1].replacement == "GMV (net)"
    assert rewrite("sales, and sales by day", CLOCK, terms={"sales": "net"}).text == "sales (net), and sales by day"


def test_a_question_that_defines_a_word_is_left_alone():
    for question in ("by sales I mean gross amount", "我说的sales是指毛额"):
        assert rewrite(question, CLOCK, terms={"sales": "net amount"}).changes == ()


def test_switched_off():
    assert rewrite("sales yesterday", CLOCK, terms={"sales": "x"}, enabled=False).text == "sales yesterday"
