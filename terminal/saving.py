"""`/save`: the last answer, its script or its result as a file."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage, ToolMessage

from core.artifacts import Artifacts
from core.errors import UserError
from graph.history import since_question
from graph.state import Answer

ANSWER, SCRIPT, RESULT = (".md", ".txt"), (".dos",), (".csv", ".json")
_NULL = "NULL"
_TEXTS = ("STRING", "SYMBOL", "CHAR", "BLOB", "ANY")
_WHOLE_TABLE = re.compile(
    r"^TABLE (?P<rows>\d+) rows x \d+ columns\ncolumns: (?P<columns>[^\n]*)\n"
    r"\|[^\n]*\|\n\|[-|]+\|(?P<grid>(\n\|[^\n]*\|)*)",
    re.MULTILINE,
)
_CELL_ENDS = re.compile(r"(?<!\\) \| ")


async def contents(
    path: Path, answer: Answer, messages: Sequence[AnyMessage], artifacts: Artifacts, owner: str
) -> bytes:
    """What belongs into `path` by its suffix. Raises UserError for another suffix, or when there is no such result."""
    suffix = path.suffix.lower()
    if suffix in SCRIPT:
        if not answer["script"]:
            raise UserError("The last answer has no script.", "Use .md to save its text.")
        return f"{answer['script']}\n".encode()
    if suffix in RESULT:
        return await _result(suffix, answer, messages, artifacts, owner)
    if suffix and suffix not in ANSWER:
        known = ", ".join((*ANSWER, *SCRIPT, *RESULT))
        raise UserError(f"An answer cannot be saved as {suffix}.", f"Use one of {known}.")
    script = f"\n```\n{answer['script']}\n```\n" if answer["script"] else ""
    return f"{answer['text']}\n{script}".encode()


async def _result(
    suffix: str, answer: Answer, messages: Sequence[AnyMessage], artifacts: Artifacts, owner: str
) -> bytes:
    others = []
    for artifact_id in reversed(answer["artifacts"]):
        name = (await artifacts.get(owner, artifact_id)).name
        if name.endswith(suffix):
            return await artifacts.read(owner, artifact_id)
        others.append(Path(name).suffix)
    shown = await asyncio.to_thread(_shown_table, messages)
    if shown is not None and not others:
        return _csv(*shown) if suffix == ".csv" else _json(*shown)
    raise UserError(
        f"The last answer has no result to save as {suffix}.",
        f"Its result was kept as {others[0]}: use that." if others else "Use .md to save its text.",
    )


def _shown_table(messages: Sequence[AnyMessage]) -> tuple[list[str], list[str], list[list[str | None]]] | None:
    """Names, types and cells of the task's last table, if its preview shows all of it exactly."""
    for message in reversed(since_question(messages)):
        if not isinstance(message, ToolMessage) or message.status == "error":
            continue
        if found := _WHOLE_TABLE.search(message.text):
            columns = [column.rpartition(" ") for column in found["columns"].split(", ")]
            names, types = [name for name, _, _ in columns], [kind for _, _, kind in columns]
            rows = [_CELL_ENDS.split(line[2:-2]) for line in found["grid"].splitlines() if line]
            if len(rows) != int(found["rows"]) or any(len(row) != len(names) for row in rows):
                return None
            cells = [[_cell(text, kind) for text, kind in zip(row, types, strict=True)] for row in rows]
            return None if any(text == _UNSURE for row in cells for text in row) else (names, types, cells)
    return None


_UNSURE = "\0"


def _cell(text: str, kind: str) -> str | None:
    """The text of a cell; None for NULL, and _UNSURE where the preview cannot be told from another value."""
    if kind in _TEXTS and ("\\n" in text or "\\r" in text or text == _NULL):
        return _UNSURE
    return None if text == _NULL else text.replace("\\|", "|")


def _csv(names: list[str], _types: list[str], rows: list[list[str | None]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if text is None else text for text in row] for row in rows])
    return buffer.getvalue().encode()


def _json(names: list[str], types: list[str], rows: list[list[str | None]]) -> bytes:
    records = [{name: _value(text, kind) for name, text, kind in zip(names, row, types, strict=True)} for row in rows]
    return json.dumps(records, ensure_ascii=False, indent=1).encode()


def _value(text: str | None, kind: str) -> Any:
    if text is None or kind in _TEXTS:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
