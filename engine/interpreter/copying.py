"""Assignment by value: what is copied and what is shared."""

from __future__ import annotations

from dataclasses import replace

from dolphin.script import syntax
from engine.values import (
    AnyVector,
    ArrayVector,
    Dictionary,
    IndexedSeries,
    Matrix,
    Scalar,
    Set,
    Value,
    Vector,
)

_FRESH = (syntax.Binary, syntax.Unary, syntax.VectorLiteral, syntax.DictLiteral, syntax.Select, syntax.Lambda)


def copy_value(value: Value) -> Value:
    """A copy that can be changed without touching the original; tables and handles stay the same object."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Vector):
        return value.copy()
    if isinstance(value, AnyVector):
        return AnyVector([copy_value(item) for item in value.items], value.columnar)
    if isinstance(value, ArrayVector):
        return ArrayVector(value.flat.copy(), value.offsets.copy())
    if isinstance(value, Matrix):
        return replace(value, data=value.data.copy(order="F"))
    if isinstance(value, Set):
        return Set(value.type, dict(value.members), value.scale)
    if isinstance(value, Dictionary):
        return Dictionary(value.key_type, value.value_type, dict(value.items), value.ordered)
    if isinstance(value, IndexedSeries):
        return IndexedSeries(value.index.copy(), value.values.copy())
    return value


def assigned(node: syntax.Node, value: Value) -> Value:
    """The value to bind for `name = node`: copied where the expression may return an existing object."""
    if isinstance(value, Scalar) or (isinstance(node, _FRESH) and not _may_alias(node)) or _is_asis(node):
        return value
    return copy_value(value)


def _may_alias(node: syntax.Node) -> bool:
    return (isinstance(node, syntax.Binary) and node.operator == "$") or (
        isinstance(node, syntax.Unary) and node.operator == "+"
    )


def _is_asis(node: syntax.Node) -> bool:
    """`asis(x)` is how scripts ask for the object itself."""
    return isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.id == "asis"
