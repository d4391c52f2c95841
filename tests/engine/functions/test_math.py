from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.aggregation.rows import numbers
from engine.errors import ScriptError
from engine.forms import as_vector
from engine.numerics.probability import DISTRIBUTIONS
from engine.values import AnyVector, Matrix, Scalar, Value

Run = Callable[[str], Value]
Show = Callable[[str], str]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("sqrt(4 -1 NULL)", "[2,,]"),
        ("round(-2.5)", "-3"),
        ("round(2.155, 2)", "2.16"),
        ("floor(-2.1)", "-3"),
        ("ceil(2.1 NULL)", "[3,]"),
        ("abs(-3 NULL)", "[3,]"),
        ("signum(-2 0 5)", "[-1,0,1]"),
        ("log(0 1)", "[,0]"),
        ("clip(1 5 9, 2, 6)", "[2,5,6]"),
        ("det(matrix(1 2, 3 4))", "-2"),
        ("polynomial(2, 1 2 3)", "17"),
        ("spearmanr(1 2 3, 10 30 20)", "0.5"),
        ("kendall(1 2 3, 1 2 3)", "1"),
        ("vectorNorm(3 4)", "5"),
    ],
)
def test_math(show: Show, script: str, expected: str) -> None:
    assert show(script) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cdfNormal(0, 1, 1.96)", 0.9750021048517795),
        ("cdfStudent(5, 2.0)", 0.9490302605850709),
        ("cdfChiSquare(3, 7.814727903251179)", 0.95),
        ("cdfF(3, 10, 3.708264819)", 0.95),
        ("cdfPoisson(2, 3)", 0.857123460498547),
        ("cdfBinomial(10, 0.5, 5)", 0.623046875),
        ("invNormal(0, 1, 0.975)", 1.959963984540054),
        ("invStudent(10, 0.975)", 2.2281388519649385),
        ("ols(3 5 7, 1 2 3)", [1.0, 2.0]),
        ("inverse(matrix(4 0, 0 2))[0]", [0.25, 0.0]),
        ("solve(matrix(2 0, 0 4), 2 4)", [1.0, 1.0]),
        ("acf(1 2 3 4, 1)", [0.25]),
        ("integral(sqrt, 0, 1)", 2 / 3),
        ("integral(x -> exp(-x * x), NULL, NULL)", np.pi**0.5),
        ("integral(x -> exp(x), NULL, 0.0)", 1.0),
        ("integral(mul, 0, 1, 0.0, x -> x)", 0.125),
        ("integral(abs, NULL, NULL)", np.nan),
        ("derivative(square, 3.0, 0.1)", 6.0),
        ("minkowski(1 2, 4 6, 1)", 7.0),
        ("scs(f=[-1.0, -2.0], lb=0, ub=[1.0, NULL], x0=0.0 0.0, c=2.5)[0]", -5.0),
    ],
)
def test_numbers(run: Run, script: str, expected: float | list[float]) -> None:
    np.testing.assert_allclose(numbers(as_vector(run(script))), np.atleast_1d(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["Beta", "ChiSquare", "F", "Gamma", "Student", "Logistic", "Weibull", "Exp"])
def test_quantiles_invert_distributions(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    parameters = (2.5, 3.5)[: len(distribution.parameters)]
    for p in (0.001, 0.2, 0.5, 0.9, 0.999):
        place = distribution.inverse(p, *parameters)
        assert distribution.cdf(place, *parameters) == pytest.approx(p, abs=1e-12)
        assert distribution.sf(place, *parameters) == pytest.approx(1 - p, abs=1e-12)
    far = distribution.inverse(1 - 1e-12, *parameters)
    assert distribution.sf(far, *parameters) == pytest.approx(1e-12, rel=1e-3)


@pytest.mark.parametrize(
    "script",
    [
        "inverse(matrix(1 2, 2 4))",
        "det(matrix(1 2))",
        "cdfNormal(0, -1, 0)",
        "abs(`a)",
        "vectorNorm(matrix(1 2, 3 4), 'inf', 0 1)",
    ],
)
def test_bad_arguments_are_refused(run: Run, script: str) -> None:
    with pytest.raises(ScriptError):
        run(script)


@pytest.mark.parametrize("size", [1, 2, 5, 11])
@pytest.mark.parametrize("kind", ["normal", "whole", "triangular"])
def test_schur_form(run: Run, size: int, kind: str) -> None:
    rng = np.random.default_rng(size)
    data = rng.normal(size=(size, size))
    data = np.round(2 * data) if kind == "whole" else np.tril(data) if kind == "triangular" else data
    columns = ", ".join(str(column.tolist()) for column in data.T)
    for sort in ("", ", 'lhp'"):
        found = run(f"schur(matrix([{columns}]){sort})")
        assert isinstance(found, AnyVector)
        count = found.items[-1]
        t, z = (part.data for part in found.items[:2] if isinstance(part, Matrix))
        np.testing.assert_allclose(z @ t @ z.T, data, atol=1e-10)
        np.testing.assert_allclose(z @ z.T, np.eye(size), atol=1e-10)
        assert not np.tril(t, -2).any()
    assert isinstance(count, Scalar)
    assert (np.diagonal(t)[: count.value] < 1e-10).all()
    assert (np.diagonal(t)[count.value :] > -1e-10).all()


def test_schur_form_as_documented(run: Run) -> None:
    found = run("schur(matrix([[0, 0, 1], [2, 1, 0], [2, 2, 1]]), 'lhp')")
    assert isinstance(found, AnyVector)
    t, _, count = found.items
    assert isinstance(t, Matrix)
    np.testing.assert_allclose(t.data[0], [-0.329484, 1.570974, 2.251318], atol=1e-6)
    assert isinstance(count, Scalar)
    assert count.value == 2
