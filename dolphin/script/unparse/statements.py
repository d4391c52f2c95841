"""Statements as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dolphin.script import syntax as s
from dolphin.script.precedence import LOWEST
from dolphin.script.unparse.expressions import (
    STATEMENTS,
    print_alias,
    print_argument,
    print_block,
    print_element,
    print_expression,
    print_function,
    print_grouping,
    print_item,
    print_order,
    print_orders,
    print_parameter,
    print_source,
    print_where,
    print_within,
    statement,
)
from dolphin.script.unparse.literals import quoted


def _expression_statement(node: s.ExpressionStatement, indent: str) -> str:
    return print_function(node.value, indent) if isinstance(node.value, s.Lambda) else print_expression(node.value)


def _assign(node: s.Assign, indent: str) -> str:
    targets = ",".join(print_expression(target) for target in node.targets)
    value = print_function(node.value, indent) if isinstance(node.value, s.Lambda) else print_expression(node.value)
    return f"{'&' if node.reference else ''}{targets} {node.operator} {value}"


def _definition(node: s.FunctionDefinition, indent: str) -> str:
    decorators = "".join(f"@{name}\n{indent}" for name in node.decorators)
    if node.declaration:
        parameters = ",".join(print_parameter(item) for item in node.function.parameters)
        return f"{decorators}{node.function.kind} {node.name}({parameters})"
    return decorators + print_function(node.function, indent)


def _class(node: s.ClassDefinition, indent: str) -> str:
    base = f" : {node.base}" if node.base else ""
    return f"class {node.name}{base} {print_block(node.body, indent)}"


def _if(node: s.If, indent: str) -> str:
    text = f"if ({print_expression(node.test)}) {print_block(node.then, indent)}"
    if node.otherwise is not None:
        text += f"\n{indent}else {print_block(node.otherwise, indent)}"
    return text


def _for(node: s.For, indent: str) -> str:
    names = node.names[0] if len(node.names) == 1 else f"({', '.join(node.names)})"
    return f"for ({names} in {print_expression(node.values)}) {print_block(node.body, indent)}"


def _while(node: s.While, indent: str) -> str:
    if node.check_last:
        return f"do {print_block(node.body, indent)} while ({print_expression(node.test)})"
    return f"while ({print_expression(node.test)}) {print_block(node.body, indent)}"


def _try(node: s.Try, indent: str) -> str:
    return f"try {print_block(node.body, indent)} catch ({node.name}) {print_block(node.handler, indent)}"


def _timer(node: s.Timer, indent: str) -> str:
    count = f"({print_expression(node.count)}) " if node.count is not None else " "
    body = statement(node.body, indent)[len(indent) :]
    return f"timer{count}{body}"


def _assert(node: s.Assert, _indent: str) -> str:
    label = f"{print_expression(node.label)}, " if node.label is not None else ""
    return f"assert {label}{print_expression(node.test)}"


def _use(node: s.Use, _indent: str) -> str:
    if node.include:
        return f"#include {quoted(node.name)}"
    return f"use {'catalog ' if node.catalog else ''}{node.name}"


def _insert(node: s.Insert, _indent: str) -> str:
    columns = f" ({','.join(print_alias(name) for name in node.columns)})" if node.columns else ""
    target = print_expression(node.target)
    if node.query is not None:
        return f"insert into {target}{columns} {print_expression(node.query)}"
    rows = ",".join(f"({','.join(print_element(value) for value in row)})" for row in node.rows)
    return f"insert into {target}{columns} values {rows}"  # noqa: S608


def _update(node: s.Update, _indent: str) -> str:
    sets = ",".join(f"{print_alias(name)}={print_element(value)}" for name, value in node.sets)
    source = f" from {print_source(node.source)}" if node.source is not None else ""
    text = f"update {print_expression(node.target)} set {sets}{source}"  # noqa: S608
    text += print_where(node.where) + print_grouping(node.grouping)
    if node.csort:
        text += f" csort {print_orders(node.csort)}"
    return f"{text} having {print_element(node.having)}" if node.having is not None else text


def _delete(node: s.Delete, _indent: str) -> str:
    source = f" from {print_source(node.source)}" if node.source is not None else ""
    return f"delete from {print_expression(node.target)}{source}{print_where(node.where)}"  # noqa: S608


def _partitioned(partitions: Iterable[s.Expression], options: Iterable[tuple[str, s.Expression]]) -> str:
    parts = ", ".join(print_expression(item) for item in partitions)
    text = f" partitioned by {parts}" if parts else ""
    settings = ", ".join(f"{name}={print_expression(value)}" for name, value in options)
    return text + (f", {settings}" if settings and text else f" {settings}" if settings else "")


def _create_database(node: s.CreateDatabase, _indent: str) -> str:
    return f"create database {print_expression(node.name)}{_partitioned(node.partitions, node.options)}"


def _column(node: s.ColumnDefinition) -> str:
    words = " ".join(option for option in node.options if option.isidentifier())
    settings = ", ".join(option for option in node.options if not option.isidentifier())
    text = f"{print_alias(node.name)} {print_expression(node.type)}"
    return text + (f" [{settings}]" if settings else "") + (f" {words}" if words else "")


def _create_table(node: s.CreateTable, _indent: str) -> str:
    temporary = "local temporary " if node.temporary else ""
    exists = "if not exists " if node.if_not_exists else ""
    columns = ", ".join(_column(column) for column in node.columns)
    table = f"create {temporary}table {exists}{print_expression(node.name)} ({columns})"
    return table + _partitioned(node.partitions, node.options)


def _alter(node: s.Alter, _indent: str) -> str:
    target = print_expression(node.target)
    if node.action == "add":
        return f"alter table {target} add {', '.join(_column(column) for column in node.columns)}"
    if node.action == "rename":
        return f"alter table {target} rename {print_alias(node.names[0])} to {print_alias(node.names[1])}"
    return f"alter table {target} drop {', '.join(print_alias(name) for name in node.names)}"


def _drop(node: s.Drop, _indent: str) -> str:
    if node.kind == "truncate":
        return f"truncate table {print_expression(node.target)}"
    return f"drop {node.kind} {'if exists ' if node.if_exists else ''}{print_expression(node.target)}"


CLAUSES: dict[type, Callable[[Any], str]] = {
    s.SelectItem: print_item,
    s.OrderItem: print_order,
    s.Grouping: lambda grouping: print_grouping(grouping).strip(),
    s.Source: print_source,
    s.Join: print_source,
    s.Argument: print_argument,
    s.Parameter: print_parameter,
    s.ColumnDefinition: _column,
}

STATEMENTS.update(
    {
        s.ExpressionStatement: _expression_statement,
        s.Assign: _assign,
        s.Block: print_block,
        s.FunctionDefinition: _definition,
        s.ClassDefinition: _class,
        s.Attribute: lambda node, _indent: f"{node.name} :: {node.type}",
        s.If: _if,
        s.For: _for,
        s.While: _while,
        s.Break: lambda _node, _indent: "break",
        s.Continue: lambda _node, _indent: "continue",
        s.Return: lambda node, _indent: "return" if node.value is None else f"return {print_expression(node.value)}",
        s.Throw: lambda node, _indent: f"throw {print_expression(node.value)}",
        s.Assert: _assert,
        s.Try: _try,
        s.Timer: _timer,
        s.Transaction: lambda node, indent: f"transaction {print_block(node.body, indent)}",
        s.Go: lambda _node, _indent: "go",
        s.Share: lambda node, _indent: f"share {print_within(node.value, LOWEST)} as {print_alias(node.name)}",
        s.Module: lambda node, _indent: f"module {node.name}",
        s.Use: _use,
        s.Undef: lambda node, _indent: f"undef {node.name}" + (f", {node.kind}" if node.kind else ""),
        s.Insert: _insert,
        s.Update: _update,
        s.Delete: _delete,
        s.CreateDatabase: _create_database,
        s.CreateTable: _create_table,
        s.Alter: _alter,
        s.Drop: _drop,
    }
)
