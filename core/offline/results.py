"""Reading the preview of a script's result, as the tool prints it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NULL = "NULL"

_GAP = re.compile(r"… \(\d+ rows not shown\)")
_HEAD = r"^(?:TABLE|SCALAR|VECTOR|MATRIX|DICTIONARY|SET|PAIR|NOTHING)\b"


@dataclass(frozen=True)
class Result:
    """A result read back from its preview. `rows` are the rows shown, of which the first `head` come before those that
    are left out; `row_count` counts all of them."""

    form: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    row_count: int = 0
    head: int = 0
    scalar: str | None = None
    statistics: str = ""
    artifact: str = ""
    text: str = ""
    types: dict[str, str] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        return self.form == "TABLE"

    @property
    def complete(self) -> bool:
        """Whether every row is shown."""
        return len(self.rows) == self.row_count

    def values(self, column: str) -> list[str]:
        if column not in self.columns:
            return []
        index = self.columns.index(column)
        return [row[index] for row in self.rows]

    def markdown(self, limit: int = 15) -> str:
        lines = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.rows[:limit]]
        if not self.complete and self.head < len(rows):
            rows.insert(self.head, "|" + " … |" * len(self.columns))
        return "\n".join(lines + rows)


def parse_result(text: str) -> Result:
    """Read a preview: its head line, the rows shown, statistics and the artifact's id."""
    start = re.search(_HEAD, text, re.MULTILINE)
    lines = text[start.start() :].strip().splitlines() if start else []
    head = lines[0] if lines else "NOTHING"
    found = re.search(r"^artifact: *(\S+)", text, re.MULTILINE)
    artifact = found[1] if found else ""
    form = head.split()[0].rstrip(":") if head else "NOTHING"
    if form == "TABLE":
        shape = re.match(r"TABLE (\d+) rows? x (\d+) columns?", head)
        grid = [line for line in lines if line.startswith("|") or _GAP.match(line)]
        head_rows = next((i for i, line in enumerate(grid) if _GAP.match(line)), len(grid)) - 2
        rows = [_cells(line) for line in grid if line.startswith("|")]
        columns = rows[0] if rows else ()
        statistics = next((line[len("statistics:") :].strip() for line in lines if line.startswith("statistics:")), "")
        described = next((line[len("columns:") :] for line in lines if line.startswith("columns:")), "")
        types = dict(part.strip().rsplit(" ", 1) for part in described.split(",") if " " in part.strip())
        count = int(shape[1]) if shape else len(rows) - 2
        return Result(form, columns, tuple(rows[2:]), count, head_rows, None, statistics, artifact, text, types)
    scalar = None
    if form == "SCALAR":
        match = re.match(r"SCALAR[^:]*: ?(.*)", "\n".join(lines), re.DOTALL)
        scalar = re.sub(r"\n(?:artifact|printed):.*", "", match[1], flags=re.DOTALL).strip() if match else None
    return Result(form, scalar=scalar, artifact=artifact, text=text)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])


def as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
