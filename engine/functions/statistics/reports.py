"""What is told of a regression: its coefficients, its sums of squares and how well it fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.aggregation.basic import doubles
from engine.numerics.probability import STUDENT, F
from engine.types import Type
from engine.values import Array, Table, vector


def coefficients(names: Sequence[str], beta: Array, deviation: Array, freedom: int) -> Table:
    """A row for each coefficient: its standard error, and how unlikely it is if there is no such effect."""
    with np.errstate(all="ignore"):
        t = beta / deviation
    p = np.where(np.isfinite(t) & (freedom > 0), 2 * STUDENT.sf(np.abs(t), freedom), np.nan)
    return Table(
        ["factor", "beta", "stdError", "tstat", "pvalue"],
        [vector(Type.STRING, list(names)), doubles(beta), doubles(deviation), doubles(t), doubles(p)],
    )


def variance_analysis(explained: float, error: float, total: float, width: int, freedom: int) -> Table:
    """Sums of squares of `width` factors, of what they leave, and of both."""
    mean = explained / width if width else math.nan
    spread = error / freedom if freedom > 0 else math.nan
    f = mean / spread if spread else math.nan
    significance = float(F.sf(f, width, freedom)) if math.isfinite(f) and freedom > 0 else math.nan
    columns = [[explained, error, total], [mean, spread, np.nan], [f, np.nan, np.nan], [significance, np.nan, np.nan]]
    return Table(
        ["Breakdown", "DF", "SS", "MS", "F", "Significance"],
        [
            vector(Type.STRING, ["Regression", "Residual", "Total"]),
            vector(Type.INT, [width, freedom, width + freedom]),
            *(doubles(np.array(column)) for column in columns),
        ],
    )


def goodness(r2: float, error: float, width: int, freedom: int, rows: int) -> Table:
    """How much of the variance is explained, also for each degree of freedom, and what is left."""
    adjusted = 1 - (1 - r2) * (width + freedom) / freedom if freedom > 0 else math.nan
    left = math.sqrt(error / freedom) if freedom > 0 else math.nan
    return Table(
        ["item", "statistics"],
        [
            vector(Type.STRING, ["R2", "AdjustedR2", "StdError", "Observations"]),
            doubles(np.array([r2, adjusted, left, rows])),
        ],
    )
