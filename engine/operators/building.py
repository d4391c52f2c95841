"""`:` pair, `..` sequence, `<-` join, `$` cast and reshape, `**` dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.cast import cast, cast_vector, common_type, to_float
from engine.errors import ScriptError
from engine.forms import as_vector, concat, form_name
from engine.functions.registry import Builtin
from engine.lifting import elementwise
from engine.limits import check_allocation
from engine.operators.arithmetic import arithmetic
from engine.types import DECIMAL, DTYPES, FLOATING, INTEGRAL, LITERAL, TEMPORAL, Type
from engine.values import (
    AnyVector,
    ArrayVector,
    Column,
    Dictionary,
    Matrix,
    Scalar,
    Table,
    Value,
    Vector,
    double,
    vector,
)

if TYPE_CHECKING:
    from engine.node import Node


def pair(left: Value, right: Value) -> Value:
    if not isinstance(left, Scalar) or not isinstance(right, Scalar):
        raise ScriptError("Both sides of a pair must be scalars.")
    both = concat([left, right])
    if not isinstance(both, Vector):
        raise ScriptError("Both sides of a pair must have the same type.")
    both.is_pair = True
    return both


def sequence(left: Value, right: Value, node: Node | None = None) -> Vector:
    """`a..b`, both ends included; downwards when b is smaller."""
    if not isinstance(left, Scalar) or not isinstance(right, Scalar):
        raise ScriptError("Both sides of .. must be scalars.")
    type_ = common_type(left.type, right.type)
    if type_ is Type.BOOL:
        type_ = Type.INT
    if type_ in FLOATING:
        type_ = Type.INT
    if type_ not in INTEGRAL and type_ not in TEMPORAL and type_ is not Type.VOID:
        raise ScriptError("Both sides of .. must be integers or temporal values of the same type.")
    start, stop = cast(left, type_), cast(right, type_)
    assert isinstance(start, Scalar)
    assert isinstance(stop, Scalar)
    if start.is_null or stop.is_null:
        result_type = Type.INT if type_ is Type.VOID else type_
        return Vector(result_type, np.empty(0, dtype=DTYPES[result_type]))
    step = 1 if start.value <= stop.value else -1
    check_allocation(abs(stop.value - start.value) + 1, type_, node)
    return Vector(type_, np.arange(start.value, stop.value + step, step, dtype=DTYPES[type_]))


def join(left: Value, right: Value) -> Value:
    """`left <- right`: end to end; matrices and tables side by side."""
    if isinstance(left, Matrix):
        return _join_matrix(left, right)
    if isinstance(left, Table):
        return _join_table(left, right)
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        items = {**left.items, **right.items}
        return Dictionary(left.key_type, left.value_type, items, left.ordered)
    if isinstance(left, AnyVector):
        extra = right.items if isinstance(right, AnyVector) else [right]
        return AnyVector([*left.items, *extra])
    if isinstance(left, ArrayVector) and isinstance(right, Vector):
        right = ArrayVector(right, np.array([0, len(right)]))
    if not isinstance(left, Scalar | Vector | ArrayVector) or not isinstance(
        right, Scalar | Vector | ArrayVector | AnyVector
    ):
        raise ScriptError(f"{form_name(left)} and {form_name(right)} can't be joined.")
    if isinstance(left, Vector) and isinstance(right, Scalar | Vector) and left.type is not Type.VOID:
        other = as_vector(right)
        if left.type is Type.SYMBOL and other.type in LITERAL:
            return concat([left, other], Type.SYMBOL)
        if common_type(left.type, other.type) is not Type.ANY and left.type not in DECIMAL:
            return concat([left, cast_vector(other, left.type)])
    return concat([left, right])


def _join_matrix(left: Matrix, right: Value) -> Matrix:
    from engine.lifting import stack

    others = [right.column(i) for i in range(right.columns)] if isinstance(right, Matrix) else [as_vector(right)]
    if any(len(other) != left.rows for other in others):
        raise ScriptError("The matrix and the joined object must have the same number of rows.")
    out = stack([left.column(i) for i in range(left.columns)] + others, left)
    labels = None
    added = right.column_labels if isinstance(right, Matrix) else None
    if isinstance(right, Vector) and right.name:
        added = vector(Type.STRING, [right.name])
    if left.column_labels is not None and added is not None:
        both = concat([left.column_labels, added])
        labels = both if isinstance(both, Vector) else None
    out.column_labels = labels
    return out


def _join_table(left: Table, right: Value) -> Table:
    columns: list[Column]
    if isinstance(right, Table):
        names, columns = right.names, right.columns
    else:
        names, columns = ["V1"], [as_vector(right)]
    if left.columns and any(len(column) != left.rows for column in columns):
        raise ScriptError("The joined object must have as many rows as the table.")
    return Table([*left.names, *names], [*left.columns, *columns])


def convert(left: Value, right: Value) -> Value:
    """`x $ TYPE` converts, `x $ rows:columns` reshapes."""
    if isinstance(right, Vector) and len(right) == 2:
        if right.type not in (*INTEGRAL, Type.VOID):
            raise ScriptError("The shape of a matrix must be a pair of integers.")
        return reshape(left, right)
    type_, scale = type_argument(right)
    return cast(left, type_, scale)


def type_argument(value: Value) -> tuple[Type, int]:
    """The type (and scale) meant by `INT`, `"INT"`, `DECIMAL32(2)`, a type code or a conversion function."""
    scale = 0
    if isinstance(value, AnyVector) and len(value) == 2:
        code, digits = value.items
        if isinstance(digits, Scalar) and isinstance(digits.value, int):
            value, scale = code, digits.value
    if isinstance(value, Builtin):
        name = value.name
    elif isinstance(value, Scalar) and value.type in LITERAL:
        name = str(value.value or "")
    elif isinstance(value, Scalar) and isinstance(value.value, int) and value.type in INTEGRAL:
        if value.type is Type.INT and value.scale:
            return Type(value.value), value.scale
        try:
            return Type(value.value), scale
        except ValueError:
            raise ScriptError(f"{value.value} is not the code of a data type.") from None
    else:
        raise ScriptError("A data type is expected.")
    base, _, digits_text = name.partition("(")
    if digits_text:
        digits_text = digits_text.rstrip(") ")
        if not digits_text.isdigit():
            raise ScriptError(f"{name} is not a data type.")
        scale = int(digits_text)
    try:
        return Type[base.strip().upper()], scale
    except KeyError:
        raise ScriptError(f"{name} is not a data type.") from None


def reshape(value: Value, shape: Vector | None) -> Value:
    """A vector of the elements by columns (no shape), or a matrix `rows:columns`; one of them may be NULL."""
    column = as_vector(value)
    if column.type is Type.SYMBOL:
        column = cast_vector(column, Type.STRING)
    if shape is None:
        return column
    missing = shape.nulls().tolist()
    sides = [None if gone else int(raw) for raw, gone in zip(shape.data.tolist(), missing, strict=True)]
    count = len(column)
    rows = sides[0] if sides[0] is not None else count // (sides[1] or 1)
    columns = sides[1] if sides[1] is not None else count // (rows or 1)
    if rows * columns != count:
        raise ScriptError(f"A vector of {count} elements can't be reshaped to {rows}:{columns}.")
    return Matrix(column.type, column.data.reshape((rows, columns), order="F").copy(order="F"), scale=column.scale)


def dot(left: Value, right: Value) -> Value:
    """Matrix multiplication, or the inner product of vectors."""
    if isinstance(left, Scalar) or isinstance(right, Scalar):
        if isinstance(left, Matrix) or isinstance(right, Matrix):
            raise ScriptError("Use * rather than ** for scalar and matrix multiplication.")
        return elementwise(lambda a, b: arithmetic("*", a, b), [left, right])
    a, integral_a = _numbers(left)
    b, integral_b = _numbers(right)
    if a.ndim == 1 and b.ndim == 1:
        if len(a) != len(b):
            raise ScriptError("The vectors must have the same length.")
        usable = ~(np.isnan(a) | np.isnan(b))
        total = float(np.dot(a[usable], b[usable]))
        return Scalar(Type.LONG, int(total)) if integral_a and integral_b else double(total)
    if a.ndim == 1:
        a = a.reshape(1, -1) if len(a) == b.shape[0] else a.reshape(-1, 1)
    if b.ndim == 1:
        b = b.reshape(-1, 1) if len(b) == a.shape[1] else b.reshape(1, -1)
    if a.shape[1] != b.shape[0]:
        raise ScriptError("The dimensions of the matrices don't fit for multiplication.")
    check_allocation(a.shape[0] * b.shape[1], Type.DOUBLE)
    with np.errstate(all="ignore"):
        return Matrix(Type.DOUBLE, np.asfortranarray(a @ b))


def _numbers(value: Value) -> tuple[np.ndarray[Any, Any], bool]:
    column = as_vector(value)
    data = to_float(column)
    if isinstance(value, Matrix):
        data = data.reshape(value.data.shape, order="F")
    return data, column.type in INTEGRAL or column.type is Type.BOOL
