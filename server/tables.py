"""Tables that are kept as CSV, as pages of rows and as Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from core.errors import InvalidInputError
from server.parquet import Column, parquet_bytes

BOOLEANS = {"true": True, "false": False, "True": True, "False": False}
# What has a leading zero is a code, not a number.
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|-?inf|nan|NaN")


def page_of(data: bytes, offset: int, limit: int) -> dict[str, Any]:
    """`{"columns", "rows", "offset", "total"}`; `total` is None for a page beyond the end."""
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    columns = next(rows, [])
    page = list(islice(rows, offset, offset + limit))
    return {
        "columns": columns,
        "rows": page,
        "offset": offset,
        "total": offset + len(page) + sum(1 for _ in rows) if page or offset == 0 else None,
    }


def parquet_of(data: bytes) -> bytes:
    """The table with the type that all values of each column have; an empty field is null."""
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    names = next(rows, [])
    try:
        columns = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in names]
        typed = [_typed(name, values) for name, values in zip(names, columns, strict=True)]
    except ValueError:
        raise InvalidInputError("The rows of the table differ in length.", "Use format=csv.") from None
    return parquet_bytes(typed)


def _typed(name: str, values: Sequence[str]) -> Column:
    present = [value for value in values if value]
    if not present:
        return Column(name, "text", [None] * len(values))
    if all(value in BOOLEANS for value in present):
        return Column(name, "boolean", [BOOLEANS[value] if value else None for value in values])
    if all(map(INTEGER.fullmatch, present)) and all(-(2**63) <= int(value) < 2**63 for value in present):
        return Column(name, "integer", [int(value) if value else None for value in values])
    if all(map(NUMBER.fullmatch, present)):
        return Column(name, "number", [float(value) if value else None for value in values])
    return Column(name, "text", [value or None for value in values])
