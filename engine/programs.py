"""Convex quadratic programs, and with them linear ones: an interior-point method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.values import Array

_ROUNDS = 200
_ENOUGH = 1e-14
_ACCEPTED = 1e-8
"""How close to optimal to go where rounding allows it, and what still counts as solved (relative)."""


@dataclass(frozen=True)
class Program:
    """Minimize `x @ quadratic @ x / 2 + linear @ x` with `upper_rows @ x <= upper` and `equal_rows @ x == equal`."""

    quadratic: Array
    linear: Array
    upper_rows: Array
    upper: Array
    equal_rows: Array
    equal: Array

    def value(self, x: Array) -> float:
        return float(x @ self.quadratic @ x / 2 + self.linear @ x)


def solve(program: Program) -> Array | None:
    """The minimum by Mehrotra's predictor-corrector method; None where none was found."""
    p = program
    width, bounds, equalities = len(p.linear), len(p.upper), len(p.equal)
    x, y = np.zeros(width), np.zeros(equalities)
    slack, dual = np.ones(bounds), np.ones(bounds)
    scale = 1 + max((float(np.abs(part).max()) for part in (p.linear, p.upper, p.equal) if part.size), default=0.0)
    best, found = np.inf, x
    for _ in range(_ROUNDS):
        stationary = p.quadratic @ x + p.linear + p.upper_rows.T @ dual + p.equal_rows.T @ y
        inside, on = p.upper_rows @ x + slack - p.upper, p.equal_rows @ x - p.equal
        gap = float(slack @ dual) / bounds if bounds else 0.0
        worst = max((float(np.abs(part).max()) for part in (stationary, inside, on) if part.size), default=0.0)
        miss = max(worst, gap) / scale
        if not np.isfinite(miss) or miss > 1e15:
            break
        if miss < best:
            best, found = miss, x
        if miss < _ENOUGH or (best < _ACCEPTED and miss > 1000 * best):
            break

        newton = _Newton(p, slack, dual, stationary, inside, on)
        first = newton.step(-slack * dual)
        if first is None:
            break
        if bounds:
            _, _, ds, dz = first
            reach = min(_reach(slack, ds), _reach(dual, dz))
            ahead = float((slack + reach * ds) @ (dual + reach * dz)) / bounds
            center = (ahead / gap) ** 3 if gap > 0 else 0.0
            second = newton.step(center * gap - slack * dual - ds * dz)
            first = second if second is not None else first
        dx, dy, ds, dz = first
        reach = 0.99 * min(_reach(slack, ds), _reach(dual, dz)) if bounds else 1.0
        reach = min(reach, 1.0)
        x, y, slack, dual = x + reach * dx, y + reach * dy, slack + reach * ds, dual + reach * dz
    return found if best < _ACCEPTED else None


@dataclass(frozen=True)
class _Newton:
    """The linear system of one round; `step` solves it for a change of `slack * dual`."""

    program: Program
    slack: Array
    dual: Array
    stationary: Array
    inside: Array
    on: Array

    def step(self, target: Array) -> tuple[Array, Array, Array, Array] | None:
        p = self.program
        rows, width, equalities = p.upper_rows, len(p.linear), len(p.equal)
        top = p.quadratic + (rows.T * (self.dual / self.slack)) @ rows
        system = np.block([[top, p.equal_rows.T], [p.equal_rows, np.zeros((equalities, equalities))]])
        system += 1e-13 * np.eye(len(system))
        inner = (target + self.dual * self.inside) / self.slack
        right = np.concatenate([-self.stationary - rows.T @ inner, -self.on])
        try:
            found = np.linalg.solve(system, right)
        except np.linalg.LinAlgError:
            return None
        dx, dy = found[:width], found[width:]
        ds = -self.inside - rows @ dx
        return dx, dy, ds, (target - self.dual * ds) / self.slack


def _reach(value: Array, change: Array) -> float:
    falling = change < 0
    return float(min(1.0, (-value[falling] / change[falling]).min())) if falling.any() else 1.0
