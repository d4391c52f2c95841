"""The names columns of a result get when the query gives none."""

from __future__ import annotations

from collections.abc import Iterable

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.sql.frame import ROW_MARK, Frame

OPERATOR_NAMES = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "\\": "ratio", "%": "mod", "**": "dot", "==": "eq", "=": "eq",
    "!=": "ne", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "and": "and", "&&": "and", "or": "or",
    "||": "or", "&": "bitAnd", "|": "bitOr", "^": "bitXor", "<<": "lshift", ">>": "rshift", "$": "cast", ":": "pair",
    "..": "seq", "<-": "join",
}  # fmt: skip
UNARY_NAMES = {"-": "neg", "!": "not", "not": "not"}


def column_name(node: syntax.Expression, frame: Frame | None = None) -> str:
    """`avg(price)` is `avg_price`, `price * qty` is `price_mul`, a column keeps its own spelling."""
    name = _name(node, frame)
    return name or "col"


def free_name(node: syntax.Expression, frame: Frame | None, taken: Iterable[str]) -> str:
    """The name of a column beside others: analytic functions are called after their argument where they have to be."""
    name = column_name(node, frame)
    if isinstance(node, syntax.Over) and name.lower() in {each.lower() for each in taken}:
        return column_name(node.call, frame)
    return name


def _name(node: syntax.Expression | None, frame: Frame | None) -> str:
    if isinstance(node, syntax.Name):
        return _spelled(node.id, frame)
    if isinstance(node, syntax.ColumnName):
        return _spelled(node.text, frame)
    if isinstance(node, syntax.Member):
        return node.name
    if isinstance(node, syntax.Call):
        return _call_name(node, frame)
    if isinstance(node, syntax.Binary):
        inner = _operand(node.left, frame) or _operand(node.right, frame)
        word = OPERATOR_NAMES.get(node.operator, node.operator)
        return f"{inner}_{word}" if inner else word
    if isinstance(node, syntax.Unary):
        inner = _operand(node.operand, frame)
        word = UNARY_NAMES.get(node.operator, node.operator)
        return f"{inner}_{word}" if inner else word
    if isinstance(node, syntax.Over):
        call = node.call
        named = isinstance(call, syntax.Call) and isinstance(call.function, syntax.Name)
        return call.function.id if named else _name(call, frame)  # type: ignore[union-attr]
    if isinstance(node, syntax.Index):
        return f"{_name(node.target, frame)}_at"
    if isinstance(node, syntax.Literal):
        return str(node.value) if node.value is not None else "NULL"
    if isinstance(node, syntax.Case | syntax.Ternary):
        return "iif"
    return ""


def _spelled(name: str, frame: Frame | None) -> str:
    if frame is not None:
        index = frame.find(name)
        if index >= 0:
            found = frame.fields[index]
            return found.label if found.label.lower() == name.lower() or not found.hidden else found.name
    return name


def _call_name(node: syntax.Call, frame: Frame | None) -> str:
    function = node.function
    if isinstance(function, syntax.Call) and function.style == "partial":
        function = function.function
    if isinstance(function, syntax.Name):
        word = function.id.split("::")[-1]
    elif isinstance(function, syntax.OperatorFunction):
        word = OPERATOR_NAMES.get(function.operator, function.operator)
    elif isinstance(function, syntax.Adverb) and isinstance(function.function, syntax.Name):
        word = function.function.id
    else:
        word = ""
    first = node.arguments[0].value if node.arguments else None
    inner = _column_in(first, frame)
    return f"{word}_{inner}" if inner else word


def _operand(node: syntax.Expression, frame: Frame | None) -> str:
    if isinstance(node, syntax.Binary):
        # `a + b + c` is called after a and the last operator alone.
        return _operand(node.left, frame) or _operand(node.right, frame)
    return _call_name(node, frame) if isinstance(node, syntax.Call) else _column_in(node, frame)


def _column_in(node: syntax.Expression | None, frame: Frame | None) -> str:
    """The name an argument lends to its function: a column, or what an arithmetic of columns is called."""
    if isinstance(node, syntax.Name):
        return "" if node.id == ROW_MARK or node.id == "*" else _spelled(node.id, frame)
    if isinstance(node, syntax.ColumnName | syntax.Member | syntax.Binary):
        return _name(node, frame)
    if isinstance(node, syntax.TupleLiteral) and node.items:
        return _column_in(node.items[0], frame)
    return ""


def check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise ScriptError(f"Duplicate column name [{name}] in the result. Give one of them another name with `as`.")
        seen.add(name.lower())
