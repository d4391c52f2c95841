"""Generations of the index on disk. A build makes a new folder; one atomic rename makes it the current one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from core.errors import ConflictError, UserError

KEPT = 2


class Generations:
    """`root/current` names the folder in `root/generations` that answers queries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = root / "generations"
        self._pointer = root / "current"

    def current(self) -> Path | None:
        try:
            name = self._pointer.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        folder = self._folders / name
        return folder if name and (folder / "manifest.json").is_file() else None

    @contextmanager
    def building(self) -> Iterator[None]:
        """Only one builder at a time; the kernel drops the lock of a killed one. Raises ConflictError, and
        UserError when the folder cannot be made."""
        try:
            self._folders.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self._folders} cannot be made: {error.strerror}.",
                "Set DDB_AGENT_DATA_DIR to a folder you can write to.",
            ) from None
        with (self.root / "build.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(
                    "Another build of the knowledge base is running.",
                    "Wait for it to end; queries are answered meanwhile.",
                ) from None
            self._sweep()
            yield

    @contextmanager
    def new(self) -> Iterator[Path]:
        """A folder to fill; it becomes current when the block ends well and is removed otherwise. Hold `building()`."""
        name = uuid4().hex
        folder = self._folders / f"{name}.partial"
        folder.mkdir()
        try:
            yield folder
            for directory, _, files in os.walk(folder):
                for file in files:
                    _sync(Path(directory, file))
                _sync(Path(directory))
            os.replace(folder, self._folders / name)
            self._point_to(name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._sweep()

    def _point_to(self, name: str) -> None:
        temporary = self.root / "current.new"
        temporary.write_text(name, "utf-8")
        _sync(temporary)
        os.replace(temporary, self._pointer)
        _sync(self._folders)
        _sync(self.root)

    def _sweep(self) -> None:
        """Remove what killed builds left, and old generations but the last, which a query may still be reading."""
        current = self.current()
        finished = []
        for folder in self._folders.iterdir():
            if folder.suffix == ".partial" or not (folder / "manifest.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
            elif folder != current:
                finished.append(folder)
        finished.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in finished[KEPT - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
