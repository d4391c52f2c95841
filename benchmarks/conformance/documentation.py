"""The function documentation, as the npm package `dolphindb` brings it."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "dolphindb@3.1.48"
_FILE = "docs.en.json"
_FENCE = re.compile(r"^(\s*)```(\S*)\s*$")


@dataclass(frozen=True)
class Block:
    """A piece of a page: `code` or `table` (a text of lines `| a | b |`)."""

    kind: str
    text: str


def fetch(cache: Path) -> Path:
    """The documentation in the cache, downloaded with npm when it is not there yet."""
    file = cache / PACKAGE / _FILE
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as package:
            member = package.extractfile(f"package/{_FILE}")
            if member is None:
                raise FileNotFoundError(f"{PACKAGE} has no {_FILE}")
            file.write_bytes(member.read())
    return file


def pages(file: Path) -> dict[str, str]:
    """The Markdown of each function's page, by the function's name."""
    return {name: page["markdown"] for name, page in json.loads(file.read_text(encoding="utf-8")).items()}


def blocks(markdown: str) -> list[Block]:
    """The code and the tables of a page in order; text between them ends the bond of a table to its code."""
    lines = markdown.replace("\r", "").replace("\u00a0", " ").replace("\u200b", "").split("\n")
    found: list[Block] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        fence = _FENCE.match(line)
        if fence:
            code = []
            while position < len(lines) and lines[position].strip() != "```":
                code.append(lines[position].removeprefix(fence[1]))
                position += 1
            position += 1
            found.append(Block("code", "\n".join(code)))
        elif line.lstrip().startswith("|"):
            rows = [line.strip()]
            while position < len(lines) and lines[position].lstrip().startswith("|"):
                rows.append(lines[position].strip())
                position += 1
            found.append(Block("table", "\n".join(_unescaped(row) for row in rows)))
        elif line.startswith("#"):
            found.append(Block("heading", line.strip("# ")))
        elif line.strip():
            found.append(Block("text", line.strip()))
    return found


def _unescaped(row: str) -> str:
    return re.sub(r"\\([\[\]\\`*_{}()#+\-.!<>~])", r"\1", row)
