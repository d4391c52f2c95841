from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.errors import ScriptError, UnsupportedError
from engine.numerics.penalized import bounded_fit
from engine.values import AnyVector, Dictionary, Matrix, Scalar, Value, Vector

Run = Callable[[str], Value]
Show = Callable[[str], str]


def numbers(value: Value) -> list[float]:
    assert isinstance(value, Vector)
    return [float(raw) for raw in value.data]


@pytest.mark.parametrize("fit", ["cubicSpline", "pchipInterpolateFit", "linearInterpolateFit", "kroghInterpolateFit"])
def test_a_curve_goes_through_its_points(run: Run, fit: str) -> None:
    found = run(f"x = 0 1 2 4 7.0; m = {fit}(x, sin(x)); m.predict(x)")
    assert numbers(found) == pytest.approx(np.sin([0, 1, 2, 4, 7]), abs=1e-12)


def test_model_predicts_by_method_and_by_function(run: Run) -> None:
    script = "m = polyFit(1 2 3 4, 1 4 9 16, 2, 1);"
    assert numbers(run(script + "m.predict(5 6)")) == pytest.approx([25, 36])
    assert numbers(run(script + "predict(m, 5 6)")) == pytest.approx([25, 36])


def test_spline_representation_evaluates_to_the_points(run: Run) -> None:
    found = run("x = double(0..9); y = 0 3 5 6 5 3 1 2 4 5; splev(x, splrep(x, y))")
    assert numbers(found) == pytest.approx([0, 3, 5, 6, 5, 3, 1, 2, 4, 5], abs=1e-9)


@pytest.mark.parametrize("ends", ["natural", "clamped", "not-a-knot"])
def test_spline_bends_smoothly(run: Run, ends: str) -> None:
    fitted = run(f"cubicSpline(0 1 2 4 7.0, 3 1 4 1 5.0, '{ends}')")
    assert isinstance(fitted, Dictionary)
    pieces = np.array(numbers(fitted.items["c"])).reshape(-1, 4)
    width = np.array([1, 1, 2, 3.0])
    assert (6 * pieces[:, 0] * width + 2 * pieces[:, 1])[:-1] == pytest.approx(2 * pieces[1:, 1])
    assert pieces[0, 3] == 3
    if ends == "natural":
        assert pieces[0, 1] == pytest.approx(0)
    elif ends == "clamped":
        assert pieces[0, 2] == pytest.approx(0)
    else:
        assert pieces[0, 0] == pytest.approx(pieces[1, 0])


def test_ridge_without_penalty_is_least_squares(run: Run) -> None:
    data = "y = 1.5 2.3 4.7 3.2 5.1; x = (1.1 2.2 3.1 2.8 4.0, 0.5 0.8 1.2 1.0 1.7);"
    plain = numbers(run(data + "ols(y, x)"))
    assert numbers(run(data + "ridgeBasic(y, x, 0, 0.0)")) == pytest.approx(plain, rel=1e-6)


def test_density_of_points(run: Run) -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(30, 2))
    columns = ", ".join(str(column.tolist()) for column in points.T)
    run(f"m = gaussianKde(matrix({columns}), bwMethod='silverman')")
    grid = np.array([[0.0, 0.0], [1.0, -1.0]])
    scale = 30 ** (-1 / 6)
    inverse = np.linalg.inv(np.cov(points.T) * scale**2)
    apart = grid[:, None, :] - points[None, :, :]
    height = np.exp(-0.5 * np.einsum("abi,ij,abj->ab", apart, inverse, apart)).mean(axis=1)
    expected = height * np.sqrt(np.linalg.det(inverse)) / (2 * np.pi)
    assert numbers(run("m.predict(matrix(0.0 1, 0.0 -1))")) == pytest.approx(expected.tolist())
    assert numbers(run("gaussianKdePredict(m, table(0.0 1 as a, 0.0 -1 as b))")) == pytest.approx(expected.tolist())


def test_normality(run: Run) -> None:
    found = run("shapiroTest([148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236])")
    assert isinstance(found, Dictionary)
    statistic = found.items["W"]
    assert isinstance(statistic, Scalar)
    assert statistic.value == pytest.approx(0.7888, abs=1e-4)


