"""How values are shown: to a model within a budget, and in full as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.types import NULL, is_null, is_numeric, literal, literals
from dolphin.values import Column, Matrix, Result, json_value, python_result

__all__ = ["Column", "Matrix", "Preview", "Result", "preview", "python_result", "to_bytes"]

CELL_CHARS = 200
ENTRY_CHARS = 1000
VECTOR_SHARE = 4
CUT = " characters more)"


@dataclass(frozen=True)
class Preview:
    """`text` is for the model, `json` the same for a user interface; `complete` tells that every element is in it."""

    text: str
    json: dict[str, Any]
    complete: bool = True


def preview(value: Any, *, head: int = 10, tail: int = 5, max_chars: int = 6000) -> Preview:
    """At most `max_chars` of text about a value (a Result, or anything the client decodes): first and last rows, and
    for longer tables statistics of the numeric columns. Fewer rows, then fewer columns, are shown where it must fit.
    """
    result = python_result(value)
    shown_head, shown_tail, width = head, tail, max(result.columns, 1)
    while True:
        text, shown = _render(result, shown_head, shown_tail, width)
        if len(text) <= max_chars:
            whole = _is_whole(result, shown_head + shown_tail, width) and CUT not in text
            return Preview(text, shown, whole)
        if shown_head > 3 or shown_tail > 0:
            shown_head, shown_tail = max(shown_head * 2 // 3, 3), shown_tail * 2 // 3
        elif width > 1 and result.form in ("TABLE", "MATRIX"):
            width = width * 2 // 3
        elif shown_head > 1:
            shown_head -= 1
        else:
            mark = "\n… (cut)"
            return Preview(text[: max(max_chars - len(mark), 0)] + mark, shown, complete=False)


def _is_whole(result: Result, shown: int, width: int) -> bool:
    if result.form in ("TABLE", "MATRIX"):
        return not result.truncated and result.rows <= shown and result.columns <= width
    return not result.truncated and result.rows <= shown * VECTOR_SHARE


def _render(result: Result, head: int, tail: int, width: int) -> tuple[str, dict[str, Any]]:
    summary: dict[str, Any] = {"form": result.form, "type": result.type}
    if result.form == "NOTHING":
        return "NOTHING", summary
    if result.form == "SCALAR":
        text = literal(result.data, result.type)
        return f"SCALAR {result.type}: {text}", {**summary, "value": json_value(result.data, result.type)}
    summary |= {"rows": result.rows, "truncated": result.truncated}
    if result.form == "TABLE":
        return _render_table(result, head, tail, width, summary)
    if result.form == "MATRIX":
        return _render_matrix(result, head, tail, width, summary)
    head, tail = head * VECTOR_SHARE, tail * VECTOR_SHARE
    if result.form == "DICTIONARY":
        first, last = _ends(result.fetched, head, tail)
        lines = [
            f"{_cell(key, bar=False)}: {_cell(item, bar=False, chars=ENTRY_CHARS)}"
            for key, item in (result.data[i] for i in (*first, *last))
        ]
        hidden = result.rows - len(lines)
        if hidden:
            lines.insert(len(first), f"… ({hidden} entries not shown)")
        entries = [[json_value(key), json_value(item)] for key, item in result.data[: head + tail]]
        return "\n".join([f"DICTIONARY {result.rows} entries", *lines]), {**summary, "entries": entries}
    first, last = _ends(result.fetched, head, tail)
    items = [_cell(result.data[i], result.type, bar=False) for i in (*first, *last)]
    hidden = result.rows - len(items)
    if hidden:
        items.insert(len(first), f"… ({hidden} elements not shown)")
    opening, closing = ("{", "}") if result.form == "SET" else ("[", "]")
    values = [json_value(item, result.type) for item in result.data[: head + tail]]
    title = f"{result.form} {result.type} {result.rows} elements"
    return f"{title}\n{opening}{', '.join(items)}{closing}", {**summary, "values": values}


def _render_table(
    result: Result, head: int, tail: int, width: int, summary: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    columns: Sequence[Column] = result.data[:width]
    first, last = _ends(result.fetched, head, tail)
    lines = [
        f"TABLE {result.rows} rows x {result.columns} columns",
        "columns: " + ", ".join(f"{column.name} {column.type}" for column in columns),
    ]
    if len(columns) < result.columns:
        lines[1] += f", … ({result.columns - len(columns)} columns not shown)"
    lines += _grid(
        [column.name for column in columns],
        [[_cell(column.values[i], column.type) for column in columns] for i in first],
        [[_cell(column.values[i], column.type) for column in columns] for i in last],
        result.rows - len(first) - len(last),
    )
    if result.truncated:
        lines.append(f"only the first {result.fetched} rows were fetched; the last rows above are the last of those")
    rows = [[json_value(column.values[i], column.type) for column in result.data] for i in (*first, *last)]
    summary |= {
        "columns": [{"name": column.name, "type": column.type} for column in result.data],
        "data": rows,
        "head": len(first),
    }
    if result.rows > head + tail:
        statistics = {column.name: found for column in columns if (found := _statistics(column)) is not None}
        summary["statistics"] = statistics
        if statistics:
            scope = f" of the first {result.fetched} rows" if result.truncated else ""
            parts = (f"{name} " + " ".join(f"{k}={v}" for k, v in found.items()) for name, found in statistics.items())
            lines.append(f"statistics{scope}: " + " ; ".join(parts))
    return "\n".join(lines), summary


def _render_matrix(
    result: Result, head: int, tail: int, width: int, summary: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    matrix: Matrix = result.data
    first, last = _ends(result.fetched, head, tail)
    labels = matrix.column_labels
    count = min(width, matrix.values.shape[1])
    names = [_cell(labels[j]) if labels is not None else f"#{j}" for j in range(count)]

    def row(i: int) -> list[str]:
        label = [_cell(matrix.row_labels[i])] if matrix.row_labels is not None else []
        return [*label, *(_cell(value, result.type) for value in matrix.values[i, :count])]

    if matrix.row_labels is not None:
        names = ["", *names]
    lines = [f"MATRIX {result.type} {result.rows} x {result.columns}"]
    if count < result.columns:
        lines.append(f"… ({result.columns - count} columns not shown)")
    hidden = result.rows - len(first) - len(last)
    lines += _grid(names, [row(i) for i in first], [row(i) for i in last], hidden)
    values = [[json_value(value, result.type) for value in matrix.values[i]] for i in (*first, *last)]
    return "\n".join(lines), {**summary, "columns": result.columns, "data": values}


def _ends(count: int, head: int, tail: int) -> tuple[range, range]:
    if count <= head + tail:
        return range(count), range(0)
    return range(head), range(count - tail, count)


def _grid(names: Iterable[str], first: list[list[str]], last: list[list[str]], hidden: int) -> list[str]:
    names = [name.replace("|", "\\|") for name in names]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(row) + " |" for row in first]
    if hidden:
        lines.append(f"… ({hidden} rows not shown)")
    return lines + ["| " + " | ".join(row) + " |" for row in last]


def _cell(value: Any, kind: str = "", *, bar: bool = True, chars: int = CELL_CHARS) -> str:
    text = literal(value, kind)
    if len(text) > chars:
        text = f"{text[:chars]}… ({len(text) - chars}{CUT}"
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text.replace("|", "\\|") if bar else text


def _statistics(column: Column) -> dict[str, str] | None:
    if not is_numeric(column.type):
        return None
    values = [value for value in column.values if not is_null(value)]
    found = {"min": NULL, "max": NULL, "mean": NULL}
    if values:
        if isinstance(values[0], float | np.floating):
            mean = float(np.mean(np.array(values, dtype=np.float64)))
        else:
            mean = float(sum(int(value) if isinstance(value, np.integer) else value for value in values) / len(values))
        found = {"min": literal(min(values)), "max": literal(max(values)), "mean": f"{mean:.12g}"}
    return {**found, "nulls": str(len(column.values) - len(values))}


def to_bytes(value: Any) -> tuple[str, bytes]:
    """The whole value as (media type, bytes): UTF-8 CSV for a table (NULL is an empty field), JSON otherwise.

    Blocking: about a second for a million cells, so call it in a thread.
    """
    result = python_result(value)
    if result.form == "TABLE":
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([column.name for column in result.data])
        cells = [_fields(column) for column in result.data]
        writer.writerows(zip(*cells, strict=True))
        return "text/csv; charset=utf-8", buffer.getvalue().encode()
    document: dict[str, Any] = {"form": result.form, "type": result.type, "rows": result.rows}
    if result.form == "MATRIX":
        document["columns"] = result.columns
        for name, labels in (("row_labels", result.data.row_labels), ("column_labels", result.data.column_labels)):
            document[name] = None if labels is None else [json_value(label) for label in labels]
    if result.form == "DICTIONARY":
        document["entries"] = [[json_value(key), json_value(item)] for key, item in result.data]
    else:
        document["data"] = result.to_python()
    return "application/json", json.dumps(document, ensure_ascii=False).encode()


def _fields(column: Column) -> list[str]:
    texts = literals(column.values, column.type)
    # A text may read NULL without being it.
    return ["" if text == NULL and _is_null_cell(column.values[i]) else text for i, text in enumerate(texts)]


def _is_null_cell(value: Any) -> bool:
    return not isinstance(value, str | bytes | list | tuple | np.ndarray) and is_null(value)
