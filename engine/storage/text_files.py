"""Reading delimited text into tables: names, types and values of its columns."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.cast import cast_vector
from engine.errors import ScriptError
from engine.types import INTEGRAL, TEMPORAL, Type, null
from engine.values import Array, ArrayVector, Column, Table, Vector, vector
from engine.wire.decode import symbol_vector

_SAMPLE_ROWS = 2000
_DISTINCT_SHARE = 0.5
_FEW = 50

_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
_DATE = r"(?:\d{4}|\d{2})([-/.])\d{1,2}\1\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}:\d{2}"
_TEMPORAL = (
    (re.compile(_DATE), Type.DATE),
    (re.compile(r"\d{4}[-/.]\d{1,2}M"), Type.MONTH),
    (re.compile(r"\d{1,2}:\d{2}m?"), Type.MINUTE),
    (re.compile(_CLOCK), Type.SECOND),
    (re.compile(_CLOCK + r"\.\d{1,3}"), Type.TIME),
    (re.compile(_CLOCK + r"\.\d{4,9}"), Type.NANOTIME),
    (re.compile(_DATE + r"[ T]" + _CLOCK), Type.DATETIME),
    (re.compile(_DATE + r"[ T]" + _CLOCK + r"\.\d{1,3}"), Type.TIMESTAMP),
    (re.compile(_DATE + r"[ T]" + _CLOCK + r"\.\d{4,9}"), Type.NANOTIMESTAMP),
)
_COARSER = {
    Type.NANOTIMESTAMP: (Type.TIMESTAMP, Type.DATETIME), Type.TIMESTAMP: (Type.DATETIME,),
    Type.NANOTIME: (Type.TIME, Type.SECOND), Type.TIME: (Type.SECOND,),
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How the text is laid out. `has_header` None: a first row in which no field starts with a digit is the header."""

    delimiter: str = ","
    skip_rows: int = 0
    array_delimiter: str = ""
    has_header: bool | None = None


@dataclass(frozen=True)
class ColumnPlan:
    """Where a column comes from and what it becomes; `format` is that of a temporal column."""

    position: int
    name: str
    type: Type
    format: str = ""
    is_array: bool = False
    scale: int = 0

    @staticmethod
    def of(position: int, name: str, type_name: str, format_: str = "") -> ColumnPlan:
        """From a type's name as in scripts: `DOUBLE`, `INT[]`, `DECIMAL64(2)`."""
        matched = re.fullmatch(r"\s*(\w+?)\s*(?:\((\d+)\))?\s*(\[\])?\s*", type_name)
        try:
            assert matched is not None
            type_ = Type[matched[1].upper()]
        except (AssertionError, KeyError):
            raise ScriptError(f"The data type [{type_name}] of the column [{name}] is unknown.") from None
        return ColumnPlan(position, name, type_, format_, matched[3] is not None, int(matched[2] or 0))


def plan_columns(path: Path, layout: Layout) -> list[ColumnPlan]:
    """Names and types of the columns, judged by the first rows."""
    sample, names = _sample(path, layout)
    return [ColumnPlan(i, name, infer(column)) for i, (name, column) in enumerate(zip(names, sample, strict=True))]


def read_table(
    path: Path,
    layout: Layout,
    plans: Sequence[ColumnPlan],
    parse: Callable[[Vector, ColumnPlan], Vector],
    part: tuple[int, int] | None = None,
) -> Table:
    """The planned columns; `parse` reads texts by a temporal format. What cannot be read becomes NULL.

    `part` are the first byte and the one after the last of the rows to read, as `chunks` gives them.
    """
    if part is None:
        frame = _frame(path, layout, _first_row(path, layout)[1], None)
    else:
        frame = _frame(path, replace(layout, skip_rows=0), False, None, part)
    columns: list[Column] = []
    for plan in plans:
        texts = frame.iloc[:, plan.position].to_numpy(dtype=object) if len(frame.columns) else np.empty(0, object)
        columns.append(_column(texts, plan, layout, parse))
    return Table([plan.name for plan in plans], columns)


def chunks(path: Path, layout: Layout, size: int) -> list[tuple[int, int]]:
    """The rows of a file as ranges of about `size` bytes that end with lines."""
    has_header = _first_row(path, layout)[1]
    ranges: list[tuple[int, int]] = []
    with path.open("rb") as file:
        for _ in range(layout.skip_rows + has_header):
            file.readline()
        start = file.tell()
        while True:
            file.seek(start + size)
            file.readline()
            end = min(file.tell(), os.fstat(file.fileno()).st_size)
            if end <= start:
                return ranges or [(start, start)]
            ranges.append((start, end))
            start = end


def infer(texts: Sequence[str]) -> Type:
    """The type that suits the texts of a column."""
    filled = [text.strip() for text in texts if text.strip()]
    if not filled:
        return Type.SYMBOL
    if all(_INTEGER.fullmatch(text) for text in filled):
        if all(_is_digit_date(text) for text in filled):
            return Type.DATE
        largest = max(abs(int(text)) for text in filled)
        return Type.INT if largest < 2**31 else Type.LONG if largest < 2**63 else Type.DOUBLE
    if all(_REAL.fullmatch(text) for text in filled):
        return Type.DOUBLE
    if all(text.lower() in ("true", "false") for text in filled):
        return Type.BOOL
    found = {_temporal_type(text) for text in filled}
    if None not in found:
        for type_ in found:
            assert type_ is not None
            if found <= {type_, *_COARSER.get(type_, ())}:
                return type_
    many = len(filled) > _FEW and len(set(filled)) > _DISTINCT_SHARE * len(filled)
    return Type.STRING if many or max(map(len, filled)) > 255 else Type.SYMBOL


