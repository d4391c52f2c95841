"""Room for deep recursion: threads that run scripts need a larger stack than Python's default."""

from __future__ import annotations

import sys

STACK_BYTES = 64 * 2**20
"""Give it to `threading.stack_size` before starting a thread that runs scripts."""

RECURSION_LIMIT = 40_000
MAX_DEPTH = 900
"""Calls of script functions inside one another."""


def allow_deep_recursion() -> None:
    """Raise Python's recursion limit so that a script meets MAX_DEPTH first."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)
