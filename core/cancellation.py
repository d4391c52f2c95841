"""Cancellations that get lost on their way.

Before Python 3.12 `asyncio.wait_for`, which the database driver uses, returns normally when it is cancelled in the
moment in which what it waits for is done. The task is still marked as one to be cancelled.
"""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """Raises CancelledError when the current task was cancelled and has not ended. For loops that wait long, and for
    errors that may be a cancellation's."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def cancel_again() -> None:
    """Has the current task's next wait raise CancelledError when it was cancelled and has not ended. For loops over
    what must be ended from within, like a generator."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()
        task.cancel()
