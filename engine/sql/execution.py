"""Which part of the package runs which kind of node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dolphin.script import syntax
from engine.errors import ScriptError, UnknownNameError, UnsupportedError, unknown_column
from engine.sql.definitions import alter, create_database, create_table, drop
from engine.sql.keys import combined_codes
from engine.sql.ordering import distinct_rows
from engine.sql.quantifiers import quantified
from engine.sql.rewrite import SUBQUERIES
from engine.sql.select import select
from engine.sql.statements import delete, insert, stacked, update
from engine.sql.subqueries import inside
from engine.values import NOTHING, Table, Value

if TYPE_CHECKING:
    from engine.interpreter.scope import Scope
    from engine.sql.evaluation import Executor


def execute(node: Any, context: Executor, scope: Scope) -> Value:
    """The value of a query; NOTHING for statements. Raises ScriptError."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        raise UnsupportedError(f"{type(node).__name__} in a query")
    if isinstance(node, SUBQUERIES):
        scope = inside(node, scope)
    try:
        with np.errstate(all="ignore"):
            result: Value | None = handler(node, context, scope)
    except ScriptError as error:
        raise _about_columns(error, node, scope) from error
    return NOTHING if result is None else result


def _about_columns(error: ScriptError, node: syntax.Node, scope: Scope) -> ScriptError:
    """Inside a query an unknown name is an unknown column, unless it stands for a table."""
    if not isinstance(error, UnknownNameError):
        return error
    name = error.name
    tables = {
        each.value.id
        for each in syntax.walk(node)
        if isinstance(each, syntax.Source) and isinstance(each.value, syntax.Name)
    }
    target = getattr(node, "target", None)
    if isinstance(target, syntax.Name):
        tables.add(target.id)
    called = {
        each.function.id
        for each in syntax.walk(node)
        if isinstance(each, syntax.Call) and isinstance(each.function, syntax.Name)
    }
    mentioned = any(isinstance(each, syntax.Name) and each.id == name for each in syntax.walk(node))
    if name in tables or name in called or not mentioned:
        return error
    if isinstance(node, syntax.Select) and any(name in item.aliases for item in node.items):
        remedy = "It names a result, which where does not know: repeat its expression."
        return ScriptError(f"Unrecognized column name [{name}]. {remedy}", error.line)
    columns = [column for each in tables if isinstance(table := scope.lookup(each), Table) for column in table.names]
    return unknown_column(name, columns, error.line)


def set_operation(node: syntax.SetOperation, executor: Executor, scope: Scope) -> Table:
    left, right = (executor.evaluate(side, scope) for side in (node.left, node.right))
    if not isinstance(left, Table) or not isinstance(right, Table):
        raise ScriptError(f"{node.kind} requires two queries that return tables.")
    if len(left.columns) != len(right.columns):
        raise ScriptError(f"The queries of {node.kind} must have the same number of columns.")
    both = stacked([left, right])
    if node.kind == "union all":
        return both
    if node.kind == "union":
        return both.take(distinct_rows(both.columns))
    if node.kind not in ("intersect", "minus", "except"):
        raise UnsupportedError(f"The set operation {node.kind}")
    codes, count = combined_codes(both.columns)
    on_the_right = np.zeros(count, dtype=bool)
    on_the_right[codes[left.rows :]] = True
    distinct = distinct_rows(left.columns)
    kept = on_the_right[codes[distinct]] == (node.kind == "intersect")
    return left.take(distinct[kept])


def with_tables(node: syntax.With, executor: Executor, scope: Scope) -> Value:
    inner = scope.child({})
    for (name, query), columns in zip(node.tables, node.columns or ((),) * len(node.tables), strict=True):
        value = executor.evaluate(query, inner)
        if columns:
            if not isinstance(value, Table) or len(value.names) != len(columns):
                raise ScriptError(f"The query of [{name}] must return as many columns as names are given for them.")
            value = Table(list(columns), value.columns)
        inner.assign(name, value)
    return executor.evaluate(node.body, inner)


HANDLERS: dict[type, Callable[[Any, Any, Any], Any]] = {
    syntax.Select: select,
    syntax.SetOperation: set_operation,
    syntax.With: with_tables,
    syntax.Quantifier: quantified,
    syntax.Update: update,
    syntax.Delete: delete,
    syntax.Insert: insert,
    syntax.CreateDatabase: create_database,
    syntax.CreateTable: create_table,
    syntax.Alter: alter,
    syntax.Drop: drop,
}
