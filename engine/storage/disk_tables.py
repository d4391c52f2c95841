"""Tables in files of a folder, one file each, read whole: databases outside of dfs://."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from engine.errors import ScriptError
from engine.storage.files import removed_on_failure, sync_folder
from engine.values import Table
from engine.wire.decode import decode
from engine.wire.encode import Encoding, encode
from engine.wire.reader import ProtocolError, StreamReader

_SUFFIX = ".tbl"


@dataclass(frozen=True)
class DiskDatabase:
    """A folder of tables; it is made when the first one is saved."""

    folder: Path

    def tables(self) -> list[str]:
        return sorted(unquote(path.name.removesuffix(_SUFFIX)) for path in self.folder.glob(f"*{_SUFFIX}"))

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def save(self, name: str, table: Table) -> None:
        """Write a table so that a crash leaves either the old or the new one."""
        path = self._path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        with removed_on_failure(fresh):
            with fresh.open("wb") as file:
                for block in encode(table, Encoding(all_types=True)):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        sync_folder(self.folder)

    def load(self, name: str) -> Table:
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise ScriptError(f"The table [{name}] does not exist in [{self.folder}].") from None
        try:
            table = decode(StreamReader.over(data))
        except ProtocolError as error:
            raise ScriptError(f"The file of the table [{name}] in [{self.folder}] is damaged.") from error
        if not isinstance(table, Table):
            raise ScriptError(f"The file of the table [{name}] in [{self.folder}] holds no table.")
        return table

    def drop(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise ScriptError(f"The table [{name}] does not exist in [{self.folder}].") from None

    def _path(self, name: str) -> Path:
        if not name:
            raise ScriptError("A table name is expected.")
        return self.folder / (quote(name, safe="") + _SUFFIX)
