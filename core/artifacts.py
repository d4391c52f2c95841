"""Results, charts and documents that are too large for a conversation."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from psycopg.rows import class_row
from psycopg.sql import SQL

from core.errors import ConfigurationError, NotFoundError
from core.postgres import Pool, connection

INLINE_BYTES = 1_000_000
SWEEP_AGE_SECONDS = 3600.0
COLUMNS = SQL("artifact_id AS id, owner, thread_id, kind, name, media_type, size, sha256, created_at")


@dataclass(frozen=True)
class Artifact:
    """`kind` is free text such as table, chart or report; `size` is in bytes, `sha256` in hex."""

    id: str
    owner: str
    thread_id: str
    kind: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime


class Artifacts:
    """Artifacts: up to 1 MB in Postgres, larger ones as files in `directory`, which all processes must share."""

    def __init__(self, pool: Pool, directory: Path) -> None:
        self._pool = pool
        self._directory = directory

    async def save(self, owner: str, thread_id: str, kind: str, name: str, media_type: str, data: bytes) -> Artifact:
        artifact_id = uuid4().hex
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        path = None
        if len(data) > INLINE_BYTES:
            path = f"{artifact_id[:2]}/{artifact_id}"
            await asyncio.to_thread(_write, self._directory / path, data)
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Artifact)) as cursor:
            await cursor.execute(
                SQL(
                    "INSERT INTO artifacts"
                    " (artifact_id, owner, thread_id, kind, name, media_type, size, sha256, data, path)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {}"
                ).format(COLUMNS),
                (
                    artifact_id,
                    owner,
                    thread_id,
                    kind,
                    name,
                    media_type,
                    len(data),
                    digest,
                    None if path else data,
                    path,
                ),
            )
            artifact = await cursor.fetchone()
        assert artifact is not None
        return artifact

    async def get(self, owner: str, artifact_id: str) -> Artifact:
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Artifact)) as cursor:
            await cursor.execute(
                SQL("SELECT {} FROM artifacts WHERE owner = %s AND artifact_id = %s").format(COLUMNS),
                (owner, artifact_id),
            )
            artifact = await cursor.fetchone()
        if artifact is None:
            raise _not_found(artifact_id)
        return artifact

    async def read(self, owner: str, artifact_id: str) -> bytes:
        """The bytes as they were saved. Raises NotFoundError also when the file is gone or damaged."""
        async with connection(self._pool) as held:
            cursor = await held.execute(
                "SELECT data, path, sha256 FROM artifacts WHERE owner = %s AND artifact_id = %s", (owner, artifact_id)
            )
            row = await cursor.fetchone()
        if row is None:
            raise _not_found(artifact_id)
        if row["path"] is None:
            return bytes(row["data"])
        try:
            data: bytes = await asyncio.to_thread((self._directory / row["path"]).read_bytes)
        except OSError as error:
            raise NotFoundError(
                f"The file of artifact {artifact_id} cannot be read: {error.strerror}.",
                "Make the artifact again; check that the data directory is the one it was made in.",
            ) from error
        if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != row["sha256"]:
            raise NotFoundError(f"The file of artifact {artifact_id} is damaged.", "Make the artifact again.")
        return data

    async def list(self, owner: str, thread_id: str, *, limit: int = 100, offset: int = 0) -> list[Artifact]:
        """The artifacts of a thread, oldest first."""
        async with connection(self._pool) as held, held.cursor(row_factory=class_row(Artifact)) as cursor:
            await cursor.execute(
                SQL(
                    "SELECT {} FROM artifacts WHERE owner = %s AND thread_id = %s"
                    " ORDER BY created_at, artifact_id LIMIT %s OFFSET %s"
                ).format(COLUMNS),
                (owner, thread_id, limit, offset),
            )
            return await cursor.fetchall()

    async def delete(self, owner: str, artifact_id: str) -> None:
        async with connection(self._pool) as held:
            cursor = await held.execute(
                "DELETE FROM artifacts WHERE owner = %s AND artifact_id = %s RETURNING path", (owner, artifact_id)
            )
            row = await cursor.fetchone()
        if row is None:
            raise _not_found(artifact_id)
        if row["path"] is not None:
            await self.remove_files([row["path"]])

    async def remove_files(self, paths: Iterable[str]) -> None:
        """Removes files by the paths kept in Postgres, whose rows are gone already."""
        await asyncio.to_thread(_unlink, self._directory, list(paths))

    async def sweep(self) -> int:
        """Removes files over an hour old that no artifact refers to (left by a crash), and returns their number."""
        oldest = time.time() - SWEEP_AGE_SECONDS
        found = await asyncio.to_thread(_files_before, self._directory, oldest)
        async with connection(self._pool) as held:
            cursor = await held.execute("SELECT path FROM artifacts WHERE path = ANY(%s)", (found,))
            kept = {row["path"] for row in await cursor.fetchall()}
        orphans = [path for path in found if path not in kept]
        await self.remove_files(orphans)
        return len(orphans)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(
            f"The artifact cannot be written to {path.parent}: {error.strerror}.",
            "Check the free space and the rights of the data directory (DDB_AGENT_DATA_DIR).",
        ) from error


def _unlink(directory: Path, paths: list[str]) -> None:
    for path in paths:
        (directory / path).unlink(missing_ok=True)


def _files_before(directory: Path, oldest: float) -> list[str]:
    return [
        path.relative_to(directory).as_posix()
        for path in directory.glob("??/*")
        if path.is_file() and path.stat().st_mtime < oldest
    ]


def _not_found(artifact_id: str) -> NotFoundError:
    return NotFoundError(f"There is no artifact {artifact_id}.", "List the artifacts of the thread to see their ids.")