def test_least_squares_stay_within_bounds(run: Run) -> None:
    rng = np.random.default_rng(3)
    design, goal = rng.normal(size=(12, 4)), rng.normal(size=12)
    low, high = np.array([-0.1, 0.0, -1.0, 0.2]), np.array([0.1, 0.3, 1.0, 0.2])
    beta = bounded_fit(design, goal, low, high, 1e-12, 100)
    slope = design.T @ (goal - design @ beta)
    assert ((beta >= low) & (beta <= high)).all()
    free = (beta > low) & (beta < high)
    assert slope[free] == pytest.approx(0, abs=1e-9)
    assert (slope[(beta == low) & (low < high)] <= 0).all()
    assert (slope[(beta == high) & (low < high)] >= 0).all()
    assert numbers(run("bvls(0.1 4.2 5.6 8.8, 1 3 5 7, (0.0, 1.0))")) == pytest.approx([0.675, 1])


def test_least_squares_of_dependent_factors(run: Run) -> None:
    factors = "y = 1.0 2 3 4; x = (1 2 3 5, 2 4 6 10);"
    assert np.isfinite(numbers(run(factors + "ols(y, x)"))).all()
    with pytest.raises(ScriptError, match="usePinv"):
        run(factors + "ols(y, x, intercept=false, usePinv=false)")


def test_regression_by_singular_values_does_not_lose_close_factors(run: Run) -> None:
    x = "x = 18262 18263 18264 18266.0;"
    assert numbers(run(x + "ols(3 + 2 * x, x, method='svd')")) == pytest.approx([3, 2], rel=1e-6)
    assert numbers(run(x + "wls(3 + 2 * x, x, 1 2 3 4)")) == pytest.approx([3, 2], rel=1e-6)
    with pytest.raises(ScriptError, match="finite"):
        run("ols(1 2 3, [1, 2, float('inf')])")


def test_pairs_with_null_are_left_out(show: Show) -> None:
    assert show("crossStat(1 NULL 3, 4 5 NULL)") == "(1,1,4,1,16,4)"
    assert show("chiSquareTest(10 NULL 20, 1 5 1).df") == "1"
    assert show("kendall(1 2 3 NULL 5, 5 3 4 1 2)").startswith("-0.66666")


def test_kernels_of_a_regression(run: Run) -> None:
    data = "t = table(0.0 1 4 9 as y, 0.0 1 2 3 as x); m = kernelRidge(t, `y, `x, 0.000001, 'poly', 1, 2, 1);"
    assert numbers(run(data + "predict(m, table(4.0 5 as x))[0]")) == pytest.approx([16, 25], rel=1e-3)


def test_lasso_shrinks_to_nothing(run: Run) -> None:
    found = numbers(run("lassoBasic(1 2 3 4 5.5, (1 2 3 4 5, 2 1 2 1 2), 0, 100)"))
    assert found[1:] == [0, 0]
    assert found[0] == pytest.approx(3.1)


def test_principal_components_are_those_of_the_covariance(run: Run) -> None:
    columns = np.array([[7, 1, 1, 0, 5, 2], [0.7, 0.9, 0.01, 0.8, 0.09, 0.23], [1, 2, 3, 5, 8, 13]])
    texts = [" ".join(map(str, column)) for column in columns]
    table = f"t = table({texts[0]} as a, {texts[1]} as b, {texts[2]} as c)"
    found = run(f"{table}; pca(sqlDS(<select * from t>), k=2)")
    assert isinstance(found, Dictionary)
    values, vectors = np.linalg.eigh(np.cov(columns))
    components, shares = found.items["components"], found.items["explainedVarianceRatio"]
    assert isinstance(components, Matrix)
    assert isinstance(shares, Vector)
    assert np.allclose(np.abs(components.data), np.abs(vectors[:, ::-1][:, :2].T))
    assert np.allclose(shares.data, values[::-1][:2] / values.sum())
    with pytest.raises(ScriptError, match="numeric"):
        run("pca(table(`x`y as s))")
    with pytest.raises(UnsupportedError, match="randomized"):
        run(f"{table}; pca(t, svdSolver='randomized')")


