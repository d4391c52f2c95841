"""cdf*, inv* and pdf* functions of probability distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import float_argument
from engine.errors import CallError
from engine.functions.registry import Registry
from engine.numerics.probability import (
    CHI_SQUARE,
    DISTRIBUTIONS,
    NORMAL,
    Distribution,
    F,
    chi_square_pdf,
    f_pdf,
    kolmogorov_sf,
    normal_pdf,
    zipf_cdf,
)
from engine.values import Array, Value, Vector

functions = Registry()


def _over(compute: Callable[[Array], Array], x: Value) -> Value:
    def kernel(column: Vector) -> Vector:
        with np.errstate(all="ignore"):
            return doubles(compute(numbers(column)))

    return lifting.elementwise(kernel, [x])


def _declare(name: str, parameters: tuple[str, ...], valid: Callable[..., bool], compute: Callable[..., Array]) -> None:
    @functions.builtin(name, ", ".join((*parameters, "X")))
    def evaluate(*values: Value) -> Value:
        given = [float_argument(v, p) for v, p in zip(values, parameters, strict=False)]
        if not valid(*given):
            raise CallError(f"{' and '.join(parameters)} are out of range.")
        return _over(lambda x: compute(x, *given), values[-1])


def _declare_density(name: str, distribution: Distribution, density: Callable[..., Array]) -> None:
    _declare(f"pdf{name}", distribution.parameters, distribution.valid, density)


for _name, _distribution in DISTRIBUTIONS.items():
    _declare(f"cdf{_name}", _distribution.parameters, _distribution.valid, _distribution.cdf)
    _declare(f"inv{_name}", _distribution.parameters, _distribution.valid, _distribution.inverse)
_declare("cdfZipf", ("num", "exponent"), lambda number, exponent: number >= 1 and exponent >= 0, zipf_cdf)
_declare_density("Normal", NORMAL, normal_pdf)
_declare_density("ChiSquare", CHI_SQUARE, chi_square_pdf)
_declare_density("F", F, f_pdf)


@functions.builtin("cdfKolmogorov", "X")
def cdf_kolmogorov(x: Value) -> Value:
    """As documented, the probability of a greater value."""
    return _over(kolmogorov_sf, x)
