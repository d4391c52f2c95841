"""Looks after running jobs: cancels those nobody waits for, and the largest one when memory runs short."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

import psutil

from engine.jobs import ConsoleJob, Jobs

logger = logging.getLogger("engine")

_PERIOD = 0.1
_SMALL = 16 * 2**20
"""A job that grew less is not what fills the memory: it may be the one that frees some."""


class Watch:
    """A thread that looks at the running jobs ten times a second."""

    def __init__(self, jobs: Jobs, memory_limit: Callable[[], int]) -> None:
        """`memory_limit` tells the bytes the process may use now."""
        self._jobs = jobs
        self._limit = memory_limit
        self._stopped = Event()
        self._process = psutil.Process()
        self._last = self.memory()
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def memory(self) -> int:
        """Bytes the process keeps in memory."""
        return int(self._process.memory_info().rss)

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD):
            self.look()

    def look(self) -> None:
        """One round. Growth since the last one is put down to the jobs that ran, in equal parts."""
        running = self._jobs.console_jobs()
        for job in running:
            if job.cancel_reason is None and not job.alive():
                logger.info("cancelling %s: its client is gone", job.id)
                job.cancel("The client disconnected.")
        used = self.memory()
        growth, self._last = used - self._last, used
        for job in running:
            job.memory = max(0, job.memory + growth // len(running))
        if used > self._limit() and running:
            grown = [job for job in running if job.cancel_reason is None and job.memory >= _SMALL]
            self._cancel_largest(grown, used)

    def _cancel_largest(self, jobs: list[ConsoleJob], used: int) -> None:
        if not jobs:
            return
        largest = max(jobs, key=lambda job: job.memory)
        logger.warning("cancelling %s: the process uses %d bytes", largest.id, used)
        largest.cancel(
            f"Out of memory: the server uses {used / 2**30:.2f} GB of {self._limit() / 2**30:.2f} GB "
            "and this job grew most. Select fewer rows or columns, or raise the memory limit."
        )
