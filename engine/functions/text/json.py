"""JSON: standard texts from values and back, and elements by their place."""

from __future__ import annotations

import json
from typing import Any

from engine import lifting
from engine.arguments import boolean_argument, choice_argument, is_omitted
from engine.cast import cast, cast_vector
from engine.errors import CallError, ScriptError
from engine.forms import as_vector, element, scalar_from, tuple_to_vector
from engine.functions.registry import Registry
from engine.functions.text.formats import parse_times
from engine.functions.text.strings import object_array, texts_of
from engine.texts import element_texts
from engine.types import LITERAL, TEMPORAL, Type, type_named
from engine.values import (
    AnyVector,
    ArrayVector,
    Dictionary,
    Scalar,
    Set,
    Table,
    Value,
    Vector,
    double,
    elements,
    string,
    vector,
)

functions = Registry()


def standard_json(value: Value) -> str:
    """A value as standard JSON in DolphinDB's spacing."""
    if isinstance(value, Scalar):
        return _scalar_json(value)
    if isinstance(value, Set):
        return "[" + ",".join(_scalar_json(item) for item in _scalars(as_vector(value))) + "]"
    if isinstance(value, Vector | AnyVector | ArrayVector):
        if isinstance(value, Vector) and value.is_pair:
            raise CallError("a pair has no JSON form.")
        return "[" + ", ".join(standard_json(item) for item in elements(value)) + "]"
    if isinstance(value, Table):
        return "[" + ",".join(standard_json(element(value, row)) for row in range(value.rows)) + "]"
    if isinstance(value, Dictionary):
        pairs = [
            f"{json.dumps(_key_text(key, value.key_type), ensure_ascii=False)}: {standard_json(item)}"
            for key, item in value.listed()
        ]
        return "{" + ",".join(pairs) + "}"
    raise CallError("this form has no JSON form.")


def _scalars(column: Vector) -> list[Scalar]:
    return [column.scalar(index) for index in range(len(column))]


def _key_text(key: Any, type_: Type) -> str:
    return str(key) if type_ in LITERAL else element_texts(as_vector(Scalar(type_, key)))[0]


def _scalar_json(value: Scalar) -> str:
    if value.is_null:
        return '""' if value.type in LITERAL else "null"
    if value.type is Type.BOOL:
        return "true" if value.value else "false"
    text = element_texts(as_vector(value))[0]
    if value.type in LITERAL:
        raw = value.value.decode(errors="replace") if isinstance(value.value, bytes) else value.value
        return json.dumps(raw, ensure_ascii=False)
    if value.type in TEMPORAL:
        return json.dumps(text.replace("T", " "))
    if value.type is Type.CHAR:
        return json.dumps(text)
    return text


@functions.builtin("toStdJson", "obj")
def to_standard_json(x: Value) -> Scalar:
    return string(standard_json(x))


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CallError(f"the text is not JSON: {error}.") from None


def from_plain(raw: Any) -> Value:
    """A value from parsed JSON; texts that look like times become times."""
    if isinstance(raw, dict):
        items: dict[object, Value] = {key: from_plain(item) for key, item in raw.items()}
        return Dictionary(Type.STRING, Type.ANY, items, ordered=True)
    if isinstance(raw, list):
        parts = [from_plain(item) for item in raw]
        return tuple_to_vector(parts) if parts else AnyVector([])
    if isinstance(raw, int) and not isinstance(raw, bool) and not -(2**63) < raw < 2**63:
        return double(float(raw))
    return _timely(raw) if isinstance(raw, str) else scalar_from(raw)


def _timely(text: str) -> Scalar:
    for type_, length in (
        (Type.DATE, 10), (Type.DATETIME, 19), (Type.TIMESTAMP, 23), (Type.NANOTIMESTAMP, 29),
        (Type.SECOND, 8), (Type.TIME, 12), (Type.NANOTIME, 18),
    ):  # fmt: skip
        if len(text) == length and text[0].isdigit() and text[4 if length in (10, 19, 23, 29) else 2] in ".:":
            try:
                found = cast(string(text), type_)
            except ScriptError:
                return string(text)
            if isinstance(found, Scalar) and found.value is not None:
                return found
    return string(text)


@functions.builtin("fromStdJson", "X")
def from_standard_json(x: Value) -> Value:
    values = [from_plain(_loads(text)) for text in texts_of(as_vector(x))]
    return values[0] if isinstance(x, Scalar) else tuple_to_vector(values)


