"""Damaged scripts and messages for a few seconds; `python -m benchmarks.fuzz` runs as many as one likes."""

from __future__ import annotations

import logging

import pytest

from benchmarks.fuzz import run

# What numpy warns about in the middle of a computation is no failure of the engine here.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("engine").setLevel(logging.CRITICAL)


@pytest.mark.parametrize(("kind", "cases"), [("grammar", 4000), ("scripts", 700), ("wire", 5000)])
def test_damage_is_refused(kind: str, cases: int) -> None:
    report = run(kind, cases, seed=11)
    assert report.cases == cases
    assert report.failures == []
    assert cases // 20 < report.refused < cases
    assert report.grown < 64 << 20
