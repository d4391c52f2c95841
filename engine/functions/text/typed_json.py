"""JSON that keeps form and type: `{"name", "form", "type", "size", "value"}`."""

from __future__ import annotations

import json
from typing import Any

from engine.arguments import text_argument
from engine.cast import cast, cast_vector
from engine.context import Context
from engine.errors import CallError
from engine.forms import as_vector, dictionary_keys, dictionary_values
from engine.functions.registry import Registry
from engine.texts import element_texts
from engine.types import DECIMAL, FLOATING, INTEGRAL, LITERAL, Type, type_named
from engine.values import (
    AnyVector,
    Column,
    Dictionary,
    Matrix,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    elements,
    nulls,
    string,
    vector,
)

functions = Registry()

_MOST = 300_000
_MOST_ROWS = 100_000


def _plain(column: Vector) -> list[Any]:
    """Numbers as they are, anything else as text; None for NULL."""
    missing = column.nulls().tolist()
    if column.type in (*INTEGRAL, *FLOATING):
        return [None if gone else raw for raw, gone in zip(column.data.tolist(), missing, strict=True)]
    if column.type is Type.BOOL:
        return [None if gone else bool(raw) for raw, gone in zip(column.data.tolist(), missing, strict=True)]
    return [None if gone else text for text, gone in zip(element_texts(column), missing, strict=True)]


def described(value: Value, name: str | None) -> dict[str, Any]:
    """A value as the object that is written as JSON."""
    out: dict[str, Any] = {} if name is None else {"name": name}
    if isinstance(value, Scalar):
        return {**out, "form": "scalar", "type": value.type.name.lower(), "value": _plain(as_vector(value))[0]}
    if isinstance(value, Vector):
        shown = value.take(slice(0, _MOST))
        form = "pair" if value.is_pair else "vector"
        return {**out, "form": form, "type": value.type.name.lower(), "size": str(len(shown)), "value": _plain(shown)}
    if isinstance(value, AnyVector):
        items = [described(item, None) for item in value.items[:_MOST]]
        return {**out, "form": "vector", "type": "any", "size": str(len(items)), "value": items}
    if isinstance(value, Matrix):
        flat = as_vector(value)
        size = {"size": str(value.rows), "columns": str(value.columns)}
        return {**out, "form": "matrix", "type": value.type.name.lower(), **size, "value": _plain(flat)}
    if isinstance(value, Set):
        members = as_vector(value).take(slice(0, _MOST))
        return {
            **out,
            "form": "set",
            "type": value.type.name.lower(),
            "size": str(len(members)),
            "value": _plain(members),
        }
    if isinstance(value, Dictionary):
        types = {"keytype": value.key_type.name.lower(), "valuetype": value.value_type.name.lower()}
        parts = [described(dictionary_keys(value), None), described(dictionary_values(value), None)]
        return {**out, "form": "dictionary", **types, "size": str(len(value)), "value": parts}
    if isinstance(value, Table):
        shown_rows = value if value.rows <= _MOST_ROWS else value.take(slice(0, _MOST_ROWS))
        columns = [described(column, own) for own, column in zip(value.names, shown_rows.columns, strict=True)]
        return {**out, "form": "table", "size": str(shown_rows.rows), "value": columns}
    raise CallError("this form has no JSON form.")


@functions.builtin("toJson", "X", context=True)
def to_json(ctx: Context, value: Value) -> Value:
    """A value as JSON with its name, form, type and size."""
    names: dict[int, str] = getattr(ctx, "argument_names", {})
    return string(json.dumps(described(value, names.get(0, "")), ensure_ascii=False, separators=(",", ":")))


@functions.builtin("fromJson", "X")
def from_json(text: Value) -> Value:
    """The value that toJson wrote."""
    try:
        return restored(json.loads(text_argument(text, "X")))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CallError(f"X is not JSON in DolphinDB's form: {error}.") from None


def _column(raws: list[Any], type_: Type) -> Vector:
    if type_ is Type.VOID:
        return nulls(type_, len(raws))
    if type_ in (*INTEGRAL, *FLOATING, Type.BOOL, *LITERAL) and type_ is not Type.BLOB:
        return vector(type_, ["" if raw is None and type_ in LITERAL else raw for raw in raws])
    if type_ in DECIMAL:
        scale = max((len(str(raw).partition(".")[2]) for raw in raws if raw is not None), default=0)
        return cast_vector(vector(Type.STRING, ["" if raw is None else str(raw) for raw in raws]), type_, scale)
    return cast_vector(vector(Type.STRING, ["" if raw is None else str(raw) for raw in raws]), type_)


def restored(raw: dict[str, Any]) -> Value:
    """A value from the object that was read from JSON; raises KeyError or ValueError for any other object."""
    form, value = raw["form"], raw["value"]
    if form == "table":
        columns: list[Column] = []
        for part in value:
            column = restored(part)
            columns.append(column if isinstance(column, Vector | AnyVector) else as_vector(column))
        return Table([str(part["name"]) for part in value], columns)
    if form == "dictionary":
        keys, values = (restored(part) for part in value)
        key_type, value_type = type_named(raw["keytype"]), type_named(raw["valuetype"])
        names = [item.value if isinstance(item, Scalar) else None for item in _items(keys)]
        return Dictionary(key_type, value_type, dict(zip(names, _items(values), strict=True)))
    if raw["type"] == "any":
        return AnyVector([restored(part) for part in value])
    type_ = type_named(raw["type"])
    column = _column([value] if form == "scalar" else value, type_)
    if form == "scalar":
        return cast(column.scalar(0), type_, column.scale)
    if form == "set":
        return Set(type_, {scalar.value: None for scalar in elements(column) if isinstance(scalar, Scalar)})
    if form == "matrix":
        return Matrix(
            type_, column.data.reshape((int(raw["size"]), int(raw["columns"])), order="F"), scale=column.scale
        )
    return Vector(column.type, column.data, column.symbols, column.scale, form == "pair")


def _items(value: Value) -> list[Value]:
    return list(elements(value)) if isinstance(value, Vector | AnyVector) else []
