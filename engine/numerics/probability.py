"""Probability distributions over arrays, by scipy.special, which is imported at the first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.values import Array

Real = Callable[..., Any]
"""Of an array or a number, and parameters."""


def _special() -> Any:
    from scipy import special

    return special


@dataclass(frozen=True)
class Distribution:
    """`cdf(x, *parameters)`, `sf` its complement, and `quantile(p, *parameters)` for 0 < p < 1.

    `ends` are the quantiles of 0 and 1.
    """

    parameters: tuple[str, ...]
    cdf: Real
    sf: Real
    quantile: Real
    ends: Callable[..., tuple[float, float]]
    valid: Callable[..., bool]

    def inverse(self, p: Any, *parameters: float) -> Array:
        """Quantiles, NaN where `p` is no probability."""
        p = np.asarray(p, dtype=np.float64)
        low, high = self.ends(*parameters)
        inside = (p > 0) & (p < 1)
        found = self.quantile(np.where(inside, p, 0.5), *parameters)
        return np.where(inside, found, np.where(p == 0, low, np.where(p == 1, high, np.nan)))


def _positive(*parameters: float) -> bool:
    return all(each > 0 for each in parameters)


def _second_positive(_: float, scale: float) -> bool:
    return scale > 0


def _from_zero(*_: float) -> tuple[float, float]:
    return 0.0, np.inf


def _everywhere(*_: float) -> tuple[float, float]:
    return -np.inf, np.inf


def _above(x: Any) -> Any:
    return np.maximum(x, 0.0)


def _unit(x: Any) -> Any:
    return np.clip(x, 0.0, 1.0)


def _binomial_cdf(x: Any, trials: float, p: float) -> Any:
    inside = np.clip(np.floor(x), 0, trials)
    return np.where(np.less(x, 0), 0.0, _special().bdtr(inside, int(trials), p))


def _binomial_sf(x: Any, trials: float, p: float) -> Any:
    inside = np.clip(np.floor(x), 0, trials)
    return np.where(np.less(x, 0), 1.0, _special().bdtrc(inside, int(trials), p))


def _poisson_cdf(x: Any, mean: float) -> Any:
    return np.where(np.less(x, 0), 0.0, _special().pdtr(np.floor(_above(x)), mean))


def _poisson_sf(x: Any, mean: float) -> Any:
    return np.where(np.less(x, 0), 1.0, _special().pdtrc(np.floor(_above(x)), mean))


def _least_whole(cdf: Real, near: Array, p: Array) -> Array:
    """The least whole number where the distribution reaches `p`, which is about `near`."""
    above = np.maximum(np.ceil(near), 0.0)
    below = np.maximum(above - 1, 0.0)
    return np.where(cdf(below) >= p, below, np.where(cdf(above) >= p, above, above + 1))


def _binomial_quantile(p: Array, trials: float, chance: float) -> Array:
    if chance in (0, 1):
        return np.full(np.shape(p), trials * chance)
    near = _special().bdtrik(p, int(trials), chance)
    return _least_whole(lambda x: _binomial_cdf(x, trials, chance), near, p)


def _poisson_quantile(p: Array, mean: float) -> Array:
    return _least_whole(lambda x: _poisson_cdf(x, mean), _special().pdtrik(p, mean), p)


def _f_cdf(x: Any, d1: float, d2: float) -> Any:
    return np.where(np.isposinf(x), 1.0, _special().fdtr(d1, d2, np.where(np.isposinf(x), 1.0, _above(x))))


def _f_sf(x: Any, d1: float, d2: float) -> Any:
    return np.where(np.isposinf(x), 0.0, _special().fdtrc(d1, d2, np.where(np.isposinf(x), 1.0, _above(x))))


BETA = Distribution(
    ("alpha", "beta"),
    lambda x, a, b: _special().betainc(a, b, _unit(x)),
    lambda x, a, b: _special().betaincc(a, b, _unit(x)),
    lambda p, a, b: _special().betaincinv(a, b, p),
    lambda *_: (0.0, 1.0),
    _positive,
)
BINOMIAL = Distribution(
    ("trials", "p"),
    _binomial_cdf,
    _binomial_sf,
    _binomial_quantile,
    lambda trials, _: (0.0, trials),
    lambda trials, p: trials > 0 and trials == int(trials) and 0 <= p <= 1,
)
CHI_SQUARE = Distribution(
    ("df",),
    lambda x, df: _special().gammainc(df / 2, _above(x) / 2),
    lambda x, df: _special().gammaincc(df / 2, _above(x) / 2),
    lambda p, df: 2 * _special().gammaincinv(df / 2, p),
    _from_zero,
    _positive,
)
EXPONENTIAL = Distribution(
    ("mean",),
    lambda x, mean: -np.expm1(-_above(x) / mean),
    lambda x, mean: np.exp(-_above(x) / mean),
    lambda p, mean: -mean * np.log1p(-p),
    _from_zero,
    _positive,
)
F = Distribution(
    ("numeratorDF", "denominatorDF"),
    _f_cdf,
    _f_sf,
    lambda p, d1, d2: _special().fdtri(d1, d2, p),
    _from_zero,
    _positive,
)
GAMMA = Distribution(
    ("shape", "scale"),
    lambda x, shape, scale: _special().gammainc(shape, _above(x) / scale),
    lambda x, shape, scale: _special().gammaincc(shape, _above(x) / scale),
    lambda p, shape, scale: scale * _special().gammaincinv(shape, p),
    _from_zero,
    _positive,
)
LOGISTIC = Distribution(
    ("mean", "s"),
    lambda x, mean, s: _special().expit((x - mean) / s),
    lambda x, mean, s: _special().expit((mean - x) / s),
    lambda p, mean, s: mean + s * _special().logit(p),
    _everywhere,
    _second_positive,
)
NORMAL = Distribution(
    ("mean", "stdev"),
    lambda x, mean, std: _special().ndtr((x - mean) / std),
    lambda x, mean, std: _special().ndtr((mean - x) / std),
    lambda p, mean, std: mean + std * _special().ndtri(p),
    _everywhere,
    _second_positive,
)
POISSON = Distribution(("mean",), _poisson_cdf, _poisson_sf, _poisson_quantile, _from_zero, _positive)
STUDENT = Distribution(
    ("df",),
    lambda x, df: _special().stdtr(df, x),
    lambda x, df: _special().stdtr(df, -x),
    lambda p, df: _special().stdtrit(df, p),
    _everywhere,
    _positive,
)
UNIFORM = Distribution(
    ("lower", "upper"),
    lambda x, low, high: _unit((x - low) / (high - low)),
    lambda x, low, high: _unit((high - x) / (high - low)),
    lambda p, low, high: low + p * (high - low),
    lambda low, high: (low, high),
    lambda low, high: high > low,
)
WEIBULL = Distribution(
    ("alpha", "beta"),
    lambda x, alpha, beta: -np.expm1(-((_above(x) / beta) ** alpha)),
    lambda x, alpha, beta: np.exp(-((_above(x) / beta) ** alpha)),
    lambda p, alpha, beta: beta * (-np.log1p(-p)) ** (1 / alpha),
    _from_zero,
    _positive,
)

DISTRIBUTIONS: dict[str, Distribution] = {
    "Beta": BETA,
    "Binomial": BINOMIAL,
    "ChiSquare": CHI_SQUARE,
    "Exp": EXPONENTIAL,
    "F": F,
    "Gamma": GAMMA,
    "Logistic": LOGISTIC,
    "Normal": NORMAL,
    "Poisson": POISSON,
    "Student": STUDENT,
    "Uniform": UNIFORM,
    "Weibull": WEIBULL,
}
"""By what follows cdf and inv in the names of their functions."""


def zipf_cdf(x: Array, number: float, exponent: float) -> Array:
    """Of 1 to `number`, each as probable as its power by minus `exponent`."""
    reached = np.concatenate([[0.0], np.cumsum(np.arange(1, int(number) + 1) ** -exponent)])
    known = np.clip(np.nan_to_num(np.floor(x)), 0, int(number)).astype(np.int64)
    return np.where(np.isnan(x), np.nan, reached[known] / reached[-1])


def normal_pdf(x: Array, mean: float, std: float) -> Array:
    return np.asarray(np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)))


def chi_square_pdf(x: Array, df: float) -> Array:
    special, here = _special(), _above(x)
    height = np.exp(special.xlogy(df / 2 - 1, here) - here / 2 - df / 2 * np.log(2) - special.gammaln(df / 2))
    return np.where(np.less(x, 0), 0.0, height)


def f_pdf(x: Array, d1: float, d2: float) -> Array:
    special, here = _special(), _above(x)
    scaled = d1 / 2 * np.log(d1 / d2) + special.xlogy(d1 / 2 - 1, here)
    height = np.exp(scaled - (d1 + d2) / 2 * np.log1p(d1 * here / d2) - special.betaln(d1 / 2, d2 / 2))
    return np.where(np.less(x, 0), 0.0, height)


def kolmogorov_sf(x: Array) -> Array:
    """The limit of P(sqrt(n) D > x)."""
    return np.asarray(_special().kolmogorov(x))
