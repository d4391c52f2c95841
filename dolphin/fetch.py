"""Bringing a value kept in a session variable to the client: typed, exact and bounded in size.

What the client's decoder would distort is asked for in another form: tables by column (their times keep their unit),
LONG with NULL and types that the decoder does not know as text, matrices of such types flattened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dolphin.capture import ROWS
from dolphin.quoting import quoted
from dolphin.types import (
    DECODABLE,
    FORMS,
    INTEGERS,
    NULL,
    TEMPORALS,
    base_type,
    is_null,
    literal,
    literals,
    normalize,
    type_name,
)
from dolphin.values import Column, Matrix, Result, python_result

Run = Callable[[str], Any]

MATRIX_TYPES = (INTEGERS - {"LONG"}) | TEMPORALS | {"BOOL", "FLOAT", "DOUBLE"}


def fetch(run: Run, name: str, description: Sequence[Any], row_limit: int) -> Result:
    """The value of variable `name`, whose `description` is `(form, type, typestr)`; at most `row_limit` rows of a table
    or matrix, elements of anything else. Blocking. `run` evaluates a script in the session.
    """
    form = FORMS.get(int(description[0]), "")
    kind = type_name(int(description[1]))
    if form == "TABLE":
        return _table(run, name, row_limit)
    if form == "VECTOR":
        return _vector(run, name, kind, row_limit)
    if form == "SCALAR":
        return _scalar(run, name, kind)
    if form == "MATRIX":
        return _matrix(run, name, kind, row_limit)
    if form == "DICTIONARY":
        return _dictionary(run, name, row_limit)
    if form == "SET":
        return _set(run, name, kind, row_limit)
    if form == "PAIR":
        source = name if kind in DECODABLE else f"string({name})"
        return Result("PAIR", kind, normalize(run(source), kind), 2, 1)
    return python_result(run(name))


def _table(run: Run, name: str, row_limit: int) -> Result:
    definitions, count = run(f"(schema({name}).colDefs, (exec count(*) from {name}))")
    names = [str(item) for item in definitions["name"]]
    types = [_with_scale(definitions, position) for position in range(len(names))]
    run(f"{ROWS} = select top {row_limit} * from {name}; 0")  # noqa: S608
    plain = all(_decodable(kind) for kind in types)
    if plain:
        arrays = list(run(f"values({ROWS})"))
    else:
        arrays = [run(_as_text(_column(item), kind)) for item, kind in zip(names, types, strict=True)]
    columns = []
    for item, kind, array in zip(names, types, arrays, strict=True):
        values = _exact(run, _column(item), kind, array)
        columns.append(Column(item, kind, values))
    run(f"undef(`{ROWS}, VAR)")
    return Result("TABLE", "", tuple(columns), int(count), len(columns))


def _with_scale(definitions: Any, position: int) -> str:
    kind = str(definitions["typeString"][position])
    scale = definitions["extra"][position] if "extra" in definitions else None
    if not kind.startswith("DECIMAL") or "(" in kind or scale is None or is_null(scale):
        return kind
    return f"{kind}({int(scale)})"


def _column(name: str) -> str:
    return f"{ROWS}[{quoted(name)}]"


def _decodable(kind: str) -> bool:
    base = base_type(kind)
    return base in DECODABLE or (base.endswith("[]") and base_type(base[:-2]) in DECODABLE - {"STRING", "SYMBOL"})


def _as_text(expression: str, kind: str) -> str:
    return expression if _decodable(kind) else f"string({expression})"


def _exact(run: Run, expression: str, kind: str, array: Any) -> Any:
    if base_type(kind) == "LONG" and isinstance(array, np.ndarray) and array.dtype.kind == "f":
        texts = run(f"string({expression})")
        return normalize([int(text) if text else None for text in texts], "LONG")
    return normalize(array, kind if _decodable(kind) else "STRING")


def _vector(run: Run, name: str, kind: str, row_limit: int) -> Result:
    count = int(run(f"size({name})"))
    part = name if count <= row_limit else f"{name}[0:{row_limit}]"
    data = _exact(run, part, kind, run(_as_text(part, kind)))
    return Result("VECTOR", kind, _timed(run, part, data) if kind == "ANY" else data, count, 1)


def _timed(run: Run, part: str, items: Any) -> list[Any]:
    """The elements of a tuple, with times as text: the client's own do not tell a time of day from a moment in 1970."""
    if not any(_is_time(item) for item in items):
        return list(items)
    kinds = [type_name(int(code)) for code in run(f"each(type, {part})")]
    return [_time_text(item, kind) if _is_time(item) else item for item, kind in zip(items, kinds, strict=True)]


