"""Where the knowledge comes from: the documentation package, the project's guides, and the user's folders and notes."""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from core.errors import NotFoundError, UserError
from rag.documents import Kind, Progress
from rag.loaders import SUFFIXES
from rag.settings import KnowledgeSettings

PACKAGE = "dolphindb@3.1.48"
DOCUMENTS = ("docs.en.json", "docs.zh.json")
DOCUMENTATION_SOURCES = tuple(f"dolphindb/{name}" for name in DOCUMENTS)
NPM_TIMEOUT = 180


class DocumentationUnavailableError(UserError):
    """DolphinDB's function documentation is neither on disk nor can it be fetched."""

    status = 503


@dataclass(frozen=True)
class SourceFile:
    """`source` names the file in citations; the file is at `path`."""

    source: str
    path: Path
    kind: Kind


async def documentation(
    settings: KnowledgeSettings, cache: Path, progress: Progress = lambda _stage, _done, _total: None
) -> list[SourceFile]:
    """The documentation files: where the settings say, else from the cache, else fetched by npm into the cache.

    Raises DocumentationUnavailableError.
    """
    folder = settings.documentation or cache / PACKAGE.replace("@", "-")
    if settings.documentation is None and not all((folder / name).is_file() for name in DOCUMENTS):
        await _fetch(folder, progress)
    found = [
        SourceFile(source, folder / name, "function")
        for source, name in zip(DOCUMENTATION_SOURCES, DOCUMENTS, strict=True)
    ]
    found = [item for item in found if item.path.is_file()]
    if not found:
        raise DocumentationUnavailableError(
            f"{folder} holds neither docs.en.json nor docs.zh.json.", "Correct DDB_AGENT_DOCUMENTATION."
        )
    return found


async def _fetch(folder: Path, progress: Progress) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DocumentationUnavailableError(
            "npm is not installed, so DolphinDB's function documentation cannot be fetched.",
            "Install npm, or set DDB_AGENT_DOCUMENTATION to a folder with docs.en.json and docs.zh.json.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    progress("fetching", 0, 1)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        process = await asyncio.create_subprocess_exec(
            npm, "pack", PACKAGE, "--pack-destination", temporary, "--loglevel=error", "--ignore-scripts",
            "--fetch-retries=1", "--fetch-retry-mintimeout=2000",
            cwd=temporary, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, complaint = await asyncio.wait_for(process.communicate(), NPM_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()
            complaint = b"it took too long"
        archives = await asyncio.to_thread(lambda: sorted(Path(temporary).glob("*.tgz")))
        if process.returncode != 0 or not archives:
            raise DocumentationUnavailableError(
                f"npm could not fetch {PACKAGE}: {_reason(complaint)}.",
                "Check the network, or set DDB_AGENT_DOCUMENTATION to a folder with docs.en.json and docs.zh.json.",
            )
        await asyncio.to_thread(_unpack, archives[0], Path(temporary) / "docs", folder)
    progress("fetching", 1, 1)


def _reason(complaint: bytes) -> str:
    """npm's first line that says more than a code; its last ones only name a log file."""
    lines = [
        line.removeprefix("npm ").removeprefix("error ").strip()
        for line in complaint.decode(errors="replace").splitlines()
    ]
    told = [line for line in lines if line and not line.startswith(("code ", "errno ", "syscall ", "A complete log"))]
    return told[0].rstrip(".") if told else "it gave no reason"


def _unpack(archive: Path, unpacked: Path, folder: Path) -> None:
    """The two documents of the package, and only these, appear in `folder` at once."""
    unpacked.mkdir()
    with tarfile.open(archive) as package:
        for name in DOCUMENTS:
            member = package.extractfile(f"package/{name}")
            if member is not None:
                (unpacked / name).write_bytes(member.read())
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unpacked, folder)


def guides() -> Iterator[SourceFile]:
    """The project's own guides."""
    with as_file(files("rag") / "guides") as folder:
        for path in sorted(folder.glob("*/*.md")):
            yield SourceFile(f"guides/{path.parent.name}/{path.name}", path, "guide")


def user_files(places: Sequence[Path], notes: Path) -> list[SourceFile]:
    """Readable files of the user's folders and notes. Hidden files and links out of a folder are left out.

    Raises NotFoundError for a place that does not exist.
    """
    found: dict[str, SourceFile] = {}
    for place in places:
        if place.is_file():
            found[str(place)] = SourceFile(str(place), place, "document")
        elif place.is_dir():
            found.update((item.source, item) for item in _walk(place, "document"))
        else:
            raise NotFoundError(f"There is no {place}.", "Give a folder or a file that exists.")
    if notes.is_dir():
        found.update((item.source, item) for item in _walk(notes, "note"))
    return list(found.values())


def _walk(folder: Path, kind: Kind) -> Iterator[SourceFile]:
    for directory, directories, names in os.walk(folder):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory, name)
            known = path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".json"
            known = known or name in DOCUMENTS
            if known and not name.startswith(".") and not path.is_symlink():
                yield SourceFile(str(path), path, "function" if name in DOCUMENTS else kind)