def test_minimum_and_root(run: Run) -> None:
    found = run("def f(x) { return (x[0] - 1) * (x[0] - 1) + (x[1] + 2) * (x[1] + 2) }; fmin(f, 0 0)")
    assert isinstance(found, Dictionary)
    best = found.items["xopt"]
    assert numbers(best) == pytest.approx([1, -2], abs=1e-3)
    root = run("def g(x) { return x * x - 2 }; brentq(g, 0, 2)")
    assert isinstance(root, AnyVector)
    assert isinstance(root.items[1], Scalar)
    assert root.items[1].value == pytest.approx(2**0.5)


ROSEN = """
def f(x) { return 100.0 * square(x[1] - x[0] * x[0]) + square(1 - x[0]) }
def g(x) { return [-400 * x[0] * (x[1] - x[0] * x[0]) - 2 * (1 - x[0]), 200 * (x[1] - x[0] * x[0])] }
def h(x) { return matrix([1200 * x[0] * x[0] - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]) }
"""


@pytest.mark.parametrize("call", ["fminBFGS(f, -1.2 1, g)", "fminBFGS(f, -1.2 1)", "fminNCG(f, 4 -2.5, g, h)"])
def test_minima_along_gradients(run: Run, call: str) -> None:
    found = run(ROSEN + call)
    assert isinstance(found, Dictionary)
    assert numbers(found.items["xopt"]) == pytest.approx([1, 1], abs=1e-4)
    warning = found.items["warnFlag"]
    assert isinstance(warning, Scalar)
    assert warning.value == 0


def test_minimum_by_differential_evolution(run: Run) -> None:
    found = run("def f(x) { return sum(square(x - 1 2)) }; differentialEvolution(f, matrix(0 0, 3 3), seed=1)")
    assert isinstance(found, Dictionary)
    assert list(found.items) == ["xopt", "fopt", "iterations", "fcalls", "converged"]
    assert numbers(found.items["xopt"]) == pytest.approx([1, 2], abs=1e-4)
    with pytest.raises(ScriptError, match="finite"):
        run("differentialEvolution(sum, matrix([0.0], [NULL]))")


@pytest.mark.parametrize("method", ["nm", "bfgs", "lbfgs", "slsqp", "de"])
def test_yield_curves_by_every_method(run: Run, method: str) -> None:
    bounds = "matrix(-1 -1 -1 0.1, 1 1 1 9)"
    script = f"m = ns(1 2 3 5 10 30, 0.01 0.02 0.025 0.03 0.032 0.033, `{method}, bounds={bounds}, seed=1)"
    assert numbers(run(f"{script}; m.predict(5 30)")) == pytest.approx([0.03, 0.033], abs=3e-3)


@pytest.mark.parametrize("method", ["nm", "de"])
def test_breaks_of_a_piecewise_function(run: Run, method: str) -> None:
    asked = f"method='{method}', initialGuess=[5.2], maxIter=60, seed=1"
    script = f"x = 0..10; m = piecewiseLinFit(x, abs(x - 4), 2, {asked});"
    found = run(script + "m")
    assert isinstance(found, Dictionary)
    assert numbers(found.items["breaks"]) == pytest.approx([0, 4, 10], abs=1e-3)
    assert numbers(run(script + "m.predict(2.5 7)")) == pytest.approx([1.5, 3], abs=1e-3)
    assert numbers(run(script + "pwlfPredict(m, 1 9, 1 0 2.0, 0 5 10.0)")) == [1, 9]


