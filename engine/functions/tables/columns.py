"""Names and columns of tables and matrices: asking for them and changing them in place."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cast import cast_vector
from engine.context import Context
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.forms import as_vector, form_name
from engine.functions.registry import Registry
from engine.sql import definitions
from engine.sql.construct import column_types
from engine.sql.naming import check_unique
from engine.sql.output import as_column
from engine.sql.source import stored_table
from engine.sql.statements import conditions_of, delete_from, set_columns
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    AnyVector,
    Dictionary,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    raw_of,
    vector,
)

functions = Registry()


def names_of(value: Value, parameter: str) -> list[str]:
    """The strings of a scalar or vector."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, Vector) and value.type in LITERAL:
        return [str(text) for text in value.strings()]
    raise CallError(f"{parameter} must be a string or a vector of strings.")


def table_argument(value: Value, parameter: str = "table") -> Table:
    if isinstance(value, Table):
        return value
    if stored_table(value) is not None:
        raise UnsupportedError("This function on a stored table")
    raise CallError(f"{parameter} must be a table, not {form_name(value)}.")


@functions.builtin("columnNames", "X", aliases=("colNames",))
def column_names(x: Value) -> Vector:
    if isinstance(x, Table):
        return vector(Type.STRING, list(x.names))
    stored = stored_table(x)
    if stored is not None:
        return vector(Type.STRING, list(stored.names))
    if isinstance(x, Matrix) and x.column_labels is not None:
        return x.column_labels
    if isinstance(x, Matrix):
        return vector(Type.STRING, [f"#{index}" for index in range(x.columns)])
    raise CallError("X must be a table or a matrix.")


@functions.builtin("rename!", "X, Y, [Z]")
def rename(x: Value, y: Value, z: Value = NOTHING) -> Value:
    if isinstance(x, Table):
        _rename_columns(x, y, z)
        return x
    stored = stored_table(x)
    if stored is not None:
        pairs = _renaming(list(stored.names), y, z)
        for old, new in pairs:
            stored.rename_column(old, new)
        return x
    if isinstance(x, Matrix):
        _label(x, as_vector(y), None if z is NOTHING else as_vector(z))
        return x
    if isinstance(x, Vector):
        x.name = names_of(y, "Y")[0]
        return x
    raise CallError("X must be a vector, a matrix or a table.")


def _label(matrix: Matrix, first: Vector, second: Vector | None) -> None:
    """Column labels, or row and column labels; one vector that only fits the rows labels these."""
    only_rows = second is None and len(first) == matrix.rows != matrix.columns
    rows = first if second is not None or only_rows else None
    columns = None if only_rows else second if second is not None else first
    if (rows is not None and len(rows) != matrix.rows) or (columns is not None and len(columns) != matrix.columns):
        raise CallError("The number of labels must match the dimensions of the matrix.")
    if rows is not None:
        matrix.row_labels = rows
    if columns is not None:
        matrix.column_labels = columns


def _renaming(names: Sequence[str], y: Value, z: Value) -> list[tuple[str, str]]:
    first = names_of(y, "Y")
    if z is NOTHING:
        if len(first) > len(names):
            raise CallError(f"{len(first)} names were given for {len(names)} columns.")
        return list(zip(names, first, strict=False))
    second = names_of(z, "Z")
    if len(first) != len(second):
        raise CallError("Y and Z must have the same length.")
    return list(zip(first, second, strict=True))


def _rename_columns(table: Table, y: Value, z: Value) -> None:
    with table.lock:
        names, keys = list(table.names), list(table.keys)
        for position, (old, new) in enumerate(_renaming(table.names, y, z)):
            place = position if z is NOTHING else table.find(old)
            if place < 0:
                raise ScriptError(f"Unrecognized column name [{old}].")
            keys = [new if key == names[place] else key for key in keys]
            names[place] = new
        check_unique(names)
        table.names, table.keys = names, tuple(keys)