def _at(raw: Any, path: list[Scalar]) -> Any:
    for step in path:
        if isinstance(step.value, str):
            raw = raw.get(step.value) if isinstance(raw, dict) else None
        elif isinstance(raw, list | dict) and step.value:
            held = list(raw.values()) if isinstance(raw, dict) else raw
            place = step.value - 1 if step.value > 0 else len(held) + step.value
            raw = held[place] if 0 <= place < len(held) else None
        else:
            return None
    return raw


def _as_kind(raw: Any, kind: str) -> Any:
    if kind == "string":
        return raw if isinstance(raw, str) else None if raw is None else json.dumps(raw)
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        return None
    if kind == "double":
        return float(raw)
    bound = 2**31 if kind == "int" else 2**63
    return int(raw) if -bound < raw < bound else None


@functions.builtin("jsonExtract", "json, location, type", aliases=("JsonExtract",))
def extract(text: Value, location: Value, type_: Value) -> Value:
    kind = choice_argument(type_, "type", ("long", "int", "double", "string"))
    if isinstance(location, Scalar):
        path = [location]
    elif isinstance(location, AnyVector):
        path = [item for item in location.items if isinstance(item, Scalar)]
    else:
        path = _scalars(as_vector(location))

    def kernel(column: Vector) -> Vector:
        found = []
        for each in texts_of(column, "json"):
            try:
                found.append(_as_kind(_at(json.loads(each), path), kind))
            except ValueError:
                found.append(None)
        return vector(type_named(kind), found)

    return lifting.elementwise(kernel, [text])


def _objects(x: Value) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    found = []
    for text in texts_of(as_vector(x), "json"):
        position = 0
        while position < len(text):
            if text[position].isspace():
                position += 1
                continue
            try:
                raw, position = decoder.raw_decode(text, position)
            except ValueError as error:
                raise CallError(f"the text is not JSON: {error}.") from None
            if not isinstance(raw, dict):
                raise CallError("only JSON objects can become rows.")
            found.append(raw)
    return found


def _json_column(items: list[Any], type_: Type, template: str) -> Vector:
    if type_ in TEMPORAL and template:
        parsed = parse_times(Vector(Type.STRING, object_array([str(item or "") for item in items])), template)
        return cast_vector(parsed, type_)
    texts = ["" if item is None else item if isinstance(item, str) else json.dumps(item) for item in items]
    column = Vector(Type.STRING, object_array(texts))
    return column if type_ is Type.STRING else cast_vector(column, type_)


def _guessed(items: list[Any]) -> Type:
    known = [item for item in items if item is not None][:10]
    if known and all(isinstance(item, bool) for item in known):
        return Type.BOOL
    if known and all(isinstance(item, int) and not isinstance(item, bool) for item in known):
        return Type.INT if all(-(2**31) < item < 2**31 for item in items if item is not None) else Type.LONG
    if known and all(isinstance(item, int | float) and not isinstance(item, bool) for item in known):
        return Type.DOUBLE
    return Type.STRING


@functions.builtin("parseJsonTable", "json, [schema], [keyCaseSensitive=true]")
def parse_table(x: Value, schema: Value | None = None, sensitive: Value | None = None) -> Table:
    """JSON objects as the rows of a table."""
    rows = _objects(x)
    if not boolean_argument(sensitive, "keyCaseSensitive", True):
        rows = [{key.lower(): item for key, item in row.items()} for row in rows]
    if isinstance(schema, Table):
        names, types = (schema.column(part) for part in ("name", "type"))
        formats = schema.column("format")
        if not isinstance(names, Vector) or not isinstance(types, Vector):
            raise CallError("schema must have the columns name and type.")
        labels = list(names.strings())
        chosen = [type_named(text) for text in types.strings()]
        templates = list(formats.strings()) if isinstance(formats, Vector) else [""] * len(labels)
    elif is_omitted(schema):
        labels = list(dict.fromkeys(key for row in rows for key in row))
        chosen = [_guessed([row.get(label) for row in rows]) for label in labels]
        templates = [""] * len(labels)
    else:
        raise CallError("schema must be a table.")
    columns = [
        _json_column([row.get(label) for row in rows], type_, template)
        for label, type_, template in zip(labels, chosen, templates, strict=True)
    ]
    return Table(labels, list(columns))
