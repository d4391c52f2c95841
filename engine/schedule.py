"""Jobs that run again and again at given times of the day, kept in a file so that they outlive the process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Literal

from engine.errors import ScriptError
from engine.storage.files import read_document, write_document
from engine.stored_functions import Document

logger = logging.getLogger("engine")

Frequency = Literal["D", "W", "M"]

_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class ScheduledJob:
    """`minutes` are those of the day, in local time. Dates are ISO texts, both included.

    `days` are those of the week (0: Sunday) or of the month. `on_complete` is called with the id, the description,
    whether it succeeded, and the result or the message of the error.
    """

    id: str
    description: str
    user: str
    function: Document
    minutes: list[int]
    start: str
    end: str
    frequency: Frequency
    days: list[int]
    on_complete: Document | None = None
    priority: int = 4
    parallelism: int = 2

    def runs_on(self, day: date) -> bool:
        if not self.start <= day.isoformat() <= self.end:
            return False
        if self.frequency == "D":
            return True
        return (day.isoweekday() % 7 if self.frequency == "W" else day.day) in self.days

    def next_time(self, after: datetime) -> datetime | None:
        """The first time later than `after`; None if it runs no more."""
        day = max(after.date(), date.fromisoformat(self.start))
        last = date.fromisoformat(self.end)
        while day <= last:
            if self.runs_on(day):
                midnight = datetime(day.year, day.month, day.day)
                times = (midnight + timedelta(minutes=minute) for minute in self.minutes)
                later = [each for each in times if each > after]
                if later:
                    return min(later)
            day += timedelta(days=1)
        return None


class Schedule:
    """The scheduled jobs of a node. `clock` tells the seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = RLock()
        self._jobs: dict[str, ScheduledJob] = {}
        self._looked = self._now()
        self._changed = Event()
        self._stopped = False
        if path.exists():
            for document in read_document(path)["jobs"]:
                self._jobs[document["id"]] = ScheduledJob(**document)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock())

    def jobs(self) -> list[ScheduledJob]:
        with self._lock:
            return list(self._jobs.values())

    def add(self, job: ScheduledJob) -> None:
        with self._lock:
            self._save({**self._jobs, job.id: job})
        self._changed.set()

    def free_id(self, wanted: str) -> str:
        """An id that no scheduled job has: as wanted, or with the date and a number after it."""
        with self._lock:
            name, number = wanted, 0
            while name in self._jobs:
                name = f"{wanted}{self._now():%Y%m%d}{number:03d}"
                number += 1
            return name

    def job(self, job_id: str) -> ScheduledJob:
        with self._lock:
            found = self._jobs.get(job_id)
        if found is None:
            raise ScriptError(f"The scheduled job [{job_id}] does not exist.")
        return found

    def delete(self, job_id: str) -> None:
        with self._lock:
            self._save({each: job for each, job in self._jobs.items() if each != job_id})
        self._changed.set()

    def _save(self, jobs: dict[str, ScheduledJob]) -> None:
        write_document(self._path, {"jobs": [asdict(job) for job in jobs.values()]})
        self._jobs = jobs

    def next_time(self) -> datetime | None:
        """When the next job is due; None if there is none any more."""
        with self._lock:
            times = [job.next_time(self._looked) for job in self._jobs.values()]
        return min((each for each in times if each is not None), default=None)

    def due(self) -> list[ScheduledJob]:
        """The jobs whose time has come since the last call, each once."""
        with self._lock:
            now = self._now()
            found = [job for job in self._jobs.values() if _is_due(job, self._looked, now)]
            # A clock that was set back must not make jobs run again.
            self._looked = max(self._looked, now)
            return found

    def start(self, run: Callable[[ScheduledJob], object]) -> None:
        """Run the jobs that become due, in a thread, until `stop`."""
        Thread(target=self._run, args=(run,), name="schedule", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    def _run(self, run: Callable[[ScheduledJob], object]) -> None:
        while not self._stopped:
            for job in self.due():
                try:
                    run(job)
                except Exception:
                    logger.exception("the scheduled job %s did not start", job.id)
            following = self.next_time()
            wait = None if following is None else min((following - self._now()).total_seconds(), _LONGEST_WAIT)
            self._changed.wait(wait if wait is None else max(wait, 0.0))
            self._changed.clear()


def _is_due(job: ScheduledJob, after: datetime, now: datetime) -> bool:
    following = job.next_time(after)
    return following is not None and following <= now
