"""What came of scheduled jobs, in files: they run when nobody looks, and the process may end before anybody does."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from engine.errors import ScriptError
from engine.jobs import BatchJob
from engine.session import Session
from engine.storage.files import read_document, write_document
from engine.stored_functions import check_plain
from engine.values import Nothing, Value
from engine.wire.decode import decode
from engine.wire.encode import Encoding, encode
from engine.wire.reader import StreamReader

logger = logging.getLogger("engine")

_KEPT = 200
_RESULT_BYTES = 16 * 2**20


class JobRecords:
    """The last jobs that ended, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, job: BatchJob) -> None:
        """Keep a job that has ended; a result that is too large or no data is not kept with it."""
        self._folder.mkdir(exist_ok=True)
        write_document(
            self._path(job),
            {
                "id": job.id,
                "description": job.description,
                "user": job.session.user,
                "priority": job.priority,
                "parallelism": job.parallelism,
                "received": job.received,
                "started": job.started,
                "ended": job.ended,
                "error": job.error,
                "output": job.output,
                "result": _stored(job.result),
            },
        )
        for path in self._paths()[:-_KEPT]:
            path.unlink(missing_ok=True)

    def load(self, session: Callable[[str], Session]) -> list[BatchJob]:
        """The jobs, oldest first; `session` makes one for a user."""
        return [_job(read_document(path), session) for path in self._paths()]

    def _path(self, job: BatchJob) -> Path:
        return self._folder / f"{int((job.ended or 0) * 1000):015d}-{quote(job.id, safe='')}.json"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))


def _job(document: dict[str, object], session: Callable[[str], Session]) -> BatchJob:
    values = dict(document)
    result, user = values.pop("result"), values.pop("user")
    job = BatchJob(**values, session=session(str(user)))  # type: ignore[arg-type]
    if isinstance(result, str):
        job.result = decode(StreamReader.over(base64.b64decode(result)))
    job.done.set()
    return job


def _stored(value: Value) -> str | None:
    if isinstance(value, Nothing):
        return None
    try:
        check_plain(value)
        blocks = encode(value, Encoding(all_types=True, max_bytes=_RESULT_BYTES))
    except ScriptError as error:
        logger.info("the result of a job is not kept: %s", error)
        return None
    return base64.b64encode(b"".join(bytes(block) for block in blocks)).decode()
