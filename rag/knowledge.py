"""The knowledge base as the rest of the program uses it: build, search, look up."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.settings import Settings, read_settings
from rag.builder import BuildReport, CannotKeepError, build, read_manifest
from rag.documents import Kind, Progress
from rag.embeddings import Encoder, encoder, encoder_name
from rag.generations import Generations
from rag.searcher import Result, Searcher
from rag.settings import KnowledgeSettings
from rag.sources import DOCUMENTATION_SOURCES, DocumentationUnavailableError, documentation, guides, user_files

KEPT = " The pages that the index has stay."


class KnowledgeBaseMissingError(UserError):
    """Nothing was built yet."""

    status = 503


@dataclass(frozen=True)
class Status:
    """`manifest` is None before the first build; `documented` tells that the function documentation is in the index,
    `lexical_only` that nothing searches by meaning. `places` and `notes` are folders and files of the user."""

    root: Path
    manifest: dict[str, Any] | None
    places: tuple[Path, ...]
    notes: Path
    encoder: str
    documented: bool
    lexical_only: bool


class KnowledgeBase:
    """Opened cheaply; an index is loaded at the first search and again when a build has made a new one."""

    def __init__(self, settings: Settings, knowledge: KnowledgeSettings | None = None) -> None:
        self.root = settings.data_dir / "knowledge"
        self._notes = settings.data_dir / "notes"
        self.settings = knowledge if knowledge is not None else read_settings(KnowledgeSettings)
        self._fallback_cache = settings.data_dir / "cache"
        self._generations = Generations(self.root)
        self._lock = threading.Lock()
        self._searcher: Searcher | None = None
        self._encoder: Encoder | None = None

    async def build(
        self, places: Sequence[Path] = (), progress: Progress = lambda _stage, _done, _total: None
    ) -> BuildReport:
        """Bring the index up to date. `places` are folders and files of the user, remembered for later builds.

        Where the function documentation cannot be had, its pages stay as the index has them, if it has, the rest is
        built, and the report says what is missing. DocumentationUnavailableError when the settings name a wrong place
        for it, or the pages cannot stay; the old index then answers as before.
        """
        remembered = self._places()
        merged = list(dict.fromkeys([*remembered, *(place.expanduser().absolute() for place in places)]))
        gone = [place for place in merged if not place.exists() and place in remembered]
        merged = [place for place in merged if place not in gone]
        cache = await asyncio.to_thread(self._cache)
        files = await asyncio.to_thread(user_files, merged, self._notes)
        missing: dict[str, str] = {}
        kept: Sequence[str] = ()
        try:
            found = await documentation(self.settings, cache / "documentation", progress)
        except DocumentationUnavailableError as error:
            if self.settings.documentation is not None:
                raise
            unavailable, found = error, []
            has = await asyncio.to_thread(self._has_functions)
            kept = DOCUMENTATION_SOURCES if has else ()
            missing["dolphindb function documentation"] = f"{error}{KEPT if has else ''}"
        sources = {item.source: item for item in (*found, *guides(), *files)}
        try:
            report = await asyncio.to_thread(
                build,
                self.root,
                cache / "vectors.db",
                list(sources.values()),
                encoder_name(self.settings),
                self._load_encoder,
                progress,
                kept=kept,
            )
        except CannotKeepError:
            raise unavailable from None
        if merged != remembered or gone:
            await asyncio.to_thread(self._remember, merged)
        return BuildReport(**{**vars(report), "problems": {**missing, **report.problems}})

    async def search(self, question: str, count: int = 10, kinds: Iterable[Kind] | None = None) -> list[Result]:
        """Raises KnowledgeBaseMissingError before the first build."""
        return await asyncio.to_thread(lambda: self.searcher().search(question, count, kinds=kinds))

    def searcher(self) -> Searcher:
        """The searcher of the current generation. Blocks while it loads; afterwards it costs one look at a file."""
        folder = self._generations.current()
        with self._lock:
            if self._searcher is not None and folder in (None, self._searcher.folder):
                return self._searcher
            if folder is None:
                raise KnowledgeBaseMissingError("There is no knowledge base yet.", "Build it: ddb-agent kb build")
            try:
                searcher = self._open(folder)
            except FileNotFoundError:
                # Two builds ended since the pointer was read; the newest generation is never removed.
                folder = self._generations.current()
                if folder is None:
                    raise
                searcher = self._open(folder)
            self._searcher = searcher
            return searcher

    def exists(self) -> bool:
        return self._generations.current() is not None

    def status(self) -> Status:
        current = self._generations.current()
        manifest = read_manifest(current) if current is not None else None
        name = encoder_name(self.settings)
        return Status(
            root=self.root,
            manifest=manifest,
            places=tuple(self._places()),
            notes=self._notes,
            encoder=name,
            documented=manifest is not None and bool(manifest["counts"].get("function")),
            lexical_only=not name or (manifest is not None and not manifest["encoder"]),
        )

    def _cache(self) -> Path:
        """The shared cache, or one in the data folder where the shared one cannot be written."""
        folder = self.settings.cache_dir
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            self._fallback_cache.mkdir(parents=True, exist_ok=True)
            return self._fallback_cache

    def _has_functions(self) -> bool:
        current = self._generations.current()
        return current is not None and bool(read_manifest(current)["counts"].get("function"))

    def _open(self, folder: Path) -> Searcher:
        built_with = read_manifest(folder)["encoder"]
        matching = bool(built_with) and built_with == encoder_name(self.settings)
        return Searcher(folder, self._load_encoder() if matching else None)

    def _load_encoder(self) -> Encoder | None:
        if self._encoder is None:
            self._encoder = encoder(self.settings)
        return self._encoder

    def _places(self) -> list[Path]:
        try:
            return [Path(place) for place in json.loads((self.root / "places.json").read_text("utf-8"))]
        except FileNotFoundError:
            return []

    def _remember(self, places: Sequence[Path]) -> None:
        temporary = self.root / "places.json.new"
        temporary.write_text(json.dumps([str(place) for place in places]), "utf-8")
        temporary.replace(self.root / "places.json")
