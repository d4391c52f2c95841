"""The session's own objects, and output: `print`, `undef`, `objs`, `defs`, `share` …"""

from __future__ import annotations

import time

import numpy as np

from engine.console import closure_text, console_text
from engine.context import Context
from engine.errors import ScriptError
from engine.forms import as_vector
from engine.forms import size as size_of
from engine.functions.language.inspection import FORMS, column_count, form_code, type_code
from engine.functions.registry import Builtin, Registry
from engine.operators.membership import like_pattern
from engine.types import LITERAL, Type
from engine.values import (
    NOTHING,
    Closure,
    Dictionary,
    Nothing,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    boolean,
    string,
    vector,
)

functions = Registry()


@functions.builtin("print", "[args...]", context=True)
def print_(context: Context, *values: Value) -> None:
    for value in values:
        context.output(console_text(value))


def _names(value: Value, usage: str) -> list[str]:
    if not isinstance(value, Scalar | Vector) or value.type not in LITERAL:
        raise ScriptError(f"Usage: {usage}. The names must be strings.")
    return [str(text) for text in as_vector(value).strings()]


def _defined(context: Context, kind: str) -> list[str]:
    """The names `undef all` means."""
    if kind == "SHARED":
        return list(context.node.shared)
    if kind == "DEF":
        return list(context.session.functions)
    scope = getattr(context, "scope", None)
    return list(context.session.variables if scope is None else scope.variables)


@functions.builtin("undef", "obj, [objType=VAR]", context=True)
def undef(context: Context, names: Value, kind: Value = NOTHING) -> None:
    """Forget variables (VAR), shared variables (SHARED) or functions (DEF): some by name, or all."""
    where = str(kind.value) if isinstance(kind, Scalar) and kind.value else "VAR"
    if isinstance(names, Builtin) and names.name == "all":
        names = vector(Type.STRING, _defined(context, where))
    for name in _names(names, "undef(obj, [objType=VAR])"):
        if where == "SHARED":
            with context.node.lock:
                found = context.node.shared.pop(name, None)
            if isinstance(found, Table):
                found.shared_as = None
        elif where == "DEF":
            found = context.session.functions.pop(name, None)
        else:
            scope = getattr(context, "scope", None)
            found = scope.variables.pop(name, None) if scope is not None else context.session.variables.pop(name, None)
        if found is None:
            raise ScriptError(f"The object [{name}] does not exist.")


@functions.builtin("objs", "[shared=false]", context=True)
def objs(context: Context, shared: Value = NOTHING) -> Value:
    """A table of the variables in memory."""
    rows = [(name, value, False) for name, value in context.session.variables.items()]
    if isinstance(shared, Scalar) and shared.value:
        with context.node.lock:
            rows += [(name, value, True) for name, value in context.node.shared.items()]
    forms = {code: name for name, code in FORMS.items()}
    names = ["name", "type", "form", "rows", "columns", "bytes", "shared", "extra", "owner"]
    columns = [
        vector(Type.STRING, [name for name, _, _ in rows]),
        vector(Type.STRING, [_type_label(value) for _, value, _ in rows]),
        vector(Type.STRING, [forms[form_code(value)] for _, value, _ in rows]),
        vector(Type.INT, [size_of(value) for _, value, _ in rows]),
        vector(Type.INT, [column_count(value) for _, value, _ in rows]),
        vector(Type.LONG, [_memory(value) for _, value, _ in rows]),
        vector(Type.BOOL, [is_shared for _, _, is_shared in rows]),
        vector(Type.STRING, ["" for _ in rows]),
        vector(Type.STRING, [context.session.user for _ in rows]),
    ]
    return Table(names, list(columns))


def _type_label(value: Value) -> str:
    if isinstance(value, Table):
        return "BASIC"
    code = type_code(value)
    return Type(code - 64).name + "[]" if code >= 64 else Type(code).name


def _memory(value: Value) -> int:
    from engine.functions.language.inspection import memory_size

    size = memory_size(value)
    return int(size.value) if isinstance(size, Scalar) else 0


@functions.builtin("defs", "[X]", context=True)
def defs(context: Context, pattern: Value = NOTHING) -> Value:
    """A table of the functions, all or those whose name fits a pattern."""
    found: dict[str, object] = dict(context.registry.functions)
    found.update(context.session.functions)
    names = sorted(found)
    if isinstance(pattern, Scalar) and isinstance(pattern.value, str):
        fits = like_pattern(pattern.value).fullmatch
        names = [name for name in names if fits(name)]
    user = [not isinstance(found[name], Builtin) for name in names]
    counts = [_parameter_counts(found[name]) for name in names]
    return Table(
        ["name", "isCommand", "userDefined", "minParamCount", "maxParamCount", "syntax"],
        [
            vector(Type.STRING, names),
            vector(Type.BOOL, [False] * len(names)),
            vector(Type.BOOL, user),
            vector(Type.INT, [low for low, _ in counts]),
            vector(Type.INT, [high for _, high in counts]),
            vector(Type.STRING, [signature(found[name]) for name in names]),
        ],
    )


