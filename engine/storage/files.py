"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write JSON so that a crash or a full disk leaves either the old or the new content."""
    fresh = path.with_name(path.name + ".new")
    with removed_on_failure(fresh):
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    sync_folder(path.parent)


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Leave no half of a new file behind."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(path: Path, *, append: bool = False, binary: bool = False, **options: Any) -> Iterator[IO[Any]]:
    """A file to write to, opened with the options of `Path.open`; what is there stays where the writing fails."""
    if append and path.exists():
        size = path.stat().st_size
        try:
            with path.open("ab" if binary else "a", **options) as file:
                yield file
        except BaseException:
            os.truncate(path, size)
            raise
        return
    fresh = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
    with removed_on_failure(fresh):
        with fresh.open("wb" if binary else "w", **options) as file:
            yield file
        fresh.replace(path)


def read_document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
