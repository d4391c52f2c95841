"""Create, alter and drop. Databases and stored tables are made by the functions of the same purpose."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from dolphin.script import syntax
from engine.errors import ScriptError, UnsupportedError
from engine.interpreter.scope import Scope
from engine.sql.construct import ColumnType, column_type, empty_table, initial_column, named_type
from engine.sql.evaluation import Executor
from engine.sql.modify import blank, delete_rows
from engine.sql.source import stored_table
from engine.sql.statements import target_of
from engine.types import Type
from engine.values import AnyVector, Dictionary, Handle, Scalar, Table, Value, string, vector

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
    schema = _new_schema(node.name, executor, scope)
    name = executor.evaluate(node.name, scope) if schema is None else string(schema.url())
    options = {key: executor.evaluate(value, scope) for key, value in node.options}
    for key in options:
        if key not in DATABASE_OPTIONS:
            raise UnsupportedError(f"The option {key} of create database")
    levels = [_level(part, executor, scope) for part in node.partitions]
    if not levels:
        raise ScriptError("create database requires partitioned by.")
    if len(levels) == 1:
        call_named(executor, "database", [name, *levels[0]], options)
    else:
        compo = executor.evaluate(syntax.Name("COMPO", span=node.span), scope)
        inner = [call_named(executor, "database", [string(""), *level]) for level in levels]
        call_named(executor, "database", [name, compo, AnyVector(inner)], options)
    if schema is not None:
        call_named(executor, "createSchema", [string(schema.catalog), name, string(schema.name)])


@dataclass(frozen=True)
class _Schema:
    """`catalog.schema` in a statement that makes it."""

    catalog: str
    name: str

    def url(self) -> str:
        return f"dfs://{self.catalog}_{self.name}_{time.time_ns() // 1_000_000}"


def _new_schema(node: syntax.Expression, executor: Executor, scope: Scope) -> _Schema | None:
    """The schema a name stands for, which must not be there yet; None for the path of a database."""
    names = _schema_names(node, executor, scope)
    if names is None:
        return None
    from engine.storage.access import require_catalog

    catalogs = _catalogs(executor)
    require_catalog(executor.session, catalogs.name(names[0]))
    catalogs.check_free(*names)
    return _Schema(catalogs.name(names[0]), names[1])


def _schema_names(node: syntax.Expression, executor: Executor, scope: Scope) -> tuple[str, str] | None:
    """The catalog and the schema of `catalog.schema` or `schema`; None for a variable or a path."""
    names = _dotted(node)
    if len(names) not in (1, 2) or scope.lookup(names[0]) is not None:
        return None
    return (names[0], names[1]) if len(names) == 2 else (_current(executor), names[0])


def _dotted(node: syntax.Expression) -> list[str]:
    """The names of `a.b.c`; none if it begins otherwise."""
    names: list[str] = []
    while isinstance(node, syntax.Member):
        names.insert(0, node.name)
        node = node.target
    return [node.id, *names] if isinstance(node, syntax.Name) else []


def _catalogs(executor: Executor) -> Any:
    catalogs = executor.session.node.catalogs
    if catalogs is None:
        raise ScriptError("Catalogs need a server process.")
    return catalogs


def _current(executor: Executor) -> str:
    catalog = executor.session.catalog
    if catalog is None:
        raise ScriptError("The catalog doesn't exist. Name it, or choose one with `use catalog name`.")
    return catalog


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
    handle = _handle(database, executor)
    options: dict[str, Value] = {}
    comment: Value | None = None
    for key, value in node.options:
        if key in ("comment", "tableComment"):
            comment = executor.evaluate(value, scope)
        elif key in TABLE_OPTIONS:
            options[TABLE_OPTIONS[key]] = executor.evaluate(value, scope)
        else:
            raise UnsupportedError(f"The option {key} of create table")
    if node.partitions:
        columns = [_word(part, executor, scope) for part in node.partitions]
        call_named(executor, "createPartitionedTable", [handle, empty, table, vector(Type.STRING, columns)], options)
    else:
        call_named(executor, "createDimensionTable", [handle, empty, table], options)
    _comment(node, call_named(executor, "loadTable", [database, table]), comment, executor)


def _comment(node: syntax.CreateTable, table: Value, comment: Value | None, executor: Executor) -> None:
    """Note down what the statement says about the table and its columns."""
    if comment is not None:
        call_named(executor, "setTableComment", [table, comment])
    texts: dict[Any, Value] = {}
    for column in node.columns:
        for option in column.options:
            found = re.fullmatch(r"comment\s*=\s*(['\"])(.*)\1", option, re.DOTALL | re.IGNORECASE)
            if found is not None:
                texts[column.name] = string(found[2])
    if texts:
        call_named(executor, "setColumnComment", [table, Dictionary(Type.STRING, Type.STRING, texts)])


def _word(node: syntax.Expression, executor: Executor, scope: Scope) -> str:
    if isinstance(node, syntax.Name):
        return node.id
    value = executor.evaluate(node, scope)
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return value.value
    raise ScriptError("partitioned by requires column names.")


def _stored_name(node: syntax.Expression, executor: Executor, scope: Scope) -> tuple[Value, Value]:
    """The database and the table of `"dfs://db".table`, `db.table`, `catalog.schema.table` or `schema.table`."""
    if not isinstance(node, syntax.Member):
        raise ScriptError("A table is named by its database and its own name.")
    names = _schema_names(node.target, executor, scope)
    if names is None:
        return executor.evaluate(node.target, scope), string(node.name)
    return string(_catalogs(executor).database(*names)), string(node.name)


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
    if node.kind == "catalog":
        names = _dotted(node.target)
        catalog = string(names[0]) if len(names) == 1 else executor.evaluate(node.target, scope)
        if not node.if_exists or _is_true(call_named(executor, "existsCatalog", [catalog])):
            call_named(executor, "dropCatalog", [catalog])
        return
    if node.kind == "schema":
        schema = _schema_names(node.target, executor, scope)
        if schema is None:
            raise ScriptError("drop schema requires catalog.schema.")
        if not node.if_exists or _catalogs(executor).url(*schema) is not None:
            call_named(executor, "dropSchema", [string(schema[0]), string(schema[1])])
        return
    if node.kind == "database":
        schema = _schema_names(node.target, executor, scope)
        if schema is not None and node.if_exists and _catalogs(executor).url(*schema) is None:
            return
        database = (
            executor.evaluate(node.target, scope) if schema is None else string(_catalogs(executor).database(*schema))
        )
        exists = call_named(executor, "existsDatabase", [database])
        if node.if_exists and isinstance(exists, Scalar) and not exists.value:
            return
        call_named(executor, "dropDatabase", [database])
        return
    if isinstance(node.target, syntax.Name):
        _drop_variable(node, node.target, scope)
        return
    if node.if_exists and isinstance(node.target, syntax.Member):
        schema = _schema_names(node.target.target, executor, scope)
        if schema is not None and _catalogs(executor).url(*schema) is None:
            return
    database, table = _stored_name(node.target, executor, scope)
    exists = call_named(executor, "existsTable", [database, table])
    if node.if_exists and isinstance(exists, Scalar) and not exists.value:
        return
    if node.kind == "truncate":
        call_named(executor, "truncate", [database, table])
    else:
        call_named(executor, "dropTable", [_handle(database, executor), table])


def _handle(database: Value, executor: Executor) -> Value:
    return database if isinstance(database, Handle) else call_named(executor, "database", [database])


def _is_true(value: Value) -> bool:
    return isinstance(value, Scalar) and bool(value.value)


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
