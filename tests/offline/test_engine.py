"""The offline model's scripts run on the embedded engine, its answers compared with pandas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dolphindb
import pandas
import pytest
from offline.world import World
from vega_datasets import data

from dolphin.results import preview, python_result
from engine.launcher import start, stop

pytestmark = pytest.mark.e2e

QUESTIONS = [
    tuple(block.split("\n", 1))
    for block in Path(__file__).with_name("questions.txt").read_text(encoding="utf-8").strip().split("\n\n")
]

SAMPLES = """
n = 500
seconds = 1000 * (0..(n - 1))
trades = table(take(`AAPL`MSFT`GOOG, n)$SYMBOL as sym, 2024.03.01T09:30:00.000 + seconds as ts,
    100.0 + (0..(n - 1)) % 17 as price, take(1..9, n) as qty)
quotes = table(take(`AAPL`MSFT, n)$SYMBOL as sym, 2024.03.01T09:30:00.000 + seconds as ts,
    99.5 + (0..(n - 1)) % 7 as bid, 100.5 + (0..(n - 1)) % 7 as ask, take(1..9, n) as bidSize, take(2..5, n) as askSize)
timeseries = table(take(`d1`d2, n)$SYMBOL as device, 2024.03.01T00:00:00.000 + 60 * seconds as ts,
    20.0 + (0..(n - 1)) % 13 as temperature, 40.0 + (0..(n - 1)) % 29 as humidity)
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dolphindb.Session]:
    folder = tmp_path_factory.mktemp("engine")
    endpoint = start(folder, idle_seconds=60)
    session = dolphindb.Session()
    assert session.connect(endpoint.host, endpoint.port, endpoint.user, endpoint.password)
    session.run(SAMPLES)
    weather = data.seattle_weather()
    session.upload({"raw_stocks": data.stocks(), "raw_weather": weather})
    session.run(
        "stocks = table(symbol(raw_stocks[`symbol]) as symbol, date(raw_stocks[`date]) as date, "
        "raw_stocks[`price] as price)"
    )
    names = ["precipitation", "temp_max", "temp_min", "wind"]
    columns = ", ".join(f"raw_weather[`{name}] as {name}" for name in names)
    session.run(
        'weather = table(symbol(take("Seattle", size(raw_weather))) as location, date(raw_weather[`date]) as date, '
        f"{columns}, symbol(raw_weather[`weather]) as weather)"
    )
    yield session
    session.close()
    stop(folder)


def world(session: dolphindb.Session, table: str) -> World:
    def run(script: str) -> str:
        try:
            return preview(python_result(session.run(script))).text
        except RuntimeError as error:
            message = re.sub(r"^.*Server Response: '|' script:.*$", "", str(error), flags=re.DOTALL)
            columns = ", ".join(session.run(f"schema({table}).colDefs")["name"])
            return f"ERROR: {message}\nHINT: columns of {table}: {columns}"

    return World([table], run=run)


@pytest.mark.parametrize(("question", "script"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_every_question_is_answered_by_a_script_that_runs(
    session: dolphindb.Session, question: str, script: str
) -> None:
    found = re.match(r"\[(\w+)\] (.*)", question)
    assert found
    thread = world(session, found[1])
    answer = thread.ask(found[2])
    assert "ERROR" not in answer
    assert thread.names[-1] == "attempt_completion"
    if "closing_price" not in question:
        assert thread.scripts == [script]
    assert re.search(r"\d", answer) or "No rows" in answer or "没有" in answer


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def expect(answer: str, value: float) -> None:
    assert any(number == pytest.approx(value, rel=1e-9) for number in numbers(answer)), (answer, value)


@pytest.fixture(scope="module")
def stocks() -> pandas.DataFrame:
    return data.stocks()


def test_averages_agree_with_pandas(session: dolphindb.Session, stocks: pandas.DataFrame) -> None:
    chosen = stocks[(stocks["symbol"] == "MSFT") & (stocks["date"].dt.year == 2008)]
    expect(world(session, "stocks").ask("average price of MSFT in 2008"), chosen["price"].mean())
    expect(world(session, "stocks").ask("2008年MSFT的平均价格"), chosen["price"].mean())


def test_the_stock_that_gained_most_agrees_with_pandas(session: dolphindb.Session, stocks: pandas.DataFrame) -> None:
    prices = stocks[stocks["date"].dt.year == 2009].sort_values("date").groupby("symbol")["price"]
    returns = prices.last() / prices.first() - 1
    answer = world(session, "stocks").ask("which stock gained most in 2009")
    assert f"Highest return: {returns.idxmax()}" in answer
    expect(answer, returns.max())


def test_drawdowns_agree_with_pandas(session: dolphindb.Session, stocks: pandas.DataFrame) -> None:
    ordered = stocks.sort_values("date")
    drawdowns = 1 - ordered["price"] / ordered.groupby("symbol")["price"].cummax()
    expect(world(session, "stocks").ask("每只股票的最大回撤"), drawdowns.max())


def test_correlations_agree_with_pandas(session: dolphindb.Session, stocks: pandas.DataFrame) -> None:
    wide = stocks.pivot_table(index="date", columns="symbol", values="price")
    expect(world(session, "stocks").ask("correlation between AAPL and MSFT"), wide["AAPL"].corr(wide["MSFT"]))


def test_weather_agrees_with_pandas(session: dolphindb.Session) -> None:
    weather = data.seattle_weather()
    rainy = weather[(weather["date"].dt.year == 2012) & (weather["weather"] == "rain")]
    expect(world(session, "weather").ask("how many days did it rain in 2012"), len(rainy))
    year = weather[weather["date"].dt.year == 2013]
    expect(world(session, "weather").ask("2013年的最高气温是多少"), year["temp_max"].max())


def test_a_table_saved_to_a_database_can_be_read_back(session: dolphindb.Session, stocks: pandas.DataFrame) -> None:
    answer = world(session, "stocks").ask("save stocks to database dfs://offline_market as prices")
    expect(answer, len(stocks))
    assert session.run('exec count(*) from loadTable("dfs://offline_market", "prices")') == len(stocks)


def test_a_file_is_loaded_and_asked(session: dolphindb.Session, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("symbol,date,price\nA,2024.01.02,1.5\nA,2024.01.03,2.5\nB,2024.01.03,4\n")
    expect(world(session, "stocks").ask(f"load {path} as loaded_prices"), 3)
    assert session.run("exec avg(price) from loaded_prices where symbol == `A") == 2.0


def test_rows_are_deleted(session: dolphindb.Session) -> None:
    session.run("trades_copy = select * from trades")
    before = session.run("exec count(*) from trades where sym != `AAPL")
    expect(world(session, "trades").ask("delete rows from trades where sym is AAPL"), before)
    assert session.run("exec count(*) from trades") == before
    session.run("trades = trades_copy")