def _temporal_type(text: str) -> Type | None:
    return next((type_ for pattern, type_ in _TEMPORAL if pattern.fullmatch(text)), None)


def _is_digit_date(text: str) -> bool:
    if len(text) == 8 and not 1900 <= int(text[:4]) <= 2100:
        return False
    return len(text) in (6, 8) and text.isdigit() and int(text[-4:-2]) <= 12 and 1 <= int(text[-2:]) <= 31


def _frame(path: Path, layout: Layout, has_header: bool, rows: int | None, part: tuple[int, int] | None = None) -> Any:
    import pandas as pd

    source: Path | io.BytesIO = path
    if part is not None:
        with path.open("rb") as file:
            file.seek(part[0])
            source = io.BytesIO(file.read(part[1] - part[0]))

    delimiter = layout.delimiter
    single = len(delimiter) == 1
    try:
        return pd.read_csv(
            source,
            sep=delimiter if single else re.escape(delimiter),
            engine="c" if single else "python",
            header=None,
            skiprows=layout.skip_rows + has_header,
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            nrows=rows,
            encoding="utf-8-sig",
            skip_blank_lines=True,
        ).astype(object)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ScriptError(f"The file [{path}] can't be read: {error}.") from None


def _first_row(path: Path, layout: Layout) -> tuple[list[str], bool]:
    first = _frame(path, layout, False, 1)
    if first.empty:
        raise ScriptError(f"The file [{path}] is empty.")
    fields = [str(field) for field in first.iloc[0].tolist()]
    header = layout.has_header
    if header is None:
        header = not any(field.strip()[:1].isdigit() for field in fields)
    return fields, header


def _sample(path: Path, layout: Layout) -> tuple[list[list[str]], list[str]]:
    fields, has_header = _first_row(path, layout)
    frame = _frame(path, layout, has_header, _SAMPLE_ROWS)
    names = [_adjusted(field) for field in fields] if has_header else [f"col{i}" for i in range(len(fields))]
    if frame.empty:
        return [[] for _ in names], names
    if frame.shape[1] != len(names):
        raise ScriptError(f"The header of the file [{path}] has {len(names)} columns, its rows {frame.shape[1]}.")
    return [frame.iloc[:, index].tolist() for index in range(len(names))], names


def _adjusted(name: str) -> str:
    name = re.sub(r"\W", "_", name.strip())
    return name if name[:1].isalpha() else f"c{name}"


def _column(texts: Array, plan: ColumnPlan, layout: Layout, parse: Callable[[Vector, ColumnPlan], Vector]) -> Column:
    if plan.is_array:
        return _array_column(texts, plan, layout)
    if plan.type is Type.SYMBOL:
        return symbol_vector(texts.tolist())
    if plan.type is Type.STRING:
        column = Vector(Type.STRING, texts)
        column.coded()
        return column
    if plan.format and plan.type in TEMPORAL:
        parsed = parse(Vector(Type.STRING, texts), plan)
        return parsed if parsed.type is plan.type else cast_vector(parsed, plan.type)
    return _converted(texts, plan.type, plan.scale)


def _array_column(texts: Array, plan: ColumnPlan, layout: Layout) -> ArrayVector:
    if not layout.array_delimiter:
        raise ScriptError(f"The column [{plan.name}] is an array vector: arrayDelimiter must be given.")
    rows = [text.strip().split(layout.array_delimiter) if text.strip() else [] for text in texts.tolist()]
    flat = np.empty(sum(map(len, rows)), dtype=object)
    flat[:] = [item for row in rows for item in row]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return ArrayVector(_converted(flat, plan.type, plan.scale), offsets)


def _converted(texts: Array, type_: Type, scale: int) -> Vector:
    import pandas as pd

    if type_ in (Type.DOUBLE, Type.FLOAT):
        numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        return vector(type_, numbers)
    if type_ in INTEGRAL and type_ is not Type.CHAR:
        return _integers(texts, type_)
    codes, distinct = pd.factorize(texts)
    texts_of = np.empty(len(distinct), dtype=object)
    texts_of[:] = [_normal(str(text), type_) for text in distinct]
    return cast_vector(Vector(Type.STRING, texts_of), type_, scale).take(codes)


def _integers(texts: Array, type_: Type) -> Vector:
    import pandas as pd

    missing = null(type_)
    try:
        numbers = pd.to_numeric(pd.Series(texts, dtype=object)).to_numpy()
    except (ValueError, TypeError):
        numbers = None
    if numbers is not None and numbers.dtype.kind == "i":
        low, high = np.iinfo(vector(type_, []).data.dtype).min, np.iinfo(vector(type_, []).data.dtype).max
        return vector(type_, np.where((numbers < low) | (numbers > high), missing, numbers))
    items = [int(text) if _INTEGER.fullmatch(text.strip()) else None for text in texts.tolist()]
    width = 8 * vector(type_, []).data.dtype.itemsize - 1
    return vector(type_, [item if item is not None and -(2**width) < item < 2**width else None for item in items])


def _normal(text: str, type_: Type) -> str:
    """A date in DolphinDB's own notation."""
    text = text.strip()
    if type_ is Type.DATE and text.isdigit():
        if len(text) == 6:
            text = f"20{text}"
        return f"{text[:4]}.{text[4:6]}.{text[6:]}" if len(text) == 8 else text
    matched = re.match(_DATE, text)
    if matched is None:
        return text
    year, month, day = re.split(r"[-/.]", matched[0])
    full = f"20{year}" if len(year) == 2 else year
    return f"{full}.{int(month):02d}.{int(day):02d}" + text[matched.end() :].replace(" ", "T", 1)
