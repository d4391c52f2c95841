"""Roots and minima of functions of which only values are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.values import Array


@dataclass(frozen=True)
class Minimum:
    """`warning`: 0 found, 1 too many calls, 2 too many iterations."""

    point: Array
    value: float
    iterations: int
    calls: int
    warning: int


def nelder_mead(
    function: Callable[[Array], float],
    start: Array,
    *,
    x_tolerance: float = 1e-4,
    f_tolerance: float = 1e-4,
    max_iterations: int | None = None,
    max_calls: int | None = None,
) -> Minimum:
    """The downhill simplex, with the usual coefficients 1, 2, 1/2, 1/2."""
    size = len(start)
    most = size * 200 if max_iterations is None else max_iterations
    budget = size * 200 if max_calls is None else max_calls
    calls = 0

    def value(point: Array) -> float:
        nonlocal calls
        calls += 1
        return function(point)

    simplex = np.tile(start.astype(float), (size + 1, 1))
    for place in range(size):
        simplex[place + 1, place] = simplex[place + 1, place] * 1.05 if start[place] != 0 else 0.00025
    values = np.array([value(point) for point in simplex])
    order = np.argsort(values, kind="stable")
    simplex, values = simplex[order], values[order]
    iterations = 1
    while calls < budget and iterations < most:
        near = np.abs(simplex[1:] - simplex[0]).max(initial=0.0) <= x_tolerance
        if near and np.abs(values[0] - values[1:]).max(initial=0.0) <= f_tolerance:
            break
        center = simplex[:-1].mean(axis=0)
        worst = simplex[-1]
        reflected = 2 * center - worst
        at_reflected = value(reflected)
        if at_reflected < values[0]:
            expanded = 3 * center - 2 * worst
            at_expanded = value(expanded)
            best = (expanded, at_expanded) if at_expanded < at_reflected else (reflected, at_reflected)
            simplex[-1], values[-1] = best
        elif at_reflected < values[-2]:
            simplex[-1], values[-1] = reflected, at_reflected
        else:
            outside = at_reflected < values[-1]
            contracted = 1.5 * center - 0.5 * worst if outside else 0.5 * center + 0.5 * worst
            at_contracted = value(contracted)
            if (outside and at_contracted <= at_reflected) or (not outside and at_contracted < values[-1]):
                simplex[-1], values[-1] = contracted, at_contracted
            else:
                for place in range(1, size + 1):
                    simplex[place] = simplex[0] + 0.5 * (simplex[place] - simplex[0])
                    values[place] = value(simplex[place])
        order = np.argsort(values, kind="stable")
        simplex, values = simplex[order], values[order]
        iterations += 1
    warning = 1 if calls >= budget else 2 if iterations >= most else 0
    return Minimum(simplex[0], float(values.min()), iterations, calls, warning)


def brent_root(
    function: Callable[[float], float], low: float, high: float, x_tolerance: float, r_tolerance: float, most: int
) -> tuple[str, float]:
    """A root between two points where the function has opposite signs: "CONVERGED", "SIGNERR" or "CONVERR"."""
    before, current = low, high
    f_before, f_current = function(before), function(current)
    if f_before == 0:
        return "CONVERGED", before
    if f_current == 0:
        return "CONVERGED", current
    if (f_before < 0) == (f_current < 0):
        return "SIGNERR", 0.0
    bracket = f_bracket = step = last_step = 0.0
    for _ in range(most):
        if f_before != 0 and f_current != 0 and (f_before < 0) != (f_current < 0):
            bracket, f_bracket = before, f_before
            step = last_step = current - before
        if abs(f_bracket) < abs(f_current):
            before, current, bracket = current, bracket, current
            f_before, f_current, f_bracket = f_current, f_bracket, f_current
        delta = (x_tolerance + r_tolerance * abs(current)) / 2
        half = (bracket - current) / 2
        if f_current == 0 or abs(half) < delta:
            return "CONVERGED", current
        if abs(last_step) > delta and abs(f_current) < abs(f_before):
            if before == bracket:
                tried = -f_current * (current - before) / (f_current - f_before)
            else:
                one = (f_before - f_current) / (before - current)
                two = (f_bracket - f_current) / (bracket - current)
                tried = -f_current * (f_bracket * two - f_before * one) / (two * one * (f_bracket - f_before))
            if 2 * abs(tried) < min(abs(last_step), 3 * abs(half) - delta):
                last_step, step = step, tried
            else:
                last_step = step = half
        else:
            last_step = step = half
        before, f_before = current, f_current
        current += step if abs(step) > delta else (delta if half > 0 else -delta)
        f_current = function(current)
    return "CONVERR", current
