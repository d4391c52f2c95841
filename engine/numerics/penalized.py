"""Linear models with penalties or bounds: ridge, lasso, elastic net, bounded least squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engine.values import Array


@dataclass(frozen=True)
class Penalty:
    """`alpha` times a mixture of the sum of absolute values (`l1_ratio`) and half the sum of squares."""

    alpha: float = 1.0
    l1_ratio: float = 1.0
    intercept: bool = True
    normalize: bool = False
    max_iterations: int = 1000
    tolerance: float = 1e-4
    positive: bool = False


@dataclass(frozen=True)
class Fit:
    coefficients: Array
    intercept: float
    dual_gap: float = 0.0
    iterations: int = 1


Solver = Callable[[Array, Array, "Array | None", Penalty], Fit]


def _centered(x: Array, y: Array, weights: Array | None, penalty: Penalty) -> tuple[Array, Array, Array, float, Array]:
    count, width = x.shape
    share = None if weights is None else weights / weights.sum()
    means, mean, scale = np.zeros(width), 0.0, np.ones(width)
    if penalty.intercept:
        means, mean = np.average(x, axis=0, weights=share), float(np.average(y, weights=share))
        x, y = x - means, y - mean
        if penalty.normalize:
            scale = np.linalg.norm(x, axis=0)
            scale[scale == 0] = 1.0
            x = x / scale
    if share is not None:
        root = np.sqrt(share * count)
        x, y = x * root[:, None], y * root
    return x, y, means, mean, scale


def elastic_net(x: Array, y: Array, weights: Array | None, penalty: Penalty) -> Fit:
    """Coordinate descent until the duality gap is below the tolerance."""
    count, width = x.shape
    x, y, means, mean, scale = _centered(x, y, weights, penalty)
    l1, l2 = penalty.alpha * penalty.l1_ratio * count, penalty.alpha * (1 - penalty.l1_ratio) * count
    beta, residual = np.zeros(width), y.copy()
    squares = (x**2).sum(axis=0)
    bound, gap, iterations = penalty.tolerance * float(y @ y), float("inf"), 0
    for iterations in range(1, penalty.max_iterations + 1):
        largest = change = 0.0
        for column in range(width):
            if squares[column] == 0:
                continue
            before = beta[column]
            pull = float(x[:, column] @ residual) + squares[column] * before
            size = max(pull if penalty.positive else abs(pull), 0.0) - l1
            beta[column] = np.sign(pull) * max(size, 0.0) / (squares[column] + l2)
            if beta[column] != before:
                residual += x[:, column] * (before - beta[column])
            change, largest = max(change, abs(beta[column] - before)), max(largest, abs(beta[column]))
        if largest == 0 or change / largest < penalty.tolerance or iterations == penalty.max_iterations:
            gap = _gap(x, y, beta, residual, l1, l2, penalty.positive)
            if gap < bound:
                break
    beta = beta / scale
    return Fit(beta, mean - float(means @ beta), gap / count, iterations)


def _gap(x: Array, y: Array, beta: Array, residual: Array, l1: float, l2: float, positive: bool) -> float:
    pulls = x.T @ residual - l2 * beta
    dual = float(pulls.max() if positive else np.abs(pulls).max())
    squared, size = float(residual @ residual), float(beta @ beta)
    factor = l1 / dual if dual > l1 else 1.0
    gap = (squared + squared * factor**2) / 2 if dual > l1 else squared
    return gap + l1 * float(np.abs(beta).sum()) - factor * float(residual @ y) + l2 * (1 + factor**2) * size / 2


def ridge(x: Array, y: Array, weights: Array | None, penalty: Penalty) -> Fit:
    """The closed form, through singular values."""
    x, y, means, mean, scale = _centered(x, y, weights, penalty)
    left, values, right = np.linalg.svd(x, full_matrices=False)
    with np.errstate(all="ignore"):
        shrunk = np.where(values > 1e-15, values / (values**2 + penalty.alpha), 0.0)
    beta = (right.T @ (shrunk * (left.T @ y))) / scale
    return Fit(beta, mean - float(means @ beta))


def best_of_folds(
    solver: Solver, x: Array, y: Array, weights: Array | None, penalty: Penalty, alphas: Array
) -> tuple[Fit, float]:
    """The fit with the `alpha` that predicts best in cross-validation over five consecutive parts."""
    parts = np.array_split(np.arange(len(y)), 5)
    errors = np.zeros(len(alphas))
    for number, alpha in enumerate(alphas):
        for held in parts:
            kept = np.setdiff1d(np.arange(len(y)), held)
            fit = solver(x[kept], y[kept], None if weights is None else weights[kept], replace(penalty, alpha=alpha))
            errors[number] += float(((y[held] - x[held] @ fit.coefficients - fit.intercept) ** 2).mean())
    alpha = float(alphas[int(np.argmin(errors))])
    return solver(x, y, weights, replace(penalty, alpha=alpha)), alpha


def bounded_fit(x: Array, y: Array, low: Array, high: Array, tolerance: float, most: int) -> Array:
    """Least squares between bounds."""
    from scipy import optimize

    beta, free = low.astype(np.float64), low < high
    if free.any():
        rest = y - x[:, ~free] @ beta[~free]
        sides = low[free], high[free]
        found = optimize.lsq_linear(x[:, free], rest, sides, method="bvls", tol=tolerance, max_iter=most)
        beta[free] = found.x
    return beta