def test_piecewise_function_through_a_point(run: Run) -> None:
    found = run("m = piecewiseLinFit(0..9, 1 3 2 5 4 6 8 7 9 8, 2, [0], [5], weights=1..10, maxIter=5); m.predict([0])")
    assert numbers(found) == pytest.approx([5])


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (
            "quadprog(matrix(2 -2, -2 6), [-5, 4], matrix(1 -1 6, 1 3 1), 10 8 5, matrix([1], [2]), [1])",
            [9 / 11, 1 / 11],
        ),
        ("linprog([-3, -2], matrix(2 1, 1 1), 10 8, ub=[4, NULL])", [2, 6]),
        ("linprog([-3, -2], matrix(2 1, 1 1), 10 8, ub=[4, NULL], method='interior-point')", [2, 6]),
        ("qclp([-3, -4], matrix(1 0, 0 1), 25)", [3, 4]),
        ("qclp([-3, -4], matrix(1 0, 0 1), 25, x0=[0, 0], c=5)", [0, 5]),
        ("scs([0, 0], matrix(2 0, 0 2), Aeq=matrix([1], [1]), beq=[1], lb=[0.75, NULL])", [0.75, 0.25]),
        ("osqp([-1, -1], matrix(1 0, 0 1), matrix(1 0, 0 1), [0, NULL], [0.5, NULL])", [0.5, 1]),
        ("socp([-3, -4], matrix(0 -1 0, 0 0 -1), 5 0 0, q=[3])", [3, 4]),
    ],
)
def test_minima_under_constraints(run: Run, call: str, place: list[float]) -> None:
    found = run(call)
    assert isinstance(found, AnyVector)
    assert numbers(found.items[1]) == pytest.approx(place, abs=1e-7)


def test_programs_without_a_solution(run: Run, show: Show) -> None:
    with pytest.raises(ScriptError, match="unbounded"):
        run("linprog([-1], lb=0)")
    with pytest.raises(ScriptError, match="nothing satisfies"):
        run("scs([1], lb=2, ub=1)")
    with pytest.raises(ScriptError, match="positive semi-definite"):
        run("quadprog(matrix(1 0, 0 -1), 1 1)")
    assert show("osqp([1.0], matrix([-1.0]))[0]") == "problem non convex"
    assert show("osqp([1.0], matrix([0.0]))[0]") == "dual infeasible"
    assert show("socp([1.0], matrix(1 -1), -1 -1, 2)") == '("Certificate of primal infeasibility found",[],,1)'


def test_the_best_of_a_grid(run: Run) -> None:
    found = run("def f(x) { return square(x[0] - 1) - cos(9 * x[0]) }; brute(f, [(-4, 4)], 50)")
    assert isinstance(found, Dictionary)
    assert numbers(found.items["xopt"]) == pytest.approx([0.7054], abs=1e-3)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("iterate(1 1, 1 1, 5)", "[2,3,5,8,13]"),
        ("prevState([1, 2, 2, NULL, 3])", "[,1,1,2,2]"),
        ("nextState([1, 2, 2, NULL, 3])", "[2,3,3,3,]"),
        ("decodeShortGenomeSeq(encodeShortGenomeSeq(`TCGATCG`ACGT))", '["TCGATCG","ACGT"]'),
        ('encodeShortGenomeSeq("TCGATCG")', "465691"),
        ('unpack("3si", pack("3si", `123, 3))', '("123",3)'),
        ("parseInteger([`12a, `0x1F], INT, 16)", "[298,31]"),
        ("decimalMultiply(decimal32(`1.235, 3), decimal32(`7.5689, 4), 5)", "9.34759"),
        ("fromJson(toJson(1 2 NULL))", "[1,2,]"),
        ("typestr(fromJson(toJson(NULL)))", "VOID"),
        ("x = 1 2; toJson(x)", '{"name":"x","form":"vector","type":"int","size":"2","value":[1,2]}'),
        ("log(100, 10)", "2"),
        ("conditionalFilter(1 2 3, `a`b`b, dict(`a`b, [1 2, 3 4]))", "[1,0,1]"),
    ],
)
def test_shown(show: Show, script: str, text: str) -> None:
    assert show(script) == text


def test_labelled_matrices_and_series_are_aligned(show: Show) -> None:
    script = """
        s = indexedSeries(2012.01.01 2012.01.03, 10 20)
        m = matrix(1 2, 3 4).rename!(2012.01.01 2012.01.02, `x`y).setIndexedMatrix!()
        s + m"""
    rows = show(script).split("\n")[2:]
    assert [row.split("|")[1].split() for row in rows] == [["11", "13"], [], []]