def _is_time(item: Any) -> bool:
    return getattr(getattr(item, "dtype", None), "kind", "") == "M"


def _time_text(item: Any, kind: str) -> Any:
    if isinstance(item, np.ndarray):
        return [None if text == NULL else text for text in literals(item, kind)]
    return None if is_null(item) else literal(item, kind)


def _scalar(run: Run, name: str, kind: str) -> Result:
    if kind == "VOID":
        return Result("NOTHING")
    binary = kind in DECODABLE or kind in ("BLOB", "FUNCTIONDEF", "CODE", "HANDLE", "RESOURCE", "DATASOURCE")
    return Result("SCALAR", kind, run(name if binary else f"string({name})"), 1, 1)


def _matrix(run: Run, name: str, kind: str, row_limit: int) -> Result:
    rows, columns = (int(item) for item in run(f"(rows({name}), cols({name}))"))
    fitting = max(row_limit * 10 // max(columns, 1), 1)
    part = name if rows <= min(row_limit, fitting) else f"{name}[0:{min(row_limit, fitting)}, ]"
    decoded = run(part) if kind in MATRIX_TYPES or kind == "LONG" else None
    if decoded is not None and not (kind == "LONG" and decoded[0].dtype.kind == "f"):
        values, row_labels, column_labels = decoded
        if kind in INTEGERS and values.dtype.kind == "f":
            values = normalize(values.ravel(), kind).reshape(values.shape)
        return Result("MATRIX", kind, Matrix(values, row_labels, column_labels), rows, columns)
    flat = f"flatten({part})"
    data = np.asarray(_exact(run, flat, kind, run(_as_text(flat, kind))), dtype=object)
    labels = (run(f"rowNames({part})"), run(f"columnNames({part})"))
    values = data.reshape((columns, -1)).T if columns else data.reshape((0, 0))
    return Result("MATRIX", kind, Matrix(values, *(item if _any(item) else None for item in labels)), rows, columns)


def _any(labels: Any) -> bool:
    return labels is not None and len(labels) > 0


def _dictionary(run: Run, name: str, row_limit: int) -> Result:
    count = int(run(f"size({name})"))
    suffix = f"[0:{row_limit}]" if count > row_limit else ""
    # Not the dictionary itself: the client loses its order, and refuses times as keys.
    keys, values = (f"{function}({name}){suffix}" for function in ("keys", "values"))
    items, kinds = run(f"({keys}, {values})"), run(f"(type({keys}), type({values}))")
    columns = []
    for part, data, code in zip((keys, values), items, kinds, strict=True):
        kind = type_name(int(code))
        exact = _timed(run, part, data) if kind == "ANY" else _exact(run, part, kind, data)
        columns.append(_time_text(exact, kind) if kind in TEMPORALS else exact)
    return Result("DICTIONARY", "", list(zip(*columns, strict=True)), count, 1)


def _set(run: Run, name: str, kind: str, row_limit: int) -> Result:
    # As a vector: a BOOL set crashes the client.
    count = int(run(f"size({name})"))
    suffix = f"[0:{row_limit}]" if count > row_limit else ""
    part = f"keys({name}){suffix}"
    return Result("SET", kind, _exact(run, part, kind, run(_as_text(part, kind))), count, 1)
