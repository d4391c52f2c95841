"""Long columns worked on by several threads: numpy lets other threads run while it computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeAlias, TypeVar

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Part = TypeVar("Part")
Result = TypeVar("Result")

LONG = 1 << 20
"""Fewer rows are not worth another thread."""
BLOCK = 1 << 15
"""Rows worked on at a time where what belongs to them should stay in the processor's cache."""
MOST_THREADS = 4


def spans(rows: int, size: int = 0) -> list[slice]:
    """Runs of `size` rows (0: BLOCK), the last one shorter; at least one."""
    size = size or BLOCK
    return [slice(first, min(first + size, rows)) for first in range(0, max(rows, 1), size)]


def each(work: Callable[[Part], Result], parts: Iterable[Part], rows: int) -> list[Result]:
    """The results for all parts in their order; threads share the parts if they have many `rows` together.

    The calling thread takes its share, so the work is done even where no other thread can be started.
    """
    pending = deque(enumerate(parts))
    results: dict[int, Result] = {}
    failures: list[BaseException] = []

    def run() -> None:
        while not failures:
            try:
                index, part = pending.popleft()
            except IndexError:
                return
            try:
                results[index] = work(part)
            except BaseException as error:
                failures.append(error)

    helpers = _started(run, min(_idle_processors(), MOST_THREADS - 1, len(pending) - 1) if rows >= LONG else 0)
    run()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(results))]


def taken(data: Array, indices: Array | slice) -> Array:
    """`data[indices]`, where there are many by several threads."""
    if isinstance(indices, slice) or indices.dtype == np.bool_ or len(indices) < LONG:
        return np.asarray(data[indices])
    out = np.empty(len(indices), dtype=data.dtype)

    def fetch(rows: slice) -> None:
        out[rows] = data[indices[rows]]

    each(fetch, spans(len(indices)), len(indices))
    return out


def _started(run: Callable[[], None], count: int) -> list[Thread]:
    """So many threads at most; they see the caller's context variables, such as numpy's way with errors."""
    helpers: list[Thread] = []
    for _ in range(count):
        helper = Thread(target=copy_context().run, args=(run,), name="columns", daemon=True)
        try:
            helper.start()
        except (RuntimeError, MemoryError):
            break
        helpers.append(helper)
    return helpers


def _idle_processors() -> int:
    """The processors nobody uses at the moment: threads that share one only wait for each other."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/proc/loadavg") as load:
            running = int(load.read().split()[3].partition("/")[0])
    except OSError:
        running = 1
    return processors - running
