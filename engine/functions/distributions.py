"""cdf*, inv* and pdf* functions of probability distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import float_argument
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.probability.distributions import DISTRIBUTIONS, ZIPF, Distribution, chi_square_pdf, f_pdf, normal_pdf
from engine.probability.special import kolmogorov_survival
from engine.values import Value, Vector

functions = Registry()


def _over(compute: Callable[[float], float], x: Value) -> Value:
    def kernel(column: Vector) -> Vector:
        values = numbers(column)
        return doubles(np.array([math.nan if math.isnan(v) else compute(v) for v in values.tolist()], dtype=np.float64))

    return lifting.elementwise(kernel, [x])


def _declare(name: str, distribution: Distribution, compute: Callable[..., float]) -> None:
    @functions.builtin(name, ", ".join((*distribution.parameters, "X")))
    def evaluate(*values: Value) -> Value:
        given = [float_argument(v, p) for v, p in zip(values, distribution.parameters, strict=False)]
        if not distribution.valid(*given):
            raise CallError(f"{' and '.join(distribution.parameters)} are out of range.")
        return _over(lambda x: compute(x, *given), values[-1])


for _name, _distribution in DISTRIBUTIONS.items():
    _declare(f"cdf{_name}", _distribution, _distribution.cdf)
    _declare(f"inv{_name}", _distribution, _distribution.inverse)
_declare("cdfZipf", ZIPF, ZIPF.cdf)
_declare("pdfNormal", DISTRIBUTIONS["Normal"], normal_pdf)
_declare("pdfChiSquare", DISTRIBUTIONS["ChiSquare"], chi_square_pdf)
_declare("pdfF", DISTRIBUTIONS["F"], f_pdf)


@functions.builtin("cdfKolmogorov", "X")
def cdf_kolmogorov(x: Value) -> Value:
    """As documented, the probability of a greater value."""
    return _over(kolmogorov_survival, x)
