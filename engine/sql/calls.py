"""Calls of table functions whose result depends on how their arguments are written."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.script import syntax
from engine.arguments import is_omitted
from engine.calls import refused
from engine.errors import CallError, ScriptError, UnsupportedError
from engine.functions.registry import Builtin
from engine.interpreter.scope import Scope
from engine.sql import joining
from engine.sql.construct import (
    LatestTable,
    column_types,
    empty_table,
    keyed,
    table_of_columns,
    table_of_dictionary,
    table_of_matrix,
)
from engine.sql.evaluation import Executor
from engine.sql.pruning import Need
from engine.sql.statements import stacked
from engine.types import LITERAL, Type
from engine.values import NOTHING, AnyVector, Dictionary, Matrix, Scalar, Table, Value, Vector

KEYED_KINDS = {
    "keyedTable": "KEYED TABLE", "indexedTable": "INDEXED TABLE", "latestKeyedTable": "KEYED TABLE",
    "latestIndexedTable": "INDEXED TABLE",
}  # fmt: skip
DECIMALS = ("DECIMAL32", "DECIMAL64", "DECIMAL128")
NAMED_CALLS = frozenset(("table", "mvccTable", *KEYED_KINDS, *joining.JOIN_FUNCTIONS))


def call_named(node: syntax.Call, context: Executor, scope: Scope) -> Value:
    """`table(id, x as price)` and its kin, and joins, called with the nodes of their arguments."""
    assert isinstance(node.function, syntax.Name)
    try:
        return _called(node.function.id, node, context, scope)
    except CallError as error:
        function = context.function(node.function.id)
        raise (refused(function, error) if isinstance(function, Builtin) else error) from error


def _called(name: str, node: syntax.Call, context: Executor, scope: Scope) -> Value:
    if name in joining.JOIN_FUNCTIONS:
        return joining.function_join(node, context, scope, Need()).table()
    values, names = [], []
    for argument in node.arguments:
        inner = argument.value
        if isinstance(inner, syntax.SelectItem):
            assert inner.value is not None
            values.append(context.evaluate(inner.value, scope))
            names.append(inner.aliases[0] if inner.aliases else "")
        else:
            values.append(NOTHING if inner is None else _value(inner, context, scope))
            renamed = values[-1].name if isinstance(values[-1], Vector) else None
            names.append(argument.name or renamed or _written_name(inner))
    return make_table(name, values, names)


def _written_name(node: syntax.Expression | None) -> str:
    """The name of a column given as a variable or as a column of a table, `t.price`."""
    if isinstance(node, syntax.Name):
        return node.id
    return node.name if isinstance(node, syntax.Member) else ""


def _value(node: syntax.Expression, context: Executor, scope: Scope) -> Value:
    """The value of an argument. Column types such as `[INT, DECIMAL32(2)]` stay apart, each with its scale."""
    if isinstance(node, syntax.VectorLiteral) and any(_is_decimal(item) for item in node.items):
        return AnyVector([context.evaluate(item, scope) for item in node.items])
    return context.evaluate(node, scope)


def _is_decimal(node: syntax.Expression) -> bool:
    return isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.id in DECIMALS


def make_table(name: str, values: Sequence[Value], names: Sequence[str]) -> Table:
    """The table a call of `table`, `keyedTable` … makes of evaluated arguments with the names they go by."""
    if name == "table":
        return plain_table(values, names)
    if name == "mvccTable":
        return versioned_table(values, names)
    if not values:
        raise CallError(f"Usage: {name}(keyColumns, X, [X1], …). keyColumns must be specified.")
    keys = _strings(values[0], name, "keyColumns")
    if name.startswith("latest"):
        times = _strings(values[1], name, "timeColumn") if len(values) > 1 else []
        if len(times) != 1:
            raise CallError(f"Usage: {name}(keyColumns, timeColumn, X, …). timeColumn must be the name of a column.")
        plain = keyed(plain_table(values[2:], names[2:]), keys, KEYED_KINDS[name])
        if plain.find(times[0]) < 0:
            raise ScriptError(f"Unrecognized column name [{times[0]}].")
        latest = LatestTable(plain.names, plain.columns, plain.keys, plain.kind)
        latest.time_column = times[0]
        return latest
    return keyed(plain_table(values[1:], names[1:]), keys, KEYED_KINDS[name])


def versioned_table(values: Sequence[Value], names: Sequence[str]) -> Table:
    """A table whose readers never wait for writers, which all tables in memory are; rows it begins with are 0."""
    first = values[0] if values else NOTHING
    if not isinstance(first, Vector) or not first.is_pair:
        table = plain_table(values, names)
    else:
        if any(not is_omitted(value) for value in values[3:]):
            raise UnsupportedError("A table of versions on disk, or with default values or columns without NULL")
        table = plain_table(values[:3], names[:3])
        for column in table.columns:
            if isinstance(column, Vector) and column.type not in (*LITERAL, Type.UUID, Type.INT128):
                column.data[:] = 0
    table.kind = "MVCC TABLE"
    return table


def _strings(value: Value, name: str, parameter: str) -> list[str]:
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, Vector) and (value.symbols is not None or value.data.dtype == object):
        return [str(text) for text in value.strings()]
    raise CallError(f"Usage: {name}(…). {parameter} must be a string or a vector of strings.")


def plain_table(values: Sequence[Value], names: Sequence[str]) -> Table:
    if not values:
        raise CallError("Usage: table(X, [X1], …) or table(capacity:size, colNames, colTypes).")
    first = values[0]
    if isinstance(first, Vector) and first.is_pair and len(values) == 3:
        labels = _strings(values[1], "table", "colNames")
        return empty_table(labels, column_types(values[2]), int(first.data[1]))
    if len(values) == 1:
        if isinstance(first, Table):
            return table_of_columns(first.names, list(first.columns))
        if isinstance(first, Dictionary):
            return table_of_dictionary(first)
        if isinstance(first, Matrix):
            return table_of_matrix(first)
        if isinstance(first, AnyVector) and first.items and all(isinstance(item, Dictionary) for item in first.items):
            return stacked([table_of_dictionary(item) for item in first.items if isinstance(item, Dictionary)])
        if isinstance(first, AnyVector) and first.items and all(isinstance(item, Table) for item in first.items):
            return stacked([item for item in first.items if isinstance(item, Table)])
    return table_of_columns(names, values)
