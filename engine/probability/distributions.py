"""Distribution functions and their inverses, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from engine.probability.special import beta_i, gamma_p, normal_cdf, normal_quantile, student_cdf, student_quantile

Real = Callable[..., float]


@dataclass(frozen=True)
class Distribution:
    """`cdf(x, *parameters)`; `quantile(p, *parameters)` is found by bisection if not given."""

    parameters: tuple[str, ...]
    cdf: Real
    quantile: Real | None = None
    valid: Callable[..., bool] = lambda *_: True
    discrete: bool = False
    lower: float = -math.inf
    upper: float = math.inf

    def inverse(self, p: float, *parameters: float) -> float:
        if not 0 <= p <= 1:
            return math.nan
        if self.quantile is not None:
            return self.quantile(p, *parameters)
        return self._whole(p, parameters) if self.discrete else self._bisected(p, parameters)

    def _bisected(self, p: float, parameters: tuple[float, ...]) -> float:
        if p == 0:
            return self.lower
        if p == 1:
            return self.upper
        low = self.lower if math.isfinite(self.lower) else -1.0
        high = self.upper if math.isfinite(self.upper) else 1.0
        while self.cdf(high, *parameters) < p:
            high *= 2
        while not math.isfinite(self.lower) and self.cdf(low, *parameters) > p:
            low *= 2
        for _ in range(400):
            middle = low + (high - low) / 2
            if middle in (low, high):
                break
            if self.cdf(middle, *parameters) < p:
                low = middle
            else:
                high = middle
        return high

    def _whole(self, p: float, parameters: tuple[float, ...]) -> float:
        if p == 1 and math.isinf(self.upper):
            return math.inf
        low, high = -1, 1
        while self.cdf(high, *parameters) < p:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.cdf(middle, *parameters) < p else (low, middle)
        return float(high)


def _positive(*parameters: float) -> bool:
    return all(each > 0 for each in parameters)


def _second_positive(_: float, scale: float) -> bool:
    return scale > 0


def f_cdf(x: float, d1: float, d2: float) -> float:
    return beta_i(d1 / 2, d2 / 2, d1 * x / (d1 * x + d2)) if x > 0 else 0.0


def chi_square_cdf(x: float, df: float) -> float:
    return gamma_p(df / 2, x / 2) if x > 0 else 0.0


def _binomial(x: float, trials: float, p: float) -> float:
    k = math.floor(x)
    if k < 0:
        return 0.0
    return 1.0 if k >= trials else 1.0 - beta_i(k + 1, trials - k, p)


def _poisson(x: float, mean: float) -> float:
    k = math.floor(x)
    return 0.0 if k < 0 else 1.0 - gamma_p(k + 1, mean)


def _zipf(x: float, number: float, exponent: float) -> float:
    k = min(math.floor(x), int(number))
    if k < 1:
        return 0.0
    weights = [i**-exponent for i in range(1, int(number) + 1)]
    return math.fsum(weights[:k]) / math.fsum(weights)


def _logit(p: float) -> float:
    if p in (0, 1):
        return math.inf if p else -math.inf
    return math.log(p / (1 - p))


def _minus_log(p: float) -> float:
    return math.inf if p == 1 else -math.log1p(-p)


DISTRIBUTIONS: dict[str, Distribution] = {
    "Beta": Distribution(("alpha", "beta"), lambda x, a, b: beta_i(a, b, x), valid=_positive, lower=0.0, upper=1.0),
    "Binomial": Distribution(
        ("trials", "p"), _binomial, valid=lambda n, p: n > 0 and 0 <= p <= 1, discrete=True, lower=0.0, upper=0.0
    ),
    "ChiSquare": Distribution(("df",), chi_square_cdf, valid=_positive, lower=0.0),
    "Exp": Distribution(
        ("mean",),
        lambda x, mean: -math.expm1(-x / mean) if x > 0 else 0.0,
        lambda p, mean: mean * _minus_log(p),
        _positive,
    ),
    "F": Distribution(("numeratorDF", "denominatorDF"), f_cdf, valid=_positive, lower=0.0),
    "Gamma": Distribution(
        ("shape", "scale"), lambda x, shape, scale: gamma_p(shape, x / scale), valid=_positive, lower=0.0
    ),
    "Logistic": Distribution(
        ("mean", "s"),
        lambda x, mean, s: 0.5 * (1 + math.tanh((x - mean) / s / 2)),
        lambda p, mean, s: mean + s * _logit(p),
        _second_positive,
    ),
    "Normal": Distribution(
        ("mean", "stdev"),
        lambda x, mean, std: normal_cdf((x - mean) / std),
        lambda p, mean, std: mean + std * normal_quantile(p),
        _second_positive,
    ),
    "Poisson": Distribution(("mean",), _poisson, valid=_positive, discrete=True, lower=0.0),
    "Student": Distribution(("df",), student_cdf, student_quantile, _positive),
    "Uniform": Distribution(
        ("lower", "upper"),
        lambda x, low, high: min(max((x - low) / (high - low), 0.0), 1.0),
        lambda p, low, high: low + p * (high - low),
        lambda low, high: high > low,
    ),
    "Weibull": Distribution(
        ("alpha", "beta"),
        lambda x, alpha, beta: -math.expm1(-((x / beta) ** alpha)) if x > 0 else 0.0,
        lambda p, alpha, beta: beta * _minus_log(p) ** (1 / alpha),
        _positive,
    ),
}
ZIPF = Distribution(("num", "exponent"), _zipf, valid=lambda n, s: n >= 1 and s >= 0)


def normal_pdf(x: float, mean: float, std: float) -> float:
    return math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def chi_square_pdf(x: float, df: float) -> float:
    if x <= 0:
        return 0.0
    return math.exp((df / 2 - 1) * math.log(x) - x / 2 - df / 2 * math.log(2) - math.lgamma(df / 2))


def f_pdf(x: float, d1: float, d2: float) -> float:
    if x <= 0:
        return 0.0
    log_beta = math.lgamma(d1 / 2) + math.lgamma(d2 / 2) - math.lgamma((d1 + d2) / 2)
    scaled = d1 / 2 * math.log(d1 / d2) + (d1 / 2 - 1) * math.log(x)
    return math.exp(scaled - (d1 + d2) / 2 * math.log1p(d1 * x / d2) - log_beta)