@functions.builtin("reorderColumns!", "table, reorderedColNames")
def reorder_columns(table: Value, names: Value) -> Table:
    target = table_argument(table)
    with target.lock:
        front = []
        for name in names_of(names, "reorderedColNames"):
            position = target.find(name)
            if position < 0:
                raise ScriptError(f"Unrecognized column name [{name}].")
            front.append(position)
        order = front + [index for index in range(len(target.names)) if index not in front]
        target.names, target.columns = [target.names[i] for i in order], [target.columns[i] for i in order]
    return target


@functions.builtin("replaceColumn!", "table, colName, newCol")
def replace_column(table: Value, name: Value, column: Value) -> Table:
    target = table_argument(table)
    names = names_of(name, "colName")
    if isinstance(name, Scalar):
        parts: list[Value] = [column]
    elif isinstance(column, AnyVector) and len(column) == len(names):
        parts = list(column.items)
    elif len(names) == 1:
        parts = [column]
    else:
        raise CallError("newCol must be a tuple with one vector for every name in colName.")
    with target.lock:
        for each, part in zip(names, parts, strict=True):
            position = target.find(each)
            if position < 0:
                raise ScriptError(f"Unrecognized column name [{each}].")
            new = as_column(part, each)
            if isinstance(new, Scalar) or len(new) != target.rows:
                raise ScriptError(f"The new column [{each}] must have as many elements as the table has rows.")
            target.columns[position] = new.copy() if isinstance(new, Vector) else new
    return target


@functions.builtin("dropColumns!", "table, colNames", aliases=("drop!",))
def drop_columns(table: Value, names: Value) -> Value:
    stored = stored_table(table)
    if stored is not None:
        stored.drop_columns(names_of(names, "colNames"))
        return table
    target = table_argument(table)
    definitions.drop_columns(target, names_of(names, "colNames"))
    return target


@functions.builtin("addColumn", "table, colNames, colTypes")
def add_column(table: Value, names: Value, types: Value) -> Value:
    labels, declared = names_of(names, "colNames"), column_types(types)
    if len(labels) != len(declared):
        raise CallError("colNames and colTypes must have the same length.")
    stored = stored_table(table)
    if stored is not None:
        stored.add_columns(labels, [each.type for each in declared], [each.scale for each in declared])
        return table
    target = table_argument(table)
    definitions.add_columns(target, labels, declared)
    return target


@functions.builtin("update!", "table, colNames, newValues, [filter]", context=True)
def update(context: Context, table: Value, names: Value, values: Value, condition: Value = NOTHING) -> Table:
    target = table_argument(table)
    labels = names_of(names, "colNames")
    set_columns(target, labels, values, conditions_of(condition), context, context.scope)  # type: ignore[arg-type, attr-defined]
    return target


@functions.builtin("erase!", "obj, filter", context=True)
def erase(context: Context, obj: Value, key: Value) -> Value:
    if isinstance(obj, Table):
        with obj.lock:
            delete_from(obj, conditions_of(key), None, context, context.scope)  # type: ignore[arg-type, attr-defined]
        return obj
    if isinstance(obj, Set):
        for raw in _keys(key, obj.type):
            obj.members.pop(raw, None)
        return obj
    if isinstance(obj, Dictionary):
        for raw in _keys(key, obj.key_type):
            obj.items.pop(raw, None)
        return obj
    raise CallError("obj must be a set, a dictionary or a table.")


def _keys(value: Value, type_: Type) -> list[object]:
    if isinstance(value, Set):
        return list(value.members)
    if type_ is Type.ANY or not isinstance(value, Scalar | Vector):
        return (
            [item.value for item in elements(value) if isinstance(item, Scalar)] if isinstance(value, AnyVector) else []
        )
    column = as_vector(value)
    target = Type.STRING if type_ is Type.SYMBOL else type_
    if column.type is not target:
        column = cast_vector(column, target)
    return [each.value if not each.is_null else raw_of(each) for each in elements(column) if isinstance(each, Scalar)]
