"""Room for deep recursion: threads that run scripts need a larger stack than Python's default."""

from __future__ import annotations

import sys
import threading

STACK_BYTES = 256 * 2**20
"""Give it to `threading.stack_size` before starting a thread that runs scripts."""

RECURSION_LIMIT = 40_000
MAX_DEPTH = 900
"""Calls of script functions inside one another."""


def allow_deep_recursion() -> None:
    """Raise Python's recursion limit and the stack size of threads started from now on."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)
    threading.stack_size(STACK_BYTES)
