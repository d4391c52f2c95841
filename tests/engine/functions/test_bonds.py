from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import ScriptError, UnsupportedError
from engine.values import Dictionary, Scalar, Value, Vector

Run = Callable[[str], Value]
Show = Callable[[str], str]

NOTE = "2007.11.15, 2017.11.15, 100, 0.0575, 2, 'Thirty360US', 'FixedRate', 2008.02.15"
"""The example of Excel's PRICE."""


def number(value: Value) -> float:
    assert isinstance(value, Scalar)
    return float(value.value)


def test_prices_and_yields_are_those_of_excel(run: Run) -> None:
    clean = number(run(f"bondDirtyPrice({NOTE}, 0.065, `YTM) - bondAccrInt({NOTE})"))
    assert clean == pytest.approx(94.63436, abs=1e-5)
    assert number(run(f"bondYield({NOTE}, {clean}, `CleanPrice)")) == pytest.approx(0.065)
    found = run(
        "bondDuration(2018.01.01, 2048.01.01, 100, 0.08, 2, `ActualActualISMA, `FixedRate, 2018.07.01, 0.09, `YTM)"
    )
    assert number(found) == pytest.approx(10.9191453)


@pytest.mark.parametrize("settlement", ["2008.02.15", "2017.05.15", "2017.08.01"])
def test_convexity_is_the_second_derivative_of_the_price(run: Run, settlement: str) -> None:
    bond = f"2007.11.15, 2017.11.15, 100, 0.0575, 2, 'ActualActualISMA', 'FixedRate', {settlement}"
    prices = run(f"bondDirtyPrice({bond}, 0.0499 0.05 0.0501, `YTM)")
    assert isinstance(prices, Vector)
    before, here, after = (float(price) for price in prices.data)
    expected = (before - 2 * here + after) / 1e-8 / here
    assert number(run(f"bondConvexity({bond}, 0.05, `YTM)")) == pytest.approx(expected, rel=1e-4)
    yields = run(f"bondYield({bond}, {here}, `DirtyPrice, `newton`nm)")
    assert isinstance(yields, Vector)
    assert yields.data[0] == pytest.approx(0.05)
    assert yields.data[1] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("kind", ["YTM", "CleanPrice", "DirtyPrice"])
def test_prices_and_yields_of_the_interbank_market_follow_from_each_other(run: Run, kind: str) -> None:
    bond = "2022.07.15, 2072.07.15, 100, 0.034, `Semiannual, `ActualActual, `FixedRate, `CFET, `Unadjusted"
    given = {"YTM": 0.02, "CleanPrice": 142.6705822186898, "DirtyPrice": 143.46892476012624}
    found = run(f"bondCalculator({bond}, 2025.04.10, {given[kind]}, `{kind}, true)")
    assert isinstance(found, Dictionary)
    assert {name: number(value) for name, value in found.items.items()} == pytest.approx(
        {
            "dirtyPrice": 143.4689,
            "cleanPrice": 142.6705,
            "ytm": 0.02,
            "accruedInterest": 0.7983,
            "macaulayDuration": 27.4761,
            "modifiedDuration": 27.2041,
            "convexity": 1025.4003,
            "pvbp": 0.3902,
        },
        abs=1e-4,
    )


def test_cash_flows_of_several_bonds(show: Show) -> None:
    bonds = "[2022.09.28, 2025.03.28], 2025.09.28, 0.078, `Annual`Semiannual, `Thirty360EU, `FixedRate"
    assert show(f"bondCashflow({bonds})") == "[[7.8,7.8,107.8],[103.9]]"
    assert show(f"bondCashflow({bonds}, `Table)[1].paymentDate") == "[2025.09.28]"
    assert show("bondCashflow(2022.09.28, 2023.09.28, 0.0, 0, `Actual365, `Discount)") == "[100]"


def test_bonds_that_are_refused(run: Run) -> None:
    with pytest.raises(UnsupportedError, match="Actual360"):
        run("bondAccrInt(2024.01.01, 2030.01.01, 100, 0.1, 2, `Actual360, `FixedRate, 2024.05.15)")
    with pytest.raises(ScriptError, match="settlement"):
        run("bondAccrInt(2024.01.01, 2030.01.01, 100, 0.1, 2, `Thirty360US, `FixedRate, 2031.05.15)")
    with pytest.raises(ScriptError, match="frequency"):
        run("bondAccrInt(2024.01.01, 2030.01.01, 100, 0.1, 3, `Thirty360US, `FixedRate, 2024.05.15)")
