"""Expressions and queries as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dolphin.script import syntax as s
from dolphin.script.builtin_names import BUILTIN_NAMES
from dolphin.script.precedence import APPLICATION, COMPARISON, LOWEST, OPERATORS, PAIR, WORD_OPERATORS
from dolphin.script.unparse.literals import literal, quoted

_TERNARY, _UNARY, _POSTFIX = 0, 17, 18
_INDENT = "  "
STATEMENTS: dict[type, Callable[[Any, str], str]] = {}


def print_expression(node: Any) -> str:
    printer = _EXPRESSIONS.get(type(node))
    if printer is None:
        raise TypeError(f"{type(node).__name__} is not part of an expression")
    return printer(node)


def _level(node: s.Node) -> int:
    """How tightly the outermost construct of `node` binds."""
    if isinstance(node, s.Binary):
        return OPERATORS.get(node.operator) or WORD_OPERATORS[node.operator]
    if isinstance(node, s.Unary):
        return LOWEST if node.operator == "not" else _UNARY
    if isinstance(node, (s.Ternary, s.Lambda, s.SelectItem, s.Select, s.SetOperation, s.With, s.Case, s.Quote)):
        return _TERNARY
    if isinstance(node, s.Call) and node.style == "space":
        return LOWEST if len(node.arguments) == 1 else APPLICATION
    if isinstance(node, s.Literal) and isinstance(node.value, (int, float, tuple)):
        negative = node.value[0] < 0 if isinstance(node.value, tuple) else node.value < 0
        return _UNARY if negative else _POSTFIX
    return _POSTFIX


def print_within(node: s.Node, level: int) -> str:
    """`node`, in parentheses when it binds less tightly than `level`."""
    text = print_expression(node)
    return f"({text})" if _level(node) < level else text


def _binary(node: s.Binary) -> str:
    spine: list[s.Binary] = []
    current: s.Expression = node
    while isinstance(current, s.Binary):
        spine.append(current)
        current = current.left
    text = print_expression(current)
    left: s.Expression = current
    for binary in reversed(spine):
        text = _joined(binary, left, text)
        left = binary
    return text


def _joined(node: s.Binary, left: s.Expression, left_text: str) -> str:
    level = _level(node)
    if (
        _needs_parentheses(left, level, node.operator)
        or _level(left) < level
        or (isinstance(left, s.Call) and left.style == "space" and len(left.arguments) == 2 and level >= APPLICATION)
    ):
        left_text = f"({left_text})"
    if node.operator == "is":
        return f"{left_text} is NULL"
    right_text = print_expression(node.right)
    if node.operator == ":" and _is_null(node.right):
        return f"{left_text} : {right_text}"
    if _needs_parentheses(node.right, level + 1, node.operator) or _level(node.right) <= level:
        right_text = f"({right_text})"
    if node.operator == "..":
        return f"{left_text}..{right_text}"
    if node.operator == "between" and isinstance(node.right, s.Binary) and node.right.operator != ":":
        right_text = f"({print_expression(node.right)})"
    return f"{left_text} {node.operator} {right_text}"


def _is_null(node: s.Expression) -> bool:
    return isinstance(node, s.Literal) and node.type == "VOID"


def _needs_parentheses(node: s.Expression, level: int, operator: str) -> bool:
    """DolphinDB prints `(a + b) > c`: arithmetic inside a comparison stands in parentheses."""
    if not isinstance(node, s.Binary):
        return False
    inner = _level(node)
    mixed = inner < OPERATORS[".."] and inner != level and level <= COMPARISON + 1
    return inner < level or (mixed and operator not in _LOGICAL)


_LOGICAL = frozenset({"&&", "||", "and", "or"})


def _unary(node: s.Unary) -> str:
    if node.operator == "not":
        if isinstance(node.operand, s.Binary) and node.operand.operator in ("in", "like", "between", "is"):
            text = _binary(node.operand)
            inner = node.operand
            left = print_within(inner.left, _level(inner))
            if isinstance(inner.left, s.Binary) and not text.startswith(left):
                left = f"({print_expression(inner.left)})"
            if text.startswith(f"{left} {inner.operator} "):
                rest = text[len(left) + 1 :]
                return f"{left} is not NULL" if inner.operator == "is" else f"{left} not {rest}"
        return f"not {print_within(node.operand, COMPARISON + 1)}"
    operand = print_within(node.operand, _UNARY)
    if node.operator == "-" and isinstance(node.operand, (s.Literal, s.VectorLiteral)):
        operand = f"({operand})"
    if node.operator == "-" and operand.startswith("-"):
        operand = f"({operand})"
    return f"! {operand}" if node.operator == "!" else f"-{operand}"


def _list(nodes: Iterable[s.Node]) -> str:
    return ",".join(print_element(node) for node in nodes)


def print_element(node: s.Node) -> str:
    text = print_expression(node)
    return f"({text})" if isinstance(node, (s.Select, s.SetOperation, s.With)) else text


def _vector(node: s.VectorLiteral) -> str:
    return f"[{_list(node.items)}]"


def _tuple(node: s.TupleLiteral) -> str:
    if len(node.items) == 1:
        return f"({print_element(node.items[0])},)"
    return f"({_list(node.items)})"


def _dict(node: s.DictLiteral) -> str:
    entries = (f"{print_within(key, PAIR + 1)}:{print_element(value)}" for key, value in node.items)
    return "{" + ",".join(entries) + "}"


def _ternary(node: s.Ternary) -> str:
    then = print_expression(node.then)
    if isinstance(node.then, (s.Lambda, s.SelectItem, s.Select, s.SetOperation, s.With)) or _has_pair(node.then):
        then = f"({then})"
    otherwise = print_expression(node.otherwise)
    if isinstance(node.otherwise, (s.Select, s.SetOperation, s.With, s.SelectItem)):
        otherwise = f"({otherwise})"
    return f"{print_within(node.test, LOWEST)} ? {then} : {otherwise}"


def _has_pair(node: s.Expression) -> bool:
    return isinstance(node, s.Binary) and any(
        isinstance(part, s.Binary) and part.operator == ":" for part in s.walk(node)
    )


def _target(node: s.Expression) -> str:
    if isinstance(node, (s.Literal, s.VectorLiteral)) and not (isinstance(node, s.Literal) and node.type == "STRING"):
        return f"({print_expression(node)})" if isinstance(node, s.Literal) else print_expression(node)
    return print_within(node, _POSTFIX)


def _index(node: s.Index) -> str:
    indices = ",".join("" if index is None else print_element(index) for index in node.indices)
    return f"{_target(node.target)}[{indices}]"


def _member(node: s.Member) -> str:
    plain = node.name == "*" or node.name.isidentifier() or node.name.isdigit()
    return f"{_target(node.target)}.{node.name if plain else quoted(node.name)}"


def _arguments(arguments: Iterable[s.Argument]) -> str:
    return ", ".join(print_argument(argument) for argument in arguments)


def print_argument(node: s.Argument) -> str:
    value = "" if node.value is None else print_element(node.value)
    return f"{node.name}={value}" if node.name else value


def _call(node: s.Call) -> str:
    if node.style == "method":
        receiver = node.arguments[0].value
        assert receiver is not None
        return f"{_target(receiver)}.{print_expression(node.function)}({_arguments(node.arguments[1:])})"
    if node.style == "partial":
        return f"{_function(node.function)}{{{_arguments(node.arguments)}}}"
    if node.style == "space" and len(node.arguments) == 1:
        return _application(node)
    if node.style == "space" and len(node.arguments) == 2:
        return _infix(node)
    return f"{_function(node.function)}({_arguments(node.arguments)})"


def _application(node: s.Call) -> str:
    argument = node.arguments[0].value
    assert argument is not None
    text = print_within(argument, LOWEST)
    known = not isinstance(node.function, s.Name) or node.function.id in BUILTIN_NAMES
    if text.startswith(("(", "-", "!", "<", "{")) or not (known or isinstance(argument, (s.Name, s.Literal))):
        text = text if _wrapped(text, argument) else f"({text})"
    return f"{_function(node.function)} {text}"


def _wrapped(text: str, argument: s.Expression) -> bool:
    return text.startswith("(") and _level(argument) < LOWEST


def _infix(node: s.Call) -> str:
    left, right = node.arguments[0].value, node.arguments[1].value
    assert left is not None
    assert right is not None
    left_text = print_within(left, APPLICATION + 1)
    if isinstance(left, s.Name):
        left_text = f"({left_text})"
    return f"{left_text} {_function(node.function)} ({print_expression(right)})"


def _function(node: s.Expression) -> str:
    text = print_expression(node)
    if isinstance(node, s.Call) and node.style == "space":
        return f"({text})"
    return f"({text})" if isinstance(node, (s.Lambda, s.Literal)) or _level(node) < _POSTFIX else text


def _adverb(node: s.Adverb) -> str:
    inner = node.function
    if isinstance(inner, s.Lambda):
        if inner.name is None and not isinstance(inner.body, s.Block) and inner.parameters:
            names = ",".join(parameter.name for parameter in inner.parameters)
            return f"{{{names}->{print_element(inner.body)}}}:{node.letter}"
        return f"({print_function(inner)}):{node.letter}"
    return f"{_function(inner)}:{node.letter}"


def print_parameter(node: s.Parameter) -> str:
    text = f"mutable {node.name}" if node.mutable else node.name
    if node.type:
        text += f": {node.type}"
    return f"{text}={print_element(node.default)}" if node.default is not None else text


def print_function(node: s.Lambda, indent: str = "") -> str:
    if node.kind == "mapr" and isinstance(node.body, s.TupleLiteral):
        return _map_reduce(node)
    plain = all(not (item.mutable or item.type or item.default) for item in node.parameters)
    if node.kind == "def" and node.name is None and node.parameters and plain and not isinstance(node.body, s.Block):
        names = ",".join(item.name for item in node.parameters)
        body = print_element(node.body)
        if isinstance(node.body, s.DictLiteral):
            body = f"({body})"
        return f"{names}->{body}" if len(node.parameters) == 1 else f"({names})->{body}"
    head = f"{node.kind} {node.name or ''}".rstrip()
    parameters = ",".join(print_parameter(item) for item in node.parameters)
    if isinstance(node.body, s.Block):
        return f"{head}({parameters}){print_block(node.body, indent)}"
    body = print_element(node.body)
    if isinstance(node.body, s.DictLiteral):
        body = f"({body})"
    return f"{head}({parameters}): {body}"


def _map_reduce(node: s.Lambda) -> str:
    assert isinstance(node.body, s.TupleLiteral)
    parts = []
    for part in node.body.items:
        assert isinstance(part, s.TupleLiteral)
        parts.append(
            f"{','.join(print_expression(item) for item in part.items[:-1])} -> {print_expression(part.items[-1])}"
        )
    parameters = ",".join(print_parameter(item) for item in node.parameters)
    return f"mapr {node.name}({parameters}){{{'; '.join(parts)}}}"


def _quote(node: s.Quote) -> str:
    printer = STATEMENTS.get(type(node.body))
    if printer:
        return f"< {printer(node.body, '')} >"
    text = print_expression(node.body)
    if isinstance(node.body, s.Unary) and node.body.operator == "-":
        return f"< ({text}) >"
    return f"< {text} >"


def _case(node: s.Case) -> str:
    subject = f" {print_element(node.subject)}" if node.subject is not None else ""
    branches = "".join(f" when {print_element(test)} then {print_element(value)}" for test, value in node.branches)
    otherwise = f" else {print_element(node.otherwise)}" if node.otherwise is not None else ""
    return f"case{subject}{branches}{otherwise} end"


def print_alias(name: str) -> str:
    return name if name.isidentifier() or name.startswith("_$") else f'_"{name}"'


def print_item(node: s.SelectItem) -> str:
    if node.value is None:
        return "*"
    text = print_element(node.value)
    if isinstance(node.value, (s.SelectItem, s.Lambda)):
        text = f"({text})"
    if not node.aliases:
        return text
    if len(node.aliases) == 1:
        return f"{text} as {print_alias(node.aliases[0])}"
    return f"{text} as {''.join(f'`{name}' for name in node.aliases)}"


def _items(nodes: Iterable[s.SelectItem]) -> str:
    return ",".join(print_item(node) for node in nodes)


def print_order(node: s.OrderItem) -> str:
    nulls = "" if node.nulls_first is None else f" nulls {'first' if node.nulls_first else 'last'}"
    return f"{print_element(node.value)} {'desc' if node.descending else 'asc'}{nulls}"


def print_orders(nodes: Iterable[s.OrderItem]) -> str:
    return ",".join(print_order(node) for node in nodes)


def print_source(node: s.Source | s.Join) -> str:
    if isinstance(node, s.Source):
        text = print_element(node.value)
        if not isinstance(node.value, (s.Name, s.Call, s.Member, s.Index)) and not text.startswith("("):
            text = f"({text})"
        return f"{text} as {print_alias(node.alias)}" if node.alias else text
    if node.kind == "cross" and node.on is None:
        return f"{print_source(node.left)} cross join {print_source(node.right)}"
    on = f" on {print_element(node.on)}" if node.on is not None else ""
    return f"{print_source(node.left)} {node.kind} join {print_source(node.right)}{on}"


def print_grouping(node: s.Grouping | None) -> str:
    if node is None:
        return ""
    within = f" group by {_items(node.within)}" if node.within else ""
    return f"{within} {node.kind} by {_items(node.keys)}"


def _select(node: s.Select) -> str:
    parts: list[str] = [node.kind]
    if node.hints:
        parts.append(f" [{','.join(node.hints)}]")
    if node.distinct:
        parts.append(" distinct")
    if node.top is not None:
        parts.append(f" top {print_within(node.top, PAIR)}")
    items = _items(node.items)
    parts.append(f" {items}")
    if node.source is not None:
        parts.append(f" from {print_source(node.source)}")
    parts.append(print_where(node.where))
    parts.append(print_grouping(node.grouping))
    parts.append(print_grouping(node.pivot))
    if node.csort:
        parts.append(f" csort {print_orders(node.csort)}")
    if node.having is not None:
        parts.append(f" having {print_element(node.having)}")
    if node.order:
        parts.append(f" order by {print_orders(node.order)}")
    if node.order_interval is not None:
        parts.append(f" interval ({print_expression(node.order_interval)})")
    if node.limit is not None:
        parts.append(f" limit {_limit(node.limit)}")
    if node.map:
        parts.append(" map")
    return "".join(parts)


def _limit(node: s.Expression) -> str:
    if isinstance(node, s.TupleLiteral) and len(node.items) == 2:
        return f"{print_within(node.items[0], LOWEST)}, {print_within(node.items[1], LOWEST)}"
    return print_within(node, LOWEST)


def print_where(conditions: Iterable[s.Expression]) -> str:
    text = ",".join(print_element(condition) for condition in conditions)
    return f" where {text}" if text else ""


def _set_operation(node: s.SetOperation) -> str:
    left = print_element(node.left) if not isinstance(node.left, s.SetOperation) else print_expression(node.left)
    return f"{left} {node.kind} {print_element(node.right)}"


def _with(node: s.With) -> str:
    columns = [f"({', '.join(names)})" if names else "" for names in node.columns] or [""] * len(node.tables)
    tables = ", ".join(
        f"{name}{names} as ({print_expression(query)})"
        for (name, query), names in zip(node.tables, columns, strict=True)
    )
    return f"with {tables} {print_expression(node.body)}"


def _over(node: s.Over) -> str:
    parts = []
    if node.partition:
        parts.append(f"partition by {','.join(print_element(item) for item in node.partition)}")
    if node.order:
        parts.append(f"order by {print_orders(node.order)}")
    if node.frame:
        if node.stop is None:
            parts.append(f"{node.frame} {_bound(node.start)}")
        else:
            parts.append(f"{node.frame} between {_bound(node.start)} and {_bound(node.stop)}")
    return f"{print_expression(node.call)} over ({' '.join(parts)})"


def _bound(bound: s.Expression | str | None) -> str:
    if bound is None or isinstance(bound, str):
        return bound or "current row"
    if isinstance(bound, s.Unary) and bound.operator == "-":
        return f"{print_within(bound.operand, COMPARISON + 1)} preceding"
    return f"{print_within(bound, COMPARISON + 1)} following"


def statement(node: s.Node, indent: str) -> str:
    return indent + STATEMENTS[type(node)](node, indent)


def print_block(node: s.Block, indent: str = "") -> str:
    if not node.statements:
        return "{}"
    inner = indent + _INDENT
    lines = "\n".join(statement(item, inner) for item in node.statements)
    return f"{{\n{lines}\n{indent}}}"


_EXPRESSIONS: dict[type, Callable[[Any], str]] = {
    s.Literal: literal,
    s.Name: lambda node: node.id,
    s.ColumnName: lambda node: f"_{quoted(node.text)}",
    s.Macro: lambda node: ("_$$" if node.many else "_$") + (node.id if node.id.isidentifier() else quoted(node.id)),
    s.VectorLiteral: _vector,
    s.TupleLiteral: _tuple,
    s.DictLiteral: _dict,
    s.Unary: _unary,
    s.Binary: _binary,
    s.Ternary: _ternary,
    s.Index: _index,
    s.Member: _member,
    s.Call: _call,
    s.OperatorFunction: lambda node: node.operator,
    s.Adverb: _adverb,
    s.Lambda: print_function,
    s.Quote: _quote,
    s.Case: _case,
    s.Quantifier: lambda node: f"{node.kind} ({print_expression(node.query)})",
    s.Over: _over,
    s.Select: _select,
    s.SetOperation: _set_operation,
    s.With: _with,
    s.SelectItem: print_item,
}
