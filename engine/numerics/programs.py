"""Convex programs, solved by Clarabel, which is imported at the first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import CancelledError
from engine.values import Array

_PRECISIONS = (1e-12, 1e-10, 1e-8)
"""How close to optimal to go: what rounding forbids is asked for again less closely. The last counts as solved."""

Constraints = tuple[Array, Array]
"""Rows, and the right-hand side of each."""


@dataclass(frozen=True)
class Program:
    """Minimize `x @ quadratic @ x / 2 + linear @ x`; `side - rows @ x` is not negative for `upper`, and 0 for `equal`.

    For each of `cones` its first element is at least the length of the vector of the others.
    """

    quadratic: Array
    linear: Array
    upper: Constraints
    equal: Constraints
    cones: tuple[Constraints, ...] = ()

    def value(self, x: Array) -> float:
        return float(x @ self.quadratic @ x / 2 + self.linear @ x)

    def is_convex(self) -> bool:
        values = np.linalg.eigvalsh(self.quadratic)
        return not values.size or bool(values[0] >= -1e-9 * max(1.0, values[-1]))


@dataclass(frozen=True)
class Solution:
    """`x` is a minimum where `solved`; otherwise `status` is Clarabel's word for what was found instead."""

    x: Array
    status: str

    @property
    def solved(self) -> bool:
        return self.status == "Solved"


def solve(program: Program, check: Callable[[], None]) -> Solution:
    """The minimum of a convex program; `check` raises when the work is to end."""
    import clarabel
    from scipy import sparse

    def cancelled(_progress: object) -> bool:
        try:
            check()
        except CancelledError:
            return True
        return False

    kinds = (
        (clarabel.ZeroConeT, program.equal),
        (clarabel.NonnegativeConeT, program.upper),
        *((clarabel.SecondOrderConeT, cone) for cone in program.cones),
    )
    problem = (
        sparse.csc_matrix(np.triu(program.quadratic)),
        program.linear,
        sparse.csc_matrix(np.vstack([rows for _, (rows, _) in kinds])),
        np.concatenate([side for _, (_, side) in kinds]),
        [kind(len(side)) for kind, (_, side) in kinds if len(side)],
    )
    for precision in _PRECISIONS:
        solver = clarabel.DefaultSolver(*problem, _settings(clarabel.DefaultSettings(), precision))
        solver.set_termination_callback(cancelled)
        found = solver.solve()
        check()
        solution = Solution(np.array(found.x), str(found.status).removeprefix("Almost"))
        if solution.status not in ("InsufficientProgress", "NumericalError"):
            break
    return solution


def _settings(settings: Any, precision: float) -> Any:
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = precision
    least = _PRECISIONS[-1]
    settings.reduced_tol_gap_abs = settings.reduced_tol_gap_rel = settings.reduced_tol_feas = least
    settings.reduced_tol_infeas_abs = settings.reduced_tol_infeas_rel = least
    return settings
