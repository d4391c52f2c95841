"""`exists (…)`, and comparisons with `any (…)` or `all (…)` of a subquery."""

from __future__ import annotations

from dolphin.script import syntax
from engine.errors import ScriptError
from engine.interpreter.scope import Scope
from engine.sql.evaluation import NO_SPAN, Executor
from engine.sql.frame import Frame, RowScope
from engine.sql.rewrite import call, transform
from engine.values import AnyVector, ArrayVector, Scalar, Table, Value, Vector, boolean, elements


def prepare_condition(node: syntax.Expression, frame: Frame, executor: Executor, scope: Scope) -> syntax.Expression:
    """The condition without quantifiers, their subqueries evaluated."""
    rows = RowScope(frame, scope)

    def change(each: syntax.Node) -> syntax.Node:
        if isinstance(each, syntax.Binary):
            for side, other in ((each.right, each.left), (each.left, each.right)):
                if isinstance(side, syntax.Quantifier) and side.kind != "exists":
                    operator = each.operator if side is each.right else MIRRORED.get(each.operator, each.operator)
                    return _compared(other, operator, side, executor, rows)
        if isinstance(each, syntax.Quantifier) and each.kind == "exists":
            return literal(quantified(each, executor, rows))
        return each

    return transform(node, change)


MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


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


def literal(value: Scalar) -> syntax.Literal:
    return syntax.Literal(value.type.name, value.value, span=NO_SPAN)


def _compared(
    left: syntax.Expression, operator: str, quantifier: syntax.Quantifier, executor: Executor, scope: RowScope
) -> syntax.Expression:
    values = column_of(executor.evaluate(quantifier.query, scope))
    some = quantifier.kind == "any"
    if not len(values):
        return literal(boolean(not some))
    name = f"\0quantified{id(quantifier)}"
    bound = syntax.Name(name, span=NO_SPAN)
    scope.variables[name] = values
    if operator in ("=", "==") and some:
        return syntax.Binary("in", left, _inlined(values), span=NO_SPAN)
    if operator in ("!=", "<>") and not some:
        return syntax.Unary("not", syntax.Binary("in", left, _inlined(values), span=NO_SPAN), span=NO_SPAN)
    extreme = {"<": "max", "<=": "max", ">": "min", ">=": "min"} if some else {
        "<": "min", "<=": "min", ">": "max", ">=": "max",
    }  # fmt: skip
    if operator in extreme:
        end = executor.evaluate(call(extreme[operator], bound, span=NO_SPAN), scope)
        assert isinstance(end, Scalar)
        return syntax.Binary(operator, left, literal(end), span=NO_SPAN)
    low, high = (executor.evaluate(call(name, bound, span=NO_SPAN), scope) for name in ("min", "max"))
    assert isinstance(low, Scalar)
    assert isinstance(high, Scalar)
    joiner = "and" if operator in ("=", "==") else "or"
    parts = [syntax.Binary(operator, left, literal(end), span=NO_SPAN) for end in (low, high)]
    return syntax.Binary(joiner, parts[0], parts[1], span=NO_SPAN)


def _inlined(values: Vector | AnyVector | ArrayVector) -> syntax.Expression:
    items = [literal(item) for item in elements(values) if isinstance(item, Scalar)]
    return syntax.VectorLiteral(tuple(items), span=NO_SPAN)
