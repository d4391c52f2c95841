"""Files into pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from core.errors import InvalidInputError
from rag.documents import Kind, Page, language_of
from rag.loaders.function_docs import is_function_docs, read_function_docs
from rag.loaders.markdown import read_markdown, read_text
from rag.loaders.office import read_docx, read_html, read_pdf
from rag.loaders.script import read_script

MAX_BYTES = 64 * 1024 * 1024

_BINARY: dict[str, Callable[[bytes, str], Page]] = {
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
}
_TEXT = {".md", ".markdown", ".txt", ".dos", ".json"}
SUFFIXES = frozenset(_BINARY) | _TEXT


def load(data: bytes, name: str, kind: Kind = "document") -> list[Page]:
    """The pages of one file, by the suffix of its name. Raises InvalidInputError for what cannot be read."""
    suffix = PurePath(name).suffix.lower()
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"The file has {len(data) >> 20} MiB.", f"At most {MAX_BYTES >> 20} MiB are read.")
    if suffix in _BINARY:
        return [_BINARY[suffix](data, name)]
    text = _decoded(data)
    if suffix == ".json":
        if not is_function_docs(text):
            raise InvalidInputError("This JSON is no function documentation.", "Give docs.en.json or docs.zh.json.")
        return read_function_docs(text, "zh" if PurePath(name).name.endswith(".zh.json") else "en")
    if suffix == ".dos":
        return [read_script(text, name)]
    if suffix == ".txt":
        return [read_text(text, name, kind)]
    if kind == "guide":
        stem = PurePath(name).stem
        language = language_of(text)
        return [read_markdown(text, name, kind, topic=f"guide:{stem}:{language}")]
    return [read_markdown(text, name, kind)]


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise InvalidInputError("The file is no text in UTF-8 or GB 18030.", "Convert it to UTF-8.")
