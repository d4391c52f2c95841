"""Minima found by scipy, which is imported at the first use, and what scripts are told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.errors import CallError
from engine.types import Type
from engine.values import Array, Dictionary, Matrix, Value, boolean, double, integer, vector

Bounds = Sequence[tuple[float, float]]

EVOLUTION = "differential evolution"
METHODS = {"nm": "Nelder-Mead", "bfgs": "BFGS", "lbfgs": "L-BFGS-B", "slsqp": "SLSQP", "de": EVOLUTION}
"""What functions that fit a model call the methods."""


def minimum(function: Callable[[Array], Any], start: Array, method: str, **asked: Any) -> Any:
    """An OptimizeResult of scipy; `asked` are arguments of its `minimize`. Options that are None are left out."""
    from scipy import optimize

    if not len(start) or np.isnan(start).any():
        raise CallError("the initial guess must have elements, and no NULLs.")
    asked["options"] = _given(asked.get("options", {}))
    with np.errstate(all="ignore"):
        return optimize.minimize(function, start, method=method, **asked)


def evolved(function: Callable[[Array], float], bounds: Bounds | None, start: Array | None = None, **asked: Any) -> Any:
    """The same by differential evolution; `asked` are arguments of scipy's function of this name, or None."""
    from scipy import optimize

    if not bounds or not np.isfinite(np.array(bounds)).all():
        raise CallError("bounds must be given, and finite, for differential evolution.")
    low, high = np.array(bounds).T
    if start is not None and ((start < low) | (start > high)).any():
        raise CallError("the initial guess must be within the bounds.")
    seed = asked.pop("seed", None)
    with np.errstate(all="ignore"):
        return optimize.differential_evolution(
            function, list(bounds), x0=start, rng=np.random.default_rng(seed), **_given(asked)
        )


def least(
    function: Callable[[Array], float],
    start: Array | None,
    method: str,
    bounds: Bounds | None = None,
    most: int | None = None,
    seed: int | None = None,
) -> Any:
    """A minimum by any of METHODS: bounds count for those that have them, the seed for differential evolution.

    Only differential evolution does without a start.
    """
    if method == EVOLUTION or start is None:
        return evolved(function, bounds, start, maxiter=most, seed=seed)
    within = bounds if method in ("L-BFGS-B", "SLSQP") else None
    return minimum(function, start, method, bounds=within, options={"maxiter": most})


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def described(found: Any, method: str) -> Dictionary:
    """What scripts are told of a minimum, as the function of this method documents it.

    `warnFlag`: 0 found, 1 and 2 too many calls or iterations, or no progress. `mode` 0: found.
    """
    parts: dict[object, Value] = {
        "xopt": vector(Type.DOUBLE, found.x),
        "fopt": double(float(found.fun)),
        "iterations": integer(found.nit),
    }
    if method == "SLSQP":
        parts["mode"] = integer(found.status)
        return _told(parts)
    parts["fcalls"] = integer(found.nfev)
    if method == EVOLUTION:
        parts["converged"] = boolean(bool(found.success))
        return _told(parts)
    parts["warnFlag"] = integer(found.status)
    if method in ("BFGS", "L-BFGS-B"):
        parts["gopt"] = vector(Type.DOUBLE, found.jac)
    if method == "BFGS":
        parts["Hinv"] = Matrix(Type.DOUBLE, np.asfortranarray(found.hess_inv))
    if method in ("BFGS", "Newton-CG"):
        parts["gcalls"] = integer(found.njev)
    if method == "Newton-CG":
        parts["hcalls"] = integer(found.nhev)
    return _told(parts)


def _told(parts: dict[object, Value]) -> Dictionary:
    return Dictionary(Type.STRING, Type.ANY, parts, ordered=True)
