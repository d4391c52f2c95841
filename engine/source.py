"""Syntax trees back to source text, for printing quoted code and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dolphin.script import syntax
from engine.embedded import Embedded
from engine.texts import NULL_TEXTS, raw_text
from engine.types import LITERAL, Type
from engine.values import Table

HINT_CODES = {"HINT_HASH": 32, "HINT_SNAPSHOT": 64, "HINT_KEEPORDER": 128, "HINT_EXPLAIN": 32768}
_MAP_CODE = 256
_INTEGER_SUFFIX = {Type.LONG: "l", Type.SHORT: "h"}


def source_of(node: Any) -> str:
    """The source text of an expression or a statement."""
    writer = _WRITERS.get(type(node))
    return type(node).__name__ if writer is None else writer(node)


def _join(nodes: Iterable[Any], separator: str = ",") -> str:
    return separator.join(source_of(node) for node in nodes)


def _literal(node: syntax.Literal) -> str:
    type_ = Type[node.type]
    if node.value is None:
        return "NULL" if type_ is Type.VOID else '""' if type_ in LITERAL else NULL_TEXTS.get(type_, "")
    if type_ in LITERAL:
        return f'"{node.value}"'
    text = raw_text(type_, node.value)
    if type_ is Type.BOOL:
        return text
    return f"'{text}'" if type_ is Type.CHAR else text + _INTEGER_SUFFIX.get(type_, "")


def _argument(node: syntax.Argument) -> str:
    value = "" if node.value is None else source_of(node.value)
    return f"{node.name}={value}" if node.name else value


def _call(node: syntax.Call) -> str:
    function = source_of(node.function)
    arguments = [_argument(argument) for argument in node.arguments]
    if node.style == "method":
        return f"{arguments[0]}.{function}({', '.join(arguments[1:])})"
    if node.style == "space" and len(arguments) == 1:
        return f"{function} {arguments[0]}"
    if node.style == "partial":
        return f"{function}{{{', '.join(arguments)}}}"
    return f"{function}({', '.join(arguments)})"


def _operand(node: Any) -> str:
    text = source_of(node)
    return f"({text})" if isinstance(node, syntax.Binary | syntax.Ternary | syntax.Lambda) else text


def _binary(node: syntax.Binary) -> str:
    if node.operator in (":", ".."):
        return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"
    if node.operator == "is":
        return f"{_operand(node.left)} is NULL"
    left = source_of(node.left) if _same_level(node.left, node.operator) else _operand(node.left)
    right = source_of(node.right) if _binds_tighter(node.right, node.operator) else _operand(node.right)
    return f"{left} {node.operator} {right}"


_LEVELS = (
    ("or", "||"),
    ("and", "&&"),
    ("<", "<=", ">", ">=", "==", "!=", "in", "like", "between"),
    ("+", "-"),
    ("*", "/", "\\", "%"),
)


def _level(operator: str) -> int:
    return next((level for level, operators in enumerate(_LEVELS) if operator in operators), 99)


def _same_level(node: Any, operator: str) -> bool:
    return isinstance(node, syntax.Binary) and _level(node.operator) >= _level(operator) != 99


def _binds_tighter(node: Any, operator: str) -> bool:
    return isinstance(node, syntax.Binary) and _level(node.operator) > _level(operator)


def _index(node: syntax.Index) -> str:
    inner = ",".join("" if each is None else source_of(each) for each in node.indices)
    return f"{_operand(node.target)}[{inner}]"


def _lambda(node: syntax.Lambda) -> str:
    parameters = ",".join(parameter.name for parameter in node.parameters)
    if isinstance(node.body, syntax.Block):
        return f"def {node.name or ''}({parameters}){{{source_of(node.body)}}}"
    return f"{{{parameters}->{source_of(node.body)}}}"


def _item(node: syntax.SelectItem) -> str:
    value = "*" if node.value is None else source_of(node.value)
    return f"{value} as {', '.join(node.aliases)}" if node.aliases else value


def _order(node: syntax.OrderItem) -> str:
    return f"{source_of(node.value)} {'desc' if node.descending else 'asc'}"


def _source(node: syntax.Source) -> str:
    return f"{source_of(node.value)} as {node.alias}" if node.alias else source_of(node.value)


def _join_clause(node: syntax.Join) -> str:
    condition = "" if node.on is None else f" on {source_of(node.on)}"
    return f"{source_of(node.left)} {node.kind} join {source_of(node.right)}{condition}"


def _hint_code(hint: str) -> int:
    return HINT_CODES.get(hint) or (int(hint) if hint.isdigit() else 0)


def _select(node: syntax.Select) -> str:
    parts: list[str] = [node.kind]
    if code := sum(_hint_code(hint) for hint in node.hints) + _MAP_CODE * node.map:
        parts.append(f"[{code}]")
    if node.distinct:
        parts.append("distinct")
    if node.top is not None:
        parts.append(f"top {source_of(node.top)}")
    parts.append(_join(node.items))
    if node.source is not None:
        parts.append(f"from {source_of(node.source)}")
    if node.where:
        parts.append(f"where {_join(node.where)}")
    groupings = (node.grouping, node.pivot)
    parts.extend(f"{each.kind} by {_join(each.keys)}" for each in groupings if each is not None)
    if node.csort:
        parts.append(f"csort {_join(node.csort)}")
    if node.having is not None:
        parts.append(f"having {source_of(node.having)}")
    if node.order:
        parts.append(f"order by {_join(node.order)}")
    if node.limit is not None:
        parts.append(f"limit {source_of(node.limit)}")
    if node.map:
        parts.append("map")
    return " ".join(parts)


def _update(node: syntax.Update) -> str:
    sets = ", ".join(f"{name} = {source_of(value)}" for name, value in node.sets)
    parts = [f"update {source_of(node.target)} set {sets}"]  # noqa: S608
    if node.source is not None:
        parts.append(f"from {source_of(node.source)}")
    if node.where:
        parts.append(f"where {_join(node.where)}")
    return " ".join(parts)


def _delete(node: syntax.Delete) -> str:
    where = f" where {_join(node.where)}" if node.where else ""
    return f"delete from {source_of(node.target)}{where}"  # noqa: S608


def _if(node: syntax.If) -> str:
    otherwise = "" if node.otherwise is None else f"else{{{source_of(node.otherwise)}}}"
    return f"if({source_of(node.test)}){{{source_of(node.then)}}}{otherwise}"


def _for(node: syntax.For) -> str:
    return f"for({','.join(node.names)} in {source_of(node.values)}){{{source_of(node.body)}}}"


def _return(node: syntax.Return) -> str:
    return "return" if node.value is None else f"return {source_of(node.value)}"


def _assign(node: syntax.Assign) -> str:
    return f"{_join(node.targets)}{node.operator}{source_of(node.value)}"


def _case(node: syntax.Case) -> str:
    subject = "" if node.subject is None else f" {source_of(node.subject)}"
    branches = "".join(f" when {source_of(test)} then {source_of(value)}" for test, value in node.branches)
    otherwise = "" if node.otherwise is None else f" else {source_of(node.otherwise)}"
    return f"case{subject}{branches}{otherwise} end"


def _embedded(node: Embedded) -> str:
    from engine.console import _inline

    value = node.value
    return value.name or "table" if isinstance(value, Table) else _inline(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    syntax.Literal: _literal,
    syntax.Name: lambda node: node.id,
    syntax.ColumnName: lambda node: f'_"{node.text}"',
    syntax.Macro: lambda node: f"_{'$$' if node.many else '$'}{node.id}",
    syntax.VectorLiteral: lambda node: f"[{_join(node.items)}]",
    syntax.TupleLiteral: lambda node: f"({_join(node.items)})",
    syntax.DictLiteral: lambda node: "{" + ",".join(f"{source_of(k)}:{source_of(v)}" for k, v in node.items) + "}",
    syntax.Unary: lambda node: f"{node.operator}{' ' if node.operator == 'not' else ''}{_operand(node.operand)}",
    syntax.Binary: _binary,
    syntax.Ternary: lambda n: f"{_operand(n.test)} ? {source_of(n.then)} : {source_of(n.otherwise)}",
    syntax.Index: _index,
    syntax.Member: lambda node: f"{_operand(node.target)}.{node.name}",
    syntax.Argument: _argument,
    syntax.Call: _call,
    syntax.OperatorFunction: lambda node: node.operator,
    syntax.Adverb: lambda node: f"{source_of(node.function)}:{node.letter}",
    syntax.Lambda: _lambda,
    syntax.Quote: lambda node: f"<{source_of(node.body)}>",
    syntax.Case: _case,
    syntax.Quantifier: lambda node: f"{node.kind}({source_of(node.query)})",
    syntax.SelectItem: _item,
    syntax.OrderItem: _order,
    syntax.Source: _source,
    syntax.Join: _join_clause,
    syntax.Select: _select,
    syntax.Update: _update,
    syntax.Delete: _delete,
    syntax.SetOperation: lambda node: f"{source_of(node.left)} {node.kind} {source_of(node.right)}",
    syntax.ExpressionStatement: lambda node: source_of(node.value),
    syntax.Assign: _assign,
    syntax.Block: lambda node: ";".join(source_of(statement) for statement in node.statements),
    syntax.If: _if,
    syntax.For: _for,
    syntax.While: lambda node: f"while({source_of(node.test)}){{{source_of(node.body)}}}",
    syntax.Return: _return,
    syntax.Break: lambda _node: "break",
    syntax.Continue: lambda _node: "continue",
    Embedded: _embedded,
    syntax.Throw: lambda node: f"throw {source_of(node.value)}",
}
