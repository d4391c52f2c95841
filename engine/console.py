"""Values as the DolphinDB console and `print` show them."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.script import syntax
from engine.functions.registry import Builtin
from engine.source import source_of
from engine.texts import NULL_TEXTS, element_texts, quoted, raw_text
from engine.types import LITERAL, Type
from engine.values import (
    AnyVector,
    ArrayVector,
    Closure,
    Code,
    Column,
    Dictionary,
    Handle,
    IndexedSeries,
    Matrix,
    Nothing,
    Partial,
    Pattern,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    vector,
)

ELEMENT_LIMIT = 100
"""Vectors and tables show no more elements or rows than this, like the console."""


def scalar_text(scalar: Scalar) -> str:
    """A scalar on its own: strings without quotes, NULLs as typed constants."""
    if scalar.is_null:
        return "" if scalar.type in LITERAL else NULL_TEXTS.get(scalar.type, "")
    if scalar.type is Type.CHAR:
        text = raw_text(scalar.type, scalar.value)
        return f"'{text}'" if len(text) == 1 else text
    return raw_text(scalar.type, scalar.value, scalar.scale)


def console_text(value: Value) -> str:
    """What the console prints for a value; "" for nothing."""
    if isinstance(value, Scalar):
        return scalar_text(value)
    if isinstance(value, Nothing):
        return ""
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return _inline(value)
    if isinstance(value, Matrix):
        return _matrix_text(value)
    if isinstance(value, Table):
        return table_text(value)
    if isinstance(value, Dictionary):
        return "\n".join(f"{key}->{_entry(item)}" for key, item in _entries(value))
    if isinstance(value, Set):
        return f"set({','.join(element_texts(vector(value.type, value.listed(), value.scale), quote=True))})"
    if isinstance(value, IndexedSeries):
        return _grid(["", "#0"], [_cells(value.index), _cells(value.values)], len(value.index), labelled=True)
    return _inline(value)


def _entries(dictionary: Dictionary) -> list[tuple[str, Value]]:
    out = []
    for key, item in dictionary.listed():
        if isinstance(key, Scalar):
            text = scalar_text(key)
        elif key is None:
            text = ""
        else:
            type_ = Type.STRING if dictionary.key_type in (Type.SYMBOL, Type.ANY) else dictionary.key_type
            text = raw_text(type_, key) if not (type_ is Type.STRING and not isinstance(key, str)) else str(key)
        out.append((text, item))
    return out


def _entry(item: Value) -> str:
    if isinstance(item, Scalar) and item.is_null:
        return ""
    return _within(item) if isinstance(item, Table | Matrix | Dictionary) else console_text(item)


def _within(value: Value) -> str:
    """A value of several lines as an element of another ends its last line."""
    return f"{console_text(value)}\n"


def _inline(value: Value, limit: int = ELEMENT_LIMIT) -> str:
    """The text of a value within others."""
    if isinstance(value, Scalar):
        if value.is_null:
            return '""' if value.type in LITERAL else ""
        return quoted(value.type, raw_text(value.type, value.value, value.scale))
    if isinstance(value, Vector):
        shown = value if len(value) <= limit else value.take(slice(0, limit))
        texts = element_texts(shown, quote=True)
        if value.is_pair:
            return " : ".join(texts)
        return f"[{','.join(texts)}{'...' if len(value) > limit else ''}]"
    if isinstance(value, AnyVector):
        items = [_inline(item) for item in value.items[:limit]]
        return f"({','.join(items)}{'...' if len(value) > limit else ''})"
    if isinstance(value, ArrayVector):
        count = min(len(value), limit)
        items = [_inline(row) if len(row := value.row(index)) else "" for index in range(count)]
        return f"[{','.join(items)}{'...' if len(value) > limit else ''}]"
    if isinstance(value, Code):
        return f"< {source_of(value.node)} >"
    if isinstance(value, Builtin):
        return value.name
    if isinstance(value, Closure):
        return closure_text(value)
    if isinstance(value, Partial):
        inner = ", ".join("" if isinstance(item, Nothing) else _inline(item) for item in value.arguments)
        return f"{_inline(value.function)}{{{inner}}}"
    if isinstance(value, Pattern):
        return f"{_inline(value.function)}:{value.letter}"
    if isinstance(value, Handle):
        return value.text
    if isinstance(value, Nothing):
        return ""
    return _within(value) if isinstance(value, Table | Matrix | Dictionary) else console_text(value)


def closure_text(closure: Closure) -> str:
    """A function as its source: `def f(x){…}` or `x->…`."""
    parameters = ",".join(
        f"{'mutable ' if p.mutable else ''}{p.name}{'' if p.default is None else '=' + source_of(p.default)}"
        for p in closure.parameters
    )
    if closure.name or isinstance(closure.body, syntax.Block):
        return f"def {closure.name or ''}({parameters}){{{source_of(closure.body)}}}"
    return f"{{{parameters}->{source_of(closure.body)}}}"


def _cells(column: Column, count: int | None = None) -> list[str]:
    """The texts of a column of a table: nulls are empty, strings without quotes."""
    if isinstance(column, Vector):
        shown = column if count is None else column.take(slice(0, count))
        return element_texts(shown)
    items = list(elements(column))
    return [_inline(item) for item in (items if count is None else items[:count])]


def table_text(table: Table, limit: int = ELEMENT_LIMIT) -> str:
    """Columns aligned under their names, with a line of dashes."""
    count = min(table.rows, limit)
    cells = [_cells(column, count) for column in table.columns]
    return _grid(list(table.names), cells, count) + ("\n..." if table.rows > count else "")


def _matrix_text(matrix: Matrix) -> str:
    names = (
        [f"#{index}" for index in range(matrix.columns)]
        if matrix.column_labels is None
        else element_texts(matrix.column_labels)
    )
    shown = min(matrix.rows, ELEMENT_LIMIT)
    cells = [
        element_texts(Vector(matrix.type, matrix.data[:shown, index], None, matrix.scale))
        for index in range(matrix.columns)
    ]
    if matrix.row_labels is None:
        return _grid(names, cells, shown)
    return _grid(["", *names], [element_texts(matrix.row_labels)[:shown], *cells], shown, labelled=True)


def _grid(names: Sequence[str], cells: Sequence[Sequence[str]], rows: int, labelled: bool = False) -> str:
    widths = [max([len(name), *map(len, column)]) for name, column in zip(names, cells, strict=True)]
    dashes = [" " * width if labelled and not i else "-" * width for i, width in enumerate(widths)]
    lines = [_line(names, widths, " " if labelled else ""), _line(dashes, widths, " " if labelled else "")]
    separator = "|" if labelled else ""
    lines.extend(_line([column[row] for column in cells], widths, separator) for row in range(rows))
    return "\n".join(lines)


def _line(texts: Sequence[str], widths: Sequence[int], separator: str) -> str:
    parts = [text.ljust(width) for text, width in zip(texts, widths, strict=True)]
    return f"{parts[0]}{separator}{' '.join(parts[1:])}" if separator else " ".join(parts)


def string_of(value: Value) -> Value:
    """`string(x)`: the same form with texts; forms that have no elements become one text."""
    from engine.cast import cast

    if isinstance(value, Scalar):
        if value.type in LITERAL:
            return cast(value, Type.STRING)
        text = "" if value.is_null else raw_text(value.type, value.value, value.scale)
        return Scalar(Type.STRING, text)
    if isinstance(value, AnyVector):
        if not value.items:
            return vector(Type.STRING, [])
        return AnyVector([string_of(item) for item in value.items])
    if isinstance(value, Vector | Matrix | Set | ArrayVector | Table | Dictionary | IndexedSeries):
        return cast(value, Type.STRING)
    text = _inline(value)
    return Scalar(Type.STRING, text)


__all__ = ["closure_text", "console_text", "scalar_text", "string_of", "table_text"]
