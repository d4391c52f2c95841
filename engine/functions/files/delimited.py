"""Tables from and to delimited text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.arguments import (
    boolean_argument,
    function_argument,
    integer_argument,
    is_omitted,
    positive_argument,
    text_argument,
)
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.databases.data_sources import data_source
from engine.functions.databases.tables import create_partitioned_table
from engine.functions.files.paths import readable, writable
from engine.functions.registry import Registry
from engine.functions.tables.tabular import listing
from engine.storage.access import Scheme, database_of, table_handle
from engine.storage.files import whole_file
from engine.storage.text_files import ColumnPlan, Layout, chunks, plan_columns, read_table
from engine.texts import element_texts
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    ArrayVector,
    Code,
    Column,
    Handle,
    Matrix,
    Nothing,
    Scalar,
    Table,
    Value,
    Vector,
    string,
    vector,
)

functions = Registry()

_LOAD = "filename, [delimiter], [schema], [skipRows=0], [arrayDelimiter], [containHeader], [arrayMarker]"


def _layout(
    delimiter: Value,
    skip: Value = NOTHING,
    array_delimiter: Value = NOTHING,
    header: Value = NOTHING,
    marker: Value = NOTHING,
) -> Layout:
    if not is_omitted(marker) and text_argument(marker, "arrayMarker") != '""':
        raise UnsupportedError("An arrayMarker other than double quotes")
    rows = integer_argument(skip, "skipRows", 0)
    if not 0 <= rows <= 1024:
        raise CallError("skipRows must be an integer between 0 and 1024.")
    separator = text_argument(delimiter, "delimiter", ",") or ","
    has_header = None if is_omitted(header) else boolean_argument(header, "containHeader")
    return Layout(separator, rows, text_argument(array_delimiter, "arrayDelimiter", ""), has_header)


def _existing(context: Context, filename: Value) -> Path:
    name = text_argument(filename, "filename")
    path = readable(context, name)
    if not path.is_file():
        raise ScriptError(f"The file [{name}] does not exist.")
    return path


@functions.builtin("extractTextSchema", "filename, [delimiter], [skipRows=0]", context=True)
def extract_text_schema(context: Context, filename: Value, delimiter: Value = NOTHING, skip: Value = NOTHING) -> Table:
    plans = plan_columns(_existing(context, filename), _layout(delimiter, skip))
    return listing(
        ("name", Type.STRING, [plan.name for plan in plans]), ("type", Type.STRING, [plan.type.name for plan in plans])
    )


@functions.builtin("loadText", _LOAD, context=True, aliases=("ploadText",))
def load_text(
    context: Context,
    filename: Value,
    delimiter: Value = NOTHING,
    schema: Value = NOTHING,
    skip: Value = NOTHING,
    array_delimiter: Value = NOTHING,
    header: Value = NOTHING,
    marker: Value = NOTHING,
) -> Table:
    path = _existing(context, filename)
    layout = _layout(delimiter, skip, array_delimiter, header, marker)
    return read_table(path, layout, _planned(path, layout, schema), _parser(context))


@functions.builtin("textChunkDS", _LOAD.replace("filename, ", "filename, chunkSize, "), context=True)
def text_chunks(
    context: Context,
    filename: Value,
    size: Value,
    delimiter: Value = NOTHING,
    schema: Value = NOTHING,
    skip: Value = NOTHING,
    array_delimiter: Value = NOTHING,
    header: Value = NOTHING,
    marker: Value = NOTHING,
) -> AnyVector:
    """Data sources of about `chunkSize` MB each: the rows of a text file, as `loadText` reads them."""
    megabytes = positive_argument(size, "chunkSize")
    path = _existing(context, filename)
    layout = _layout(delimiter, skip, array_delimiter, header, marker)
    plans = _planned(path, layout, schema)

    def source(part: tuple[int, int]) -> Handle:
        return data_source(
            f"{path} [bytes = {part[0]}_{part[1]}]",
            lambda context: read_table(path, layout, plans, _parser(context), part),
        )

    return AnyVector([source(part) for part in chunks(path, layout, megabytes << 20)])


def _planned(path: Path, layout: Layout, schema: Value) -> list[ColumnPlan]:
    plans = plan_columns(path, layout)
    return plans if is_omitted(schema) else _revised(plans, schema)


def _parser(context: Context) -> Callable[[Vector, ColumnPlan], Vector]:
    def parse(column: Vector, plan: ColumnPlan) -> Vector:
        function = context.registry.find("temporalParse")
        if function is None:
            raise UnsupportedError("A format of temporal columns")
        parsed = context.call(function, [column, string(plan.format)])
        if not isinstance(parsed, Vector):
            raise ScriptError(f"The column [{plan.name}] can't be read with the format {plan.format}.")
        return parsed

    return parse


def _revised(plans: list[ColumnPlan], schema: Value) -> list[ColumnPlan]:
    """The plans as a schema table changes them: names and types by position, or of chosen columns.

    The first two columns of the schema are the names and types if its columns are not called so.
    """
    if not isinstance(schema, Table):
        raise CallError("schema must be a table with the columns name and type.")
    labels = [name.lower() for name in schema.names]
    if not {"name", "type"} <= set(labels):
        labels[:2] = ["name", "type"][: len(labels)]
    columns: dict[str, list[Any]] = {}
    for name, column in zip(labels, schema.columns, strict=True):
        if isinstance(column, Vector):
            columns[name] = column.strings().tolist() if column.type in LITERAL else column.data.tolist()
        elif isinstance(column, AnyVector):
            columns[name] = [
                item.value if isinstance(item, Scalar) and item.value is not None else "" for item in column.items
            ]
    if "name" not in columns or "type" not in columns:
        raise CallError("schema must be a table with the columns name and type.")
    count = schema.rows
    positions = columns.get("col", list(range(count)))
    if "col" not in columns and count != len(plans):
        raise ScriptError(f"The schema has {count} columns, the file {len(plans)}.")
    formats = columns.get("format", [""] * count)
    revised = []
    for position, name, type_name, format_ in zip(positions, columns["name"], columns["type"], formats, strict=True):
        if not 0 <= position < len(plans):
            raise ScriptError(f"The schema asks for column {position}, the file has {len(plans)}.")
        revised.append(ColumnPlan.of(int(position), str(name), str(type_name), str(format_ or "")))
    return revised


@functions.builtin(
    "loadTextEx",
    "dbHandle, tableName, partitionColumns, filename, [delimiter], [schema], [skipRows=0], [transform], "
    "[sortColumns], [atomic=false], [arrayDelimiter], [containHeader], [arrayMarker]",
    context=True,
)
def load_text_ex(
    context: Context,
    handle: Value,
    name: Value,
    partition_columns: Value,
    filename: Value,
    delimiter: Value = NOTHING,
    schema: Value = NOTHING,
    skip: Value = NOTHING,
    transform: Value = NOTHING,
    sort_columns: Value = NOTHING,
    atomic: Value = NOTHING,
    array_delimiter: Value = NOTHING,
    header: Value = NOTHING,
    marker: Value = NOTHING,
) -> Value:
    """Load into a table of a database, made if it is missing; without a database into memory."""
    boolean_argument(atomic, "atomic", False)
    table: Value = load_text(context, filename, delimiter, schema, skip, array_delimiter, header, marker)
    if not is_omitted(transform):
        table = context.call(function_argument(transform, "transform"), [table])
    if not isinstance(table, Table):
        raise CallError("transform must return a table.")
    in_memory = isinstance(handle, Handle) and isinstance(handle.target, Scheme)
    if in_memory or is_omitted(handle) or (isinstance(handle, Scalar) and not handle.value):
        return table
    target = database_of(handle, context.node.databases)
    table_name = text_argument(name, "tableName")
    if table_name not in target.tables:
        create_partitioned_table(context, handle, table, name, partition_columns, sort_columns=sort_columns)
    opened = table_handle(target.table(table_name), context.session)
    opened.target.append(table)
    return opened


@functions.builtin("saveText", "obj, filename, [delimiter], [append=false], [header=true], [bom]", context=True)
def save_text(
    context: Context,
    value: Value,
    filename: Value,
    delimiter: Value = NOTHING,
    append: Value = NOTHING,
    header: Value = NOTHING,
    bom: Value = NOTHING,
) -> Nothing:
    name = text_argument(filename, "filename")
    path = writable(context, name)
    separator = text_argument(delimiter, "delimiter", ",") or ","
    adding = boolean_argument(append, "append", False) and path.exists() and path.stat().st_size > 0
    with_header = boolean_argument(header, "header", True) and not adding
    mark = text_argument(bom, "bom", "").strip()
    if mark and mark.upper() != "UTF-8":
        raise CallError("bom must be UTF-8.")
    if isinstance(value, Code):
        value = context.evaluate(value.node)
    if isinstance(value, Handle) and hasattr(value.target, "read") and hasattr(value.target, "append"):
        value = value.target.read(None, [])
    names, columns = _columns(value)
    encoding = "utf-8-sig" if mark and not adding else "utf-8"
    try:
        with whole_file(path, append=adding, encoding=encoding, newline="") as file:
            _write_rows(file, names if with_header else [], [_texts(column) for column in columns], separator)
    except OSError as error:
        raise ScriptError(f"Failed to write the file [{name}]: {error.strerror}.") from None
    return NOTHING


def _columns(value: Value) -> tuple[list[str], list[Column]]:
    if isinstance(value, Table):
        with value.lock:
            return list(value.names), list(value.columns)
    if isinstance(value, Matrix):
        return [], [value.column(index) for index in range(value.columns)]
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return [], [value]
    if isinstance(value, Scalar):
        return [], [vector(value.type, [value.value], value.scale)]
    raise CallError("obj must be a table, a matrix or a vector.")


def _texts(column: Column) -> list[str]:
    if isinstance(column, Vector):
        return _repeated_texts(column) if column.kind in "if" else element_texts(column)
    if isinstance(column, ArrayVector):
        return [",".join(element_texts(column.row(index))) for index in range(len(column))]
    from engine.console import console_text

    return [console_text(item) for item in column.items]


def _repeated_texts(column: Vector) -> list[str]:
    """Each distinct value is put into words once."""
    import pandas as pd

    codes, distinct = pd.factorize(column.data)
    texts: list[str] = np.array(element_texts(column.with_data(distinct)), dtype=object)[codes].tolist()
    return texts


def _write_rows(file: Any, names: list[str], columns: list[list[str]], separator: str) -> None:
    if len(separator) == 1:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        if names:
            writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))
        return
    buffer = io.StringIO()
    if names:
        buffer.write(separator.join(names) + "\n")
    for row in zip(*columns, strict=True):
        buffer.write(separator.join(row) + "\n")
    file.write(buffer.getvalue())
