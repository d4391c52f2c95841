"""Elementary mathematics, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import lifting
from engine.aggregation.basic import doubles
from engine.aggregation.rows import numbers
from engine.arguments import boolean_argument, float_argument, integer_argument, is_omitted
from engine.cast import cast_vector, round_half_away
from engine.errors import CallError
from engine.forms import as_vector
from engine.functions.registry import Registry
from engine.types import DECIMAL, FLOATING, INTEGRAL, LITERAL, NUMERIC, TEMPORAL, Type, null
from engine.values import Array, Dictionary, Matrix, Scalar, SymbolBase, Value, Vector, boolean

functions = Registry()


REAL_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sqrt": np.sqrt, "cbrt": np.cbrt, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "square": np.square, "reciprocal": np.reciprocal, "deg2rad": np.deg2rad, "rad2deg": np.rad2deg,
}  # fmt: skip


def _declare_real(name: str, compute: Callable[[Array], Array]) -> None:
    def kernel(x: Vector) -> Vector:
        with np.errstate(all="ignore"):
            result = compute(numbers(x))
        if name in ("log", "log2", "log10", "log1p", "reciprocal", "atanh"):
            result = np.where(np.isinf(result), np.nan, result)
        return doubles(result)

    functions.elementwise(name, "X")(kernel)


for _name, _compute in REAL_FUNCTIONS.items():
    if _name != "log":
        _declare_real(_name, _compute)


@functions.elementwise("log", "X, [Y]")
def logarithm(x: Vector, base: Value | None = None) -> Vector:
    """The natural logarithm, or that to a base; NULL where it is not finite."""
    scale = 1.0 if is_omitted(base) else float_argument(base, "Y")
    if scale <= 0:
        raise CallError("Y must be a positive number.")
    with np.errstate(all="ignore"):
        result = np.log(numbers(x)) / (1.0 if is_omitted(base) else np.log(scale))
    return doubles(np.where(np.isfinite(result), result, np.nan))


@functions.elementwise("abs", "X")
def absolute(x: Vector) -> Vector:
    if x.type is Type.BOOL or x.type in TEMPORAL or x.data.dtype.kind not in "if" or x.symbols is not None:
        if x.type is Type.DECIMAL128:
            return x.with_data(np.where(x.nulls(), x.data, np.abs(x.data)))
        raise CallError(f"X must be numeric, not {x.type.name}.")
    return x.with_data(np.where(x.nulls(), x.data, np.abs(x.data)).astype(x.data.dtype))


@functions.elementwise("signum", "X", aliases=("sign",))
def signum(x: Vector) -> Vector:
    values = numbers(x)
    missing = np.isnan(values)
    return Vector(Type.INT, np.where(missing, null(Type.INT), np.sign(np.where(missing, 0, values))).astype(np.int32))


@functions.elementwise("signbit", "X")
def sign_bit(x: Vector) -> Vector:
    if x.type in FLOATING:
        return Vector(Type.BOOL, np.signbit(np.where(x.nulls(), -1.0, x.data)).astype(np.int8))
    if x.type not in (Type.BOOL, *INTEGRAL):
        raise CallError("X must be numeric.")
    return Vector(Type.BOOL, (x.data < 0).astype(np.int8))


def _longs(values: Array) -> Vector:
    missing = ~(np.abs(values) < 2.0**63)
    return Vector(Type.LONG, np.where(missing, null(Type.LONG), np.where(missing, 0, values).astype(np.int64)))


def _declare_whole(name: str, compute: Callable[[Array], Array]) -> None:
    @functions.elementwise(name, "X")
    def whole(x: Vector) -> Vector:
        if x.type in (Type.BOOL, *INTEGRAL):
            return cast_vector(x, Type.LONG)
        return _longs(compute(numbers(x)))


_declare_whole("floor", np.floor)
_declare_whole("ceil", np.ceil)


@functions.elementwise("round", "X, [precision]")
def round_half_up(x: Vector, precision: Value | None = None) -> Vector:
    """Rounded half away from zero: LONG, or DOUBLE with so many digits."""
    digits = integer_argument(precision, "precision", 0)
    if not 0 <= digits <= 10:
        raise CallError("precision must be between 0 and 10.")
    if digits == 0:
        return cast_vector(x, Type.LONG) if x.type in (Type.BOOL, *INTEGRAL) else _longs(round_half_away(numbers(x)))
    values = numbers(x)
    scale = 10.0**digits
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * scale
        nudged = scaled + np.sign(scaled) * np.abs(scaled) * 4e-16
        result = round_half_away(nudged) / scale
    return doubles(np.where(np.isfinite(scaled) & (np.abs(scaled) < 2.0**52), result, values))


@functions.elementwise("isNanInf", "X, [includeNull=false]")
def is_nan_or_infinite(x: Vector, include_null: Value | None = None) -> Vector:
    found = np.isinf(x.data) if x.type in FLOATING else np.zeros(len(x), dtype=bool)
    if boolean_argument(include_null, "includeNull", False):
        found = found | x.nulls()
    return Vector(Type.BOOL, found.astype(np.int8))


@functions.builtin("nanInfFill", "X, Y")
def fill_infinite(x: Value, y: Value) -> Value:
    def kernel(column: Vector, other: Vector) -> Vector:
        if column.type not in FLOATING:
            return column
        return column.with_data(np.where(np.isinf(column.data), cast_vector(other, column.type).data, column.data))

    return lifting.elementwise(lifting.spread(kernel), [x, y])


def _bounded(x: Vector, low: Vector, high: Vector, *, open_low: bool, open_high: bool) -> Vector:
    if x.type in TEMPORAL and (low.type is not x.type or high.type is not x.type):
        raise CallError("Y and Z must be of the temporal type of X.")
    if x.type in INTEGRAL and (low.type in FLOATING or high.type in FLOATING):
        raise CallError("Y and Z must be integral if X is.")
    if x.symbols is not None or x.data.dtype.kind not in "if":
        raise CallError("X must be numeric or temporal.")
    low, high = cast_vector(low, x.type, x.scale), cast_vector(high, x.type, x.scale)
    no_low, no_high = low.nulls(), high.nulls()
    data = np.where(no_low, x.data, np.maximum(x.data, low.data))
    data = np.where(no_high, data, np.minimum(data, high.data))
    missing = x.nulls() | (no_low & (not open_low)) | (no_high & (not open_high))
    return x.with_data(np.where(missing, null(x.type), data).astype(x.data.dtype))


@functions.builtin("clip", "X, Y, Z")
def clip(x: Value, y: Value, z: Value) -> Value:
    open_low, open_high = isinstance(y, Scalar), isinstance(z, Scalar)

    def kernel(column: Vector, low: Vector, high: Vector) -> Vector:
        return _bounded(column, low, high, open_low=open_low, open_high=open_high)

    return lifting.elementwise(lifting.spread(kernel), [x, y, z])


@functions.builtin("clip!", "X, Y, Z")
def clip_in_place(x: Value, y: Value, z: Value) -> Value:
    from engine.functions.series.sequences import replaced

    result = clip(x, y, z)
    if isinstance(x, Dictionary) and isinstance(result, Dictionary):
        x.items = result.items
        return x
    return replaced(x, result)


@functions.elementwise("eqFloat", "X, Y, [precision=9]", vectors=2)
def equal_to_digits(x: Vector, y: Vector, precision: Value | None = None) -> Vector:
    """Equality up to so many digits after the decimal point."""
    digits = integer_argument(precision, "precision", 9)
    left, right = numbers(x), numbers(y, "Y")
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.rint(left * 10.0**digits) == np.rint(right * 10.0**digits)
    return Vector(Type.BOOL, (close | (np.isnan(left) & np.isnan(right))).astype(np.int8))


@functions.builtin("eqPercent", "X, Y, [toleranceLevel=0.0001]")
def equal_by_percent(x: Value, y: Value, tolerance: Value | None = None) -> Scalar:
    """Whether all elements differ by no more than a percentage of Y; NULL equals only NULL."""
    level = float_argument(tolerance, "toleranceLevel", 0.0001)
    if not 0 < level < 100:
        raise CallError("toleranceLevel must be between 0 and 100.")
    a, b = as_vector(x), as_vector(y)
    comparable = (Type.VOID, *NUMERIC, *DECIMAL)
    if a.type not in comparable or b.type not in comparable or len(a) != len(b):
        same = a.type is b.type and len(a) == len(b) and bool(np.array_equal(a.strings(), b.strings()))
        return boolean(same)
    left, right = numbers(a), numbers(b, "Y")
    with np.errstate(invalid="ignore"):
        close = np.abs(left - right) <= level / 100.0 * np.abs(right)
    return boolean(bool((close | (np.isnan(left) & np.isnan(right))).all()))


EARTH_RADIUS = 6_371_000.0


@functions.elementwise("distance", "X, Y", vectors=2)
def earth_distance(x: Vector, y: Vector) -> Vector:
    """Metres between points given by longitude and latitude in degrees, along a great circle."""
    if x.type is not Type.POINT or y.type is not Type.POINT:
        raise CallError("X and Y must be of type POINT.")
    lon1, lat1, lon2, lat2 = (np.deg2rad(part) for part in (x.data.real, x.data.imag, y.data.real, y.data.imag))
    with np.errstate(invalid="ignore"):
        half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
        return doubles(2 * EARTH_RADIUS * np.arcsin(np.sqrt(half)))


@functions.builtin("symbolCode", "X")
def symbol_code(x: Value) -> Value:
    """The number that stands for each symbol; in a matrix, which holds texts, they are numbered as they come."""
    if isinstance(x, Matrix) and x.type in LITERAL:
        base = SymbolBase()
        codes = [base.code(str(text)) for text in x.data.ravel(order="F")]
        return Matrix(Type.INT, np.array(codes, dtype=np.int32).reshape(x.data.shape, order="F"))
    if not isinstance(x, Vector) or x.symbols is None:
        raise CallError("X must be a vector or a matrix of type SYMBOL.")
    return Vector(Type.INT, x.data.copy())
