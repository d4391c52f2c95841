"""Create, alter and drop. Databases and stored tables are made by the functions of the same purpose."""

from __future__ import annotations

from dolphin.script import syntax
from engine.errors import ScriptError, UnsupportedError
from engine.interpreter.scope import Scope
from engine.sql.construct import ColumnType, column_type, empty_table, initial_column, named_type
from engine.sql.evaluation import Executor
from engine.sql.modify import blank, delete_rows
from engine.sql.source import stored_table
from engine.sql.statements import target_of
from engine.types import Type
from engine.values import AnyVector, Scalar, Table, Value, string, vector

DATABASE_OPTIONS = ("engine", "atomic", "chunkGranularity")
TABLE_OPTIONS = {
    "compressMethods": "compressMethods", "sortColumns": "sortColumns", "keepDuplicates": "keepDuplicates",
    "sortKeyMappingFunction": "sortKeyMappingFunction", "softDelete": "softDelete", "indexes": "indexes",
    "primaryKey": "primaryKey",
}  # fmt: skip


def call_named(executor: Executor, name: str, arguments: list[Value], named: dict[str, Value] | None = None) -> Value:
    function = executor.function(name)
    if function is None:
        raise UnsupportedError(f"The function {name}")
    return executor.call(function, arguments, named or {})


def column_types(columns: tuple[syntax.ColumnDefinition, ...], executor: Executor, scope: Scope) -> list[ColumnType]:
    types = []
    for column in columns:
        if isinstance(column.type, syntax.Name):
            types.append(named_type(column.type.id))
            continue
        types.append(column_type(executor.evaluate(column.type, scope)))
    return types


def create_database(node: syntax.CreateDatabase, executor: Executor, scope: Scope) -> None:
    """`create database … partitioned by VALUE(…), HASH(…)`: one `database` call per level, then COMPO."""
    name = executor.evaluate(node.name, scope)
    options = {key: executor.evaluate(value, scope) for key, value in node.options}
    for key in options:
        if key not in DATABASE_OPTIONS:
            raise UnsupportedError(f"The option {key} of create database")
    levels = [_level(part, executor, scope) for part in node.partitions]
    if not levels:
        raise ScriptError("create database requires partitioned by.")
    if len(levels) == 1:
        call_named(executor, "database", [name, *levels[0]], options)
        return
    compo = executor.evaluate(syntax.Name("COMPO", span=node.span), scope)
    inner = [call_named(executor, "database", [string(""), *level]) for level in levels]
    call_named(executor, "database", [name, compo, AnyVector(inner)], options)


def _level(node: syntax.Expression, executor: Executor, scope: Scope) -> list[Value]:
    if not isinstance(node, syntax.Call) or not isinstance(node.function, syntax.Name):
        raise ScriptError("A partition is written as VALUE(…), RANGE(…), HASH(…) or LIST(…).")
    kind = executor.evaluate(node.function, scope)
    values = [executor.evaluate(each.value, scope) for each in node.arguments if each.value is not None]
    if len(values) == 1:
        return [kind, values[0]]
    return [kind, AnyVector(values)]


def create_table(node: syntax.CreateTable, executor: Executor, scope: Scope) -> None:
    types = column_types(node.columns, executor, scope)
    empty = empty_table([column.name for column in node.columns], types)
    if isinstance(node.name, syntax.Name):
        if scope.lookup(node.name.id) is not None and node.if_not_exists:
            return
        scope.assign(node.name.id, empty)
        return
    database, table = _stored_name(node.name, executor, scope)
    if node.if_not_exists:
        exists = call_named(executor, "existsTable", [database, table])
        if isinstance(exists, Scalar) and exists.value:
            return
    handle = call_named(executor, "database", [database])
    options: dict[str, Value] = {}
    for key, value in node.options:
        if key not in TABLE_OPTIONS:
            raise UnsupportedError(f"The option {key} of create table")
        options[TABLE_OPTIONS[key]] = executor.evaluate(value, scope)
    if node.partitions:
        columns = [_word(part, executor, scope) for part in node.partitions]
        call_named(executor, "createPartitionedTable", [handle, empty, table, vector(Type.STRING, columns)], options)
    else:
        call_named(executor, "createDimensionTable", [handle, empty, table], options)


