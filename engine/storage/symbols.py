"""The dictionary of a stored SYMBOL column: a file that only grows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engine.errors import ScriptError
from engine.values import Array, SymbolBase, Vector

_MAX_SYMBOLS = 2**21


class StoredSymbols:
    """NUL-terminated strings in code order. Only the first `length` bytes count; the manifest keeps that number."""

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        self.length = length
        text = path.read_bytes()[:length].decode("utf-8") if length else ""
        self.base = SymbolBase(text.split("\0")[:-1])
        self._written = len(self.base)

    def codes(self, column: Vector) -> Array:
        """The codes of a SYMBOL or STRING column, new strings added; `flush` makes them durable."""
        if column.symbols is not None:
            used = np.unique(column.data)
            translation = np.zeros(len(column.symbols), dtype=np.int32)
            for code in used.tolist():
                translation[code] = self._code(column.symbols.strings[code])
            return translation[column.data]
        texts = column.data.tolist()
        known = {text: self._code(text) for text in dict.fromkeys(texts)}
        return np.fromiter(map(known.__getitem__, texts), np.int32, len(texts))

    def _code(self, text: str) -> int:
        code = self.base.find(text)
        if code >= 0:
            return code
        if len(self.base) > _MAX_SYMBOLS:
            raise ScriptError("One SYMBOL column can't hold more than 2097152 distinct values. Use STRING instead.")
        if "\0" in text:
            raise ScriptError("A SYMBOL can't contain a NUL character.")
        return self.base.code(text)

    def flush(self) -> None:
        """Append the strings added since the last time."""
        count = len(self.base)
        fresh = "".join(f"{text}\0" for text in self.base.strings[self._written : count]).encode("utf-8", "replace")
        if not fresh:
            return
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self.length)
            file.seek(self.length)
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        self.length += len(fresh)
        self._written = count
