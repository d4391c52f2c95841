"""HTML, PDF and DOCX, by way of the ecosystem's readers."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import InvalidInputError
from rag.documents import Page, Section, language_of

_LEVELS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = ("p", "li", "pre", "blockquote", "tr", "dt", "dd", "figcaption", *_LEVELS)
_UNREAD = ("script", "style", "noscript", "template", "nav", "svg")


@contextmanager
def _damage_reported(form: str) -> Iterator[None]:
    """Readers of damaged files raise whatever the damage leads them into: zlib, zipfile, lxml or their own errors."""
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise InvalidInputError(f"The {form} cannot be read: {reason}.", "Save it anew.") from None


def read_html(data: bytes, name: str) -> Page:
    """Text by block; navigation, scripts and styles are left out. Lines are those of the source."""
    from bs4 import BeautifulSoup
    from bs4.dammit import EncodingDetector

    encoding = EncodingDetector.find_declared_encoding(data, is_html=True)
    if encoding is None:
        # Guessing goes wrong on short pages.
        try:
            data.decode("utf-8")
            encoding = "utf-8"
        except UnicodeDecodeError:
            encoding = "gb18030"
    soup = BeautifulSoup(data, "lxml", from_encoding=encoding)
    for element in soup(_UNREAD):
        element.decompose()
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    blocks: list[tuple[int, int, str]] = []
    for element in soup.find_all(_BLOCKS):
        if element.name not in _LEVELS and element.find(_BLOCKS):
            continue
        text = element.get_text() if element.name == "pre" else element.get_text(" ", strip=True)
        if text.strip():
            blocks.append((_LEVELS.get(element.name, 0), element.sourceline or 1, text.strip("\n")))
    if not blocks and (text := soup.get_text(" ", strip=True)):
        blocks.append((0, 1, text))
    return _page(name, title, blocks, data.count(b"\n") + 1)


def read_pdf(data: bytes, name: str) -> Page:
    """One section a page of paper; lines are counted per paper page from 1. Raises InvalidInputError."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with _damage_reported("PDF"):
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InvalidInputError("The PDF is encrypted.", "Save it without a password.")
        texts = [page.extract_text() or "" for page in reader.pages]
    sections = tuple(
        Section((name, f"page {number}"), text.strip(), 1, text.count("\n") + 1)
        for number, text in enumerate(texts, 1)
        if text.strip()
    )
    if not sections:
        raise InvalidInputError("The PDF holds no text.", "Scanned pages have to go through text recognition first.")
    return Page(f"document:{name}", name, language_of("\n".join(texts)), "document", sections)


def read_docx(data: bytes, name: str) -> Page:
    """Paragraphs and tables in order; lines count paragraphs. Raises InvalidInputError."""
    from docx import Document

    with _damage_reported("DOCX"):
        blocks = list(_docx_blocks(Document(io.BytesIO(data))))
    return _page(name, "", blocks, len(blocks))


def _docx_blocks(document: object) -> Iterator[tuple[int, int, str]]:
    from docx.table import Table

    for number, item in enumerate(document.iter_inner_content(), 1):  # type: ignore[attr-defined]
        if isinstance(item, Table):
            rows = (" | ".join(cell.text.strip() for cell in row.cells) for row in item.rows)
            yield 0, number, "\n".join(rows)
        elif item.text.strip():
            style = str(item.style.name) if item.style is not None else ""
            digits = style.removeprefix("Heading ")
            level = int(digits) if style.startswith("Heading ") and digits.isdigit() else 1 if style == "Title" else 0
            yield level, number, item.text.strip()


def _page(name: str, title: str, blocks: list[tuple[int, int, str]], last_line: int) -> Page:
    """Sections from blocks of (heading level or 0, line, text)."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    body: list[tuple[int, str]] = []

    def close(end: int) -> None:
        if body:
            headings = tuple(heading for _, heading in path) or (title or name,)
            sections.append(Section(headings, "\n\n".join(text for _, text in body), body[0][0], max(end, body[0][0])))
            body.clear()

    for level, line, text in blocks:
        if level:
            close(line - 1)
            path = [*(item for item in path if item[0] < level), (level, text)]
        else:
            body.append((line, text))
    close(last_line)
    everything = "\n".join(text for _, _, text in blocks)
    shown = title or next((text for level, _, text in blocks if level == 1), name)
    return Page(f"document:{name}", shown, language_of(everything), "document", tuple(sections))
