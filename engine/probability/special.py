"""Special functions by scipy, which is imported at the first use: most scripts need none of them."""

from __future__ import annotations

import math


def gamma_p(a: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(a, x)."""
    from scipy import special

    return float(special.gammainc(a, max(x, 0.0)))


def beta_i(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    from scipy import special

    return float(special.betainc(a, b, min(max(x, 0.0), 1.0)))


def student_cdf(x: float, df: float) -> float:
    from scipy import special

    return float(special.stdtr(df, x))


def student_quantile(p: float, df: float) -> float:
    from scipy import special

    return float(special.stdtrit(df, p))


def kolmogorov_survival(x: float) -> float:
    """The limit of P(sqrt(n) D > x)."""
    from scipy import special

    return float(special.kolmogorov(x))


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    from statistics import NormalDist

    if p <= 0 or p >= 1:
        return -math.inf if p == 0 else math.inf if p == 1 else math.nan
    return NormalDist().inv_cdf(p)
