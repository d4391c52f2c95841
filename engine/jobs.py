"""What is running: requests of clients (console jobs) and submitted batch jobs."""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Literal

from engine.errors import INTERNAL, ScriptError
from engine.session import Session
from engine.values import NOTHING, Value

_LOG = logging.getLogger(__name__)
_KEPT_BATCH_JOBS = 1000
_DESCRIPTION_LENGTH = 200
_BATCH_WORKERS = 8


@dataclass(eq=False)
class ConsoleJob:
    """A request being worked on. `alive` tells whether its client is still there; `memory` is an estimate in bytes."""

    session: Session
    description: str
    kind: str
    priority: int = 4
    parallelism: int = 64
    address: str = ""
    alive: Callable[[], bool] = lambda: True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    received: float = field(default_factory=time.time)
    memory: int = 0
    cancel_reason: str | None = None

    def cancel(self, reason: str = "The job was cancelled.") -> None:
        if self.cancel_reason is None:
            self.cancel_reason = reason
        self.session.cancelled.set()


@dataclass(eq=False)
class BatchJob:
    """A job that runs in the background, in a session of its own. Times are seconds since 1970."""

    id: str
    description: str
    session: Session
    priority: int = 4
    parallelism: int = 2
    root_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    received: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    result: Value = NOTHING
    error: str | None = None
    output: list[str] = field(default_factory=list)
    address: str = ""
    done: Event = field(default_factory=Event)
    record: Callable[[BatchJob], None] | None = None
    """Called when it has ended, to keep what came of it."""

    @property
    def state(self) -> Literal["waiting", "running", "failed", "completed"]:
        if self.ended is not None:
            return "failed" if self.error is not None else "completed"
        return "running" if self.started is not None else "waiting"


class Jobs:
    """All jobs of one node."""

    def __init__(self) -> None:
        self._console: dict[str, ConsoleJob] = {}
        self._batch: OrderedDict[str, BatchJob] = OrderedDict()
        self._lock = RLock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._workers = 0

    @contextmanager
    def running(self, job: ConsoleJob) -> Iterator[ConsoleJob]:
        """Register a request while it runs."""
        job.session.cancelled.clear()
        with self._lock:
            self._console[job.id] = job
        try:
            yield job
        finally:
            with self._lock:
                del self._console[job.id]

    def console_jobs(self) -> list[ConsoleJob]:
        with self._lock:
            return list(self._console.values())

    def cancel_console(self, ids: Sequence[str], user: str, is_admin: bool) -> None:
        """Cancel running requests by root job id; ids that are not running are passed over."""
        with self._lock:
            for job_id in ids:
                job = self._console.get(job_id)
                if job is None:
                    continue
                if not is_admin and job.session.user != user:
                    raise ScriptError("Only an administrator can cancel the jobs of other users.")
                job.cancel()

    def submit(self, job: BatchJob, work: Callable[[], Value]) -> str:
        """Start `work` in the background; returns the id, made unique where it is taken."""

        def run() -> None:
            job.started = time.time()
            try:
                job.session.check()
                job.result = work()
            except ScriptError as error:
                job.error = str(error)
            except MemoryError:
                job.error = "Out of memory"
            except Exception:
                _LOG.exception("a job failed unexpectedly")
                job.error = INTERNAL
            finally:
                job.ended = time.time()
                try:
                    if job.record is not None:
                        job.record(job)
                except OSError as error:
                    job.output.append(f"What came of the job can't be kept: {error.strerror}.")
                finally:
                    job.done.set()

        with self._lock:
            base, number = job.id + time.strftime("%Y%m%d"), 0
            while job.id in self._batch:
                job.id = f"{base}{number:04d}"
                number += 1
            self._batch[job.id] = job
            for old in [key for key, other in self._batch.items() if other.ended is not None]:
                if len(self._batch) <= _KEPT_BATCH_JOBS:
                    break
                del self._batch[old]
            self._waiting.append(run)
            if self._workers < _BATCH_WORKERS:
                self._start_worker()
        return job.id

    def restore(self, jobs: Sequence[BatchJob]) -> None:
        """Take in jobs that ended before the process began."""
        with self._lock:
            self._batch.update((job.id, job) for job in jobs)

    def _start_worker(self) -> None:
        try:
            Thread(target=self._work, name="batch-job", daemon=True).start()
        except RuntimeError:
            if not self._workers:
                raise ScriptError("There is no memory for another thread; try again later.") from None
        else:
            self._workers += 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._workers -= 1
                    return
                run = self._waiting.popleft()
            run()

    def batch_jobs(self) -> list[BatchJob]:
        """Oldest first."""
        with self._lock:
            return list(self._batch.values())

    def batch_job(self, job_id: str) -> BatchJob:
        with self._lock:
            job = self._batch.get(job_id)
        if job is None:
            raise ScriptError(f"Can't find the job {job_id}.")
        return job

    def cancel_batch(self, job_id: str, user: str, is_admin: bool) -> None:
        job = self.batch_job(job_id)
        if not is_admin and job.session.user != user:
            raise ScriptError("Only an administrator can cancel the jobs of other users.")
        job.session.cancelled.set()

    def busy(self) -> bool:
        """Whether anything runs."""
        with self._lock:
            return bool(self._console) or any(job.ended is None for job in self._batch.values())

    def cancel_all(self) -> None:
        for job in self.console_jobs():
            job.cancel("The server is shutting down.")
        for batch in self.batch_jobs():
            batch.session.cancelled.set()


def described(text: str) -> str:
    """A script's text as a job description."""
    line = " ".join(text.split())
    return line if len(line) <= _DESCRIPTION_LENGTH else line[: _DESCRIPTION_LENGTH - 1] + "…"