_UNLIMITED = 100


def _parameter_counts(function: object) -> tuple[int, int]:
    """The fewest and the most arguments a function takes."""
    if isinstance(function, Builtin):
        least = sum(parameter.required for parameter in function.parameters)
        return least, _UNLIMITED if any(p.repeated for p in function.parameters) else len(function.parameters)
    if isinstance(function, Closure):
        return sum(each.default is None for each in function.parameters), len(function.parameters)
    return 1, 1


def signature(function: object) -> str:
    if isinstance(function, Builtin):
        return f"({function.signature.partition('(')[2]}"
    if isinstance(function, Closure):
        return f"({', '.join(parameter.name for parameter in function.parameters)})"
    return "()"


@functions.builtin("syntax", "X")
def syntax_(function: Value) -> Value:
    if isinstance(function, Builtin):
        return string(function.signature)
    if isinstance(function, Closure):
        return string(f"{function.name or ''}{signature(function)}")
    raise ScriptError("Usage: syntax(X). X must be a function.")


@functions.builtin("functionText", "X")
def function_text(function: Value) -> Value:
    if isinstance(function, Closure):
        return string(closure_text(function))
    raise ScriptError("Usage: functionText(X). X must be a function defined in script.")


@functions.builtin("sleep", "milliseconds", context=True)
def sleep(context: Context, duration: Value) -> None:
    if not isinstance(duration, Scalar) or not isinstance(duration.value, int) or duration.value < 0:
        raise ScriptError("Usage: sleep(milliseconds). milliseconds must be a non-negative integer.")
    until = time.monotonic() + duration.value / 1000
    while (left := until - time.monotonic()) > 0:
        context.check()
        time.sleep(min(left, 0.05))
    context.check()


@functions.builtin("eqObj", "X, Y, [precision]")
def eq_obj(left: Value, right: Value, precision: Value = NOTHING) -> Value:
    """Whether two objects have the same type, form and content."""
    digits = precision.value if isinstance(precision, Scalar) and isinstance(precision.value, int) else None
    return boolean(same_object(left, right, digits))


def same_object(left: Value, right: Value, digits: int | None = None) -> bool:
    from engine.values import AnyVector, ArrayVector, IndexedSeries, Matrix

    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return left.type is right.type and same_data(as_vector(left), as_vector(right), digits)
    if isinstance(left, Vector) and isinstance(right, Vector):
        same_type = left.type is right.type or {left.type, right.type} <= set(LITERAL)
        return same_type and left.is_pair == right.is_pair and same_data(left, right, digits)
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        same_shape = left.data.shape == right.data.shape
        return left.type is right.type and same_shape and same_data(as_vector(left), as_vector(right), digits)
    if isinstance(left, AnyVector) and isinstance(right, AnyVector):
        return len(left) == len(right) and all(
            same_object(a, b, digits) for a, b in zip(left.items, right.items, strict=True)
        )
    if isinstance(left, IndexedSeries) and isinstance(right, IndexedSeries):
        return same_object(left.index, right.index) and same_object(left.values, right.values, digits)
    if isinstance(left, ArrayVector) and isinstance(right, ArrayVector):
        return np.array_equal(left.offsets, right.offsets) and same_object(left.flat, right.flat, digits)
    if isinstance(left, Table) and isinstance(right, Table):
        return left.names == right.names and all(
            same_object(a, b, digits) for a, b in zip(left.columns, right.columns, strict=True)
        )
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        return left.items.keys() == right.items.keys() and all(
            same_object(item, right.items[key], digits) for key, item in left.items.items()
        )
    if isinstance(left, Set) and isinstance(right, Set):
        return left.members.keys() == right.members.keys()
    return left is right or (isinstance(left, Nothing) and isinstance(right, Nothing))


def same_data(left: Vector, right: Vector, digits: int | None) -> bool:
    if len(left) != len(right):
        return False
    if left.type in LITERAL:
        return bool(np.array_equal(left.strings(), right.strings()))
    if left.data.dtype.kind == "f":
        missing = np.isnan(left.data)
        if not np.array_equal(missing, np.isnan(right.data)):
            return False
        tolerance = 0.0 if digits is None else 10.0**-digits
        with np.errstate(invalid="ignore"):
            return bool(np.all(missing | (np.abs(left.data - right.data) <= tolerance) | (left.data == right.data)))
    if left.data.dtype.kind == "c":
        return bool(np.array_equal(left.data, right.data, equal_nan=True))
    return bool(np.array_equal(left.data, right.data))