def _word(node: syntax.Expression, executor: Executor, scope: Scope) -> str:
    if isinstance(node, syntax.Name):
        return node.id
    value = executor.evaluate(node, scope)
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return value.value
    raise ScriptError("partitioned by requires column names.")


def _stored_name(node: syntax.Expression, executor: Executor, scope: Scope) -> tuple[Value, Value]:
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Literal):
        return executor.evaluate(node.target, scope), string(node.name)
    raise UnsupportedError("A table in a catalog")


def alter(node: syntax.Alter, executor: Executor, scope: Scope) -> None:
    target = target_of(_table_node(node.target), executor, scope)
    if node.action == "add":
        types = column_types(node.columns, executor, scope)
        names = [column.name for column in node.columns]
        if isinstance(target, Table):
            add_columns(target, names, types)
        else:
            target.add_columns(names, [each.type for each in types], [each.scale for each in types])
    elif node.action == "drop":
        if isinstance(target, Table):
            drop_columns(target, list(node.names))
        else:
            target.drop_columns(list(node.names))
    elif isinstance(target, Table):
        rename_column(target, node.names[0], node.names[1])
    else:
        target.rename_column(node.names[0], node.names[1])


def _table_node(node: syntax.Expression) -> syntax.Expression:
    """`"dfs://x"."t"` as a call of loadTable."""
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Literal):
        arguments = (
            syntax.Argument(node.target, span=node.span),
            syntax.Argument(syntax.Literal("STRING", node.name, span=node.span), span=node.span),
        )
        return syntax.Call(syntax.Name("loadTable", span=node.span), arguments, span=node.span)
    return node


def add_columns(table: Table, names: list[str], types: list[ColumnType]) -> None:
    """New columns at the end, NULL in all rows."""
    with table.lock:
        for name, type_ in zip(names, types, strict=True):
            if table.find(name) >= 0:
                raise ScriptError(f"The column [{name}] exists already.")
            table.columns.append(blank(initial_column(type_, 0), table.rows))
            table.names.append(name)


def drop_columns(table: Table, names: list[str]) -> None:
    with table.lock:
        for name in names:
            position = table.find(name)
            if position < 0:
                raise ScriptError(f"Unrecognized column name [{name}].")
            if table.names[position] in table.keys:
                raise ScriptError(f"The key column [{name}] cannot be dropped.")
            del table.names[position], table.columns[position]


def rename_column(table: Table, name: str, new_name: str) -> None:
    with table.lock:
        position = table.find(name)
        if position < 0:
            raise ScriptError(f"Unrecognized column name [{name}].")
        if table.find(new_name) not in (-1, position):
            raise ScriptError(f"The column [{new_name}] exists already.")
        old = table.names[position]
        table.names[position] = new_name
        table.keys = tuple(new_name if key == old else key for key in table.keys)


def drop(node: syntax.Drop, executor: Executor, scope: Scope) -> None:
    if node.kind in ("catalog", "schema"):
        call_named(executor, f"drop{node.kind.capitalize()}", [executor.evaluate(node.target, scope)])
        return
    if node.kind == "database":
        database = executor.evaluate(node.target, scope)
        exists = call_named(executor, "existsDatabase", [database])
        if node.if_exists and isinstance(exists, Scalar) and not exists.value:
            return
        call_named(executor, "dropDatabase", [database])
        return
    if isinstance(node.target, syntax.Name):
        _drop_variable(node, node.target, scope)
        return
    database, table = _stored_name(node.target, executor, scope)
    exists = call_named(executor, "existsTable", [database, table])
    if node.if_exists and isinstance(exists, Scalar) and not exists.value:
        return
    if node.kind == "truncate":
        call_named(executor, "truncate", [database, table])
    else:
        call_named(executor, "dropTable", [call_named(executor, "database", [database]), table])


def _drop_variable(node: syntax.Drop, target: syntax.Name, scope: Scope) -> None:
    value = scope.lookup(target.id)
    if value is None:
        if node.if_exists:
            return
        raise ScriptError(f"The object [{target.id}] does not exist.")
    if node.kind == "truncate" and isinstance(value, Table):
        with value.lock:
            delete_rows(value, None)
        return
    if not isinstance(value, Table) and stored_table(value) is None:
        raise ScriptError(f"The object [{target.id}] is not a table.")
    if not scope.remove(target.id):
        raise ScriptError(f"The shared table [{target.id}] is removed with undef({target.id!r}, SHARED).")
