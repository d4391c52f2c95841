"""`exists (…)`, and comparisons with `any (…)` or `all (…)` of a subquery or a vector."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.interpreter.scope import Scope
from engine.sql.evaluation import NO_SPAN, Executor
from engine.sql.frame import Frame, RowScope
from engine.sql.rewrite import call, depends_on_rows, transform
from engine.types import DECIMAL
from engine.values import AnyVector, ArrayVector, Scalar, Table, Value, Vector, boolean, elements

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
COMPARISONS = frozenset(("=", "==", "!=", "<>", "<", "<=", ">", ">="))


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator any (query)` or `all (query)`."""

    left: syntax.Expression
    operator: str
    kind: str
    query: syntax.Expression


def comparison_of(node: syntax.Expression, frame: Frame) -> Comparison | None:
    """The comparison with a quantifier that a condition is, whichever side that stands on."""
    if not isinstance(node, syntax.Binary) or node.operator not in COMPARISONS:
        return None
    sides = (
        (node.right, node.left, node.operator),
        (node.left, node.right, MIRRORED.get(node.operator, node.operator)),
    )
    for side, other, operator in sides:
        if isinstance(side, syntax.Quantifier) and side.kind != "exists":
            return Comparison(other, operator, side.kind, side.query)
        if (
            isinstance(side, syntax.Call)
            and isinstance(side.function, syntax.Name)
            and side.function.id in ("any", "all")
            and len(side.arguments) == 1
            and side.arguments[0].value is not None
            and not depends_on_rows(side, frame)
        ):
            return Comparison(other, operator, side.function.id, side.arguments[0].value)
    return None


def prepare_condition(node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope) -> syntax.Expression:
    """The condition without quantifiers, their subqueries evaluated."""
    rows = RowScope(frame, scope)

    def change(each: syntax.Node) -> syntax.Node:
        if isinstance(each, syntax.Binary):
            found = comparison_of(each, frame)
            if found is not None:
                values = executor.evaluate(found.query, rows)
                return compared(found.left, found.operator, found.kind, values, executor, rows)
        if isinstance(each, syntax.Quantifier) and each.kind == "exists":
            return literal(quantified(each, executor, rows))
        return each

    return transform(node, change)


def quantified(node: syntax.Quantifier, executor: Executor, scope: Scope) -> Scalar:
    """The truth of a quantifier that stands alone."""
    values = column_of(executor.evaluate(node.query, scope))
    if node.kind == "exists":
        return boolean(len(values) > 0)
    truths = [isinstance(item, Scalar) and bool(item.value) for item in elements(values)]
    return boolean(any(truths) if node.kind == "any" else all(truths))


def column_of(value: Value) -> Vector | AnyVector | ArrayVector:
    if isinstance(value, Table) and value.columns:
        return value.columns[0]
    if isinstance(value, Vector | AnyVector | ArrayVector):
        return value
    if isinstance(value, Scalar):
        return AnyVector([value])
    raise ScriptError("A subquery after any, all or exists must return rows.")


def literal(value: Scalar) -> syntax.Expression:
    """Code for a value. A literal knows no scale: decimals are made from text."""
    if value.type in DECIMAL and value.value is not None:
        text = syntax.Literal("STRING", str(Decimal(value.value).scaleb(-value.scale)), span=NO_SPAN)
        return call(value.type.name.lower(), text, syntax.Literal("INT", value.scale, span=NO_SPAN), span=NO_SPAN)
    return syntax.Literal(value.type.name, value.value, span=NO_SPAN)


def compared(
    left: syntax.Expression, operator: str, kind: str, rows: Value, executor: Executor, scope: RowScope
) -> syntax.Expression:
    """A comparison with any or all of the values of a subquery, as a condition without the subquery."""
    values = column_of(rows)
    some = kind == "any"
    if not len(values):
        return literal(boolean(not some))
    if operator in ("=", "==") and some:
        return syntax.Binary("in", left, _inlined(values), span=NO_SPAN)
    if operator in ("!=", "<>") and not some:
        return syntax.Unary("not", syntax.Binary("in", left, _inlined(values), span=NO_SPAN), span=NO_SPAN)
    extreme = {"<": "max", "<=": "max", ">": "min", ">=": "min"} if some else {
        "<": "min", "<=": "min", ">": "max", ">=": "max",
    }  # fmt: skip
    if operator in extreme:
        end = literal(_end(extreme[operator], values, executor, scope))
        return syntax.Binary(operator, left, end, span=NO_SPAN)
    joiner = "and" if operator in ("=", "==") else "or"
    low, high = (literal(_end(name, values, executor, scope)) for name in ("min", "max"))
    parts = [syntax.Binary(operator, left, end, span=NO_SPAN) for end in (low, high)]
    return syntax.Binary(joiner, parts[0], parts[1], span=NO_SPAN)


def _end(name: str, values: Vector | AnyVector | ArrayVector, executor: Executor, scope: RowScope) -> Scalar:
    """The smallest or largest value; NULL is smaller than all others."""
    if name == "min" and isinstance(values, Vector) and values.has_nulls():
        return Scalar(values.type, None, values.scale)
    bound = "\0quantified"
    scope.variables[bound] = values
    end = executor.evaluate(call(name, syntax.Name(bound, span=NO_SPAN), span=NO_SPAN), scope)
    if not isinstance(end, Scalar):
        raise ScriptError("A subquery compared with any or all must return one column of single values.")
    return end


def _inlined(values: Vector | AnyVector | ArrayVector) -> syntax.Expression:
    items = [literal(item) for item in elements(values) if isinstance(item, Scalar)]
    return syntax.VectorLiteral(tuple(items), span=NO_SPAN)
